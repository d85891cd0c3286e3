//! Bulk is thinned while the buffer is nearly full, and every reading is there or declared.

use std::time::Instant;

use buffer::{GapReason, Stats};

use super::*;

/// Tags 0 and 2 are normal and critical, tag 1 is bulk.
const BULK: u32 = 1;

/// So many readings of bulk come with one of each other class.
const BULK_EACH: i64 = 18;

/// Noise, so that it takes what numbers take that do not repeat; second by second.
fn noisy(number: i64) -> Reading {
    let place = number % (BULK_EACH + 2);
    let tag = if place < BULK_EACH { BULK } else { (place - BULK_EACH) as u32 * 2 };
    let noise = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 12;
    Reading {
        tag: TagId(tag),
        value: Value::LReal(noise as f64 / 7.0),
        timestamp: Timestamp(1_700_000_000_000_000_000 + number * 50_000_000),
        ..reading(number)
    }
}

struct Bench {
    thread: StoreThread,
    intake: Intake,
    handle: StoreHandle,
    next: i64,
}

impl Bench {
    fn start(folder: &Path, size_max_bytes: u64) -> Bench {
        let options = Options { size_max_bytes, age_max: None, ..Options::new(["cloud"]) };
        let log = Log::open(folder, &options).expect("the log opens");
        let (thread, intake, handle) = start_with(folder, Box::new(log), SyncPolicy::Every(Duration::from_millis(20)));
        Bench { thread, intake, handle, next: 0 }
    }

    fn stats(&self) -> Stats {
        run(self.handle.stats()).expect("the store runs")
    }

    /// Stores some more, and waits until they are in the log.
    fn store(&mut self, count: i64) {
        assert!(self.intake.offer((self.next..self.next + count).map(noisy).collect()));
        self.next += count;
        let end = self.next as u64;
        run(async {
            let mut seen = self.handle.end();
            while *seen.borrow_and_update() <= end {
                seen.changed().await.expect("the store runs");
            }
        });
    }
}

/// What the log holds now: readings by class, those left out of blocks, and those in gaps by reason.
#[derive(Debug, Default, PartialEq, Eq)]
struct Held {
    by_class: [u64; Class::ALL.len()],
    left_out: u64,
    in_gaps: std::collections::BTreeMap<&'static str, u64>,
}

fn held(bench: &Bench) -> Held {
    let (mut found, mut at, mut decoder) = (Held::default(), 1, Decoder::new().expect("memory"));
    let end = bench.stats().next_seq;
    while at < end {
        let page = run(bench.handle.read(at, 1 << 20)).expect("the store runs");
        assert!(page.next > at);
        at = page.next;
        for item in page.items {
            match item {
                Item::Gap(gap) => *found.in_gaps.entry(gap.reason.name()).or_default() += gap.count,
                Item::Block(block) => {
                    let mut readings = Vec::new();
                    decoder.decode_block(&block, &mut readings).expect("a block");
                    found.by_class[block.class.index()] += readings.len() as u64;
                    found.left_out += block.seqs.count() - readings.len() as u64;
                }
            }
        }
    }
    found
}

#[test]
fn bulk_is_thinned_before_anything_is_dropped_and_each_reading_is_there_or_declared() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut bench = Bench::start(folder.path(), 4 << 20);
    let deadline = Instant::now() + Duration::from_secs(60);
    // About twice what it could hold: some 9 bytes a reading.
    while bench.next < 700_000 {
        assert!(Instant::now() < deadline, "{:?}", bench.stats());
        if bench.stats().pressure < buffer::Pressure::Downsample {
            bench.store(4_000);
        } else {
            thread::sleep(Duration::from_millis(10));
        }
    }
    let stats = bench.stats();
    let found = held(&bench);
    let of_others = bench.next as u64 / (BULK_EACH as u64 + 2);
    assert_eq!(found.by_class[Class::Normal.index()], of_others, "{found:?}");
    assert_eq!(found.by_class[Class::Critical.index()], of_others, "{found:?}");
    assert!(found.left_out > 100_000 && found.in_gaps.is_empty(), "{found:?}");
    assert_eq!(found.by_class.iter().sum::<u64>() + found.left_out, bench.next as u64, "none is missing");
    assert_eq!(stats.lost_records(GapReason::Downsampled), found.left_out);
    assert_eq!(stats.lost_records_total.iter().sum::<u64>(), found.left_out, "{:?}", stats.lost_records_total);
    assert_eq!(stats.class(Class::Bulk).lost_records_total, found.left_out);
    assert!(bench.thread.stop());
}

#[test]
fn what_an_uplink_holds_stays_as_it_is_while_the_rest_is_thinned() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut bench = Bench::start(folder.path(), 4 << 20);
    let deadline = Instant::now() + Duration::from_secs(60);
    let holding = SeqRange { first: 100_000, last: 100_500 };
    bench.handle.hold("cloud", vec![holding]);
    while bench.next < 550_000 {
        assert!(Instant::now() < deadline, "{:?}", bench.stats());
        if bench.stats().pressure < buffer::Pressure::Downsample {
            bench.store(4_000);
        } else {
            thread::sleep(Duration::from_millis(10));
        }
    }
    let blocks = blocks(&bench, holding);
    assert!(blocks.iter().any(|block| block.class == Class::Bulk));
    let whole = |block: &buffer::Block| readings(block).len() as u64 == block.seqs.count();
    assert!(blocks.iter().all(whole), "nothing of it is left out");
    assert!(held(&bench).left_out > 0, "something else is");
    assert!(bench.thread.stop());
}

/// The blocks that have any of these seqs.
fn blocks(bench: &Bench, seqs: SeqRange) -> Vec<buffer::Block> {
    let (mut found, mut at) = (Vec::new(), seqs.first);
    while at <= seqs.last {
        let page = run(bench.handle.read(at, 1 << 20)).expect("the store runs");
        at = page.next;
        let blocks = page.items.into_iter().filter_map(|item| match item {
            Item::Block(block) => Some(block),
            Item::Gap(_) => None,
        });
        found.extend(blocks.filter(|block| block.seqs.first <= seqs.last && seqs.first <= block.seqs.last));
    }
    found
}

fn readings(block: &buffer::Block) -> Vec<Reading> {
    let mut readings = Vec::new();
    Decoder::new().expect("memory").decode_block(block, &mut readings).expect("a block");
    readings
}
