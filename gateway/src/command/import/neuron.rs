//! EMQX Neuron and NeuronEX: `nodes`, and the groups and tags either beside them or within each.

use driver_core::Order;

use super::found::{Device, Found, MODBUS_NOWHERE, OPCUA_NOWHERE, S7_NOWHERE, Tag};
use super::modbus::{Area, Place, Serial};
use super::part::Part;
use super::s7;

/// What a node speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    ModbusTcp,
    ModbusRtu,
    S7,
    OpcUa,
}

/// The types by their numbers (Neuron's API, data types), from 1.
const TYPES: [&str; 18] = [
    "SINT", "USINT", "INT", "UINT", "DINT", "UDINT", "LINT", "ULINT", "REAL", "LREAL", "BOOL", "BOOL", "STRING",
    "BYTES", "ERROR", "WORD", "DWORD", "LWORD",
];

/// Orders of a node's parameter `endianess`, from 1.
const NODE_ORDERS: [Order; 4] = [Order::Abcd, Order::Badc, Order::Dcba, Order::Cdab];

/// Reads an export of the whole, or of drivers.
pub(super) fn read(root: &Part<'_>) -> Result<Found, String> {
    let mut found = Found::default();
    for node in root.list("nodes") {
        take_node(root, &node, &mut found);
    }
    Ok(found)
}

fn take_node(root: &Part<'_>, part: &Part<'_>, found: &mut Found) {
    let name = part.text("name").unwrap_or_default();
    let plugin = part.text("plugin").unwrap_or_default();
    let (protocol, stand_in) = match plugin.as_str() {
        "Modbus TCP" | "Modbus TCP QH" | "Modbus TCP community" => (Protocol::ModbusTcp, MODBUS_NOWHERE),
        "Modbus RTU" => (Protocol::ModbusRtu, MODBUS_NOWHERE),
        "Siemens S7 ISOTCP" | "Siemens S7 ISOTCP for 300/400" => (Protocol::S7, S7_NOWHERE),
        "OPC UA" => (Protocol::OpcUa, OPCUA_NOWHERE),
        "MQTT" | "eKuiper" | "Sparkplug B" | "SparkPlugB" | "WebSocket" | "DataStorage" => {
            let message =
                format!("`{name}` ({plugin}) is a destination: write it under `uplinks`, see `forebay sample mqtt`");
            found.left(part.place.clone(), message);
            return;
        }
        _ => {
            found.left(part.place.clone(), format!("`{name}`: there is no driver for `{plugin}` here"));
            return;
        }
    };
    let mut device = Device::new(name.clone(), stand_in, part.place.clone());
    let settings = settings(root, part, &name);
    set_url(&mut device, protocol, settings.as_ref(), found);
    let mut node = Node { protocol, settings, device, units: Vec::new() };
    for (every_ms, tags) in groups(root, part, &name) {
        tags.iter().for_each(|tag| node.take_tag(tag, every_ms, found));
    }
    let Node { device, units, .. } = node;
    if units.is_empty() || !device.tags.is_empty() {
        found.devices.push(device);
    }
    let several = units.len() > 1;
    for (unit, mut of_unit) in units {
        if several {
            of_unit.name = format!("{}_{unit}", of_unit.name);
        }
        found.devices.push(of_unit);
    }
}

/// `params` of the node, or of the entry of `settings` that names it.
fn settings<'v>(root: &Part<'v>, node: &Part<'v>, name: &str) -> Option<Part<'v>> {
    let beside = || root.list("settings").into_iter().find(|part| part.text("node").as_deref() == Some(name));
    node.get("params").or_else(|| beside()?.get("params"))
}

