//! Addresses as other programs write them, all counted from 1 except extended registers.
//!
//! ```text
//! Modicon   40101  400101  30001  10001  00001        the first digit is the table, the rest counts from 1
//! Neuron    1!400101  1!400101.3                      with the unit before it
//! PLC4X     holding-register:101:REAL[2]  4x00101  400101  6x00000, then {unit-id: 2, byte-order: LITTLE_ENDIAN}
//!           holding-register:101[0..1]:REAL           newer releases: selection before the type
//! ```

use std::ops::Range;

use driver_core::{AddressError, DataType, ELEMENTS_MAX, Field, Order};

use super::{Area, Place, offset, split_bit, unknown_area};
use crate::wire::Table;

/// PLC4X's names of the tables.
pub(super) const NAMES: [(&str, Area); 5] = [
    ("holding-register", Area::Table(Table::HoldingRegisters)),
    ("input-register", Area::Table(Table::InputRegisters)),
    ("coil", Area::Table(Table::Coils)),
    ("discrete-input", Area::Table(Table::DiscreteInputs)),
    ("extended-register", Area::Extended),
];

/// PLC4X's names of the byte orders, in its older and newer spelling.
const ORDERS: [(&str, Order); 6] = [
    ("BIG_ENDIAN", Order::Abcd),
    ("LITTLE_ENDIAN", Order::Dcba),
    ("BIG_ENDIAN_BYTE_SWAP", Order::Badc),
    ("BIG_ENDIAN_WORD_SWAP", Order::Badc),
    ("LITTLE_ENDIAN_BYTE_SWAP", Order::Cdab),
    ("LITTLE_ENDIAN_WORD_SWAP", Order::Cdab),
];

/// What PLC4X's suffix `{…}` says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Config {
    pub(super) unit: Option<u8>,
    pub(super) order: Option<Order>,
}

/// `[4]`, `[0..7]`, each with `;base`, between number and type: which elements from the number on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Selection {
    from: u32,
    /// How many, where a range is written.
    count: Option<u32>,
}

/// Splits the suffix off.
pub(super) fn split_config(text: &str) -> Result<(&str, Config), AddressError> {
    let trimmed = text.trim_end();
    let Some(open) = trimmed.find('{') else { return Ok((text, Config::default())) };
    let Some(inner) = trimmed[open + 1..].strip_suffix('}') else {
        return Err(AddressError::new(open..text.len(), "the part that begins with `{` must end with `}`"));
    };
    let mut config = Config::default();
    let mut at = open + 1;
    for entry in inner.split(',') {
        let range = at..at + entry.len();
        at = range.end + 1;
        config.take(entry, range)?;
    }
    Ok((trimmed[..open].trim_end(), config))
}

impl Config {
    fn take(&mut self, entry: &str, range: Range<usize>) -> Result<(), AddressError> {
        let wrong = |message: &str| AddressError::new(range.clone(), message);
        let known = "expected unit-id: NUMBER or byte-order: BIG_ENDIAN, LITTLE_ENDIAN, …";
        let (key, value) = entry.split_once(':').ok_or_else(|| wrong(known))?;
        let value = value.trim().trim_matches(['\'', '"']);
        match key.trim() {
            "unit-id" => self.unit = Some(value.parse().map_err(|_| wrong("a unit is a number from 0 to 255"))?),
            "byte-order" => {
                let order = ORDERS.iter().find(|(name, _)| *name == value).map(|(_, order)| *order);
                let names =
                    "a byte order is BIG_ENDIAN, LITTLE_ENDIAN, BIG_ENDIAN_WORD_SWAP or LITTLE_ENDIAN_WORD_SWAP";
                self.order = Some(order.ok_or_else(|| wrong(names))?);
            }
            _ => return Err(wrong(known)),
        }
        Ok(())
    }
}

/// A place whose area is a word.
pub(super) fn named_place(location: &str, at: usize, name: &str) -> Result<Place, AddressError> {
    let area = NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, area)| *area);
    let area = area.ok_or_else(|| unknown_area(location, at..at + name.len()))?;
    numbered(location, at + name.len() + 1, area)
}

/// A place whose area is its first digit.
pub(super) fn place(location: &str, at: usize) -> Result<Place, AddressError> {
    let unknown = || unknown_area(location, at..location.len());
    let area = location[at..].chars().next().and_then(Area::from_digit).ok_or_else(unknown)?;
    let rest = at + 1;
    let number = rest + usize::from(location[rest..].starts_with(['x', 'X']));
    let digits = location[number..].bytes().take_while(u8::is_ascii_digit).count();
    if !(4..=5).contains(&digits) {
        let message = "Modicon's notation is the digit of the table and four or five digits that count from 1, \
                       such as 40101 or 400101; for the wire's own offset write hr:100";
        return Err(AddressError::new(at..location.len(), message));
    }
    numbered(location, number, area)
}

fn numbered(location: &str, from: usize, area: Area) -> Result<Place, AddressError> {
    let (number, selection) = split_selection(location, from..location.len())?;
    let (number, bit) = split_bit(location, number, area)?;
    Ok(Place { area, start: offset(location, number, area, area.base())?, bit, selection })
}

fn split_selection(text: &str, range: Range<usize>) -> Result<(Range<usize>, Option<Selection>), AddressError> {
    let Some(open) = text[range.clone()].find('[').map(|open| range.start + open) else { return Ok((range, None)) };
    let selection = text[open..range.end]
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .and_then(Selection::parse)
        .ok_or_else(|| AddressError::new(open..range.end, "a selection is [index] or [first..last], then the type"))?;
    Ok((range.start..open, Some(selection)))
}

impl Selection {
    fn parse(text: &str) -> Option<Selection> {
        let (text, base) = match text.split_once(';') {
            Some((text, base)) => (text, base.parse().ok()?),
            None => (text, 0_u32),
        };
        match text.split_once("..") {
            Some((first, last)) => {
                let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
                let count = last.checked_sub(first)?.checked_add(1)?;
                Some(Selection { from: first.checked_sub(base)?, count: Some(count) })
            }
            None => Some(Selection { from: text.parse::<u32>().ok()?.checked_sub(base)?, count: None }),
        }
    }

    /// First register or bit, and number of elements.
    pub(super) fn apply(
        self,
        start: u32,
        area: Area,
        data_type: DataType,
        elements: Option<u16>,
        at: Range<usize>,
    ) -> Result<(u32, Option<u16>), AddressError> {
        if elements.is_some() {
            return Err(AddressError::new(at, "the elements are given twice, before the type and behind it"));
        }
        if self.count.is_none() && at.start == 0 {
            // No type is written: releases of PLC4X differ in what this means.
            let message = "in older releases of PLC4X this is an array of so many elements, in newer ones the element of \
                           this index: write the type behind it for the element, or hr:OFFSET:INT[n] for the array";
            return Err(AddressError::new(at, message));
        }
        let width = if area.is_bits() { 1 } else { Field::in_registers(data_type).units().max(1) as u32 };
        let start = self.from.checked_mul(width).and_then(|from| from.checked_add(start));
        let start = start.ok_or_else(|| AddressError::new(at.clone(), "the element lies beyond the last address"))?;
        let count =
            self.count.map(|count| u16::try_from(count).ok().filter(|count| *count <= ELEMENTS_MAX).ok_or(count));
        let count =
            count.transpose().map_err(|count| AddressError::new(at, format!("{count} elements are too many")))?;
        Ok((start, count))
    }
}
