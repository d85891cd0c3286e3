//! Writes: several places in one job, and what became of each.
//!
//! ```text
//! request      05 | number of items | items        and for each item, all but the last padded to an even length:
//!              0 | unit of the length (1) | length (2) | bytes
//! answer       05 | number of items                 and a return code for each item
//! ```

use super::{Area, Item, Malformed, Message, ReturnCode, code, item, message, read};

const FUNCTION: u8 = 0x05;
/// A length counted in bits, of single bits.
const BITS: u8 = 0x03;
/// A length counted in bits, of bytes.
const BYTES: u8 = 0x04;
/// A length counted in bytes.
const OCTETS: u8 = 0x09;
/// Bytes of a request that writes one item, without what it writes.
pub const ONE_ITEM: usize = message::REQUEST_HEAD + read::PARAMETER + item::ITEM + read::ITEM_HEAD;

/// A job that writes, in the making.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Write {
    /// What it asks for.
    pub parameter: Vec<u8>,
    /// What it carries.
    pub data: Vec<u8>,
    items: u8,
}

impl Write {
    /// Adds bytes, or whole timers or counters.
    pub fn put(&mut self, area: Area, start: u32, bytes: &[u8]) {
        self.begin();
        let len = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        Item { area, start, len }.put(&mut self.parameter);
        let (unit, len) = if area.is_elements() { (OCTETS, len) } else { (BYTES, len.saturating_mul(8)) };
        self.carry(unit, len, bytes);
    }

    /// Adds a single bit; those beside it stay.
    pub fn put_bit(&mut self, area: Area, byte: u32, bit: u8, on: bool) {
        self.begin();
        item::put_bit(area, byte, bit, &mut self.parameter);
        self.carry(BITS, 1, &[u8::from(on)]);
    }

    /// Bytes of the request if an item of `len` bytes were added.
    pub fn bytes_with(&self, len: usize) -> usize {
        let so_far = self.parameter.len().max(read::PARAMETER) + self.data.len().next_multiple_of(2);
        message::REQUEST_HEAD + so_far + item::ITEM + read::ITEM_HEAD + len
    }

    /// How many items it has.
    pub fn items(&self) -> usize {
        usize::from(self.items)
    }

    /// Understands the answer: what became of each item, [`code::SERVED`] among them.
    ///
    /// # Errors
    /// It is no answer to a write of so many items.
    pub fn decode<'b>(
        &self,
        message: &Message<'b>,
    ) -> Result<impl Iterator<Item = Result<(), ReturnCode>> + use<'b>, Malformed> {
        let is_answer = read::count(message.parameter) == Some((FUNCTION, self.items));
        if !is_answer || message.data.len() != self.items() {
            return Err(Malformed("the answer is not one to a write of so many items"));
        }
        let result = |code: &u8| if *code == code::SERVED { Ok(()) } else { Err(ReturnCode(*code)) };
        Ok(message.data.iter().map(result))
    }

    fn begin(&mut self) {
        self.items = self.items.saturating_add(1);
        if self.parameter.is_empty() {
            self.parameter.extend_from_slice(&[FUNCTION, 0]);
        }
        self.parameter[1] = self.items;
        self.data.resize(self.data.len().next_multiple_of(2), 0);
    }

    fn carry(&mut self, unit: u8, len: u16, bytes: &[u8]) {
        let len = len.to_be_bytes();
        self.data.extend_from_slice(&[0, unit, len[0], len[1]]);
        self.data.extend_from_slice(bytes);
    }
}
