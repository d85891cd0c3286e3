//! Telegraf: its inputs for Modbus (all three styles), S7 and OPC UA.

use super::found::{Device, Found, MODBUS_NOWHERE, OPCUA_NOWHERE, S7_NOWHERE, Tag};
use super::modbus::{Area, Place, Serial, go_type, order, set_controller};
use super::part::{Part, milliseconds};
use super::s7;

/// How often Telegraf gathers where nothing is said.
const INTERVAL_MS: u64 = 10_000;

const MODBUS_KEYS: &[&str] = &[
    "name",
    "name_override",
    "alias",
    "slave_id",
    "timeout",
    "controller",
    "baud_rate",
    "data_bits",
    "parity",
    "stop_bits",
    "transmission_mode",
    "configuration_type",
    "discrete_inputs",
    "coils",
    "holding_registers",
    "input_registers",
    "request",
    "metric",
    "interval",
    "optimization",
    "optimization_max_register_fill",
    "debug_connection",
    "tags",
];
const S7_KEYS: &[&str] = &[
    "server",
    "rack",
    "slot",
    "timeout",
    "metric",
    "interval",
    "name_override",
    "alias",
    "debug_connection",
    "pdu_size",
    "connection_type",
    "tags",
];
const OPCUA_KEYS: &[&str] =
    &["name", "endpoint", "nodes", "group", "interval", "alias", "name_override", "client_trace"];

/// Reads a configuration.
pub(super) fn read(root: &Part<'_>) -> Result<Found, String> {
    let mut found = Found::default();
    let agent = root.get("agent").and_then(|agent| agent.text("interval"));
    let usual_ms = agent.and_then(|text| milliseconds(&text, 1_000.0)).unwrap_or(INTERVAL_MS);
    let inputs = root.get("inputs").ok_or("there are no `inputs` in it")?;
    for name in inputs.map().into_iter().flat_map(|map| map.keys()) {
        for part in inputs.list(name) {
            let every_ms = part.text("interval").and_then(|text| milliseconds(&text, 1_000.0)).unwrap_or(usual_ms);
            match name.as_str() {
                "modbus" => modbus(&part, every_ms, &mut found),
                "s7comm" => s7comm(&part, every_ms, &mut found),
                "opcua" | "opcua_listener" => opcua(&part, every_ms, &mut found),
                _ => found.left(part.place.clone(), format!("there is no driver for the input `{name}` here")),
            }
        }
    }
    for kind in ["outputs", "processors", "aggregators"] {
        let Some(part) = root.get(kind) else { continue };
        for name in part.map().into_iter().flat_map(|map| map.keys()) {
            let message = match kind {
                "outputs" => "a destination is written under `uplinks`: `forebay sample mqtt`, `forebay sample kafka`",
                _ => "readings are not rewritten here",
            };
            found.left(format!("{kind}.{name}"), message);
        }
    }
    Ok(found)
}

fn base(part: &Part<'_>, name: &str, stand_in: &'static str, every_ms: u64) -> Device {
    let own = ["alias", "name_override", "name"].iter().find_map(|key| part.text(key));
    let mut device = Device::new(own.unwrap_or_else(|| name.into()), stand_in, part.place.clone());
    device.every_ms = Some(every_ms);
    device.timeout_ms = part.text("timeout").and_then(|text| milliseconds(&text, 1_000.0));
    device
}

fn modbus(part: &Part<'_>, every_ms: u64, found: &mut Found) {
    let own = part.text("name").unwrap_or_else(|| "modbus".into());
    let mut device = base(part, &own, MODBUS_NOWHERE, every_ms);
    let serial = Serial {
        baud: part.integer("baud_rate"),
        parity: part.text("parity"),
        data_bits: part.integer("data_bits"),
        stop_bits: part.integer("stop_bits"),
    };
    let mode = part.text("transmission_mode").unwrap_or_default();
    match part.text("controller") {
        Some(controller) => set_controller(&mut device, &controller, &mode, &serial, found),
        None => found.left(part.place.clone(), "the controller is missing"),
    }
    part.rest(MODBUS_KEYS, found);
    let mut of_plugin = Device { unit: unit(part), ..device.clone() };
    for key in ["coils", "discrete_inputs", "input_registers", "holding_registers"] {
        for field in part.list(key) {
            take(field_of_register(&field, key), &field, &mut of_plugin, found);
        }
    }
    if !of_plugin.tags.is_empty() {
        found.devices.push(of_plugin);
    }
    for group in part.list("request").into_iter().chain(part.list("metric")) {
        let unit = unit(&group);
        let mut of_group = Device { unit, place: group.place.clone(), ..device.clone() };
        for field in group.list("fields") {
            if field.truth("omit") != Some(true) {
                take(field_of_group(&field, &group), &field, &mut of_group, found);
            }
        }
        group.rest(&["slave_id", "byte_order", "register", "fields", "measurement", "optimization", "tags"], found);
        if group.get("tags").is_some() {
            found.left(
                group.place.clone(),
                "tags of a measurement have no counterpart here: the device's name takes their place",
            );
        }
        let same = |known: &&mut Device| known.url == of_group.url && known.unit == unit && known.name == of_group.name;
        match found.devices.iter_mut().find(same) {
            Some(known) => known.tags.extend(of_group.tags),
            None => found.devices.push(of_group),
        }
    }
}

fn unit(part: &Part<'_>) -> Option<u16> {
    part.integer("slave_id").and_then(|unit| u16::try_from(unit).ok())
}

