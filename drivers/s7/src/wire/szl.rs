//! System status lists (SZL): what a PLC says of itself.
//!
//! ```text
//! request      parameter 00 01 12 04 11 44 01 00                                  data FF 09 0004 | list (2) | index (2)
//! next part    parameter 00 01 12 08 12 44 01 | sequence (1) | 00 00 0000         data 0A 00 0000
//! answer       parameter 00 01 12 08 12 84 01 | sequence (1) | unit (1) | more to come (1) | error (2)
//!              data FF 09 | length (2) | a part of the list
//! list         list (2) | index (2) | bytes of a record (2) | number of records (2) | records
//! ```

use super::{HeaderError, Kind, Malformed, Message, Outgoing, ReturnCode, code, word};

/// The longest list that is put together, in bytes.
pub const LIST_MAX: usize = 16 * 1024;
/// Bytes of a list before its records.
const LIST_HEAD: usize = 8;

const NEXT_DATA: [u8; 4] = [0x0A, 0, 0, 0];

/// A request for a list, or for its next part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    parameter: Vec<u8>,
    data: Vec<u8>,
}

impl Question {
    /// Asks for a list.
    pub fn first(list: u16, index: u16) -> Question {
        let (list, index) = (list.to_be_bytes(), index.to_be_bytes());
        Question {
            parameter: vec![0, 1, 0x12, 4, 0x11, 0x44, 1, 0],
            data: vec![code::SERVED, 9, 0, 4, list[0], list[1], index[0], index[1]],
        }
    }

    /// Asks for what follows the part of this sequence number.
    pub fn next(sequence: u8) -> Question {
        Question { parameter: vec![0, 1, 0x12, 8, 0x12, 0x44, 1, sequence, 0, 0, 0, 0], data: NEXT_DATA.to_vec() }
    }

    /// The message to be sent.
    pub fn outgoing(&self) -> Outgoing<'_> {
        Outgoing { kind: Kind::Userdata, parameter: &self.parameter, data: &self.data }
    }
}

/// A part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part<'b> {
    /// What [`Question::next`] wants.
    pub sequence: u8,
    /// Whether more follows.
    pub more: bool,
    /// The bytes.
    pub bytes: &'b [u8],
}

/// Why there is no list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoList {
    /// The PLC has none, or does not give it.
    Refused,
    /// What came is no answer to the question.
    Malformed(Malformed),
}

impl<'b> Part<'b> {
    /// Understands the answer to a [`Question`].
    ///
    /// # Errors
    /// See [`NoList`].
    pub fn decode(message: &Message<'b>) -> Result<Part<'b>, NoList> {
        let other = NoList::Malformed(Malformed("the answer is not one to a question for a system status list"));
        if message.error.is_some() {
            return Err(NoList::Refused);
        }
        let &[0, 1, 0x12, 8, 0x12, 0x84, 1, sequence, _, more, high, low] = message.parameter else {
            return Err(other);
        };
        let &[return_code, _, _, _, ref bytes @ ..] = message.data else { return Err(other) };
        let error = HeaderError::new(u16::from_be_bytes([high, low]));
        if error.is_some() || ReturnCode(return_code) != ReturnCode(code::SERVED) {
            return Err(NoList::Refused);
        }
        if word(&message.data[2..]).map(usize::from) != Some(bytes.len()) {
            return Err(NoList::Malformed(Malformed("a part of a list has another length than it says")));
        }
        Ok(Part { sequence, more: more != 0, bytes })
    }
}

/// The records of a whole list. `len_usual` is taken where the list says that its records have no length, as some
/// servers do.
pub fn records(list: &[u8], len_usual: usize) -> impl Iterator<Item = &[u8]> {
    let len = list.get(4..).and_then(word).map(usize::from).filter(|len| *len > 0).unwrap_or(len_usual.max(1));
    list.get(LIST_HEAD..).unwrap_or_default().chunks_exact(len)
}
