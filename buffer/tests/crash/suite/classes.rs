//! Classes: one row of seqs over all, bounds and losses for each; history that is kept; uplinks that are too far behind.

use std::time::Duration;

use buffer::disk::FaultDisk;
use buffer::{Class, ClassOptions, GapReason, Keep, LagMax, Log, NewBlock, Options, Store, UplinkOptions, WhenFull};

use super::{blocks, gaps, meta, open, payload, range, read_all, segment_files, small};

const YEAR_2026_NS: i64 = 1_767_225_600_000_000_000;
const SECOND_NS: i64 = 1_000_000_000;

/// Appends one block of two records; its number is its place among all that were appended.
fn append(log: &mut Log, class: Class, number: u64, bytes: usize) -> buffer::Appended {
    let block = NewBlock { meta: meta(2, number as i64 * 10), payload: &payload(number, bytes) };
    log.append(class, &[block]).expect("an append")
}

/// Critical, normal, bulk, normal, bulk, bulk, and again.
fn mixed(number: u64) -> Class {
    [Class::Critical, Class::Normal, Class::Bulk, Class::Normal, Class::Bulk, Class::Bulk][number as usize % 6]
}

fn with_classes(uplinks: &[&str], classes: [ClassOptions; 3]) -> Options {
    Options { classes, ..small(uplinks) }
}

#[test]
fn classes_share_one_row_of_seqs_and_are_read_in_its_order_also_after_a_restart() {
    let disk = FaultDisk::new(1);
    let mut log = open(&disk, &small(&["a"]));
    for number in 0..120 {
        append(&mut log, mixed(number), number, 3_000);
    }
    for restart in 0..2 {
        let items = read_all(&mut log, 1);
        assert_eq!((items.len(), gaps(&items).len()), (120, 0), "restart {restart}");
        for (number, block) in blocks(&items).into_iter().enumerate() {
            let number = number as u64;
            assert_eq!((block.class, block.seqs), (mixed(number), range(2 * number + 1, 2 * number + 2)));
            assert_eq!(block.payload, payload(number, 3_000));
        }
        assert_eq!(log.stats().classes.map(|class| class.segments > 0), [true; 3]);
        drop(log);
        disk.kill();
        log = open(&disk, &small(&["a"]));
    }
    assert_eq!(append(&mut log, Class::Bulk, 120, 10).seqs, range(241, 242));
}

#[test]
fn bulk_gives_way_first_then_normal_and_each_loss_is_counted_exactly() {
    let disk = FaultDisk::new(1);
    let mut log = open(&disk, &small(&["a"]));
    let mut told = [0; 3];
    for number in 0..400 {
        let class = if number < 300 { mixed(number) } else { Class::Critical };
        for gap in append(&mut log, class, number, 5_000).gaps {
            assert_eq!(gap.reason, GapReason::DroppedOldest);
            told[gap.class.index()] += gap.count;
        }
        if number == 299 {
            assert!(told[Class::Bulk.index()] > 0, "{told:?}");
            assert_eq!((told[Class::Critical.index()], told[Class::Normal.index()]), (0, 0), "bulk was enough");
        }
    }
    assert!(told[Class::Normal.index()] > 0, "{told:?}");
    assert_eq!(log.stats().classes.map(|class| class.lost_records_total), told);
    assert!(log.stats().disk_bytes <= 1 << 20);
    for restart in 0..2 {
        let items = read_all(&mut log, 1);
        let kept: u64 = blocks(&items).iter().map(|block| block.seqs.count()).sum();
        let lost: u64 = gaps(&items).iter().map(|gap| gap.count).sum();
        assert_eq!((kept + lost, lost), (800, told.iter().sum()), "restart {restart}");
        assert!(gaps(&items).iter().all(|gap| gap.reason == GapReason::DroppedOldest && gap.count == gap.seqs.count()));
        drop(log);
        disk.kill();
        log = open(&disk, &small(&["a"]));
    }
}

