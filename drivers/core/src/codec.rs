//! Bytes of an answer to values and back, for every type that protocols share.
//!
//! A [`Field`] says how a value lies in bytes: type, byte order, layout, number of elements. A [`Decoder`] is a field at a
//! place; it is small and copied, so that a span of an answer is decoded in one pass without looking anything up.
//! Encoding is the exact inverse: what is written is read back as the same value.
//!
//! ```text
//! registers   two bytes each, most significant first; narrower types lie in the low byte of a register of their own
//! bytes       as wide as the type, most significant first
//! bits        packed, the first in the lowest bit of the first byte
//! ```

mod decode;
mod encode;
mod half;
mod text;

#[cfg(test)]
mod tests;

use crate::{DataType, Order};

/// What the bytes of an answer consist of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layout {
    /// 16-bit registers.
    Registers,
    /// Single bytes.
    Bytes,
    /// Single bits; only BOOL lies in them.
    Bits,
}

/// How a value lies in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Field {
    /// The type of the value, or of each element.
    pub data_type: DataType,
    /// The order of its bytes.
    pub order: Order,
    /// What it lies in.
    pub layout: Layout,
    /// How many elements an array has; `None` is no array.
    pub elements: Option<u16>,
    /// Of a BOOL in a register or byte: its bit, 0 being the least significant. The elements of an array follow upwards,
    /// and on into the next register or byte.
    pub bit: u8,
}

/// A [`Field`] at a place of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decoder {
    at: u32,
    field: Field,
}

impl Field {
    /// A single value of this type in big-endian registers.
    pub fn in_registers(data_type: DataType) -> Field {
        Field { data_type, order: Order::Abcd, layout: Layout::Registers, elements: None, bit: 0 }
    }

    /// Whether this codec knows the type in this layout; Siemens' own forms (DTL, S5TIME) are their driver's matter.
    pub fn is_known(&self) -> bool {
        match self.layout {
            Layout::Bits => self.data_type == DataType::Bool,
            _ => self.data_type == DataType::Bool || element_bytes(self.data_type) > 0,
        }
    }

    /// How many registers, bytes or bits the value fills.
    pub fn units(&self) -> usize {
        match self.layout {
            Layout::Bits => self.count(),
            Layout::Bytes => self.bytes(),
            Layout::Registers => self.bytes() / 2,
        }
    }

    /// How many registers, bytes or bits must be read in one piece, so that no element is torn.
    pub fn grain(&self) -> usize {
        match (self.data_type, self.layout) {
            (DataType::Bool | DataType::String(_) | DataType::Wstring(_), _) | (_, Layout::Bits) => 1,
            (_, Layout::Bytes) => self.stride(),
            (_, Layout::Registers) => self.stride() / 2,
        }
    }

    /// How many bytes the value fills.
    pub fn bytes(&self) -> usize {
        match (self.data_type, self.layout) {
            (_, Layout::Bits) => self.count().div_ceil(8),
            (DataType::Bool, Layout::Bytes) => (usize::from(self.bit) + self.count()).div_ceil(8),
            (DataType::Bool, Layout::Registers) => (usize::from(self.bit) + self.count()).div_ceil(16) * 2,
            _ => self.count() * self.stride(),
        }
    }

    /// The decoder of this field where it begins `at` bytes (of [`Layout::Bits`]: bits) into an answer.
    pub fn decoder(self, at: u32) -> Decoder {
        Decoder { at, field: self }
    }

    fn count(&self) -> usize {
        self.elements.map_or(1, usize::from)
    }

    /// Bytes from one element to the next.
    fn stride(&self) -> usize {
        let bytes = element_bytes(self.data_type);
        if self.layout == Layout::Registers { bytes.next_multiple_of(2) } else { bytes }
    }

    /// Whether the bytes of each register change places.
    fn swaps_bytes(&self) -> bool {
        self.layout == Layout::Registers && self.order.swaps_bytes()
    }

    /// Byte and mask of bit `index` of a BOOL.
    fn bit_place(&self, index: usize) -> (usize, u8) {
        let bit = if self.layout == Layout::Bits { index } else { usize::from(self.bit) + index };
        let byte = match self.layout {
            Layout::Registers if self.order.swaps_bytes() => bit / 8,
            Layout::Registers => (bit / 8) ^ 1,
            Layout::Bytes | Layout::Bits => bit / 8,
        };
        (byte, 1 << (bit % 8))
    }
}

/// Bytes of one element on the wire; 0 where this codec does not know the type.
fn element_bytes(data_type: DataType) -> usize {
    use DataType::*;
    match data_type {
        Sint | Usint | Byte | Char => 1,
        Int | Uint | Word | Half | Wchar => 2,
        Dint | Udint | Dword | Real | Time | Date | TimeOfDay | DateAndTime => 4,
        Lint | Ulint | Lword | Lreal | Ltime | Ltod | Ldt => 8,
        String(length) => usize::from(length),
        Wstring(length) => usize::from(length) * 2,
        Bool | Dtl | S5time => 0,
    }
}

/// A 32-bit value whose bytes stand in this order, as if they had stood most significant first; its own inverse.
fn reorder_32(value: u32, order: Order) -> u32 {
    match order {
        Order::Abcd => value,
        Order::Cdab => value.rotate_left(16),
        Order::Badc => value.swap_bytes().rotate_left(16),
        Order::Dcba => value.swap_bytes(),
    }
}

/// As [`reorder_32`], for 64 bits.
fn reorder_64(value: u64, order: Order) -> u64 {
    const LOW_BYTES: u64 = 0x00FF_00FF_00FF_00FF;
    let swap_in_words = |value: u64| (value & LOW_BYTES) << 8 | value >> 8 & LOW_BYTES;
    match order {
        Order::Abcd => value,
        Order::Cdab => swap_in_words(value.swap_bytes()),
        Order::Badc => swap_in_words(value),
        Order::Dcba => value.swap_bytes(),
    }
}
