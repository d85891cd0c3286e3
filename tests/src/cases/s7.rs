//! The values of `cases/s7-types.json`: every type in every area, with the bytes that hold them.

use hardware_sim::s7::{Area, Plc};
use serde_json::Value;

use super::{Case, case, entries, number, text};

const FILE: &str = "s7-types.json";

/// All cases of the file.
pub fn all() -> Vec<Case> {
    entries(FILE).iter().map(case).collect()
}

/// What a case holds in a PLC's memory.
pub struct Held {
    /// Where.
    pub area: Area,
    /// Its first byte.
    pub offset: u16,
    /// What.
    pub bytes: Vec<u8>,
    /// Of a single bit, which.
    bit: Option<u8>,
    data_type: String,
}

/// What all cases hold.
pub fn held() -> Vec<Held> {
    entries(FILE).iter().map(held_by).collect()
}

/// Puts all cases into a simulated PLC.
pub fn fill(plc: &Plc) {
    for held in held() {
        match held.bit {
            Some(_) => plc.write(held.area, held.offset, &[plc.read(held.area, held.offset, 1)[0] | held.bytes[0]]),
            None => plc.write(held.area, held.offset, &held.bytes),
        }
    }
}

/// Makes the same places in another PLC, and lets them hold something else: texts are empty, all else is inverted.
pub fn blank(plc: &Plc) {
    fill(plc);
    for held in held() {
        let bytes = match text_head(&held.data_type) {
            Some((head, text)) => held.bytes.chunks(text).flat_map(|text| empty(text, head)).collect(),
            None => held.bytes.iter().map(|byte| !byte).collect::<Vec<u8>>(),
        };
        match held.bit {
            Some(bit) => plc.write(held.area, held.offset, &[plc.read(held.area, held.offset, 1)[0] ^ 1 << bit]),
            None => plc.write(held.area, held.offset, &bytes),
        }
    }
}

/// The bytes of a text type's first number, and of a whole text.
fn text_head(data_type: &str) -> Option<(usize, usize)> {
    let (name, length) = data_type.strip_suffix(')')?.split_once('(')?;
    let length: usize = length.parse().expect("a length in the case file");
    Some(if name == "STRING" { (1, 2 + length) } else { (2, 4 + 2 * length) })
}

/// A text that keeps how long it may be.
fn empty(text: &[u8], head: usize) -> Vec<u8> {
    let mut bytes = text[..head].to_vec();
    bytes.resize(text.len(), 0);
    bytes
}

fn held_by(entry: &Value) -> Held {
    let area = match text(entry, "area").as_str() {
        "DB" => Area::Block(number(&entry["block"])),
        "M" => Area::Flags,
        "I" => Area::Inputs,
        "Q" => Area::Outputs,
        "T" => Area::Timers,
        "C" => Area::Counters,
        other => panic!("{other} is no area"),
    };
    let bit = entry["bit"].as_u64().map(|bit| bit as u8);
    let bytes = match bit {
        Some(bit) => vec![u8::from(entry["value"] == true) << bit],
        None => from_hex(&text(entry, "bytes")),
    };
    Held { area, offset: number(&entry["offset"]), bytes, bit, data_type: text(entry, "type") }
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().collect();
    let pair =
        |pair: &[char]| pair.iter().filter_map(|digit| digit.to_digit(16)).fold(0, |byte, digit| byte << 4 | digit);
    digits.chunks(2).map(|digits| pair(digits) as u8).collect()
}
