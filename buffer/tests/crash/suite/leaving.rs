//! Blocks are replaced while they leave: whatever ends the process in between, each record is there or delivered.

use buffer::disk::FaultDisk;
use buffer::{Class, Log, Seq, Store, Stretch};

use super::replace::{BLOCKS, BYTES, add_joined, class, fill, held};
use super::{blocks, gaps, open, payload, range, read_all, segment_files, small};

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
