//! Sizes, against real brokers: large batches and odd values to an old broker, batches as large as a topic takes, and what
//! it refuses.

use std::collections::HashSet;

use forebay::uplink::kafka::batch::{Compression, HEAD_BYTES, Stamp};
use hardware_sim::modbus::Plant;
use tests::field::Field;
use tests::kafka::{Cluster, Kafka, OLD};
use tests::site::Site;
use tests::subscriber::Received;
use tests::wait;

use super::asks::{Asks, Records, now_ms};
use super::crashes::{RECOVERS_WITHIN, exactly_once, of_flat};
use super::unusual::{arrive, readings};
use crate::rig::{Counting, PLC, tcp};

/// The largest that `batch` may be set to.
const BATCH_BYTES: usize = 1_000_000;

#[test]
fn large_batches_and_odd_values_reach_an_old_broker_and_strangers_read_them() {
    let Some(mut kafka) = Kafka::of(&Cluster { version: OLD, ..Cluster::default() }) else { return };
    kafka.create("plant", 1, &[]);
    kafka.kill(0);
    let field = Field::new();
    let plc = Counting::tcp(&field);
    plc.plant.write_holding(1, 10, &[0x8000, 0, 0, 0, 0xffff, 0xffff, 0xffff, 0xffff, 0x7fc0, 0]);
    let many: String = (0..40).map(|tag| format!("      Füllstand_{tag}: \"hr:0:UDINT\"\n")).collect();
    let site = Site::new(&format!(
        "gateway: test/größe\nevery: 50ms\ndevices:\n  {PLC}:\n    url: {}\n    tags:\n      n: \"hr:0:UDINT\"\n      \
         long: \"hr:10:LINT\"\n      big: \"hr:14:ULINT\"\n      nan: \"hr:18:REAL\"\n{many}uplinks:\n  lake:\n    url: \
         kafka://{}?compression=none&batch=1000000&status=off\n    topic: plant\n    drain: oldest-first\n",
        tcp(plc.address),
        kafka.bootstrap()
    ));
    let gateway = site.start();
    wait::for_it("a backlog waits", wait::SOON * 2, || plc.oracle.last() > 250);
    kafka.start_again(0);
    let mut asks = Asks::of(&kafka.bootstrap());
    arrive(&plc, &mut asks, "plant", 1);
    // The window of an uplink is a mebibyte, of which a batch gets what has come together.
    let largest = asks.batch_sizes("plant", 0).into_iter().max().unwrap_or(0);
    assert!(largest > 100_000, "the largest batch has {largest} bytes");
    kafka.create("large", 1, &[]);
    let large = "x".repeat(1 << 20);
    let stamp = Stamp { producer: asks.new_producer(), epoch: 0, sequence: 0 };
    let batch = Records { stamp, values: &[&large], time_ms: now_ms() };
    assert_eq!(asks.produce_in("large", &batch, Compression::None), (0, 0), "a batch of a mebibyte");
    assert!(gateway.terminate().success());
    let found = readings(&mut asks, "plant", 1);
    exactly_once(&found);
    plc.verdict(&found).must_be_perfect();
    let last = |tag: &str| found.iter().rev().find(|one| one.tag == tag).expect("a reading").value().clone();
    assert_eq!((last("long"), last("big"), last("nan")), (i64::MIN.into(), u64::MAX.into(), "NaN".into()));
    assert!(found.iter().all(|one| one.body["gateway"] == "test/größe"));
    let lines = kafka.console("plant", found.len());
    assert_eq!(lines.len(), found.len());
    assert!(lines.iter().any(|line| line.starts_with("plc/Füllstand_7\t{") && line.contains("test/größe")));
    assert!(lines.iter().any(|line| line.contains("18446744073709551615") && line.contains("plc/big")));
}

#[test]
fn a_record_that_the_broker_refuses_as_too_large_is_set_aside_and_the_rest_flows() {
    let Some(kafka) = Kafka::start() else { return };
    kafka.create("plant", 1, &["max.message.bytes=900"]);
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let wide = Plant::new();
    wide.write_holding(1, 0, &[12_345; 120]);
    let (_server, address) = field.tcp(&wide);
    let site = Site::new(&format!(
        "gateway: test/line\nevery: 100ms\ndevices:\n  {PLC}:\n    url: {}\n    tags: {{ n: \"hr:0:UDINT\" }}\n  wide:\n    \
         url: {}\n    every: 2s\n    tags: {{ row: \"hr:0:INT[120]\" }}\nuplinks:\n  lake:\n    url: \
         kafka://{}?compression=none&status=off\n    topic: plant\n",
        tcp(plc.address),
        tcp(address),
        kafka.bootstrap()
    ));
    let gateway = site.start();
    let mut asks = Asks::of(&kafka.bootstrap());
    let aside = site.buffer().join("quarantine/lake.jsonl");
    wait::for_it("wide records are set aside", RECOVERS_WITHIN, || {
        std::fs::read_to_string(&aside).is_ok_and(|text| text.lines().count() >= 2)
    });
    let text = std::fs::read_to_string(&aside).expect("a file");
    assert!(text.lines().all(|line| line.contains("MESSAGE_TOO_LARGE") && line.contains("row")), "{text}");
    arrive(&plc, &mut asks, "plant", 1);
    assert!(gateway.terminate().success());
    let declared = gaps(&mut asks, "plant");
    assert!(declared.len() >= 2 && declared.iter().all(|gap| gap["reason"] == "quarantined"), "{declared:?}");
    let found = readings(&mut asks, "plant", 1);
    plc.verdict(&found).must_be_perfect();
    let places: HashSet<u64> = found.iter().map(|one| one.seq).collect();
    assert_eq!(places.len(), found.len(), "none stands twice");
}

