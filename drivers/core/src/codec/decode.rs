//! Bytes to values.

use super::{Decoder, Field, Layout, half, reorder_32, reorder_64, text};
use crate::{DataType, Value};

const NANOS_PER_MILLI: i64 = 1_000_000;
const NANOS_PER_SECOND: i64 = 1_000_000_000;

impl Decoder {
    /// What is decoded, wherever it lies.
    pub fn field(&self) -> Field {
        self.field
    }

    /// The value that lies in `bytes`; `None` where they are too few, or no value of the type.
    #[inline]
    pub fn decode(&self, bytes: &[u8]) -> Option<Value> {
        if self.field.data_type == DataType::Bool {
            return self.bools(bytes);
        }
        let at = self.at as usize;
        match self.field.elements {
            None => self.field.element(bytes.get(at..)?),
            Some(count) => {
                let stride = self.field.stride();
                let bytes = bytes.get(at..at + stride * usize::from(count))?;
                bytes
                    .chunks_exact(stride.max(1))
                    .map(|element| self.field.element(element))
                    .collect::<Option<_>>()
                    .map(Value::Array)
            }
        }
    }

    fn bools(&self, bytes: &[u8]) -> Option<Value> {
        let bool_at = |index: usize| {
            let (byte, mask) = match self.field.layout {
                Layout::Bits => {
                    let bit = self.at as usize + index;
                    (bit / 8, 1 << (bit % 8))
                }
                _ => {
                    let (byte, mask) = self.field.bit_place(index);
                    (self.at as usize + byte, mask)
                }
            };
            bytes.get(byte).map(|byte| Value::Bool(byte & mask != 0))
        };
        match self.field.elements {
            None => bool_at(0),
            Some(count) => (0..usize::from(count)).map(bool_at).collect::<Option<_>>().map(Value::Array),
        }
    }
}

impl Field {
    /// The element at the start of `bytes`.
    #[inline]
    fn element(&self, bytes: &[u8]) -> Option<Value> {
        Some(match self.data_type {
            DataType::Sint => Value::Int(i64::from(self.byte(bytes)?.cast_signed())),
            DataType::Usint | DataType::Byte => Value::UInt(u64::from(self.byte(bytes)?)),
            DataType::Int => Value::Int(i64::from(self.word(bytes)?.cast_signed())),
            DataType::Uint | DataType::Word => Value::UInt(u64::from(self.word(bytes)?)),
            DataType::Dint => Value::Int(i64::from(self.dword(bytes)?.cast_signed())),
            DataType::Udint | DataType::Dword => Value::UInt(u64::from(self.dword(bytes)?)),
            DataType::Lint => Value::Int(self.lword(bytes)?.cast_signed()),
            DataType::Ulint | DataType::Lword => Value::UInt(self.lword(bytes)?),
            DataType::Half => Value::Real(half::to_f32(self.word(bytes)?)),
            DataType::Real => Value::Real(f32::from_bits(self.dword(bytes)?)),
            DataType::Lreal => Value::LReal(f64::from_bits(self.lword(bytes)?)),
            DataType::Char => Value::Text(text::char_to_text(self.byte(bytes)?)),
            DataType::Wchar => Value::Text(text::wchar_to_text(self.word(bytes)?)?),
            DataType::String(length) => Value::Text(self.string(bytes, usize::from(length))?),
            DataType::Wstring(length) => Value::Text(self.wstring(bytes, usize::from(length))?),
            DataType::Time => Value::Duration(i64::from(self.dword(bytes)?.cast_signed()) * NANOS_PER_MILLI),
            DataType::Ltime => Value::Duration(self.lword(bytes)?.cast_signed()),
            DataType::Date | DataType::DateAndTime => Value::DateTime(i64::from(self.dword(bytes)?) * NANOS_PER_SECOND),
            DataType::TimeOfDay => Value::TimeOfDay(i64::from(self.dword(bytes)?) * NANOS_PER_MILLI),
            DataType::Ltod => Value::TimeOfDay(self.lword(bytes)?.cast_signed()),
            DataType::Ldt => Value::DateTime(self.lword(bytes)?.cast_signed()),
            DataType::Bool | DataType::Dtl | DataType::S5time => return None,
        })
    }

    #[inline]
    fn byte(&self, bytes: &[u8]) -> Option<u8> {
        match self.layout {
            Layout::Registers => self.word(bytes).map(|word| word as u8),
            _ => bytes.first().copied(),
        }
    }

    #[inline]
    fn word(&self, bytes: &[u8]) -> Option<u16> {
        let word = u16::from_be_bytes(*bytes.first_chunk()?);
        Some(if self.order.swaps_bytes() { word.swap_bytes() } else { word })
    }

    #[inline]
    fn dword(&self, bytes: &[u8]) -> Option<u32> {
        Some(reorder_32(u32::from_be_bytes(*bytes.first_chunk()?), self.order))
    }

    #[inline]
    fn lword(&self, bytes: &[u8]) -> Option<u64> {
        Some(reorder_64(u64::from_be_bytes(*bytes.first_chunk()?), self.order))
    }

    fn string(&self, bytes: &[u8], length: usize) -> Option<Box<str>> {
        let swap = usize::from(self.swaps_bytes());
        let bytes = bytes.get(..self.stride())?;
        Some(text::string_to_text((0..length).filter_map(|index| bytes.get(index ^ swap).copied())))
    }

    fn wstring(&self, bytes: &[u8], length: usize) -> Option<Box<str>> {
        let bytes = bytes.get(..2 * length)?;
        text::wstring_to_text(bytes.chunks_exact(2).filter_map(|unit| self.word(unit)))
    }
}
