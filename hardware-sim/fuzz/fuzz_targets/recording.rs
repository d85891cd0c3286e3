#![no_main]

use hardware_sim as tested;

#[path = "../checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::check("recording", input));
