//! Integers in as few bytes as their size needs (LEB128), signed ones by zigzag, and bounded reading.

use super::Undecodable;

/// The most bytes that 64 bits take.
const LONGEST: usize = 10;

/// Appends an unsigned integer, seven bits a byte, least significant first. Most are short.
#[inline]
pub(super) fn put_u64(out: &mut Vec<u8>, value: u64) {
    match value {
        0..0x80 => out.push(value as u8),
        0x80..0x4000 => out.extend_from_slice(&[value as u8 | 0x80, (value >> 7) as u8]),
        0x4000..0x20_0000 => {
            out.extend_from_slice(&[value as u8 | 0x80, (value >> 7) as u8 | 0x80, (value >> 14) as u8])
        }
        _ => put_long_u64(out, value),
    }
}

fn put_long_u64(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed integer: 0, -1, 1, -2 … become 0, 1, 2, 3 ….
pub(super) fn put_i64(out: &mut Vec<u8>, value: i64) {
    put_u64(out, zigzag(value));
}

pub(super) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

pub(super) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// The rest of a payload.
pub(super) struct Input<'a> {
    bytes: &'a [u8],
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Input<'a> {
        Input { bytes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    #[inline]
    pub(super) fn byte(&mut self) -> Result<u8, Undecodable> {
        let (first, rest) = self.bytes.split_first().ok_or(Undecodable("it ends early"))?;
        self.bytes = rest;
        Ok(*first)
    }

    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8], Undecodable> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or(Undecodable("it ends early"))?;
        self.bytes = rest;
        Ok(taken)
    }

    #[inline]
    pub(super) fn u64(&mut self) -> Result<u64, Undecodable> {
        let mut value = 0;
        for (index, byte) in self.bytes.iter().enumerate().take(LONGEST) {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if *byte < 0x80 {
                self.bytes = &self.bytes[index + 1..];
                return Ok(value);
            }
        }
        Err(Undecodable(if self.bytes.len() < LONGEST { "it ends early" } else { "an integer is too long" }))
    }

    #[inline]
    pub(super) fn i64(&mut self) -> Result<i64, Undecodable> {
        self.u64().map(unzigzag)
    }

    /// A count that may not exceed `max`.
    pub(super) fn count(&mut self, max: usize) -> Result<usize, Undecodable> {
        let count = usize::try_from(self.u64()?).map_err(|_| Undecodable("a count is beyond the limit"))?;
        if count <= max { Ok(count) } else { Err(Undecodable("a count is beyond the limit")) }
    }
}
