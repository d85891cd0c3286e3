//! What must hold for any bytes in the files of a log: it can be looked into, opens, reads without holes, and can be
//! written to. Run by the
//! fuzz targets, and by the tests over the corpus.
//!
//! Input: one byte that says what is done with the rest, then the rest, which harms one file of a real log.
//!
//! ```text
//! bit 0     the rest is the file; otherwise the rest are edits of the real one: place (2 bytes), what to xor (1 byte)
//! bit 1     the checksums are set right afterwards, so that nonsense gets past them
//! bit 2     the file lies alone; otherwise the other files of the log lie beside it
//! bits 3-4  which segment
//! ```

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::tested::disk::{Disk, FaultDisk};
use super::tested::{
    Block, Class, Identity, Inspector, Item, Log, Meta, NewBlock, Options, Seq, SeqRange, Sight, Store,
};

const DIR: &str = "/log";
const UPLINK: &str = "a";
/// Two fill a segment.
const PAYLOAD_BYTES: usize = 60_000;
const BLOCKS: u64 = 5;
const RECORDS: u64 = 2;
/// What the uplink has of them.
const ACKNOWLEDGED: u64 = 1;
/// Higher seqs are taken for damage. Only forged checksums bring a log there, and there it ends.
const SEQ_END: Seq = 1 << 62;
/// In 2026.
const NOW_NS: i64 = 1_780_000_000_000_000_000;

/// Runs `input` through the parser that the fuzz target of that name tests.
pub(crate) fn check(target: &str, input: &[u8]) {
    let Some((&how, rest)) = input.split_first() else { return };
    let harm = Harm { replaces: how & 1 > 0, mends: how & 2 > 0, isolates: how & 4 > 0 };
    match target {
        "segment" => {
            let which = usize::from(how >> 3 & 3) % real().segments.len();
            let (_, blocks) = survives(&harm, &real().segments[which], rest);
            assert!(harm.mends || harm.replaces || blocks.iter().all(is_real), "a block is as it was, or not there");
        }
        "ledger" => {
            let (_, blocks) = survives(&harm, &real().ledger, rest);
            assert!(harm.mends || harm.isolates || has_all(&blocks), "no block is lost with the ledger");
        }
        "identity" => {
            let (identity, blocks) = survives(&harm, &real().identity, rest);
            assert!(harm.isolates || has_all(&blocks), "no block is lost with the identity");
            let kept = identity.gateway == real().who.gateway && identity.epoch > real().who.epoch;
            assert!(harm.mends || harm.isolates || kept, "the identity is restored, the epoch rises");
        }
        other => panic!("there is no fuzz target {other}"),
    }
}

struct Harm {
    replaces: bool,
    mends: bool,
    isolates: bool,
}

/// A closed log: two sealed segments and one that was being written, a cursor, a gap.
struct Real {
    files: Vec<(PathBuf, Vec<u8>)>,
    segments: Vec<PathBuf>,
    ledger: PathBuf,
    identity: PathBuf,
    who: Identity,
}

fn real() -> &'static Real {
    static REAL: OnceLock<Real> = OnceLock::new();
    REAL.get_or_init(|| {
        let disk = FaultDisk::new(1);
        let mut log = open(&disk);
        for number in 0..BLOCKS {
            append(&mut log, number);
        }
        log.acknowledge(UPLINK, &[SeqRange::starting_at(1, ACKNOWLEDGED * RECORDS)]).expect("a cursor");
        log.discard(Class::Normal, 3, Some((1, 2))).expect("a gap");
        log.sync().expect("a sync");
        let who = log.identity();
        drop(log);
        let files: Vec<_> = disk.files().into_iter().map(|path| (path.clone(), disk.content(&path))).collect();
        let named = |start: &str| {
            let paths = files.iter().map(|(path, _)| path.clone());
            paths.filter(|path| path.to_string_lossy().starts_with(start)).collect::<Vec<_>>()
        };
        let (segments, ledgers) = (named("/log/normal/"), named("/log/ledger-"));
        assert_eq!((segments.len(), ledgers.len()), (3, 1));
        Real { segments, ledger: ledgers[0].clone(), identity: "/log/identity".into(), who, files }
    })
}

