//! `format: avro`: Avro's binary encoding (specification 1.11, "Data Serialization"), written by hand.
//!
//! One schema for all gateways and all types of tags, so that it never changes with a configuration. Names are those of
//! the JSON payload, and so are the values:
//!
//! | value | branch of `value` |
//! |---|---|
//! | BOOL | `boolean` |
//! | integers, bit strings | `long`; from 2^63 on `decimal(29, 9)` |
//! | REAL, LREAL | `float`, `double`, with NaN and infinities |
//! | text, dates and times of day | `string`, as JSON writes them |
//! | durations | `decimal(29, 9)`, in seconds |
//! | arrays | `array` of the above; an array in an array is its JSON text |
//! | no value | `null`; `quality` is then `bad` and `reason` says why |
//!
//! A record with `gap` declares readings that will never come; its `value` is null and its `quality` is `bad`.

mod write;

use driver_core::{ClockState, Reading, Tense, Value};

use self::write::{write_bytes, write_decimal, write_long, write_text};
use super::json::time::{TimeText, write_time_of_day};
use super::json::value::write_value as write_json;
use super::keyed::{self, Content, Keyed, Kind, Of, Registration, SchemaId, Shape};
use super::{Format, FormatInfo, FormatKind, Missing, Types};
use crate::uplink::topic::{Rules, Template};
use crate::uplink::{Lane, UplinkError, UplinkSpec, registry};

/// The schema of one record a reading.
pub const READING: &str = include_str!("avro/reading.avsc");

/// The schema of one record a batch.
pub const BATCH: &str = include_str!("avro/batch.avsc");

/// The digits behind the point of a decimal.
const SCALE: i128 = 1_000_000_000;

/// `format: avro`.
#[derive(Debug)]
pub struct AvroKind;

static INFO: FormatInfo = FormatInfo {
    name: "avro",
    help: "Avro, with its schema in a registry where one is named",
    uplinks: &["kafka"],
    types: Types::AsTheyCome,
};

impl FormatKind for AvroKind {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn open(&self, spec: &UplinkSpec, topic: Template, _: Rules) -> Result<Box<dyn Format>, Vec<UplinkError>> {
        let registration = registry::is_named(spec).then(|| Registration {
            subject: registry::subject(&topic, keyed::shape(spec)),
            kind: "AVRO",
            schema: schema(keyed::shape(spec)),
            message: &[],
            id: SchemaId::default(),
        });
        Ok(Box::new(Keyed::open(spec, topic, Box::new(Avro::default()), registration)?))
    }
}

/// The schema of the records of this shape.
pub fn schema(shape: Shape) -> &'static str {
    match shape {
        Shape::Readings => READING,
        Shape::Batches => BATCH,
    }
}

/// Writes Avro records.
#[derive(Debug, Default)]
pub struct Avro {
    time: TimeText,
    text: Vec<u8>,
}

/// The branches of `value` and of an array's elements, in the order of the schema.
mod branch {
    pub(super) const NULL: i64 = 0;
    pub(super) const BOOLEAN: i64 = 1;
    pub(super) const LONG: i64 = 2;
    pub(super) const FLOAT: i64 = 3;
    pub(super) const DOUBLE: i64 = 4;
    pub(super) const STRING: i64 = 5;
    pub(super) const DECIMAL: i64 = 6;
    pub(super) const ARRAY: i64 = 7;
}

/// Where an array may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depth {
    Value,
    Element,
}

impl Content for Avro {
    fn content_type(&self, kind: Kind) -> &'static str {
        match kind {
            Kind::Reading => "application/avro",
            Kind::Batch => "application/avro;type=batch",
            Kind::Gap => "application/avro;type=gap",
        }
    }

    fn reading(&mut self, reading: &Reading, of: &Of<'_>, out: &mut Vec<u8>) {
        write_time(reading.timestamp.0, out);
        write_text(of.gateway, out);
        write_text(of.device, out);
        self.write_middle(reading, of, out);
        write_long(i64::from(of.epoch), out);
        write_lane(of.lane, out);
        write_long(long(of.seq), out);
        write_long(branch::NULL, out);
    }

    fn item(&mut self, reading: &Reading, of: &Of<'_>, items: &mut Vec<u8>) {
        write_time(reading.timestamp.0, items);
        self.write_middle(reading, of, items);
        write_long(long(of.seq), items);
    }

    fn batch(&mut self, of: &Of<'_>, count: usize, items: &[u8], out: &mut Vec<u8>) {
        write_text(of.gateway, out);
        write_text(of.device, out);
        write_long(i64::from(of.epoch), out);
        write_lane(of.lane, out);
        if count > 0 {
            write_long(long(count as u64), out);
            out.extend_from_slice(items);
        }
        write_long(0, out);
        write_long(branch::NULL, out);
    }

    fn gap(&mut self, gateway: &str, missing: &Missing, shape: Shape, out: &mut Vec<u8>) {
        let gap = &missing.gap;
        match shape {
            Shape::Readings => {
                write_time(gap.time_ns.map_or(0, |(_, newest)| newest), out);
                [gateway, "", ""].iter().for_each(|name| write_text(name, out));
                write_long(branch::NULL, out);
                write_text("bad", out);
                write_optional(Some(missing.reason), out);
                [branch::NULL; 3].iter().for_each(|branch| write_long(*branch, out));
                write_boolean(false, out);
            }
            Shape::Batches => [gateway, ""].iter().for_each(|name| write_text(name, out)),
        }
        write_long(i64::from(missing.epoch), out);
        write_lane(missing.lane, out);
        match shape {
            Shape::Readings => write_long(long(gap.seqs.first), out),
            Shape::Batches => write_long(0, out),
        }
        write_long(1, out);
        [gap.seqs.first, gap.seqs.last, gap.count].iter().for_each(|number| write_long(long(*number), out));
        write_text(missing.reason, out);
        for time in [gap.time_ns.map(|(from, _)| from), gap.time_ns.map(|(_, to)| to)] {
            write_long(i64::from(time.is_some()), out);
            time.into_iter().for_each(|time| write_time(time, out));
        }
    }

    fn another(&self) -> Box<dyn Content> {
        Box::new(Avro::default())
    }
}

