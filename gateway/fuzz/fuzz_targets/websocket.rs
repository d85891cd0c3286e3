#![no_main]

#[path = "../../src/uplink/mqtt/websocket/frame.rs"]
mod frame;
#[path = "../websocket.rs"]
mod websocket;

libfuzzer_sys::fuzz_target!(|input: &[u8]| websocket::check(input));
