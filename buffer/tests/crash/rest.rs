//! Damage at rest: every block that it did not touch is delivered, the rest is reported, and it always starts.

use buffer::disk::FaultDisk;
use buffer::{GapReason, Store};
use proptest::prelude::*;

use crate::suite::{DIR, append, blocks, gaps, open, payload, range, read_all, roomy, segment_files, small};

const BLOCKS: u64 = 60;
const BYTES: usize = 10_000;

/// A closed log of several segments; `a` has acknowledged nothing.
fn filled() -> FaultDisk {
    let disk = FaultDisk::new(1);
    let mut log = open(&disk, &small(&["a"]));
    for number in 0..BLOCKS {
        append(&mut log, number, 1, BYTES).expect("an append");
    }
    log.sync().expect("a sync");
    drop(log);
    disk
}

/// Opens and reads all; the numbers of the blocks that are missing, which must be told as gaps.
fn missing(disk: &FaultDisk) -> Vec<u64> {
    let mut log = open(disk, &small(&["a"]));
    let items = read_all(&mut log, 1);
    for block in blocks(&items) {
        assert_eq!(block.payload, payload(block.seqs.first - 1, BYTES), "block {}", block.seqs);
    }
    let told: u64 = gaps(&items).iter().map(|gap| gap.count).sum();
    assert_eq!(blocks(&items).len() as u64 + told, log.stats().next_seq - 1);
    assert_eq!(log.stats().lost_records_total.iter().sum::<u64>(), told, "counted once");
    assert_eq!(read_all(&mut log, 1), items, "read again, it is the same");
    append(&mut log, 1, 1, 10).expect("it can be written to");
    let present: Vec<u64> = blocks(&items).iter().map(|block| block.seqs.first - 1).collect();
    (0..BLOCKS).filter(|number| !present.contains(number)).collect()
}

#[test]
fn a_flipped_bit_costs_one_block_wherever_it_is() {
    for at in [3, 20, 40, 64 + 30, 64 + 54, 70_000, 100_000, 120_000] {
        let disk = filled();
        let segments = segment_files(&disk);
        disk.flip_bit(&segments[1], at, 4);
        assert!(missing(&disk).len() <= 1, "at {at}");
    }
}

#[test]
fn a_flipped_bit_in_the_index_or_the_trailer_costs_nothing() {
    let disk = filled();
    for path in &segment_files(&disk)[..3] {
        let len = disk.content(path).len() as u64;
        disk.flip_bit(path, len - 40, 1);
        disk.flip_bit(path, len - 70, 1);
    }
    assert_eq!(missing(&disk), Vec::<u64>::new());
}

#[test]
fn a_zeroed_page_costs_the_blocks_that_it_touches() {
    let disk = filled();
    disk.damage(&segment_files(&disk)[2], |content| content[40_960..45_056].fill(0));
    assert!((1..=2).contains(&missing(&disk).len()));
}

#[test]
fn a_block_whose_content_is_wrong_at_the_very_end_is_told_and_its_seq_not_given_out_again() {
    let disk = filled();
    let last = segment_files(&disk).pop().expect("a segment");
    let len = disk.content(&last).len() as u64;
    disk.flip_bit(&last, len - 5, 1);
    let mut log = open(&disk, &small(&["a"]));
    assert_eq!(log.recovery().gaps.iter().map(|gap| gap.seqs).collect::<Vec<_>>(), [range(BLOCKS, BLOCKS)]);
    assert_eq!(append(&mut log, 1, 1, 10).expect("an append").first, BLOCKS + 1);
}

#[test]
fn a_missing_segment_in_the_middle_is_told_at_the_start() {
    let disk = filled();
    disk.delete(&segment_files(&disk)[1]);
    let log = open(&disk, &small(&["a"]));
    let told = log.recovery().gaps.clone();
    assert_eq!(told.iter().map(|gap| gap.reason).collect::<Vec<_>>(), [GapReason::Vanished]);
    drop(log);
    assert_eq!(missing_after_told(&disk), told[0].count);
}

fn missing_after_told(disk: &FaultDisk) -> u64 {
    let items = read_all(&mut open(disk, &small(&["a"])), 1);
    gaps(&items).iter().map(|gap| gap.count).sum()
}

#[test]
fn a_segment_that_vanishes_while_the_log_is_open_is_a_gap() {
    let disk = filled();
    let mut log = open(&disk, &small(&["a"]));
    disk.delete(&segment_files(&disk)[1]);
    let items = read_all(&mut log, 1);
    assert_eq!(gaps(&items).iter().map(|gap| gap.reason).collect::<Vec<_>>(), [GapReason::Vanished]);
    assert_eq!(blocks(&items).len() as u64 + gaps(&items)[0].count, BLOCKS);
}

