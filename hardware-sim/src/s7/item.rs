//! Items of reads and writes: what is wanted, and the data of it.
//!
//! ```text
//! wanted   12 | 0A | 10 | transport (1) | count (2) | block (2) | area (1) | bit address (3)
//! data     return code (1) | kind of data (1) | length, bits or bytes (2) | bytes | 0 if odd and not the last
//! ```

use std::ops::Range;

use super::{Area, ItemError};

/// Bytes of an item that is wanted.
const WANTED: usize = 12;

/// Bytes before an item's data.
pub(super) const DATA_HEADER: usize = 4;

/// The return code of an item that is there.
const OK: u8 = 0xFF;

/// How an item travels, and how large each of its elements is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// One bit.
    Bit,
    /// One byte.
    Byte,
    /// One byte.
    Char,
    /// Two bytes.
    Word,
    /// Two bytes.
    Int,
    /// Four bytes.
    Dword,
    /// Four bytes.
    Dint,
    /// Four bytes.
    Real,
    /// Two bytes.
    Date,
    /// Four bytes.
    TimeOfDay,
    /// Four bytes.
    Time,
    /// Two bytes.
    S5time,
    /// Eight bytes.
    DateAndTime,
    /// A counter, two bytes.
    Counter,
    /// A timer, two bytes.
    Timer,
}

/// What one item of a request wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// Where.
    pub area: Area,
    /// How.
    pub transport: Transport,
    /// How many elements.
    pub count: u16,
    /// The number of the first bit, or of the first timer or counter.
    pub start: u32,
}

impl Transport {
    fn from_wire(code: u8) -> Option<Self> {
        Some(match code {
            0x01 => Self::Bit,
            0x02 => Self::Byte,
            0x03 => Self::Char,
            0x04 => Self::Word,
            0x05 => Self::Int,
            0x06 => Self::Dword,
            0x07 => Self::Dint,
            0x08 => Self::Real,
            0x09 => Self::Date,
            0x0A => Self::TimeOfDay,
            0x0B => Self::Time,
            0x0C => Self::S5time,
            0x0F => Self::DateAndTime,
            0x1C => Self::Counter,
            0x1D => Self::Timer,
            _ => return None,
        })
    }

    /// Bytes of an element; of a bit, those that it stands in.
    fn size(self) -> usize {
        match self {
            Self::Bit | Self::Byte | Self::Char => 1,
            Self::Word | Self::Int | Self::Date | Self::S5time | Self::Counter | Self::Timer => 2,
            Self::Dword | Self::Dint | Self::Real | Self::TimeOfDay | Self::Time => 4,
            Self::DateAndTime => 8,
        }
    }

    /// The kind of data of an answer.
    fn kind(self) -> DataKind {
        match self {
            Self::Bit => DataKind::Bit,
            Self::Int | Self::Dint => DataKind::Integer,
            Self::Real => DataKind::Real,
            Self::Counter | Self::Timer => DataKind::Octets,
            _ => DataKind::Bytes,
        }
    }
}

/// How the bytes of an item are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DataKind {
    Bit,
    Bytes,
    Integer,
    Real,
    Octets,
}

impl DataKind {
    fn from_wire(code: u8) -> Option<Self> {
        Some(match code {
            3 => Self::Bit,
            4 => Self::Bytes,
            5 | 6 => Self::Integer,
            7 => Self::Real,
            9 => Self::Octets,
            _ => return None,
        })
    }

    fn code(self) -> u8 {
        match self {
            Self::Bit => 3,
            Self::Bytes => 4,
            Self::Integer => 5,
            Self::Real => 7,
            Self::Octets => 9,
        }
    }

    /// The length field of so many bytes.
    fn length(self, bytes: usize) -> u16 {
        match self {
            Self::Bit | Self::Real | Self::Octets => bytes as u16,
            Self::Bytes | Self::Integer => (bytes * 8) as u16,
        }
    }

