//! Blocks are replaced while they leave, and while there is no room: whatever ends the process in between, each record is
//! there, delivered or declared.

use std::path::Path;

use buffer::disk::FaultDisk;
use buffer::{Class, Gap, GapReason, Inspector, Log, NewBlock, Seq, Store, Stretch};

use super::replace::{BLOCKS, BYTES, add_joined, class, fill, held, joined};
use super::{DIR, blocks, gaps, open, payload, range, read_all, segment_files, small};

const END: Seq = 2 * BLOCKS + 1;

/// Crashes a piece of work at each of its calls to the disk, once as a kill and once as a power cut, and checks what is left.
fn crash_everywhere(
    work: impl Fn(&mut Log, &mut Seq) -> buffer::Result<()>,
    check: impl Fn(&FaultDisk, Seq, bool, &str),
) {
    let filled = |seed| {
        let disk = FaultDisk::new(seed);
        let mut log = open(&disk, &small(&["a"]));
        fill(&mut log);
        (disk, log)
    };
    let (disk, mut log) = filled(0);
    let before = disk.calls();
    work(&mut log, &mut 0).expect("nothing fails");
    let calls = disk.calls() - before;
    assert!(calls > 8, "{calls}");
    for call in 0..calls {
        for (case, is_cut) in [("kill", false), ("power cut", true)] {
            let case = format!("{case} at call {call}");
            let (disk, mut log) = filled(call);
            disk.crash_after(call);
            let mut acknowledged = 0;
            assert!(work(&mut log, &mut acknowledged).is_err(), "{case}");
            drop(log);
            if is_cut {
                disk.power_cut()
            } else {
                disk.kill()
            }
            check(&disk, acknowledged, is_cut, &case);
        }
    }
}

/// Half of each stretch leaves while larger blocks take the place of all of it, and the rest afterwards.
fn drain_and_repack(log: &mut Log, acknowledged: &mut Seq) -> buffer::Result<()> {
    let mut acknowledge = |log: &mut Log, last: Seq| {
        let low = log.cursor("a").map_or(1, |cursor| cursor.low());
        if last >= low {
            log.acknowledge("a", &[range(low, last)])?;
            *acknowledged = last;
        }
        log.sync()?;
        log.trim(None).map(drop)
    };
    let stretches: Vec<Stretch> = Class::ALL.into_iter().flat_map(|class| log.sealed(class)).collect();
    for stretch in &stretches {
        let Some(mut replacement) = log.replace(stretch, 1)? else { continue };
        let old = held(log, stretch)?;
        acknowledge(log, stretch.seqs.first + stretch.seqs.count() / 2)?;
        add_joined(&mut replacement, &old)?;
        log.end_replace(replacement.finish())?;
    }
    acknowledge(log, END - 1)
}

#[test]
fn repacking_that_is_killed_while_the_log_drains_loses_nothing_and_delivers_nothing_twice() {
    crash_everywhere(drain_and_repack, |disk, acknowledged, is_cut, case| {
        let mut log = open(disk, &small(&["a"]));
        let low = log.cursor("a").expect("a cursor").low();
        // The acknowledgement that was under way may have been kept.
        assert!(is_cut || low > acknowledged, "{case}: {low}, {acknowledged} was acknowledged");
        let items = read_all(&mut log, low);
        assert_eq!((gaps(&items), log.stats().lost_records_total.iter().sum::<u64>()), (vec![], 0), "{case}");
        assert_eq!(items.last().map_or(END - 1, |item| item.seqs().last), END - 1, "{case}");
        for block in blocks(&items) {
            let number = (block.seqs.first - 1) / 2;
            assert_eq!((block.class, &block.payload[..]), (class(number), &payload(number, BYTES)[..]), "{case}");
        }
        drain_and_repack(&mut log, &mut 0).expect("it can be done again");
        assert!(segment_files(disk).len() <= 2, "{case}: {:?}", segment_files(disk));
    });
}

