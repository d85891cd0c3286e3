//! Blocks in the place of others: the old ones or the new ones, whatever happens in between, and never neither.

use std::io;

use buffer::disk::FaultDisk;
use buffer::{Block, Class, Error, GapReason, Item, Log, NewBlock, Pressure, Replacement, SeqRange, Store, Stretch};

use super::{append_of, blocks, gaps, meta, open, payload, range, read_all, roomy, segment_files, small};

pub(super) const BLOCKS: u64 = 120;
pub(super) const BYTES: usize = 5_000;

/// Normal, and every fourth time three of bulk.
pub(super) fn class(number: u64) -> Class {
    if number % 12 < 9 { Class::Normal } else { Class::Bulk }
}

pub(super) fn fill(log: &mut Log) {
    for number in 0..BLOCKS {
        append_of(log, class(number), number, 2, BYTES).expect("an append");
    }
    log.sync().expect("a sync");
}

/// The blocks of a stretch as they are read now.
pub(super) fn held(log: &mut Log, stretch: &Stretch) -> buffer::Result<Vec<Block>> {
    let (mut items, mut pos) = (Vec::new(), stretch.seqs.first);
    while pos <= stretch.seqs.last {
        pos = log.read(pos, 1 << 20, &mut items)?;
    }
    let of_class = |item| if let Item::Block(block) = item { Some(block) } else { None };
    let in_stretch = |block: &Block| block.class == stretch.class && block.seqs.last <= stretch.seqs.last;
    Ok(items.into_iter().filter_map(of_class).filter(in_stretch).collect())
}

/// Neighbours that can be one block, with the first of them.
pub(super) fn joined(blocks: &[Block]) -> Vec<(SeqRange, &Block)> {
    let mut joined: Vec<(SeqRange, &Block)> = Vec::new();
    for block in blocks {
        match joined.last_mut() {
            Some((seqs, _)) if seqs.last + 1 == block.seqs.first && seqs.count() < 6 => seqs.last = block.seqs.last,
            _ => joined.push((block.seqs, block)),
        }
    }
    joined
}

/// Writes neighbours as one block, whose payload is the first's.
pub(super) fn add_joined(replacement: &mut Replacement, blocks: &[Block]) -> buffer::Result<()> {
    for (seqs, block) in joined(blocks) {
        let meta = buffer::Meta { count: seqs.count() as u32, ..block.meta };
        replacement.add(seqs.first, block.epoch, &NewBlock { meta, payload: &block.payload })?;
    }
    Ok(())
}

/// Replaces all that can be; how many stretches were.
fn repack(log: &mut Log) -> buffer::Result<usize> {
    let stretches: Vec<Stretch> = Class::ALL.into_iter().flat_map(|class| log.sealed(class)).collect();
    for stretch in &stretches {
        let blocks = held(log, stretch)?;
        let mut replacement = log.replace(stretch, 1)?.expect("it is there");
        add_joined(&mut replacement, &blocks)?;
        log.end_replace(replacement.finish())?;
    }
    Ok(stretches.len())
}

/// Every seq is read exactly once, in blocks whose payload is that of their first seq.
fn check(log: &mut Log, case: &str) {
    let items = read_all(log, 1);
    assert_eq!(gaps(&items).len(), 0, "{case}");
    assert_eq!(items.last().map(|item| item.seqs().last), Some(2 * BLOCKS), "{case}");
    for block in blocks(&items) {
        let number = (block.seqs.first - 1) / 2;
        assert_eq!((block.class, &block.payload[..]), (class(number), &payload(number, BYTES)[..]), "{case}");
    }
}

#[test]
fn larger_blocks_take_the_place_of_small_ones_also_after_a_restart() {
    let disk = FaultDisk::new(1);
    let mut log = open(&disk, &small(&["a"]));
    fill(&mut log);
    let before = (segment_files(&disk).len(), log.stats().disk_bytes, read_all(&mut log, 1).len());
    let replaced = repack(&mut log).expect("nothing fails");
    assert!(replaced >= 2);
    let stats = log.stats();
    assert!(stats.disk_bytes < before.1 * 3 / 4, "{} of {}", stats.disk_bytes, before.1);
    assert!(stats.replaced_bytes_total > 2 * stats.replacing_bytes_total);
    assert_eq!(segment_files(&disk).len(), before.0, "one file for another");
    check(&mut log, "replaced");
    assert!(Class::ALL.into_iter().flat_map(|class| log.sealed(class)).all(|stretch| stretch.level == 1));
    drop(log);
    disk.power_cut();
    let mut log = open(&disk, &small(&["a"]));
    check(&mut log, "after a power cut");
    assert!(read_all(&mut log, 1).len() < before.2);
    assert_eq!(log.read(4, 1, &mut Vec::new()).expect("a read"), 7, "a larger block is met in its middle too");
}

