//! Logs that other versions have written. `fixtures/version_1` was written by the version before classes: two starts,
//! blocks of ten records, five records given up after each four of them; `cloud` has acknowledged 1..=15 and 21..=30.

use std::fs;
use std::path::Path;

use buffer::{Class, Engine, GapReason, Log, Options, Store};

use crate::suite::{append, blocks, gaps, range, read_all};

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("the fixture is committed") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        match path.is_dir() {
            true => copy(&path, &target),
            false => drop(fs::copy(&path, &target).expect("a copy")),
        }
    }
}

#[test]
fn a_log_of_the_first_version_is_read_and_written_on_by_both_engines() {
    for engine in [Engine::Log, Engine::Sled] {
        let dir = tempfile::tempdir().expect("a folder");
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/version_1"), dir.path());
        let options = Options { engine, size_max_bytes: 1 << 20, age_max: None, ..Options::new(["cloud", "lake"]) };
        let mut log = Log::open(dir.path(), &options).expect("it opens");
        assert_eq!((log.recovery().gaps.len(), &log.recovery().remarks[..]), (0, &[][..]));
        assert_eq!((log.identity().epoch, log.stats().next_seq), (3, 91));
        let cloud = log.cursor("cloud").expect("a cursor").clone();
        assert_eq!((cloud.low(), cloud.ranges()), (16, &[range(21, 30)][..]));
        let items = read_all(&mut log, 1);
        assert_eq!(
            gaps(&items).iter().map(|gap| (gap.seqs, gap.reason)).collect::<Vec<_>>(),
            [(range(41, 45), GapReason::Discarded), (range(86, 90), GapReason::Discarded)]
        );
        for (number, block) in blocks(&items).into_iter().enumerate() {
            let (bytes, epoch) = if number < 4 { (40_000, 1) } else { (300, 2) };
            assert_eq!((block.class, block.epoch, block.payload.len()), (Class::Normal, epoch, bytes));
            assert_eq!((block.meta.count, block.meta.codec, block.meta.flags, block.meta.schema), (10, 3, 1, 5));
            assert_eq!(block.payload[..8], (number as u64).to_le_bytes());
        }
        assert_eq!(append(&mut log, 9, 1, 10).expect("an append"), range(91, 91));
        log.acknowledge("cloud", &[range(1, 91)]).expect("an acknowledgement");
        log.acknowledge("lake", &[range(1, 91)]).expect("an acknowledgement");
        log.sync().expect("a sync");
        log.trim(None).expect("a trim");
        assert_eq!(log.stats().first_seq, 46, "what was sealed is gone");
    }
}
