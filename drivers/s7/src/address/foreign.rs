//! Addresses as other programs write them.
//!
//! ```text
//! Telegraf    DB1.R4  DB1.X3.1  DB1.S8.20  MK0.W10  PE0.X1.2      type and byte; bit, or length of the string
//! Node-RED    DB1,REAL4  DB1,X0.1  DB2,S7.10  DB1,INT12.2         the same with a comma; last the number of elements
//!             MR38  EI10  MDI26  MRW20                            R before a type: least significant byte first
//! PLC4X       10-02-00-01-00-01-84-00-00-20                       the item's bytes
//! ```

use std::ops::Range;

use driver_core::{AddressError, DataType, ELEMENTS_MAX, Order};

use super::place::{Place, Width, digits, number};
use super::{Address, wrong};
use crate::wire::Area;
use crate::wire::item::BYTE_MAX;

/// Types as both programs name them.
const TYPES: [(&str, DataType); 25] = [
    ("X", DataType::Bool),
    ("B", DataType::Byte),
    ("BYTE", DataType::Byte),
    ("C", DataType::Char),
    ("CHAR", DataType::Char),
    ("I", DataType::Int),
    ("INT", DataType::Int),
    ("LI", DataType::Lint),
    ("LINT", DataType::Lint),
    ("W", DataType::Word),
    ("WORD", DataType::Word),
    ("DI", DataType::Dint),
    ("DINT", DataType::Dint),
    ("DW", DataType::Dword),
    ("DWORD", DataType::Dword),
    ("R", DataType::Real),
    ("REAL", DataType::Real),
    ("LR", DataType::Lreal),
    ("LREAL", DataType::Lreal),
    ("S", DataType::String(0)),
    ("STRING", DataType::String(0)),
    ("DT", DataType::DateAndTime),
    ("DTZ", DataType::DateAndTime),
    ("DTL", DataType::Dtl),
    ("DTLZ", DataType::Dtl),
];

/// Types that an R before them turns round.
const REVERSIBLE: [DataType; 5] = [DataType::Int, DataType::Word, DataType::Dint, DataType::Dword, DataType::Real];

/// Telegraf's names of the areas that are no data blocks; the number behind them means nothing.
const TELEGRAF_AREAS: [(&str, Area); 3] = [("PE", Area::Inputs), ("PA", Area::Outputs), ("MK", Area::Flags)];

/// What a notation says of the type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meant {
    pub(super) data_type: DataType,
    pub(super) elements: Option<u16>,
    pub(super) order: Option<Order>,
}

/// The names of types, for those who misspell them.
pub(super) fn type_names() -> impl Iterator<Item = &'static str> {
    TYPES.iter().map(|(name, _)| *name).filter(|name| name.len() > 1)
}

/// `MK0.W10`, `PE0.X1.2`, `PA0.B3`; `None` where it is no such address.
pub(super) fn telegraf(text: &str, from: usize) -> Option<Result<Place, AddressError>> {
    let name = text.get(from..from + 2)?;
    let (_, area) = TELEGRAF_AREAS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
    let index = digits(&text[from + 2..]);
    let dot = from + 2 + index;
    let is_theirs =
        index > 0 && text[dot..].starts_with('.') && text[dot + 1..].starts_with(|c: char| c.is_ascii_alphabetic());
    is_theirs.then(|| behind_block(text, dot + 1, *area))
}

