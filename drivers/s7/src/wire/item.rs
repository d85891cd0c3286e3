//! One place in a PLC, as it stands in the parameter of a read or write.
//!
//! ```text
//! 12 | 0A | 10 | transport size (1) | count (2) | data block (2) | area (1) | address in bits (3)
//! ```

use super::Area;

/// Bytes of one item in a request.
pub const ITEM: usize = 12;
/// The last byte of an area: addresses have 24 bits and count bits.
pub const BYTE_MAX: u32 = (1 << 21) - 1;

const BIT: u8 = 0x01;
const BYTE: u8 = 0x02;
const COUNTER: u8 = 0x1C;
const TIMER: u8 = 0x1D;

/// Bytes of an area. Timers and counters are taken as two bytes each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// Where.
    pub area: Area,
    /// First byte.
    pub start: u32,
    /// Number of bytes; for timers and counters a multiple of two.
    pub len: u16,
}

impl Item {
    /// Puts the item.
    pub fn put(&self, out: &mut Vec<u8>) {
        let (transport, count, address) = match self.area {
            Area::Timers => (TIMER, self.len / 2, self.start / 2),
            Area::Counters => (COUNTER, self.len / 2, self.start / 2),
            _ => (BYTE, self.len, self.start << 3),
        };
        put(self.area, transport, count, address, out);
    }
}

/// Puts the item of a single bit.
pub fn put_bit(area: Area, byte: u32, bit: u8, out: &mut Vec<u8>) {
    put(area, BIT, 1, byte << 3 | u32::from(bit & 7), out);
}

fn put(area: Area, transport: u8, count: u16, address: u32, out: &mut Vec<u8>) {
    let (count, block, [_, high, middle, low]) =
        (count.to_be_bytes(), area.block().to_be_bytes(), address.to_be_bytes());
    out.extend_from_slice(&[0x12, 0x0A, 0x10, transport, count[0], count[1], block[0], block[1], area.code()]);
    out.extend_from_slice(&[high, middle, low]);
}
