//! The data types of Sparkplug B (specification 3.0, 6.4.16), and which one stands for each of ours.
//!
//! | ours | Sparkplug |
//! |---|---|
//! | BOOL | Boolean |
//! | SINT INT DINT LINT | Int8 Int16 Int32 Int64 |
//! | USINT UINT UDINT ULINT, BYTE WORD DWORD LWORD | UInt8 UInt16 UInt32 UInt64 |
//! | REAL, 16-bit floats · LREAL, scaled integers | Float · Double |
//! | texts | String |
//! | durations and times of day | Int64, nanoseconds |
//! | dates | DateTime, milliseconds since 1970; what is finer is cut off |
//! | arrays | Int8Array to DateTimeArray; durations as Int64Array |

use driver_core::{DataType, Value};

use crate::uplink::TagType;

/// Milliseconds are what Sparkplug counts in.
const NANOS_PER_MILLI: i64 = 1_000_000;

/// Added to the code of a scalar type for its array: Int8 is 1 and Int8Array is 22.
const ARRAY_CODES_FROM: u32 = 21;

/// The type of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MetricType {
    pub(super) element: Element,
    pub(super) shape: Shape,
}

/// Whether a metric has one value or a row of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    One,
    Array,
}

/// The type of one value. The numbers are those of the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Element {
    Int8 = 1,
    Int16 = 2,
    Int32 = 3,
    Int64 = 4,
    UInt8 = 5,
    UInt16 = 6,
    UInt32 = 7,
    UInt64 = 8,
    Float = 9,
    Double = 10,
    Boolean = 11,
    String = 12,
    DateTime = 13,
}

/// A value as it stands in a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scalar<'a> {
    Int(u32),
    Long(u64),
    Float(f32),
    Double(f64),
    Bool(bool),
    Text(&'a str),
}

impl MetricType {
    /// The type for a tag.
    pub(super) fn of(tag: &TagType) -> MetricType {
        let shape = if tag.elements > 1 { Shape::Array } else { Shape::One };
        MetricType { element: element_of(tag.data_type), shape }
    }

    /// The type for a tag of which no more is known than one value.
    pub(super) fn of_value(value: &Value) -> MetricType {
        match value {
            Value::Array(elements) => {
                let element = elements.first().map_or(Element::Double, |first| MetricType::of_value(first).element);
                MetricType { element, shape: Shape::Array }
            }
            one => MetricType { element: element_of_value(one), shape: Shape::One },
        }
    }

    /// Its number.
    pub(super) fn code(self) -> u32 {
        match (self.shape, self.element) {
            (Shape::One, element) => element as u32,
            (Shape::Array, element) => ARRAY_CODES_FROM + element as u32,
        }
    }

    /// Whether a value can be told in it without loss.
    pub(super) fn takes(self, value: &Value) -> bool {
        match (self.shape, value) {
            (_, Value::None) => true,
            (Shape::Array, Value::Array(elements)) => elements.iter().all(|one| self.element.scalar(one).is_some()),
            (Shape::One, one) => self.element.scalar(one).is_some(),
            (Shape::Array, _) => false,
        }
    }

    /// The value as a scalar; `None` for an array, or what is not of this type.
    pub(super) fn scalar(self, value: &Value) -> Option<Scalar<'_>> {
        if self.shape == Shape::Array { None } else { self.element.scalar(value) }
    }
}

impl Element {
    /// The type of that number.
    pub(super) fn from_code(code: u64) -> Option<Element> {
        use Element::*;
        let all = [Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64, Float, Double, Boolean, String, DateTime];
        all.into_iter().find(|element| *element as u64 == code)
    }