#[test]
fn all_segments_deleted_is_told_and_seqs_go_on() {
    let disk = filled();
    segment_files(&disk).iter().for_each(|path| disk.delete(path));
    let mut log = open(&disk, &small(&["a"]));
    append(&mut log, 1, 1, 10).expect("an append");
    drop(log);
    // The ledger of this opening says how far seqs had gone when it began.
    let mut log = open(&disk, &small(&["a"]));
    segment_files(&disk).iter().for_each(|path| disk.delete(path));
    drop(log);
    log = open(&disk, &small(&["a"]));
    assert_eq!(log.stats().next_seq, 2);
    assert_eq!(read_all(&mut log, 1).iter().map(|item| item.seqs()).collect::<Vec<_>>(), [range(1, 1)]);
}

#[test]
fn a_lost_ledger_takes_cursors_back_and_loses_no_block() {
    let disk = filled();
    let mut log = open(&disk, &small(&["a"]));
    log.acknowledge("a", &[range(1, 20)]).expect("an acknowledgement");
    drop(log);
    for path in disk.files().iter().filter(|path| path.to_string_lossy().contains("ledger")) {
        disk.delete(path);
    }
    let mut log = open(&disk, &small(&["a"]));
    assert_eq!(log.cursor("a").map(|cursor| cursor.low()), Some(1));
    assert_eq!(blocks(&read_all(&mut log, 1)).len() as u64, BLOCKS);
}

#[test]
fn a_lost_identity_is_restored_from_the_segments_and_the_epoch_still_rises() {
    let disk = filled();
    let log = open(&disk, &small(&["a"]));
    let before = log.identity();
    drop(log);
    disk.delete(&std::path::Path::new(DIR).join("identity"));
    let mut log = open(&disk, &small(&["a"]));
    assert_eq!((log.identity().gateway, log.identity().epoch), (before.gateway, before.epoch + 1));
    assert!(log.recovery().remarks[0].contains("identity"));
    assert_eq!(blocks(&read_all(&mut log, 1)).len() as u64, BLOCKS);
}

#[test]
fn foreign_files_are_left_alone_and_mentioned() {
    let disk = filled();
    let path = std::path::Path::new(DIR).join("normal/notes.txt");
    buffer::disk::Disk::create(&disk, &path).expect("a file");
    let log = open(&disk, &small(&["a"]));
    assert!(log.recovery().remarks[0].contains("notes.txt"));
    assert!(disk.files().contains(&path));
}

#[test]
fn a_payload_that_holds_a_frame_of_another_log_is_not_taken_for_one_after_damage() {
    let foreign = FaultDisk::new(2);
    let mut log = open(&foreign, &roomy(&["a"]));
    for number in 0..5 {
        append(&mut log, number, 1, 100).expect("an append");
    }
    let evil = foreign.content(&segment_files(&foreign)[0]);
    let disk = FaultDisk::new(1);
    let mut log = open(&disk, &roomy(&["a"]));
    let block = buffer::NewBlock { meta: crate::suite::meta(1, 0), payload: &evil };
    log.append(buffer::Class::Normal, &[block]).expect("an append");
    append(&mut log, 9, 1, 10).expect("an append");
    drop(log);
    disk.flip_bit(&segment_files(&disk)[0], 64 + 20, 1);
    let items = read_all(&mut open(&disk, &roomy(&["a"])), 1);
    assert_eq!(blocks(&items).iter().map(|block| block.payload.len()).collect::<Vec<_>>(), [10]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]

    #[test]
    fn garbage_anywhere_costs_the_blocks_that_it_touches(
        file in 0usize..6, at in 0.0f64..1.0, len in 1usize..9000, fill in any::<u8>(), cut in any::<bool>(),
    ) {
        let disk = filled();
        let segments = segment_files(&disk);
        let path = &segments[file % segments.len()];
        disk.damage(path, |content| {
            let at = (at * content.len() as f64) as usize;
            let end = (at + len).min(content.len());
            if cut {
                content.truncate(at);
            } else {
                content[at..end].iter_mut().for_each(|byte| *byte = byte.wrapping_mul(5) ^ fill);
            }
        });
        let missing = missing(&disk);
        if !cut {
            prop_assert!(missing.len() <= 2, "{:?}", missing);
        }
        prop_assert!(missing.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{:?}", missing);
    }

    #[test]
    fn garbage_in_every_other_file_prevents_no_start_and_loses_no_block(
        at in 0.0f64..1.0, len in 1usize..600, fill in any::<u8>(), cut in any::<bool>(),
    ) {
        let disk = filled();
        for path in disk.files().iter().filter(|path| path.extension().is_none()) {
            disk.damage(path, |content| {
                let at = (at * content.len() as f64) as usize;
                let end = (at + len).min(content.len());
                if cut { content.truncate(at) } else { content[at..end].fill(fill) }
            });
        }
        prop_assert_eq!(missing(&disk), Vec::<u64>::new());
    }
}
