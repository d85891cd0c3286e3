//! UMH's benthos: its inputs `modbus`, `s7comm` and `opcua`, wherever they stand below `input`.

use std::collections::HashSet;

use super::found::{Device, Found, MODBUS_NOWHERE, OPCUA_NOWHERE, S7_NOWHERE, Tag};
use super::modbus::{Area, Place, Serial, go_type, order, set_controller};
use super::part::{Part, milliseconds};
use super::s7;

/// How deep inputs may nest.
const DEPTH_MAX: usize = 16;

const MODBUS_KEYS: &[&str] = &[
    "controller",
    "transmissionMode",
    "slaveIDs",
    "slaveID",
    "timeout",
    "timeBetweenReads",
    "byteOrder",
    "addresses",
    "addressesUnified",
    "unifiedAddresses",
    "optimization",
    "optimizationMaxRegisterFill",
];
const S7_KEYS: &[&str] = &["tcpDevice", "rack", "slot", "timeout", "addresses", "batchMaxSize", "disableCPUInfo"];
const OPCUA_KEYS: &[&str] = &["endpoint", "nodeIDs"];

/// Reads a configuration.
pub(super) fn read(root: &Part<'_>) -> Result<Found, String> {
    let mut found = Found::default();
    let input = root.get("input").unwrap_or_else(|| root.clone());
    take_input(&input, None, &mut found, 0);
    for key in ["pipeline", "buffer", "cache_resources", "rate_limit_resources"] {
        if root.get(key).is_some() {
            found.left(key, "readings are not rewritten here");
        }
    }
    if root.get("output").is_some() {
        found.left("output", "a destination is written under `uplinks`: `forebay sample mqtt`, `forebay sample kafka`");
    }
    if found.devices.is_empty() && found.notes.is_empty() {
        return Err("there is no input modbus, s7comm or opcua in it".into());
    }
    Ok(found)
}

fn take_input(input: &Part<'_>, label: Option<&str>, found: &mut Found, depth: usize) {
    let Some(map) = input.map().filter(|_| depth < DEPTH_MAX) else { return };
    let own = input.text("label");
    let label = own.as_deref().or(label);
    for key in map.keys() {
        let Some(part) = input.get(key) else { continue };
        match key.as_str() {
            "modbus" => modbus(&part, label, found),
            "s7comm" => s7comm(&part, label, found),
            "opcua" => opcua(&part, label, found),
            "broker" | "inputs" | "sequence" | "fallback" | "read_until" | "input" => {
                part.items().iter().for_each(|inner| take_input(inner, label, found, depth + 1));
            }
            "label" | "copies" | "batching" | "pipeline" | "output" | "logger" | "http" | "metrics" => {}
            "processors" => found.left(part.place, "readings are not rewritten here"),
            other => found.left(part.place, format!("there is no driver for the input `{other}` here")),
        }
    }
}

fn modbus(part: &Part<'_>, label: Option<&str>, found: &mut Found) {
    let mut device = Device::new(label.unwrap_or("modbus"), MODBUS_NOWHERE, part.place.clone());
    match part.text("controller") {
        Some(controller) => {
            let mode = part.text("transmissionMode").unwrap_or_default();
            set_controller(&mut device, &controller, &mode, &Serial::default(), found);
        }
        None => found.left(part.place.clone(), "the controller is missing"),
    }
    device.timeout_ms = part.text("timeout").and_then(|text| milliseconds(&text, 1_000.0));
    device.every_ms = part.text("timeBetweenReads").and_then(|text| milliseconds(&text, 1_000.0));
    part.rest(MODBUS_KEYS, found);
    let tags = modbus_tags(part, found);
    let units = modbus_units(part, &tags);
    let several = units.len() > 1;
    for unit in units {
        let name = if several { format!("{}_{unit}", device.name) } else { device.name.clone() };
        // A tag without a unit is read from each.
        let own = tags.iter().filter(|(of, _)| of.is_none_or(|of| of == unit)).map(|(_, tag)| tag.clone());
        found.devices.push(Device { name, unit: Some(unit), tags: own.collect(), ..device.clone() });
    }
}

/// Each tag, with its unit where it says one.
fn modbus_tags(part: &Part<'_>, found: &mut Found) -> Vec<(Option<u16>, Tag)> {
    let order = order(part.text("byteOrder").as_deref());
    let mut tags = Vec::new();
    let lists = ["addresses", "addressesUnified", "unifiedAddresses"];
    for field in lists.iter().flat_map(|key| part.list(key)) {
        let (name, item) = match field.as_text() {
            Some(text) => unified(&text),
            None => (field.text("name").unwrap_or_default(), item(&field)),
        };
        let address = item.and_then(|item| Ok((item.place(order.clone()?)?, item)));
        match address {
            Ok((place, item)) => {
                let scale = item.scale.filter(|scale| *scale != 0.0 && *scale != 1.0);
                let tag =
                    Tag { name, addresses: vec![place.address()], scale, place: field.place.clone(), ..Tag::default() };
                tags.push((item.unit, tag));
            }
            Err(cause) => found.left(field.place.clone(), format!("`{name}`: {cause}")),
        }
    }
    tags
}

