//! Avro's primitive types (specification 1.11, "Binary Encoding").

/// A long: zig-zag, then seven bits a byte, the lowest first.
pub(super) fn write_long(value: i64, out: &mut Vec<u8>) {
    let mut rest = (value << 1 ^ value >> 63) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Bytes or the UTF-8 of a string, after their number.
pub(super) fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    write_long(i64::try_from(bytes.len()).unwrap_or(i64::MAX), out);
    out.extend_from_slice(bytes);
}

/// A string.
pub(super) fn write_text(text: &str, out: &mut Vec<u8>) {
    write_bytes(text.as_bytes(), out);
}

/// The unscaled value of a decimal: two's complement, most significant byte first, as few bytes as hold it.
pub(super) fn write_decimal(unscaled: i128, out: &mut Vec<u8>) {
    let bytes = unscaled.to_be_bytes();
    let sign = if unscaled < 0 { 0xff } else { 0 };
    let is_sign = |index: usize| bytes[index] == sign && (bytes[index + 1] ^ sign) & 0x80 == 0;
    let start = (0..bytes.len() - 1).find(|index| !is_sign(*index)).unwrap_or(bytes.len() - 1);
    write_bytes(&bytes[start..], out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longs_and_decimals_are_as_short_as_can_be() {
        let written = |write: fn(&mut Vec<u8>)| {
            let mut out = Vec::new();
            write(&mut out);
            out
        };
        assert_eq!(written(|out| write_long(0, out)), [0]);
        assert_eq!(written(|out| write_long(-1, out)), [1]);
        assert_eq!(written(|out| write_long(64, out)), [0x80, 1]);
        assert_eq!(written(|out| write_long(i64::MIN, out)), [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]);
        assert_eq!(written(|out| write_decimal(0, out)), [2, 0]);
        assert_eq!(written(|out| write_decimal(-1, out)), [2, 0xff]);
        assert_eq!(written(|out| write_decimal(127, out)), [2, 127]);
        assert_eq!(written(|out| write_decimal(128, out)), [4, 0, 128]);
        assert_eq!(written(|out| write_decimal(-128, out)), [2, 128]);
        assert_eq!(written(|out| write_decimal(-129, out)), [4, 0xff, 127]);
    }
}
