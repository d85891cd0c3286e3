//! Modbus addresses: text to typed address and back.
//!
//! ```text
//! [unit!] area:offset [.bit] [:type] [@order]      hr:100:REAL@CDAB  ir:7  co:5  di:0:BOOL[8]  hr:50.3  xr:10005:DINT
//! ```
//! The canonical offset is the wire's own, from 0. Forms that are written elsewhere count from 1 and are accepted as they
//! stand: Modicon's `40101`, Neuron's `1!400101`, PLC4X's `holding-register:101`. Whatever was written, an address prints in
//! canonical form and parses back to itself.

mod foreign;

use std::fmt;
use std::ops::Range;

use driver_core::{AddressError, AddressParts, DataType, Field, Layout, Order, Typed, nearest};

use crate::wire::Table;

/// Records of one file of extended registers (Application Protocol, 6.14); registers are numbered through all files.
pub const FILE_RECORDS: u32 = 10_000;
/// The first file of the extended registers.
const FILE_FIRST: u16 = 1;
/// The last extended register: files are numbered with 16 bits.
const EXTENDED_MAX: u32 = 0xFFFF * FILE_RECORDS - 1;

/// What holds the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Area {
    /// One of the four tables.
    Table(Table),
    /// Extended registers: file records, numbered through all files from file 1, record 0.
    Extended,
}

/// A Modbus address, understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address {
    /// The unit, where the address names one.
    pub unit: Option<u8>,
    /// What holds the value.
    pub area: Area,
    /// First register or bit, from 0.
    pub start: u32,
    /// The type of the value, or of each element.
    pub data_type: DataType,
    /// How many elements, where it is an array.
    pub elements: Option<u16>,
    /// Of a BOOL in a register: its bit, 0 being the least significant.
    pub bit: u8,
    /// The byte order, where the address names one.
    pub order: Option<Order>,
}

impl Area {
    /// The canonical name.
    pub fn name(self) -> &'static str {
        match self {
            Area::Table(Table::HoldingRegisters) => "hr",
            Area::Table(Table::InputRegisters) => "ir",
            Area::Table(Table::Coils) => "co",
            Area::Table(Table::DiscreteInputs) => "di",
            Area::Extended => "xr",
        }
    }

    /// Whether its items are single bits.
    pub fn is_bits(self) -> bool {
        matches!(self, Area::Table(table) if table.is_bits())
    }

    /// Whether Modbus can write it.
    pub fn is_writable(self) -> bool {
        !matches!(self, Area::Table(Table::InputRegisters | Table::DiscreteInputs))
    }

    /// The leading digit of Modicon's notation.
    fn digit(self) -> char {
        match self {
            Area::Table(Table::Coils) => '0',
            Area::Table(Table::DiscreteInputs) => '1',
            Area::Table(Table::InputRegisters) => '3',
            Area::Table(Table::HoldingRegisters) => '4',
            Area::Extended => '6',
        }
    }

    fn from_digit(digit: char) -> Option<Area> {
        AREAS.into_iter().find(|area| area.digit() == digit)
    }

    /// What Modicon's notation and those that follow it count from.
    fn base(self) -> u32 {
        if self == Area::Extended { 0 } else { 1 }
    }

    fn last(self) -> u32 {
        if self == Area::Extended { EXTENDED_MAX } else { 0xFFFF }
    }
}

const AREAS: [Area; 5] = [
    Area::Table(Table::HoldingRegisters),
    Area::Table(Table::InputRegisters),
    Area::Table(Table::Coils),
    Area::Table(Table::DiscreteInputs),
    Area::Extended,
];

impl Address {
    /// Understands an address.
    ///
    /// # Errors
    /// What is wrong, where, and what to write instead.
    pub fn parse(text: &str) -> Result<Address, AddressError> {
        let (body, suffix) = foreign::split_config(text)?;
        let (unit, location_at) = split_unit(body)?;
        // A number, not a type, must follow the area: the common grammar begins behind it.
        let from = area_end(body, location_at);
        let parts = AddressParts::parse(&body[from..]).map_err(|error| shifted(error, from))?;
        let typed = parts.typed.map(|typed| Typed { range: typed.range.start + from..typed.range.end + from, ..typed });
        let place = Place::parse(&body[..from + parts.location.len()], location_at)?;
        let address = place.with_type(typed, text)?;
        let address = Address {
            unit: both(unit, suffix.unit, "the unit", text)?,
            order: both(parts.order, suffix.order, "the byte order", text)?,
            ..address
        };
        address.check(text)?;
        Ok(address)
    }

