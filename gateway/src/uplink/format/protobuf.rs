//! `format: protobuf`: Protocol Buffers 3 (encoding of protobuf.dev/programming-guides/encoding), written by hand.
//!
//! [`SCHEMA`] is the file that a consumer compiles. A value stands in the member of `oneof value` that its type has, so
//! that a tag is always found in the same one; fields that hold their default are written all the same where a member
//! must be told from none.

mod write;

use driver_core::{ClockState, Reading, Tense, Value};

use self::write::{write_field, write_key, write_nested, write_unsigned, zigzag};
use super::json::time::{TimeText, write_time_of_day};
use super::keyed::{self, Content, Keyed, Kind, Of, Registration, SchemaId, Shape};
use super::{Format, FormatInfo, FormatKind, Missing, Types};
use crate::uplink::topic::{Rules, Template};
use crate::uplink::{Lane, UplinkError, UplinkSpec, registry};

/// The file for consumers.
pub const SCHEMA: &str = include_str!("protobuf/forebay.proto");

/// Which message of the file it is, as it stands between a registry's id and the payload: the number of indices and each
/// index, zig-zag; the first message alone is 0.
const FIRST: &[u8] = &[0];
const SECOND: &[u8] = &[2, 2];

/// `format: protobuf`.
#[derive(Debug)]
pub struct ProtobufKind;

static INFO: FormatInfo = FormatInfo {
    name: "protobuf",
    help: "Protocol Buffers, with their file in a registry where one is named",
    uplinks: &["kafka"],
    types: Types::AsTheyCome,
};

impl FormatKind for ProtobufKind {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn open(&self, spec: &UplinkSpec, topic: Template, _: Rules) -> Result<Box<dyn Format>, Vec<UplinkError>> {
        let registration = registry::is_named(spec).then(|| Registration {
            subject: registry::subject(&topic, keyed::shape(spec)),
            kind: "PROTOBUF",
            schema: SCHEMA,
            message: match keyed::shape(spec) {
                Shape::Readings => FIRST,
                Shape::Batches => SECOND,
            },
            id: SchemaId::default(),
        });
        Ok(Box::new(Keyed::open(spec, topic, Box::new(Protobuf::default()), registration)?))
    }
}

/// Writes Protobuf records.
#[derive(Debug, Default)]
pub struct Protobuf {
    time: TimeText,
    text: Vec<u8>,
    item: Vec<u8>,
}

/// Field numbers.
mod field {
    pub(super) const TIME: u32 = 1;
    pub(super) const GATEWAY: u32 = 2;
    pub(super) const DEVICE: u32 = 3;
    pub(super) const TAG: u32 = 4;
    pub(super) const BOOLEAN: u32 = 5;
    pub(super) const INTEGER: u32 = 6;
    pub(super) const UNSIGNED: u32 = 7;
    pub(super) const REAL: u32 = 8;
    pub(super) const LREAL: u32 = 9;
    pub(super) const TEXT: u32 = 10;
    pub(super) const DURATION_NS: u32 = 11;
    pub(super) const ARRAY: u32 = 12;
    pub(super) const QUALITY: u32 = 13;
    pub(super) const REASON: u32 = 14;
    pub(super) const STATUS: u32 = 15;
    pub(super) const UNIT: u32 = 16;
    pub(super) const CLOCK: u32 = 17;
    pub(super) const EPOCH: u32 = 18;
    pub(super) const LANE: u32 = 19;
    pub(super) const JOB: u32 = 20;
    pub(super) const SEQ: u32 = 21;
    pub(super) const GAP: u32 = 22;
    pub(super) const READINGS: u32 = 23;
    pub(super) const HISTORICAL: u32 = 24;
}