/// What a topic declares as never to come.
fn gaps(asks: &mut Asks, topic: &str) -> Vec<serde_json::Value> {
    let bodies = asks.records(topic, 0).into_iter().filter_map(|record| record.value);
    let bodies = bodies.map(|value| serde_json::from_slice::<serde_json::Value>(&value).expect("JSON"));
    bodies.filter_map(|body| body.get("gap").cloned()).collect()
}

/// The readings of a topic whose records are batches.
fn in_batches(asks: &mut Asks, topic: &str) -> Vec<Received> {
    let bodies = asks.records(topic, 0).into_iter().filter_map(|record| record.value);
    let bodies = bodies.map(|value| serde_json::from_slice::<serde_json::Value>(&value).expect("JSON"));
    bodies.flat_map(|body| of_batch(topic, &body)).collect()
}

fn of_batch(topic: &str, body: &serde_json::Value) -> Vec<Received> {
    let flat = |reading: &serde_json::Value| {
        let mut flat = reading.clone();
        for name in ["gateway", "device", "epoch", "lane"] {
            flat[name] = body[name].clone();
        }
        flat
    };
    body["readings"].as_array().expect("readings").iter().map(flat).map(|flat| of_flat(topic, flat)).collect()
}

#[test]
fn batches_come_near_what_a_topic_takes_and_never_beyond_it_and_halves_find_what_a_smaller_one_takes() {
    let Some(mut kafka) = Kafka::start() else { return };
    let near = format!("max.message.bytes={}", BATCH_BYTES + HEAD_BYTES);
    kafka.create("near", 1, &[&near]);
    kafka.create("small", 1, &["max.message.bytes=100000"]);
    kafka.kill(0);
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let many: String = (0..44).map(|tag| format!("      level_of_tank_{tag}: \"hr:0:UDINT\"\n")).collect();
    let uplink = |name: &str| {
        format!(
            "  {name}:\n    url: kafka://{}?compression=none&batch={BATCH_BYTES}&status=off&records=batches\n    \
             topic: {name}\n    drain: oldest-first\n",
            kafka.bootstrap()
        )
    };
    let site = Site::new(&format!(
        "gateway: test/line\nevery: 20ms\ndevices:\n  {PLC}:\n    url: {}\n    tags:\n      n: \
         \"hr:0:UDINT\"\n{many}uplinks:\n{}{}",
        tcp(plc.address),
        uplink("near"),
        uplink("small")
    ));
    let gateway = site.start();
    wait::for_it("a backlog waits", wait::SOON * 2, || plc.oracle.last() > 1_500);
    kafka.start_again(0);
    let mut asks = Asks::of(&kafka.bootstrap());
    let last = plc.oracle.last();
    for topic in ["near", "small"] {
        wait::for_it("everything arrives", RECOVERS_WITHIN, || {
            let found = in_batches(&mut asks, topic);
            found.iter().any(|one| one.tag == "n" && one.value().as_u64() >= Some(last))
        });
    }
    let log = gateway.log();
    assert!(gateway.terminate().success());
    let largest = |sizes: Vec<usize>| sizes.into_iter().max().unwrap_or(0);
    let (of_near, of_small) = (largest(asks.batch_sizes("near", 0)), largest(asks.batch_sizes("small", 0)));
    assert!((800_000..=BATCH_BYTES + HEAD_BYTES).contains(&of_near), "the largest batch has {of_near} bytes");
    assert!((30_000..=100_000).contains(&of_small), "the largest batch has {of_small} bytes");
    for topic in ["near", "small"] {
        let found = in_batches(&mut asks, topic);
        exactly_once(&found);
        plc.verdict(&found).must_be_perfect();
    }
    assert!(!log.contains("quarantine") && !log.contains("at least once"), "{log}");
    eprintln!("the largest batches have {of_near} and {of_small} bytes");
}
