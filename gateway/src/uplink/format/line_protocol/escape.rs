//! Names and texts as the line protocol wants them.
//!
//! A backslash in a name cannot be escaped there and would take the comma behind it along, so in names it is
//! percent-encoded, and so is the percent sign, that two names stay two.

/// A measurement: commas and spaces are escaped.
pub(super) fn write_measurement(name: &str, out: &mut Vec<u8>) {
    write_name(name, b", ", out);
}

/// A tag's key or value, or a field's key: commas, equals signs and spaces are escaped.
pub(super) fn write_key(name: &str, out: &mut Vec<u8>) {
    write_name(name, b",= ", out);
}

/// A string field: quotes and backslashes are escaped.
pub(super) fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

fn write_name(name: &str, escaped: &[u8], out: &mut Vec<u8>) {
    // A line that begins with `#` is a comment; an empty name is none.
    if name.is_empty() {
        return out.extend_from_slice(b"%00");
    }
    for (index, byte) in name.bytes().enumerate() {
        match byte {
            b'\\' => out.extend_from_slice(b"%5C"),
            b'%' => out.extend_from_slice(b"%25"),
            b'#' if index == 0 => out.extend_from_slice(b"%23"),
            byte if escaped.contains(&byte) => out.extend_from_slice(&[b'\\', byte]),
            byte => out.push(byte),
        }
    }
}
