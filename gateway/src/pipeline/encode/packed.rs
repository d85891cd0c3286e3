//! Floating-point values that no decimal gives: how far the bits of each lie above those of the least, in as many bits
//! as the furthest takes. Values of one sign that are near each other have bits that are near each other.
//!
//! ```text
//! width in bits | the least's bytes that lie above width / 8 bytes, least significant first | offsets, without gaps
//! ```

use super::Undecodable;
use super::varint::Input;

/// How a column is packed.
#[derive(Clone, Copy)]
pub(super) struct Packing {
    /// Of an offset, in bits; less than that of a value.
    width: u32,
    /// The bits of the least value, without the bytes that every offset has anyway.
    reference: u64,
    /// Of a value, in bytes.
    bytes: usize,
}

impl Packing {
    /// `None` where a value is as short as its offset.
    pub(super) fn of(bits: &[u64], bytes: usize) -> Option<Packing> {
        let (least, most) = bits.iter().fold((u64::MAX, 0), |(least, most), bits| (least.min(*bits), most.max(*bits)));
        let mut width = bits_in(most.checked_sub(least)?);
        // The bytes that are left out of the least one make the offsets a bit wider at most, and once.
        while (width as usize) < 8 * bytes {
            let reference = least & !low_bytes(width);
            let needed = bits_in(most - reference);
            if needed <= width {
                return Some(Packing { width, reference, bytes });
            }
            width = needed;
        }
        None
    }

    /// Bytes that `count` values take.
    pub(super) fn size(&self, count: usize) -> usize {
        1 + self.bytes - self.width as usize / 8 + (count * self.width as usize).div_ceil(8)
    }

    pub(super) fn write(&self, all: &[u64], out: &mut Vec<u8>) {
        out.push(self.width as u8);
        out.extend_from_slice(&self.reference.to_le_bytes()[self.width as usize / 8..self.bytes]);
        let (mut pending, mut count) = (0_u128, 0);
        for bits in all {
            pending |= u128::from(bits - self.reference) << count;
            count += self.width;
            let whole = count / 8;
            out.extend_from_slice(&pending.to_le_bytes()[..whole as usize]);
            pending >>= 8 * whole;
            count %= 8;
        }
        if count > 0 {
            out.push(pending as u8);
        }
    }
}

fn bits_in(value: u64) -> u32 {
    u64::BITS - value.leading_zeros()
}

fn low_bytes(width: u32) -> u64 {
    (1 << (width / 8 * 8)) - 1
}

/// Reads a packed column value by value.
pub(super) struct Unpacking {
    packing: Packing,
    /// Bits of the last byte that no value has taken.
    pending: u64,
    count: u32,
}

impl Unpacking {
    pub(super) fn read(input: &mut Input<'_>, bytes: usize) -> Result<Unpacking, Undecodable> {
        let width = u32::from(input.byte()?);
        let dropped = width as usize / 8;
        let kept = bytes.checked_sub(dropped).filter(|kept| *kept > 0).ok_or(Undecodable("an offset is too wide"))?;
        let mut reference = [0; 8];
        reference[dropped..bytes].copy_from_slice(input.bytes(kept)?);
        let packing = Packing { width, reference: u64::from_le_bytes(reference), bytes };
        Ok(Unpacking { packing, pending: 0, count: 0 })
    }

    pub(super) fn next(&mut self, input: &mut Input<'_>) -> Result<u64, Undecodable> {
        let width = self.packing.width;
        let missing = width.saturating_sub(self.count).div_ceil(8) as usize;
        let mut more = [0; 16];
        more[..missing].copy_from_slice(input.bytes(missing)?);
        let all = u128::from_le_bytes(more) << self.count | u128::from(self.pending);
        self.count = self.count + 8 * missing as u32 - width;
        self.pending = (all >> width) as u64;
        let offset = all as u64 & ((1 << width) - 1);
        Ok(self.packing.reference.wrapping_add(offset))
    }
}
