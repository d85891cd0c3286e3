//! What every uplink has acknowledged: it is at risk no more, and its files go before they need ever reach the device.

use buffer::disk::FaultDisk;
use buffer::{ClassOptions, Keep, Log, Options, Store};

use super::{append, blocks, gaps, open, range, read_all, segment_files, small};

const BYTES: usize = 2_000;

/// As a gateway does whose uplink keeps up: ten blocks a second, acknowledged a moment later; turned every twenty seconds,
/// and looked after every two.
fn online(log: &mut Log, from: u64, seconds: u64) {
    for second in 0..seconds {
        for tenth in 0..10 {
            let number = from + second * 10 + tenth;
            append(log, number, 1, BYTES).expect("an append");
            if number > 0 {
                log.acknowledge("a", &[range(number, number)]).expect("an acknowledgement");
            }
        }
        assert!(log.unsynced_bytes() < 3 * BYTES as u64, "what is delivered is at risk no more");
        if second % 20 == 19 {
            log.turn();
        }
        if second % 2 == 1 {
            if let Some(job) = log.begin_release().expect("the ledger is written") {
                log.end_sync(job.run()).expect("the ledger is synced");
            }
            log.trim(None).expect("a trim");
        }
    }
}

#[test]
fn while_uplinks_keep_up_next_to_nothing_is_synced_and_a_kill_loses_nothing() {
    let disk = FaultDisk::new(1);
    let mut log = open(&disk, &small(&["a"]));
    online(&mut log, 0, 200);
    let stats = log.stats();
    let ratio = stats.device_bytes_total as f64 / stats.payload_bytes_total as f64;
    assert!(ratio < 0.1, "{ratio} bytes were synced for each byte of payload");
    assert!(stats.disk_bytes < 1_000_000 && segment_files(&disk).len() <= 2);
    drop(log);
    disk.kill();
    let mut log = open(&disk, &small(&["a"]));
    let low = log.cursor("a").expect("a cursor").low();
    let items = read_all(&mut log, low);
    assert_eq!((blocks(&items).len(), gaps(&items).len(), low), (1, 0, 2_000));
}

#[test]
fn what_is_not_delivered_is_at_risk_until_it_is_synced() {
    let disk = FaultDisk::new(1);
    let mut log = open(&disk, &small(&["a", "b"]));
    for number in 0..10 {
        append(&mut log, number, 1, BYTES).expect("an append");
    }
    log.acknowledge("a", &[range(1, 10)]).expect("an acknowledgement");
    assert_eq!(log.at_risk(), Some(1), "b has nothing");
    log.acknowledge("b", &[range(1, 4)]).expect("an acknowledgement");
    assert_eq!(log.at_risk(), Some(5));
    log.sync().expect("a sync");
    assert_eq!((log.at_risk(), log.unsynced_bytes()), (None, 0));
    drop(log);
    disk.power_cut();
    let mut log = open(&disk, &small(&["a", "b"]));
    assert_eq!((blocks(&read_all(&mut log, 5)).len(), gaps(&read_all(&mut log, 5)).len()), (6, 0));
}

#[test]
fn a_power_cut_online_takes_nothing_that_was_at_risk_for_long() {
    for seed in 0..40 {
        let disk = FaultDisk::new(seed);
        let mut log = open(&disk, &small(&["a"]));
        online(&mut log, 0, 20 + seed % 30);
        let low = log.cursor("a").expect("a cursor").low();
        // The uplink is gone from here on, and the caller syncs what has been at risk for its interval.
        let first = log.stats().next_seq;
        for number in first - 1..first + 20 {
            append(&mut log, number, 1, BYTES).expect("an append");
        }
        log.sync().expect("a sync");
        drop(log);
        disk.power_cut();
        let mut log = open(&disk, &small(&["a"]));
        assert!(log.cursor("a").expect("a cursor").low() >= low, "the sync took the cursor along");
        let items = read_all(&mut log, low);
        assert_eq!(
            (gaps(&items).len(), items.last().map(|item| item.seqs().last)),
            (0, Some(first + 20)),
            "seed {seed}"
        );
    }
}

#[test]
fn history_that_is_to_be_kept_is_not_turned_away() {
    let keep = Keep { bytes_max: 400_000, age_max: None };
    let options = Options { classes: [ClassOptions { keep, ..ClassOptions::default() }; 3], ..small(&["a"]) };
    let disk = FaultDisk::new(1);
    let mut log = open(&disk, &options);
    online(&mut log, 0, 60);
    assert!(log.stats().first_seq < 450 && segment_files(&disk).len() >= 3);
}