fn open(disk: &FaultDisk) -> Log {
    let options = Options { size_max_bytes: 1 << 20, ..Options::new([UPLINK]) };
    Log::open_on(Arc::new(disk.clone()), Path::new(DIR), &options).expect("no damage prevents a start")
}

fn append(log: &mut Log, number: u64) -> SeqRange {
    let t_min_ns = NOW_NS + number as i64;
    let meta = Meta { count: RECORDS as u32, t_min_ns, t_max_ns: t_min_ns + 1, codec: 0, flags: 0, schema: 0 };
    let block = NewBlock { meta, payload: &payload(number) };
    log.append(Class::Normal, &[block]).expect("it can be written to").seqs
}

fn payload(number: u64) -> Vec<u8> {
    vec![number as u8 + 1; PAYLOAD_BYTES]
}

fn is_real(block: &Block) -> bool {
    block.payload == payload((block.seqs.first - 1) / RECORDS)
}

fn has_all(blocks: &[Block]) -> bool {
    let wanted = ACKNOWLEDGED * RECORDS + 1..=BLOCKS * RECORDS;
    wanted.into_iter().all(|seq| blocks.iter().any(|block| block.seqs.contains(seq) && is_real(block)))
}

/// Lays the log out with `path` harmed. Whatever is in it, the log starts, reads, and is written and acknowledged to its
/// end. Returns who writes, and the blocks that were there.
fn survives(harm: &Harm, path: &Path, rest: &[u8]) -> (Identity, Vec<Block>) {
    let disk = FaultDisk::new(2);
    for (name, content) in &real().files {
        if name == path {
            put(&disk, name, &harmed(harm, content, rest));
        } else if !harm.isolates {
            put(&disk, name, content);
        }
    }
    let seen = seen_from_outside(&disk);
    let mut log = open(&disk);
    let (identity, next) = (log.identity(), log.stats().next_seq);
    let found = read_all(&mut log);
    assert!(found.iter().all(|block| seen.contains(block)), "what is read was seen from outside");
    assert_eq!(read_all(&mut log), found, "read again, it is the same");
    for t_ns in [i64::MIN, NOW_NS, i64::MAX] {
        assert!(log.seek(t_ns).expect("memory reads") <= next);
    }
    assert_eq!(append(&mut log, BLOCKS).first, next);
    drop(log);
    if next + RECORDS <= SEQ_END {
        is_settled(&disk, next + RECORDS);
    }
    (identity, found)
}

/// The blocks that an inspector sees; none where it finds no log.
fn seen_from_outside(disk: &FaultDisk) -> Vec<Block> {
    let inspector = match Inspector::open_on(Arc::new(disk.clone()), Path::new(DIR)) {
        Ok(inspector) => inspector,
        Err(error) => {
            assert!(error.is_not_found(), "damage is no error: {error}");
            return Vec::new();
        }
    };
    inspector.damaged_books().expect("memory reads");
    inspector.time_of(1).expect("memory reads");
    let mut seen = Vec::new();
    for segment in &inspector.overview().segments {
        let mut visit = |sight| {
            if let Sight::Block(block, _) = sight {
                seen.push(block);
            }
            ControlFlow::Continue(())
        };
        inspector.walk(segment, &mut visit).expect("damage is no error");
    }
    seen
}

/// Opened again, what was written is there; acknowledged, nothing is left to read.
fn is_settled(disk: &FaultDisk, next: Seq) {
    let mut log = open(disk);
    assert_eq!(log.stats().next_seq, next);
    let last = read_all(&mut log).pop().expect("what was written");
    assert_eq!((last.seqs.last, &last.payload[..]), (next - 1, &payload(BLOCKS)[..]));
    let low = log.cursor(UPLINK).expect("a cursor").low();
    log.acknowledge(UPLINK, &[SeqRange { first: low, last: next - 1 }]).expect("memory writes");
    log.sync().expect("memory syncs");
    log.trim(Some(NOW_NS)).expect("memory removes");
    assert_eq!(read_all(&mut log), []);
}

