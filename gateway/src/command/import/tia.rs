//! Tag tables of TIA Portal and symbol tables of STEP 7: names, types and addresses of one PLC, which they do not name.

use super::characters;
use super::delimited::{Row, Table, rows};
use super::found::{Device, Found, Tag, said};
use super::workbook::{self, Named, ZIP};

/// Reads a tag table: xlsx, xml as TIA Portal exports it, xml of Openness, sdf or csv.
pub(super) fn read(bytes: &[u8]) -> Result<Found, String> {
    let mut plc = Plc::new("s7://192.0.2.1?plc=s7-1500");
    if bytes.starts_with(&ZIP) {
        plc.table(workbook::rows(bytes)?)?;
        return Ok(plc.found());
    }
    let text = characters::text(bytes);
    if text.trim_start().starts_with('<') {
        plc.xml(&text)?;
    } else {
        plc.table(rows(&text))?;
    }
    Ok(plc.found())
}

/// Reads a symbol table: asc, or sdf and csv in quotes.
pub(super) fn read_step7(text: &str) -> Result<Found, String> {
    let mut plc = Plc::new("s7://192.0.2.1?plc=s7-300");
    if text.starts_with("126,") {
        plc.asc(text);
    } else {
        plc.table(rows(text))?;
    }
    Ok(plc.found())
}

/// The PLC of a table.
struct Plc {
    device: Device,
    found: Found,
}

/// A row of any of the forms.
struct Symbol<'a> {
    name: &'a str,
    address: &'a str,
    data_type: &'a str,
    comment: &'a str,
    place: String,
}

impl Plc {
    fn new(stand_in: &'static str) -> Plc {
        Plc { device: Device::new("plc", stand_in, "the table"), found: Found::default() }
    }

    fn found(mut self) -> Found {
        self.found.devices.push(self.device);
        self.found
    }

    /// With a heading, or in the order name, address, type.
    fn table(&mut self, rows: Vec<Row>) -> Result<(), String> {
        let headed = Table::of(rows.clone());
        let address = headed.column(&["logical address", "logische adresse", "address", "adresse"]);
        let name = headed.column(&["name", "symbol"]);
        if let (Some(name), Some(address)) = (name, address) {
            let data_type = headed.column(&["data type", "datentyp"]);
            let comment = headed.column(&["comment", "kommentar"]);
            let field = |row: &'_ Row, column: Option<usize>| {
                column.map(|index| row.field(index).to_owned()).unwrap_or_default()
            };
            for row in &headed.rows {
                let (data_type, comment) = (field(row, data_type), field(row, comment));
                self.take(Symbol {
                    name: row.field(name),
                    address: row.field(address),
                    data_type: &data_type,
                    comment: &comment,
                    place: format!("line {}", row.line),
                });
            }
            return Ok(());
        }
        if rows.first().is_none_or(|row| row.fields.len() < 3) {
            return Err(
                "this is no table of tags: a heading with Name, Data Type and Logical Address is missing".into()
            );
        }
        for row in &rows {
            let is_flag =
                |field: &&String| field.is_empty() || ["true", "false"].contains(&field.to_lowercase().as_str());
            let comment = row.fields.iter().skip(3).find(|field| !is_flag(field)).map_or("", String::as_str);
            self.take(Symbol {
                name: row.field(0),
                address: row.field(1),
                data_type: row.field(2),
                comment,
                place: format!("line {}", row.line),
            });
        }
        Ok(())
    }

    /// Columns of fixed width: `126,`, name 24, address 12, type 10, comment.
    fn asc(&mut self, text: &str) {
        for (line, row) in (1..).zip(text.lines()) {
            let Some(row) = row.strip_prefix("126,") else {
                if !row.trim().is_empty() {
                    self.found.left(format!("line {line}"), "the line does not begin with 126,");
                }
                continue;
            };
            let characters: Vec<char> = row.chars().collect();
            let part = |from: usize, to: usize| -> String {
                characters.get(from..to.min(characters.len())).map(|part| part.iter().collect()).unwrap_or_default()
            };
            let (name, address, data_type, comment) = (part(0, 24), part(24, 36), part(36, 46), part(46, usize::MAX));
            self.take(Symbol {
                name: &name,
                address: &address,
                data_type: &data_type,
                comment: &comment,
                place: format!("line {line}"),
            });
        }
    }

    /// `<Tagtable><Tag type= addr=>name</Tag>` of the editor, `SW.Tags.PlcTag` of Openness.
    fn xml(&mut self, text: &str) -> Result<(), String> {
        let document = roxmltree::Document::parse(text).map_err(|cause| format!("the XML is damaged: {cause}"))?;
        for node in document.descendants() {
            let line = document.text_pos_at(node.range().start).row;
            let place = format!("line {line}");
            if node.has_tag_name_any("Tag") {
                let attribute = |name| node.attribute(name).unwrap_or_default();
                self.take(Symbol {
                    name: node.text().unwrap_or_default(),
                    address: attribute("addr"),
                    data_type: attribute("type"),
                    comment: attribute("remark"),
                    place,
                });
            } else if node.has_tag_name_any("SW.Tags.PlcTag") {
                let text = |name: &str| {
                    let list = node.children().find(|child| child.has_tag_name_any("AttributeList"));
                    let named = list.and_then(|list| list.children().find(|child| child.has_tag_name_any(name)));
                    named.and_then(|named| named.text()).unwrap_or_default()
                };
                let comment = node.descendants().filter(|part| part.has_tag_name_any("Text"));
                let comment = comment.filter_map(|part| part.text()).find(|text| !text.trim().is_empty());
                self.take(Symbol {
                    name: text("Name"),
                    address: text("LogicalAddress"),
                    data_type: text("DataTypeName"),
                    comment: comment.unwrap_or_default(),
                    place,
                });
            }
        }
        Ok(())
    }

    fn take(&mut self, symbol: Symbol<'_>) {
        let Symbol { name, address, data_type, comment, place } = symbol;
        let address: String = address.split_whitespace().collect();
        let Some(name) = said(name) else { return };
        if address.is_empty() {
            self.found.left(place, format!("`{name}` has no address"));
            return;
        }
        if names_a_block(&address) {
            self.found.left(place, format!("`{name}` ({address}) names a block, not a value; its variables are read by address, such as {address}.DBD4:REAL"));
            return;
        }
        let addresses = match iec(data_type.trim()) {
            Some(data_type) if !is_typed(&address) => vec![format!("{address}:{data_type}"), address],
            Some(_) => vec![address],
            None => {
                let message = format!(
                    "`{name}` is a {}, which is no elementary type; read its parts by address",
                    data_type.trim()
                );
                self.found.left(place, message);
                return;
            }
        };
        self.device.tags.push(Tag { name, addresses, comment: said(comment), place, ..Tag::default() });
    }
}

