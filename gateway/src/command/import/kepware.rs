//! KEPServerEX and Kepware Edge: a project as JSON, or the tags of one device as CSV.
//!
//! Property names as in the Configuration API. Of a Modbus device the defaults of the driver hold where the file says
//! nothing: addresses count from 1, the word of least significance comes first.

pub(super) mod csv;

mod address;

use super::found::{Device, Found, MODBUS_NOWHERE, OPCUA_NOWHERE, S7_NOWHERE, Tag, said};
use super::modbus::Serial;
use super::part::Part;
use address::{Orders, Protocol};

/// The type of a tag by the number of `servermain.TAG_DATA_TYPE`; an array's is greater by 20.
const TYPES: [&str; 15] = [
    "String", "Boolean", "Char", "Byte", "Short", "Word", "Long", "DWord", "Float", "Double", "BCD", "LBCD", "Date",
    "LLong", "QWord",
];
const ARRAY: i64 = 20;

const NAME: &str = "common.ALLTYPES_NAME";
const DESCRIPTION: &str = "common.ALLTYPES_DESCRIPTION";
const DRIVER: &str = "servermain.MULTIPLE_TYPES_DEVICE_DRIVER";

/// How deep groups of tags may nest.
const DEPTH_MAX: usize = 16;

/// Reads a project, a list of channels, or one channel.
pub(super) fn read(root: &Part<'_>) -> Result<Found, String> {
    let mut found = Found::default();
    let project = root.get("project").unwrap_or_else(|| root.clone());
    let mut channels = project.list("channels");
    if channels.is_empty() && root.get("devices").is_some() {
        channels.push(root.clone());
    }
    if channels.is_empty() {
        return Err("there is no list of `channels` in it".into());
    }
    for channel in channels {
        for device in channel.list("devices") {
            take_device(&channel, &device, &mut found);
        }
    }
    Ok(found)
}

fn take_device(channel: &Part<'_>, part: &Part<'_>, found: &mut Found) {
    let driver = part.text(DRIVER).or_else(|| channel.text(DRIVER)).unwrap_or_default();
    let names = [channel.text(NAME), part.text(NAME)];
    let name = names.into_iter().flatten().collect::<Vec<_>>().join(".");
    let Some(protocol) = Protocol::of(&driver) else {
        found.left(part.place.clone(), format!("`{name}`: there is no driver for `{driver}` here"));
        return;
    };
    let mut device = Device::new(name, protocol.stand_in(), part.place.clone());
    device.comment = part.text(DESCRIPTION);
    device.timeout_ms = part.integer("servermain.DEVICE_REQUEST_TIMEOUT_MILLISECONDS");
    if part.truth("servermain.DEVICE_DATA_COLLECTION") == Some(false) {
        found.look(part.place.clone(), format!("`{}` was switched off there, and is polled here", device.name));
    }
    match protocol {
        Protocol::ModbusTcp => modbus_tcp(&mut device, part),
        Protocol::ModbusSerial => modbus_serial(&mut device, channel, part, found),
        Protocol::S7 => s7(&mut device, part),
        Protocol::OpcUa => device.url = suffixed(channel, "SERVER_ENDPOINT_URL"),
    }
    let orders = Orders::of(part);
    if protocol.is_modbus() && !orders.counts_from_one {
        let message = "zero-based addressing is switched off there: numbers are taken as the wire's own; `forebay probe` shows whether that is right";
        found.look(part.place.clone(), message);
    }
    take_tags(part, "", protocol, &orders, &mut device, found, 0);
    found.devices.push(device);
}

/// `<10.1.2.3>.2`: host and unit.
fn modbus_tcp(device: &mut Device, part: &Part<'_>) {
    let id = part.text("servermain.DEVICE_ID_STRING").unwrap_or_default();
    let (host, unit) = match id.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
        Some((host, rest)) => (host.to_owned(), rest.trim_start_matches('.').parse().ok()),
        None => (id, None),
    };
    let port = suffixed(part, "DEVICE_ETHERNET_PORT_NUMBER").filter(|port| port != "502");
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    device.url = said(&host).map(|host| format!("modbus-tcp://{host}{port}"));
    device.unit = unit;
}

fn modbus_serial(device: &mut Device, channel: &Part<'_>, part: &Part<'_>, found: &mut Found) {
    let serial = |name: &str| channel.text(&format!("servermain.CHANNEL_SERIAL_COMMUNICATIONS_{name}"));
    let number = |name: &str| serial(name).and_then(|text| text.parse().ok());
    let line = Serial {
        baud: number("BAUD_RATE"),
        parity: serial("PARITY").map(|parity| match parity.as_str() {
            "1" => "odd".into(),
            "2" => "even".into(),
            _ => "none".to_owned(),
        }),
        data_bits: number("DATA_BITS"),
        stop_bits: number("STOP_BITS"),
    };
    device.url = Some(line.url("modbus-rtu", "/dev/ttyUSB0"));
    device.unit = part.text("servermain.DEVICE_ID_STRING").and_then(|id| id.parse().ok());
    let com = serial("COM_ID").unwrap_or_else(|| "?".into());
    found.look(
        device.place.clone(),
        format!("COM {com} is a port of another system: the URL names /dev/ttyUSB0, put in the right one"),
    );
}

fn s7(device: &mut Device, part: &Part<'_>) {
    let Some(host) = part.text("servermain.DEVICE_ID_STRING") else { return };
    let port = suffixed(part, "PORT_NUMBER").filter(|port| port != "102");
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    let option = |suffix: &str, name: &str| suffixed(part, suffix).map(|value| format!("{name}={value}"));
    let options: Vec<String> = [option("CPU_RACK", "rack"), option("CPU_SLOT", "slot")].into_iter().flatten().collect();
    let query = if options.is_empty() { String::new() } else { format!("?{}", options.join("&")) };
    device.url = Some(format!("s7://{host}{port}{query}"));
}