/// The interval and tags of each group of a node.
fn groups<'v>(root: &Part<'v>, node: &Part<'v>, name: &str) -> Vec<(Option<u64>, Vec<Part<'v>>)> {
    let own = node.list("groups");
    if !own.is_empty() {
        return own.iter().map(|group| (group.integer("interval"), group.list("tags"))).collect();
    }
    let is_ours = |part: &Part<'_>| part.text("driver").or_else(|| part.text("node")).as_deref() == Some(name);
    let word = |part: &Part<'_>| part.text("group").or_else(|| part.text("name"));
    let intervals: Vec<(Option<String>, Option<u64>)> = root
        .list("groups")
        .iter()
        .filter(|group| is_ours(group))
        .map(|group| (word(group), group.integer("interval")))
        .collect();
    let of_group = |entry: &Part<'_>| {
        let named = word(entry);
        intervals.iter().find(|(group, _)| *group == named).and_then(|(_, interval)| *interval)
    };
    root.list("tags").iter().filter(|entry| is_ours(entry)).map(|entry| (of_group(entry), entry.list("tags"))).collect()
}

fn set_url(device: &mut Device, protocol: Protocol, settings: Option<&Part<'_>>, found: &mut Found) {
    let Some(settings) = settings else { return };
    device.timeout_ms = settings.integer("timeout");
    let host = settings.text("host").or_else(|| settings.text("ip"));
    let port = |usual: u64| settings.integer("port").filter(|port| *port != usual);
    let port = |usual| port(usual).map(|port| format!(":{port}")).unwrap_or_default();
    match protocol {
        Protocol::ModbusTcp => {
            device.url = host.map(|host| format!("modbus-tcp://{host}{}", port(502)));
            if settings.integer("connection_mode") == Some(1) {
                found.left(device.place.clone(), "there the device called; here the gateway always calls the device");
            }
        }
        Protocol::ModbusRtu if settings.integer("link") == Some(1) => {
            device.url = host.map(|host| format!("modbus-rtu-over-tcp://{host}{}", port(0)));
        }
        Protocol::ModbusRtu => {
            let parity = settings.integer("parity").map(|parity| match parity {
                1 => "odd".to_owned(),
                2 => "even".into(),
                _ => "none".into(),
            });
            let serial = Serial { parity, ..Serial::default() };
            let path = settings.text("device").unwrap_or_else(|| "/dev/ttyUSB0".into());
            device.url = Some(serial.url("modbus-rtu", &path));
            let message = "speed, data bits and stop bits are numbers of a list there: look at them in its page, and write them in the URL";
            found.look(device.place.clone(), message);
        }
        Protocol::S7 => {
            let (rack, slot) = (settings.text("rack"), settings.text("slot"));
            device.url = host.map(|host| s7::url(&format!("{host}{}", port(102)), rack, slot));
        }
        Protocol::OpcUa => {
            device.url = settings.text("url");
            if settings.text("username").is_some() || settings.text("password").is_some() {
                found.left(device.place.clone(), "user and password are not copied");
            }
        }
    }
}

/// A node while its tags are taken.
struct Node<'v> {
    protocol: Protocol,
    settings: Option<Part<'v>>,
    /// Has the tags that name no unit.
    device: Device,
    /// By unit, in the order in which tags name them.
    units: Vec<(u16, Device)>,
}

impl Node<'_> {
    fn take_tag(&mut self, tag: &Part<'_>, every_ms: Option<u64>, found: &mut Found) {
        let name = tag.text("name").unwrap_or_default();
        let Some(address) = tag.text("address") else {
            found.left(tag.place.clone(), format!("`{name}` has no address"));
            return;
        };
        match self.address(&address, tag, found) {
            Ok((unit, addresses)) => self.put(
                unit,
                Tag {
                    name,
                    addresses,
                    every_ms,
                    scale: tag.number("decimal").filter(|decimal| *decimal != 0.0 && *decimal != 1.0),
                    offset: tag.number("bias").filter(|bias| *bias != 0.0),
                    unit: tag.text("unit"),
                    comment: tag.text("description"),
                    place: tag.place.clone(),
                },
            ),
            Err(cause) => found.left(tag.place.clone(), format!("`{name}` ({address}): {cause}")),
        }
    }

    /// The unit, if the address names one, and ways to write the address in our notation.
    fn address(&self, address: &str, tag: &Part<'_>, found: &mut Found) -> Result<(Option<u16>, Vec<String>), String> {
        let number = tag.integer("type").and_then(|number| usize::try_from(number).ok()).unwrap_or_default();
        let data_type = number.checked_sub(1).and_then(|index| TYPES.get(index)).copied().unwrap_or_default();
        match self.protocol {
            Protocol::ModbusTcp | Protocol::ModbusRtu => modbus(address, data_type, self.settings.as_ref(), tag, found),
            Protocol::S7 => s7_addresses(address, data_type).map(|addresses| (None, addresses)),
            Protocol::OpcUa => opcua(address).map(|addresses| (None, addresses)),
        }
    }

    fn put(&mut self, unit: Option<u16>, tag: Tag) {
        let Some(unit) = unit else { return self.device.tags.push(tag) };
        match self.units.iter_mut().find(|(known, _)| *known == unit) {
            Some((_, device)) => device.tags.push(tag),
            None => {
                self.units.push((unit, Device { unit: Some(unit), tags: vec![tag], ..self.device.clone() }));
            }
        }
    }
}

