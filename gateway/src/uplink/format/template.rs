//! What the operator writes himself: `payload: '{"t":"{time}","v":{value:json}}'`, and `raw`, which is the value alone.
//!
//! A place for something is a known word in braces; all other braces stand for themselves, so that JSON can be written as
//! it is. With `{tag}` in the topic one message a reading, without it one a device or block, a line a reading.
//!
//! | word | text |
//! |---|---|
//! | `{gateway}` `{device}` `{tag}` `{unit}` | names |
//! | `{value}` | numbers and times as in `json`, text as it is, nothing when there is no value |
//! | `{time}` `{time_s}` `{time_ms}` `{time_us}` `{time_ns}` | RFC 3339, or since 1970, whole |
//! | `{quality}` `{reason}` `{status}` `{clock}` `{lane}` | `good`, `uncertain`, `bad`; the reason or nothing; … |
//! | `{historical}` | `true` for what the device's own history told afterwards, else `false` |
//! | `{epoch}` `{seq}` | the key for deduplication, with the gateway's name |
//! | `{…:json}` | the same as JSON: in quotes and escaped where it is text, `null` where it is nothing |

mod parse;

use buffer::Seq;
use driver_core::{ClockState, Reading, TagId, Tense, Value};

pub use self::parse::Payload;
use self::parse::{Form, Part, Word};
use super::batches::{Batches, DEVICE_UNKNOWN, Rows, Span, tag_unknown};
use super::json::CONTENT_TYPE as JSON_TYPE;
use super::json::time::TimeText;
use super::json::value::{write_escaped, write_integer, write_string, write_value};
use super::json::writer::write_gap;
use super::{Format, FormatInfo, FormatKind, Missing, Records, Types};
use crate::uplink::topic::{Rules as TopicRules, Template};
use crate::uplink::{UplinkError, UplinkSpec};

const CONTENT_TYPE: &str = "text/plain; charset=utf-8";

/// `format: template`.
#[derive(Debug)]
pub struct TemplateKind;

/// `format: raw`.
#[derive(Debug)]
pub struct RawKind;

/// The word behind `format`.
pub(super) const NAME: &str = "template";

static TEMPLATE: FormatInfo = FormatInfo {
    name: NAME,
    help: "what `payload` says, with words such as {value} put in; a line a reading",
    uplinks: &["mqtt"],
    types: Types::AsTheyCome,
};

static RAW: FormatInfo = FormatInfo {
    name: "raw",
    help: "the value alone as text, empty when there is none; the topic needs {tag}",
    uplinks: &["mqtt"],
    types: Types::AsTheyCome,
};

impl FormatKind for TemplateKind {
    fn info(&self) -> &'static FormatInfo {
        &TEMPLATE
    }

    fn open(&self, spec: &UplinkSpec, topic: Template, rules: TopicRules) -> Result<Box<dyn Format>, Vec<UplinkError>> {
        let error = |message: String| vec![UplinkError { key: "payload", message }];
        let Some(text) = spec.payload.as_deref() else {
            let message = "is missing: `format: template` needs it, such as payload: '{time} {value}'";
            return Err(error(message.into()));
        };
        let rows = Rendered::new(Payload::parse(text).map_err(error)?, &spec.gateway);
        Ok(Box::new(Batches::of(rows, &spec.gateway, topic, rules)))
    }
}

impl FormatKind for RawKind {
    fn info(&self) -> &'static FormatInfo {
        &RAW
    }

    fn open(&self, spec: &UplinkSpec, topic: Template, rules: TopicRules) -> Result<Box<dyn Format>, Vec<UplinkError>> {
        if !topic.has_tag() {
            let message = "has no {tag}, and with `format: raw` a message is the value of one tag: write, for example, \
                           {gateway}/{device}/{tag}";
            return Err(vec![UplinkError { key: "topic", message: message.into() }]);
        }
        Ok(Box::new(Batches::of(Rendered::new(Payload::value(), &spec.gateway), &spec.gateway, topic, rules)))
    }
}

/// Readings as the template has them.
struct Rendered {
    payload: Payload,
    gateway: Box<str>,
    time: TimeText,
}

impl Rendered {
    fn new(payload: Payload, gateway: &str) -> Rendered {
        Rendered { payload, gateway: gateway.into(), time: TimeText::default() }
    }

    fn write(&mut self, reading: &Reading, records: &Records, seq: Seq, out: &mut Vec<u8>) {
        let Rendered { payload, gateway, time } = self;
        let place = Place { reading, records, seq, gateway };
        for part in payload.parts() {
            match part {
                Part::Literal(text) => out.extend_from_slice(text.as_bytes()),
                Part::Word(word, form) => place.write(*word, *form, time, out),
            }
        }
    }
}

impl Rows for Rendered {
    const CONTENT_TYPE: &'static str = CONTENT_TYPE;
    const SPAN: Span = Span::Block;

