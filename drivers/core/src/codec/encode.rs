//! Values to bytes: the inverse of decoding, with a refusal for whatever would not be read back as it was written.

use std::fmt::Display;

use super::{Field, half, reorder_32, reorder_64};
use crate::{DataType, Value, WriteError};

const NANOS_PER_MILLI: i64 = 1_000_000;
const NANOS_PER_SECOND: i64 = 1_000_000_000;

impl Field {
    /// The bytes in which `value` is written. Of BOOLs in registers and bytes the bits between are zero: see
    /// [`Field::mask`] for those that belong to the value. Numbers may come in another kind than the type's if nothing is
    /// lost by it.
    ///
    /// # Errors
    /// [`WriteError::Value`] where the value does not fit the type.
    pub fn encode(&self, value: &Value) -> Result<Vec<u8>, WriteError> {
        let elements = self.elements(value).map_err(|cause| self.misfit(cause))?;
        let mut out = Vec::with_capacity(self.bytes());
        if self.data_type == DataType::Bool {
            out.resize(self.bytes(), 0);
        }
        for (index, element) in elements.iter().enumerate() {
            let put = if self.data_type == DataType::Bool {
                bool_of(element).map(|on| self.put_bit(index, on, &mut out))
            } else {
                self.put(element, &mut out)
            };
            put.map_err(|cause| self.misfit(cause))?;
        }
        Ok(out)
    }

    /// As many bytes as [`Field::encode`] gives, with a one for each bit that belongs to the value.
    pub fn mask(&self) -> Vec<u8> {
        if self.data_type != DataType::Bool {
            return vec![0xFF; self.bytes()];
        }
        let mut mask = vec![0; self.bytes()];
        (0..self.count()).for_each(|index| self.put_bit(index, true, &mut mask));
        mask
    }

    fn misfit(&self, cause: String) -> WriteError {
        let data_type = match self.elements {
            None => self.data_type.to_string(),
            Some(count) => format!("{}[{count}]", self.data_type),
        };
        WriteError::Value { data_type, cause }
    }

    fn elements<'v>(&self, value: &'v Value) -> Result<&'v [Value], String> {
        match (self.elements, value) {
            (None, Value::Array(_)) => Err("it is no array, one value is wanted".into()),
            (None, one) => Ok(std::slice::from_ref(one)),
            (Some(count), Value::Array(elements)) if elements.len() == usize::from(count) => Ok(elements),
            (Some(count), Value::Array(elements)) => {
                Err(format!("{count} elements are wanted, {} came", elements.len()))
            }
            (Some(count), _) => Err(format!("an array of {count} elements is wanted")),
        }
    }

    fn put_bit(&self, index: usize, on: bool, out: &mut [u8]) {
        let (byte, mask) = self.bit_place(index);
        if let Some(byte) = out.get_mut(byte).filter(|_| on) {
            *byte |= mask;
        }
    }

    fn put(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), String> {
        match self.data_type {
            DataType::Sint => self.put_byte(integer::<i8>(value)?.cast_unsigned(), out),
            DataType::Usint | DataType::Byte => self.put_byte(integer(value)?, out),
            DataType::Int => self.put_word(integer::<i16>(value)?.cast_unsigned(), out),
            DataType::Uint | DataType::Word => self.put_word(integer(value)?, out),
            DataType::Dint => self.put_dword(integer::<i32>(value)?.cast_unsigned(), out),
            DataType::Udint | DataType::Dword => self.put_dword(integer(value)?, out),
            DataType::Lint => self.put_lword(integer::<i64>(value)?.cast_unsigned(), out),
            DataType::Ulint | DataType::Lword => self.put_lword(integer(value)?, out),
            DataType::Half => {
                let real = real(value)?;
                self.put_word(half::from_f32(real).ok_or_else(|| beyond(real, "-65504 to 65504"))?, out);
            }
            DataType::Real => self.put_dword(real(value)?.to_bits(), out),
            DataType::Lreal => self.put_lword(lreal(value)?.to_bits(), out),
            DataType::Char => self.put_byte(char_of(text(value)?)?, out),
            DataType::Wchar => self.put_word(wchar_of(text(value)?)?, out),
            DataType::String(length) => return self.put_string(text(value)?, usize::from(length), out),
            DataType::Wstring(length) => return self.put_wstring(text(value)?, usize::from(length), out),
            DataType::Time => self.put_dword(whole::<i32>(duration(value)?, NANOS_PER_MILLI)?.cast_unsigned(), out),
            DataType::Ltime => self.put_lword(duration(value)?.cast_unsigned(), out),
            DataType::Date | DataType::DateAndTime => self.put_dword(whole(date_time(value)?, NANOS_PER_SECOND)?, out),
            DataType::TimeOfDay => self.put_dword(whole(time_of_day(value)?, NANOS_PER_MILLI)?, out),
            DataType::Ltod => self.put_lword(time_of_day(value)?.cast_unsigned(), out),
            DataType::Ldt => self.put_lword(date_time(value)?.cast_unsigned(), out),
            DataType::Bool | DataType::Dtl | DataType::S5time => return Err("this driver cannot write the type".into()),
        }
        Ok(())
    }

    fn put_byte(&self, byte: u8, out: &mut Vec<u8>) {
        match self.layout {
            super::Layout::Registers => self.put_word(u16::from(byte), out),
            _ => out.push(byte),
        }
    }

    fn put_word(&self, word: u16, out: &mut Vec<u8>) {
        let word = if self.order.swaps_bytes() { word.swap_bytes() } else { word };
        out.extend_from_slice(&word.to_be_bytes());
    }

    fn put_dword(&self, dword: u32, out: &mut Vec<u8>) {
        out.extend_from_slice(&reorder_32(dword, self.order).to_be_bytes());
    }

    fn put_lword(&self, lword: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(&reorder_64(lword, self.order).to_be_bytes());
    }

    fn put_string(&self, text: &str, length: usize, out: &mut Vec<u8>) -> Result<(), String> {
        if text.len() > length {
            return Err(format!("the text takes {} bytes, {length} fit", text.len()));
        }
        let start = out.len();
        out.extend_from_slice(text.as_bytes());
        out.resize(start + self.stride(), 0);
        if self.swaps_bytes() {
            out[start..].chunks_exact_mut(2).for_each(|pair| pair.swap(0, 1));
        }
        Ok(())
    }

    fn put_wstring(&self, text: &str, length: usize, out: &mut Vec<u8>) -> Result<(), String> {
        let units = text.encode_utf16().count();
        if units > length {
            return Err(format!("the text takes {units} 16-bit characters, {length} fit"));
        }
        text.encode_utf16().chain(std::iter::repeat_n(0, length - units)).for_each(|unit| self.put_word(unit, out));
        Ok(())
    }
}