#[test]
fn one_that_is_given_up_leaves_everything_as_it_was() {
    let disk = FaultDisk::new(1);
    let mut log = open(&disk, &small(&["a"]));
    fill(&mut log);
    let (files, stretch) = (segment_files(&disk), log.sealed(Class::Normal)[0].clone());
    let replacement = log.replace(&stretch, 1).expect("a file").expect("it is there");
    assert!(log.replace(&stretch, 1).expect("no trouble").is_none(), "one at a time");
    assert!(!log.sealed(Class::Normal).contains(&stretch));
    drop(replacement);
    assert_eq!(segment_files(&disk), files);
    assert!(log.sealed(Class::Normal).contains(&stretch));
    check(&mut log, "given up");
}

#[test]
fn blocks_that_cover_less_are_refused() {
    let disk = FaultDisk::new(1);
    let mut log = open(&disk, &small(&["a"]));
    fill(&mut log);
    let stretch = log.sealed(Class::Normal)[0].clone();
    let all = held(&mut log, &stretch).expect("a read");
    let mut replacement = log.replace(&stretch, 1).expect("a file").expect("it is there");
    add_joined(&mut replacement, &all[1..]).expect("blocks are written");
    assert!(matches!(log.end_replace(replacement.finish()), Err(Error::Bug(_))));
    check(&mut log, "refused");
    let mut replacement = log.replace(&stretch, 1).expect("a file").expect("it is there");
    for first in [stretch.seqs.last, stretch.seqs.last + 1] {
        let block = NewBlock { meta: meta(2, 0), payload: b"beyond" };
        assert!(matches!(replacement.add(first, 1, &block), Err(Error::Bug(_))));
    }
    assert!(matches!(log.replace(&stretch, 0), Err(Error::Bug(_))));
}

#[test]
fn what_was_lost_of_the_old_blocks_need_not_be_covered() {
    let disk = FaultDisk::new(1);
    let mut log = open(&disk, &small(&["a"]));
    fill(&mut log);
    drop(log);
    disk.flip_bit(&segment_files(&disk)[1], 20_000, 3);
    let mut log = open(&disk, &small(&["a"]));
    let before = read_all(&mut log, 1);
    log.sync().expect("a sync");
    assert_eq!(gaps(&before).iter().map(|gap| (gap.count, gap.reason)).collect::<Vec<_>>(), [(2, GapReason::Damaged)]);
    repack(&mut log).expect("the gap is known");
    assert_eq!(gaps(&read_all(&mut log, 1)), gaps(&before));
}

#[test]
fn what_was_acknowledged_meanwhile_is_not_brought_back() {
    let disk = FaultDisk::new(1);
    let mut log = open(&disk, &small(&["a"]));
    fill(&mut log);
    let stretch = log.sealed(Class::Normal)[0].clone();
    let all = held(&mut log, &stretch).expect("a read");
    let mut replacement = log.replace(&stretch, 1).expect("a file").expect("it is there");
    add_joined(&mut replacement, &all).expect("blocks are written");
    log.acknowledge("a", &[range(1, 2 * BLOCKS)]).expect("an acknowledgement");
    log.sync().expect("a sync");
    log.trim(None).expect("a trim");
    let files = segment_files(&disk).len();
    log.end_replace(replacement.finish()).expect("no trouble");
    assert_eq!(segment_files(&disk).len(), files - 1);
}

