//! InfluxDB line protocol: a line for the readings of one poll of a device, and one for each that is in doubt.
//!
//! ```text
//! press,gateway=acme/line7 temperature=21.5,count=17i,_epoch=7i,_seq=1234i,_count=2i 1795400913123456000
//! press,gateway=acme/line7,quality=bad,reason=timeout,tag=level status=0i,_epoch=7i,_seq=1236i,_count=1i 1795400913123456000
//! forebay_gap,gateway=acme/line7,reason=dropped-oldest first=10i,last=19i,count=10i 1795400913123456000
//! ```
//!
//! The measurement is the device, a field is a tag. `_seq` and `_count` tell which of the gateway's readings a line holds, so
//! that completeness can be proved in the database. A reading that is in doubt has a line of its own, with its quality as
//! tags, and `historical=true` where the device's own history told it afterwards; a bad one has no field of the tag's name, so that no field changes its type.
//!
//! | value | field |
//! |---|---|
//! | BOOL | `true`, `false` |
//! | integers, bit strings | `17i`; beyond 2^63-1 `17u`, which InfluxDB takes from version 2 on |
//! | REAL, LREAL, durations in seconds | decimal |
//! | text, dates, times of day | string |
//! | not a number, infinities | there is no such field: a line of its own with `not_finite="NaN"` |
//! | arrays | a field for each element, `name[0]` |

mod escape;

use buffer::Seq;
use driver_core::{ClockState, Reading, TagId, Tense, Value};

use self::escape::{write_key, write_measurement, write_text};
use super::batches::{Batches, DEVICE_UNKNOWN, Rows, Span, tag_unknown};
use super::json::value::{write_integer, write_value};
use super::{Format, FormatInfo, FormatKind, Missing, Records, Types};
use crate::uplink::topic::{Rules as TopicRules, Template};
use crate::uplink::{Lane, UplinkError, UplinkSpec};

/// What InfluxDB's own tools call it.
const CONTENT_TYPE: &str = "text/plain; charset=utf-8";

/// `format: line-protocol`.
#[derive(Debug)]
pub struct LineProtocolKind;

static INFO: FormatInfo = FormatInfo {
    name: "line-protocol",
    help: "InfluxDB line protocol, a line for the readings of one poll of a device",
    uplinks: &["mqtt"],
    types: Types::AsTheyCome,
};

impl FormatKind for LineProtocolKind {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn open(&self, spec: &UplinkSpec, topic: Template, rules: TopicRules) -> Result<Box<dyn Format>, Vec<UplinkError>> {
        Ok(Box::new(Batches::of(Lines::new(&spec.gateway), &spec.gateway, topic, rules)))
    }
}

/// Readings as lines.
struct Lines {
    /// The gateway's name, escaped.
    gateway: Box<[u8]>,
    /// The line that readings are being added to.
    line: Option<Line>,
}

/// A line whose fields are not all there yet.
struct Line {
    device: Option<u32>,
    last_tag: TagId,
    time_ns: i64,
    first: Seq,
    count: u64,
    epoch: u32,
}

impl Line {
    /// Whether a reading belongs to it: of the same poll, the next seq, and a tag that is not in it yet.
    fn takes(&self, reading: &Reading, device: Option<u32>, seq: Seq) -> bool {
        reading.is_plain()
            && is_field(&reading.value)
            && self.time_ns == reading.timestamp.0
            && self.device == device
            && self.first + self.count == seq
            && self.last_tag < reading.tag
    }
}

impl Lines {
    fn new(gateway: &str) -> Lines {
        let mut escaped = Vec::new();
        write_key(gateway, &mut escaped);
        Lines { gateway: escaped.into(), line: None }
    }

    fn begin_line(&mut self, device: &str, records: &Records, out: &mut Vec<u8>) {
        write_measurement(device, out);
        out.extend_from_slice(b",gateway=");
        out.extend_from_slice(&self.gateway);
        if records.lane != Lane::Live {
            out.extend_from_slice(b",lane=");
            out.extend_from_slice(records.lane.name().as_bytes());
        }
    }

    fn end_line(&mut self, out: &mut Vec<u8>) {
        let Some(Line { time_ns, first, count, epoch, .. }) = self.line.take() else { return };
        out.extend_from_slice(b",_epoch=");
        write_integer(epoch, out);
        out.extend_from_slice(b"i,_seq=");
        write_integer(first, out);
        out.extend_from_slice(b"i,_count=");
        write_integer(count, out);
        out.extend_from_slice(b"i ");
        write_integer(time_ns, out);
        out.push(b'\n');
    }
}

impl Rows for Lines {
    const CONTENT_TYPE: &'static str = CONTENT_TYPE;
    const SPAN: Span = Span::Block;

    fn begin(&mut self, _: &Records) {}

    fn single(&mut self, reading: &Reading, records: &Records, seq: Seq, out: &mut Vec<u8>) {
        self.add(0, reading, records, seq, out);
        self.close(out);
    }

