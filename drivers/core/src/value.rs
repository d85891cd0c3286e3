//! What a tag can hold, whatever the protocol.

/// A value as the device meant it; its width on the wire is the tag's [`DataType`](crate::DataType)'s matter.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// No value: the reading's quality says why.
    None,
    /// BOOL.
    Bool(bool),
    /// Signed integers.
    Int(i64),
    /// Unsigned integers and bit strings (BYTE to LWORD).
    UInt(u64),
    /// REAL; kept apart from LREAL so that 0.1 stays 0.1 in text.
    Real(f32),
    /// LREAL, and scaled values.
    LReal(f64),
    /// CHAR, STRING and their wide forms, as UTF-8.
    Text(Box<str>),
    /// TIME, LTIME and S5TIME, in nanoseconds.
    Duration(i64),
    /// DATE, DATE_AND_TIME, DTL and LDT, in nanoseconds since 1970 in the device's own time zone.
    DateTime(i64),
    /// TIME_OF_DAY, in nanoseconds since midnight.
    TimeOfDay(i64),
    /// An array; all elements are of one kind.
    Array(Box<[Value]>),
}

impl Value {
    /// The value as a number, for scaling, deadbands and limits; `None` for text, arrays and no value.
    pub fn as_f64(&self) -> Option<f64> {
        match *self {
            Value::Bool(value) => Some(f64::from(u8::from(value))),
            Value::Int(value) => Some(value as f64),
            Value::UInt(value) => Some(value as f64),
            Value::Real(value) => Some(f64::from(value)),
            Value::LReal(value) => Some(value),
            Value::Duration(value) | Value::DateTime(value) | Value::TimeOfDay(value) => Some(value as f64),
            Value::None | Value::Text(_) | Value::Array(_) => None,
        }
    }
}
