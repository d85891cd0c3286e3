//! An outage and the drain after it, measured:
//! `cargo run --release -p buffer --example backlog -- [DIR] [MIB] [BLOCK_BYTES] [log|sled]`
//!
//! Fills a log in a new folder under DIR (default: the system's temporary one), ends it as a kill would, opens it again,
//! reads, acknowledges and trims until it is empty, and removes it. Figures come from /proc, so this runs on Linux only.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use buffer::{Class, Engine, Item, Log, Meta, NewBlock, Options, Store};

const MIB: f64 = 1024.0 * 1024.0;
const RECORDS_PER_BLOCK: u32 = 100;
const READ_BYTES: usize = 256 * 1024;
/// A kernel tick in /proc/self/stat.
const TICK: Duration = Duration::from_millis(10);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let parent = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let mib: u64 = arguments.next().map_or(Ok(1024), |text| text.parse())?;
    let block_bytes: usize = arguments.next().map_or(Ok(4096), |text| text.parse())?;
    let engine = match arguments.next().as_deref() {
        Some("sled") => Engine::Sled,
        _ => Engine::Log,
    };
    let dir = parent.join(format!("buffer-backlog-{}", std::process::id()));
    let result = measure(&dir, mib << 20, block_bytes, engine);
    std::fs::remove_dir_all(&dir)?;
    result
}

fn measure(
    dir: &std::path::Path,
    payload_bytes: u64,
    block_bytes: usize,
    engine: Engine,
) -> Result<(), Box<dyn std::error::Error>> {
    let options = Options { engine, size_max_bytes: 4 * payload_bytes, age_max: None, ..Options::new(["uplink"]) };
    let blocks = payload_bytes / block_bytes as u64;
    println!("{engine:?}: {blocks} blocks of {block_bytes} bytes, {:.0} MiB", payload_bytes as f64 / MIB);

    let mut log = Log::open(dir, &options)?;
    let written_before = device_bytes()?;
    let append = Phase::begin()?;
    fill(&mut log, blocks, block_bytes)?;
    append.end("append", payload_bytes, blocks)?;
    log.sync()?;
    let to_device = device_bytes()? - written_before;
    println!("  handed to the device: {:.3} bytes a payload byte", to_device as f64 / payload_bytes as f64);
    println!("  handed to the system: {:.3}", log.stats().written_bytes_total as f64 / payload_bytes as f64);
    drop(log);

    let started = Instant::now();
    let mut log = Log::open(dir, &options)?;
    println!("open again: {:.1} ms, {} segments", started.elapsed().as_secs_f64() * 1e3, log.stats().segments);
    let before = log.stats().disk_bytes;
    let drain = Phase::begin()?;
    let read = drain_all(&mut log)?;
    drain.end("read, acknowledge and trim", read, blocks)?;
    let after = log.stats().disk_bytes;
    println!("  on disk: {:.1} -> {:.1} MiB", before as f64 / MIB, after as f64 / MIB);
    println!("peak memory: {:.1} MiB", peak_memory_bytes()? as f64 / MIB);
    Ok(())
}

/// Appends blocks that differ from each other.
fn fill(log: &mut Log, blocks: u64, block_bytes: usize) -> buffer::Result<()> {
    let mut payload = vec![0x5a; block_bytes];
    for number in 0..blocks {
        let t_ns = number as i64 * 1_000_000;
        let stamp = number.to_le_bytes();
        let stamp_bytes = stamp.len().min(block_bytes);
        payload[..stamp_bytes].copy_from_slice(&stamp[..stamp_bytes]);
        let meta = Meta { count: RECORDS_PER_BLOCK, t_min_ns: t_ns, t_max_ns: t_ns, codec: 0, flags: 0, schema: 0 };
        log.append(Class::Normal, &[NewBlock { meta, payload: &payload }])?;
    }
    Ok(())
}

/// Reads to the end; returns the payload bytes.
fn drain_all(log: &mut Log) -> buffer::Result<u64> {
    let (mut items, mut bytes) = (Vec::new(), 0);
    let mut next = log.cursor("uplink").map_or(1, |cursor| cursor.low());
    let mut last_trim = Instant::now();
    loop {
        items.clear();
        let from = next;
        next = log.read(from, READ_BYTES, &mut items)?;
        if items.is_empty() {
            break;
        }
        for item in &items {
            if let Item::Block(block) = item {
                bytes += block.payload.len() as u64;
            }
        }
        log.acknowledge("uplink", &[buffer::SeqRange { first: from, last: next - 1 }])?;
        if last_trim.elapsed() > Duration::from_millis(200) {
            log.sync()?;
            log.trim(None)?;
            last_trim = Instant::now();
        }
    }
    log.sync()?;
    log.trim(None)?;
    Ok(bytes)
}

/// Wall and CPU time of a piece of work.
struct Phase {
    started: Instant,
    cpu: Duration,
}

impl Phase {
    fn begin() -> std::io::Result<Self> {
        Ok(Self { started: Instant::now(), cpu: cpu_time()? })
    }

    fn end(self, what: &str, bytes: u64, blocks: u64) -> std::io::Result<()> {
        let (wall, cpu) = (self.started.elapsed(), cpu_time()? - self.cpu);
        let per_gb = cpu.as_secs_f64() / (bytes as f64 / 1e9);
        let per_block_us = cpu.as_secs_f64() * 1e6 / blocks as f64;
        println!("{what}: {per_gb:.2} CPU-s/GB, {per_block_us:.2} us CPU a block, {:.2} s wall", wall.as_secs_f64());
        Ok(())
    }
}

/// User and system time of this process.
fn cpu_time() -> std::io::Result<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u32>().ok()).unwrap_or(0);
    Ok(TICK * (ticks(11) + ticks(12)))
}

/// Bytes that this process caused to be written to devices.
fn device_bytes() -> std::io::Result<u64> {
    number_in("/proc/self/io", "write_bytes:")
}

fn peak_memory_bytes() -> std::io::Result<u64> {
    Ok(number_in("/proc/self/status", "VmHWM:")? * 1024)
}

fn number_in(path: &str, name: &str) -> std::io::Result<u64> {
    let text = std::fs::read_to_string(path)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    Ok(line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0))
}