    /// How the value lies in the bytes of an answer, with the device's order where the address names none.
    pub fn field(&self, order: Order) -> Field {
        let layout = if self.area.is_bits() { Layout::Bits } else { Layout::Registers };
        Field {
            data_type: self.data_type,
            order: self.order.unwrap_or(order),
            layout,
            elements: self.elements,
            bit: self.bit,
        }
    }

    /// How many registers or bits it fills.
    pub fn units(&self) -> u32 {
        u32::try_from(self.field(Order::Abcd).units()).unwrap_or(u32::MAX)
    }

    /// The wire's offset and Modicon's number side by side, such as `offset 100 = 40101`.
    pub fn also(&self) -> String {
        let (digit, number) = (self.area.digit(), self.start + self.area.base());
        let modicon = if number <= 9_999 { format!("{digit}{number:04}") } else { format!("{digit}{number:05}") };
        match self.area {
            Area::Extended => {
                let (file, record) = file_record(self.start);
                format!("file {file} record {record} = {modicon}")
            }
            Area::Table(_) => format!("offset {} = {modicon}", self.start),
        }
    }

    fn check(&self, text: &str) -> Result<(), AddressError> {
        let whole = || 0..text.len();
        if self.area.is_bits() && self.data_type != DataType::Bool {
            let message =
                format!("coils and discrete inputs hold BOOL, not {}; registers are hr: and ir:", self.data_type);
            return Err(AddressError::new(whole(), message));
        }
        if !self.field(Order::Abcd).is_known() {
            return Err(AddressError::new(
                whole(),
                format!("{} is Siemens' own type; Modbus has no such", self.data_type),
            ));
        }
        let last = u64::from(self.start) + u64::from(self.units()) - 1;
        if last > u64::from(self.area.last()) {
            let message = format!("it reaches to offset {last}; the last one is {}", self.area.last());
            return Err(AddressError::new(whole(), message));
        }
        if self.area == Area::Extended && file_record(self.start).0 != file_record(last as u32).0 {
            return Err(AddressError::new(whole(), "the value reaches into the next file; files have 10000 registers"));
        }
        Ok(())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(unit) = self.unit {
            write!(f, "{unit}!")?;
        }
        write!(f, "{}:{}", self.area.name(), self.start)?;
        if self.data_type == DataType::Bool && !self.area.is_bits() {
            write!(f, ".{}", self.bit)?;
        }
        match (self.data_type, self.elements) {
            (DataType::Bool, None) => {}
            (data_type, None) => write!(f, ":{data_type}")?,
            (data_type, Some(count)) => write!(f, ":{data_type}[{count}]")?,
        }
        self.order.map_or(Ok(()), |order| write!(f, "@{order}"))
    }
}

/// File and record of an extended register.
pub fn file_record(start: u32) -> (u16, u16) {
    let file = u16::try_from(start / FILE_RECORDS).unwrap_or(u16::MAX).saturating_add(FILE_FIRST);
    (file, (start % FILE_RECORDS) as u16)
}

/// Where a value lies, before its type is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    area: Area,
    start: u32,
    bit: Option<u8>,
    /// PLC4X's selection between number and type.
    selection: Option<foreign::Selection>,
}

impl Place {
    /// Understands what stands from `at` in `location`.
    fn parse(location: &str, at: usize) -> Result<Place, AddressError> {
        let text = &location[at..];
        let Some((name, after)) = text.split_once(':') else { return foreign::place(location, at) };
        let Some(area) = AREAS.into_iter().find(|area| area.name().eq_ignore_ascii_case(name)) else {
            return foreign::named_place(location, at, name);
        };
        let from = location.len() - after.len();
        let (number, bit) = split_bit(location, from..location.len(), area)?;
        let start = offset(location, number, area, 0)?;
        Ok(Place { area, start, bit, selection: None })
    }

