//! A backlog as large as an outage of weeks leaves it, grown out of what a gateway wrote within seconds.

use std::path::Path;

use buffer::{Block, Class, Item, Log, NewBlock, Options, Seq, Store};

/// So much is read at once.
const READ_BYTES: usize = 256 << 10;

/// Appends the blocks that `uplink` has not got yet again and again, each under new seqs, until the payloads that wait have
/// `bytes`. No gateway runs on the folder meanwhile. Returns how many readings wait.
///
/// # Panics
/// Nothing waits there, or the disk refuses.
pub fn grow(buffer: &Path, uplink: &str, bytes: u64) -> u64 {
    let options = Options { age_max: None, ..Options::new([uplink]) };
    let mut log = Log::open(buffer, &options).expect("no gateway runs there");
    let low = log.cursor(uplink).expect("it is declared").low();
    let blocks = waiting(&mut log, low);
    assert!(!blocks.is_empty(), "something waits for {uplink}");
    let mut waiting_bytes: u64 = blocks.iter().map(|block| block.payload.len() as u64).sum();
    let copies: Vec<NewBlock> =
        blocks.iter().map(|block| NewBlock { meta: block.meta, payload: &block.payload }).collect();
    for copy in copies.iter().cycle() {
        if waiting_bytes >= bytes {
            break;
        }
        log.append(Class::Normal, std::slice::from_ref(copy)).expect("there is room");
        waiting_bytes += copy.payload.len() as u64;
    }
    log.sync().expect("the disk takes it");
    log.stats().next_seq - low
}

fn waiting(log: &mut Log, low: Seq) -> Vec<Block> {
    let (mut from, mut blocks) = (low, Vec::new());
    loop {
        let mut items = Vec::new();
        from = log.read(from, READ_BYTES, &mut items).expect("it can be read");
        if items.is_empty() {
            return blocks;
        }
        blocks.extend(items.into_iter().filter_map(|item| match item {
            Item::Block(block) => Some(block),
            Item::Gap(_) => None,
        }));
    }
}
