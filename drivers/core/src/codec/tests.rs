use proptest::prelude::*;

use super::*;
use crate::{Value, WriteError};

const LAYOUTS: [Layout; 2] = [Layout::Registers, Layout::Bytes];

/// Every type whose bit patterns are all values, exactly one each.
const EXACT: [DataType; 22] = [
    DataType::Usint,
    DataType::Sint,
    DataType::Byte,
    DataType::Char,
    DataType::Int,
    DataType::Uint,
    DataType::Word,
    DataType::Half,
    DataType::Dint,
    DataType::Udint,
    DataType::Dword,
    DataType::Real,
    DataType::Time,
    DataType::Date,
    DataType::TimeOfDay,
    DataType::DateAndTime,
    DataType::Lint,
    DataType::Ulint,
    DataType::Lreal,
    DataType::Ltime,
    DataType::Ltod,
    DataType::Ldt,
];

fn field(data_type: DataType, order: Order, layout: Layout) -> Field {
    Field { data_type, order, layout, elements: None, bit: 0 }
}

fn decode(field: Field, bytes: &[u8]) -> Option<Value> {
    field.decoder(0).decode(bytes)
}

#[test]
fn the_letters_of_an_order_are_the_order_of_the_bytes() {
    let value = Value::UInt(0x0102_0304);
    let long = Value::UInt(0x0102_0304_0506_0708);
    let cases = [
        (Order::Abcd, [3, 4], [1, 2, 3, 4], [1, 2, 3, 4, 5, 6, 7, 8]),
        (Order::Cdab, [3, 4], [3, 4, 1, 2], [7, 8, 5, 6, 3, 4, 1, 2]),
        (Order::Badc, [4, 3], [2, 1, 4, 3], [2, 1, 4, 3, 6, 5, 8, 7]),
        (Order::Dcba, [4, 3], [4, 3, 2, 1], [8, 7, 6, 5, 4, 3, 2, 1]),
    ];
    for (order, two, four, eight) in cases {
        let at = |data_type| field(data_type, order, Layout::Registers);
        assert_eq!(decode(at(DataType::Uint), &two), Some(Value::UInt(0x0304)), "{order}");
        assert_eq!(decode(at(DataType::Udint), &four), Some(value.clone()), "{order}");
        assert_eq!(decode(at(DataType::Ulint), &eight), Some(long.clone()), "{order}");
    }
}

#[test]
fn narrow_types_lie_in_the_low_byte_of_a_register() {
    let low = field(DataType::Sint, Order::Abcd, Layout::Registers);
    assert_eq!((low.bytes(), low.units()), (2, 1));
    assert_eq!(decode(low, &[0x12, 0xFF]), Some(Value::Int(-1)));
    assert_eq!(decode(field(DataType::Byte, Order::Badc, Layout::Registers), &[0x12, 0xFF]), Some(Value::UInt(0x12)));
    assert_eq!(decode(field(DataType::Byte, Order::Abcd, Layout::Bytes), &[0x12, 0xFF]), Some(Value::UInt(0x12)));
}

#[test]
fn bits_are_counted_from_the_least_significant_one_and_run_on_into_the_next_register() {
    let bit = |bit, order| Field { bit, ..field(DataType::Bool, order, Layout::Registers) };
    assert_eq!(decode(bit(3, Order::Abcd), &[0, 8]), Some(Value::Bool(true)));
    assert_eq!(decode(bit(11, Order::Abcd), &[8, 0]), Some(Value::Bool(true)));
    assert_eq!(decode(bit(3, Order::Badc), &[8, 0]), Some(Value::Bool(true)));
    let across = Field { elements: Some(3), ..bit(15, Order::Abcd) };
    assert_eq!((across.bytes(), across.units()), (4, 2));
    let expected = Value::Array([true, false, true].map(Value::Bool).into());
    assert_eq!(decode(across, &[0x80, 0, 0, 0b10]), Some(expected.clone()));
    assert_eq!(across.encode(&expected), Ok(vec![0x80, 0, 0, 0b10]));
    assert_eq!(across.mask(), [0x80, 0, 0, 0b11]);
}

