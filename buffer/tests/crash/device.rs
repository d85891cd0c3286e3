//! What reaches the device, by its own count: ext4 on a loop device, as root.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use buffer::{Class, Log, NewBlock, Options, Store};

use crate::suite::mounted::Mounted;
use crate::suite::{meta, payload, range, rounds};

const MIB: u64 = 1 << 20;
const SECTOR_BYTES: u64 = 512;

/// Bytes that have ever reached the device of what is mounted, after all that waits was sent there.
fn device_bytes(mounted: &Mounted) -> u64 {
    let synced = Command::new("sync").arg("-f").arg(&mounted.at).status();
    assert!(synced.is_ok_and(|status| status.success()), "the file system syncs");
    let mounts = std::fs::read_to_string("/proc/mounts").expect("Linux");
    let is_ours = |line: &&str| line.split(' ').nth(1).is_some_and(|at| Path::new(at) == mounted.at);
    let device = mounts.lines().find(is_ours).and_then(|line| line.split(' ').next()).expect("it is mounted");
    let name = device.rsplit('/').next().unwrap_or_default();
    let stat = std::fs::read_to_string(format!("/sys/block/{name}/stat")).expect("a block device");
    let sectors: u64 = stat.split_whitespace().nth(6).and_then(|field| field.parse().ok()).expect("a number");
    sectors * SECTOR_BYTES
}

fn options() -> Options {
    Options { age_max: None, ..Options::new(["a"]) }
}

fn append(log: &mut Log, payload: &[u8]) -> u64 {
    log.append(Class::Normal, &[NewBlock { meta: meta(100, 0), payload }]).expect("an append").seqs.last
}

#[test]
fn a_backlog_costs_the_device_a_tenth_more_than_its_payload_at_most() {
    let folder = tempfile::tempdir().expect("a folder");
    let bytes = rounds(64, 512) * MIB;
    let Some(mounted) = Mounted::make(folder.path(), bytes + 128 * MIB, "") else { return };
    let before = device_bytes(&mounted);
    let mut log = Log::open(&mounted.at.join("log"), &options()).expect("a log");
    let payload = payload(1, 4096);
    for _ in 0..bytes / 4096 {
        append(&mut log, &payload);
    }
    log.sync().expect("a sync");
    let ratio = (device_bytes(&mounted) - before) as f64 / bytes as f64;
    eprintln!("{ratio:.3} bytes reached the device for each byte of payload");
    assert!(ratio <= 1.1, "{ratio}");
}

/// Three minutes at a gateway's pace, with the journal of ext4 written every half minute, as the README advises for cards. In
/// real time only when `FOREBAY_TEST_LONG` says something; else twenty times as fast, so that the system writes nothing by
/// itself and what counts is what the store has it write.
#[test]
fn while_every_uplink_keeps_up_a_fifth_of_the_payload_reaches_the_device_at_most() {
    const BLOCK_BYTES: usize = 2_000;
    const TENTHS: u64 = 1_800;
    let tenth_of_a_second = Duration::from_millis(rounds(5, 100));
    let folder = tempfile::tempdir().expect("a folder");
    let Some(mounted) = Mounted::make(folder.path(), 128 * MIB, ",commit=30") else { return };
    let before = device_bytes(&mounted);
    let mut log = Log::open(&mounted.at.join("log"), &options()).expect("a log");
    let (started, payload) = (Instant::now(), payload(1, BLOCK_BYTES));
    for tenth in 1..=TENTHS {
        std::thread::sleep((started + tenth_of_a_second * tenth as u32).saturating_duration_since(Instant::now()));
        let last = append(&mut log, &payload);
        if last > 100 {
            log.acknowledge("a", &[range(1, last - 100)]).expect("an acknowledgement");
        }
        if tenth % 180 == 0 {
            log.turn();
        }
        if tenth % 20 == 0 {
            if let Some(job) = log.begin_release().expect("the ledger is written") {
                log.end_sync(job.run()).expect("the ledger is synced");
            }
            log.trim(None).expect("a trim");
        }
    }
    let ratio = (device_bytes(&mounted) - before) as f64 / (TENTHS * BLOCK_BYTES as u64) as f64;
    eprintln!("{ratio:.3} bytes reached the device for each byte of payload");
    assert!(ratio <= 0.2, "{ratio}");
}
