//! The same work again and again, each time with a fault at another call to the disk.

use std::io;

use buffer::disk::FaultDisk;
use buffer::{Class, Item, Options, Seq, Store};

use super::{append, append_of, blocks, gaps, payload, range, read_all, small, try_to_open};

const BYTES: usize = 9_000;

/// What the work was told by the store.
#[derive(Debug, Default)]
struct Told {
    /// Appends that returned, by number; block `n` has the seq `n + 1`.
    accepted: u64,
    /// All seqs below are synced.
    synced: Seq,
    /// The highest seq whose acknowledgement returned.
    acknowledged: Seq,
}

fn options() -> Options {
    Options { size_max_bytes: 4 << 20, ..small(&["a"]) }
}

/// Every fifth block is of another class.
fn class(number: u64) -> Class {
    if number % 5 == 3 { Class::Bulk } else { Class::Normal }
}

/// Appends, reads, acknowledges, syncs and trims until it is done or the disk fails.
fn work(disk: &FaultDisk, told: &mut Told) -> buffer::Result<()> {
    let mut log = try_to_open(disk, &options())?;
    for number in 0..70 {
        let seqs = append_of(&mut log, class(number), number, 1, BYTES)?;
        told.accepted = seqs.last;
        if number % 7 == 6 {
            log.sync()?;
            told.synced = seqs.last + 1;
        }
        if number % 10 == 9 {
            let mut items = Vec::new();
            log.read(told.acknowledged + 1, 3 * BYTES, &mut items)?;
            let last = items.last().map_or(0, |item| item.seqs().last);
            log.acknowledge("a", &[range(told.acknowledged + 1, last)])?;
            told.acknowledged = last;
            log.trim(None)?;
        }
    }
    Ok(())
}

/// Checks that nothing below `safe` is missing and that what is there is right.
fn check(disk: &FaultDisk, safe: Seq, told: &Told, case: &str) {
    let mut log = super::open(disk, &options());
    let low = log.cursor("a").expect("a cursor").low();
    assert!(low <= told.acknowledged.max(told.accepted) + 1, "{case}");
    let items = read_all(&mut log, low);
    for block in blocks(&items) {
        assert_eq!(block.payload, payload(block.seqs.first - 1, BYTES), "{case}");
    }
    for gap in gaps(&items) {
        assert!(gap.seqs.first >= safe, "{case}: {gap:?}, but all below {safe} is safe; {told:?}");
    }
    let end = items.last().map_or(low, |item: &Item| item.seqs().last + 1);
    assert!(end >= safe, "{case}: it ends at {end}, {told:?}");
    append(&mut log, end - 1, 1, BYTES).unwrap_or_else(|error| panic!("{case}: {error}"));
}

/// How many calls the work makes when nothing fails.
fn calls() -> u64 {
    let (disk, mut told) = (FaultDisk::new(7), Told::default());
    work(&disk, &mut told).expect("nothing fails");
    assert_eq!((told.accepted, told.synced), (70, 71));
    disk.calls()
}

#[test]
fn a_kill_at_any_call_loses_nothing_that_was_accepted() {
    for call in 0..calls() {
        let (disk, mut told) = (FaultDisk::new(call), Told::default());
        disk.crash_after(call);
        assert!(work(&disk, &mut told).is_err());
        disk.kill();
        check(&disk, told.accepted + 1, &told, &format!("killed at call {call}"));
        let log = super::open(&disk, &options());
        let low = log.cursor("a").expect("a cursor").low();
        assert!(low > told.acknowledged, "call {call}: the cursor is at {low}, {told:?}");
    }
}

#[test]
fn a_power_cut_at_any_call_loses_nothing_that_was_synced() {
    for call in 0..calls() {
        let (disk, mut told) = (FaultDisk::new(call ^ 0x5555), Told::default());
        disk.crash_after(call);
        assert!(work(&disk, &mut told).is_err());
        disk.power_cut();
        check(&disk, told.synced, &told, &format!("power cut at call {call}"));
    }
}

#[test]
fn an_error_at_any_call_leaves_a_store_that_goes_on_and_then_survives_a_power_cut() {
    for kind in [io::ErrorKind::StorageFull, io::ErrorKind::Other, io::ErrorKind::ReadOnlyFilesystem] {
        for call in 0..calls() {
            let disk = FaultDisk::new(call);
            disk.fail_after(call, 1, kind);
            go_on_after_an_error(&disk, &format!("{kind} at call {call}"));
        }
    }
}

/// As `work`, but each step is tried again once; then power is cut.
fn go_on_after_an_error(disk: &FaultDisk, case: &str) {
    let open = || try_to_open(disk, &options());
    let mut log = open().or_else(|_| open()).unwrap_or_else(|error| panic!("{case}: {error}"));
    for number in 0..30 {
        let seqs = append(&mut log, number, 1, BYTES).or_else(|_| append(&mut log, number, 1, BYTES));
        let seqs = seqs.unwrap_or_else(|error| panic!("{case}: {error}"));
        assert_eq!(seqs, range(number + 1, number + 1), "{case}: a refused append takes no seq");
        if number % 7 == 6 {
            log.sync().or_else(|_| log.sync()).unwrap_or_else(|error| panic!("{case}: {error}"));
        }
        if number == 15 {
            let acknowledged = log.acknowledge("a", &[range(1, 5)]);
            acknowledged.or_else(|_| log.acknowledge("a", &[range(1, 5)])).expect("the second time it works");
        }
    }
    log.sync().or_else(|_| log.sync()).unwrap_or_else(|error| panic!("{case}: {error}"));
    let mut items = Vec::new();
    while items.len() < 25 {
        let from = 6 + items.len() as u64;
        let read =
            log.read(from, 1 << 20, &mut items).or_else(|_| log.read(6 + items.len() as u64, 1 << 20, &mut items));
        read.unwrap_or_else(|error| panic!("{case}: {error}"));
    }
    assert_eq!((blocks(&items).len(), gaps(&items).len()), (25, 0), "{case}");
    drop(log);
    disk.power_cut();
    let told = Told { accepted: 30, synced: 31, acknowledged: 5 };
    check(disk, 31, &told, case);
}
