//! Which device is reached through which URL.

use std::collections::HashMap;

use driver_core::{AnyDriver, EndpointUrl, Place};

use super::place::{hide_login, part_of};
use crate::config::form::{Context, Named};
use crate::config::near::nearest;
use crate::config::raw::{RawConfig, RawDevice};
use crate::config::source::{Source, Spanned};

/// A URL and the devices behind it, by their place in the file.
pub(super) struct Bus<'t> {
    pub(super) owner: usize,
    pub(super) written: Spanned<&'t str>,
    pub(super) url: EndpointUrl,
    pub(super) driver: &'static dyn AnyDriver,
    /// The owner itself first.
    pub(super) members: Vec<usize>,
}

/// All URLs with the devices behind each, in the order of the file.
pub(super) fn buses<'t>(raw: &RawConfig<'t>, source: &Source, context: &mut Context<'_>) -> Vec<Bus<'t>> {
    let mut buses = Vec::new();
    for (index, device) in raw.devices.iter().enumerate() {
        if let Some(url) = own_url(device, context) {
            buses.extend(bus(index, url, device.value.unit, source, context));
        }
    }
    join(raw, &mut buses, context);
    one_bus_a_port(raw, &buses, context);
    buses
}

/// The URL of a device that is reached directly.
fn own_url<'t>(device: &Named<'t, RawDevice<'t>>, context: &mut Context<'_>) -> Option<Spanned<&'t str>> {
    let RawDevice { url, on, .. } = &device.value;
    match (url, on) {
        (Some(url), None) => Some(*url),
        (None, Some(_)) => None,
        (Some(_), Some(on)) => {
            let message = format!("`{}` has both `url` and `on`", device.name);
            let help = "write `url` for a device of its own, `on` for one of several on a bus";
            context.faults.error(on.span, message, help);
            None
        }
        (None, None) => {
            let message = format!("`{}` has neither `url` nor `on`", device.name);
            let schemes: Vec<&str> = context.kinds.driver_schemes().collect();
            let help = format!(
                "write where it is reached, such as `url: modbus-tcp://10.0.0.11?unit=1`, or `on:` with the name of its \
                 bus; drivers here: {}",
                schemes.join(", ")
            );
            context.faults.error(device.span, message, help);
            None
        }
    }
}

fn bus<'t>(
    owner: usize,
    written: Spanned<&'t str>,
    unit: Option<Spanned<u16>>,
    source: &Source,
    context: &mut Context<'_>,
) -> Option<Bus<'t>> {
    hide_login(source, written.span, context.faults);
    let url: EndpointUrl = match written.value.parse() {
        Ok(url) => url,
        Err(driver_core::SpecError { place, message }) => {
            let range = if let Place::Url(range) = place { range } else { 0..written.value.len() };
            context.faults.error(part_of(source, written, range), message, "");
            return None;
        }
    };
    let Some(driver) = context.kinds.driver(url.scheme()) else {
        no_driver(&url, written, source, context);
        return None;
    };
    if let Some(unit) = unit.filter(|_| url.options().text("unit").is_some()) {
        context.faults.error(unit.span, "`unit` stands in the URL already", "keep one of the two");
    }
    Some(Bus { owner, written, url, driver, members: vec![owner] })
}

fn no_driver(url: &EndpointUrl, written: Spanned<&str>, source: &Source, context: &mut Context<'_>) {
    let scheme = url.scheme();
    let known: Vec<&str> = context.kinds.driver_schemes().collect();
    let help = match nearest(scheme, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`? Drivers here: {}", known.join(", ")),
        None if context.kinds.uplink(scheme).is_some() => "that is an uplink: it stands under `uplinks`".into(),
        // A feature of the build, on by default.
        None if scheme == "opc.tcp" => format!(
            "this forebay was built without OPC UA: take the whole one, or build it with the feature `opcua`. Drivers here: {}",
            known.join(", ")
        ),
        None => format!("drivers here: {}", known.join(", ")),
    };
    let span = part_of(source, written, 0..scheme.len());
    context.faults.error(span, format!("this build has no driver for `{scheme}`"), help);
}

/// Puts each device that is `on` a bus behind it.
fn join(raw: &RawConfig<'_>, buses: &mut [Bus<'_>], context: &mut Context<'_>) {
    let places: HashMap<&str, usize> =
        raw.devices.iter().enumerate().map(|(index, device)| (device.name, index)).collect();
    let bus_of: HashMap<usize, usize> = buses.iter().enumerate().map(|(bus, draft)| (draft.owner, bus)).collect();
    for (index, device) in raw.devices.iter().enumerate() {
        let RawDevice { on: Some(on), url: None, unit, timeout, .. } = &device.value else { continue };
        let Some(target) = places.get(on.value).copied() else {
            unknown_bus(raw, *on, context);
            continue;
        };
        if raw.devices[target].value.url.is_none() {
            let message = format!("`{}` has no `url`, so that nothing can be `on` it", on.value);
            context.faults.error(on.span, message, "name the device or bus that has the URL");
            continue;
        }
        if unit.is_none() {
            let message = format!("`{}` has no `unit`", device.name);
            context.faults.error(
                device.span,
                message,
                format!("write its number on the bus `{}`, such as `unit: 1`", on.value),
            );
        }
        if let Some(timeout) = timeout {
            let help = format!("write it at `{}`", on.value);
            context.faults.error(timeout.span, "all devices of a bus share its `timeout`", help);
        }
        if let Some(bus) = bus_of.get(&target) {
            buses[*bus].members.push(index);
        }
    }
    buses.iter().for_each(|bus| units_differ(raw, bus, context));
}

fn unknown_bus(raw: &RawConfig<'_>, on: Spanned<&str>, context: &mut Context<'_>) {
    let known = raw.devices.iter().filter(|device| device.value.url.is_some()).map(|device| device.name);
    let help = match nearest(on.value, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            format!("describe it under `devices`, such as `{}: {{ url: \"modbus-rtu:///dev/ttyUSB0\" }}`", on.value)
        }
    };
    context.faults.error(on.span, format!("there is no device or bus `{}`", on.value), help);
}

fn units_differ(raw: &RawConfig<'_>, bus: &Bus<'_>, context: &mut Context<'_>) {
    let mut seen: HashMap<u16, &str> = HashMap::new();
    for device in bus.members.iter().map(|index| &raw.devices[*index]) {
        let Some(unit) = device.value.unit else { continue };
        if let Some(first) = seen.insert(unit.value, device.name) {
            let message = format!("`{first}` and `{}` are both unit {}", device.name, unit.value);
            context.faults.warning(unit.span, message, "give each its own number, unless they are one and the same");
        }
    }
}

/// Two owners of one serial port would talk at the same time. A port has a path and no host.
fn one_bus_a_port(raw: &RawConfig<'_>, buses: &[Bus<'_>], context: &mut Context<'_>) {
    let mut owners: HashMap<&str, &str> = HashMap::new();
    for bus in buses.iter().filter(|bus| bus.url.host().is_empty() && !bus.url.path().is_empty()) {
        let name = raw.devices[bus.owner].name;
        if let Some(first) = owners.insert(bus.url.path(), name) {
            let message = format!("`{first}` and `{name}` use the same port {}", bus.url.path());
            let help = format!("keep the URL at one of them, and write `on: {first}` with a `unit` at the other");
            context.faults.error(bus.written.span, message, help);
        }
    }
}