#[test]
fn packed_bits_are_found_at_their_place() {
    let coils = Field { elements: Some(3), ..field(DataType::Bool, Order::Abcd, Layout::Bits) };
    let expected = Value::Array([true, false, true].map(Value::Bool).into());
    assert_eq!(coils.decoder(7).decode(&[0x80, 0b10]), Some(expected.clone()));
    assert_eq!(coils.decoder(14).decode(&[0x80, 0b10]), None);
    assert_eq!(coils.encode(&expected), Ok(vec![0b101]));
    assert_eq!(Field { bit: 6, ..coils }.encode(&expected), Ok(vec![0b101]), "a coil has no bits");
}

#[test]
fn strings_are_trimmed_swapped_and_read_as_latin_1_where_they_are_no_utf_8() {
    let string = |length, order| field(DataType::String(length), order, Layout::Registers);
    let text = |text: &str| Some(Value::Text(text.into()));
    assert_eq!(decode(string(5, Order::Abcd), b"Pump \0"), text("Pump"));
    assert_eq!(decode(string(5, Order::Abcd), b"Pumpe!"), text("Pumpe"));
    assert_eq!(decode(string(5, Order::Badc), b"uPpm!e"), text("Pumpe"));
    assert_eq!(decode(string(4, Order::Abcd), "Öl".as_bytes().get(..4).unwrap_or(b"\xC3\x96l\0")), text("Öl"));
    assert_eq!(decode(string(2, Order::Abcd), b"\xD6l"), text("Öl"));
    assert_eq!(
        decode(field(DataType::Wstring(3), Order::Abcd, Layout::Registers), &[0x20, 0xAC, 0, 0, 0, 1]),
        text("€")
    );
    assert_eq!(decode(field(DataType::Wstring(1), Order::Abcd, Layout::Registers), &[0xD8, 0]), None);
    assert_eq!(string(5, Order::Badc).encode(&Value::Text("Pumpe".into())), Ok(b"uPpm\0e".to_vec()));
}

#[test]
fn times_become_nanoseconds() {
    let at = |data_type| field(data_type, Order::Abcd, Layout::Registers);
    let second = 1_000_000_000;
    assert_eq!(decode(at(DataType::Time), &(-1500_i32).to_be_bytes()), Some(Value::Duration(-1500 * second / 1000)));
    assert_eq!(decode(at(DataType::Date), &86_400_u32.to_be_bytes()), Some(Value::DateTime(86_400 * second)));
    assert_eq!(decode(at(DataType::TimeOfDay), &1_u32.to_be_bytes()), Some(Value::TimeOfDay(second / 1000)));
    assert_eq!(decode(at(DataType::Ldt), &7_u64.to_be_bytes()), Some(Value::DateTime(7)));
    assert_eq!(decode(at(DataType::Dtl), &[0; 12]), None);
    assert!(!at(DataType::S5time).is_known());
}

#[test]
fn what_does_not_fit_is_refused_with_its_cause() {
    let refused = |data_type, value: Value| match field(data_type, Order::Abcd, Layout::Registers).encode(&value) {
        Err(WriteError::Value { cause, .. }) => cause,
        other => panic!("{other:?}"),
    };
    assert!(refused(DataType::Int, Value::Int(40_000)).contains("out of the type's range"));
    assert!(refused(DataType::Uint, Value::Int(-1)).contains("out of the type's range"));
    assert!(refused(DataType::Int, Value::LReal(1.5)).contains("not a whole number"));
    assert!(refused(DataType::Int, Value::LReal(f64::NAN)).contains("not a whole number"));
    assert!(refused(DataType::Real, Value::LReal(1e300)).contains("3.4e38"));
    assert!(refused(DataType::Half, Value::Real(1e6)).contains("65504"));
    assert!(refused(DataType::Int, Value::Text("7".into())).contains("a whole number is wanted"));
    assert!(refused(DataType::String(3), Value::Text("Pump".into())).contains("4 bytes, 3 fit"));
    assert!(refused(DataType::Time, Value::Duration(1)).contains("multiple"));
    assert!(refused(DataType::Int, Value::Array([].into())).contains("no array"));
    let five = Field { elements: Some(5), ..Field::in_registers(DataType::Int) };
    assert_eq!(
        five.encode(&Value::Array([Value::Int(1)].into())).expect_err("too few").to_string(),
        "the value does not fit INT[5]: 5 elements are wanted, 1 came"
    );
}

