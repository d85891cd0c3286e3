//! Any table with the columns `name` and `address`, and more; also the register lists of makers, whose tables of Modbus
//! stand in a column of their own.

use std::collections::HashMap;

use driver_core::DataType;

use super::delimited::{Row, Table};
use super::found::{Device, Found, MODBUS_NOWHERE, Tag, said};
use super::modbus::{Area, Place, go_type, order};
use super::part::milliseconds;

pub(super) const NAME: &[&str] = &["name", "tag", "tag name", "variable", "symbol", "title"];
pub(super) const ADDRESS: &[&str] =
    &["address", "register", "register address", "location", "node", "node id", "nodeid"];
const TABLE: &[&str] = &["register type", "table", "area"];
const TYPE: &[&str] = &["type", "data type", "datatype", "size of variable"];
const REGISTERS: &[&str] = &["register count", "registers"];
const ORDER: &[&str] = &["order", "byte order"];
const UNIT: &[&str] = &["unit", "eng unit", "eng units", "engineering unit"];
const DEVICE: &[&str] = &["device", "plc", "machine"];
const URL: &[&str] = &["url", "endpoint"];
const STATION: &[&str] = &["station", "unit id", "slave", "slave id"];
const SCALE: &[&str] = &["scale", "factor", "scale factor"];
const DIVISOR: &[&str] = &["divisor", "division factor"];
const OFFSET: &[&str] = &["offset"];
const EVERY: &[&str] = &["every", "interval", "scan rate", "poll rate"];
const COMMENT: &[&str] = &["comment", "description"];

const ALL: [&[&str]; 15] =
    [NAME, ADDRESS, TABLE, TYPE, REGISTERS, ORDER, UNIT, DEVICE, URL, STATION, SCALE, DIVISOR, OFFSET, EVERY, COMMENT];

/// Reads a table. A row without a device belongs to that of the row above.
pub(super) fn read(rows: Vec<Row>) -> Result<Found, String> {
    let table = Table::of(rows);
    if table.column(NAME).is_none() || table.column(ADDRESS).is_none() {
        return Err("the first line has to name the columns, among them `name` and `address`".into());
    }
    let mut found = Found::default();
    for other in table.others(&ALL) {
        found.left("line 1", format!("the column `{other}` means nothing here"));
    }
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut current = String::from("plc");
    for row in &table.rows {
        let line = Line { table: &table, row };
        current = line.field(DEVICE).unwrap_or(current);
        let index = *places.entry(current.clone()).or_insert_with(|| {
            found.devices.push(Device::new(current.clone(), MODBUS_NOWHERE, line.place()));
            found.devices.len() - 1
        });
        let device = &mut found.devices[index];
        device.url = device.url.take().or_else(|| line.field(URL));
        device.unit = device.unit.or_else(|| line.field(STATION)?.parse().ok());
        let tag = line.tag(&mut found);
        found.devices[index].tags.extend(tag);
    }
    Ok(found)
}

/// A row, whose fields are asked for by the names of their columns.
#[derive(Clone, Copy)]
struct Line<'t> {
    table: &'t Table,
    row: &'t Row,
}

impl Line<'_> {
    fn place(self) -> String {
        format!("line {}", self.row.line)
    }

    /// What the field says; a dash says nothing.
    fn field(self, names: &[&str]) -> Option<String> {
        self.table.column(names).map(|index| self.row.field(index)).and_then(said).filter(|text| text != "-")
    }

    /// The tag of the row; none, and a note, where it has no address.
    fn tag(self, found: &mut Found) -> Option<Tag> {
        let name = self.field(NAME);
        let Some(written) = self.field(ADDRESS) else {
            found.left(self.place(), format!("`{}` has no address", name.unwrap_or_default()));
            return None;
        };
        let addresses = match self.addresses(&written, found) {
            Ok(addresses) => addresses,
            Err(cause) => {
                found.left(self.place(), format!("`{}` ({written}): {cause}", name.unwrap_or_default()));
                return None;
            }
        };
        let divisor = self.number(DIVISOR, found).filter(|divisor| *divisor != 0.0);
        Some(Tag {
            name: name.unwrap_or(written),
            addresses,
            every_ms: self.field(EVERY).and_then(|every| milliseconds(&every, 1.0)),
            scale: self.number(SCALE, found).or(divisor.map(f64::recip)).filter(|scale| *scale != 1.0),
            offset: self.number(OFFSET, found),
            unit: self.field(UNIT),
            comment: self.field(COMMENT),
            place: self.place(),
        })
    }

    /// Ways to write the address, with its type and order if it does not have them.
    fn addresses(self, written: &str, found: &mut Found) -> Result<Vec<String>, String> {
        let said = self.field(TYPE);
        let order = order(self.field(ORDER).as_deref())?;
        let table = self.field(TABLE).as_deref().and_then(area);
        // Some lists have no type, and name the table under that heading.
        let area = table.or_else(|| said.as_deref().and_then(area));
        let said = said.filter(|said| table.is_some() || area.is_none() || DataType::from_name(said).is_some());
        let registers = self.field(REGISTERS).and_then(|count| count.parse().ok());
        let data_type = said.map(|said| iec(&said, registers)).transpose()?;
        if let (Some(area), Some(offset)) = (area, number_of_register(written)) {
            found.look("line 1", "the numbers of registers are taken as the wire's own, from 0; `forebay probe` with the value that a display shows tells whether the list counts from 1");
            let data_type = data_type.unwrap_or_else(|| "UINT".into());
            return Ok(vec![Place { data_type, order, ..Place::new(area, offset) }.address()]);
        }
        let order = self.field(ORDER).map(|_| format!("@{order}")).unwrap_or_default();
        Ok(match data_type {
            Some(data_type) if has_type(written) => vec![format!("{written}:{data_type}{order}"), written.to_owned()],
            Some(data_type) => vec![format!("{written}:{data_type}{order}")],
            None => vec![format!("{written}{order}")],
        })
    }

    /// A number with a point or a comma, a fraction such as 1/10, or a factor such as *10.
    fn number(self, names: &[&str], found: &mut Found) -> Option<f64> {
        let text = self.field(names)?;
        let plain = text.trim_start_matches(['*', '×']).replace(',', ".");
        let number = match plain.split_once('/') {
            Some((above, below)) => above.trim().parse::<f64>().ok().zip(below.trim().parse::<f64>().ok()),
            None => plain.parse().ok().map(|number| (number, 1.0)),
        };
        if number.is_none() {
            found.left(self.place(), format!("`{text}` is no number"));
        }
        number.map(|(above, below)| above / below)
    }
}

