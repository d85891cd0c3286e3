//! What the sources share of Modbus: addresses and URLs of ours from areas, offsets, types and orders of theirs.

use driver_core::Order;

use super::found::{Device, Found};

/// One of the four tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Area {
    Coils,
    DiscreteInputs,
    InputRegisters,
    HoldingRegisters,
}

impl Area {
    /// Telegraf's and benthos-umh's word for it.
    pub(super) fn named(word: &str) -> Option<Area> {
        match word {
            "coil" => Some(Area::Coils),
            "discrete" => Some(Area::DiscreteInputs),
            "input" => Some(Area::InputRegisters),
            "holding" | "" => Some(Area::HoldingRegisters),
            _ => None,
        }
    }

    /// The area of Modicon's first digit.
    pub(super) fn digit(digit: char) -> Option<Area> {
        match digit {
            '0' => Some(Area::Coils),
            '1' => Some(Area::DiscreteInputs),
            '3' => Some(Area::InputRegisters),
            '4' => Some(Area::HoldingRegisters),
            _ => None,
        }
    }

    pub(super) fn is_bits(self) -> bool {
        matches!(self, Area::Coils | Area::DiscreteInputs)
    }

    fn name(self) -> &'static str {
        match self {
            Area::Coils => "co",
            Area::DiscreteInputs => "di",
            Area::InputRegisters => "ir",
            Area::HoldingRegisters => "hr",
        }
    }
}

/// A value in a register or in several; coils have no type and no order.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) area: Area,
    pub(super) offset: u64,
    pub(super) bit: Option<u64>,
    /// The IEC type, with a string's length, such as `STRING(16)`.
    pub(super) data_type: String,
    pub(super) elements: Option<u64>,
    pub(super) order: Order,
}

impl Place {
    pub(super) fn new(area: Area, offset: u64) -> Place {
        Place { area, offset, bit: None, data_type: String::new(), elements: None, order: Order::Abcd }
    }

    /// The address as our driver writes it.
    pub(super) fn address(&self) -> String {
        let mut text = format!("{}:{}", self.area.name(), self.offset);
        if !self.area.is_bits() {
            match self.bit {
                Some(bit) => text.push_str(&format!(".{bit}")),
                None => text.push_str(&format!(":{}", self.data_type)),
            }
        } else if self.elements.is_some() {
            text.push_str(":BOOL");
        }
        if let Some(elements) = self.elements {
            text.push_str(&format!("[{elements}]"));
        }
        let is_turned = self.order != Order::Abcd && self.bit.is_none() && !self.area.is_bits();
        // A single register has no words to swap.
        let is_word = matches!(self.data_type.as_str(), "INT" | "UINT" | "WORD" | "F16");
        if is_turned && !(is_word && self.order == Order::Cdab) {
            text.push_str(&format!("@{}", self.order));
        }
        text
    }
}

/// The IEC type of the names that Go programs use; a string needs its length in registers.
pub(super) fn go_type(name: &str, registers: Option<u64>) -> Result<String, String> {
    let iec = match name.to_ascii_uppercase().as_str() {
        "INT16" => "INT",
        "UINT16" => "UINT",
        "INT32" => "DINT",
        "UINT32" => "UDINT",
        "INT64" => "LINT",
        "UINT64" => "ULINT",
        "FLOAT16" | "FLOAT16-IEEE" => "F16",
        "FLOAT" | "FLOAT32" | "FLOAT32-IEEE" => "REAL",
        "DOUBLE" | "FLOAT64" | "FLOAT64-IEEE" => "LREAL",
        "INT8L" => "SINT",
        "UINT8L" => "USINT",
        "STRING" => {
            let registers = registers.filter(|count| *count > 0).ok_or("a string needs its length")?;
            return Ok(format!("STRING({})", registers * 2));
        }
        "INT8H" | "UINT8H" => {
            return Err("the high byte of a register has no type here; read it as BYTE of the word".into());
        }
        other => return Err(format!("the type `{other}` has no counterpart here")),
    };
    Ok(iec.into())
}

/// The order of one of the usual names.
pub(super) fn order(name: Option<&str>) -> Result<Order, String> {
    match name {
        None => Ok(Order::Abcd),
        Some(name) => Order::from_name(name).ok_or_else(|| format!("the byte order `{name}` has no counterpart here")),
    }
}

/// How a serial line is set, in the words of the source.
#[derive(Debug, Clone, Default)]
pub(super) struct Serial {
    pub(super) baud: Option<u64>,
    pub(super) parity: Option<String>,
    pub(super) data_bits: Option<u64>,
    pub(super) stop_bits: Option<u64>,
}

impl Serial {
    /// The URL of a port, with what differs from our defaults.
    pub(super) fn url(&self, scheme: &str, port: &str) -> String {
        let parity = match self.parity.as_deref().unwrap_or("none").to_ascii_lowercase().as_str() {
            "e" | "even" | "2" => "even",
            "o" | "odd" | "1" => "odd",
            _ => "none",
        };
        let mut url = format!("{scheme}://{port}?baud={}&parity={parity}", self.baud.unwrap_or(9_600));
        if let Some(bits) = self.data_bits.filter(|bits| *bits != 8) {
            url.push_str(&format!("&data_bits={bits}"));
        }
        if let Some(bits) = self.stop_bits.filter(|bits| *bits != 1) {
            url.push_str(&format!("&stop_bits={bits}"));
        }
        url
    }
}

/// Puts the URL of a controller as Telegraf and benthos-umh write it: `tcp://host:port`, `file:///dev/ttyUSB0`, `COM1`.
pub(super) fn set_controller(device: &mut Device, controller: &str, mode: &str, serial: &Serial, found: &mut Found) {
    let mode = mode.to_ascii_lowercase();
    if let Some(place) = controller.strip_prefix("tcp://") {
        let scheme = match mode.as_str() {
            "rtuovertcp" => "modbus-rtu-over-tcp",
            "asciiovertcp" => "modbus-ascii",
            _ => "modbus-tcp",
        };
        device.url = Some(format!("{scheme}://{place}"));
        return;
    }
    let scheme = if mode == "ascii" { "modbus-ascii" } else { "modbus-rtu" };
    match controller.strip_prefix("file://") {
        Some(port) => device.url = Some(serial.url(scheme, port)),
        None => {
            device.url = Some(serial.url(scheme, "/dev/ttyUSB0"));
            let message =
                format!("`{controller}` is a port of another system: the URL names /dev/ttyUSB0, put in the right one");
            found.look(device.place.clone(), message);
        }
    }
}