/// `UNIT!ADDRESS[.BIT][#ORDER][.LENGTH[H|L]]`: the unit, and the address in our notation.
fn modbus(
    text: &str,
    data_type: &str,
    settings: Option<&Part<'_>>,
    tag: &Part<'_>,
    found: &mut Found,
) -> Result<(Option<u16>, Vec<String>), String> {
    let (unit, rest) = text.split_once('!').ok_or("the unit is missing before `!`")?;
    let unit = unit.trim().parse().map_err(|_| format!("`{unit}` is no unit"))?;
    let (rest, letters) = match rest.split_once('#') {
        Some((rest, behind)) => {
            let (letters, length) = behind.split_once('.').unwrap_or((behind, ""));
            (if length.is_empty() { rest.to_owned() } else { format!("{rest}.{length}") }, Some(letters))
        }
        None => (rest.to_owned(), None),
    };
    let (number, behind) =
        rest.split_once('.').map_or((rest.as_str(), None), |(number, behind)| (number, Some(behind)));
    let area = number.chars().next().and_then(Area::digit).ok_or("it begins with no table's digit")?;
    let counted: u64 = number.get(1..).and_then(|digits| digits.parse().ok()).ok_or("its number is missing")?;
    let base = settings.and_then(|settings| settings.integer("address_base")).unwrap_or(1);
    let offset = counted.checked_sub(base).ok_or("its number lies before the first one")?;
    let mut place = Place::new(area, offset);
    match (data_type, behind) {
        ("STRING", Some(length)) => {
            let bytes = length.trim_end_matches(['H', 'L', 'D', 'E']);
            if length.ends_with(['D', 'E']) {
                return Err("a string with one character a register has no counterpart here".into());
            }
            place.data_type =
                format!("STRING({})", bytes.parse::<u16>().map_err(|_| "the length of the string is missing")?);
            place.order = if length.ends_with('L') { Order::Badc } else { Order::Abcd };
        }
        ("STRING", None) => return Err("the length of the string is missing".into()),
        ("BOOL", bit) if !area.is_bits() => {
            place.bit = Some(bit.unwrap_or("0").parse().ok().filter(|bit| *bit < 16).ok_or("a register has 16 bits")?);
        }
        ("BYTES" | "ERROR" | "", _) => return Err("its type has no counterpart here".into()),
        (data_type, _) => {
            place.data_type = data_type.into();
            place.order = order(letters, data_type, settings)?;
        }
    }
    if matches!(letters, Some("BB" | "BL")) {
        let message = "#BB and #BL changed places between releases of Neuron: taken as its newest documentation has them; `forebay probe` shows whether that is right";
        found.look(tag.place.clone(), message);
    }
    Ok((Some(unit), vec![place.address()]))
}

/// The letters of the tag before those of the node (Neuron's documentation, Modbus TCP, byte order).
fn order(letters: Option<&str>, data_type: &str, settings: Option<&Part<'_>>) -> Result<Order, String> {
    match letters {
        Some("L" | "LL") => Ok(Order::Abcd),
        Some("B") => Ok(Order::Badc),
        Some("LB") => Ok(Order::Badc),
        Some("BL") => Ok(Order::Cdab),
        Some("BB") => Ok(Order::Dcba),
        Some(other) => Err(format!("the byte order `#{other}` has no counterpart here")),
        None => {
            let key = match data_type {
                "LINT" | "ULINT" | "LREAL" | "LWORD" => "endianess_64",
                "DINT" | "UDINT" | "REAL" | "DWORD" => "endianess",
                _ => return Ok(Order::Abcd),
            };
            let number = settings.and_then(|settings| settings.integer(key)).unwrap_or(1);
            let index = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
            let order = index.and_then(|index| NODE_ORDERS.get(index)).copied();
            order.ok_or_else(|| format!("the byte order {number} of the node has no counterpart here"))
        }
    }
}

