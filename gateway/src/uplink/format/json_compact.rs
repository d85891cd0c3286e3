//! JSON with what is the same said once: about a fifth of the bytes of `json`.
//!
//! ```text
//! {"gateway":"acme/line7","device":"press","epoch":7,"time":"2026-11-23T02:28:33.123456Z","seq":1234,
//!  "readings":[["temperature",21.5],["current",3.2],["level",null,0,0,{"quality":"bad","reason":"timeout"}]]}
//! ```
//!
//! A reading is `[tag, value, later, skipped, doubts]`; what is absent at its end is 0 or nothing.
//!
//! | place | meaning |
//! |---|---|
//! | tag, value | as in `json` |
//! | later | nanoseconds since the reading before it, which may be less than 0; for the first one since `time` |
//! | skipped | how many seqs lie between it and the reading before it; the first one has `seq` |
//! | doubts | `quality`, `reason`, `status`, `clock` and `historical` as in `json`; absent when the reading is good |
//!
//! Units are left out. With `{tag}` in the topic a message has one reading.

use buffer::Seq;
use driver_core::{Reading, TagId};

use super::batches::{Batches, DEVICE_UNKNOWN, Rows, Span, tag_unknown};
use super::json::CONTENT_TYPE;
use super::json::time::TimeText;
use super::json::value::{write_escaped, write_integer, write_string, write_value};
use super::json::writer::{write_doubts, write_gap, write_lane};
use super::{Format, FormatInfo, FormatKind, Missing, Records, Types};
use crate::uplink::topic::{Rules as TopicRules, Template};
use crate::uplink::{UplinkError, UplinkSpec};

/// `format: json-compact`.
#[derive(Debug)]
pub struct JsonCompactKind;

static INFO: FormatInfo = FormatInfo {
    name: "json-compact",
    help: "JSON with what is the same said once, a fifth of the bytes",
    uplinks: &["mqtt"],
    types: Types::AsTheyCome,
};

impl FormatKind for JsonCompactKind {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn open(&self, spec: &UplinkSpec, topic: Template, rules: TopicRules) -> Result<Box<dyn Format>, Vec<UplinkError>> {
        Ok(Box::new(Batches::of(CompactRows::new(&spec.gateway), &spec.gateway, topic, rules)))
    }
}

/// Readings as rows of a batch.
struct CompactRows {
    gateway: Box<[u8]>,
    time: TimeText,
    /// Time and seq of the reading before.
    before: (i64, Seq),
}

impl CompactRows {
    fn new(gateway: &str) -> CompactRows {
        let mut escaped = Vec::new();
        write_escaped(gateway, &mut escaped);
        CompactRows { gateway: escaped.into(), time: TimeText::default(), before: (0, 0) }
    }
}

impl Rows for CompactRows {
    const CONTENT_TYPE: &'static str = CONTENT_TYPE;
    const SPAN: Span = Span::Device;

    fn begin(&mut self, _: &Records) {}

    fn single(&mut self, reading: &Reading, records: &Records, seq: Seq, out: &mut Vec<u8>) {
        self.open(reading, records, seq, out);
        self.add(0, reading, records, seq, out);
        self.close(out);
    }

    fn open(&mut self, first: &Reading, records: &Records, seq: Seq, out: &mut Vec<u8>) {
        let names = records.schema.as_ref().and_then(|schema| schema.tag(first.tag));
        out.extend_from_slice(b"{\"gateway\":\"");
        out.extend_from_slice(&self.gateway);
        out.extend_from_slice(b"\",\"device\":");
        write_string(names.map_or(DEVICE_UNKNOWN, |names| names.device), out);
        out.extend_from_slice(b",\"epoch\":");
        write_integer(records.epoch, out);
        write_lane(records.lane, out);
        out.extend_from_slice(b",\"time\":\"");
        self.time.write(first.timestamp.0, out);
        out.extend_from_slice(b"Z\",\"seq\":");
        write_integer(seq, out);
        out.extend_from_slice(b",\"readings\":[");
        self.before = (first.timestamp.0, seq.wrapping_sub(1));
    }

    fn add(&mut self, nth: usize, reading: &Reading, records: &Records, seq: Seq, out: &mut Vec<u8>) {
        let later = reading.timestamp.0.wrapping_sub(self.before.0);
        let skipped = seq.wrapping_sub(self.before.1).wrapping_sub(1);
        self.before = (reading.timestamp.0, seq);
        out.extend_from_slice(if nth > 0 { b",[" } else { b"[" });
        write_tag(records, reading.tag, out);
        out.push(b',');
        write_value(&reading.value, out);
        let plain = reading.is_plain();
        if !plain || later != 0 || skipped != 0 {
            out.push(b',');
            write_integer(later, out);
        }
        if !plain || skipped != 0 {
            out.push(b',');
            write_integer(skipped, out);
        }
        if !plain {
            out.extend_from_slice(b",{");
            write_doubts(reading, b"", out);
            out.push(b'}');
        }
        out.push(b']');
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"]}");
    }

    fn gap(&mut self, missing: &Missing, out: &mut Vec<u8>) -> &'static str {
        write_gap(&self.gateway, missing, out);
        CONTENT_TYPE
    }

    fn another(&self) -> CompactRows {
        CompactRows { gateway: self.gateway.clone(), time: TimeText::default(), before: (0, 0) }
    }
}

fn write_tag(records: &Records, tag: TagId, out: &mut Vec<u8>) {
    match records.schema.as_ref().and_then(|schema| schema.tag(tag)) {
        Some(names) => write_string(names.tag, out),
        None => write_string(&tag_unknown(tag), out),
    }
}

#[cfg(test)]
mod tests {
    use driver_core::{Quality, Reason, Tense, Timestamp, Value};
    use serde_json::json;

    use super::super::testkit::{NOON, as_json, messages, reading};
    use super::*;
    use crate::uplink::Lane;

    fn made(topic: &str, readings: Vec<Reading>) -> Vec<serde_json::Value> {
        messages(&JsonCompactKind, topic, Lane::Live, readings).iter().map(as_json).collect()
    }

    #[test]
    fn a_batch_is_written_as_documented() {
        let bad = Reading { quality: Quality::Bad(Reason::Timeout), ..reading(0, Value::None) };
        let (timestamp, tense) = (Timestamp(NOON + 5), Tense::Past);
        let later = Reading { timestamp, tense, ..reading(0, Value::Int(3)) };
        let readings =
            vec![reading(0, Value::Real(21.5)), reading(2, Value::Int(9)), reading(1, Value::Int(1)), later, bad];
        assert_eq!(
            made("{device}", readings),
            [
                json!({"gateway": "acme/line7", "device": "press", "epoch": 7, "time": "2026-11-23T02:28:33.123456Z",
                    "seq": 1234, "readings": [["temperature", 21.5], ["say \"hi\" \\", 1, 0, 1], ["temperature", 3, 5, 0, {"quality": "good", "historical": true}],
                    ["temperature", null, -5, 0, {"quality": "bad", "reason": "timeout"}]]}),
                json!({"gateway": "acme/line7", "device": "mixer", "epoch": 7, "time": "2026-11-23T02:28:33.123456Z",
                    "seq": 1235, "readings": [["level", 9]]}),
            ]
        );
    }

    #[test]
    fn a_reading_by_itself_is_a_batch_of_one() {
        let made = made("{device}/{tag}", vec![reading(0, Value::Int(1)), reading(0, Value::Int(2))]);
        assert_eq!((made.len(), &made[1]["seq"]), (2, &json!(1235)));
        assert_eq!(made[1]["readings"], json!([["temperature", 2]]));
    }
}
