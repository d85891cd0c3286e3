//! Syncs that run elsewhere, fail, or are forgotten.

use buffer::disk::FaultDisk;
use buffer::{Error, Store};

use super::{append, blocks, gaps, open, read_all, roomy, segment_files, small};

#[test]
fn a_sync_on_another_thread_covers_what_was_written_when_it_began() {
    let disk = FaultDisk::new(1);
    let mut log = open(&disk, &small(&["a"]));
    append(&mut log, 0, 1, 100).expect("an append");
    let job = log.begin_sync().expect("a sync begins").expect("there is something to sync");
    append(&mut log, 1, 1, 100).expect("an append goes on meanwhile");
    assert!(log.begin_sync().expect("no trouble").is_none(), "one at a time");
    let synced = std::thread::spawn(move || job.run()).join().expect("the thread ends");
    log.end_sync(synced).expect("the sync succeeded");
    assert_eq!((log.stats().synced_seq, log.stats().next_seq), (2, 3));
    assert_eq!(log.unsynced_bytes(), 100 + 56);
    log.sync().expect("a sync");
    assert_eq!(log.unsynced_bytes(), 0);
    assert!(log.begin_sync().expect("no trouble").is_none(), "nothing is left to sync");
}

#[test]
fn after_a_failed_sync_the_unsynced_blocks_lie_in_a_new_file_and_survive_a_power_cut() {
    for seed in 0..20 {
        let disk = FaultDisk::new(seed);
        let mut log = open(&disk, &small(&["a"]));
        for number in 0..5 {
            append(&mut log, number, 1, 1000).expect("an append");
        }
        log.sync().expect("a sync");
        for number in 5..20 {
            append(&mut log, number, 1, 20_000).expect("an append");
        }
        disk.fail_syncs(1);
        assert!(matches!(log.sync(), Err(Error::Environment { doing: "sync", .. })));
        assert_eq!((log.stats().sync_failures_total, log.stats().synced_seq), (1, 6));
        append(&mut log, 20, 1, 1000).expect("it goes on");
        assert_eq!(blocks(&read_all(&mut log, 1)).len(), 21);
        log.sync().expect("the new file syncs");
        drop(log);
        disk.power_cut();
        let items = read_all(&mut open(&disk, &small(&["a"])), 1);
        assert_eq!((blocks(&items).len(), gaps(&items).len()), (21, 0), "seed {seed}");
    }
}

#[test]
fn blocks_in_doubt_after_a_failed_sync_are_written_again_by_the_next_process_if_this_one_could_not() {
    let disk = FaultDisk::new(1);
    let mut log = open(&disk, &small(&["a"]));
    for number in 0..5 {
        append(&mut log, number, 1, 1000).expect("an append");
    }
    disk.fail_syncs(1);
    // The calls are: the sync of the segment, the note of the doubt in the ledger, and then the new file.
    disk.fail_after(2, u64::MAX / 2, std::io::ErrorKind::Other);
    assert!(log.sync().is_err());
    assert_eq!(segment_files(&disk).len(), 1, "there could be no new file");
    drop(log);
    disk.kill();
    let mut log = open(&disk, &small(&["a"]));
    log.sync().expect("the disk is well again");
    drop(log);
    disk.power_cut();
    assert_eq!(blocks(&read_all(&mut open(&disk, &small(&["a"])), 1)).len(), 5);
}

#[test]
fn a_sync_that_was_forgotten_counts_as_failed() {
    let disk = FaultDisk::new(1);
    let mut log = open(&disk, &small(&["a"]));
    append(&mut log, 0, 1, 100).expect("an append");
    drop(log.begin_sync().expect("a sync begins"));
    log.sync().expect("the next one syncs");
    assert_eq!((log.stats().sync_failures_total, log.stats().synced_seq), (1, 2));
    assert_eq!(read_all(&mut log, 1).len(), 1);
}

#[test]
fn syncs_that_fail_for_ever_fill_neither_memory_nor_disk() {
    const BLOCKS: u64 = 300;
    let disk = FaultDisk::new(1);
    let mut log = open(&disk, &roomy(&["a"]));
    disk.fail_syncs(u64::MAX);
    let mut refused = 0;
    for number in 0..BLOCKS {
        if append(&mut log, number, 1, 20_000).is_err() {
            refused += 1;
        }
    }
    assert!(refused > 0);
    let stats = log.stats();
    assert!(stats.memory_bytes <= 5 << 20, "{} bytes in memory", stats.memory_bytes);
    assert!(stats.disk_bytes <= 12 << 20 && stats.segments <= 10, "{stats:?}");
    disk.fail_syncs(0);
    log.sync().expect("the disk is well again");
    assert_eq!(blocks(&read_all(&mut log, 1)).len(), BLOCKS as usize - refused);
    drop(log);
    disk.power_cut();
    assert_eq!(blocks(&read_all(&mut open(&disk, &roomy(&["a"])), 1)).len(), BLOCKS as usize - refused);
}

#[test]
fn a_sync_that_hangs_stops_appends_at_the_bound_and_not_before() {
    let mut log = open(&FaultDisk::new(1), &roomy(&["a"]));
    append(&mut log, 0, 1, 100).expect("an append");
    let job = log.begin_sync().expect("a sync begins").expect("there is something to sync");
    let mut stored = 0;
    let error = loop {
        match append(&mut log, 1, 1, 50_000) {
            Ok(_) => stored += 50_000,
            Err(error) => break error,
        }
    };
    assert!(error.is_behind(), "{error}");
    assert!(stored > 3 << 20 && stored < 5 << 20);
    log.end_sync(job.run()).expect("the sync succeeds at last");
    append(&mut log, 1, 1, 50_000).expect("and appends go on");
}

#[test]
fn the_directory_does_not_grow_with_failed_syncs() {
    let disk = FaultDisk::new(1);
    let mut log = open(&disk, &small(&["a"]));
    for number in 0..50 {
        append(&mut log, number, 1, 100).expect("an append");
        disk.fail_syncs(1);
        assert!(log.sync().is_err());
    }
    assert!(segment_files(&disk).len() <= 2 && disk.files().len() <= 6, "{:?}", disk.files());
}
