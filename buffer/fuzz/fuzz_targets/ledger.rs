#![no_main]

use buffer as tested;

#[path = "../checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::check("ledger", input));
