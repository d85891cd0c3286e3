//! Values of the server to values, and back.

mod encode;
mod json;

use driver_core::{Quality, Reason, Timestamp, Value};
use opcua::types::{Array, DataValue, DateTime, StatusCode, Variant};

use crate::address::base64;
use crate::config::TimeSource;
use crate::types::Types;

pub(crate) use encode::encode;
pub(crate) use json::{json, to_ask};

/// Seconds from 1601, where OPC UA's time begins, to 1970.
const EPOCH_S: i64 = 11_644_473_600;
/// 100 ns.
const NANOS_PER_TICK: i64 = 100;
/// A time before this one is that of a clock that was never set: 1980-01-01.
const TIME_MIN: i64 = 315_532_800_000_000_000;
/// How deep values lie in each other at most.
const DEPTH_MAX: usize = 16;

/// What a value of the server comes to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Decoded {
    pub(crate) value: Value,
    pub(crate) quality: Quality,
    /// The server's status, whole.
    pub(crate) status: u32,
    /// When it was taken, as far as that is wanted and known.
    pub(crate) time: Option<Timestamp>,
}

/// A value of the server with its status and time.
pub(crate) fn decode(data: &DataValue, time: TimeSource, types: &Types) -> Decoded {
    let status = data.status.unwrap_or(StatusCode::Good);
    let quality = crate::wire::quality(status);
    let known = |time: &Option<DateTime>| time.as_ref().and_then(timestamp);
    let time = match time {
        TimeSource::Source => known(&data.source_timestamp).or_else(|| known(&data.server_timestamp)),
        TimeSource::Server => known(&data.server_timestamp),
        TimeSource::Arrival => None,
    };
    let (value, quality) = match quality {
        Quality::Bad(_) => (Value::None, quality),
        quality => match data.value.as_ref().map(|variant| value(variant, types)) {
            Some(Some(Value::None)) | None => (Value::None, Quality::Bad(Reason::SensorFailure)),
            Some(Some(value)) => (value, quality),
            Some(None) => (Value::None, Quality::Bad(Reason::NotDecodable)),
        },
    };
    Decoded { value, quality, status: status.bits(), time }
}

/// A value; `None` for one that cannot be told, [`Value::None`] for an empty one.
pub(crate) fn value(variant: &Variant, types: &Types) -> Option<Value> {
    nested(variant, types, 0)
}

fn nested(variant: &Variant, types: &Types, depth: usize) -> Option<Value> {
    if depth > DEPTH_MAX {
        return None;
    }
    let text = |text: &str| Value::Text(text.into());
    Some(match variant {
        Variant::Empty => Value::None,
        Variant::Boolean(value) => Value::Bool(*value),
        Variant::SByte(value) => Value::Int((*value).into()),
        Variant::Int16(value) => Value::Int((*value).into()),
        Variant::Int32(value) => Value::Int((*value).into()),
        Variant::Int64(value) => Value::Int(*value),
        Variant::Byte(value) => Value::UInt((*value).into()),
        Variant::UInt16(value) => Value::UInt((*value).into()),
        Variant::UInt32(value) => Value::UInt((*value).into()),
        Variant::UInt64(value) => Value::UInt(*value),
        Variant::Float(value) => Value::Real(*value),
        Variant::Double(value) => Value::LReal(*value),
        // A text that is not there is an empty one: the server says Good of it.
        Variant::String(value) => text(value.as_ref()),
        Variant::LocalizedText(value) => text(value.text.as_ref()),
        Variant::XmlElement(value) => text(&value.to_string()),
        Variant::Guid(value) => text(&value.to_string()),
        Variant::QualifiedName(value) if value.namespace_index == 0 => text(value.name.as_ref()),
        Variant::QualifiedName(value) => text(&format!("{}:{}", value.namespace_index, value.name.as_ref())),
        Variant::NodeId(value) => text(&value.to_string()),
        Variant::ExpandedNodeId(value) => text(&value.to_string()),
        Variant::ByteString(value) => text(&base64(value.as_ref())),
        Variant::StatusCode(value) => Value::UInt(value.bits().into()),
        Variant::DateTime(value) => Value::DateTime(nanos(value)?),
        Variant::Variant(inner) => nested(inner, types, depth + 1)?,
        Variant::DataValue(inner) => {
            inner.value.as_ref().map_or(Some(Value::None), |inner| nested(inner, types, depth + 1))?
        }
        Variant::ExtensionObject(object) => text(&json::structure(object, types).ok()?),
        Variant::DiagnosticInfo(_) => return None,
        Variant::Array(array) => elements(array, types, depth)?,
    })
}

/// An array; a matrix is an array of its rows.
fn elements(array: &Array, types: &Types, depth: usize) -> Option<Value> {
    let values = array.values.iter().map(|one| nested(one, types, depth + 1)).collect::<Option<Vec<Value>>>()?;
    match &array.dimensions {
        Some(dimensions) if dimensions.len() > 1 => rows(values, dimensions),
        _ => Some(Value::Array(values.into())),
    }
}

fn rows(values: Vec<Value>, dimensions: &[u32]) -> Option<Value> {
    let cells = dimensions.iter().try_fold(1_usize, |cells, size| cells.checked_mul(*size as usize))?;
    if cells != values.len() || dimensions.len() > DEPTH_MAX {
        return None;
    }
    let sizes: Vec<usize> = dimensions.iter().map(|size| *size as usize).collect();
    Some(Value::Array(shape(values, &sizes, |row| Value::Array(row.into())).into()))
}

