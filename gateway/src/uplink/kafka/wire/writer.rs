//! Kafka's primitive types, written.

use bytes::Bytes;

/// How many bytes a signed varint takes.
pub fn size_of_varint(value: i64) -> usize {
    let zigzag = ((value << 1) ^ (value >> 63)) as u64;
    (u64::BITS - (zigzag | 1).leading_zeros()).div_ceil(7) as usize
}

/// Fewer bytes are quicker copied than kept apart, and leave in one packet with what stands before them.
const SHARED_BYTES_MIN: usize = 16 << 10;

/// Appends values to some bytes.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
    /// Bytes that belong between the written ones, before the byte of this number.
    shared: Vec<(usize, Bytes)>,
}

impl<'a> Writer<'a> {
    /// Appends to `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Writer<'a> {
        Writer { out, shared: Vec::new() }
    }

    /// What was not copied into the bytes, and before which of them it belongs.
    pub fn into_shared(self) -> Vec<(usize, Bytes)> {
        self.shared
    }

    /// One byte.
    pub fn i8(&mut self, value: i8) {
        self.out.push(value as u8);
    }

    /// Two bytes, big-endian.
    pub fn i16(&mut self, value: i16) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    /// Four bytes, big-endian.
    pub fn i32(&mut self, value: i32) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    /// Eight bytes, big-endian.
    pub fn i64(&mut self, value: i64) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    /// An unsigned varint.
    pub fn uvarint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.out.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
    }

    /// A signed varint, zigzag-encoded.
    pub fn varint(&mut self, value: i64) {
        self.uvarint(((value << 1) ^ (value >> 63)) as u64);
    }

    /// Bytes as they are, without a length.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// A plain string. What does not fit into its length is cut off at a character.
    pub fn string(&mut self, text: &str) {
        let mut end = text.len().min(i16::MAX as usize);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.i16(end as i16);
        self.raw(&text.as_bytes()[..end]);
    }

    /// A plain string that is null.
    pub fn null_string(&mut self) {
        self.i16(-1);
    }

    /// A compact string.
    pub fn compact_string(&mut self, text: &str) {
        self.uvarint(text.len() as u64 + 1);
        self.raw(text.as_bytes());
    }

    /// Plain bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.i32(bytes.len() as i32);
        self.raw(bytes);
    }

    /// Plain bytes, which are not copied but lie apart where they are many: in [`Writer::into_shared`].
    pub fn shared_bytes(&mut self, bytes: &Bytes) {
        self.i32(bytes.len() as i32);
        if bytes.len() < SHARED_BYTES_MIN {
            self.raw(bytes);
        } else {
            self.shared.push((self.out.len(), bytes.clone()));
        }
    }

    /// A plain array's length.
    pub fn array(&mut self, count: usize) {
        self.i32(count as i32);
    }

    /// A compact array's length.
    pub fn compact_array(&mut self, count: usize) {
        self.uvarint(count as u64 + 1);
    }

    /// The end of a structure without tagged fields.
    pub fn no_tags(&mut self) {
        self.out.push(0);
    }
}
