//! Bounds: what must give way gives way, is counted exactly, and is told to each uplink that had not got it.

use std::time::Duration;

use buffer::disk::FaultDisk;
use buffer::{Class, GapReason, Options, Store, WhenFull};

use super::{append, blocks, gaps, open, range, read_all, segment_files, small};

const YEAR_2026_NS: i64 = 1_767_225_600_000_000_000;

#[test]
fn drop_oldest_keeps_the_size_and_every_uplink_reads_the_gap_until_it_acknowledges() {
    let disk = FaultDisk::new(1);
    let mut log = open(&disk, &small(&["a", "b"]));
    let mut lost = 0;
    for number in 0..100 {
        let block = buffer::NewBlock { meta: super::meta(2, number as i64), payload: &super::payload(number, 20_000) };
        let appended = log.append(Class::Normal, &[block]).expect("an append");
        lost += appended.gaps.iter().map(|gap| gap.count).sum::<u64>();
        assert!(log.stats().disk_bytes <= 1 << 20);
    }
    assert_eq!(log.stats().lost_records(GapReason::DroppedOldest), lost);
    let items = read_all(&mut log, 1);
    assert_eq!(
        gaps(&items).iter().map(|gap| (gap.seqs, gap.count, gap.reason)).collect::<Vec<_>>(),
        [(range(1, lost), lost, GapReason::DroppedOldest)]
    );
    assert_eq!(gaps(&items)[0].time_ns, Some((0, lost as i64 / 2 - 1 + 9)));
    assert_eq!(blocks(&items).len() as u64 * 2 + lost, 200);

    log.acknowledge("a", &[range(1, 10)]).expect("an acknowledgement");
    drop(log);
    let mut log = open(&disk, &small(&["a", "b"]));
    let low = log.cursor("a").expect("a cursor").low();
    assert_eq!(gaps(&read_all(&mut log, low))[0].seqs, range(11, lost), "the rest of the gap");
    assert_eq!(gaps(&read_all(&mut log, 1))[0].seqs, range(1, lost), "b has acknowledged nothing");
    for uplink in ["a", "b"] {
        log.acknowledge(uplink, &[range(1, lost)]).expect("an acknowledgement");
    }
    assert_eq!(gaps(&read_all(&mut log, lost + 1)), Vec::<&buffer::Gap>::new());
}

#[test]
fn drop_oldest_loses_nothing_that_every_uplink_has() {
    let mut log = open(&FaultDisk::new(1), &small(&["a"]));
    for number in 0..100 {
        let seqs = append(&mut log, number, 1, 30_000).expect("an append");
        log.acknowledge("a", &[seqs]).expect("an acknowledgement");
    }
    assert_eq!(log.stats().lost_records_total.iter().sum::<u64>(), 0);
}

#[test]
fn drop_newest_keeps_what_is_there_and_gives_the_refused_blocks_seqs() {
    let disk = FaultDisk::new(1);
    let options = Options { when_full: WhenFull::DropNewest, ..small(&["a"]) };
    let mut log = open(&disk, &options);
    let mut lost = 0;
    for number in 0..100 {
        let block = buffer::NewBlock { meta: super::meta(2, number), payload: &super::payload(number as u64, 20_000) };
        let appended = log.append(Class::Normal, &[block]).expect("an append");
        assert_eq!(appended.seqs, range(2 * number as u64 + 1, 2 * number as u64 + 2));
        lost += appended.gaps.iter().map(|gap| gap.count).sum::<u64>();
    }
    assert!(lost > 0);
    let kept = 200 - lost;
    drop(log);
    let mut log = open(&disk, &options);
    let items = read_all(&mut log, 1);
    assert_eq!(
        gaps(&items).iter().map(|gap| (gap.seqs, gap.reason)).collect::<Vec<_>>(),
        [(range(kept + 1, 200), GapReason::DroppedNewest)]
    );
    log.acknowledge("a", &[range(1, kept)]).expect("an acknowledgement");
    assert_eq!(append(&mut log, 1, 1, 20_000).expect("an append"), range(201, 201));
    assert_eq!(read_all(&mut log, 201).len(), 1, "there is room again");
}

#[test]
fn what_is_too_old_goes_unless_its_clock_was_never_set() {
    let options = Options { age_max: Some(Duration::from_secs(60)), ..small(&["a"]) };
    let mut log = open(&FaultDisk::new(1), &options);
    let append_at = |log: &mut buffer::Log, t_ns: i64| {
        for number in 0..6 {
            let block = buffer::NewBlock { meta: super::meta(1, t_ns), payload: &super::payload(number, 30_000) };
            log.append(Class::Normal, &[block]).expect("an append");
        }
    };
    append_at(&mut log, YEAR_2026_NS);
    append_at(&mut log, YEAR_2026_NS + 100_000_000_000);
    assert_eq!(log.trim(None).expect("a trim"), [], "the clock is not trusted");
    assert_eq!(log.trim(Some(YEAR_2026_NS + 30_000_000_000)).expect("a trim"), []);
    let old = log.trim(Some(YEAR_2026_NS + 90_000_000_000)).expect("a trim");
    assert_eq!(old.iter().map(|gap| (gap.seqs, gap.reason)).collect::<Vec<_>>(), [(range(1, 4), GapReason::TooOld)]);

    let mut log = open(&FaultDisk::new(1), &options);
    append_at(&mut log, 5);
    assert_eq!(log.trim(Some(YEAR_2026_NS)).expect("a trim"), [], "dated 1970: the clock was not set");
}

