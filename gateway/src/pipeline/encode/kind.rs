//! What kinds of values there are, and values written one by one.

use driver_core::Value;

use super::Undecodable;
use super::varint::{Input, put_u64};

pub(super) const EMPTY: u8 = 0;
pub(super) const BOOL: u8 = 1;
pub(super) const INT: u8 = 2;
pub(super) const UINT: u8 = 3;
pub(super) const REAL: u8 = 4;
pub(super) const LREAL: u8 = 5;
pub(super) const DURATION: u8 = 6;
pub(super) const DATE_TIME: u8 = 7;
pub(super) const TIME_OF_DAY: u8 = 8;
/// Text, arrays, and columns of several kinds: each value with its own kind.
pub(super) const PLAIN: u8 = 9;
const TEXT: u8 = 10;
const ARRAY: u8 = 11;

/// How deep arrays may stand in each other.
const DEPTH_MAX: u32 = 4;

/// Bytes of a floating-point value.
pub(super) fn width_of(kind: u8) -> usize {
    if kind == REAL { 4 } else { 8 }
}

pub(super) fn kind_of(value: &Value) -> u8 {
    match value {
        Value::None => EMPTY,
        Value::Bool(_) => BOOL,
        Value::Int(_) => INT,
        Value::UInt(_) => UINT,
        Value::Real(_) => REAL,
        Value::LReal(_) => LREAL,
        Value::Text(_) => TEXT,
        Value::Duration(_) => DURATION,
        Value::DateTime(_) => DATE_TIME,
        Value::TimeOfDay(_) => TIME_OF_DAY,
        Value::Array(_) => ARRAY,
    }
}

pub(super) fn bits_of(value: &Value) -> Option<u64> {
    Some(match value {
        Value::Bool(value) => u64::from(*value),
        Value::Int(value) | Value::Duration(value) | Value::DateTime(value) | Value::TimeOfDay(value) => *value as u64,
        Value::UInt(value) => *value,
        Value::Real(value) => u64::from(value.to_bits()),
        Value::LReal(value) => value.to_bits(),
        Value::None | Value::Text(_) | Value::Array(_) => return None,
    })
}

pub(super) fn value_of(kind: u8, bits: u64) -> Result<Value, Undecodable> {
    Ok(match kind {
        BOOL => Value::Bool(bits != 0),
        INT => Value::Int(bits as i64),
        UINT => Value::UInt(bits),
        REAL => Value::Real(f32::from_bits(bits as u32)),
        LREAL => Value::LReal(f64::from_bits(bits)),
        DURATION => Value::Duration(bits as i64),
        DATE_TIME => Value::DateTime(bits as i64),
        TIME_OF_DAY => Value::TimeOfDay(bits as i64),
        _ => return Err(Undecodable("a value's kind is unknown to this version")),
    })
}

pub(super) fn write_value(value: &Value, out: &mut Vec<u8>) {
    out.push(kind_of(value));
    match value {
        Value::Text(text) => {
            put_u64(out, text.len() as u64);
            out.extend_from_slice(text.as_bytes());
        }
        Value::Array(elements) => {
            put_u64(out, elements.len() as u64);
            elements.iter().for_each(|element| write_value(element, out));
        }
        scalar => {
            if let Some(bits) = bits_of(scalar) {
                put_u64(out, bits);
            }
        }
    }
}

pub(super) fn read_value(input: &mut Input<'_>, depth: u32) -> Result<Value, Undecodable> {
    match input.byte()? {
        EMPTY => Ok(Value::None),
        TEXT => {
            let length = input.count(super::PAYLOAD_MAX)?;
            let text = std::str::from_utf8(input.bytes(length)?).map_err(|_| Undecodable("a text is not UTF-8"))?;
            Ok(Value::Text(text.into()))
        }
        ARRAY if depth < DEPTH_MAX => {
            let count = input.count(super::READINGS_MAX)?;
            (0..count)
                .map(|_| read_value(input, depth + 1))
                .collect::<Result<Vec<Value>, _>>()
                .map(|all| Value::Array(all.into()))
        }
        kind => value_of(kind, input.u64()?),
    }
}
