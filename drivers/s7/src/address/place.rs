//! The location of an address: area, width, byte and bit.

use std::ops::Range;

use driver_core::{AddressError, DataType, Order, Typed, nearest};

use super::{Address, ELEMENT_MAX, foreign, wrong};
use crate::form::Form;
use crate::wire::Area;
use crate::wire::item::BYTE_MAX;

/// The mnemonics of the areas that are no data blocks, longest first where one begins as another.
const MNEMONICS: [(&str, Area); 13] = [
    ("PI", Area::PeripheralInputs),
    ("PE", Area::PeripheralInputs),
    ("PQ", Area::PeripheralOutputs),
    ("PA", Area::PeripheralOutputs),
    ("I", Area::Inputs),
    ("E", Area::Inputs),
    ("Q", Area::Outputs),
    ("A", Area::Outputs),
    ("M", Area::Flags),
    ("T", Area::Timers),
    ("C", Area::Counters),
    ("Z", Area::Counters),
    ("V", Area::Block(1)),
];

/// What a message names as examples.
const EXAMPLES: &str = "an address is such as DB1.DBD4:REAL, DB1.DBX2.1, MW10:INT, I0.0, Q4.2, T5, C7 or PIW256:INT";

/// The width that stands before the byte's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    Bit,
    Byte,
    Word,
    Dword,
}

impl Width {
    /// The canonical width of a value of this type: bytes where it is neither one, two nor four of them.
    pub(super) fn of(data_type: DataType) -> Width {
        match (data_type, Form::new(data_type, None, 0, Order::Abcd).bytes()) {
            (DataType::Bool, _) => Width::Bit,
            (_, 2) => Width::Word,
            (_, 4) => Width::Dword,
            _ => Width::Byte,
        }
    }

    pub(super) fn letter(self) -> char {
        match self {
            Width::Bit => 'X',
            Width::Byte => 'B',
            Width::Word => 'W',
            Width::Dword => 'D',
        }
    }

    fn from_letters(letters: &str) -> Option<Width> {
        Some(match letters {
            "X" => Width::Bit,
            "B" => Width::Byte,
            "W" => Width::Word,
            "D" => Width::Dword,
            _ => return None,
        })
    }

    fn default_type(self) -> DataType {
        match self {
            Width::Bit => DataType::Bool,
            Width::Byte => DataType::Byte,
            Width::Word => DataType::Word,
            Width::Dword => DataType::Dword,
        }
    }
}

/// Where a value lies, before its type is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) area: Area,
    /// As in [`Address::start`].
    pub(super) start: u32,
    pub(super) width: Option<Width>,
    pub(super) bit: Option<u8>,
    /// The type, elements and order that another program's notation says.
    pub(super) meant: Option<foreign::Meant>,
}

impl Place {
    /// Understands a location, from the first byte of the address on.
    pub(super) fn parse(text: &str) -> Result<Place, AddressError> {
        let from = usize::from(text.starts_with('%'));
        if is_block(&text[from..]) {
            return block(text, from);
        }
        if let Some(place) = foreign::telegraf(text, from) {
            return place;
        }
        let rest = text[from..].to_ascii_uppercase();
        let direct = from == 1 && rest.starts_with('D');
        let found = MNEMONICS.iter().find(|(name, _)| rest.starts_with(name));
        let (name_len, area) = match found {
            Some((name, area)) => (name.len(), *area),
            // PLC4X's direct peripheral access.
            None if direct => (1, Area::PeripheralInputs),
            None => return unknown(text, from),
        };
        behind_area(text, from + name_len, area)
    }

    /// The same place past the process image.
    pub(super) fn peripheral(self, text: &str) -> Result<Place, AddressError> {
        match self.area {
            Area::Inputs => Ok(Place { area: Area::PeripheralInputs, ..self }),
            Area::Outputs => Ok(Place { area: Area::PeripheralOutputs, ..self }),
            _ => wrong(0..text.len(), "only inputs and outputs have `:P`, such as IW256:P"),
        }
    }

    /// The whole address, with the type that stands behind the location.
    pub(super) fn with_type(self, typed: Option<Typed>, text: &str) -> Result<Address, AddressError> {
        let whole = 0..text.len();
        let at = typed.as_ref().map_or(whole.clone(), |typed| typed.range.clone());
        let (data_type, elements, order) = match (typed, self.meant) {
            (Some(_), Some(_)) => return wrong(at, "the type is given twice, in the location and behind it"),
            (Some(typed), None) => (typed.data_type, typed.elements, None),
            (None, Some(meant)) => (meant.data_type, meant.elements, meant.order),
            (None, None) => (self.default_type(text)?, None, None),
        };
        let address =
            Address { area: self.area, start: self.start, data_type, elements, bit: self.bit.unwrap_or(0), order };
        if self.area.is_elements() {
            return Ok(address);
        }
        let wide = self.width.filter(|width| *width != Width::Bit);
        match (data_type, self.bit, wide) {
            (_, Some(bit), Some(_)) => {
                let single = Address { data_type: DataType::Bool, elements: None, bit, order: None, ..address };
                wrong(whole, format!("a single bit is written {single}"))
            }
            (DataType::Bool, Some(_), None) => Ok(address),
            (DataType::Bool, None, _) => {
                wrong(at, format!("a BOOL needs its bit: write {}", Address { bit: 0, ..address }))
            }
            (_, Some(_), None) => wrong(at, format!("a bit is BOOL, not {data_type}; without the bit it is {address}")),
            (_, None, Some(width @ (Width::Word | Width::Dword))) if width != Width::of(data_type) => {
                let message = format!("{data_type} does not fit the width {}: write {address}", width.letter());
                wrong(whole, message)
            }
            (_, None, _) => Ok(address),
        }
    }

