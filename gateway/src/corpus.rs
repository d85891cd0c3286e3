//! The fuzz targets' corpus, replayed.

use std::path::Path;

use crate::pipeline;

#[path = "../fuzz/checks.rs"]
mod checks;

fn replay(name: &str, check: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut replayed = 0;
    for entry in std::fs::read_dir(&folder).expect("the corpus is committed") {
        check(&std::fs::read(entry.expect("an entry").path()).expect("an input"));
        replayed += 1;
    }
    assert!(replayed > 0, "{} is empty", folder.display());
}

#[test]
fn the_corpus_of_every_fuzz_target_holds() {
    replay("block", checks::block);
}