#[test]
fn a_block_never_makes_a_more_valuable_one_give_way() {
    let mut log = open(&FaultDisk::new(1), &small(&["a"]));
    for number in 0..120 {
        append(&mut log, Class::Critical, number, 10_000);
    }
    let before = log.stats();
    let refused = (120..140).map(|number| append(&mut log, Class::Bulk, number, 30_000)).find(|it| !it.gaps.is_empty());
    let gaps = refused.expect("there is not that much space").gaps;
    assert_eq!(
        gaps.iter().map(|gap| (gap.class, gap.reason)).collect::<Vec<_>>(),
        [(Class::Bulk, GapReason::DroppedNewest)]
    );
    assert_eq!(log.stats().class(Class::Critical).disk_bytes, before.class(Class::Critical).disk_bytes);
}

#[test]
fn drop_newest_refuses_every_class_alike() {
    let mut log = open(&FaultDisk::new(1), &Options { when_full: WhenFull::DropNewest, ..small(&["a"]) });
    for number in 0..300 {
        append(&mut log, mixed(number), number, 5_000);
    }
    let stats = log.stats();
    assert!(stats.lost_records(GapReason::DroppedNewest) > 0 && stats.lost_records(GapReason::DroppedOldest) == 0);
    assert_eq!(gaps(&read_all(&mut log, 1)).iter().map(|gap| gap.count).sum::<u64>() + stats.records_total, 600);
}

#[test]
fn a_class_keeps_its_own_size_and_age() {
    let own = ClassOptions {
        size_max_bytes: Some(300_000),
        age_max: Some(Duration::from_secs(60)),
        ..ClassOptions::default()
    };
    let options = with_classes(&["a"], [ClassOptions::default(), ClassOptions::default(), own]);
    let mut log = open(&FaultDisk::new(1), &options);
    for number in 0..100 {
        let block = NewBlock {
            meta: meta(1, YEAR_2026_NS),
            payload: &payload(number, if number % 2 == 0 { 7_000 } else { 500 }),
        };
        let class = if number % 2 == 0 { Class::Bulk } else { Class::Normal };
        log.append(class, &[block]).expect("an append");
        assert!(log.stats().class(Class::Bulk).disk_bytes <= 300_000);
    }
    let lost = log.stats().class(Class::Bulk).lost_records_total;
    assert!(lost > 0 && log.stats().class(Class::Normal).lost_records_total == 0);
    let old = log.trim(Some(YEAR_2026_NS + 90 * SECOND_NS)).expect("a trim");
    assert!(!old.is_empty() && old.iter().all(|gap| (gap.class, gap.reason) == (Class::Bulk, GapReason::TooOld)));
}

#[test]
fn history_stays_as_long_as_it_is_to_be_kept_and_goes_before_anything_is_lost() {
    if !crate::TAKES_WHAT_IT_HOLDS {
        return;
    }
    let keep = Keep { bytes_max: 400_000, age_max: None };
    let options = with_classes(&["a"], [ClassOptions { keep, ..ClassOptions::default() }; 3]);
    let disk = FaultDisk::new(1);
    let mut log = open(&disk, &options);
    for number in 0..60 {
        append(&mut log, Class::Normal, number, 10_000);
        log.acknowledge("a", &[range(2 * number + 1, 2 * number + 2)]).expect("an acknowledgement");
    }
    log.sync().expect("a sync");
    log.trim(None).expect("a trim");
    let stats = log.stats();
    assert!(stats.disk_bytes > 300_000 && stats.disk_bytes < 800_000, "{} bytes", stats.disk_bytes);
    assert_eq!(stats.pinned_seq, 121);
    let mut items = Vec::new();
    log.read(1, 1, &mut items).expect("a read");
    assert_eq!(items[0].seqs().first, stats.first_seq, "what is no longer kept is passed over in silence");
    assert!(gaps(&read_all(&mut log, stats.first_seq)).is_empty());
    for number in 60..150 {
        assert_eq!(append(&mut log, Class::Normal, number, 10_000).gaps.len(), 0, "history gives way first");
    }
    assert!(log.stats().first_seq > 60, "some of it has");
}

