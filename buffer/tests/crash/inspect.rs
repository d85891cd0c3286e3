//! Looking into a log from outside: it sees what is there, tells each damaged stretch, and touches nothing.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use buffer::disk::FaultDisk;
use buffer::{Block, Class, Damage, DamagedPart, GapReason, Inspector, Lock, Log, NewBlock, Options, Sight, Store};
use proptest::prelude::*;

use crate::suite::{
    DIR, append, append_of, blocks, gaps, meta, open, payload, range, read_all, roomy, segment_files, small,
};

const BLOCKS: u64 = 60;
const BYTES: usize = 10_000;

/// Several segments, the last one open; `a` has acknowledged the first ten records, three were given up.
fn filled() -> FaultDisk {
    let disk = FaultDisk::new(1);
    let mut log = open(&disk, &small(&["a"]));
    for number in 0..BLOCKS {
        append(&mut log, number, 1, BYTES).expect("an append");
    }
    log.acknowledge("a", &[range(1, 10), range(21, 22)]).expect("an acknowledgement");
    log.discard(Class::Normal, 3, Some((5, 6))).expect("a gap");
    log.sync().expect("a sync");
    drop(log);
    disk
}

fn inspect(disk: &FaultDisk) -> Inspector {
    Inspector::open_on(Arc::new(disk.clone()), Path::new(DIR)).expect("it can be looked into")
}

/// All blocks and all damage of the segments.
fn walk(inspector: &Inspector) -> (Vec<Block>, Vec<Damage>) {
    let (mut blocks, mut damages) = (Vec::new(), Vec::new());
    for segment in &inspector.overview().segments {
        let mut visit = |sight| {
            match sight {
                Sight::Block(block, _) => blocks.push(block),
                Sight::Damage(damage) => damages.push(damage),
            }
            ControlFlow::Continue(())
        };
        inspector.walk(segment, &mut visit).expect("the disk reads");
    }
    (blocks, damages)
}

fn content(disk: &FaultDisk) -> Vec<(PathBuf, Vec<u8>)> {
    disk.files().into_iter().map(|path| (path.clone(), disk.content(&path))).collect()
}

#[test]
fn sees_what_the_log_holds_and_touches_nothing() {
    let disk = filled();
    let before = content(&disk);
    let inspector = inspect(&disk);
    let (seen, damages) = walk(&inspector);
    assert_eq!((damages, inspector.damaged_books().expect("the disk reads")), (vec![], vec![]));
    let overview = inspector.overview();
    assert_eq!((overview.first_seq, overview.next_seq), (1, BLOCKS + 4));
    assert_eq!(
        overview.gaps.iter().map(|gap| (gap.reason, gap.count)).collect::<Vec<_>>(),
        [(GapReason::Discarded, 3)]
    );
    assert_eq!(overview.missing, []);
    let (name, cursor) = &overview.uplinks[0];
    assert_eq!((name.as_str(), cursor.low(), cursor.pending(overview.next_seq)), ("a", 11, BLOCKS + 3 - 12));
    assert_eq!(inspector.time_of(11).expect("the disk reads"), Some(100), "block 10 is dated 100");
    assert_eq!(inspector.time_of(BLOCKS + 2).expect("the disk reads"), Some(5), "the gap says when it was");
    assert_eq!(content(&disk), before);
    let mut log = open(&disk, &small(&["a"]));
    let epoch = overview.identity.epoch;
    assert_eq!((overview.identity.gateway, epoch + 1), (log.identity().gateway, log.identity().epoch));
    assert_eq!(seen.iter().collect::<Vec<_>>(), blocks(&read_all(&mut log, 1)));
}

#[test]
fn damage_counts_the_records_of_its_own_class_where_classes_lie_between_each_other() {
    let disk = FaultDisk::new(1);
    let mut log = open(&disk, &roomy(&["a"]));
    let class = |number: u64| if number.is_multiple_of(3) { Class::Bulk } else { Class::Normal };
    for number in 0..30 {
        append_of(&mut log, class(number), number, 10, 500).expect("an append");
    }
    log.sync().expect("a sync");
    drop(log);
    // Two blocks of bulk that follow each other there, with two of normal in between.
    let bulk = segment_files(&disk).into_iter().find(|path| path.to_string_lossy().contains("bulk")).expect("a file");
    let offsets = {
        let inspector = inspect(&disk);
        let segment = inspector.overview().segments.iter().find(|segment| segment.path == bulk).expect("it is seen");
        let mut offsets = Vec::new();
        let mut note = |sight| {
            offsets.extend(if let Sight::Block(_, offset) = sight { Some(offset) } else { None });
            ControlFlow::Continue(())
        };
        inspector.walk(segment, &mut note).expect("the disk reads");
        offsets
    };
    for offset in &offsets[4..6] {
        disk.flip_bit(&bulk, offset + 100, 2);
    }
    let (seen, damages) = walk(&inspect(&disk));
    assert_eq!((seen.len(), damages.len()), (28, 1), "{damages:?}");
    assert_eq!(damages[0].records, 20, "two blocks of ten records");
    let mut log = open(&disk, &roomy(&["a"]));
    let told: u64 = gaps(&read_all(&mut log, 1)).iter().map(|gap| gap.seqs.count()).sum();
    assert_eq!(told, 20, "as the log tells it");
}

