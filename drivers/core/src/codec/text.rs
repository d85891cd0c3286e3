//! Characters: CHAR, WCHAR, STRING, WSTRING.

/// One byte as Latin-1, the first 256 characters of Unicode; 0 is no character.
pub(super) fn char_to_text(byte: u8) -> Box<str> {
    if byte == 0 { Box::default() } else { String::from(char::from(byte)).into() }
}

/// One UTF-16 unit; 0 is no character. `None` for half of a surrogate pair.
pub(super) fn wchar_to_text(unit: u16) -> Option<Box<str>> {
    match unit {
        0 => Some(Box::default()),
        _ => char::from_u32(u32::from(unit)).map(|character| String::from(character).into()),
    }
}

/// 8-bit characters up to the first zero, spaces at the end dropped. Bytes that are no UTF-8 are taken as Latin-1, which
/// never fails and is what older devices send.
pub(super) fn string_to_text(bytes: impl Iterator<Item = u8>) -> Box<str> {
    let bytes: Vec<u8> = bytes.take_while(|byte| *byte != 0).collect();
    let text = String::from_utf8(bytes)
        .unwrap_or_else(|invalid| invalid.as_bytes().iter().map(|byte| char::from(*byte)).collect());
    text.trim_end_matches(' ').into()
}

/// UTF-16 up to the first zero, spaces at the end dropped; `None` where it is no UTF-16.
pub(super) fn wstring_to_text(units: impl Iterator<Item = u16>) -> Option<Box<str>> {
    let text: Result<String, _> = char::decode_utf16(units.take_while(|unit| *unit != 0)).collect();
    text.ok().map(|text| text.trim_end_matches(' ').into())
}
