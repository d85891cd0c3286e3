//! What the tests of Sparkplug share.

use std::sync::Arc;

use driver_core::{ClockState, DataType, Quality, Reading, SystemClock, TagId, Tense, Timestamp, Value};
use prost::Message;

use super::Names;
use super::oracle::{Content, Metric, Payload};
use crate::pipeline::schema::SchemaBuilder;
use crate::uplink::{Site, TagType};

/// The edge node `line7` of the group `acme`.
pub(super) fn names() -> Names {
    Names { group: "acme".into(), node: "line7".into() }
}

/// A tag's name, unit and type.
type Tag<'a> = (&'a str, &'a str, DataType);

/// A gateway with these devices and their tags.
pub(super) fn site(devices: &[(&str, &[Tag<'_>])]) -> Site {
    let mut schema = SchemaBuilder::default();
    let mut types = Vec::new();
    for (device, tags) in devices {
        schema.device(device);
        for (tag, unit, data_type) in *tags {
            schema.tag(tag, unit);
            types.push(TagType::plain(*data_type, 1));
        }
    }
    Site {
        schema: Arc::new(schema.build()),
        types: types.into(),
        folder: "nowhere".into(),
        clock: Arc::new(SystemClock),
    }
}

/// A good reading.
pub(super) fn reading(tag: u32, value: Value) -> Reading {
    Reading {
        tag: TagId(tag),
        value,
        quality: Quality::Good,
        status: 0,
        timestamp: Timestamp(1_795_400_913_123_000_000),
        clock: ClockState::Synchronized,
        tense: Tense::Present,
    }
}

/// A host's command, as prost writes it.
pub(super) fn command(wanted: &[(Option<&str>, Option<u64>, Value)]) -> Vec<u8> {
    let metric = |(name, alias, value): &(Option<&str>, Option<u64>, Value)| {
        let (datatype, content) = match value {
            Value::Int(number) => (2, Content::Int(*number as i32 as u32)),
            Value::UInt(number) => (8, Content::Long(*number)),
            Value::Real(number) => (9, Content::Float(*number)),
            Value::LReal(number) => (10, Content::Double(*number)),
            Value::Bool(bit) => (11, Content::Bool(*bit)),
            other => (12, Content::Text(other.to_string())),
        };
        Metric {
            name: name.map(str::to_owned),
            alias: *alias,
            timestamp: Some(1_795_400_913_123),
            datatype: Some(datatype),
            content: Some(content),
            ..Metric::default()
        }
    };
    let metrics = wanted.iter().map(metric).collect();
    Payload { timestamp: Some(1_795_400_913_123), metrics, seq: None }.encode_to_vec()
}
