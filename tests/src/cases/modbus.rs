//! The values of `cases/modbus-types.json`: every type in every byte order, with the registers that hold them.

use hardware_sim::modbus::{Plant, Table};
use serde_json::Value;

use super::{Case, case, entries, number};

const FILE: &str = "modbus-types.json";

/// So many bits the far sides hold in each table of bits.
pub const BITS: usize = 64;

/// All cases of the file.
pub fn registers() -> Vec<Case> {
    entries(FILE).iter().map(case).collect()
}

/// Single bits, arrays of bits, and bits of registers, as the far sides hold them.
pub fn bits() -> Vec<Case> {
    let bit = |tag: &str, address: &str, value: Value| Case { tag: tag.into(), address: address.into(), value };
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
    for entry in entries(FILE) {
        let table = if entry["table"] == "ir" { Table::InputRegisters } else { Table::HoldingRegisters };
        let registers = entry["registers"].as_array().expect("registers").iter().map(number).collect::<Vec<_>>();
        plant.write(unit, table, number(&entry["offset"]), &registers);
    }
    let coils: Vec<bool> = (0..BITS).map(coil).collect();
    plant.write_coils(unit, 0, &coils);
    plant.write_discrete(unit, 0, &coils.iter().map(|set| !set).collect::<Vec<_>>());
}