/// What a thinned block says in these tests: that it holds one record of so many.
fn thinned(count: u64) -> Vec<u8> {
    format!("one of {count}").into_bytes()
}

/// Of each block of bulk one record stays; then room is made once.
fn thin_and_drop(log: &mut Log, _: &mut Seq) -> buffer::Result<()> {
    for stretch in log.sealed(Class::Bulk).into_iter().filter(|stretch| stretch.level == 0) {
        let old = held(log, &stretch)?;
        let Some(mut replacement) = log.replace(&stretch, 1)? else { continue };
        for (seqs, block) in joined(&old) {
            let meta = buffer::Meta { count: seqs.count() as u32, ..block.meta };
            replacement.add(seqs.first, block.epoch, &NewBlock { meta, payload: &thinned(seqs.count()) })?;
            replacement.leave_out(seqs.count() - 1);
        }
        log.end_replace(replacement.finish())?;
    }
    log.make_room().map(drop)
}

/// The gaps that a reader meets, and how many records the blocks say that they left out.
fn told(log: &mut Log, case: &str) -> (Vec<Gap>, u64) {
    let items = read_all(log, 1);
    assert_eq!(items.last().map(|item| item.seqs().last), Some(END - 1), "{case}");
    let mut left_out = 0;
    for block in blocks(&items) {
        let (number, count) = ((block.seqs.first - 1) / 2, block.seqs.count());
        if block.payload[..] == thinned(count)[..] {
            assert_eq!(block.class, Class::Bulk, "{case}");
            left_out += count - 1;
        } else {
            assert_eq!((block.class, &block.payload[..]), (class(number), &payload(number, BYTES)[..]), "{case}");
        }
    }
    (gaps(&items).into_iter().cloned().collect(), left_out)
}

/// How many records a process before has declared as lost.
fn noted(disk: &FaultDisk) -> u64 {
    let inspector = Inspector::open_on(crate::seen_by_the_store(disk), Path::new(DIR)).expect("it can be looked into");
    inspector.overview().gaps.iter().map(|gap| gap.count).sum()
}

#[test]
fn thinning_that_is_killed_keeps_an_exact_account() {
    crash_everywhere(thin_and_drop, |disk, _, _, case| {
        let noted = noted(disk);
        let mut log = open(disk, &small(&["a"]));
        let (gaps, left_out_before) = told(&mut log, case);
        assert!(gaps.iter().all(|gap| gap.seqs.count() == gap.count), "{case}: {gaps:?}");
        let of_bulk = |gap: &Gap| (gap.seqs.first..=gap.seqs.last).all(|seq| class((seq - 1) / 2) == Class::Bulk);
        assert!(gaps.iter().all(of_bulk), "nothing else is lost, {case}: {gaps:?}");
        let dropped_before: u64 = gaps.iter().map(|gap| gap.count).sum();
        log.sync().expect("a sync");
        thin_and_drop(&mut log, &mut 0).expect("it can be done again");
        let stats = log.stats();
        let (gaps, left_out) = told(&mut log, case);
        let of_bulk_dropped = |gap: &Gap| gap.class == Class::Bulk && gap.reason == GapReason::DroppedOldest;
        assert!(gaps.iter().all(of_bulk_dropped), "{case}: {gaps:?}");
        let dropped: u64 = gaps.iter().map(|gap| gap.count).sum();
        // Each loss is counted by the process that declared it, what was left out and is dropped now as that once more.
        let counted = stats.lost_records(GapReason::Downsampled) + stats.lost_records(GapReason::DroppedOldest);
        let lost = (dropped + left_out) - (dropped_before + left_out_before);
        let counted_before = noted.saturating_sub(dropped_before);
        assert!(counted + counted_before >= lost, "{case}: {counted}, {counted_before} and {lost}");
        assert!(counted <= lost + left_out_before, "{case}: {counted} were counted, {lost} were lost");
        drop(log);
        disk.kill();
        assert_eq!(told(&mut open(disk, &small(&["a"])), case), (gaps, left_out), "{case}");
    });
}
