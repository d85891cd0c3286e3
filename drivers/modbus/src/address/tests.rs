use proptest::prelude::*;

use super::*;

fn canonical(text: &str) -> String {
    Address::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).to_string()
}

#[test]
fn our_own_notation_prints_as_it_is_written() {
    for text in [
        "hr:100:REAL@CDAB",
        "hr:0:INT",
        "ir:65535:UINT",
        "co:5",
        "di:0:BOOL[8]",
        "hr:50.3",
        "hr:50.0:BOOL[16]",
        "hr:0:INT[10]",
        "hr:8:STRING(32)@BADC",
        "hr:8:WSTRING(4)[2]",
        "xr:10005:DINT",
        "2!hr:100:REAL",
        "hr:3:F16",
        "hr:9:DATE_AND_TIME",
    ] {
        assert_eq!(canonical(text), text);
    }
    assert_eq!(canonical("HR:7:f32@badc"), "hr:7:REAL@BADC");
    assert_eq!(canonical("hr:7"), "hr:7:INT");
    assert_eq!(canonical("hr:7:BOOL"), "hr:7.0");
}

#[test]
fn addresses_of_other_programs_are_taken_as_they_stand() {
    let cases = [
        // Modicon
        ("40101", "hr:100:INT"),
        ("400101", "hr:100:INT"),
        ("465536:UINT", "hr:65535:UINT"),
        ("30001:REAL", "ir:0:REAL"),
        ("10001", "di:0"),
        ("00001", "co:0"),
        ("40101.3", "hr:100.3"),
        // Neuron
        ("1!400101", "1!hr:100:INT"),
        ("1!400101.4", "1!hr:100.4"),
        ("2!000001", "2!co:0"),
        ("2!300010:UDINT", "2!ir:9:UDINT"),
        // PLC4X
        ("holding-register:101:REAL[2]", "hr:100:REAL[2]"),
        ("holding-register:1", "hr:0:INT"),
        ("input-register:1:UINT", "ir:0:UINT"),
        ("coil:1", "co:0"),
        ("coil:1:BOOL[8]", "co:0:BOOL[8]"),
        ("discrete-input:12", "di:11"),
        ("extended-register:0:DINT", "xr:0:DINT"),
        ("extended-register:10005", "xr:10005:INT"),
        ("4x00101:REAL", "hr:100:REAL"),
        ("4x0101:REAL[3]", "hr:100:REAL[3]"),
        ("3x00001", "ir:0:INT"),
        ("1x00001", "di:0"),
        ("0x00001", "co:0"),
        ("6x00000", "xr:0:INT"),
        ("600001", "xr:1:INT"),
        ("400101:REAL{unit-id: 2, byte-order: LITTLE_ENDIAN}", "2!hr:100:REAL@DCBA"),
        ("holding-register:1:DINT {byte-order: 'BIG_ENDIAN_BYTE_SWAP'}", "hr:0:DINT@BADC"),
        ("4x00001:DINT{byte-order: \"LITTLE_ENDIAN_WORD_SWAP\"}", "hr:0:DINT@CDAB"),
        ("holding-register:1[0..2]:STRING(20)", "hr:0:STRING(20)[3]"),
        ("holding-register:1[4]:DINT", "hr:8:DINT"),
        ("holding-register:1[4..7;1]:INT", "hr:3:INT[4]"),
        ("coil:1[2..3]", "co:2:BOOL[2]"),
    ];
    for (text, expected) in cases {
        assert_eq!(canonical(text), expected, "{text}");
        assert_eq!(canonical(expected), expected, "{text}");
    }
}

#[test]
fn offset_and_modicon_number_stand_side_by_side() {
    let also = |text: &str| Address::parse(text).expect(text).also();
    assert_eq!(also("hr:100:INT"), "offset 100 = 40101");
    assert_eq!(also("ir:0"), "offset 0 = 30001");
    assert_eq!(also("co:9999"), "offset 9999 = 010000");
    assert_eq!(also("hr:65535:UINT"), "offset 65535 = 465536");
    assert_eq!(also("xr:10005"), "file 2 record 5 = 610005");
}

