//! The JSON payload: a reading, a batch of readings of one device, or a gap.
//!
//! ```text
//! {"time":"2026-11-23T02:28:33.123456Z","device":"press","tag":"temperature","value":21.5,"quality":"good",
//!  "unit":"°C","epoch":7,"seq":1234}
//! {"gateway":"acme/line7","device":"press","epoch":7,"time":"2026-11-23T02:28:33.123456Z","quality":"good",
//!  "readings":[{"tag":"temperature","value":21.5,"unit":"°C","seq":1234},{"time":…,"tag":…,"value":…,"seq":1235},…]}
//! {"gateway":"acme/line7","gap":{"first":10,"last":19,"count":10,"reason":"dropped-oldest","from":…,"to":…}}
//! ```
//!
//! What stands beside `readings` holds for each of them that does not say otherwise.
//!
//! | value | JSON |
//! |---|---|
//! | BOOL | `true`, `false` |
//! | integers, bit strings | all digits; beyond 2^53 the reader needs a parser that keeps integers |
//! | REAL, LREAL | shortest decimal that reads back as the same REAL or LREAL: 0.1 stays `0.1`, one is `1.0` |
//! | not a number, infinities | `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | text | string; control characters as `\u00XX` |
//! | durations | exact decimal seconds, `-1.5` |
//! | dates and times of day | `"2026-11-23T02:28:33.000000"`, `"02:28:33.000000"`: the device's own zone, so none is named |
//! | arrays | array of the above |
//! | no value | `null`; `quality` is then `bad` and `reason` says why |
//!
//! A payload that is not live says so: `"lane":"history"` beside the epoch for what was stored while the far side could not
//! be reached, `"lane":"replay","job":3` for what is sent once more.
//!
//! `reason`, `unit`, `clock` (`"unsynchronized"`), `historical` (`true` for what the device's own history told afterwards)
//! and `status` (the protocol's own code, when it is not 0) stand only where they say something. Times have six decimals, or nine where the last three are not zero.

mod keys;
mod record;
pub(in crate::uplink) mod time;
pub(in crate::uplink) mod value;
pub(in crate::uplink) mod writer;

pub use record::JsonRecords;

use buffer::Seq;
use driver_core::{Reading, TagId, Timestamp};

use self::keys::{Keys, Pieces};
use self::value::{write_escaped, write_integer};
use self::writer::{Writer, write_gap, write_lane};
use super::batches::{Batches, Rows, Span, tag_unknown};
use super::keyed::Keyed;
use super::{Format, FormatInfo, FormatKind, Missing, Records, Types};
use crate::uplink::topic::{Rules as TopicRules, Template};
use crate::uplink::{UplinkError, UplinkSpec};

pub(super) const CONTENT_TYPE: &str = "application/json";

/// `format: json`.
#[derive(Debug)]
pub struct JsonKind;

static INFO: FormatInfo = FormatInfo {
    name: "json",
    help: "JSON, one object a reading or a batch",
    uplinks: &["mqtt", "kafka"],
    types: Types::AsTheyCome,
};

impl FormatKind for JsonKind {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn open(&self, spec: &UplinkSpec, topic: Template, rules: TopicRules) -> Result<Box<dyn Format>, Vec<UplinkError>> {
        match rules {
            TopicRules::Mqtt => Ok(Box::new(Json::new(&spec.gateway, topic, rules))),
            TopicRules::Kafka | TopicRules::Key => {
                Ok(Box::new(Keyed::open(spec, topic, Box::new(JsonRecords::default()), None)?))
            }
        }
    }
}

/// The JSON format of one uplink.
pub type Json = Batches<JsonRows>;

/// Readings as JSON objects.
pub struct JsonRows {
    gateway: Box<[u8]>,
    writer: Writer,
    /// The time that the head of the batch says.
    batch_time: Timestamp,
    /// The pieces of the schema that was used last.
    keys: Option<Keys>,
}

impl Json {
    /// Messages of the gateway `gateway`, on topics made from `topic`.
    pub fn new(gateway: &str, topic: Template, rules: TopicRules) -> Json {
        let mut escaped = Vec::new();
        write_escaped(gateway, &mut escaped);
        let rows =
            JsonRows { gateway: escaped.into(), writer: Writer::default(), batch_time: Timestamp(0), keys: None };
        Batches::of(rows, gateway, topic, rules)
    }
}

impl Rows for JsonRows {
    const CONTENT_TYPE: &'static str = CONTENT_TYPE;
    const SPAN: Span = Span::Device;

    fn begin(&mut self, records: &Records) {
        self.keys = match (self.keys.take(), &records.schema) {
            (Some(keys), Some(schema)) if keys.is_of(schema) => Some(keys),
            (_, Some(schema)) => Some(Keys::of(schema.clone())),
            (_, None) => None,
        };
    }

    fn single(&mut self, reading: &Reading, records: &Records, seq: Seq, out: &mut Vec<u8>) {
        self.writer.single(reading, &Names::of(self.keys.as_ref(), reading.tag).pieces(), records, seq, out);
    }

    fn open(&mut self, first: &Reading, records: &Records, _: Seq, out: &mut Vec<u8>) {
        let names = Names::of(self.keys.as_ref(), first.tag);
        out.extend_from_slice(b"{\"gateway\":\"");
        out.extend_from_slice(&self.gateway);
        out.extend_from_slice(names.pieces().device_name);
        out.extend_from_slice(b"\",\"epoch\":");
        write_integer(records.epoch, out);
        write_lane(records.lane, out);
        self.batch_time = first.timestamp;
        self.writer.rest_of_head(first.timestamp, out);
    }

    fn add(&mut self, nth: usize, reading: &Reading, _: &Records, seq: Seq, out: &mut Vec<u8>) {
        let JsonRows { keys, writer, batch_time, .. } = self;
        match keys.as_ref().and_then(|keys| keys.pieces(reading.tag)) {
            Some(pieces) => writer.in_batch(nth, reading, *batch_time, &pieces, seq, out),
            None => writer.in_batch(nth, reading, *batch_time, &Names::lost(reading.tag).pieces(), seq, out),
        }
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"]}");
    }

    fn gap(&mut self, missing: &Missing, out: &mut Vec<u8>) -> &'static str {
        write_gap(&self.gateway, missing, out);
        CONTENT_TYPE
    }

    fn another(&self) -> JsonRows {
        JsonRows { gateway: self.gateway.clone(), writer: Writer::default(), batch_time: Timestamp(0), keys: None }
    }
}

/// The pieces of a tag, also of one whose names are lost: its number stands for them.
enum Names<'a> {
    Known(Pieces<'a>),
    Lost(String),
}

impl Names<'_> {
    fn of(keys: Option<&Keys>, tag: TagId) -> Names<'_> {
        match keys.and_then(|keys| keys.pieces(tag)) {
            Some(pieces) => Names::Known(pieces),
            None => Names::lost(tag),
        }
    }

    fn lost(tag: TagId) -> Names<'static> {
        Names::Lost(format!(",{{\"tag\":\"{}\",\"value\":", tag_unknown(tag)))
    }

    fn pieces(&self) -> Pieces<'_> {
        match self {
            Names::Known(pieces) => *pieces,
            Names::Lost(row) => {
                Pieces { device_name: b"\",\"device\":\"unknown", row: row.as_bytes(), good: keys::GOOD }
            }
        }
    }
}

#[cfg(test)]
mod tests;