    /// The bytes that a length field means.
    fn bytes(self, length: u16) -> usize {
        match self {
            Self::Real | Self::Octets => usize::from(length),
            Self::Bit | Self::Bytes | Self::Integer => usize::from(length).div_ceil(8),
        }
    }
}

impl Item {
    /// The bytes of its area that it touches.
    ///
    /// # Errors
    /// Its type does not exist there, or does not fit its place.
    pub(super) fn range(&self) -> Result<Range<usize>, ItemError> {
        let start = self.start as usize;
        let bytes = usize::from(self.count) * self.transport.size();
        match (self.area, self.transport) {
            (Area::Timers, Transport::Timer) | (Area::Counters, Transport::Counter) => Ok(2 * start..2 * start + bytes),
            (Area::Timers | Area::Counters, _) | (_, Transport::Timer | Transport::Counter) => {
                Err(ItemError::TypeNotSupported)
            }
            (_, Transport::Bit) if self.count == 1 => Ok(start / 8..start / 8 + 1),
            (_, Transport::Bit) => Err(ItemError::TypeInconsistent),
            _ if self.count == 0 || !start.is_multiple_of(8) => Err(ItemError::TypeInconsistent),
            _ => Ok(start / 8..start / 8 + bytes),
        }
    }

    /// The bit in its byte, if it wants one.
    pub(super) fn bit(&self) -> Option<u8> {
        (self.transport == Transport::Bit).then_some((self.start % 8) as u8)
    }
}

/// Takes the items that are wanted off the front of the parameters; none where they end too early.
pub(super) fn wanted<'a>(count: u8, mut parameters: &'a [u8]) -> Option<Vec<Result<Item, ItemError>>> {
    let mut items = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        let &[0x12, length, ..] = parameters else { return None };
        let (item, rest): (_, &'a [u8]) = parameters.split_at_checked(2 + usize::from(length))?;
        items.push(one(item));
        // An item of odd length is padded, as data is.
        let padded = usize::from(!item.len().is_multiple_of(2) && !rest.is_empty());
        parameters = rest.get(padded..)?;
    }
    parameters.is_empty().then_some(items)
}

fn one(item: &[u8]) -> Result<Item, ItemError> {
    let whole: &[u8; WANTED] = item.try_into().map_err(|_| ItemError::TypeNotSupported)?;
    let &[_, _, 0x10, transport, c0, c1, b0, b1, area, s0, s1, s2] = whole else {
        return Err(ItemError::TypeNotSupported);
    };
    Ok(Item {
        area: Area::from_wire(area, u16::from_be_bytes([b0, b1])).ok_or(ItemError::NoObject)?,
        transport: Transport::from_wire(transport).ok_or(ItemError::TypeNotSupported)?,
        count: u16::from_be_bytes([c0, c1]),
        start: u32::from_be_bytes([0, s0, s1, s2]),
    })
}

/// Appends an answered item. Whoever appends the next one pads this one first.
pub(super) fn put(data: &mut Vec<u8>, found: Result<(Transport, &[u8]), ItemError>) {
    if !data.len().is_multiple_of(2) {
        data.push(0);
    }
    match found {
        Ok((transport, bytes)) => {
            let kind = transport.kind();
            data.extend([OK, kind.code()]);
            data.extend(kind.length(bytes.len()).to_be_bytes());
            data.extend_from_slice(bytes);
        }
        Err(error) => data.extend([error.code(), 0, 0, 0]),
    }
}

/// The answer to a written item.
pub(super) fn written(done: Result<(), ItemError>) -> u8 {
    done.map_or_else(ItemError::code, |()| OK)
}

