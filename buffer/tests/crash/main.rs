//! The store under every kind of crash: what was accepted survives a kill, what was synced survives a power cut,
//! damage costs what it touches, and every loss is told.

mod bounds;
mod classes;
mod contract;
mod inspect;
mod kill;
mod model;
mod nth_call;
mod replace;
mod rest;
mod syncs;

use std::path::Path;
use std::sync::Arc;

use buffer::disk::FaultDisk;
use buffer::{Block, Class, Gap, Item, Log, Meta, NewBlock, Options, Seq, SeqRange, Store};

/// Where the log lies on a disk in memory.
const DIR: &str = "/log";

/// 128 KiB segments, nothing dropped for its age.
fn small(uplinks: &[&str]) -> Options {
    Options { size_max_bytes: 1 << 20, age_max: None, ..Options::new(uplinks.iter().copied()) }
}

/// 128 KiB would be too small for the bound to stay out of the way: 1 MiB segments, 8 MiB in all.
fn roomy(uplinks: &[&str]) -> Options {
    Options { size_max_bytes: 8 << 20, ..small(uplinks) }
}

fn open(disk: &FaultDisk, options: &Options) -> Log {
    Log::open_on(Arc::new(disk.clone()), Path::new(DIR), options).expect("the log opens")
}

/// The payload of the `number`th block: its own, and different at every byte from its neighbours'.
fn payload(number: u64, bytes: usize) -> Vec<u8> {
    (0..bytes as u64).map(|i| (number.wrapping_mul(31).wrapping_add(i * 7) >> 1) as u8).collect()
}

fn meta(count: u32, t_ns: i64) -> Meta {
    Meta { count, t_min_ns: t_ns, t_max_ns: t_ns + 9, codec: 3, flags: 1, schema: 5 }
}

/// Appends one block of `count` records, dated by `number`.
fn append(log: &mut Log, number: u64, count: u32, bytes: usize) -> buffer::Result<SeqRange> {
    append_of(log, Class::Normal, number, count, bytes)
}

fn append_of(log: &mut Log, class: Class, number: u64, count: u32, bytes: usize) -> buffer::Result<SeqRange> {
    let block = NewBlock { meta: meta(count, number as i64 * 10), payload: &payload(number, bytes) };
    log.append(class, &[block]).map(|appended| appended.seqs)
}

/// Reads everything from `from` on in small pieces and checks that it has no holes.
fn read_all(log: &mut Log, from: Seq) -> Vec<Item> {
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

fn blocks(items: &[Item]) -> Vec<&Block> {
    items.iter().filter_map(|item| if let Item::Block(block) = item { Some(block) } else { None }).collect()
}

fn gaps(items: &[Item]) -> Vec<&Gap> {
    items.iter().filter_map(|item| if let Item::Gap(gap) = item { Some(gap) } else { None }).collect()
}

fn range(first: Seq, last: Seq) -> SeqRange {
    SeqRange { first, last }
}

/// The segments on a disk, sorted by name.
fn segment_files(disk: &FaultDisk) -> Vec<std::path::PathBuf> {
    disk.files().into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "seg")).collect()
}