/// A whole number of any kind as an integer type, if it fits.
fn integer<T: TryFrom<i128>>(value: &Value) -> Result<T, String> {
    let number = match *value {
        Value::Bool(on) => i128::from(on),
        Value::Int(number) => i128::from(number),
        Value::UInt(number) => i128::from(number),
        Value::Real(number) => whole_number(f64::from(number))?,
        Value::LReal(number) => whole_number(number)?,
        ref other => return Err(unlike("a whole number", other)),
    };
    T::try_from(number).map_err(|_| format!("{number} is out of the type's range"))
}

fn whole_number(number: f64) -> Result<i128, String> {
    // Beyond 2^64 no integer type reaches.
    if number.fract() == 0.0 && number.abs() <= 18_446_744_073_709_551_616.0 {
        Ok(number as i128)
    } else {
        Err(format!("{number} is not a whole number"))
    }
}

fn real(value: &Value) -> Result<f32, String> {
    if let Value::Real(number) = *value {
        return Ok(number);
    }
    let number = lreal(value)?;
    let narrow = number as f32;
    if narrow.is_infinite() && number.is_finite() { Err(beyond(number, "-3.4e38 to 3.4e38")) } else { Ok(narrow) }
}

fn lreal(value: &Value) -> Result<f64, String> {
    match *value {
        Value::Int(number) => Ok(number as f64),
        Value::UInt(number) => Ok(number as f64),
        Value::Real(number) => Ok(f64::from(number)),
        Value::LReal(number) => Ok(number),
        ref other => Err(unlike("a number", other)),
    }
}

fn bool_of(value: &Value) -> Result<bool, String> {
    match *value {
        Value::Bool(on) => Ok(on),
        Value::Int(0) | Value::UInt(0) => Ok(false),
        Value::Int(1) | Value::UInt(1) => Ok(true),
        ref other => Err(unlike("true or false", other)),
    }
}

fn text(value: &Value) -> Result<&str, String> {
    match value {
        // What stands behind a zero would not be read back.
        Value::Text(text) if text.contains('\0') => Err("a text holds no zero character".into()),
        Value::Text(text) => Ok(text),
        other => Err(unlike("a text", other)),
    }
}

fn char_of(text: &str) -> Result<u8, String> {
    match (text.chars().next(), text.chars().nth(1)) {
        (None, _) => Ok(0),
        (Some(one), None) => u8::try_from(u32::from(one)).map_err(|_| format!("`{one}` is no 8-bit character")),
        _ => Err("one character is wanted".into()),
    }
}

fn wchar_of(text: &str) -> Result<u16, String> {
    match (text.encode_utf16().next(), text.encode_utf16().nth(1)) {
        (None, _) => Ok(0),
        (Some(one), None) => Ok(one),
        _ => Err("one 16-bit character is wanted".into()),
    }
}

fn duration(value: &Value) -> Result<i64, String> {
    match *value {
        Value::Duration(nanos) => Ok(nanos),
        ref other => Err(unlike("a duration", other)),
    }
}

fn date_time(value: &Value) -> Result<i64, String> {
    match *value {
        Value::DateTime(nanos) => Ok(nanos),
        ref other => Err(unlike("a date", other)),
    }
}

fn time_of_day(value: &Value) -> Result<i64, String> {
    match *value {
        Value::TimeOfDay(nanos) => Ok(nanos),
        ref other => Err(unlike("a time of day", other)),
    }
}

/// Nanoseconds in whole steps of the type.
fn whole<T: TryFrom<i64>>(nanos: i64, step: i64) -> Result<T, String> {
    if nanos % step != 0 {
        return Err(format!("{nanos} ns are no multiple of the type's step of {step} ns"));
    }
    T::try_from(nanos / step).map_err(|_| format!("{nanos} ns are out of the type's range"))
}

fn beyond(number: impl Display, range: &str) -> String {
    format!("{number} is out of the type's range, {range}")
}

fn unlike(wanted: &str, got: &Value) -> String {
    format!("{wanted} is wanted, `{got}` came")
}