    fn scalar(self, value: &Value) -> Option<Scalar<'_>> {
        Some(match (self, value) {
            (Element::Int8, Value::Int(number)) => Scalar::Int(i32::from(i8::try_from(*number).ok()?) as u32),
            (Element::Int16, Value::Int(number)) => Scalar::Int(i32::from(i16::try_from(*number).ok()?) as u32),
            (Element::Int32, Value::Int(number)) => Scalar::Int(i32::try_from(*number).ok()? as u32),
            (Element::Int64, Value::Int(number) | Value::Duration(number) | Value::TimeOfDay(number)) => {
                Scalar::Long(*number as u64)
            }
            (Element::UInt8, Value::UInt(number)) => Scalar::Int(u8::try_from(*number).ok()?.into()),
            (Element::UInt16, Value::UInt(number)) => Scalar::Int(u16::try_from(*number).ok()?.into()),
            (Element::UInt32, Value::UInt(number)) => Scalar::Int(u32::try_from(*number).ok()?),
            (Element::UInt64, Value::UInt(number)) => Scalar::Long(*number),
            (Element::Float, Value::Real(number)) => Scalar::Float(*number),
            (Element::Double, Value::LReal(number)) => Scalar::Double(*number),
            (Element::Double, Value::Real(number)) => Scalar::Double(f64::from(*number)),
            (Element::Boolean, Value::Bool(bit)) => Scalar::Bool(*bit),
            (Element::String, Value::Text(text)) => Scalar::Text(text),
            (Element::DateTime, Value::DateTime(nanos)) => Scalar::Long(nanos.div_euclid(NANOS_PER_MILLI) as u64),
            _ => return None,
        })
    }
}

fn element_of(data_type: DataType) -> Element {
    match data_type {
        DataType::Bool => Element::Boolean,
        DataType::Sint => Element::Int8,
        DataType::Int => Element::Int16,
        DataType::Dint => Element::Int32,
        DataType::Lint => Element::Int64,
        DataType::Usint | DataType::Byte => Element::UInt8,
        DataType::Uint | DataType::Word => Element::UInt16,
        DataType::Udint | DataType::Dword => Element::UInt32,
        DataType::Ulint | DataType::Lword => Element::UInt64,
        DataType::Half | DataType::Real => Element::Float,
        DataType::Lreal => Element::Double,
        DataType::Char | DataType::Wchar | DataType::String(_) | DataType::Wstring(_) => Element::String,
        DataType::Time | DataType::Ltime | DataType::S5time | DataType::TimeOfDay | DataType::Ltod => Element::Int64,
        DataType::Date | DataType::DateAndTime | DataType::Dtl | DataType::Ldt => Element::DateTime,
    }
}

fn element_of_value(value: &Value) -> Element {
    match value {
        Value::Bool(_) => Element::Boolean,
        Value::Int(_) | Value::Duration(_) | Value::TimeOfDay(_) => Element::Int64,
        Value::UInt(_) => Element::UInt64,
        Value::Real(_) => Element::Float,
        Value::Text(_) => Element::String,
        Value::DateTime(_) => Element::DateTime,
        Value::LReal(_) | Value::None | Value::Array(_) => Element::Double,
    }
}

/// An array packed, little endian (6.4.16); `None` when the value is no array of this type.
pub(super) fn write_array(kind: MetricType, value: &Value, out: &mut Vec<u8>) -> Option<()> {
    let Value::Array(elements) = value else { return None };
    if kind.element == Element::Boolean {
        return write_bits(elements, out);
    }
    for element in elements.iter() {
        match (kind.element, kind.element.scalar(element)?) {
            (Element::Int8 | Element::UInt8, Scalar::Int(number)) => out.push(number as u8),
            (Element::Int16 | Element::UInt16, Scalar::Int(number)) => {
                out.extend_from_slice(&(number as u16).to_le_bytes());
            }
            (_, Scalar::Int(number)) => out.extend_from_slice(&number.to_le_bytes()),
            (_, Scalar::Long(number)) => out.extend_from_slice(&number.to_le_bytes()),
            (_, Scalar::Float(number)) => out.extend_from_slice(&number.to_le_bytes()),
            (_, Scalar::Double(number)) => out.extend_from_slice(&number.to_le_bytes()),
            (_, Scalar::Text(text)) => {
                out.extend_from_slice(text.as_bytes());
                out.push(0);
            }
            (_, Scalar::Bool(_)) => return None,
        }
    }
    Some(())
}

/// How many there are, in four bytes, and then eight to a byte, the first in the highest bit.
fn write_bits(elements: &[Value], out: &mut Vec<u8>) -> Option<()> {
    out.extend_from_slice(&u32::try_from(elements.len()).ok()?.to_le_bytes());
    for eight in elements.chunks(8) {
        let mut byte = 0_u8;
        for (place, element) in eight.iter().enumerate() {
            let Value::Bool(bit) = element else { return None };
            byte |= u8::from(*bit) << (7 - place);
        }
        out.push(byte);
    }
    Some(())
}
