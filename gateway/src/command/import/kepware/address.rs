//! Addresses of Kepware's drivers.
//!
//! ```text
//! Modbus   400001  40001  300010.3  400100 [4]  400200.20H      table, number; bit, elements, length of a string
//! Siemens  DB1,REAL4  DB1.DBW4  DB1.W4  MW10  IB0               as our driver takes them, without a type or with one
//! OPC UA   ns=2;s=Tank.Level                                    as it stands
//! ```

use driver_core::Order;

use crate::command::import::modbus::{Area, Place};

/// What a device speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    ModbusTcp,
    ModbusSerial,
    S7,
    OpcUa,
}

/// How a Modbus device counts and in which order it holds values.
#[derive(Debug, Clone, Copy)]
pub(super) struct Orders {
    pub(super) counts_from_one: bool,
    pub(super) bits_from_zero: bool,
    pub(super) bytes_in_order: bool,
    pub(super) low_word_first: bool,
    pub(super) low_double_word_first: bool,
}

impl Default for Orders {
    /// The defaults of the driver.
    fn default() -> Orders {
        Orders {
            counts_from_one: true,
            bits_from_zero: true,
            bytes_in_order: true,
            low_word_first: true,
            low_double_word_first: true,
        }
    }
}

/// Ways to write an address in our notation.
pub(super) fn addresses(protocol: Protocol, text: &str, kind: &str, orders: &Orders) -> Result<Vec<String>, String> {
    match protocol {
        Protocol::ModbusTcp | Protocol::ModbusSerial => modbus(text, kind, orders).map(|address| vec![address]),
        Protocol::S7 => {
            let text = text.replace(' ', "");
            let bare = with_width(text.split('@').next().unwrap_or_default());
            // A comma or a bit says the type already.
            let typed = iec(kind).filter(|_| !bare.contains(',')).map(|iec| format!("{bare}:{iec}"));
            Ok(typed.into_iter().chain([bare]).collect())
        }
        Protocol::OpcUa => Ok(vec![text.to_owned()]),
    }
}

/// `DB1.D0` is short for `DB1.DBD0`.
fn with_width(address: &str) -> String {
    let short = address.split_once('.').filter(|(block, place)| {
        let mut place = place.chars();
        let is_width = place.next().is_some_and(|width| "XBWD".contains(width.to_ascii_uppercase()));
        block.to_ascii_uppercase().starts_with("DB") && is_width && place.next().is_some_and(|c| c.is_ascii_digit())
    });
    short.map_or_else(|| address.to_owned(), |(block, place)| format!("{block}.DB{place}"))
}

/// The IEC type of one of Kepware's; none for those that say nothing here.
fn iec(kind: &str) -> Option<&'static str> {
    Some(match kind.trim_end_matches(" Array") {
        "Boolean" => "BOOL",
        "Char" => "SINT",
        "Byte" => "USINT",
        "Short" => "INT",
        "Word" => "UINT",
        "Long" => "DINT",
        "DWord" => "UDINT",
        "Float" => "REAL",
        "Double" => "LREAL",
        "LLong" => "LINT",
        "QWord" => "ULINT",
        _ => return None,
    })
}

fn modbus(text: &str, kind: &str, orders: &Orders) -> Result<String, String> {
    let (text, elements) = elements(text)?;
    let (number, behind) = text.split_once('.').map_or((text, None), |(number, behind)| (number, Some(behind)));
    let area = number.chars().next().and_then(Area::digit);
    let digits = number.get(1..).filter(|digits| (4..=5).contains(&digits.len()));
    let digits = digits.and_then(|digits| digits.parse::<u64>().ok());
    let (Some(area), Some(counted)) = (area, digits) else {
        return Err("it is no number of Modicon's notation, such as 400001".into());
    };
    let base = u64::from(orders.counts_from_one);
    let offset = counted.checked_sub(base).ok_or("numbers of Modicon's notation begin with 1")?;
    let mut place = Place { elements, ..Place::new(area, offset) };
    if area.is_bits() {
        return Ok(place.address());
    }
    if kind == "String" {
        let length = behind.map(|behind| behind.trim_end_matches(['H', 'L']));
        let length: u64 = length.and_then(|length| length.parse().ok()).ok_or("the length of the string is missing")?;
        place.data_type = format!("STRING({length})");
        place.order = if behind.is_some_and(|behind| behind.ends_with('L')) { Order::Badc } else { Order::Abcd };
        return Ok(place.address());
    }
    if let Some(bit) = behind {
        let bit: u64 = bit.parse().map_err(|_| format!("`.{bit}` is no bit"))?;
        let first = u64::from(!orders.bits_from_zero);
        place.bit = Some(bit.checked_sub(first).filter(|bit| *bit < 16).ok_or("a register has 16 bits")?);
        return Ok(place.address());
    }
    let iec = match kind.trim_end_matches(" Array") {
        "Default" => "UINT",
        "BCD" | "LBCD" => return Err("BCD has no type here; take WORD or DWORD".into()),
        kind => iec(kind).ok_or_else(|| format!("the type {kind} has no counterpart here"))?,
    };
    place.data_type = iec.into();
    place.order = order(iec, orders)?;
    Ok(place.address())
}