    fn default_type(&self, text: &str) -> Result<DataType, AddressError> {
        match (self.area, self.width, self.bit) {
            (Area::Timers, ..) => Ok(DataType::S5time),
            (Area::Counters, ..) => Ok(DataType::Uint),
            (_, Some(width), _) => Ok(width.default_type()),
            (_, None, Some(_)) => Ok(DataType::Bool),
            (_, None, None) => wrong(0..text.len(), format!("name the type or the bit: {EXAMPLES}")),
        }
    }
}

/// The German mnemonic, where it is another.
pub(super) fn german(area: Area) -> Option<&'static str> {
    match area {
        Area::Inputs => Some("E"),
        Area::Outputs => Some("A"),
        Area::PeripheralInputs => Some("PE"),
        Area::PeripheralOutputs => Some("PA"),
        _ => None,
    }
}

/// `DB` and a digit: a data block.
fn is_block(text: &str) -> bool {
    let mut bytes = text.bytes();
    let mut next = || bytes.next().map(|byte| byte.to_ascii_uppercase());
    next() == Some(b'D') && next() == Some(b'B') && next().is_some_and(|byte| byte.is_ascii_digit())
}

/// A place in a data block, from `DB` on.
fn block(text: &str, from: usize) -> Result<Place, AddressError> {
    let digits = from + 2..from + 2 + digits(&text[from + 2..]);
    let number = number(text, digits.clone(), 0xFFFF)?;
    let number = if number == 0 { wrong(digits.clone(), "data blocks are numbered from 1")? } else { number as u16 };
    let (area, at) = (Area::Block(number), digits.end);
    match text[at..].chars().next() {
        Some('.') if starts_with_db(&text[at + 1..]) => behind_area(text, at + 3, area),
        Some('.' | ',') => foreign::behind_block(text, at + 1, area),
        Some(':') => behind_area(text, at + 1, area),
        _ => {
            let example = format!("DB{number}.DBD4:REAL or DB{number}.DBX2.1");
            wrong(at..text.len(), format!("where in the data block? It is such as {example}"))
        }
    }
}

fn starts_with_db(text: &str) -> bool {
    text.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("DB"))
}

/// Width, byte and bit, from `at` on.
fn behind_area(text: &str, at: usize, area: Area) -> Result<Place, AddressError> {
    let letters = at..at + text[at..].bytes().take_while(u8::is_ascii_alphabetic).count();
    let width = text[letters.clone()].to_ascii_uppercase();
    let place = Place { area, start: 0, width: Width::from_letters(&width), bit: None, meant: None };
    if !width.is_empty() && (place.width.is_none() || area.is_elements()) {
        if !area.is_elements()
            && let Some(place) = foreign::behind_area(text, letters.clone(), area)
        {
            return place;
        }
        return unknown_width(text, letters, area);
    }
    let digits = letters.end..letters.end + digits(&text[letters.end..]);
    let rest = &text[digits.end..];
    if area.is_elements() {
        let start = 2 * number(text, digits.clone(), ELEMENT_MAX)?;
        return if rest.is_empty() { Ok(Place { start, ..place }) } else { surplus(text, digits.end) };
    }
    let start = number(text, digits.clone(), BYTE_MAX)?;
    if rest.is_empty() {
        return Ok(Place { start, ..place });
    }
    let Some(bit) = rest.strip_prefix('.') else { return surplus(text, digits.end) };
    let at = digits.end + 1..text.len();
    match bit.parse().ok().filter(|bit| *bit < 8_u8 && rest.len() == 2) {
        Some(bit) => Ok(Place { start, bit: Some(bit), ..place }),
        None => wrong(at, "a bit is a number from 0 (least significant) to 7; the next byte has the next eight"),
    }
}

fn surplus<T>(text: &str, at: usize) -> Result<T, AddressError> {
    wrong(at..text.len(), format!("`{}` is not understood here; {EXAMPLES}", &text[at..]))
}

fn unknown<T>(text: &str, from: usize) -> Result<T, AddressError> {
    let letters = from..from + text[from..].bytes().take_while(u8::is_ascii_alphabetic).count();
    let names = MNEMONICS.iter().map(|(name, _)| *name).filter(|name| name.len() > 1).chain(["DB"]);
    let near = match nearest(&text[letters.clone()], names) {
        Some(name) => format!("; did you mean {name}?"),
        None => String::new(),
    };
    let first = text[from..].chars().next().map_or(0, char::len_utf8);
    wrong(from..letters.end.max(from + first), format!("{EXAMPLES}{near}"))
}

fn unknown_width<T>(text: &str, letters: Range<usize>, area: Area) -> Result<T, AddressError> {
    let name = text[letters.clone()].to_ascii_uppercase();
    if area.is_elements() {
        let what = if area == Area::Timers { "timers" } else { "counters" };
        return wrong(letters, format!("{what} are numbered, such as {area}5"));
    }
    let near = match nearest(&name, foreign::type_names()) {
        Some(near) => format!("; did you mean {near}?"),
        None => String::new(),
    };
    wrong(letters, format!("`{name}` is no width: X is a bit, B, W and D are 1, 2 and 4 bytes{near}"))
}

/// How many digits a text begins with.
pub(super) fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// The number of these digits.
pub(super) fn number(text: &str, digits: Range<usize>, max: u32) -> Result<u32, AddressError> {
    let written = &text[digits.clone()];
    if written.is_empty() {
        return wrong(digits.start..text.len(), format!("a number is missing here; {EXAMPLES}"));
    }
    written
        .parse()
        .ok()
        .filter(|number| *number <= max)
        .ok_or_else(|| AddressError::new(digits, format!("`{written}` is no number from 0 to {max}")))
}
