//! The types of the variables, and what a number looks like in each.

use opcua::types::{Array, ByteString, DataTypeId, DateTime, NodeId, Variant, VariantScalarTypeId};

/// 1601-01-01 to 2026-11-23 in ticks of 100 nanoseconds: dates count from here.
const DATE_TICKS: i64 = 134_398_656_000_000_000;

/// Ticks of a second.
const TICKS: f64 = 1e7;

/// A built-in type (Part 6, 5.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UaType {
    /// Not zero.
    Boolean,
    /// 8 bits, signed.
    SByte,
    /// 8 bits.
    Byte,
    /// 16 bits, signed.
    Int16,
    /// 16 bits.
    UInt16,
    /// 32 bits, signed.
    Int32,
    /// 32 bits.
    UInt32,
    /// 64 bits, signed.
    Int64,
    /// 64 bits.
    UInt64,
    /// 32 bits with a point.
    Float,
    /// 64 bits with a point.
    Double,
    /// The number in decimal figures.
    String,
    /// The number's four bytes, the highest first.
    ByteString,
    /// So many seconds after 2026-11-23 00:00 UTC.
    DateTime,
}

impl UaType {
    /// The node of the type.
    pub(super) fn data_type(self) -> NodeId {
        match self {
            Self::Boolean => DataTypeId::Boolean,
            Self::SByte => DataTypeId::SByte,
            Self::Byte => DataTypeId::Byte,
            Self::Int16 => DataTypeId::Int16,
            Self::UInt16 => DataTypeId::UInt16,
            Self::Int32 => DataTypeId::Int32,
            Self::UInt32 => DataTypeId::UInt32,
            Self::Int64 => DataTypeId::Int64,
            Self::UInt64 => DataTypeId::UInt64,
            Self::Float => DataTypeId::Float,
            Self::Double => DataTypeId::Double,
            Self::String => DataTypeId::String,
            Self::ByteString => DataTypeId::ByteString,
            Self::DateTime => DataTypeId::DateTime,
        }
        .into()
    }

    fn scalar_type(self) -> VariantScalarTypeId {
        match self {
            Self::Boolean => VariantScalarTypeId::Boolean,
            Self::SByte => VariantScalarTypeId::SByte,
            Self::Byte => VariantScalarTypeId::Byte,
            Self::Int16 => VariantScalarTypeId::Int16,
            Self::UInt16 => VariantScalarTypeId::UInt16,
            Self::Int32 => VariantScalarTypeId::Int32,
            Self::UInt32 => VariantScalarTypeId::UInt32,
            Self::Int64 => VariantScalarTypeId::Int64,
            Self::UInt64 => VariantScalarTypeId::UInt64,
            Self::Float => VariantScalarTypeId::Float,
            Self::Double => VariantScalarTypeId::Double,
            Self::String => VariantScalarTypeId::String,
            Self::ByteString => VariantScalarTypeId::ByteString,
            Self::DateTime => VariantScalarTypeId::DateTime,
        }
    }

    /// A number in this type, cut off where it does not fit; `elements` makes it an array of equals.
    pub(super) fn show(self, elements: Option<u16>, value: f64) -> Variant {
        let one = self.one(value);
        let Some(count) = elements else { return one };
        // Values of one type always make an array of it.
        Array::new(self.scalar_type(), vec![one; usize::from(count)]).map_or(Variant::Empty, Variant::from)
    }

    fn one(self, value: f64) -> Variant {
        match self {
            Self::Boolean => Variant::Boolean(value != 0.0),
            Self::SByte => Variant::SByte(value as i8),
            Self::Byte => Variant::Byte(value as u8),
            Self::Int16 => Variant::Int16(value as i16),
            Self::UInt16 => Variant::UInt16(value as u16),
            Self::Int32 => Variant::Int32(value as i32),
            Self::UInt32 => Variant::UInt32(value as u32),
            Self::Int64 => Variant::Int64(value as i64),
            Self::UInt64 => Variant::UInt64(value as u64),
            Self::Float => Variant::Float(value as f32),
            Self::Double => Variant::Double(value),
            Self::String => Variant::from(format!("{value}").as_str()),
            Self::ByteString => Variant::from(ByteString::from((value as u32).to_be_bytes().to_vec())),
            Self::DateTime => Variant::from(DateTime::from(DATE_TICKS + (value * TICKS) as i64)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_count_from_the_day_that_is_written_here() {
        let Variant::DateTime(date) = UaType::DateTime.show(None, 90.0) else { panic!("a date") };
        assert_eq!(date.to_rfc3339(), "2026-11-23T00:01:30.000Z");
    }

    #[test]
    fn arrays_hold_equals() {
        let Variant::Array(array) = UaType::Int16.show(Some(3), 7.9) else { panic!("an array") };
        assert_eq!(array.values, vec![Variant::Int16(7); 3]);
    }
}
