//! The fuzz targets' corpus, replayed.

use std::path::Path;

use crate as tested;

#[path = "../fuzz/checks.rs"]
mod checks;

/// Every input of a target.
pub(crate) fn inputs(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let entries = std::fs::read_dir(&folder).expect("the corpus is committed");
    let read = |entry: std::io::Result<std::fs::DirEntry>| std::fs::read(entry.expect("an entry").path());
    let inputs: Vec<Vec<u8>> = entries.map(|entry| read(entry).expect("an input")).collect();
    assert!(!inputs.is_empty(), "{} is empty", folder.display());
    inputs
}

#[test]
fn the_corpus_of_every_fuzz_target_holds() {
    for target in ["s7", "signal", "recording"] {
        inputs(target).iter().for_each(|input| checks::check(target, input));
    }
}
