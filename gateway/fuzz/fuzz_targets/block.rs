#![no_main]

use forebay::pipeline;

#[path = "../checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::block(input));