#[test]
fn a_full_disk_is_an_error_that_make_room_ends_with_losses_told_exactly() {
    let disk = FaultDisk::new(1);
    let mut log = open(&disk, &Options { size_max_bytes: 2 << 20, ..small(&["a"]) });
    disk.set_capacity(Some(900_000));
    let (mut stored, mut lost, mut refused) = (0, 0, 0);
    for number in 0..100 {
        if let Err(error) = append(&mut log, number, 1, 20_000) {
            assert!(error.is_disk_full(), "{error}");
            refused += 1;
            lost += log.make_room().expect("room is made").iter().map(|gap| gap.count).sum::<u64>();
            append(&mut log, number, 1, 20_000).expect("there is room");
        }
        stored += 1;
    }
    assert!(refused > 0 && lost > 0);
    let items = read_all(&mut log, 1);
    assert_eq!(blocks(&items).len() as u64 + lost, stored);
    assert_eq!(gaps(&items).iter().map(|gap| gap.count).sum::<u64>(), lost);
    disk.set_capacity(None);
    drop(log);
    disk.kill();
    let mut log = open(&disk, &Options { size_max_bytes: 2 << 20, ..small(&["a"]) });
    assert!(read_all(&mut log, 1) == items, "the same after a restart");
}

#[test]
fn a_disk_that_is_full_at_the_start_can_still_be_drained() {
    let disk = FaultDisk::new(1);
    let mut log = open(&disk, &small(&["a"]));
    for number in 0..20 {
        append(&mut log, number, 1, 30_000).expect("an append");
    }
    drop(log);
    disk.kill();
    disk.set_capacity(Some(0));
    let mut log = open(&disk, &small(&["a"]));
    assert!(!log.recovery().remarks.is_empty(), "it says what it could not write");
    assert_eq!(blocks(&read_all(&mut log, 1)).len(), 20);
    assert!(log.acknowledge("a", &[range(1, 20)]).is_err_and(|error| error.is_disk_full()));
    assert_eq!(log.cursor("a").map(|cursor| cursor.low()), Some(21), "it holds in this process all the same");
    disk.set_capacity(None);
    log.sync().expect("there is space again");
    log.trim(None).expect("a trim");
    assert!(segment_files(&disk).len() <= 1);
    drop(log);
    disk.kill();
    let log = open(&disk, &small(&["a"]));
    assert_eq!(log.cursor("a").map(|cursor| cursor.low()), Some(21), "and was written when it could be");
}

#[test]
fn what_the_caller_gave_up_is_a_gap_in_its_place() {
    let disk = FaultDisk::new(1);
    let mut log = open(&disk, &small(&["a"]));
    append(&mut log, 0, 2, 10).expect("an append");
    let gap = log.discard(Class::Normal, 5, Some((3, 4))).expect("a discard");
    assert_eq!((gap.seqs, gap.count, gap.reason), (range(3, 7), 5, GapReason::Discarded));
    append(&mut log, 1, 1, 10).expect("an append");
    drop(log);
    disk.kill();
    let items = read_all(&mut open(&disk, &small(&["a"])), 1);
    assert_eq!(items.iter().map(|item| item.seqs()).collect::<Vec<_>>(), [range(1, 2), range(3, 7), range(8, 8)]);
    assert_eq!(gaps(&items), [&gap]);
}

#[test]
fn the_ballast_goes_first_when_the_disk_is_full_and_is_taken_again_when_there_is_space() {
    let disk = FaultDisk::new(1);
    let options = Options { ballast_bytes: 200_000, size_max_bytes: 2 << 20, ..small(&["a"]) };
    disk.set_capacity(Some(900_000));
    let mut log = open(&disk, &options);
    assert!(log.stats().has_ballast);
    let mut refused = 0;
    for number in 0..70 {
        if let Err(error) = append(&mut log, number, 1, 20_000) {
            assert!(error.is_disk_full(), "{error}");
            let lost = log.make_room().expect("room is made");
            assert_eq!(lost.is_empty(), refused == 0, "the first time it is the ballast that goes");
            append(&mut log, number, 1, 20_000).expect("there is room");
            refused += 1;
        }
    }
    assert!(refused > 1 && !log.stats().has_ballast);
    log.trim(None).expect("a trim");
    assert!(!log.stats().has_ballast, "the disk is still full");
    disk.set_capacity(Some(9_000_000));
    log.trim(None).expect("a trim");
    assert!(log.stats().has_ballast);
    drop(log);
    disk.kill();
    assert!(open(&disk, &options).stats().has_ballast, "the one that is there is taken over");
}

#[test]
fn the_disk_is_left_to_others_as_far_as_is_said() {
    for when_full in [WhenFull::DropOldest, WhenFull::DropNewest] {
        let disk = FaultDisk::new(1);
        let mut log =
            open(&disk, &Options { free_min_bytes: 400_000, when_full, size_max_bytes: 2 << 20, ..small(&["a"]) });
        disk.set_capacity(Some(1_000_000));
        for number in 0..60 {
            append(&mut log, number, 1, 20_000).expect("the disk is never full");
        }
        let used: usize = disk.files().iter().map(|path| disk.content(path).len()).sum();
        assert!(used < 650_000, "{used}");
        let items = read_all(&mut log, 1);
        let lost: u64 = gaps(&items).iter().map(|gap| gap.count).sum();
        assert!(lost > 20 && blocks(&items).len() as u64 + lost == 60);
        assert_eq!(lost, log.stats().lost_records_total.iter().sum::<u64>());
    }
}