impl Avro {
    /// From the tag to the tense: the same in a reading and in a batch.
    fn write_middle(&mut self, reading: &Reading, of: &Of<'_>, out: &mut Vec<u8>) {
        write_text(of.tag, out);
        self.write_value(&reading.value, Depth::Value, out);
        write_text(reading.quality.level().name(), out);
        write_optional(reading.quality.reason().map(|reason| reason.name()), out);
        write_long(i64::from(reading.status != 0), out);
        if reading.status != 0 {
            write_long(i64::from(reading.status), out);
        }
        write_optional((!of.unit.is_empty()).then_some(of.unit), out);
        write_optional((reading.clock == ClockState::Unsynchronized).then_some("unsynchronized"), out);
        write_boolean(reading.tense == Tense::Past, out);
    }

    fn write_value(&mut self, value: &Value, depth: Depth, out: &mut Vec<u8>) {
        match value {
            Value::None => write_long(branch::NULL, out),
            Value::Bool(value) => {
                write_long(branch::BOOLEAN, out);
                write_boolean(*value, out);
            }
            Value::Int(value) => write_integer(*value, out),
            Value::UInt(value) => match i64::try_from(*value) {
                Ok(value) => write_integer(value, out),
                Err(_) => write_exact(i128::from(*value) * SCALE, out),
            },
            Value::Real(value) => {
                write_long(branch::FLOAT, out);
                out.extend_from_slice(&value.to_le_bytes());
            }
            Value::LReal(value) => {
                write_long(branch::DOUBLE, out);
                out.extend_from_slice(&value.to_le_bytes());
            }
            Value::Text(text) => {
                write_long(branch::STRING, out);
                write_text(text, out);
            }
            Value::Duration(nanos) => write_exact(i128::from(*nanos), out),
            Value::DateTime(nanos) => {
                self.text.clear();
                self.time.write(*nanos, &mut self.text);
                self.write_written(out);
            }
            Value::TimeOfDay(nanos) => {
                self.text.clear();
                write_time_of_day(*nanos, &mut self.text);
                self.write_written(out);
            }
            Value::Array(elements) if depth == Depth::Value => {
                write_long(branch::ARRAY, out);
                if !elements.is_empty() {
                    write_long(long(elements.len() as u64), out);
                    elements.iter().for_each(|element| self.write_value(element, Depth::Element, out));
                }
                write_long(0, out);
            }
            Value::Array(_) => {
                self.text.clear();
                write_json(value, &mut self.text);
                self.write_written(out);
            }
        }
    }

    /// What stands in `text`, as a string.
    fn write_written(&mut self, out: &mut Vec<u8>) {
        write_long(branch::STRING, out);
        write_bytes(&self.text, out);
    }
}

fn write_integer(value: i64, out: &mut Vec<u8>) {
    write_long(branch::LONG, out);
    write_long(value, out);
}

fn write_exact(unscaled: i128, out: &mut Vec<u8>) {
    write_long(branch::DECIMAL, out);
    write_decimal(unscaled, out);
}

/// Microseconds since 1970; what is finer is dropped, and the gateway's own clock gives nothing finer.
fn write_time(nanos: i64, out: &mut Vec<u8>) {
    write_long(nanos.div_euclid(1_000), out);
}

fn write_boolean(value: bool, out: &mut Vec<u8>) {
    out.push(u8::from(value));
}

fn write_optional(text: Option<&str>, out: &mut Vec<u8>) {
    write_long(i64::from(text.is_some()), out);
    text.into_iter().for_each(|text| write_text(text, out));
}

fn write_lane(lane: Lane, out: &mut Vec<u8>) {
    write_optional((lane != Lane::Live).then(|| lane.name()), out);
    write_long(i64::from(lane.job().is_some()), out);
    lane.job().into_iter().for_each(|job| write_long(i64::from(job), out));
}

/// Seqs and counts stay far below what a long holds.
fn long(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