/// `DB10`, `FC1`, `OB1`, `UDT3`, `VAT_1`, `SFC20`: a block's number and nothing behind it.
fn names_a_block(address: &str) -> bool {
    let letters: String = address.chars().take_while(char::is_ascii_alphabetic).collect();
    let rest = &address[letters.len()..];
    let is_number = rest.chars().all(|c| c.is_ascii_digit() || c == '_');
    is_number
        && ["DB", "FB", "FC", "OB", "UDT", "VAT", "SFB", "SFC", "SDB", "DI"].contains(&letters.to_uppercase().as_str())
}

/// A bit, a timer or a counter: nothing is added to it.
fn is_typed(address: &str) -> bool {
    let plain = address.trim_start_matches('%').to_uppercase();
    let is_timer = plain.starts_with(['T', 'C', 'Z']) && plain[1..].bytes().all(|byte| byte.is_ascii_digit());
    is_timer || plain.contains('.') && !plain.starts_with("DB") || plain.contains("DBX")
}

/// The type as our drivers write it; none where it is no elementary one.
fn iec(name: &str) -> Option<String> {
    let upper = name.to_uppercase().replace(' ', "");
    let bare = upper.trim_matches('"');
    match bare {
        "" => return Some("BYTE".into()),
        "TIMER" | "COUNTER" | "ZÄHLER" => return Some("WORD".into()),
        "TOD" | "TIME_OF_DAY" => return Some("TIME_OF_DAY".into()),
        "DT" | "DATE_AND_TIME" => return Some("DATE_AND_TIME".into()),
        _ => {}
    }
    if let Some(rest) = bare.strip_prefix("ARRAY[") {
        let (range, element) = rest.split_once("]OF")?;
        let (first, last) = range.split_once("..")?;
        let count =
            last.parse::<i64>().ok()?.checked_sub(first.parse().ok()?)?.checked_add(1).filter(|count| *count > 0)?;
        return Some(format!("{}[{count}]", iec(element)?));
    }
    let (word, length) = match bare.split_once('[') {
        Some((word, length)) => (word, format!("({})", length.strip_suffix(']')?)),
        None => (bare, String::new()),
    };
    driver_core::DataType::from_name(word).map(|_| format!("{word}{length}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_siemens() {
        let known = ["Real", "String[20]", "Array[0..3] of Int", "Timer", "DInt"].map(iec);
        assert_eq!(known, ["REAL", "STRING(20)", "INT[4]", "WORD", "DINT"].map(|name| Some(name.to_owned())));
        assert_eq!(iec("\"UDT_Motor\""), None);
        assert!(names_a_block("DB10") && names_a_block("FC1") && !names_a_block("DB10.DBW4") && !names_a_block("M0.1"));
        assert!(is_typed("%I0.1") && is_typed("T5") && !is_typed("%MD20") && !is_typed("DB10.DBW0"));
    }
}
