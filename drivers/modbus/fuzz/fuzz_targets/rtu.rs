#![no_main]

use driver_modbus::{ModbusDevice, address, config, wire};

#[path = "../checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::check("rtu", input));
