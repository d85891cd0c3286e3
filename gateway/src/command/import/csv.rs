//! Any table with the columns `name` and `address`, and more.

use std::collections::HashMap;

use super::delimited::{Row, Table, rows};
use super::found::{Device, Found, MODBUS_NOWHERE, Tag, said};
use super::part::milliseconds;

pub(super) const NAME: &[&str] = &["name", "tag", "tag name", "variable", "symbol"];
pub(super) const ADDRESS: &[&str] = &["address", "register", "location", "node", "node id", "nodeid"];
const TYPE: &[&str] = &["type", "data type", "datatype"];
const ORDER: &[&str] = &["order", "byte order"];
const UNIT: &[&str] = &["unit", "eng unit", "eng units", "engineering unit"];
const DEVICE: &[&str] = &["device", "plc", "machine"];
const URL: &[&str] = &["url", "endpoint"];
const STATION: &[&str] = &["station", "unit id", "slave", "slave id"];
const SCALE: &[&str] = &["scale", "factor"];
const OFFSET: &[&str] = &["offset"];
const EVERY: &[&str] = &["every", "interval", "scan rate", "poll rate"];
const COMMENT: &[&str] = &["comment", "description"];

const ALL: [&[&str]; 12] = [NAME, ADDRESS, TYPE, ORDER, UNIT, DEVICE, URL, STATION, SCALE, OFFSET, EVERY, COMMENT];

/// Reads a table. A row without a device belongs to that of the row above.
pub(super) fn read(text: &str) -> Result<Found, String> {
    let table = Table::of(rows(text));
    let column = |names| table.column(names);
    let (Some(name), Some(address)) = (column(NAME), column(ADDRESS)) else {
        return Err("the first line has to name the columns, among them `name` and `address`".into());
    };
    let mut found = Found::default();
    for other in table.others(&ALL) {
        found.left("line 1", format!("the column `{other}` means nothing here"));
    }
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut current = String::from("plc");
    for row in &table.rows {
        let place = format!("line {}", row.line);
        let field = |names| column(names).map(|index| row.field(index)).and_then(said);
        if let Some(device) = field(DEVICE) {
            current = device;
        }
        let index = *places.entry(current.clone()).or_insert_with(|| {
            found.devices.push(Device::new(current.clone(), MODBUS_NOWHERE, place.clone()));
            found.devices.len() - 1
        });
        let device = &mut found.devices[index];
        device.url = device.url.take().or_else(|| field(URL));
        device.unit = device.unit.or_else(|| field(STATION)?.parse().ok());
        let written = row.field(address);
        if written.is_empty() {
            found.left(place, format!("`{}` has no address", row.field(name)));
            continue;
        }
        let number = |names, found: &mut Found| number(row, column(names), &place, found);
        let (scale, offset) = (number(SCALE, &mut found), number(OFFSET, &mut found));
        let tag = Tag {
            name: said(row.field(name)).unwrap_or_else(|| written.to_owned()),
            addresses: addresses(written, field(TYPE).as_deref(), field(ORDER).as_deref()),
            every_ms: field(EVERY).and_then(|every| milliseconds(&every, 1.0)),
            scale,
            offset,
            unit: field(UNIT),
            comment: field(COMMENT),
            place,
        };
        found.devices[index].tags.push(tag);
    }
    Ok(found)
}

/// The address with its type and order, if it does not have them.
fn addresses(address: &str, data_type: Option<&str>, order: Option<&str>) -> Vec<String> {
    let order = order.map(|order| format!("@{order}")).unwrap_or_default();
    let typed = data_type.map(|data_type| format!("{address}:{data_type}{order}"));
    typed.into_iter().chain([format!("{address}{order}"), address.to_owned()]).collect()
}

fn number(row: &Row, column: Option<usize>, place: &str, found: &mut Found) -> Option<f64> {
    let text = row.field(column?);
    let number = text.replace(',', ".").parse().ok();
    if number.is_none() && !text.is_empty() {
        found.left(place, format!("`{text}` is no number"));
    }
    number
}
