//! The fuzz targets' corpus, replayed.

use std::path::Path;

use crate::wire::{self, Framing};

#[path = "../../fuzz/checks.rs"]
mod checks;

use checks::Target;

fn replay(name: &str, target: Target) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut replayed = 0;
    for entry in std::fs::read_dir(&folder).expect("the corpus is committed") {
        let input = std::fs::read(entry.expect("an entry").path()).expect("an input");
        checks::check(target, &input);
        replayed += 1;
    }
    assert!(replayed > 0, "{} is empty", folder.display());
}

#[test]
fn the_corpus_of_every_fuzz_target_holds() {
    replay("mbap", Target::Stream(Framing::Mbap));
    replay("rtu", Target::Stream(Framing::Rtu));
    replay("ascii", Target::Stream(Framing::Ascii));
    replay("pdu", Target::Pdu);
}
