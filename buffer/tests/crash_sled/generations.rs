//! Generations at rest and half made.

use std::fs;
use std::path::{Path, PathBuf};

use buffer::{Class, Engine, GapReason, Inspector, Log, NewBlock, Options, Sight, Store};

use crate::suite::{blocks, gaps, meta, payload, range, read_all};

const BLOCKS: u64 = 60;
const BYTES: usize = 10_000;

fn options(engine: Engine) -> Options {
    Options { engine, size_max_bytes: 1 << 20, age_max: None, ..Options::new(["a"]) }
}

/// A closed store of several generations; nothing is acknowledged.
fn filled(dir: &Path) {
    let mut log = Log::open(dir, &options(Engine::Sled)).expect("the store opens");
    for number in 0..BLOCKS {
        let block = NewBlock { meta: meta(1, number as i64 * 10), payload: &payload(number, BYTES) };
        log.append(Class::Normal, &[block]).expect("an append");
    }
    log.sync().expect("a sync");
    assert!(generations(dir, ".sled").len() >= 3 && log.stats().disk_bytes > BLOCKS * BYTES as u64);
}

fn generations(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir.join("normal")).expect("a folder");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.to_string_lossy().ends_with(ending));
    paths.sort();
    paths
}

/// Opens and reads all; the numbers of the blocks that are missing, which must be told as gaps.
fn missing(dir: &Path, engine: Engine) -> Vec<u64> {
    let mut log = Log::open(dir, &options(engine)).expect("the store opens");
    let items = read_all(&mut log, 1);
    for block in blocks(&items) {
        assert_eq!(block.payload, payload(block.seqs.first - 1, BYTES), "block {}", block.seqs);
    }
    let told: u64 = gaps(&items).iter().map(|gap| gap.count).sum();
    assert_eq!((blocks(&items).len() as u64 + told, log.stats().next_seq), (BLOCKS, BLOCKS + 1));
    let present: Vec<u64> = blocks(&items).iter().map(|block| block.seqs.first - 1).collect();
    (0..BLOCKS).filter(|number| !present.contains(number)).collect()
}

#[test]
fn sealed_segments_are_generations_and_both_engines_read_them() {
    let dir = tempfile::tempdir().expect("a folder");
    filled(dir.path());
    assert_eq!(generations(dir.path(), ".seg").len(), 1, "the journal is the one that is written to");
    for engine in [Engine::Sled, Engine::Log, Engine::Sled] {
        assert_eq!(missing(dir.path(), engine), Vec::<u64>::new(), "{engine:?}");
    }
}

#[test]
fn what_is_acknowledged_goes_with_its_generation() {
    let dir = tempfile::tempdir().expect("a folder");
    filled(dir.path());
    let mut log = Log::open(dir.path(), &options(Engine::Sled)).expect("the store opens");
    log.acknowledge("a", &[range(1, BLOCKS)]).expect("an acknowledgement");
    log.sync().expect("a sync");
    log.trim(None).expect("a trim");
    assert_eq!(generations(dir.path(), ".sled"), Vec::<PathBuf>::new());
    assert!(log.stats().disk_bytes < 200_000, "{}", log.stats().disk_bytes);
}

#[test]
fn a_damaged_generation_is_set_aside_and_costs_itself_alone() {
    for place in 0..8 {
        let dir = tempfile::tempdir().expect("a folder");
        filled(dir.path());
        let hit = generations(dir.path(), ".sled")[1].clone();
        let database = hit.join("db");
        let mut content = fs::read(&database).expect("a database");
        let at = content.len() * place / 8 + 1_000;
        content[at..at + 4096].fill(0);
        fs::write(&database, content).expect("damage");
        let lost = missing(dir.path(), Engine::Sled);
        assert!(lost.len() <= 13 && lost.windows(2).all(|pair| pair[0] + 1 == pair[1]), "at {at}: {lost:?}");
        assert_eq!(missing(dir.path(), Engine::Sled), lost, "the same at the next start");
        if !generations(dir.path(), ".damaged").is_empty() {
            let log = Log::open(dir.path(), &options(Engine::Sled)).expect("the store opens");
            assert!(log.recovery().remarks.iter().any(|remark| remark.contains("set aside")));
        }
    }
}

#[test]
fn a_generation_that_is_gone_or_whose_edges_are_is_told_as_lost() {
    for file in ["", "edges", "db"] {
        let dir = tempfile::tempdir().expect("a folder");
        filled(dir.path());
        let hit = generations(dir.path(), ".sled")[1].clone();
        match file {
            "" => fs::remove_dir_all(&hit).expect("it goes"),
            file => fs::remove_file(hit.join(file)).expect("it goes"),
        }
        let lost = missing(dir.path(), Engine::Sled);
        assert!((12..=13).contains(&lost.len()), "{file}: {lost:?}");
    }
}

#[test]
fn what_a_crash_left_half_made_is_removed_and_the_journal_is_still_there() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut log = Log::open(dir.path(), &options(Engine::Log)).expect("the store opens");
    for number in 0..BLOCKS {
        let block = NewBlock { meta: meta(1, 0), payload: &payload(number, BYTES) };
        log.append(Class::Normal, &[block]).expect("an append");
    }
    drop(log);
    let copy = generations(dir.path(), ".seg")[0].with_extension("sled.reading-7-7");
    fs::create_dir(&copy).expect("a folder");
    let half = generations(dir.path(), ".seg")[0].with_extension("sled.filling");
    fs::create_dir(&half).expect("a folder");
    fs::write(half.join("db"), b"half of it").expect("a file");
    assert_eq!(missing(dir.path(), Engine::Sled), Vec::<u64>::new());
    assert!(!half.exists() && !copy.exists());
    let mut log = Log::open(dir.path(), &options(Engine::Sled)).expect("the store opens");
    log.sync().expect("a sync");
    assert!(generations(dir.path(), ".sled").len() >= 3, "what was sealed before becomes generations too");
}

#[test]
fn sleds_own_unfinished_files_keep_it_from_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    filled(dir.path());
    for generation in generations(dir.path(), ".sled") {
        fs::write(generation.join("snap.0000000000000007.generating"), b"half").expect("a file");
    }
    assert_eq!(missing(dir.path(), Engine::Sled), Vec::<u64>::new());
}

#[test]
fn an_inspector_walks_through_generations() {
    let dir = tempfile::tempdir().expect("a folder");
    filled(dir.path());
    let inspector = Inspector::open(dir.path()).expect("a store");
    let mut seen = 0;
    for segment in &inspector.overview().segments {
        let mut visit = |sight| {
            assert!(matches!(sight, Sight::Block(..)), "{sight:?}");
            seen += 1;
            std::ops::ControlFlow::Continue(())
        };
        inspector.walk(segment, &mut visit).expect("a walk");
    }
    assert_eq!(seen, BLOCKS);
    assert_eq!(inspector.overview().missing.iter().map(|gap| gap.reason).collect::<Vec<GapReason>>(), []);
}
