//! S7 addresses: text to typed address and back.
//!
//! ```text
//! DB1.DBD4:REAL   DB1.DBX2.1   DB2.DBB8:STRING(32)   MW10:INT   I0.0   Q4.2   T5   C7   PIW256:INT
//! area, width (X bit, B 1, W 2, D 4 bytes), byte [.bit] [:type [(n)] [[n]]] [@order]
//! ```
//! Forms that are written elsewhere are accepted as they stand: German mnemonics (`EW0`, `AW0`, `Z7`, `PEW256`), TIA
//! Portal's `%IW256:P`, PLC4X's `%DB1:4:REAL`, Telegraf's `DB1.R4`, Node-RED's `DB1,REAL4`, LOGO!'s `VW10`. Whatever was
//! written, an address prints in canonical form and parses back to itself.

mod foreign;
mod place;

use std::fmt;
use std::ops::Range;

use driver_core::{AddressError, AddressParts, DataType, Order};

use crate::form::Form;
use crate::wire::Area;
use crate::wire::item::BYTE_MAX;
use place::{Place, Width};

/// The length of a STRING or WSTRING where none is written, as TIA Portal means it.
const STRING_DEFAULT: u16 = 254;
/// The highest number of a timer or counter.
const ELEMENT_MAX: u32 = 0xFFFF;

/// An S7 address, understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address {
    /// Where it lies.
    pub area: Area,
    /// First byte; of timers and counters twice the number, for they have two bytes each.
    pub start: u32,
    /// The type of the value, or of each element.
    pub data_type: DataType,
    /// How many elements, where it is an array.
    pub elements: Option<u16>,
    /// Of a BOOL: its bit, 0 being the least significant.
    pub bit: u8,
    /// The byte order, where the address names one.
    pub order: Option<Order>,
}

impl Address {
    /// Understands an address.
    ///
    /// # Errors
    /// What is wrong, where, and what to write instead.
    pub fn parse(text: &str) -> Result<Address, AddressError> {
        if let Some(address) = foreign::proxy(text) {
            return address.and_then(|address| address.checked(text));
        }
        if let Some(error) = foreign::pointer(text) {
            return Err(error);
        }
        let (body, at_the_end) = split_peripheral(text);
        let parts = AddressParts::parse_with(body, Some(STRING_DEFAULT))?;
        let (location, before_the_type) = split_peripheral(parts.location);
        let place = Place::parse(location)?;
        let place = if at_the_end || before_the_type { place.peripheral(location)? } else { place };
        let address = place.with_type(parts.typed, location)?;
        let order = match (parts.order, address.order) {
            (Some(written), Some(meant)) if written != meant => {
                return Err(AddressError::new(0..text.len(), "the byte order is given twice, and differently"));
            }
            (written, meant) => written.or(meant),
        };
        Address { order, ..address }.checked(text)
    }

    /// How the value lies in bytes, with the device's order where the address names none.
    pub fn form(&self, order: Order) -> Form {
        if self.area == Area::Counters && self.data_type == DataType::Uint {
            return Form::counter(self.elements);
        }
        let order = if has_order(self.data_type) { self.order.unwrap_or(order) } else { Order::Abcd };
        Form::new(self.data_type, self.elements, self.bit, order)
    }

    /// How many bytes it fills.
    pub fn bytes(&self) -> u32 {
        u32::try_from(self.form(Order::Abcd).bytes()).unwrap_or(u32::MAX)
    }

    /// Whether the PLC can be asked for it.
    pub fn is_readable(&self) -> bool {
        self.area != Area::PeripheralOutputs
    }

    /// Whether it can be written.
    pub fn is_writable(&self) -> bool {
        self.area != Area::PeripheralInputs
    }