/// The text of the first property whose name ends so: what stands before it is the driver's name.
fn suffixed(part: &Part<'_>, suffix: &str) -> Option<String> {
    let key = part.map()?.keys().find(|key| key.ends_with(suffix))?;
    part.text(key)
}

fn take_tags(
    part: &Part<'_>,
    group: &str,
    protocol: Protocol,
    orders: &Orders,
    device: &mut Device,
    found: &mut Found,
    depth: usize,
) {
    for tag in part.list("tags") {
        let name = format!("{group}{}", tag.text(NAME).unwrap_or_default());
        let Some(address) = tag.text("servermain.TAG_ADDRESS") else {
            found.left(tag.place.clone(), format!("`{name}` has no address"));
            continue;
        };
        let number = tag.get("servermain.TAG_DATA_TYPE").and_then(|part| part.value.as_i64()).unwrap_or(-1);
        let kind = TYPES.get(usize::try_from(number % ARRAY).unwrap_or(usize::MAX)).copied().unwrap_or("Default");
        let addresses = match address::addresses(protocol, &address, kind, orders) {
            Ok(addresses) => addresses,
            Err(cause) => {
                found.left(tag.place.clone(), format!("`{name}` ({address}): {cause}"));
                continue;
            }
        };
        let (scale, offset) = scaling(&tag, &name, found);
        device.tags.push(Tag {
            name,
            addresses,
            every_ms: tag.integer("servermain.TAG_SCAN_RATE_MILLISECONDS"),
            scale,
            offset,
            unit: tag.text("servermain.TAG_SCALING_UNITS"),
            comment: tag.text(DESCRIPTION),
            place: tag.place,
        });
    }
    for inner in part.list("tag_groups").iter().filter(|_| depth < DEPTH_MAX) {
        let name = inner.text(NAME).unwrap_or_default();
        take_tags(inner, &format!("{group}{name}."), protocol, orders, device, found, depth + 1);
    }
}

fn scaling(tag: &Part<'_>, name: &str, found: &mut Found) -> (Option<f64>, Option<f64>) {
    let number = |key: &str| tag.number(&format!("servermain.TAG_SCALING_{key}"));
    match tag.integer("servermain.TAG_SCALING_TYPE") {
        None | Some(0) => (None, None),
        Some(1) => {
            for clamp in ["CLAMP_LOW", "CLAMP_HIGH"] {
                if tag.truth(&format!("servermain.TAG_SCALING_{clamp}")) == Some(true) {
                    found.left(tag.place.clone(), format!("`{name}`: values are not clamped here"));
                }
            }
            let scaled = linear(number("RAW_LOW"), number("RAW_HIGH"), number("SCALED_LOW"), number("SCALED_HIGH"));
            let sign = if tag.truth("servermain.TAG_SCALING_NEGATE_VALUE") == Some(true) { -1.0 } else { 1.0 };
            scaled.map_or((None, None), |(scale, offset)| (Some(scale * sign), Some(offset * sign)))
        }
        Some(_) => {
            found.left(
                tag.place.clone(),
                format!("`{name}`: square root scaling has no counterpart here; the raw value comes"),
            );
            (None, None)
        }
    }
}

/// Factor and offset of a line through two points.
fn linear(raw_low: Option<f64>, raw_high: Option<f64>, low: Option<f64>, high: Option<f64>) -> Option<(f64, f64)> {
    let (raw_low, raw_high, low, high) = (raw_low?, raw_high?, low?, high?);
    let scale = (high - low) / (raw_high - raw_low);
    (scale.is_finite() && scale != 0.0).then_some((scale, low - raw_low * scale))
}

impl Protocol {
    fn of(driver: &str) -> Option<Protocol> {
        match driver {
            "Modbus TCP/IP Ethernet" => Some(Protocol::ModbusTcp),
            "Modbus RTU Serial" => Some(Protocol::ModbusSerial),
            "Siemens TCP/IP Ethernet" => Some(Protocol::S7),
            "OPC UA Client" => Some(Protocol::OpcUa),
            _ => None,
        }
    }

    fn stand_in(self) -> &'static str {
        match self {
            Protocol::ModbusTcp | Protocol::ModbusSerial => MODBUS_NOWHERE,
            Protocol::S7 => S7_NOWHERE,
            Protocol::OpcUa => OPCUA_NOWHERE,
        }
    }

    fn is_modbus(self) -> bool {
        matches!(self, Protocol::ModbusTcp | Protocol::ModbusSerial)
    }
}

impl Orders {
    fn of(device: &Part<'_>) -> Orders {
        let truth = |suffix: &str| !matches!(suffixed(device, suffix).as_deref(), Some("false" | "0"));
        Orders {
            counts_from_one: truth("DEVICE_ZERO_BASED_ADDRESSING"),
            bits_from_zero: truth("DEVICE_ZERO_BASED_BIT_ADDRESSING"),
            bytes_in_order: truth("DEVICE_MODBUS_BYTE_ORDER"),
            low_word_first: truth("DEVICE_FIRST_WORD_LOW"),
            low_double_word_first: truth("DEVICE_FIRST_DWORD_LOW"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_through_two_points() {
        assert_eq!(linear(Some(0.0), Some(1000.0), Some(-50.0), Some(150.0)), Some((0.2, -50.0)));
        assert_eq!(linear(Some(1.0), Some(1.0), Some(0.0), Some(1.0)), None);
    }
}
