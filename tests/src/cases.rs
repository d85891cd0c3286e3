//! The values of `cases/modbus-types.json`: every type in every byte order, with the registers that hold them.

use hardware_sim::modbus::{Plant, Table};
use serde_json::Value;

use crate::need;
use crate::subscriber::Received;

/// So many bits the far sides hold in each table of bits.
pub const BITS: usize = 64;

/// One value and where it stands.
#[derive(Debug, Clone)]
pub struct Case {
    /// The tag's name, which no other case has.
    pub tag: String,
    /// The address as written in a gateway file.
    pub address: String,
    /// What must arrive as `value`.
    pub value: Value,
    table: Table,
    offset: u16,
    registers: Vec<u16>,
}

/// All cases of the file.
pub fn registers() -> Vec<Case> {
    let path = need::root().join("tests/cases/modbus-types.json");
    let text = std::fs::read_to_string(path).expect("the case file is part of the checkout");
    let cases: Value = serde_json::from_str(&text).expect("the case file is JSON");
    cases.as_array().expect("the case file is a list").iter().map(case).collect()
}

/// Single bits, arrays of bits, and bits of registers, as the far sides hold them.
pub fn bits() -> Vec<Case> {
    let bit = |tag: &str, address: &str, value: Value| Case {
        tag: tag.into(),
        address: address.into(),
        value,
        table: Table::Coils,
        offset: 0,
        registers: Vec::new(),
    };
    vec![
        bit("coil_set", "co:3", true.into()),
        bit("coil_clear", "co:4", false.into()),
        bit("input_clear", "di:3", false.into()),
        bit("input_set", "di:62", true.into()),
        bit("coils", "co:8:BOOL[4]", Value::from(vec![false, true, false, false])),
        bit("inputs", "di:8:BOOL[4]", Value::from(vec![true, false, true, true])),
        bit("bit_set", "hr:0.7", true.into()),
        bit("bit_clear", "hr:0.2", false.into()),
    ]
}

/// Whether the coil of this number is set at the far sides; the discrete input is the opposite.
pub fn coil(number: usize) -> bool {
    number.is_multiple_of(3)
}

/// Puts all cases into a simulated unit.
pub fn fill(plant: &Plant, unit: u8) {
    for case in registers() {
        plant.write(unit, case.table, case.offset, &case.registers);
    }
    let coils: Vec<bool> = (0..BITS).map(coil).collect();
    plant.write_coils(unit, 0, &coils);
    plant.write_discrete(unit, 0, &coils.iter().map(|set| !set).collect::<Vec<_>>());
}

/// The `tags:` of a gateway file for these cases, in flow style.
pub fn tags(cases: &[Case]) -> String {
    let lines: Vec<String> = cases.iter().map(|case| format!("      {}: \"{}\"\n", case.tag, case.address)).collect();
    lines.concat()
}

/// Whether the reading holds the value of the case: numbers to the last bit of their type, all else literally.
pub fn holds(case: &Case, reading: &Received) -> bool {
    reading.is_good() && same(&case.value, reading.value())
}

fn same(wanted: &Value, got: &Value) -> bool {
    match (wanted, got) {
        (Value::Array(wanted), Value::Array(got)) => {
            wanted.len() == got.len() && wanted.iter().zip(got).all(|(wanted, got)| same(wanted, got))
        }
        (Value::Number(wanted), Value::Number(got)) => {
            let integers = (wanted.as_i64(), wanted.as_u64()) == (got.as_i64(), got.as_u64());
            let whole = wanted.as_i64().is_some() || wanted.as_u64().is_some();
            if whole { integers } else { wanted.as_f64() == got.as_f64() }
        }
        _ => wanted == got,
    }
}

fn case(entry: &Value) -> Case {
    let text = |name: &str| entry[name].as_str().expect("a text in the case file").to_owned();
    let number = |value: &Value| u16::try_from(value.as_u64().expect("a number in the case file")).expect("16 bits");
    Case {
        tag: text("tag"),
        address: text("address"),
        value: entry["value"].clone(),
        table: if entry["table"] == "ir" { Table::InputRegisters } else { Table::HoldingRegisters },
        offset: number(&entry["offset"]),
        registers: entry["registers"].as_array().expect("registers").iter().map(number).collect(),
    }
}
