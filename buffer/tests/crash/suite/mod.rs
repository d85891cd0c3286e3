//! The contract and the crash suite that every store must pass: what was accepted survives a kill, what was synced survives
//! a power cut, and every loss is told.

mod bounds;
mod classes;
mod contract;
mod delivered;
mod leaving;
mod kill;
mod model;
pub(crate) mod mounted;
mod nth_call;
mod power;
mod replace;
mod syncs;

use std::path::Path;

use buffer::disk::FaultDisk;
use buffer::{Block, Class, Gap, Item, Log, Meta, NewBlock, Options, Seq, SeqRange, Store};

/// Where the log lies on a disk in memory.
pub(crate) const DIR: &str = "/log";

/// 128 KiB segments, nothing dropped for its age.
pub(crate) fn small(uplinks: &[&str]) -> Options {
    Options { size_max_bytes: 1 << 20, age_max: None, ..Options::new(uplinks.iter().copied()) }
}

/// 128 KiB would be too small for the bound to stay out of the way: 1 MiB segments, 8 MiB in all.
pub(crate) fn roomy(uplinks: &[&str]) -> Options {
    Options { size_max_bytes: 8 << 20, ..small(uplinks) }
}

pub(crate) fn try_to_open(disk: &FaultDisk, options: &Options) -> buffer::Result<Log> {
    Log::open_on(crate::seen_by_the_store(disk), Path::new(DIR), options)
}

pub(crate) fn open(disk: &FaultDisk, options: &Options) -> Log {
    try_to_open(disk, options).expect("the log opens")
}

/// How often something is done: more often when `FOREBAY_TEST_LONG` says something.
pub(crate) fn rounds(usual: u64, long: u64) -> u64 {
    if std::env::var("FOREBAY_TEST_LONG").is_ok_and(|value| !value.is_empty()) { long } else { usual }
}

/// The payload of the `number`th block: its own, and different at every byte from its neighbours'.
pub(crate) fn payload(number: u64, bytes: usize) -> Vec<u8> {
    (0..bytes as u64).map(|i| (number.wrapping_mul(31).wrapping_add(i * 7) >> 1) as u8).collect()
}

pub(crate) fn meta(count: u32, t_ns: i64) -> Meta {
    Meta { count, t_min_ns: t_ns, t_max_ns: t_ns + 9, codec: 3, flags: 1, schema: 5 }
}

/// Appends one block of `count` records, dated by `number`.
pub(crate) fn append(log: &mut Log, number: u64, count: u32, bytes: usize) -> buffer::Result<SeqRange> {
    append_of(log, Class::Normal, number, count, bytes)
}

pub(crate) fn append_of(
    log: &mut Log,
    class: Class,
    number: u64,
    count: u32,
    bytes: usize,
) -> buffer::Result<SeqRange> {
    let block = NewBlock { meta: meta(count, number as i64 * 10), payload: &payload(number, bytes) };
    log.append(class, &[block]).map(|appended| appended.seqs)
}

/// Reads everything from `from` on in small pieces and checks that it has no holes.
pub(crate) fn read_all(log: &mut Log, from: Seq) -> Vec<Item> {
    let mut items = Vec::new();
    let mut pos = from;
    loop {
        let before = items.len();
        let next = log.read(pos, 10_000, &mut items).expect("the disk reads");
        let mut expected = pos;
        for item in &items[before..] {
            let seqs = item.seqs();
            let begins_before = matches!(item, Item::Block(_)) && expected == pos;
            assert!(
                seqs.first == expected || begins_before && seqs.contains(expected),
                "{seqs} where {expected} is next"
            );
            expected = seqs.last + 1;
        }
        if items.len() == before {
            assert_eq!(next, log.stats().next_seq.max(from), "a read that yields nothing is at the end");
            return items;
        }
        assert_eq!(next, expected);
        pos = next;
    }
}

pub(crate) fn blocks(items: &[Item]) -> Vec<&Block> {
    items.iter().filter_map(|item| if let Item::Block(block) = item { Some(block) } else { None }).collect()
}

pub(crate) fn gaps(items: &[Item]) -> Vec<&Gap> {
    items.iter().filter_map(|item| if let Item::Gap(gap) = item { Some(gap) } else { None }).collect()
}

pub(crate) fn range(first: Seq, last: Seq) -> SeqRange {
    SeqRange { first, last }
}

/// The segments as the store sees them, sorted by name.
pub(crate) fn segment_files(disk: &FaultDisk) -> Vec<std::path::PathBuf> {
    let mut paths = disk.files();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "seg"));
    paths.extend(crate::generations_of(disk));
    paths.sort();
    paths
}
