#![no_main]

use forebay::{config, pipeline, uplink};

#[path = "../checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::check("kafka", input));