#[test]
fn where_there_is_no_log_it_says_so_and_makes_none() {
    let folder = tempfile::tempdir().expect("a folder");
    for path in [folder.path().to_owned(), folder.path().join("nowhere")] {
        let refused = Inspector::open(&path).err().expect("nothing to look into");
        assert!(refused.is_not_found() && refused.to_string().contains("check the path"), "{refused}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
}

#[test]
fn looks_into_a_log_that_is_being_written_acknowledged_and_trimmed() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().to_owned();
    let options = Options { size_max_bytes: 1 << 20, age_max: None, ..Options::new(["a"]) };
    let mut log = Log::open(&dir, &options).expect("it opens");
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let (begun, beginning) = std::sync::mpsc::channel();
    let writer = std::thread::spawn(move || {
        let mut number = 0;
        while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            let meta = meta(1, 0);
            let block = NewBlock { meta, payload: &payload(number, 1 + (number as usize * 97) % BYTES) };
            let seqs = log.append(Class::Normal, &[block]).expect("an append").seqs;
            if number % 3 == 0 && seqs.first > 30 {
                log.acknowledge("a", &[range(1, seqs.first - 30)]).expect("an acknowledgement");
            }
            if number % 50 == 0 {
                log.trim(None).expect("a trim");
            }
            number += 1;
            if number == 200 {
                begun.send(()).expect("somebody waits");
            }
        }
        number
    });
    beginning.recv().expect("it writes");
    let mut seen = 0;
    for _ in 0..60 {
        let inspector = Inspector::open(&dir).expect("it can be looked into");
        let (blocks, damages) = walk(&inspector);
        assert_eq!(damages, []);
        assert_eq!((&inspector.overview().missing, inspector.damaged_books().expect("it reads")), (&vec![], vec![]));
        assert!(blocks.windows(2).all(|pair| pair[0].seqs.last < pair[1].seqs.first));
        seen = seen.max(inspector.overview().next_seq);
    }
    stop.send(()).expect("it still writes");
    assert!((200..=writer.join().expect("no panic") + 1).contains(&seen));
}

#[test]
fn a_log_that_is_open_cannot_be_locked_by_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = Log::open(folder.path(), &Options::new(["a"])).expect("it opens");
    assert!(Lock::take(folder.path()).err().expect("in use").is_in_use());
    drop(log);
    let lock = Lock::take(folder.path()).expect("free");
    assert!(Log::open(folder.path(), &Options::new(["a"])).err().expect("locked").is_in_use());
    drop(lock);
}

#[test]
fn blocks_that_a_failed_sync_left_in_two_files_are_no_damage() {
    let disk = FaultDisk::new(1);
    let mut log = open(&disk, &roomy(&["a"]));
    append(&mut log, 0, 1, 100).expect("an append");
    log.sync().expect("a sync");
    append(&mut log, 1, 1, 100).expect("an append");
    disk.fail_syncs(1);
    assert!(log.sync().is_err());
    append(&mut log, 2, 1, 100).expect("an append");
    log.sync().expect("a sync");
    let (seen, damages) = walk(&inspect(&disk));
    assert_eq!((seen.len(), damages), (4, vec![]), "block 1 is there twice");
}

