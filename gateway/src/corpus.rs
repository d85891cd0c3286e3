//! The fuzz targets' corpus, replayed.

use std::path::Path;

use crate::{config, pipeline, uplink};

#[path = "../fuzz/checks.rs"]
mod checks;

#[test]
fn the_corpus_of_every_fuzz_target_holds() {
    for target in [
        "block",
        "command",
        "configuration",
        "expression",
        "kafka",
        "mqtt",
        "payload",
        "registry",
        "sparkplug",
        "topic",
    ] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
        let mut replayed = 0;
        for entry in std::fs::read_dir(&folder).expect("the corpus is committed") {
            let input = std::fs::read(entry.expect("an entry").path()).expect("an input");
            checks::check(target, &input);
            replayed += 1;
        }
        assert!(replayed > 0, "{} is empty", folder.display());
    }
}
