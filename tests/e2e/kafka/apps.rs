//! Kafka Streams and Kafka Connect read what the gateway writes as it stands, with nothing but what they bring themselves.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tests::field::Field;
use tests::kafka::Kafka;
use tests::site::Site;
use tests::subscriber::Received;
use tests::wait;

use super::asks::Asks;
use super::crashes::{PARTITIONS, RECOVERS_WITHIN, TOPIC, all, exactly_once, file};
use crate::rig::Counting;

/// The topic whose records are batches.
const BATCHES: &str = "batches";

#[test]
fn kafka_streams_and_kafka_connect_read_the_records_as_they_stand() {
    let Some(kafka) = Kafka::start() else { return };
    kafka.create(TOPIC, PARTITIONS as usize, &[]);
    kafka.create(BATCHES, 1, &[]);
    let Some(mut sink) = kafka.connect(&[TOPIC, BATCHES]) else { return };
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let second =
        format!("  second:\n    url: kafka://{}?records=batches&status=off\n    topic: {BATCHES}\n", kafka.bootstrap());
    let site = Site::new(&(file(&plc, &kafka.bootstrap()) + &second));
    let gateway = site.start();
    let mut asks = Asks::of(&kafka.bootstrap());
    wait::for_it("readings arrive", RECOVERS_WITHIN, || plc.oracle.last() > 40 && all(&mut asks).len() > 100);
    assert!(gateway.terminate().success(), "the gateway ends well after SIGTERM");
    let readings = all(&mut asks);
    exactly_once(&readings);

    let Some(found) = kafka.streams(TOPIC, readings.len()) else { return };
    assert_eq!(found, by_key(&readings));

    let batches = asks.records(BATCHES, 0);
    let lines = wait::until("Kafka Connect has written all", RECOVERS_WITHIN, || {
        Some(sink.lines()).filter(|lines| lines.len() >= readings.len() + batches.len())
    });
    let (of_batches, flat): (Vec<String>, Vec<String>) = lines.into_iter().partition(|line| line.contains("readings="));
    let written: BTreeSet<BTreeSet<String>> = flat.iter().map(|line| fields(line)).collect();
    assert_eq!((written, flat.len()), (readings.iter().map(as_java_prints).collect(), readings.len()));
    assert_eq!(of_batches.len(), batches.len());
    let written: usize = of_batches.iter().map(|line| line.matches("quality=good").count()).sum();
    assert_eq!(written, batches.iter().map(in_batch).sum::<usize>());
}

/// What the program of Kafka Streams should find.
fn by_key(readings: &[Received]) -> Vec<Value> {
    let mut keys: BTreeMap<String, Value> = BTreeMap::new();
    for reading in readings {
        let key = format!("{}/{}", reading.device, reading.tag);
        let before = keys.get(&key).and_then(|found| found["readings"].as_u64()).unwrap_or(0);
        let found = json!({ "key": key, "readings": before + 1, "in_order": true, "last": reading.body });
        keys.insert(key, found);
    }
    keys.into_values().collect()
}

/// A map of Java as it prints it: {name=value, …}.
fn fields(line: &str) -> BTreeSet<String> {
    line.trim_start_matches('{').trim_end_matches('}').split(", ").map(str::to_owned).collect()
}

fn as_java_prints(reading: &Received) -> BTreeSet<String> {
    let printed = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let body = reading.body.as_object().expect("an object");
    body.iter().map(|(name, value)| format!("{name}={}", printed(value))).collect()
}

fn in_batch(record: &forebay::uplink::kafka::batch::Record) -> usize {
    let body: Value = serde_json::from_slice(record.value.as_deref().expect("a value")).expect("JSON");
    body["readings"].as_array().expect("readings").len()
}