/// ` [4]` behind an address.
fn elements(text: &str) -> Result<(&str, Option<u64>), String> {
    let Some((text, elements)) = text.split_once('[') else { return Ok((text.trim(), None)) };
    if elements.contains("][") {
        return Err("an array has one dimension here".into());
    }
    match elements.trim_end().trim_end_matches(']').parse() {
        Ok(count) => Ok((text.trim(), Some(count))),
        Err(_) => Err(format!("`[{elements}` is no number of elements")),
    }
}

fn order(iec: &str, orders: &Orders) -> Result<Order, String> {
    let low_first = match iec {
        "LREAL" | "LINT" | "ULINT" if orders.low_word_first != orders.low_double_word_first => {
            return Err("words and double words are in different orders, which has no counterpart here".into());
        }
        "INT" | "UINT" | "SINT" | "USINT" => false,
        _ => orders.low_word_first,
    };
    Ok(match (low_first, orders.bytes_in_order) {
        (false, true) => Order::Abcd,
        (true, true) => Order::Cdab,
        (false, false) => Order::Badc,
        (true, false) => Order::Dcba,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str, kind: &str) -> String {
        modbus(text, kind, &Orders::default()).unwrap_or_else(|cause| cause)
    }

    #[test]
    fn modbus_addresses_by_the_defaults_of_the_driver() {
        for (text, kind, expected) in [
            ("400001", "Word", "hr:0:UINT"),
            ("40001", "Short", "hr:0:INT"),
            ("300010", "Float", "ir:9:REAL@CDAB"),
            ("000005", "Boolean", "co:4"),
            ("100005 [8]", "Boolean Array", "di:4:BOOL[8]"),
            ("400100.3", "Boolean", "hr:99.3"),
            ("400100 [4]", "Long Array", "hr:99:DINT[4]@CDAB"),
            ("400200.20H", "String", "hr:199:STRING(20)"),
            ("400001", "Default", "hr:0:UINT"),
        ] {
            assert_eq!(plain(text, kind), expected, "{text}");
        }
        assert!(plain("400001", "BCD").contains("BCD has no type"));
        assert!(plain("K0001", "Word").contains("no number of Modicon's"));
        assert!(plain("400000", "Word").contains("begin with 1"));
    }

    #[test]
    fn other_orders() {
        let from_zero = Orders { counts_from_one: false, low_word_first: false, ..Orders::default() };
        assert_eq!(modbus("400001", "Float", &from_zero), Ok("hr:1:REAL".into()));
        assert!(modbus("400001", "Double", &from_zero).is_err());
        let turned = Orders { bytes_in_order: false, ..Orders::default() };
        assert_eq!(modbus("400001", "Float", &turned), Ok("hr:0:REAL@DCBA".into()));
        assert_eq!(modbus("400001", "Word", &turned), Ok("hr:0:UINT@BADC".into()));
    }

    #[test]
    fn siemens_addresses_keep_a_type_that_they_have() {
        let of = |text, kind| addresses(Protocol::S7, text, kind, &Orders::default());
        assert_eq!(of("DB1,REAL4", "Float"), Ok(vec!["DB1,REAL4".into()]));
        assert_eq!(of("DB1.DBD4", "Float"), Ok(vec!["DB1.DBD4:REAL".into(), "DB1.DBD4".into()]));
        assert_eq!(of("DB1.D0", "DWord"), Ok(vec!["DB1.DBD0:UDINT".into(), "DB1.DBD0".into()]));
        assert_eq!(
            with_width("MD20") + &with_width("DB2.DBX0.1") + &with_width("DB2.X0.1"),
            "MD20DB2.DBX0.1DB2.DBX0.1"
        );
    }
}