/// STEP 7's pointers, `P#DB1.DBX10.0` and `P#M 10.0 BYTE 4`: an address says what lies there, so that they are told what to
/// write instead; `None` where it is none.
pub(super) fn pointer(text: &str) -> Option<AddressError> {
    let (mark, target) = text.split_at_checked(2).filter(|(mark, _)| mark.eq_ignore_ascii_case("P#"))?;
    let words: Vec<&str> = target.split_whitespace().collect();
    let (place, typed) = match words.as_slice() {
        [place @ .., name, count] if count.parse::<u16>().is_ok() && !place.is_empty() => {
            (place.concat(), Some((*name, *count)))
        }
        place => (place.concat(), None),
    };
    let is_bits = typed.is_some_and(|(name, _)| name.eq_ignore_ascii_case("BOOL"));
    let byte = place.strip_suffix(".0").filter(|_| !is_bits).unwrap_or(&place);
    let reads = |text: String| Address::parse(&text).ok().map(|address| address.to_string());
    let instead = match typed {
        Some((name, "1")) => reads(format!("%{byte}:{name}")),
        Some((name, count)) => reads(format!("%{byte}:{name}[{count}]")),
        None => reads(place.clone()),
    };
    let instead = instead.unwrap_or_else(|| "what it points to, such as DB1.DBD10:REAL or DB1.DBB10:BYTE[4]".into());
    let kind =
        if typed.is_none() { ", or with the width and type of what begins there, such as DB1.DBD10:REAL" } else { "" };
    Some(AddressError::new(0..mark.len(), format!("`P#` is a pointer of STEP 7, and no value: write {instead}{kind}")))
}

/// Type, byte and what follows, behind `DB1.` or `DB1,`.
pub(super) fn behind_block(text: &str, at: usize, area: Area) -> Result<Place, AddressError> {
    let letters = at..at + text[at..].bytes().take_while(u8::is_ascii_alphabetic).count();
    let Some((data_type, order)) = type_of(&text[letters.clone()]) else {
        let near =
            driver_core::nearest(&text[letters.clone()], ["DBX", "DBB", "DBW", "DBD"].into_iter().chain(type_names()));
        let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        return wrong(letters, format!("expected DBX, DBB, DBW or DBD and the byte, such as DB1.DBD4:REAL{near}"));
    };
    typed(text, letters, area, data_type, order)
}

/// `MR38`, `EDI10`: a type's letters instead of a width; `None` where they are no type's.
pub(super) fn behind_area(text: &str, letters: Range<usize>, area: Area) -> Option<Result<Place, AddressError>> {
    let (data_type, order) = type_of(&text[letters.clone()])?;
    Some(typed(text, letters, area, data_type, order))
}

fn type_of(name: &str) -> Option<(DataType, Option<Order>)> {
    let name = name.to_ascii_uppercase();
    let find = |name: &str| TYPES.iter().find(|(known, _)| *known == name).map(|(_, data_type)| *data_type);
    let reversed = || {
        let data_type = find(name.strip_prefix('R')?).filter(|data_type| REVERSIBLE.contains(data_type))?;
        Some((data_type, Some(Order::Dcba)))
    };
    find(&name).map(|data_type| (data_type, None)).or_else(reversed)
}

fn typed(
    text: &str,
    letters: Range<usize>,
    area: Area,
    data_type: DataType,
    order: Option<Order>,
) -> Result<Place, AddressError> {
    let byte = letters.end..letters.end + digits(&text[letters.end..]);
    let start = number(text, byte.clone(), BYTE_MAX)?;
    let mut extras = Vec::new();
    let mut at = byte.end;
    while text[at..].starts_with('.') && extras.len() < 2 {
        let digits = at + 1..at + 1 + digits(&text[at + 1..]);
        extras.push((number(text, digits.clone(), u32::from(ELEMENTS_MAX))?, digits.clone()));
        at = digits.end;
    }
    if at < text.len() {
        return wrong(at..text.len(), format!("`{}` is not understood here", &text[at..]));
    }
    let mut extras = extras.into_iter();
    let mut meant = Meant { data_type, elements: None, order };
    let (mut bit, mut width) = (None, None);
    match data_type {
        DataType::Bool => {
            let (number, range) =
                extras.next().ok_or_else(|| AddressError::new(byte, "the bit is missing behind the byte"))?;
            let number = u8::try_from(number).ok().filter(|bit| *bit < 8);
            bit = Some(number.ok_or_else(|| AddressError::new(range, "a bit is a number from 0 to 7"))?);
            width = Some(Width::Bit);
        }
        DataType::String(_) => {
            let (length, range) = extras
                .next()
                .ok_or_else(|| AddressError::new(byte, "the length of the string is missing behind the byte"))?;
            let length = u16::try_from(length).ok().filter(|length| (1..=crate::form::STRING_MAX).contains(length));
            let message = format!("a string has 1 to {} characters", crate::form::STRING_MAX);
            meant.data_type = DataType::String(length.ok_or_else(|| AddressError::new(range, message))?);
        }
        _ => {}
    }
    if let Some((count, range)) = extras.next() {
        let count = u16::try_from(count).ok().filter(|count| *count > 0);
        meant.elements = Some(count.ok_or_else(|| AddressError::new(range, "an array has at least one element"))?);
    }
    match extras.next() {
        Some((_, range)) => wrong(range, "a third number behind the byte means nothing"),
        None => Ok(Place { area, start, width, bit, meant: Some(meant) }),
    }
}

