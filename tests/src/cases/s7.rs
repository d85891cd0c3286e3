//! The values of `cases/s7-types.json`: every type in every area, with the bytes that hold them.

use hardware_sim::s7::{Area, Plc};

use super::{Case, case, entries, number, text};

const FILE: &str = "s7-types.json";

/// All cases of the file.
pub fn all() -> Vec<Case> {
    entries(FILE).iter().map(case).collect()
}

/// Puts all cases into a simulated PLC.
pub fn fill(plc: &Plc) {
    for entry in entries(FILE) {
        let area = match text(&entry, "area").as_str() {
            "DB" => Area::Block(number(&entry["block"])),
            "M" => Area::Flags,
            "I" => Area::Inputs,
            "Q" => Area::Outputs,
            "T" => Area::Timers,
            "C" => Area::Counters,
            other => panic!("{other} is no area"),
        };
        let offset = number(&entry["offset"]);
        let bytes = match entry["bit"].as_u64() {
            Some(bit) => {
                let held = plc.read(area, offset, 1)[0];
                vec![held | u8::from(entry["value"] == true) << bit]
            }
            None => from_hex(&text(&entry, "bytes")),
        };
        plc.write(area, offset, &bytes);
    }
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().collect();
    let pair =
        |pair: &[char]| pair.iter().filter_map(|digit| digit.to_digit(16)).fold(0, |byte, digit| byte << 4 | digit);
    digits.chunks(2).map(|digits| pair(digits) as u8).collect()
}