#[test]
fn numbers_of_another_kind_are_taken_where_nothing_is_lost() {
    let encode = |data_type, value| Field::in_registers(data_type).encode(&value);
    assert_eq!(encode(DataType::Int, Value::LReal(-2.0)), Ok(vec![0xFF, 0xFE]));
    assert_eq!(encode(DataType::Real, Value::Int(1)), Ok(1f32.to_be_bytes().to_vec()));
    assert_eq!(encode(DataType::Real, Value::LReal(0.1)), Ok(0.1f32.to_be_bytes().to_vec()));
    assert_eq!(encode(DataType::Bool, Value::Int(1)), Ok(vec![0, 1]));
}

fn any_order() -> impl Strategy<Value = Order> {
    proptest::sample::select(Order::ALL.to_vec())
}

fn any_layout() -> impl Strategy<Value = Layout> {
    proptest::sample::select(LAYOUTS.to_vec())
}

proptest! {
    #[test]
    fn every_bit_pattern_comes_back_as_itself(
        pattern in any::<[u8; 8]>(),
        order in any_order(),
        layout in any_layout(),
        elements in proptest::option::of(1_u16..5),
    ) {
        for data_type in EXACT {
            let field = Field { elements, ..field(data_type, order, layout) };
            let mut bytes: Vec<u8> = pattern.iter().copied().cycle().take(field.bytes()).collect();
            if element_bytes(data_type) == 1 && layout == Layout::Registers {
                // The other byte of the register holds nothing.
                bytes.iter_mut().skip(usize::from(order.swaps_bytes())).step_by(2).for_each(|byte| *byte = 0);
            }
            let value = decode(field, &bytes).expect("every pattern is a value");
            prop_assert_eq!(field.encode(&value), Ok(bytes), "{} {} {:?}", data_type, order, value);
        }
    }

    #[test]
    fn every_text_that_fits_comes_back_as_itself(text in "\\PC{0,20}", order in any_order(), layout in any_layout()) {
        let text = text.trim_end_matches(' ');
        let value = Value::Text(text.into());
        for data_type in [DataType::String(81), DataType::Wstring(41)] {
            let field = field(data_type, order, layout);
            let bytes = field.encode(&value).expect("it fits");
            prop_assert_eq!(bytes.len(), field.bytes());
            prop_assert_eq!(decode(field, &bytes), Some(value.clone()));
        }
    }

    #[test]
    fn bits_come_back_as_themselves(bits in proptest::collection::vec(any::<bool>(), 1..70), bit in 0_u8..16, order in any_order(), layout in any_layout()) {
        let count = u16::try_from(bits.len()).expect("few");
        let field = Field { elements: Some(count), bit, ..field(DataType::Bool, order, layout) };
        let value = Value::Array(bits.into_iter().map(Value::Bool).collect());
        let bytes = field.encode(&value).expect("it fits");
        prop_assert_eq!(decode(field, &bytes), Some(value));
        prop_assert!(bytes.iter().zip(field.mask()).all(|(byte, mask)| byte & !mask == 0));
    }

    #[test]
    fn bytes_cut_anywhere_are_no_value_and_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40), at in 0_u32..50, elements in proptest::option::of(1_u16..9), order in any_order(), layout in any_layout()) {
        for data_type in EXACT.into_iter().chain([DataType::Bool, DataType::String(7), DataType::Wstring(3), DataType::Wchar, DataType::Dtl]) {
            let field = Field { elements, ..field(data_type, order, layout) };
            let value = field.decoder(at).decode(&bytes);
            if at as usize + field.bytes() > bytes.len() && data_type != DataType::Bool {
                prop_assert_eq!(value, None);
            }
        }
    }
}
