//! What reaches the device while every uplink keeps up, in real time, at a gateway's pace:
//! `cargo run --release -p buffer --example online -- DIR SECONDS [DEVICE]`
//!
//! Ten blocks of 2 KB a second, each acknowledged 100 ms later; turned every eighteen seconds and looked after every two, as
//! the gateway does. DEVICE is a name in /sys/block, for instance `loop0`, with nothing on it but DIR; its sectors are what
//! really was written, the file system's own among them.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use buffer::{Class, Log, Meta, NewBlock, Options, SeqRange, Store};

const BLOCK_BYTES: usize = 2_000;
const PACE: Duration = Duration::from_millis(100);
const TRIM_EVERY: u64 = 20;
const TURN_EVERY: u64 = 180;
const SECTOR_BYTES: u64 = 512;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().map(PathBuf::from).ok_or("say in which folder")?.join("buffer-online");
    let seconds: u64 = arguments.next().map_or(Ok(120), |text| text.parse())?;
    let device = arguments.next();
    let sectors = || device.as_deref().map_or(Ok(0), sectors_written);
    let before = sectors()?;
    let mut log = Log::open(&dir, &Options { age_max: None, ..Options::new(["uplink"]) })?;
    let (started, payload) = (Instant::now(), vec![0x5a; BLOCK_BYTES]);
    for tenth in 1..=seconds * 10 {
        std::thread::sleep((started + PACE * tenth as u32).saturating_duration_since(Instant::now()));
        let meta = Meta { count: 100, t_min_ns: 0, t_max_ns: 0, codec: 0, flags: 0, schema: 0 };
        let seqs = log.append(Class::Normal, &[NewBlock { meta, payload: &payload }])?.seqs;
        if seqs.first > 1 {
            log.acknowledge("uplink", &[SeqRange { first: 1, last: seqs.first - 1 }])?;
        }
        if tenth % TURN_EVERY == 0 {
            log.turn();
        }
        if tenth % TRIM_EVERY == 0 {
            if let Some(job) = log.begin_release()? {
                log.end_sync(job.run())?;
            }
            log.trim(None)?;
        }
    }
    let stats = log.stats();
    let payload_bytes = stats.payload_bytes_total as f64;
    println!("{:.1} KB of payload in {seconds} s", payload_bytes / 1e3);
    println!(
        "synced: {:.3} bytes a payload byte, in {} syncs",
        stats.device_bytes_total as f64 / payload_bytes,
        stats.syncs_total
    );
    if device.is_some() {
        let written = (sectors()? - before) * SECTOR_BYTES;
        println!("written to the device: {:.3} bytes a payload byte", written as f64 / payload_bytes);
    }
    Ok(())
}

/// Sectors that were ever written to a block device.
fn sectors_written(device: &str) -> std::io::Result<u64> {
    let stat = std::fs::read_to_string(format!("/sys/block/{device}/stat"))?;
    Ok(stat.split_whitespace().nth(6).and_then(|field| field.parse().ok()).unwrap_or(0))
}
