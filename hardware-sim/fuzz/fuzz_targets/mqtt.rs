#![no_main]

mod broker {
    #[path = "../../../src/broker/decode.rs"]
    mod decode;
    #[path = "../../../src/broker/encode.rs"]
    mod encode;
    #[path = "../../../src/broker/packet.rs"]
    mod packet;
    #[path = "../../../src/broker/property.rs"]
    mod property;
    #[path = "../../../src/broker/reader.rs"]
    mod reader;

    #[path = "../../mqtt.rs"]
    pub(crate) mod mqtt;
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| broker::mqtt::check(input));