impl Content for Protobuf {
    fn content_type(&self, kind: Kind) -> &'static str {
        match kind {
            Kind::Reading => "application/protobuf",
            Kind::Batch => "application/protobuf;type=batch",
            Kind::Gap => "application/protobuf;type=gap",
        }
    }

    fn reading(&mut self, reading: &Reading, of: &Of<'_>, out: &mut Vec<u8>) {
        write_time(field::TIME, reading.timestamp.0, out);
        write_field(field::GATEWAY, of.gateway.as_bytes(), out);
        write_field(field::DEVICE, of.device.as_bytes(), out);
        self.write_middle(reading, of, out);
        write_unsigned(field::EPOCH, u64::from(of.epoch), out);
        write_lane(of.lane, out);
        write_unsigned(field::SEQ, of.seq, out);
    }

    fn item(&mut self, reading: &Reading, of: &Of<'_>, items: &mut Vec<u8>) {
        let mut item = std::mem::take(&mut self.item);
        item.clear();
        write_time(field::TIME, reading.timestamp.0, &mut item);
        self.write_middle(reading, of, &mut item);
        write_unsigned(field::SEQ, of.seq, &mut item);
        write_field(field::READINGS, &item, items);
        self.item = item;
    }

    fn batch(&mut self, of: &Of<'_>, _: usize, items: &[u8], out: &mut Vec<u8>) {
        write_field(field::GATEWAY, of.gateway.as_bytes(), out);
        write_field(field::DEVICE, of.device.as_bytes(), out);
        write_unsigned(field::EPOCH, u64::from(of.epoch), out);
        write_lane(of.lane, out);
        out.extend_from_slice(items);
    }

    fn gap(&mut self, gateway: &str, missing: &Missing, shape: Shape, out: &mut Vec<u8>) {
        let gap = &missing.gap;
        write_field(field::GATEWAY, gateway.as_bytes(), out);
        if shape == Shape::Readings {
            write_time(field::TIME, gap.time_ns.map_or(0, |(_, newest)| newest), out);
            write_field(field::QUALITY, b"bad", out);
            write_field(field::REASON, missing.reason.as_bytes(), out);
            write_unsigned(field::SEQ, gap.seqs.first, out);
        }
        write_unsigned(field::EPOCH, u64::from(missing.epoch), out);
        write_lane(missing.lane, out);
        write_nested(field::GAP, out, |out| {
            write_unsigned(1, gap.seqs.first, out);
            write_unsigned(2, gap.seqs.last, out);
            write_unsigned(3, gap.count, out);
            write_field(4, missing.reason.as_bytes(), out);
            if let Some((from, to)) = gap.time_ns {
                write_time(5, from, out);
                write_time(6, to, out);
            }
        });
    }

    fn another(&self) -> Box<dyn Content> {
        Box::new(Protobuf::default())
    }
}

impl Protobuf {
    /// From the tag to the tense: the same in a reading and in a batch.
    fn write_middle(&mut self, reading: &Reading, of: &Of<'_>, out: &mut Vec<u8>) {
        write_field(field::TAG, of.tag.as_bytes(), out);
        self.write_value(&reading.value, out);
        write_field(field::QUALITY, reading.quality.level().name().as_bytes(), out);
        if let Some(reason) = reading.quality.reason() {
            write_field(field::REASON, reason.name().as_bytes(), out);
        }
        if reading.status != 0 {
            write_unsigned(field::STATUS, u64::from(reading.status), out);
        }
        if !of.unit.is_empty() {
            write_field(field::UNIT, of.unit.as_bytes(), out);
        }
        if reading.clock == ClockState::Unsynchronized {
            write_field(field::CLOCK, b"unsynchronized", out);
        }
        if reading.tense == Tense::Past {
            write_unsigned(field::HISTORICAL, 1, out);
        }
    }

    fn write_value(&mut self, value: &Value, out: &mut Vec<u8>) {
        match value {
            Value::None => {}
            Value::Bool(value) => write_unsigned(field::BOOLEAN, u64::from(*value), out),
            Value::Int(value) => write_unsigned(field::INTEGER, zigzag(*value), out),
            Value::UInt(value) => write_unsigned(field::UNSIGNED, *value, out),
            Value::Real(value) => {
                write_key(field::REAL, write::FIXED_32, out);
                out.extend_from_slice(&value.to_le_bytes());
            }
            Value::LReal(value) => {
                write_key(field::LREAL, write::FIXED_64, out);
                out.extend_from_slice(&value.to_le_bytes());
            }
            Value::Text(text) => write_field(field::TEXT, text.as_bytes(), out),
            Value::Duration(nanos) => write_unsigned(field::DURATION_NS, zigzag(*nanos), out),
            Value::DateTime(nanos) => {
                self.text.clear();
                self.time.write(*nanos, &mut self.text);
                write_field(field::TEXT, &self.text, out);
            }
            Value::TimeOfDay(nanos) => {
                self.text.clear();
                write_time_of_day(*nanos, &mut self.text);
                write_field(field::TEXT, &self.text, out);
            }
            Value::Array(elements) => write_nested(field::ARRAY, out, |out| {
                for element in elements {
                    write_nested(1, out, |out| self.write_value(element, out));
                }
            }),
        }
    }
}

/// A `google.protobuf.Timestamp`: seconds and nanoseconds, which are never negative.
fn write_time(number: u32, nanos: i64, out: &mut Vec<u8>) {
    const NANOS_PER_SECOND: i64 = 1_000_000_000;
    let (seconds, rest) = (nanos.div_euclid(NANOS_PER_SECOND), nanos.rem_euclid(NANOS_PER_SECOND));
    write_nested(number, out, |out| {
        write_unsigned(1, seconds as u64, out);
        write_unsigned(2, rest as u64, out);
    });
}

fn write_lane(lane: Lane, out: &mut Vec<u8>) {
    if lane != Lane::Live {
        write_field(field::LANE, lane.name().as_bytes(), out);
    }
    if let Some(job) = lane.job() {
        write_unsigned(field::JOB, u64::from(job), out);
    }
}

#[cfg(test)]
mod tests;
