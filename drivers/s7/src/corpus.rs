//! The fuzz targets' corpus, replayed.

use std::path::Path;

use crate::{S7Device, address, config, form, wire};

#[path = "../fuzz/checks.rs"]
mod checks;

#[test]
fn the_corpus_of_every_fuzz_target_holds() {
    for target in ["address", "stream", "answer", "form", "learned"] {
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

/// Or the target of what was learned would test nothing but the refusal of its head.
#[test]
fn what_the_fuzz_target_of_the_learned_text_gives_is_used() {
    use driver_core::Device;

    let served = |text: &str| {
        let text = format!("{}\n{text}", checks::LEARNED_HEAD);
        checks::device(Some(text)).plan().requests.iter().map(|request| request.tags).sum::<usize>()
    };
    assert_eq!(served("refused 0 5") + 1, served(""));
    assert_eq!(served("absent DB7 10") + 1, served(""));
}