/// Takes the bytes of one item to be written off the front of the data; none where they end too early.
pub(super) fn take<'a>(data: &mut &'a [u8]) -> Option<Result<&'a [u8], ItemError>> {
    let (header, rest) = data.split_at_checked(DATA_HEADER)?;
    let &[_, kind, high, low] = header else { return None };
    let Some(kind) = DataKind::from_wire(kind) else {
        // How long it is cannot be told, so that nothing behind it can be found either.
        *data = &[];
        return Some(Err(ItemError::TypeNotSupported));
    };
    let (bytes, rest) = rest.split_at_checked(kind.bytes(u16::from_be_bytes([high, low])))?;
    let padded = usize::from(!bytes.len().is_multiple_of(2) && !rest.is_empty());
    *data = rest.get(padded..)?;
    Some(Ok(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DB1_DBD4: [u8; 12] = [0x12, 0x0A, 0x10, 8, 0, 1, 0, 1, 0x84, 0, 0, 32];

    fn item(area: Area, transport: Transport, count: u16, start: u32) -> Item {
        Item { area, transport, count, start }
    }

    #[test]
    fn items_are_found_one_after_the_other() {
        let real = item(Area::Block(1), Transport::Real, 1, 32);
        assert_eq!(wanted(1, &DB1_DBD4), Some(vec![Ok(real)]));
        let unknown = [0x12, 3, 0xB0, 1, 2, 0];
        let both = [&unknown[..], &DB1_DBD4].concat();
        assert_eq!(wanted(2, &both), Some(vec![Err(ItemError::TypeNotSupported), Ok(real)]));
        assert_eq!(wanted(1, &both), None, "more than was announced");
        for end in 0..both.len() {
            assert_eq!(wanted(2, &both[..end]), None, "{end}");
        }
    }

    #[test]
    fn an_item_touches_the_bytes_of_its_elements() {
        for (wanted, range) in [
            (item(Area::Flags, Transport::Byte, 5, 80), Ok(10..15)),
            (item(Area::Flags, Transport::Bit, 1, 83), Ok(10..11)),
            (item(Area::Flags, Transport::Bit, 2, 83), Err(ItemError::TypeInconsistent)),
            (item(Area::Flags, Transport::Word, 1, 83), Err(ItemError::TypeInconsistent)),
            (item(Area::Flags, Transport::Word, 0, 80), Err(ItemError::TypeInconsistent)),
            (item(Area::Timers, Transport::Timer, 2, 5), Ok(10..14)),
            (item(Area::Timers, Transport::Word, 1, 0), Err(ItemError::TypeNotSupported)),
            (item(Area::Block(1), Transport::Counter, 1, 0), Err(ItemError::TypeNotSupported)),
        ] {
            assert_eq!(wanted.range(), range, "{wanted:?}");
        }
    }

    #[test]
    fn data_is_counted_by_its_kind_and_padded_between() {
        let mut data = Vec::new();
        put(&mut data, Ok((Transport::Bit, &[1])));
        put(&mut data, Ok((Transport::Byte, &[1, 2, 3])));
        put(&mut data, Err(ItemError::NoObject));
        put(&mut data, Ok((Transport::Timer, &[4, 5])));
        put(&mut data, Ok((Transport::Char, &[6])));
        let parts: [&[u8]; 5] = [
            &[0xFF, 3, 0, 1, 1, 0],
            &[0xFF, 4, 0, 24, 1, 2, 3, 0],
            &[0x0A, 0, 0, 0],
            &[0xFF, 9, 0, 2, 4, 5],
            &[0xFF, 4, 0, 8, 6],
        ];
        assert_eq!(data, parts.concat());
    }

    #[test]
    fn what_is_written_is_taken_in_the_same_way() {
        let mut data: &[u8] = &[0, 3, 0, 1, 1, 0, 0, 4, 0, 16, 7, 8, 0, 9, 0, 1, 9];
        assert_eq!(take(&mut data), Some(Ok(&[1][..])));
        assert_eq!(take(&mut data), Some(Ok(&[7, 8][..])));
        assert_eq!(take(&mut data), Some(Ok(&[9][..])));
        assert_eq!(take(&mut data), None);
        let mut data: &[u8] = &[0, 4, 0, 16, 7];
        assert_eq!(take(&mut data), None);
    }
}