    fn with_type(self, typed: Option<Typed>, text: &str) -> Result<Address, AddressError> {
        let whole = 0..text.len();
        let default = if self.bit.is_some() || self.area.is_bits() { DataType::Bool } else { DataType::Int };
        let (data_type, mut elements, at) = match typed {
            Some(typed) => (typed.data_type, typed.elements, typed.range),
            None => (default, None, whole),
        };
        if self.bit.is_some() && data_type != DataType::Bool {
            return Err(AddressError::new(at, format!("a bit of a register is BOOL, not {data_type}")));
        }
        let mut start = self.start;
        if let Some(selection) = self.selection {
            (start, elements) = selection.apply(start, self.area, data_type, elements, at)?;
        }
        let bit = self.bit.unwrap_or(0);
        Ok(Address { unit: None, area: self.area, start, data_type, elements, bit, order: None })
    }
}

/// `unit!` before the location; returns where the location begins.
fn split_unit(text: &str) -> Result<(Option<u8>, usize), AddressError> {
    let Some(at) = text.find('!') else { return Ok((None, 0)) };
    match text[..at].parse() {
        Ok(unit) => Ok((Some(unit), at + 1)),
        Err(_) => Err(AddressError::new(0..at, "a unit is a number from 0 to 255, such as 1!hr:100")),
    }
}

/// Where the number begins: behind `area:`, where there is one.
fn area_end(text: &str, at: usize) -> usize {
    match text[at..].find(':') {
        Some(colon) if text[at..].starts_with(|first: char| first.is_ascii_alphabetic()) => at + colon + 1,
        _ => at,
    }
}

fn shifted(error: AddressError, by: usize) -> AddressError {
    AddressError { range: error.range.start + by..error.range.end + by, ..error }
}

/// `.bit` behind the number of a register.
fn split_bit(text: &str, range: Range<usize>, area: Area) -> Result<(Range<usize>, Option<u8>), AddressError> {
    let Some(dot) = text[range.clone()].find('.').map(|dot| range.start + dot) else { return Ok((range, None)) };
    let bit: Option<u8> = text[dot + 1..range.end].parse().ok().filter(|bit| *bit < 16);
    match bit {
        _ if area.is_bits() => {
            Err(AddressError::new(dot..range.end, "coils and discrete inputs are single bits already"))
        }
        Some(bit) => Ok((range.start..dot, Some(bit))),
        None => Err(AddressError::new(dot + 1..range.end, "a bit is a number from 0 (least significant) to 15")),
    }
}

/// The wire's offset of a number that counts from `base`.
fn offset(text: &str, range: Range<usize>, area: Area, base: u32) -> Result<u32, AddressError> {
    let digits = &text[range.clone()];
    let last = area.last() + base;
    let wrong = || AddressError::new(range.clone(), format!("`{digits}` is no number from {base} to {last}"));
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let number: u32 = digits.parse().map_err(|_| wrong())?;
    if (base..=last).contains(&number) { Ok(number - base) } else { Err(wrong()) }
}

fn both<T: PartialEq>(one: Option<T>, other: Option<T>, what: &str, text: &str) -> Result<Option<T>, AddressError> {
    match (one, other) {
        (Some(one), Some(other)) if one != other => {
            Err(AddressError::new(0..text.len(), format!("{what} is given twice, and differently")))
        }
        (one, other) => Ok(one.or(other)),
    }
}

fn unknown_area(text: &str, range: Range<usize>) -> AddressError {
    let names = AREAS.iter().map(|area| area.name()).chain(foreign::NAMES.iter().map(|(name, _)| *name));
    let near = match nearest(&text[range.clone()], names) {
        Some(name) => format!("; did you mean `{name}:`?"),
        None => String::new(),
    };
    AddressError::new(
        range,
        format!(
            "expected hr:, ir:, co:, di: or xr: and the offset from 0, such as hr:100:REAL, or Modicon's 40101{near}"
        ),
    )
}

#[cfg(test)]
mod tests;