#[test]
fn every_part_of_every_file_is_looked_at() {
    let disk = filled();
    let segments = segment_files(&disk);
    let (sealed, active) = (segments[1].clone(), segments[segments.len() - 1].clone());
    let len = |path: &Path| disk.content(path).len() as u64;
    let cases = [
        (sealed.clone(), 14, DamagedPart::Head, 0, 0),
        (sealed.clone(), 70, DamagedPart::Blocks, 64, 1),
        (sealed.clone(), 64 + 10_056 + 5_000, DamagedPart::Blocks, 64 + 10_056, 1),
        (sealed.clone(), len(&sealed) - 70, DamagedPart::Index, 0, 0),
        (sealed.clone(), len(&sealed) - 30, DamagedPart::End, 0, 0),
        (active.clone(), len(&active) - 5, DamagedPart::End, len(&active) - 10_056, 1),
        (Path::new(DIR).join("identity"), 512 + 20, DamagedPart::Identity, 512, 0),
    ];
    for (path, at, part, offset, records) in cases {
        let disk = filled();
        disk.flip_bit(&path, at, 2);
        let inspector = inspect(&disk);
        let mut damages = walk(&inspector).1;
        damages.extend(inspector.damaged_books().expect("the disk reads"));
        let found: Vec<_> = damages.iter().map(|damage| (&damage.path, damage.part, damage.records)).collect();
        assert_eq!(found, [(&path, part, records)], "at {at}");
        assert!(offset == 0 || damages[0].offset == offset, "{:?}", damages[0]);
    }
    for path in disk.files().iter().filter(|path| path.to_string_lossy().contains("ledger")) {
        let disk = filled();
        disk.flip_bit(path, 64 + 60, 2);
        let damages = inspect(&disk).damaged_books().expect("the disk reads");
        assert_eq!(damages.iter().map(|d| (d.part, d.offset)).collect::<Vec<_>>(), [(DamagedPart::Ledger, 64)]);
    }
}

#[test]
fn files_that_are_cut_or_gone_are_told_with_what_they_held() {
    let disk = filled();
    let path = segment_files(&disk)[1].clone();
    let held = inspect(&disk).overview().segments[1].seqs.expect("blocks");
    disk.damage(&path, |content| content.truncate(64 + 3 * 10_056 + 17));
    let inspector = inspect(&disk);
    assert_eq!((inspector.overview().missing[0].count, inspector.vanished()), (held.count() - 3, vec![]));
    let (_, damages) = walk(&inspector);
    let found: Vec<_> = damages.iter().map(|d| (d.part, d.offset, d.records)).collect();
    assert_eq!(found, [(DamagedPart::End, 64 + 3 * 10_056, held.count() - 3)]);
    disk.delete(&path);
    let inspector = inspect(&disk);
    let found: Vec<_> = inspector.vanished().iter().map(|gap| (gap.reason, gap.seqs)).collect();
    assert_eq!(found, [(GapReason::Vanished, held)]);
    assert_eq!(walk(&inspector).1, []);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 80, ..ProptestConfig::default() })]

    /// What is told of damage is what the log itself finds when it is opened and read.
    #[test]
    fn garbage_anywhere_is_told_as_the_log_tells_it(
        file in 0usize..6, at in 0.0f64..1.0, len in 1usize..30_000, fill in any::<u8>(), cut in any::<bool>(),
    ) {
        let disk = filled();
        let segments = segment_files(&disk);
        let path = &segments[file % segments.len()];
        let before = disk.content(path);
        disk.damage(path, |content| {
            let at = (at * content.len() as f64) as usize;
            let end = (at + len).min(content.len());
            if cut {
                content.truncate(at);
            } else {
                content[at..end].iter_mut().for_each(|byte| *byte = byte.wrapping_mul(5) ^ fill);
            }
        });
        let is_last = segments.last() == Some(path);
        let inspector = inspect(&disk);
        let (seen, damages) = walk(&inspector);
        prop_assert!(disk.content(path) == before || cut && is_last || !damages.is_empty() || fill == 0);
        let told = damages.iter().map(|damage| damage.records).sum::<u64>()
            + inspector.vanished().iter().map(|gap| gap.count).sum::<u64>();
        let mut log = open(&disk, &small(&["a"]));
        let items = read_all(&mut log, 11);
        prop_assert_eq!(seen.iter().filter(|block| block.seqs.first > 10).collect::<Vec<_>>(),
            blocks(&items).into_iter().filter(|block| block.seqs.first > 10).collect::<Vec<_>>());
        let lost = |gap: &&buffer::Gap| gap.reason != GapReason::Discarded;
        let found: u64 = gaps(&items).into_iter().filter(lost).map(|gap| gap.count).sum();
        prop_assert!(found <= told && told <= found + 10, "{found} were lost, {told} are told of");
    }

    #[test]
    fn any_bytes_in_any_files_never_panic(
        garbage in prop::collection::vec(any::<u8>(), 0..2_000), which in 0usize..8, mends in any::<bool>(),
    ) {
        let disk = filled();
        let files = disk.files();
        let path = &files[which % files.len()];
        let mut content = garbage;
        if mends {
            let real = disk.content(path);
            let head = real.len().min(120);
            content.splice(0..0, real[..head].iter().copied());
        }
        disk.damage(path, |old| *old = content);
        let inspector = inspect(&disk);
        walk(&inspector);
        inspector.damaged_books().expect("the disk reads");
        inspector.time_of(1).expect("the disk reads");
    }
}