    fn begin(&mut self, _: &Records) {}

    fn single(&mut self, reading: &Reading, records: &Records, seq: Seq, out: &mut Vec<u8>) {
        self.write(reading, records, seq, out);
    }

    fn open(&mut self, _: &Reading, _: &Records, _: Seq, _: &mut Vec<u8>) {}

    fn add(&mut self, _: usize, reading: &Reading, records: &Records, seq: Seq, out: &mut Vec<u8>) {
        self.write(reading, records, seq, out);
        out.push(b'\n');
    }

    fn close(&mut self, _: &mut Vec<u8>) {}

    fn gap(&mut self, missing: &Missing, out: &mut Vec<u8>) -> &'static str {
        let mut gateway = Vec::new();
        write_escaped(&self.gateway, &mut gateway);
        write_gap(&gateway, missing, out);
        JSON_TYPE
    }

    fn another(&self) -> Rendered {
        Rendered::new(self.payload.clone(), &self.gateway)
    }
}

/// A reading with all that can be said of it.
struct Place<'a> {
    reading: &'a Reading,
    records: &'a Records,
    seq: Seq,
    gateway: &'a str,
}

impl Place<'_> {
    fn write(&self, word: Word, form: Form, time: &mut TimeText, out: &mut Vec<u8>) {
        let reading = self.reading;
        let nanos = reading.timestamp.0;
        match word {
            Word::Gateway => write_name(self.gateway, form, out),
            Word::Device => write_name(self.device(), form, out),
            Word::Tag => self.write_tag(reading.tag, form, out),
            Word::Unit => write_name(self.unit(), form, out),
            Word::Value => write_value_as(&reading.value, form, out),
            Word::Time => in_quotes(form, out, |out| {
                time.write(nanos, out);
                out.push(b'Z');
            }),
            Word::TimeSeconds => write_integer(nanos.div_euclid(1_000_000_000), out),
            Word::TimeMillis => write_integer(nanos.div_euclid(1_000_000), out),
            Word::TimeMicros => write_integer(nanos.div_euclid(1_000), out),
            Word::TimeNanos => write_integer(nanos, out),
            Word::Quality => write_name(reading.quality.level().name(), form, out),
            Word::Reason => match (reading.quality.reason(), form) {
                (Some(reason), _) => write_name(reason.name(), form, out),
                (None, Form::Json) => out.extend_from_slice(b"null"),
                (None, Form::Text) => {}
            },
            Word::Status => write_integer(reading.status, out),
            Word::Clock => write_name(clock_name(reading.clock), form, out),
            Word::Historical => write_value(&Value::Bool(reading.tense == Tense::Past), out),
            Word::Lane => write_name(self.records.lane.name(), form, out),
            Word::Epoch => write_integer(self.records.epoch, out),
            Word::Seq => write_integer(self.seq, out),
        }
    }

    fn device(&self) -> &str {
        let names = self.records.schema.as_ref().and_then(|schema| schema.tag(self.reading.tag));
        names.map_or(DEVICE_UNKNOWN, |names| names.device)
    }

    fn unit(&self) -> &str {
        let names = self.records.schema.as_ref().and_then(|schema| schema.tag(self.reading.tag));
        names.map_or("", |names| names.unit)
    }

    fn write_tag(&self, tag: TagId, form: Form, out: &mut Vec<u8>) {
        match self.records.schema.as_ref().and_then(|schema| schema.tag(tag)) {
            Some(names) => write_name(names.tag, form, out),
            None => write_name(&tag_unknown(tag), form, out),
        }
    }
}

fn clock_name(clock: ClockState) -> &'static str {
    match clock {
        ClockState::Synchronized => "synchronized",
        ClockState::Unsynchronized => "unsynchronized",
    }
}

fn write_name(text: &str, form: Form, out: &mut Vec<u8>) {
    match form {
        Form::Text => out.extend_from_slice(text.as_bytes()),
        Form::Json => write_string(text, out),
    }
}

fn in_quotes(form: Form, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    if form == Form::Json {
        out.push(b'"');
    }
    write(out);
    if form == Form::Json {
        out.push(b'"');
    }
}

/// As text nothing stands in quotes; the elements of an array stay JSON.
fn write_value_as(value: &Value, form: Form, out: &mut Vec<u8>) {
    match (value, form) {
        (Value::None, Form::Text) => {}
        (Value::Text(text), Form::Text) => out.extend_from_slice(text.as_bytes()),
        (Value::Array(_), _) | (_, Form::Json) => write_value(value, out),
        (value, Form::Text) => {
            let start = out.len();
            write_value(value, out);
            if out.get(start) == Some(&b'"') {
                out.pop();
                out.remove(start);
            }
        }
    }
}

#[cfg(test)]
mod tests;