#[test]
fn what_is_wrong_is_named_with_its_place_and_what_to_write() {
    let cases = [
        ("", 0..0, "expected hr:"),
        ("temperature", 0..11, "expected hr:"),
        ("holding-regster:1", 0..15, "did you mean `holding-register:`?"),
        ("hr:", 3..3, "no number from 0 to 65535"),
        ("hr:x", 3..4, "no number from 0 to 65535"),
        ("hr:REAL", 3..7, "no number from 0 to 65535"),
        ("hr:65536", 3..8, "no number from 0 to 65535"),
        ("hr:+5", 3..5, "no number from 0"),
        ("hr:65535:REAL", 0..13, "reaches to offset 65536"),
        ("hr:50.16", 6..8, "0 (least significant) to 15"),
        ("hr:50.3:INT", 8..11, "a bit of a register is BOOL"),
        ("co:5.1", 4..6, "single bits already"),
        ("co:5:INT", 0..8, "hold BOOL"),
        ("hr:0:RAEL", 5..9, "did you mean REAL?"),
        ("hr:0:S5TIME", 0..11, "Siemens"),
        ("40000", 1..5, "no number from 1 to 65536"),
        ("401", 0..3, "four or five digits"),
        ("4000101", 0..7, "four or five digits"),
        ("50001", 0..5, "expected hr:"),
        ("x!400101", 0..1, "a unit is a number"),
        ("256!400101", 0..3, "a unit is a number"),
        ("holding-register:0", 17..18, "no number from 1"),
        ("holding-register:1[4]", 0..21, "older releases of PLC4X"),
        ("holding-register:1[4]:INT[2]", 22..28, "given twice"),
        ("holding-register:1[a]:INT", 18..21, "a selection is"),
        ("hr:0{unit-id: 2", 4..15, "must end with `}`"),
        ("hr:0{unit: 2}", 5..12, "expected unit-id"),
        ("1!hr:0{unit-id: 2}", 0..18, "the unit is given twice"),
        ("hr:0:DINT@ABCD{byte-order: LITTLE_ENDIAN}", 0..41, "the byte order is given twice"),
        ("xr:9999:DINT", 0..12, "next file"),
    ];
    for (text, range, message) in cases {
        let error = Address::parse(text).expect_err(text);
        assert!(error.message.contains(message), "{text}: {error}");
        assert_eq!(error.range, range, "{text}: {error}");
    }
}

fn any_type() -> impl Strategy<Value = (DataType, Option<u16>)> {
    let names: Vec<&'static str> = DataType::names().collect();
    let elements = proptest::option::of(1_u16..50);
    (proptest::sample::select(names), 1_u16..40, elements).prop_map(|(name, length, elements)| {
        let data_type = match DataType::from_name(name) {
            Some(DataType::String(_)) => DataType::String(length),
            Some(DataType::Wstring(_)) => DataType::Wstring(length),
            other => other.unwrap_or(DataType::Int),
        };
        (data_type, elements)
    })
}

proptest! {
    #[test]
    fn every_address_prints_and_parses_back_to_itself(
        unit in proptest::option::of(any::<u8>()),
        area in proptest::sample::select(AREAS.to_vec()),
        start in 0_u32..70_000,
        (data_type, elements) in any_type(),
        bit in 0_u8..16,
        order in proptest::option::of(proptest::sample::select(Order::ALL.to_vec())),
    ) {
        let in_register = data_type == DataType::Bool && !area.is_bits();
        let address = Address { unit, area, start, data_type, elements, bit: if in_register { bit } else { 0 }, order };
        let text = address.to_string();
        match address.check(&text) {
            Ok(()) => prop_assert_eq!(Address::parse(&text), Ok(address)),
            Err(_) => prop_assert!(Address::parse(&text).is_err()),
        }
    }

    #[test]
    fn no_text_makes_it_panic_and_ranges_lie_within(text in "(\\PC|[0-9]|hr|coil|holding-register|REAL|[:.\\[\\]()@!{},;x]){0,12}") {
        match Address::parse(&text) {
            Ok(address) => prop_assert_eq!(Address::parse(&address.to_string()), Ok(address)),
            Err(error) => prop_assert!(text.get(error.range).is_some()),
        }
    }
}
