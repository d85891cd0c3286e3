//! Sparkplug B payloads as bytes, written by hand: a reading costs a few copies. Protocol buffers without a schema compiler.
//!
//! ```text
//! Payload    1 timestamp, ms | 2 metric, repeated | 3 seq
//! Metric     1 name | 2 alias | 3 timestamp, ms | 4 datatype | 5 is_historical | 7 is_null | 9 properties | 10..16 value
//! PropertySet    1 key, repeated | 2 value, repeated        PropertyValue    1 type | 3 int | 8 string
//! ```
//!
//! A message of the log is made as a row of metrics; timestamp and seq are added when it is handed over, because only then
//! are they known ([`finish`]). Protocol buffers allow fields in any order.

use super::metric::{MetricType, Scalar, write_array};
use driver_core::Value;

/// The tag of a metric in a payload: field 2, length-delimited.
const METRIC: u8 = 0x12;

/// `is_historical: true`.
const HISTORICAL: [u8; 2] = [0x28, 1];

/// `is_null: true`.
const NULL: [u8; 2] = [0x38, 1];

/// The most bytes of a length that is reserved before what it measures is written.
const SHORT_MAX: usize = 0x7f;

/// What a metric says beside its value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heading<'a> {
    /// Its name; data go by the alias alone.
    pub(super) name: Option<&'a str>,
    /// Its number.
    pub(super) alias: Option<u64>,
    /// When the value was taken, milliseconds since 1970.
    pub(super) time_ms: u64,
    /// Births say what type follows, by its number.
    pub(super) announced: Option<u32>,
}

/// A property of a metric.
#[derive(Debug, Clone, Copy)]
pub(super) enum Property<'a> {
    /// A whole number.
    Int(&'a str, u32),
    /// A text.
    Text(&'a str, &'a str),
}

/// Writes a metric; `None` for a value is null.
pub(super) fn write_metric(
    heading: &Heading<'_>,
    value: Option<(MetricType, &Value)>,
    properties: &[Property<'_>],
    out: &mut Vec<u8>,
) {
    write_metric_with(heading, properties, out, |out| match value {
        Some((kind, value)) => write_value(kind, value, out),
        None => out.extend_from_slice(&NULL),
    });
}

/// Writes a metric whose value `write` writes.
pub(super) fn write_metric_with(
    heading: &Heading<'_>,
    properties: &[Property<'_>],
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>),
) {
    out.push(METRIC);
    measured(out, |out| {
        if let Some(name) = heading.name {
            write_bytes(0x0a, name.as_bytes(), out);
        }
        if let Some(alias) = heading.alias {
            write_number(0x10, alias, out);
        }
        write_number(0x18, heading.time_ms, out);
        if let Some(kind) = heading.announced {
            write_number(0x20, u64::from(kind), out);
        }
        if !properties.is_empty() {
            out.push(0x4a);
            measured(out, |out| write_properties(properties, out));
        }
        write(out);
    });
}

fn write_value(kind: MetricType, value: &Value, out: &mut Vec<u8>) {
    match kind.scalar(value) {
        Some(Scalar::Int(number)) => write_number(0x50, u64::from(number), out),
        Some(Scalar::Long(number)) => write_number(0x58, number, out),
        Some(Scalar::Float(number)) => {
            out.push(0x65);
            out.extend_from_slice(&number.to_le_bytes());
        }
        Some(Scalar::Double(number)) => {
            out.push(0x69);
            out.extend_from_slice(&number.to_le_bytes());
        }
        Some(Scalar::Bool(bit)) => out.extend_from_slice(&[0x70, u8::from(bit)]),
        Some(Scalar::Text(text)) => write_bytes(0x7a, text.as_bytes(), out),
        None => {
            let start = out.len();
            out.extend_from_slice(&[0x82, 1]);
            let whole = measured(out, |out| write_array(kind, value, out));
            if whole.is_none() {
                out.truncate(start);
                out.extend_from_slice(&NULL);
            }
        }
    }
}

fn write_properties(properties: &[Property<'_>], out: &mut Vec<u8>) {
    const INT32: u8 = 3;
    const STRING: u8 = 12;
    for Property::Int(key, _) | Property::Text(key, _) in properties {
        write_bytes(0x0a, key.as_bytes(), out);
    }
    for property in properties {
        out.push(0x12);
        measured(out, |out| match property {
            Property::Int(_, number) => {
                out.extend_from_slice(&[0x08, INT32]);
                write_number(0x18, u64::from(*number), out);
            }
            Property::Text(_, text) => {
                out.extend_from_slice(&[0x08, STRING]);
                write_bytes(0x42, text.as_bytes(), out);
            }
        });
    }
}

/// Ends a payload: when it is sent, and its place among all messages of the edge node; a will has none.
pub(super) fn finish(time_ms: u64, seq: Option<u8>, out: &mut Vec<u8>) {
    write_number(0x08, time_ms, out);
    if let Some(seq) = seq {
        write_number(0x18, u64::from(seq), out);
    }
}

/// A row of metrics with each one marked as of the past; what is no row of metrics stays as it is.
pub(super) fn as_history(metrics: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(metrics.len() + metrics.len() / 8 + 16);
    let mut rest = metrics;
    while let [METRIC, after @ ..] = rest {
        let Some((length, size)) = read_varint(after) else { break };
        let Some(metric) = usize::try_from(length).ok().and_then(|length| after.get(size..size.checked_add(length)?))
        else {
            break;
        };
        out.push(METRIC);
        write_varint((metric.len() + HISTORICAL.len()) as u64, &mut out);
        out.extend_from_slice(metric);
        out.extend_from_slice(&HISTORICAL);
        rest = &after[size + metric.len()..];
    }
    out.extend_from_slice(rest);
    out
}

/// Writes the length of what `write` writes before it.
pub(super) fn measured<T>(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    let at = out.len();
    out.push(0);
    let result = write(out);
    let length = out.len() - at - 1;
    if length <= SHORT_MAX {
        out[at] = length as u8;
    } else {
        let mut prefix = Vec::with_capacity(5);
        write_varint(length as u64, &mut prefix);
        out.splice(at..=at, prefix);
    }
    result
}

pub(super) fn write_number(tag: u8, number: u64, out: &mut Vec<u8>) {
    out.push(tag);
    write_varint(number, out);
}

pub(super) fn write_bytes(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    write_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

pub(super) fn write_varint(mut number: u64, out: &mut Vec<u8>) {
    while number > 0x7f {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// A number and how many bytes tell it; `None` when it is cut or longer than 64 bits.
pub(super) fn read_varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut number = 0_u64;
    for (index, byte) in bytes.iter().take(10).enumerate() {
        let bits = u64::from(byte & 0x7f);
        if index == 9 && bits > 1 {
            return None;
        }
        number |= bits << (7 * index);
        if byte & 0x80 == 0 {
            return Some((number, index + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests;