    fn open(&mut self, _: &Reading, _: &Records, _: Seq, _: &mut Vec<u8>) {}

    fn add(&mut self, _: usize, reading: &Reading, records: &Records, seq: Seq, out: &mut Vec<u8>) {
        let names = records.schema.as_ref().and_then(|schema| schema.tag(reading.tag));
        let device_index = names.map(|names| names.device_index as u32);
        let unknown = if names.is_none() { tag_unknown(reading.tag) } else { String::new() };
        let tag = names.map_or(unknown.as_str(), |names| names.tag);
        if let Some(line) = self.line.as_mut().filter(|line| line.takes(reading, device_index, seq)) {
            (line.count, line.last_tag) = (line.count + 1, reading.tag);
            out.push(b',');
            return write_fields(tag, &reading.value, out);
        }
        self.end_line(out);
        self.begin_line(names.map_or(DEVICE_UNKNOWN, |names| names.device), records, out);
        if !reading.is_plain() {
            write_doubts(reading, out);
        }
        if !reading.is_plain() || !is_field(&reading.value) {
            out.extend_from_slice(b",tag=");
            write_key(tag, out);
        }
        out.push(b' ');
        write_own_fields(tag, reading, out);
        self.line = Some(Line {
            device: device_index,
            // Nothing joins the line of a reading in doubt.
            last_tag: if reading.is_plain() && is_field(&reading.value) { reading.tag } else { TagId(u32::MAX) },
            time_ns: reading.timestamp.0,
            first: seq,
            count: 1,
            epoch: records.epoch,
        });
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        self.end_line(out);
    }

    fn gap(&mut self, missing: &Missing, out: &mut Vec<u8>) -> &'static str {
        let gap = &missing.gap;
        out.extend_from_slice(b"forebay_gap,gateway=");
        out.extend_from_slice(&self.gateway);
        out.extend_from_slice(b",reason=");
        write_key(missing.reason, out);
        out.extend_from_slice(b" first=");
        write_integer(gap.seqs.first, out);
        out.extend_from_slice(b"i,last=");
        write_integer(gap.seqs.last, out);
        out.extend_from_slice(b"i,count=");
        write_integer(gap.count, out);
        out.push(b'i');
        if let Some((_, to)) = gap.time_ns {
            out.push(b' ');
            write_integer(to, out);
        }
        out.push(b'\n');
        CONTENT_TYPE
    }

    fn another(&self) -> Lines {
        Lines { gateway: self.gateway.clone(), line: None }
    }
}

/// Whether a value can stand behind the tag's name.
fn is_field(value: &Value) -> bool {
    match value {
        Value::None => false,
        Value::Real(number) => number.is_finite(),
        Value::LReal(number) => number.is_finite(),
        Value::Array(elements) => !elements.is_empty() && elements.iter().all(is_field),
        _ => true,
    }
}

/// The fields of a line that begins with this reading.
fn write_own_fields(tag: &str, reading: &Reading, out: &mut Vec<u8>) {
    if is_field(&reading.value) {
        write_fields(tag, &reading.value, out);
        if reading.is_plain() {
            return;
        }
        out.push(b',');
    } else if reading.value != Value::None {
        out.extend_from_slice(b"not_finite=");
        let mut text = Vec::new();
        write_value(&reading.value, &mut text);
        write_text(&String::from_utf8_lossy(&text).replace('"', ""), out);
        out.push(b',');
    }
    out.extend_from_slice(b"status=");
    write_integer(reading.status, out);
    out.push(b'i');
}

fn write_fields(tag: &str, value: &Value, out: &mut Vec<u8>) {
    let Value::Array(elements) = value else {
        write_key(tag, out);
        out.push(b'=');
        return write_field(value, out);
    };
    for (index, element) in elements.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_fields(&format!("{tag}[{index}]"), element, out);
    }
}

fn write_field(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Int(_) => {
            write_value(value, out);
            out.push(b'i');
        }
        Value::UInt(number) => {
            write_value(value, out);
            out.push(if i64::try_from(*number).is_ok() { b'i' } else { b'u' });
        }
        Value::Text(text) => write_text(text, out),
        // Dates and times of day are written in quotes, with nothing in them that needs care.
        other => write_value(other, out),
    }
}

fn write_doubts(reading: &Reading, out: &mut Vec<u8>) {
    out.extend_from_slice(b",quality=");
    out.extend_from_slice(reading.quality.level().name().as_bytes());
    if let Some(reason) = reading.quality.reason() {
        out.extend_from_slice(b",reason=");
        out.extend_from_slice(reason.name().as_bytes());
    }
    if reading.clock == ClockState::Unsynchronized {
        out.extend_from_slice(b",clock=unsynchronized");
    }
    if reading.tense == Tense::Past {
        out.extend_from_slice(b",historical=true");
    }
}

#[cfg(test)]
mod tests;
