//! Protobuf's wire types.

const VARINT: u32 = 0;
pub(super) const FIXED_64: u32 = 1;
const LENGTH: u32 = 2;
pub(super) const FIXED_32: u32 = 5;

/// The number of a field and its wire type.
pub(super) fn write_key(number: u32, wire_type: u32, out: &mut Vec<u8>) {
    write_varint(u64::from(number << 3 | wire_type), out);
}

/// A field of a whole number.
pub(super) fn write_unsigned(number: u32, value: u64, out: &mut Vec<u8>) {
    write_key(number, VARINT, out);
    write_varint(value, out);
}

/// A field of text, bytes or a message that is written already.
pub(super) fn write_field(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    write_key(number, LENGTH, out);
    write_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// A field of a message that `write` appends.
pub(super) fn write_nested(number: u32, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    write_key(number, LENGTH, out);
    let start = out.len();
    write(out);
    let mut length = Vec::with_capacity(1);
    write_varint((out.len() - start) as u64, &mut length);
    // Most messages within messages are shorter than 128 bytes: one byte is moved in.
    out.splice(start..start, length);
}

/// A signed number as `sint64` writes it.
pub(super) fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

fn write_varint(mut rest: u64, out: &mut Vec<u8>) {
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}