/// All blocks that the uplink has not got; between them are gaps, and no hole.
fn read_all(log: &mut Log) -> Vec<Block> {
    let (mut at, next) = (log.cursor(UPLINK).expect("a cursor").low(), log.stats().next_seq);
    let mut blocks = Vec::new();
    while at < next {
        let mut items = Vec::new();
        let resumes = log.read(at, 100_000, &mut items).expect("damage is no error");
        for item in items {
            let seqs = item.seqs();
            assert!(seqs.first <= at && at <= seqs.last && seqs.last < next, "{seqs} at {at} of {next}");
            at = seqs.last + 1;
            if let Item::Block(block) = item {
                blocks.push(block);
            }
        }
        assert_eq!(resumes, at);
    }
    blocks
}

fn put(disk: &FaultDisk, path: &Path, content: &[u8]) {
    disk.create_dir(path.parent().unwrap_or(path)).expect("a directory");
    disk.create(path).and_then(|file| file.write_at(0, content)).expect("a file");
}

fn harmed(harm: &Harm, content: &[u8], rest: &[u8]) -> Vec<u8> {
    let mut file = if harm.replaces { rest.to_vec() } else { edited(content, rest) };
    if harm.mends {
        mend_slots(&mut file);
        mend_frames(&mut file);
        mend_foot(&mut file);
    }
    file
}

/// Places with the highest bit set count from the end.
fn edited(content: &[u8], edits: &[u8]) -> Vec<u8> {
    let mut file = content.to_vec();
    for edit in edits.chunks_exact(3) {
        let place = usize::from(u16::from_be_bytes([edit[0] & 0x7f, edit[1]]));
        let at = if edit[0] & 0x80 == 0 { place } else { file.len().saturating_sub(place + 1) };
        if let Some(byte) = file.get_mut(at) {
            *byte ^= edit[2];
        }
    }
    file
}

/// The slots of an identity.
fn mend_slots(file: &mut [u8]) {
    for at in [0, 512] {
        if let Some(slot) = file.get_mut(at..at + 40).filter(|slot| slot.starts_with(b"FBLOGIDY")) {
            let crc = crc32c::crc32c(&slot[..36]);
            slot[36..].copy_from_slice(&crc.to_le_bytes());
        }
    }
}

/// The head of a segment or a ledger, and every frame behind it.
fn mend_frames(file: &mut [u8]) {
    let Some((head, mut frames)) = file.split_at_mut_checked(64).filter(|(head, _)| head.starts_with(b"FBLOGSEG"))
    else {
        return;
    };
    let crc = crc32c::crc32c(&head[..60]);
    head[60..].copy_from_slice(&crc.to_le_bytes());
    let salt = number(&head[12..]);
    while let Some((envelope, rest)) = std::mem::take(&mut frames).split_at_mut_checked(56) {
        let payload_bytes = number(&envelope[16..]) as usize;
        let Some((payload, next)) = rest.split_at_mut_checked(payload_bytes) else { return };
        let crc = crc32c::crc32c_append(crc32c::crc32c_append(salt, &envelope[..52]), payload);
        envelope[52..].copy_from_slice(&crc.to_le_bytes());
        frames = next;
    }
}

/// The index and the trailer of a segment.
fn mend_foot(file: &mut [u8]) {
    let Some(at) = file.len().checked_sub(64).filter(|at| file[*at..].starts_with(b"FBLOGEND")) else { return };
    let (rest, trailer) = file.split_at_mut(at);
    let index = rest.get(number(&trailer[16..]) as usize..).unwrap_or_default();
    trailer[56..60].copy_from_slice(&crc32c::crc32c(index).to_le_bytes());
    let crc = crc32c::crc32c(&trailer[..60]);
    trailer[60..].copy_from_slice(&crc.to_le_bytes());
}

fn number(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}
