//! A folder that cannot be written to when the log is opened: what is appended is held in memory, delivered from there, and
//! goes to the folder once that can be written to.

use std::path::Path;
use std::sync::Arc;

use buffer::disk::{Disk, FaultDisk, OverlayDisk};
use buffer::{Log, Options, SeqRange, Store};

use crate::suite::{DIR, append, blocks, gaps, open, payload, range, read_all, roomy};

const BEFORE: u64 = 60;
const AFTER: u64 = 30;
const BYTES: usize = 4_000;

/// A disk with a backlog that can no longer be written to.
fn read_only(seed: u64) -> FaultDisk {
    let disk = FaultDisk::new(seed);
    let mut log = open(&disk, &options());
    (0..BEFORE).for_each(|number| stored(append(&mut log, number, 2, BYTES)));
    log.sync().expect("a sync");
    drop(log);
    disk.set_read_only(true);
    disk
}

fn stored(appended: buffer::Result<SeqRange>) {
    appended.map(|_| ()).expect("an append");
}

fn options() -> Options {
    roomy(&["a"])
}

fn over(disk: &FaultDisk, bytes_max: u64) -> OverlayDisk {
    OverlayDisk::over(Arc::new(disk.clone()), bytes_max, "as the test says".into())
}

fn open_over(overlay: &OverlayDisk) -> Log {
    Log::open_on(Arc::new(overlay.clone()), Path::new(DIR), &options()).expect("it opens")
}

/// The numbers of the blocks that are read.
fn numbers(log: &mut Log) -> Vec<u64> {
    let items = read_all(log, 1);
    let all = blocks(&items);
    all.iter()
        .map(|block| (0..BEFORE + AFTER).find(|n| payload(*n, BYTES) == block.payload[..]).expect("a block"))
        .collect()
}

#[test]
fn what_is_appended_is_delivered_at_once_and_lies_in_the_folder_later() {
    let disk = read_only(1);
    assert!(crate::suite::try_to_open(&disk, &options()).is_err(), "it cannot be opened itself");
    let overlay = over(&disk, 8 << 20);
    let mut log = open_over(&overlay);
    assert_eq!(log.stats().trouble.as_deref(), Some("as the test says"));
    let epoch = log.identity().epoch;
    assert!(epoch > 2, "numbers that may be given again bear another epoch");
    (BEFORE..BEFORE + AFTER).for_each(|number| stored(append(&mut log, number, 2, BYTES)));
    log.acknowledge("a", &[range(1, 20)]).expect("it is noted");
    log.sync().expect("there is nothing to wait for");
    log.trim(None).expect("a trim");
    assert_eq!(numbers(&mut log), (0..BEFORE + AFTER).collect::<Vec<_>>());
    assert!(!overlay.settle() && log.stats().trouble.is_some());
    disk.set_read_only(false);
    assert!(overlay.settle());
    assert_eq!(log.stats().trouble, None);
    let gateway = log.identity().gateway;
    append(&mut log, BEFORE, 2, BYTES).expect("it goes on");
    log.sync().expect("a sync");
    assert!(Log::open_on(Arc::new(disk.clone()), Path::new(DIR), &options()).is_err_and(|error| error.is_in_use()));
    drop((log, overlay));
    disk.power_cut();
    let mut log = open(&disk, &options());
    assert_eq!((log.identity().gateway, log.identity().epoch), (gateway, epoch + 1));
    assert_eq!(log.cursor("a").expect("declared").low(), 21);
    let expected: Vec<u64> = (0..BEFORE + AFTER).chain([BEFORE]).collect();
    let found = numbers(&mut log);
    assert_eq!(found[found.len() - 80..], expected[expected.len() - 80..]);
}

#[test]
fn a_kill_or_a_power_cut_while_it_is_handed_over_loses_nothing_that_lay_there() {
    let calls = hand_over(u64::MAX, 1).1;
    assert!(calls > 10);
    for call in 0..calls {
        for is_cut in [false, true] {
            let (disk, _) = hand_over(call, call + 7);
            if is_cut {
                disk.power_cut();
            } else {
                disk.kill();
            }
            let mut log = open(&disk, &options());
            let found = numbers(&mut log);
            assert_eq!(found[..BEFORE as usize], (0..BEFORE).collect::<Vec<_>>(), "call {call}");
            let lost: u64 = gaps(&read_all(&mut log, 1)).iter().map(|gap| gap.count).sum();
            let came = (found.len() as u64 - BEFORE) * 2 + lost;
            assert!(came <= 2 * AFTER, "call {call}: {came}");
            append(&mut log, 0, 2, BYTES).expect("it goes on");
        }
    }
}

/// Hands what was held over, and crashes at this call; the disk, and how many calls there were.
fn hand_over(crash_after: u64, seed: u64) -> (FaultDisk, u64) {
    let disk = read_only(seed);
    let overlay = over(&disk, 8 << 20);
    let mut log = open_over(&overlay);
    (BEFORE..BEFORE + AFTER).for_each(|number| stored(append(&mut log, number, 2, BYTES)));
    disk.set_read_only(false);
    let before = disk.calls();
    if crash_after < u64::MAX {
        disk.crash_after(crash_after);
    }
    assert_eq!(overlay.settle(), crash_after == u64::MAX);
    (disk.clone(), disk.calls() - before)
}

#[test]
fn memory_is_bounded_and_what_is_delivered_makes_room() {
    let disk = read_only(3);
    let overlay = over(&disk, 1 << 20);
    let mut log = open_over(&overlay);
    let mut refused = 0;
    for number in 0..2_000 {
        let Err(cause) = append(&mut log, number, 2, BYTES) else { continue };
        assert!(!cause.is_disk_full() && cause.to_string().contains("memory"), "{cause}");
        refused += 1;
        let end = log.stats().next_seq;
        log.acknowledge("a", &[range(1, end - 1)]).expect("it is noted");
        // The first time it notices that nothing need be written again.
        let done = (0..2).any(|_| {
            log.turn();
            if let Some(job) = log.begin_release().expect("it is written") {
                log.end_sync(job.run()).expect("it is held");
            }
            log.trim(None).expect("a trim");
            append(&mut log, number, 2, BYTES).is_ok()
        });
        assert!(done, "there is room again");
    }
    assert!((5..100).contains(&refused), "{refused}");
    assert_eq!(disk.content(Path::new("/none")), Vec::<u8>::new());
    assert!(overlay.trouble().is_some());
}
