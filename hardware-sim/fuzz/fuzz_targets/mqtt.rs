#![no_main]

#[path = "../../src/broker"]
mod broker {
    mod decode;
    mod encode;
    mod packet;
    mod property;
    mod reader;

    #[path = "../../fuzz/mqtt.rs"]
    pub(crate) mod mqtt;
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| broker::mqtt::check(input));
