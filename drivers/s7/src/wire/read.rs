//! Reads: several items asked for in one job, and the answer with what became of each.
//!
//! ```text
//! request      04 | number of items | items
//! answer       04 | number of items        and for each item, all but the last padded to an even length:
//!              return code (1) | unit of the length (1) | length (2) | bytes
//! ```

use super::{Item, Malformed, Message, ReturnCode, code, word};

/// Bytes of the parameter before its items.
pub const PARAMETER: usize = 2;
/// Bytes of an item in the answer before its own.
pub const ITEM_HEAD: usize = 4;

pub(super) const FUNCTION: u8 = 0x04;

/// The parameter of a job that reads `items`, at most [`super::ITEMS_MAX`].
pub fn parameter(items: impl Iterator<Item = Item>) -> Vec<u8> {
    let mut out = vec![FUNCTION, 0];
    let mut count = 0_u8;
    for item in items {
        item.put(&mut out);
        count = count.saturating_add(1);
    }
    out[1] = count;
    out
}

/// An answer that holds exactly what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadAnswer<'b> {
    rest: &'b [u8],
}

impl<'b> ReadAnswer<'b> {
    /// Finds the items of an answer. `lens` are the lengths that were asked for, in order.
    ///
    /// # Errors
    /// It is no answer to a read of such items: one is missing, too short, too long, or there is more.
    pub fn decode(
        message: &Message<'b>,
        lens: impl ExactSizeIterator<Item = u16>,
    ) -> Result<ReadAnswer<'b>, Malformed> {
        if *message.parameter != [FUNCTION, u8::try_from(lens.len()).unwrap_or(u8::MAX)] {
            return Err(Malformed("the answer is not one to a read of so many items"));
        }
        let answer = ReadAnswer { rest: message.data };
        let mut rest = message.data;
        for len in lens {
            let (item, after) = split_item(rest)?;
            if item.is_ok_and(|bytes| bytes.len() != usize::from(len)) {
                return Err(Malformed("an item of the answer has another length than was asked for"));
            }
            rest = after;
        }
        if rest.is_empty() { Ok(answer) } else { Err(Malformed("the answer has more items than were asked for")) }
    }
}

impl<'b> Iterator for ReadAnswer<'b> {
    type Item = Result<&'b [u8], ReturnCode>;

    fn next(&mut self) -> Option<Result<&'b [u8], ReturnCode>> {
        let (item, rest) = split_item(self.rest).ok()?;
        self.rest = rest;
        Some(item)
    }
}

type Split<'b> = (Result<&'b [u8], ReturnCode>, &'b [u8]);

/// The first item, and what follows it and its padding.
fn split_item(data: &[u8]) -> Result<Split<'_>, Malformed> {
    let cut = Malformed("the answer ends in the middle of an item");
    let &[return_code, unit, high, low, ref rest @ ..] = data else { return Err(cut) };
    if return_code != code::SERVED {
        return Ok((Err(ReturnCode(return_code)), rest));
    }
    let len = usize::from(u16::from_be_bytes([high, low]));
    let len = match unit {
        // Bits, bytes and integers are counted in bits, the others in bytes.
        3..=5 => len.div_ceil(8),
        6 | 7 | 9 => len,
        _ => return Err(Malformed("an item of the answer has a length in a unit that is not known")),
    };
    let (bytes, after) = rest.split_at_checked(len).ok_or(cut)?;
    Ok((Ok(bytes), after.get(len % 2..).unwrap_or_default()))
}

/// The longest answer's bytes: its head, and each item with its padding.
pub fn answer_bytes(lens: impl Iterator<Item = u16>) -> usize {
    let mut bytes = super::message::ANSWER_HEAD + PARAMETER;
    let mut padding = 0;
    for len in lens {
        bytes += padding + ITEM_HEAD + usize::from(len);
        padding = usize::from(len % 2);
    }
    bytes
}

/// The function and number of items of an answer, for the writes, which share them.
pub(super) fn count(parameter: &[u8]) -> Option<(u8, u8)> {
    word(parameter).filter(|_| parameter.len() == PARAMETER).map(|both| ((both >> 8) as u8, both as u8))
}
