//! Values to bytes and back, byte by byte, and bytes that are no value.

use driver_core::parse_value;
use proptest::prelude::*;

use super::*;

fn form(data_type: DataType) -> Form {
    Form::new(data_type, None, 0, Order::Abcd)
}

/// The bytes of a value that is written in one part.
fn bytes(form: Form, value: &Value) -> Vec<u8> {
    match form.encode(value).expect("it fits").as_slice() {
        [Part::Bytes { at: 0, bytes }] => bytes.clone(),
        [Part::Text { at: 0, bytes, head, .. }] => [vec![0; usize::from(head.bytes())], bytes.clone()].concat(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn siemens_own_forms_are_read_and_written_byte_by_byte() {
    let cases: [(DataType, &str, &[u8]); 20] = [
        (DataType::Date, "1990-01-01", &[0, 0]),
        (DataType::Date, "2026-11-27", &[0x34, 0xA7]),
        (DataType::Date, "2168-12-31", &[0xFF, 0x62]),
        (DataType::DateAndTime, "1993-12-25T08:12:34.567", &[0x93, 0x12, 0x25, 0x08, 0x12, 0x34, 0x56, 0x77]),
        (DataType::DateAndTime, "2026-11-27T22:36:11", &[0x26, 0x11, 0x27, 0x22, 0x36, 0x11, 0x00, 0x06]),
        (DataType::DateAndTime, "2089-12-31T23:59:59.999", &[0x89, 0x12, 0x31, 0x23, 0x59, 0x59, 0x99, 0x97]),
        (DataType::Dtl, "2026-11-27T22:36:11.000000001", &[0x07, 0xEA, 11, 27, 6, 22, 36, 11, 0, 0, 0, 1]),
        (DataType::Dtl, "1970-01-01T00:00:00", &[0x07, 0xB2, 1, 1, 5, 0, 0, 0, 0, 0, 0, 0]),
        (DataType::S5time, "0s", &[0x00, 0x00]),
        (DataType::S5time, "9.99s", &[0x09, 0x99]),
        (DataType::S5time, "10s", &[0x11, 0x00]),
        (DataType::S5time, "127s", &[0x21, 0x27]),
        (DataType::S5time, "9990s", &[0x39, 0x99]),
        (DataType::Time, "-1ms", &[0xFF; 4]),
        (DataType::TimeOfDay, "12:00", &[0x02, 0x93, 0x2E, 0x00]),
        (DataType::Ltod, "00:00:00.000000007", &[0, 0, 0, 0, 0, 0, 0, 7]),
        (DataType::Ldt, "1970-01-01T00:00:01", &[0, 0, 0, 0, 0x3B, 0x9A, 0xCA, 0]),
        (DataType::Real, "1", &[0x3F, 0x80, 0, 0]),
        (DataType::Char, "A", b"A"),
        (DataType::Wchar, "Ä", &[0, 0xC4]),
    ];
    for (data_type, text, expected) in cases {
        let value = parse_value(text, data_type, 1).expect(text);
        assert_eq!(bytes(form(data_type), &value), expected, "{data_type} {text}");
        assert_eq!(form(data_type).decoder(0).decode(expected), Some(value), "{data_type} {text}");
        assert_eq!(form(data_type).bytes(), expected.len(), "{data_type}");
    }
}

#[test]
fn texts_have_a_head_with_their_lengths() {
    let text = Value::Text("Öl".into());
    assert_eq!(bytes(form(DataType::String(10)), &text), [0, 2, 0xD6, b'l']);
    assert_eq!(bytes(form(DataType::Wstring(10)), &text), [0, 0, 0, 2, 0, 0xD6, 0, b'l']);
    let narrow = |bytes: &[u8]| form(DataType::String(3)).decoder(0).decode(bytes);
    assert_eq!(narrow(&[3, 2, 0xD6, b'l', 99]), Some(text.clone()));
    assert_eq!(narrow(&[254, 3, b'a', 0, b' ']), Some(Value::Text("a\0 ".into())), "all characters are its own");
    assert_eq!(narrow(&[0, 0, 9, 9, 9]), Some(Value::Text("".into())));
    for no_text in [[3, 4, 1, 1, 1], [255, 1, 1, 1, 1], [1, 2, 1, 1, 1], [9, 4, 1, 1, 1]] {
        assert_eq!(narrow(&no_text), None, "{no_text:?}");
    }
    let wide = |bytes: &[u8]| form(DataType::Wstring(2)).decoder(0).decode(bytes);
    assert_eq!(wide(&[0, 2, 0, 2, 0, 0xD6, 0, b'l']), Some(text));
    assert_eq!(wide(&[0, 2, 0, 1, 0xD8, 0, 0, 0]), None, "half of a surrogate pair");
    assert_eq!(wide(&[0, 9, 0, 3, 0, 1, 0, 1]), None, "longer than the address says");
    assert_eq!(wide(&[0, 1, 0, 2, 0, 1, 0, 1]), None);
}

#[test]
fn bytes_that_are_no_date_time_or_count_are_no_value() {
    let dt = |bytes: [u8; 8]| form(DataType::DateAndTime).decoder(0).decode(&bytes);
    for bytes in [
        [0x2A, 0x11, 0x27, 0x22, 0x36, 0x11, 0x00, 0x06],
        [0x26, 0x13, 0x27, 0x22, 0x36, 0x11, 0x00, 0x06],
        [0x26, 0x02, 0x29, 0x22, 0x36, 0x11, 0x00, 0x06],
        [0x26, 0x11, 0x27, 0x24, 0x36, 0x11, 0x00, 0x06],
        [0x26, 0x11, 0x27, 0x22, 0x60, 0x11, 0x00, 0x06],
        [0x26, 0x11, 0x27, 0x22, 0x36, 0x11, 0x00, 0xA6],
        [0; 8],
    ] {
        assert_eq!(dt(bytes), None, "{bytes:02x?}");
    }
    let none = |data_type, bytes: &[u8]| {
        assert_eq!(form(data_type).decoder(0).decode(bytes), None, "{data_type} {bytes:02x?}")
    };
    none(DataType::Dtl, &[0; 12]);
    none(DataType::Dtl, &[0x07, 0xEA, 2, 30, 6, 22, 36, 11, 0, 0, 0, 1]);
    none(DataType::Dtl, &[0x07, 0xEA, 11, 27, 6, 22, 36, 11, 0x3B, 0x9A, 0xCA, 0]);
    none(DataType::Dtl, &[0xFF, 0xFF, 11, 27, 6, 22, 36, 11, 0, 0, 0, 1]);
    none(DataType::Date, &[0xFF, 0x63]);
    none(DataType::S5time, &[0x0A, 0]);
    none(DataType::TimeOfDay, &86_400_000_u32.to_be_bytes());
    none(DataType::Ltod, &u64::MAX.to_be_bytes());
    none(DataType::Dtl, &[0; 11]);
    assert_eq!(Form::counter(None).decoder(0).decode(&[0x10, 0]), None);
    assert_eq!(Form::counter(None).decoder(0).decode(&[0x0A, 0]), None);
    assert_eq!(
        Form::counter(Some(2)).decoder(1).decode(&[0, 9, 0x99, 0, 7]),
        Some(Value::Array([Value::UInt(999), Value::UInt(7)].into()))
    );
}

#[test]
fn what_does_not_fit_is_refused_with_its_cause() {
    let refused = |data_type, text: &str, as_type| {
        let value = parse_value(text, as_type, 1).expect(text);
        form(data_type).encode(&value).expect_err(text).to_string()
    };
    assert!(refused(DataType::Date, "2026-11-27T01:00", DataType::Ldt).contains("no time of day"));
    assert!(refused(DataType::Date, "1989-12-31", DataType::Ldt).contains("1990-01-01"));
    assert!(refused(DataType::DateAndTime, "2090-01-01", DataType::Ldt).contains("1990 and 2089"));
    assert!(refused(DataType::DateAndTime, "2026-01-01T00:00:00.0001", DataType::Ldt).contains("milliseconds"));
    assert!(refused(DataType::Dtl, "1969-01-01", DataType::Ldt).contains("1970"));
    assert!(refused(DataType::S5time, "9995s", DataType::Time).contains("999 times"));
    assert!(refused(DataType::S5time, "-1s", DataType::Time).contains("999 times"));
    assert!(refused(DataType::S5time, "1", DataType::Int).contains("a duration is wanted"));
    assert!(refused(DataType::String(3), "Pump", DataType::String(9)).contains("4 characters, 3 fit"));
    assert!(refused(DataType::String(9), "€", DataType::String(9)).contains("WSTRING"));
    assert!(refused(DataType::Wstring(1), "no", DataType::String(9)).contains("2 characters, 1 fit"));
    assert!(Form::counter(None).encode(&Value::UInt(1000)).is_err());
    assert_eq!(bytes(Form::counter(None), &Value::UInt(907)), [9, 7]);
    let three = Form::new(DataType::Date, Some(3), 0, Order::Abcd);
    assert!(three.encode(&Value::DateTime(0)).expect_err("one").to_string().contains("array of 3"));
    assert!(form(DataType::Date).encode(&Value::Array([].into())).is_err());
    assert!(form(DataType::TimeOfDay).encode(&Value::TimeOfDay(NANOS_PER_DAY)).is_err());
}

#[test]
fn bits_are_written_one_by_one() {
    let bits = Form::new(DataType::Bool, Some(3), 6, Order::Abcd);
    let value = Value::Array([Value::Bool(true), Value::Bool(false), Value::Bool(true)].into());
    let expected = [(0, 6, true), (0, 7, false), (1, 0, true)].map(|(at, bit, on)| Part::Bit { at, bit, on });
    assert_eq!(bits.encode(&value), Ok(expected.to_vec()));
    assert_eq!(bits.decoder(0).decode(&[0x40, 0x01]), Some(value));
}

proptest! {
    #[test]
    fn what_decodes_is_encoded_to_bytes_that_decode_to_it(raw in any::<[u8; 32]>(), elements in proptest::option::of(1_u16..3)) {
        let types = [
            DataType::Date, DataType::DateAndTime, DataType::Dtl, DataType::S5time, DataType::TimeOfDay, DataType::Ltod, DataType::Int, DataType::Lreal,
        ];
        for data_type in types {
            let form = Form::new(data_type, elements, 0, Order::Abcd);
            let Some(value) = form.decoder(0).decode(&raw) else { continue };
            let again = form.decoder(0).decode(&bytes(form, &value));
            prop_assert_eq!(format!("{again:?}"), format!("{:?}", Some(value)), "{}", data_type);
        }
    }
}
