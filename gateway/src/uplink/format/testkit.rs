//! What the tests of all formats share: a schema, readings, and the messages that are made of them.

use std::sync::Arc;

use driver_core::{ClockState, Quality, Reading, TagId, Tense, Timestamp, Value};

use super::{FormatKind, Records};
use crate::pipeline::schema::{Schema, SchemaBuilder};
use crate::uplink::topic::{Rules, Template};
use crate::uplink::{Lane, Message, UplinkSpec};

/// The time of all readings, nanoseconds since 1970: 2026-11-23T02:28:33.123456Z.
pub(crate) const NOON: i64 = 1_795_400_913_123_456_000;

/// Two devices with three tags: `press` with `temperature` and a name that needs care, `mixer` with `level`.
pub(crate) fn schema() -> Arc<Schema> {
    let mut builder = SchemaBuilder::default();
    builder.device("press");
    builder.tag("temperature", "°C");
    builder.tag("say \"hi\" \\", "");
    builder.device("mixer");
    builder.tag("level", "m³");
    Arc::new(builder.build())
}

/// A good reading at [`NOON`].
pub(crate) fn reading(tag: u32, value: Value) -> Reading {
    Reading {
        tag: TagId(tag),
        value,
        quality: Quality::Good,
        status: 0,
        timestamp: Timestamp(NOON),
        clock: ClockState::Synchronized,
        tense: Tense::Present,
    }
}

/// The uplink `cloud` of the gateway `acme/line7`.
pub(crate) fn spec() -> UplinkSpec {
    UplinkSpec::new("acme/line7", "cloud", "mqtt://broker".parse().expect("a URL"))
}

/// The messages of one block of epoch 7 whose first seq is 1234.
pub(crate) fn messages(kind: &dyn FormatKind, topic: &str, lane: Lane, readings: Vec<Reading>) -> Vec<Message> {
    messages_of(kind, &spec(), topic, lane, readings)
}

/// The same for an uplink that is configured otherwise.
pub(crate) fn messages_of(
    kind: &dyn FormatKind,
    spec: &UplinkSpec,
    topic: &str,
    lane: Lane,
    readings: Vec<Reading>,
) -> Vec<Message> {
    let topic = Template::parse(topic, &spec.gateway, Rules::Mqtt).expect("a template");
    let mut format = kind.open(spec, topic, Rules::Mqtt).unwrap_or_else(|errors| panic!("{errors:?}"));
    format.begin(Records { lane, epoch: 7, first: 1234, readings, offsets: None, schema: Some(schema()) });
    std::iter::from_fn(|| format.next()).collect()
}

/// A payload as text.
pub(crate) fn text(message: &Message) -> &str {
    std::str::from_utf8(&message.payload).expect("UTF-8")
}

/// A payload as JSON.
pub(crate) fn as_json(message: &Message) -> serde_json::Value {
    serde_json::from_slice(&message.payload).expect("JSON")
}
