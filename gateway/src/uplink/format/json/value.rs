//! Values, numbers and strings as JSON.

use driver_core::Value;

use super::time::{TimeText, write_seconds, write_time_of_day};

const HEX: &[u8; 16] = b"0123456789abcdef";

pub(in crate::uplink) fn write_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::None => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Int(value) => write_integer(*value, out),
        Value::UInt(value) => write_integer(*value, out),
        Value::Real(value) if value.is_finite() => {
            out.extend_from_slice(zmij::Buffer::new().format_finite(*value).as_bytes())
        }
        Value::LReal(value) if value.is_finite() => {
            out.extend_from_slice(zmij::Buffer::new().format_finite(*value).as_bytes())
        }
        Value::Real(value) => write_not_finite(f64::from(*value), out),
        Value::LReal(value) => write_not_finite(*value, out),
        Value::Text(text) => write_string(text, out),
        Value::Duration(nanos) => write_seconds(*nanos, out),
        Value::DateTime(nanos) => {
            out.push(b'"');
            TimeText::default().write(*nanos, out);
            out.push(b'"');
        }
        Value::TimeOfDay(nanos) => {
            out.push(b'"');
            write_time_of_day(*nanos, out);
            out.push(b'"');
        }
        Value::Array(elements) => write_array(elements, out),
    }
}

fn write_not_finite(value: f64, out: &mut Vec<u8>) {
    let text: &[u8] = match value {
        value if value.is_nan() => b"\"NaN\"",
        value if value > 0.0 => b"\"Infinity\"",
        _ => b"\"-Infinity\"",
    };
    out.extend_from_slice(text);
}

fn write_array(elements: &[Value], out: &mut Vec<u8>) {
    out.push(b'[');
    for (index, element) in elements.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_value(element, out);
    }
    out.push(b']');
}

pub(in crate::uplink) fn write_integer(value: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

pub(in crate::uplink) fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    write_escaped(text, out);
    out.push(b'"');
}

/// The inside of a string: quotes, backslashes and control characters escaped (RFC 8259, 7).
pub(in crate::uplink) fn write_escaped(text: &str, out: &mut Vec<u8>) {
    if !text.bytes().any(must_be_escaped) {
        return out.extend_from_slice(text.as_bytes());
    }
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            byte if must_be_escaped(byte) => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
            byte => out.push(byte),
        }
    }
}

/// DEL is not asked for by the standard; terminals are glad of it.
fn must_be_escaped(byte: u8) -> bool {
    byte < 0x20 || matches!(byte, b'"' | b'\\' | 0x7f)
}