fn take(place: Result<Place, String>, field: &Part<'_>, device: &mut Device, found: &mut Found) {
    let name = field.text("name").unwrap_or_default();
    match place {
        Ok(place) => device.tags.push(Tag {
            name,
            addresses: vec![place.address()],
            scale: field.number("scale").filter(|scale| *scale != 1.0 && *scale != 0.0),
            place: field.place.clone(),
            ..Tag::default()
        }),
        Err(cause) => found.left(field.place.clone(), format!("`{name}`: {cause}")),
    }
}

/// A field of the first style: the list says the table, `address` names each register.
fn field_of_register(field: &Part<'_>, list: &str) -> Result<Place, String> {
    let area = match list {
        "coils" => Area::Coils,
        "discrete_inputs" => Area::DiscreteInputs,
        "input_registers" => Area::InputRegisters,
        _ => Area::HoldingRegisters,
    };
    let addresses: Vec<u64> = field.list("address").iter().filter_map(|part| part.as_text()?.parse().ok()).collect();
    let first = *addresses.first().ok_or("its address is missing")?;
    if addresses.windows(2).any(|pair| pair[1] != pair[0] + 1) {
        return Err("its registers do not follow one another".into());
    }
    let mut place = Place::new(area, first);
    if area.is_bits() {
        return Ok(place);
    }
    let name = field.text("data_type").ok_or("its data_type is missing")?;
    let count = addresses.len();
    place.data_type = match (name.as_str(), count) {
        ("BIT", _) => {
            place.bit = Some(field.integer("bit").unwrap_or(0));
            String::new()
        }
        ("FIXED", 1) => "INT".into(),
        ("FIXED", 2) => "DINT".into(),
        ("FIXED", 4) => "LINT".into(),
        ("UFIXED" | "FLOAT32", 1) => "UINT".into(),
        ("UFIXED" | "FLOAT32", 2) => "UDINT".into(),
        ("UFIXED", 4) => "ULINT".into(),
        (name, _) => go_type(name, Some(count as u64))?,
    };
    place.order = order(field.text("byte_order").as_deref())?;
    Ok(place)
}

/// A field of the other styles, where the request or the metric says what the field does not.
fn field_of_group(field: &Part<'_>, group: &Part<'_>) -> Result<Place, String> {
    let word = field.text("register").or_else(|| group.text("register")).unwrap_or_default();
    let area = Area::named(&word).ok_or_else(|| format!("the register `{word}` has no counterpart here"))?;
    let mut place = Place::new(area, field.integer("address").ok_or("its address is missing")?);
    if area.is_bits() {
        return Ok(place);
    }
    let name = field.text("type").ok_or("its type is missing")?;
    if name == "BIT" {
        place.bit = Some(field.integer("bit").unwrap_or(0));
        return Ok(place);
    }
    place.data_type = go_type(&name, field.integer("length"))?;
    place.order = order(group.text("byte_order").as_deref())?;
    Ok(place)
}

fn s7comm(part: &Part<'_>, every_ms: u64, found: &mut Found) {
    let mut device = base(part, "s7comm", S7_NOWHERE, every_ms);
    device.url = part.text("server").map(|server| s7::url(&server, part.text("rack"), part.text("slot")));
    part.rest(S7_KEYS, found);
    for metric in part.list("metric") {
        if metric.get("tags").is_some() {
            found.left(
                metric.place.clone(),
                "tags of a measurement have no counterpart here: the device's name takes their place",
            );
        }
        for field in metric.list("fields") {
            let name = field.text("name").unwrap_or_default();
            match field.text("address") {
                Some(address) => device.tags.push(Tag {
                    name,
                    addresses: vec![address],
                    place: field.place.clone(),
                    ..Tag::default()
                }),
                None => found.left(field.place.clone(), format!("`{name}` has no address")),
            }
        }
    }
    found.devices.push(device);
}

fn opcua(part: &Part<'_>, every_ms: u64, found: &mut Found) {
    let mut device = base(part, "opcua", OPCUA_NOWHERE, every_ms);
    device.url = part.text("endpoint");
    device.timeout_ms = part.text("request_timeout").and_then(|text| milliseconds(&text, 1_000.0));
    part.rest(OPCUA_KEYS, found);
    for group in std::iter::once(part.clone()).chain(part.list("group")) {
        for node in group.list("nodes") {
            let name = node.text("name").unwrap_or_default();
            match node_id(&node, &group) {
                Some(id) => {
                    device.tags.push(Tag { name, addresses: vec![id], place: node.place.clone(), ..Tag::default() })
                }
                None => found.left(
                    node.place.clone(),
                    format!("`{name}`: namespace, identifier_type and identifier have to be there"),
                ),
            }
        }
    }
    found.devices.push(device);
}

/// The node as `ns=2;s=Name`, from `id` or from its parts, each of which the group may say.
fn node_id(node: &Part<'_>, group: &Part<'_>) -> Option<String> {
    if let Some(id) = node.text("id") {
        return Some(id);
    }
    let said = |key: &str| node.text(key).or_else(|| group.text(key));
    let (kind, identifier) = (said("identifier_type")?, node.text("identifier")?);
    match said("namespace_uri") {
        Some(uri) => Some(format!("nsu={uri};{kind}={identifier}")),
        None => Some(format!("ns={};{kind}={identifier}", said("namespace")?)),
    }
}
