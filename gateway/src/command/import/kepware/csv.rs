//! The tags of one device as Kepware exports them. Neither the device nor its driver is named.

use super::address::{Orders, Protocol, addresses};
use super::linear;
use crate::command::import::delimited::{Row, Table, rows};
use crate::command::import::found::{Device, Found, Tag, said};

const KNOWN: [&[&str]; 17] = [
    &["tag name"],
    &["address"],
    &["data type"],
    &["respect data type"],
    &["client access"],
    &["scan rate"],
    &["scaling"],
    &["raw low"],
    &["raw high"],
    &["scaled low"],
    &["scaled high"],
    &["scaled data type"],
    &["clamp low"],
    &["clamp high"],
    &["eng units"],
    &["description"],
    &["negate value"],
];

/// Reads the list.
pub(in crate::command::import) fn read(text: &str) -> Result<Found, String> {
    let table = Table::of(rows(text));
    let column = |name: &str| table.column(&[name]);
    let (Some(name), Some(address)) = (column("tag name"), column("address")) else {
        return Err("the columns `Tag Name` and `Address` are missing".into());
    };
    let mut found = Found::default();
    for other in table.others(&KNOWN) {
        found.left("line 1", format!("the column `{other}` means nothing here"));
    }
    let protocol = protocol(table.rows.iter().map(|row| row.field(address)));
    let mut device = Device::new("device1", protocol.stand_in(), "the list");
    if protocol == Protocol::ModbusTcp {
        found.look("the list", "the settings of the device are not in it: its default is taken, by which the least significant word comes first (CDAB); `forebay probe` shows whether that is right");
    }
    for row in &table.rows {
        let place = format!("line {}", row.line);
        let field = |name: &str| column(name).map_or("", |index| row.field(index));
        let text = row.field(address);
        match addresses(protocol, text, field("data type"), &Orders::default()) {
            Ok(addresses) => {
                let (scale, offset) = scaling(row, &field, &mut found);
                device.tags.push(Tag {
                    name: row.field(name).to_owned(),
                    addresses,
                    every_ms: field("scan rate").parse().ok().filter(|every| *every > 0),
                    scale,
                    offset,
                    unit: said(field("eng units")),
                    comment: said(field("description")),
                    place,
                });
            }
            Err(cause) => found.left(place, format!("`{}` ({text}): {cause}", row.field(name))),
        }
    }
    found.devices.push(device);
    Ok(found)
}

/// By what most addresses look like.
fn protocol<'a>(addresses: impl Iterator<Item = &'a str>) -> Protocol {
    let mut count = [0_usize; 3];
    for address in addresses {
        let is_number = address.len() >= 5 && address.starts_with(|first: char| first.is_ascii_digit());
        let kind = match address {
            _ if address.starts_with("ns=") || address.starts_with("nsu=") => 2,
            _ if is_number => 0,
            _ => 1,
        };
        count[kind] += 1;
    }
    match count {
        [modbus, s7, opcua] if opcua > modbus && opcua > s7 => Protocol::OpcUa,
        [modbus, s7, _] if s7 > modbus => Protocol::S7,
        _ => Protocol::ModbusTcp,
    }
}

fn scaling<'r>(row: &Row, field: &impl Fn(&str) -> &'r str, found: &mut Found) -> (Option<f64>, Option<f64>) {
    let place = format!("line {}", row.line);
    let number = |name: &str| field(name).parse().ok();
    match field("scaling") {
        "" | "None" => (None, None),
        "Linear" => {
            let scaled = linear(number("raw low"), number("raw high"), number("scaled low"), number("scaled high"));
            if ["clamp low", "clamp high"].iter().any(|name| field(name) == "1") {
                found.left(place, "values are not clamped here");
            }
            let sign = if field("negate value") == "1" { -1.0 } else { 1.0 };
            scaled.map_or((None, None), |(scale, offset)| (Some(scale * sign), Some(offset * sign)))
        }
        other => {
            found.left(place, format!("{other} scaling has no counterpart here; the raw value comes"));
            (None, None)
        }
    }
}