#[test]
fn history_becomes_too_old() {
    let keep = Keep { bytes_max: u64::MAX, age_max: Some(Duration::from_secs(60)) };
    let options = with_classes(&["a"], [ClassOptions { keep, ..ClassOptions::default() }; 3]);
    let mut log = open(&FaultDisk::new(1), &options);
    for number in 0..40 {
        let t_ns = YEAR_2026_NS + number * 5 * SECOND_NS;
        log.append(Class::Normal, &[NewBlock { meta: meta(1, t_ns), payload: &payload(number as u64, 10_000) }])
            .expect("an append");
    }
    log.acknowledge("a", &[range(1, 40)]).expect("an acknowledgement");
    log.sync().expect("a sync");
    assert_eq!(log.trim(Some(YEAR_2026_NS + 200 * SECOND_NS)).expect("a trim"), [], "nothing of it is a loss");
    let first = log.stats().first_seq;
    assert!((20..=29).contains(&first), "from {first} on, that is the last minute and what shares a segment with it");
}

#[test]
fn an_uplink_too_far_behind_is_left_and_reads_the_gap_alone() {
    if !crate::TAKES_WHAT_IT_HOLDS {
        return;
    }
    let lag_max = LagMax { bytes: Some(300_000), age: None };
    let uplinks = vec!["quick".into(), UplinkOptions { name: "slow".into(), lag_max }];
    let options = Options { uplinks, ..small(&[]) };
    let disk = FaultDisk::new(1);
    let mut log = open(&disk, &options);
    let mut lost = 0;
    for number in 0..60 {
        append(&mut log, mixed(number), number, 10_000);
        if number % 10 == 9 {
            log.sync().expect("a sync");
            lost += log.trim(None).expect("a trim").iter().map(|gap| gap.count).sum::<u64>();
            let low = log.cursor("quick").expect("a cursor").low();
            assert!(gaps(&read_all(&mut log, low)).is_empty(), "what the quick one wants is there");
            log.acknowledge("quick", &[range(1, 2 * number + 2)]).expect("an acknowledgement");
            log.sync().expect("a sync");
            lost += log.trim(None).expect("a trim").iter().map(|gap| gap.count).sum::<u64>();
        }
    }
    assert!(lost > 20 && lost == log.stats().lost_records(GapReason::LeftBehind), "{lost}");
    assert!(log.stats().disk_bytes < 800_000);
    drop(log);
    disk.kill();
    let mut log = open(&disk, &options);
    let items = read_all(&mut log, 1);
    assert_eq!(gaps(&items).iter().map(|gap| gap.count).sum::<u64>(), lost);
    assert!(gaps(&items).iter().all(|gap| gap.reason == GapReason::LeftBehind));
    let low = log.cursor("quick").expect("a cursor").low();
    assert_eq!(gaps(&read_all(&mut log, low)).len(), 0);
}

#[test]
fn an_uplink_that_may_lag_for_ever_pins_everything() {
    let mut log = open(&FaultDisk::new(1), &small(&["quick", "slow"]));
    for number in 0..40 {
        append(&mut log, Class::Normal, number, 10_000);
    }
    log.acknowledge("quick", &[range(1, 80)]).expect("an acknowledgement");
    log.sync().expect("a sync");
    assert_eq!(log.trim(Some(YEAR_2026_NS)).expect("a trim"), []);
    assert_eq!(log.stats().first_seq, 1);
}

#[test]
fn after_a_failed_sync_every_class_lies_in_a_file_of_its_own_again() {
    let disk = FaultDisk::new(3);
    let mut log = open(&disk, &small(&["a"]));
    for number in 0..30 {
        append(&mut log, mixed(number), number, 4_000);
    }
    disk.fail_syncs(1);
    assert!(log.sync().is_err());
    log.sync().expect("the new files sync");
    let named = |class: &str| segment_files(&disk).iter().any(|path| path.to_string_lossy().contains(class));
    assert!(Class::ALL.into_iter().all(|class| named(class.name())));
    drop(log);
    disk.power_cut();
    let items = read_all(&mut open(&disk, &small(&["a"])), 1);
    assert_eq!((blocks(&items).len(), gaps(&items).len()), (30, 0));
    assert!(blocks(&items).iter().enumerate().all(|(number, block)| block.class == mixed(number as u64)));
}