fn s7_addresses(text: &str, data_type: &str) -> Result<Vec<String>, String> {
    let bare = text.split('#').next().unwrap_or_default().trim().to_owned();
    match data_type {
        "STRING" => {
            let (place, length) = bare.rsplit_once('.').ok_or("the length of the string is missing")?;
            Ok(vec![format!("{}:STRING({length})", place.replace("DBW", "DBB"))])
        }
        "BYTES" | "ERROR" | "" => Err("its type has no counterpart here".into()),
        "BOOL" => Ok(vec![bare]),
        data_type => Ok(vec![format!("{}:{data_type}", widened(&bare, data_type)), bare]),
    }
}

/// `DB1.DBW4` with a type of 32 or 64 bits: the width is the type's.
fn widened(place: &str, data_type: &str) -> String {
    match data_type {
        "DINT" | "UDINT" | "REAL" | "DWORD" => place.replace("DBW", "DBD"),
        "LINT" | "ULINT" | "LREAL" | "LWORD" => place.replace("DBW", "DBB"),
        "SINT" | "USINT" => place.replace("DBW", "DBB"),
        _ => place.to_owned(),
    }
}

/// `NAMESPACE!IDENTIFIER`.
fn opcua(text: &str) -> Result<Vec<String>, String> {
    let (namespace, identifier) = text.split_once('!').ok_or("the namespace is missing before `!`")?;
    let is_guid = identifier.len() == 36 && identifier.bytes().filter(|byte| *byte == b'-').count() == 4;
    let kind = match identifier {
        _ if identifier.bytes().all(|byte| byte.is_ascii_digit()) => "i",
        _ if is_guid => "g",
        _ => "s",
    };
    Ok(vec![format!("ns={namespace};{kind}={identifier}"), text.to_owned()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str, data_type: &str) -> String {
        let tag = serde_json::json!({});
        match modbus(text, data_type, None, &Part::root(&tag), &mut Found::default()) {
            Ok((unit, addresses)) => format!("{}!{}", unit.unwrap_or_default(), addresses[0]),
            Err(cause) => cause,
        }
    }

    #[test]
    fn modbus_addresses() {
        for (text, data_type, expected) in [
            ("1!400001", "INT", "1!hr:0:INT"),
            ("2!300011", "REAL", "2!ir:10:REAL"),
            ("1!400001#BL", "REAL", "1!hr:0:REAL@CDAB"),
            ("1!400001#BB", "DINT", "1!hr:0:DINT@DCBA"),
            ("1!400001#B", "UINT", "1!hr:0:UINT@BADC"),
            ("1!400010.4", "BOOL", "1!hr:9.4"),
            ("1!000005", "BOOL", "1!co:4"),
            ("1!400020.16H", "STRING", "1!hr:19:STRING(16)"),
            ("1!400020.16L", "STRING", "1!hr:19:STRING(16)@BADC"),
        ] {
            assert_eq!(address(text, data_type), expected, "{text}");
        }
        assert!(address("400001", "INT").contains("unit is missing"));
        assert!(address("1!400020.16D", "STRING").contains("one character a register"));
    }

    #[test]
    fn nodes_of_opc_ua() {
        assert_eq!(opcua("2!Tank.Level").expect("a node")[0], "ns=2;s=Tank.Level");
        assert_eq!(opcua("0!2258").expect("a node")[0], "ns=0;i=2258");
    }

    #[test]
    fn places_of_s7_have_the_width_of_their_type() {
        assert_eq!(s7_addresses("DB1.DBW4", "REAL").expect("a place")[0], "DB1.DBD4:REAL");
        assert_eq!(s7_addresses("DB1.DBW10.20", "STRING").expect("a place")[0], "DB1.DBB10:STRING(20)");
    }
}