/// PLC4X's address as the bytes of the item, `10-02-…`; `None` where it is none.
pub(super) fn proxy(text: &str) -> Option<Result<Address, AddressError>> {
    let bytes: Vec<u8> = text
        .split('-')
        .map(|byte| u8::from_str_radix(byte, 16).ok().filter(|_| byte.len() == 2 && byte.is_ascii()))
        .collect::<Option<_>>()?;
    let &[0x10, transport, high, low, db_high, db_low, area, a, b, c] = bytes.as_slice() else { return None };
    Some(from_item(
        text,
        transport,
        u16::from_be_bytes([high, low]),
        u16::from_be_bytes([db_high, db_low]),
        area,
        u32::from_be_bytes([0, a, b, c]),
    ))
}

fn from_item(text: &str, transport: u8, count: u16, block: u16, area: u8, place: u32) -> Result<Address, AddressError> {
    let whole = 0..text.len();
    let area = match area {
        0x84 if block == 0 => return wrong(12..17, "data blocks are numbered from 1"),
        0x84 => Area::Block(block),
        0x83 => Area::Flags,
        0x82 => Area::Outputs,
        0x81 => Area::Inputs,
        0x80 => Area::PeripheralInputs,
        0x1D => Area::Timers,
        0x1C => Area::Counters,
        _ => return wrong(18..20, "this byte names no area: 84 is a data block, 83 M, 81 I, 82 Q, 80 PI, 1D T, 1C C"),
    };
    let data_type = match transport {
        0x01 => DataType::Bool,
        0x02 => DataType::Byte,
        0x03 => DataType::Char,
        0x04 => DataType::Word,
        0x05 => DataType::Int,
        0x06 => DataType::Dword,
        0x07 => DataType::Dint,
        0x08 => DataType::Real,
        0x09 => DataType::Date,
        0x0A => DataType::TimeOfDay,
        0x0B => DataType::Time,
        0x0C | 0x1D => DataType::S5time,
        0x0F => DataType::DateAndTime,
        0x1C => DataType::Uint,
        0x13 => DataType::Wchar,
        0x30 => DataType::Lreal,
        _ => {
            return wrong(
                3..5,
                "this byte names no type: 01 is BOOL, 02 BYTE, 04 WORD, 05 INT, 06 DWORD, 07 DINT, 08 REAL",
            );
        }
    };
    let elements = match count {
        1 => None,
        count if (1..=ELEMENTS_MAX).contains(&count) => Some(count),
        _ => return wrong(6..11, format!("an array has 1 to {ELEMENTS_MAX} elements")),
    };
    let (start, bit) = if area.is_elements() { (2 * place, 0) } else { (place >> 3, (place & 7) as u8) };
    if bit != 0 && data_type != DataType::Bool {
        return wrong(whole, "only a BOOL begins at a bit other than 0");
    }
    Ok(Address { area, start, data_type, elements, bit, order: None })
}
