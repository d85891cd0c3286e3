#![no_main]

use driver_s7::{S7Device, address, config, form, wire};

#[path = "../checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::check("form", input));
