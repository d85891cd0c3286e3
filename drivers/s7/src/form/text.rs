//! STRING and WSTRING: a head with the longest and the present length, then the characters.

use driver_core::Value;

/// The longest STRING of a PLC.
pub(crate) const STRING_MAX: u16 = 254;

/// A text as it is written: its length and its characters.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Encoded {
    /// How many characters.
    pub(super) len: usize,
    pub(super) bytes: Vec<u8>,
}

/// 8-bit characters, Latin-1 as PLCs mean them. `length` is how many the address says that there may be.
pub(super) fn from_narrow(bytes: &[u8], length: usize) -> Option<Value> {
    let [longest, len, characters @ ..] = bytes else { return None };
    let (longest, len) = (usize::from(*longest), usize::from(*len));
    if len > longest || longest > usize::from(STRING_MAX) || len > length {
        return None;
    }
    Some(Value::Text(characters.get(..len)?.iter().map(|byte| char::from(*byte)).collect::<String>().into()))
}

/// 16-bit characters; no value where they are no UTF-16.
pub(super) fn from_wide(bytes: &[u8], length: usize) -> Option<Value> {
    let mut words = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    let (longest, len) = (usize::from(words.next()?), usize::from(words.next()?));
    if len > longest || len > length {
        return None;
    }
    char::decode_utf16(words.take(len)).collect::<Result<String, _>>().ok().map(|text| Value::Text(text.into()))
}

pub(super) fn narrow(value: &Value, length: usize) -> Result<Encoded, String> {
    let mut bytes = vec![0];
    for character in text(value)?.chars() {
        let byte = u8::try_from(u32::from(character))
            .map_err(|_| format!("`{character}` is no 8-bit character (Latin-1); a WSTRING holds it"))?;
        bytes.push(byte);
    }
    let len = bytes.len() - 1;
    bytes[0] = u8::try_from(len).map_err(|_| too_long(len, length))?;
    if len > length { Err(too_long(len, length)) } else { Ok(Encoded { len, bytes }) }
}

pub(super) fn wide(value: &Value, length: usize) -> Result<Encoded, String> {
    let units: Vec<u16> = text(value)?.encode_utf16().collect();
    let len = units.len();
    let count = u16::try_from(len).map_err(|_| too_long(len, length))?;
    if len > length {
        return Err(too_long(len, length));
    }
    Ok(Encoded { len, bytes: std::iter::once(count).chain(units).flat_map(u16::to_be_bytes).collect() })
}

pub(crate) fn too_long(len: usize, fits: usize) -> String {
    format!("the text takes {len} characters, {fits} fit")
}

fn text(value: &Value) -> Result<&str, String> {
    match value {
        Value::Text(text) => Ok(text),
        other => Err(format!("a text is wanted, `{other}` came")),
    }
}