    /// Where it lies, and its German name where it has one, such as `bytes 64..66 = EW64`.
    pub fn also(&self) -> String {
        match self.area {
            Area::Timers => return format!("timer {}", self.start / 2),
            Area::Counters => return format!("counter {0} = Z{0}", self.start / 2),
            _ => {}
        }
        let end = self.start + self.bytes();
        let bytes =
            if end - self.start == 1 { format!("byte {}", self.start) } else { format!("bytes {}..{end}", self.start) };
        match (self.area, place::german(self.area)) {
            (Area::Block(number), _) => format!("{bytes} of data block {number}"),
            (_, Some(german)) => format!("{bytes} = {german}{}", self.after_area()),
            _ => bytes,
        }
    }

    /// Width, byte and bit, as they stand behind the area.
    fn after_area(&self) -> String {
        if self.area.is_elements() {
            return (self.start / 2).to_string();
        }
        match Width::of(self.data_type) {
            Width::Bit if matches!(self.area, Area::Block(_)) => format!("X{}.{}", self.start, self.bit),
            Width::Bit => format!("{}.{}", self.start, self.bit),
            width => format!("{}{}", width.letter(), self.start),
        }
    }

    fn checked(self, text: &str) -> Result<Address, AddressError> {
        let wrong = |message: String| Err(AddressError::new(0..text.len(), message));
        if self.order.is_some() && !has_order(self.data_type) {
            return wrong(format!("{} has no byte order of its own", self.data_type));
        }
        if let DataType::String(length) = self.data_type
            && length > crate::form::STRING_MAX
        {
            return wrong(format!("a STRING has up to {} characters; a WSTRING more", crate::form::STRING_MAX));
        }
        let (first, last) = (self.start, u64::from(self.start) + u64::from(self.bytes()) - 1);
        if self.area.is_elements() {
            return match self.data_type {
                _ if last / 2 > u64::from(ELEMENT_MAX) => {
                    wrong(format!("it reaches to number {}; the last one is {ELEMENT_MAX}", last / 2))
                }
                DataType::S5time if self.area == Area::Timers => Ok(self),
                DataType::Uint if self.area == Area::Counters => Ok(self),
                DataType::Word => Ok(self),
                other if self.area == Area::Timers => {
                    wrong(format!("a timer holds S5TIME (or WORD, its bytes), not {other}"))
                }
                other => wrong(format!("a counter holds UINT (or WORD, its bytes), not {other}")),
            };
        }
        if last > u64::from(BYTE_MAX) {
            return wrong(format!("it reaches from byte {first} to {last}; the last one is {BYTE_MAX}"));
        }
        Ok(self)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.area {
            Area::Block(number) => write!(f, "DB{number}.DB{}", self.after_area())?,
            area => write!(f, "{area}{}", self.after_area())?,
        }
        let is_plain = match self.area {
            Area::Timers => self.data_type == DataType::S5time,
            Area::Counters => self.data_type == DataType::Uint,
            _ => self.data_type == DataType::Bool,
        };
        match (self.data_type, self.elements) {
            (_, None) if is_plain => {}
            (data_type, None) => write!(f, ":{data_type}")?,
            (data_type, Some(count)) => write!(f, ":{data_type}[{count}]")?,
        }
        self.order.map_or(Ok(()), |order| write!(f, "@{order}"))
    }
}

/// Splits TIA Portal's `:P` off: the input or output itself, past the process image.
fn split_peripheral(text: &str) -> (&str, bool) {
    match text.len().checked_sub(2).and_then(|at| text.split_at_checked(at)) {
        Some((before, end)) if end.eq_ignore_ascii_case(":p") => (before, true),
        _ => (text, false),
    }
}

/// Whether a value of this type has bytes whose order can differ.
fn has_order(data_type: DataType) -> bool {
    use DataType::{Dint, Dword, Half, Int, Lint, Lreal, Ltime, Lword, Real, Time, Udint, Uint, Ulint, Word};
    matches!(
        data_type,
        Int | Uint | Word | Half | Dint | Udint | Dword | Real | Time | Lint | Ulint | Lword | Lreal | Ltime
    )
}

/// An error about a part of the address.
fn wrong<T>(range: Range<usize>, message: impl Into<String>) -> Result<T, AddressError> {
    Err(AddressError::new(range, message))
}

#[cfg(test)]
mod tests;