/// Cells in rows, and rows in rows, as many as there are dimensions. The last one runs fastest (Part 6, 5.2.2.16).
fn shape<T>(cells: Vec<T>, sizes: &[usize], row: impl Fn(Vec<T>) -> T) -> Vec<T> {
    let mut level = cells;
    for size in sizes.iter().skip(1).rev() {
        let mut rest = level.into_iter();
        let mut next = Vec::new();
        loop {
            let cells: Vec<T> = rest.by_ref().take((*size).max(1)).collect();
            if cells.is_empty() {
                break;
            }
            next.push(row(cells));
        }
        level = next;
    }
    level
}

/// Nanoseconds since 1970; `None` outside of what can be told (1677 to 2262).
fn nanos(time: &DateTime) -> Option<i64> {
    let ticks = time.ticks().checked_sub(EPOCH_S * 10_000_000)?;
    ticks.checked_mul(NANOS_PER_TICK)
}

/// A time that a clock has shown which was set.
pub(crate) fn timestamp(time: &DateTime) -> Option<Timestamp> {
    nanos(time).filter(|nanos| *nanos >= TIME_MIN).map(Timestamp)
}

/// The library's time for nanoseconds since 1970.
pub(crate) fn date_time(nanos: i64) -> DateTime {
    DateTime::from(nanos.div_euclid(NANOS_PER_TICK) + EPOCH_S * 10_000_000)
}

#[cfg(test)]
mod tests {
    use opcua::types::{Array, ByteString, LocalizedText, QualifiedName, VariantScalarTypeId};

    use super::*;

    fn matrix(values: &[i32], dimensions: &[u32]) -> Variant {
        let values: Vec<Variant> = values.iter().map(|value| Variant::from(*value)).collect();
        Variant::Array(Box::new(Array {
            value_type: VariantScalarTypeId::Int32,
            values,
            dimensions: Some(dimensions.into()),
        }))
    }

    #[test]
    fn values_of_every_kind_are_told() {
        let row = |values: &[i64]| Value::Array(values.iter().map(|value| Value::Int(*value)).collect());
        let cases = [
            (Variant::from(true), Value::Bool(true)),
            (Variant::from(-3_i8), Value::Int(-3)),
            (Variant::from(u64::MAX), Value::UInt(u64::MAX)),
            (Variant::from(0.1_f32), Value::Real(0.1)),
            (Variant::from("Pumpe"), Value::Text("Pumpe".into())),
            (Variant::from(LocalizedText::new("de", "läuft")), Value::Text("läuft".into())),
            (Variant::from(QualifiedName::new(2, "Level")), Value::Text("2:Level".into())),
            (Variant::from(ByteString::from(vec![1, 2, 3, 4])), Value::Text("AQIDBA==".into())),
            (Variant::from(StatusCode::BadTimeout), Value::UInt(0x800A_0000)),
            (Variant::from(date_time(1_500_000_000)), Value::DateTime(1_500_000_000)),
            (Variant::from(vec![1_i32, 2]), row(&[1, 2])),
            (Variant::Variant(Box::new(Variant::from(5_i16))), Value::Int(5)),
            (matrix(&[1, 2, 3, 4, 5, 6], &[2, 3]), Value::Array([row(&[1, 2, 3]), row(&[4, 5, 6])].into())),
            (Variant::Empty, Value::None),
        ];
        for (variant, expected) in cases {
            assert_eq!(value(&variant, &Types::default()), Some(expected), "{variant:?}");
        }
        assert_eq!(value(&matrix(&[1, 2, 3], &[2, 3]), &Types::default()), None);
        let deep = (0..40).fold(Variant::from(1_i32), |inner, _| Variant::Variant(Box::new(inner)));
        assert_eq!(value(&deep, &Types::default()), None);
    }

    #[test]
    fn a_status_goes_along_whole_and_the_time_is_the_one_that_is_wanted() {
        let (source, server) = (date_time(1_700_000_000_000_000_000), date_time(1_700_000_001_000_000_000));
        let data = DataValue {
            value: Some(Variant::from(7_i32)),
            status: Some(StatusCode::UncertainLastUsableValue),
            source_timestamp: Some(source),
            server_timestamp: Some(server),
            ..DataValue::default()
        };
        let decoded = decode(&data, TimeSource::Source, &Types::default());
        assert_eq!(decoded.status, StatusCode::UncertainLastUsableValue.bits());
        assert_eq!((decoded.value, decoded.quality), (Value::Int(7), Quality::Uncertain(Reason::DeviceFailure)));
        assert_eq!(decoded.time, Some(Timestamp(1_700_000_000_000_000_000)));
        assert_eq!(
            decode(&data, TimeSource::Server, &Types::default()).time,
            Some(Timestamp(1_700_000_001_000_000_000))
        );
        assert_eq!(decode(&data, TimeSource::Arrival, &Types::default()).time, None);
        let never = DataValue { source_timestamp: Some(DateTime::null()), ..data };
        assert_eq!(
            decode(&never, TimeSource::Source, &Types::default()).time,
            Some(Timestamp(1_700_000_001_000_000_000))
        );
    }

    #[test]
    fn a_bad_status_or_no_value_is_no_value() {
        let bad = DataValue { status: Some(StatusCode::BadSensorFailure), ..DataValue::value_only(1_i32) };
        let decoded = decode(&bad, TimeSource::Source, &Types::default());
        assert_eq!((decoded.value, decoded.quality), (Value::None, Quality::Bad(Reason::SensorFailure)));
        let none = decode(&DataValue::value_only(Variant::Empty), TimeSource::Source, &Types::default());
        assert_eq!((none.value, none.quality), (Value::None, Quality::Bad(Reason::SensorFailure)));
    }
}
