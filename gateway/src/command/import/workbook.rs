//! The cells of an Excel workbook (ECMA-376: a ZIP archive with XML inside).
//!
//! Only what a table of texts needs: the first sheet, shared and inline strings, numbers as they are written. Formats,
//! formulas and dates are not looked at.

use std::io::Read;

use flate2::read::DeflateDecoder;

use super::delimited::Row;

/// The most that one part may unpack to, bytes.
const PART_BYTES_MAX: u64 = 256 << 20;
/// The most columns that are read.
const COLUMNS_MAX: usize = 1_024;

/// The first bytes of a ZIP archive's entries.
pub(super) const ZIP: [u8; 4] = *b"PK\x03\x04";

const DIRECTORY_ENTRY: [u8; 4] = *b"PK\x01\x02";
const DIRECTORY_END: [u8; 4] = *b"PK\x05\x06";
/// The length of the end record without its comment.
const END_BYTES: usize = 22;

/// The rows of the first sheet.
pub(super) fn rows(bytes: &[u8]) -> Result<Vec<Row>, String> {
    let parts = parts(bytes).ok_or("the archive is damaged")?;
    let sheet = parts
        .iter()
        .filter(|part| part.name.starts_with("xl/worksheets/") && part.name.ends_with(".xml"))
        .min_by_key(|part| (part.name.len(), part.name.clone()))
        .ok_or("the archive holds no sheet; is it an Excel workbook?")?;
    let strings = match parts.iter().find(|part| part.name == "xl/sharedStrings.xml") {
        Some(part) => strings(&part.text(bytes)?)?,
        None => Vec::new(),
    };
    cells(&sheet.text(bytes)?, &strings)
}

/// A file in the archive.
struct Packed {
    name: String,
    is_deflated: bool,
    /// Where its local header begins.
    at: usize,
    packed_bytes: usize,
}

/// The central directory (APPNOTE 4.3.12).
fn parts(bytes: &[u8]) -> Option<Vec<Packed>> {
    let last = bytes.len().checked_sub(END_BYTES)?;
    let earliest = last.saturating_sub(usize::from(u16::MAX));
    let end = (earliest..=last).rev().find(|at| bytes[*at..].starts_with(&DIRECTORY_END))?;
    let count = u16_at(bytes, end + 10)?;
    let mut at = u32_at(bytes, end + 16)?;
    let mut parts = Vec::new();
    for _ in 0..count {
        if bytes.get(at..at + 4)? != DIRECTORY_ENTRY {
            return None;
        }
        let (name, extra, comment) = (u16_at(bytes, at + 28)?, u16_at(bytes, at + 30)?, u16_at(bytes, at + 32)?);
        parts.push(Packed {
            name: String::from_utf8_lossy(bytes.get(at + 46..at + 46 + name)?).into_owned(),
            is_deflated: u16_at(bytes, at + 10)? == 8,
            at: u32_at(bytes, at + 42)?,
            packed_bytes: u32_at(bytes, at + 20)?,
        });
        at += 46 + name + extra + comment;
    }
    Some(parts)
}

impl Packed {
    fn text(&self, archive: &[u8]) -> Result<String, String> {
        let damaged = || format!("{} in the archive is damaged", self.name);
        let packed = self.packed(archive).ok_or_else(damaged)?;
        if !self.is_deflated {
            return Ok(String::from_utf8_lossy(packed).into_owned());
        }
        let mut text = Vec::new();
        let mut reader = DeflateDecoder::new(packed).take(PART_BYTES_MAX + 1);
        reader.read_to_end(&mut text).map_err(|cause| format!("{}: {cause}", damaged()))?;
        match text.len() as u64 > PART_BYTES_MAX {
            true => Err(format!("{} in the archive is longer than {} MiB", self.name, PART_BYTES_MAX >> 20)),
            false => Ok(String::from_utf8_lossy(&text).into_owned()),
        }
    }

    /// Behind the local header (APPNOTE 4.3.7).
    fn packed<'b>(&self, archive: &'b [u8]) -> Option<&'b [u8]> {
        let start = self.at + 30 + u16_at(archive, self.at + 26)? + u16_at(archive, self.at + 28)?;
        archive.get(start..start.checked_add(self.packed_bytes)?)
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?)))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?)).ok()
}

fn strings(xml: &str) -> Result<Vec<String>, String> {
    let document = document(xml)?;
    let items = document.root_element().children().filter(|node| node.has_tag_name_any("si"));
    Ok(items.map(|item| texts(item)).collect())
}

/// All texts inside, but for those of phonetic hints.
fn texts(node: roxmltree::Node<'_, '_>) -> String {
    let inside = node
        .descendants()
        .filter(|part| part.has_tag_name_any("t") && !part.ancestors().any(|above| above.has_tag_name_any("rPh")));
    inside.filter_map(|part| part.text()).collect()
}

fn cells(xml: &str, strings: &[String]) -> Result<Vec<Row>, String> {
    let document = document(xml)?;
    let mut rows = Vec::new();
    for (index, row) in document.descendants().filter(|node| node.has_tag_name_any("row")).enumerate() {
        let line = row.attribute("r").and_then(|line| line.parse().ok()).unwrap_or(index + 1);
        let mut fields: Vec<String> = Vec::new();
        for cell in row.children().filter(|node| node.has_tag_name_any("c")) {
            let column = cell.attribute("r").and_then(column).unwrap_or(fields.len());
            if column >= COLUMNS_MAX {
                continue;
            }
            fields.resize(fields.len().max(column + 1), String::new());
            fields[column] = content(cell, strings).trim().to_owned();
        }
        if fields.iter().any(|field| !field.is_empty()) {
            rows.push(Row { line, fields });
        }
    }
    Ok(rows)
}

fn content(cell: roxmltree::Node<'_, '_>, strings: &[String]) -> String {
    let value =
        cell.children().find(|node| node.has_tag_name_any("v")).and_then(|node| node.text()).unwrap_or_default();
    match cell.attribute("t") {
        Some("s") => value.trim().parse().ok().and_then(|index: usize| strings.get(index)).cloned().unwrap_or_default(),
        Some("inlineStr") => texts(cell),
        Some("b") => if value.trim() == "1" { "True" } else { "False" }.to_owned(),
        _ => value.to_owned(),
    }
}

/// The column of `AB12`, from 0.
fn column(reference: &str) -> Option<usize> {
    let letters = reference.bytes().take_while(u8::is_ascii_uppercase).take(4);
    let number = letters.fold(0, |sum, letter| sum * 26 + usize::from(letter - b'A') + 1);
    number.checked_sub(1)
}

fn document(xml: &str) -> Result<roxmltree::Document<'_>, String> {
    roxmltree::Document::parse(xml).map_err(|cause| format!("the XML inside is damaged: {cause}"))
}

/// Names without their namespace, which the tools differ in.
pub(super) trait Named {
    fn has_tag_name_any(&self, name: &str) -> bool;
}

impl Named for roxmltree::Node<'_, '_> {
    fn has_tag_name_any(&self, name: &str) -> bool {
        self.is_element() && self.tag_name().name() == name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_letters() {
        assert_eq!([column("A1"), column("Z9"), column("AB12"), column("7")], [Some(0), Some(25), Some(27), None]);
    }

    #[test]
    fn what_is_no_archive_or_is_cut_is_refused() {
        assert!(rows(b"").is_err());
        assert!(rows(b"PK\x03\x04 and no more").is_err());
        let whole = include_bytes!("samples/tia_tags.xlsx");
        for end in (0..whole.len()).step_by(37) {
            assert!(rows(&whole[..end]).is_err(), "{end}");
        }
    }
}