#[test]
fn a_kill_or_a_power_cut_at_any_call_leaves_the_old_blocks_or_the_new() {
    let calls = {
        let disk = FaultDisk::new(7);
        let mut log = open(&disk, &small(&["a"]));
        fill(&mut log);
        let before = disk.calls();
        repack(&mut log).expect("nothing fails");
        disk.calls() - before
    };
    assert!(calls > 30);
    for call in 0..calls {
        for (case, is_cut) in [("kill", false), ("power cut", true)] {
            let case = format!("{case} at call {call}");
            let disk = FaultDisk::new(call);
            let mut log = open(&disk, &small(&["a"]));
            fill(&mut log);
            disk.crash_after(call);
            assert!(repack(&mut log).is_err(), "{case}");
            drop(log);
            if is_cut {
                disk.power_cut()
            } else {
                disk.kill()
            }
            let mut log = open(&disk, &small(&["a"]));
            check(&mut log, &case);
            let files = segment_files(&disk).len();
            log.sync().expect("a sync");
            repack(&mut log).expect("it can be done again");
            check(&mut log, &case);
            assert!(segment_files(&disk).len() <= files, "{case}: {:?}", segment_files(&disk));
        }
    }
}

#[test]
fn an_error_at_any_call_leaves_the_old_blocks_or_the_new() {
    for call in 0..60 {
        let disk = FaultDisk::new(call);
        let mut log = open(&disk, &small(&["a"]));
        fill(&mut log);
        disk.fail_after(call, 1, io::ErrorKind::StorageFull);
        if repack(&mut log).is_err() {
            check(&mut log, &format!("error at call {call}"));
            repack(&mut log).expect("the second time it works");
        }
        check(&mut log, &format!("error at call {call}"));
        assert!(segment_files(&disk).len() <= 8, "{:?}", segment_files(&disk));
    }
}

#[test]
fn says_when_room_should_be_made() {
    if !crate::TAKES_WHAT_IT_HOLDS {
        return;
    }
    let mut log = open(&FaultDisk::new(1), &roomy(&["a"]));
    let mut seen = Vec::new();
    for number in 0..140 {
        append_of(&mut log, Class::Normal, number, 1, 60_000).expect("an append");
        let pressure = log.stats().pressure;
        if seen.last() != Some(&pressure) {
            seen.push(pressure);
        }
    }
    assert_eq!(seen, [Pressure::None, Pressure::Repack, Pressure::Downsample]);
}

#[test]
fn one_that_was_begun_before_the_store_was_opened_again_changes_nothing() {
    let disk = FaultDisk::new(1);
    let mut log = open(&disk, &small(&["a"]));
    fill(&mut log);
    let stretch = log.sealed(Class::Normal)[0].clone();
    let all = held(&mut log, &stretch).expect("a read");
    let mut replacement = log.replace(&stretch, 1).expect("a file").expect("it is there");
    add_joined(&mut replacement, &all).expect("blocks are written");
    let replaced = replacement.finish();
    drop(log);
    disk.kill();
    let mut log = open(&disk, &small(&["a"]));
    log.end_replace(replaced).expect("it is passed over");
    check(&mut log, "opened again");
}

#[test]
fn what_new_blocks_leave_out_is_counted_once_also_when_they_are_dropped_later() {
    let disk = FaultDisk::new(1);
    let mut log = open(&disk, &small(&["a"]));
    fill(&mut log);
    let stretch = log.sealed(Class::Bulk)[0].clone();
    let blocks = held(&mut log, &stretch).expect("a read");
    for left_out in [5, 2] {
        let stretch = log.sealed(Class::Bulk)[0].clone();
        let mut replacement = log.replace(&stretch, stretch.level + 1).expect("a file").expect("it is there");
        add_joined(&mut replacement, &blocks).expect("blocks are written");
        replacement.leave_out(left_out);
        log.end_replace(replacement.finish()).expect("no trouble");
    }
    let lost = |log: &Log, reason| log.stats().lost_records(reason);
    assert_eq!(lost(&log, GapReason::Downsampled), 7);
    assert_eq!(log.stats().class(Class::Bulk).lost_records_total, 7);
    let dropped = log.make_room().expect("no trouble");
    assert_eq!(dropped.iter().map(|gap| gap.count).sum::<u64>(), stretch.records, "readers miss all of it");
    assert_eq!(lost(&log, GapReason::DroppedOldest), stretch.records - 7);
    assert_eq!(log.stats().class(Class::Bulk).lost_records_total, stretch.records);
}
