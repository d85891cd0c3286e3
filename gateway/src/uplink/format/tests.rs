//! The list of formats, and what each takes of the network: a poll of 125 registers, as the other figures are measured.

use std::sync::Arc;

use driver_core::{ClockState, Quality, Reading, TagId, Tense, Timestamp, Value};

use super::testkit::{NOON, spec};
use super::*;
use crate::pipeline::schema::SchemaBuilder;
use crate::uplink::mqtt::Mqtt;
use crate::uplink::{UPLINKS, Uplink};

/// Bytes of payload a reading, in a batch of one device.
fn bytes_a_reading(kind: &dyn FormatKind) -> f64 {
    const TAGS: u32 = 125;
    let mut builder = SchemaBuilder::default();
    builder.device("press");
    (0..TAGS).for_each(|tag| builder.tag(&format!("tag{tag:03}"), ""));
    let reading = |tag| Reading {
        tag: TagId(tag),
        value: Value::Int(i64::from(12_345 + tag)),
        quality: Quality::Good,
        status: 0,
        timestamp: Timestamp(NOON),
        clock: ClockState::Synchronized,
        tense: Tense::Present,
    };
    let topic = Template::parse("{gateway}/{device}", "acme/line7", Rules::Mqtt).expect("a template");
    let mut format = kind.open(&spec(), topic, Rules::Mqtt).unwrap_or_else(|errors| panic!("{errors:?}"));
    let (first, schema) = (1_000_000, Some(Arc::new(builder.build())));
    format.begin(Records { epoch: 7, first, readings: (0..TAGS).map(reading).collect(), schema, ..Records::default() });
    let bytes: usize = std::iter::from_fn(|| format.next()).map(|message| message.payload.len()).sum();
    bytes as f64 / f64::from(TAGS)
}

#[test]
fn a_reading_takes_no_more_bytes_than_promised() {
    let cases: [(&dyn FormatKind, f64); 3] =
        [(&json::JsonKind, 60.0), (&json_compact::JsonCompactKind, 24.0), (&line_protocol::LineProtocolKind, 16.0)];
    for (kind, most) in cases {
        let bytes = bytes_a_reading(kind);
        println!("{}: {bytes:.1} bytes a reading", kind.info().name);
        assert!(bytes <= most, "{}: {bytes:.1} bytes a reading", kind.info().name);
    }
}

#[test]
fn every_format_is_carried_by_an_uplink_of_this_build_and_names_are_unique() {
    for (index, kind) in FORMATS.iter().enumerate() {
        let info = kind.info();
        assert!(!info.help.is_empty() && !info.uplinks.is_empty(), "{}", info.name);
        assert!(FORMATS[..index].iter().all(|other| other.info().name != info.name), "{} stands twice", info.name);
        for uplink in info.uplinks {
            assert!(UPLINKS.iter().any(|known| known.info().name == *uplink), "{}: {uplink}", info.name);
        }
    }
}

#[test]
fn an_uplink_that_names_no_format_takes_json_and_an_unknown_one_is_told_with_those_that_there_are() {
    let mut spec = UplinkSpec::new("acme/line7", "cloud", "mqtt://h".parse().expect("a URL"));
    assert_eq!(choose(Mqtt.info(), &spec).map(|kind| kind.info().name).ok(), Some("json"));
    spec.format = Some("xml".into());
    let error = choose(Mqtt.info(), &spec).err().expect("an error");
    assert_eq!(error.key, "format");
    assert!(error.message.starts_with("`xml` cannot be sent by an uplink of mqtt; write one of json"), "{error}");
}