/// The table that a word such as `Holding`, `MODBUS_INPUT_REGISTER` or `coils` names.
fn area(word: &str) -> Option<Area> {
    let word = word.to_lowercase().replace(['_', '-'], " ").replace("modbus", "").replace("registers", "");
    match word.replace("register", "").replace("inputs", "input").trim() {
        "coil" | "coils" | "co" => Some(Area::Coils),
        "discrete" | "discrete input" | "di" => Some(Area::DiscreteInputs),
        "input" | "ir" => Some(Area::InputRegisters),
        "holding" | "hr" => Some(Area::HoldingRegisters),
        _ => None,
    }
}

/// The IEC type of its own name, or of one as `uint16`, `s32` or `float32`.
fn iec(word: &str, registers: Option<u64>) -> Result<String, String> {
    let bare = word.split(['(', '[']).next().unwrap_or_default();
    if bare.eq_ignore_ascii_case("string") && registers.is_some() && bare == word {
        return go_type(word, registers);
    }
    if DataType::from_name(bare).is_some() {
        return Ok(word.to_owned());
    }
    let signed = word.strip_prefix(['s', 'S']).filter(|bits| bits.parse::<u8>().is_ok());
    let name = signed.map_or_else(|| word.to_owned(), |bits| format!("int{bits}"));
    // Eight bits that have a register of their own are its lower ones.
    go_type(&if name.ends_with("int8") { format!("{name}l") } else { name }, registers)
}

fn number_of_register(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Whether an address says its type or its bit itself: `hr:0:INT`, `hr:50.3`, `DB1.DBX2.1`, `DB1,REAL4`.
fn has_type(address: &str) -> bool {
    let location = address.split('@').next().unwrap_or_default();
    let last = location.rsplit(':').next().unwrap_or_default().split(['(', '[']).next().unwrap_or_default();
    let is_bit = location.rsplit_once('.').is_some_and(|(_, bit)| bit.bytes().all(|byte| byte.is_ascii_digit()));
    DataType::from_name(last).is_some() || is_bit || location.contains(',')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::import::delimited::rows;

    /// The address, scale and notes of the only row of a table.
    fn row(heading: &str, row: &str) -> (Vec<String>, Option<f64>, String) {
        let found = read(rows(&format!("{heading}\n{row}\n"))).expect("a table");
        let notes: Vec<&str> = found.notes.iter().map(|note| note.message.as_str()).collect();
        let tag = found.devices[0].tags.first().cloned().unwrap_or_default();
        (tag.addresses, tag.scale, notes.join("; "))
    }

    #[test]
    fn lists_of_registers_as_makers_publish_them() {
        for (heading, text, address, scale) in [
            (
                "Register Type,Register Address,Name,Data Type,Scale Factor",
                "Input,1100,flow,int16,1/10",
                "ir:1100:INT",
                Some(0.1),
            ),
            (
                "Title\tRegister type\tRegister\tDivision factor\tSize of variable",
                "x\tMODBUS_HOLDING_REGISTER\t7\t10\ts32",
                "hr:7:DINT",
                Some(0.1),
            ),
            ("name,area,address,type,scale", "x,hr,3,s8,*10", "hr:3:SINT", Some(10.0)),
            ("name,area,address,type,scale", "x,hr,3,uint8,-", "hr:3:USINT", None),
            ("address,type,name", "0x10,holding,speed", "hr:16:UINT", None),
            ("address,type,name", "3,Discrete Inputs,door", "di:3", None),
            ("name,area,address,type,order,scale", "x,hr,3,float32,CDAB,1", "hr:3:REAL@CDAB", None),
            ("name,area,address,type,registers", "x,hr,3,string,8", "hr:3:STRING(16)", None),
        ] {
            let (addresses, found_scale, notes) = row(heading, text);
            assert_eq!(
                (addresses.as_slice(), found_scale),
                ([address.to_owned()].as_slice(), scale),
                "{text}: {notes}"
            );
            assert!(notes.contains("counts from 1"), "{notes}");
        }
    }

    #[test]
    fn a_type_or_an_order_that_is_not_known_loses_no_tag_in_silence() {
        let heading = "name,address,type,order";
        assert_eq!(row(heading, "x,hr:0,REAL,CDAB").0, ["hr:0:REAL@CDAB"]);
        assert_eq!(row(heading, "x,hr:0:INT,INT,").0, ["hr:0:INT:INT", "hr:0:INT"]);
        for (text, cause) in [("x,hr:0,bcd16,", "`BCD16`"), ("x,hr:0,REAL,upside-down", "`upside-down`")] {
            let (addresses, _, notes) = row(heading, text);
            assert!(addresses.is_empty() && notes.contains(cause), "{notes}");
        }
    }
}
