//! Each format beside JSON, from the same readings, read by decoders that are not ours.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tests::broker::Broker;
use tests::decoders::{Encoded, decode};
use tests::field::Field;
use tests::site::Site;
use tests::subscriber::Subscriber;
use tests::wait;

use crate::rig::{COUNTER, Counting, PLC, answers, counting_device, tcp};

/// The uplinks: name and topic's root, what is configured, and how its payload is read.
const UPLINKS: [(&str, &str, &str); 7] = [
    ("plain", "topic: 'plain/{device}'", "json"),
    ("gzip", "topic: 'gzip/{device}', compression: gzip", "gzip"),
    ("zstd", "topic: 'zstd/{device}', compression: zstd", "zstd"),
    ("compact", "topic: 'compact/{device}', format: json-compact", "json"),
    ("lines", "topic: 'lines/{device}', format: line-protocol", "line-protocol"),
    (
        "template",
        "topic: 'template/{device}/{tag}', format: template, payload: '{\"n\":{value:json},\"s\":{seq}}', retain: values",
        "json",
    ),
    ("raw", "topic: 'raw/{device}/{tag}', format: raw", "text"),
];

/// By uplink: the counter's good values with their seqs, or 0 where the format does not tell them.
type Series = BTreeMap<String, BTreeMap<u64, u64>>;

fn note(series: &mut Series, uplink: &str, content: &Value) {
    let good = match uplink {
        "plain" | "gzip" | "zstd" => {
            let readings = content["readings"].as_array().map(Vec::as_slice).unwrap_or_default();
            readings.iter().filter_map(|one| Some((one["value"].as_u64()?, one["seq"].as_u64()?))).collect()
        }
        "compact" => compact(content),
        "lines" => content.as_array().map(Vec::as_slice).unwrap_or_default().iter().filter_map(line).collect(),
        "template" => content["n"].as_u64().zip(content["s"].as_u64()).into_iter().collect(),
        _ => {
            content.as_str().and_then(|text| text.parse().ok()).map(|value| (value, 0)).into_iter().collect::<Vec<_>>()
        }
    };
    series.entry(uplink.to_owned()).or_default().extend(good);
}

/// `[tag, value, later, skipped, doubts]`, what is absent being nothing.
fn compact(content: &Value) -> Vec<(u64, u64)> {
    let mut seq = content["seq"].as_u64().unwrap_or_default();
    let mut good = Vec::new();
    for (nth, row) in content["readings"].as_array().map(Vec::as_slice).unwrap_or_default().iter().enumerate() {
        seq += row[3].as_u64().unwrap_or_default() + u64::from(nth > 0);
        good.extend(row[1].as_u64().map(|value| (value, seq)));
    }
    good
}

fn line(line: &Value) -> Option<(u64, u64)> {
    assert_eq!((&line["measurement"], &line["tags"]["gateway"]), (&json!(PLC), &json!("test/line")));
    Some((line["fields"][COUNTER].as_u64()?, line["fields"]["_seq"].as_u64()?))
}

#[test]
fn every_format_says_the_same_to_a_decoder_that_is_not_ours() {
    let Some(broker) = Broker::start() else { return };
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let recorder = Subscriber::start(broker.address());
    let uplinks: String = UPLINKS
        .iter()
        .map(|(name, keys, _)| format!("  {name}: {{ url: '{}', {keys} }}\n", broker.url("mqtt")))
        .collect();
    let device = counting_device(PLC, &tcp(plc.address));
    let site = Site::new(&format!("gateway: test/line\nevery: 100ms\ndevices:\n{device}uplinks:\n{uplinks}"));
    let gateway = site.start();
    let arrived = |topic: &str| {
        let is_of = |name: &str| name.split('/').next() == topic.split('/').next();
        recorder.with(|all| {
            all.others.iter().filter(|(name, _)| is_of(name)).count()
                + all.readings.iter().filter(|reading| is_of(&reading.topic)).count()
        })
    };
    answers(&plc.oracle, 20);
    wait::for_it("every uplink delivers", wait::SOON, || UPLINKS.iter().all(|(name, ..)| arrived(name) > 15));
    assert!(gateway.terminate().success());

    let others = recorder.with(|recorded| recorded.others.clone());
    let format_of = |topic: &str| {
        let root = topic.split('/').next().unwrap_or_default();
        UPLINKS.iter().find(|(name, ..)| *name == root).map(|(.., format)| *format)
    };
    let encoded =
        others.iter().filter_map(|(topic, payload)| Some(Encoded { topic, format: format_of(topic)?, payload }));
    let Some(decoded) = decode(encoded) else { return };
    let mut series = Series::new();
    for reading in recorder.readings().iter().filter(|reading| reading.topic.starts_with("plain/")) {
        let value = reading.value().as_u64().map(|value| (value, reading.seq));
        series.entry("plain".into()).or_default().extend(value);
    }
    for (topic, content) in &decoded {
        note(&mut series, topic.split('/').next().unwrap_or_default(), content);
    }
    let plain = series.get("plain").cloned().unwrap_or_default();
    assert!(plain.len() > 15, "{series:?}");
    for (name, ..) in UPLINKS {
        let told = series.get(name).unwrap_or_else(|| panic!("{name} has told nothing"));
        for (value, seq) in told {
            let expected = plain.get(value).unwrap_or_else(|| panic!("{name} tells of {value}, which nobody read"));
            assert!(*seq == *expected || name == "raw", "{name}: {value} is {seq}, not {expected}");
        }
        assert!(told.len() >= plain.len() - 2, "{name} has told {} of {}", told.len(), plain.len());
    }
    let late = Subscriber::start(broker.address());
    wait::for_it("who comes later sees the last value", wait::SOON, || {
        late.with(|seen| seen.others.iter().any(|(topic, _)| topic == "template/plc/n"))
    });
}