/// All units that the input or one of its tags names.
fn modbus_units(part: &Part<'_>, tags: &[(Option<u16>, Tag)]) -> Vec<u16> {
    let mut units: Vec<u16> = part.list("slaveIDs").iter().filter_map(|unit| unit.as_text()?.parse().ok()).collect();
    units.extend(part.integer("slaveID").and_then(|unit| u16::try_from(unit).ok()));
    units.extend(tags.iter().filter_map(|(unit, _)| *unit));
    if units.is_empty() {
        units.push(1);
    }
    let mut named = HashSet::new();
    units.retain(|unit| named.insert(*unit));
    units
}

/// A value of a Modbus device in their words.
struct Item {
    register: String,
    address: u64,
    kind: String,
    length: Option<u64>,
    bit: u64,
    scale: Option<f64>,
    unit: Option<u16>,
}

fn item(field: &Part<'_>) -> Result<Item, String> {
    Ok(Item {
        register: field.text("register").unwrap_or_default(),
        address: field.integer("address").ok_or("its address is missing")?,
        kind: field.text("type").unwrap_or_default(),
        length: field.integer("length"),
        bit: field.integer("bit").unwrap_or(0),
        scale: field.number("scale"),
        unit: field.integer("slaveID").and_then(|unit| u16::try_from(unit).ok()),
    })
}

/// `name.register.address.type[:key=value]…`
fn unified(text: &str) -> (String, Result<Item, String>) {
    let mut parts = text.split(':');
    let mut words = parts.next().unwrap_or_default().split('.');
    let name = words.next().unwrap_or_default().to_owned();
    let (Some(register), Some(address), Some(kind), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return (name, Err("expected name.register.address.type".into()));
    };
    let options: Vec<(&str, &str)> = parts.filter_map(|option| option.split_once('=')).collect();
    let option = |key: &str| options.iter().find(|(known, _)| *known == key).map(|(_, value)| *value);
    let item = address.parse().map_err(|_| format!("`{address}` is no address")).map(|address| Item {
        register: register.into(),
        address,
        kind: kind.into(),
        length: option("length").and_then(|text| text.parse().ok()),
        bit: option("bit").and_then(|text| text.parse().ok()).unwrap_or(0),
        scale: option("scale").and_then(|text| text.parse().ok()),
        unit: option("slaveID").and_then(|text| text.parse().ok()).filter(|unit| *unit != 0),
    });
    (name, item)
}

impl Item {
    fn place(&self, order: driver_core::Order) -> Result<Place, String> {
        let register = &self.register;
        let area = Area::named(register).ok_or_else(|| format!("the register `{register}` has no counterpart here"))?;
        let mut place = Place { order, ..Place::new(area, self.address) };
        if area.is_bits() {
            return Ok(place);
        }
        match self.kind.as_str() {
            "BIT" => place.bit = Some(self.bit),
            kind => place.data_type = go_type(kind, self.length)?,
        }
        Ok(place)
    }
}

fn s7comm(part: &Part<'_>, label: Option<&str>, found: &mut Found) {
    let mut device = Device::new(label.unwrap_or("s7comm"), S7_NOWHERE, part.place.clone());
    device.url = part.text("tcpDevice").map(|host| s7::url(&host, part.text("rack"), part.text("slot")));
    device.timeout_ms = part.text("timeout").and_then(|text| milliseconds(&text, 1_000.0));
    part.rest(S7_KEYS, found);
    for address in part.list("addresses") {
        let Some(text) = address.as_text() else { continue };
        // Their tags have no names but the address.
        device.tags.push(Tag {
            name: text.clone(),
            addresses: vec![text],
            place: address.place.clone(),
            ..Tag::default()
        });
    }
    found.devices.push(device);
}

fn opcua(part: &Part<'_>, label: Option<&str>, found: &mut Found) {
    let mut device = Device::new(label.unwrap_or("opcua"), OPCUA_NOWHERE, part.place.clone());
    device.url = part.text("endpoint");
    part.rest(OPCUA_KEYS, found);
    found.look(
        part.place.clone(),
        "a folder in `nodeIDs` stands for all that is below it there; here each variable is named: `forebay browse URL --yaml` prints them, and `forebay check FILE --connect` shows which of these are no variables",
    );
    for node in part.list("nodeIDs") {
        let Some(id) = node.as_text() else { continue };
        let name = id.rsplit(['=', '.']).next().unwrap_or_default().to_owned();
        device.tags.push(Tag { name, addresses: vec![id], place: node.place.clone(), ..Tag::default() });
    }
    found.devices.push(device);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_that_the_input_and_a_tag_name_is_one_device() {
        let value = serde_json::json!({ "modbus": {
            "controller": "tcp://10.0.0.21:502",
            "slaveIDs": ["1", "2"],
            "addresses": [{ "name": "volts", "address": "0", "type": "INT16", "slaveID": "1" }],
        } });
        let found = read(&Part::root(&value)).expect("an input");
        let units: Vec<_> = found.devices.iter().map(|device| (device.unit, device.tags.len())).collect();
        assert_eq!(units, [(Some(1), 1), (Some(2), 0)]);
    }
}
