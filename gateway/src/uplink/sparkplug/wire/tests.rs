use driver_core::Value;
use proptest::prelude::*;
use prost::Message;

use super::super::oracle::{self, Content};
use super::*;

fn written(kind: MetricType, value: &Value, properties: &[Property<'_>]) -> Vec<u8> {
    let heading =
        Heading { name: Some("t"), alias: Some(300), time_ms: 1_795_400_913_123, announced: Some(kind.code()) };
    let mut out = Vec::new();
    write_metric(&heading, Some((kind, value)), properties, &mut out);
    out
}

#[test]
fn prost_reads_what_is_written_by_hand() {
    let text = Value::Text("x".repeat(300).into());
    let row = |elements: &[Value]| Value::Array(elements.into());
    let cases = [
        (Value::Int(-1), Content::Long(u64::MAX)),
        (Value::UInt(u64::MAX), Content::Long(u64::MAX)),
        (Value::Real(0.1), Content::Float(0.1)),
        (Value::LReal(0.1), Content::Double(0.1)),
        (Value::Bool(true), Content::Bool(true)),
        (text.clone(), Content::Text("x".repeat(300))),
        (Value::Duration(-5), Content::Long(-5_i64 as u64)),
        (Value::DateTime(-1), Content::Long(-1_i64 as u64)),
        (row(&[Value::Bool(true), Value::Bool(false), Value::Bool(true)]), Content::Bytes(vec![3, 0, 0, 0, 0xa0])),
        (row(&[Value::Text("a".into()), Value::Text("".into())]), Content::Bytes(b"a\0\0".to_vec())),
        (row(&[Value::Real(1.0)]), Content::Bytes(vec![0, 0, 0x80, 0x3f])),
    ];
    for (value, content) in cases {
        let kind = MetricType::of_value(&value);
        let bytes = written(kind, &value, &[Property::Int("Quality", 500), Property::Text("engUnit", "°C")]);
        let metric = &oracle::metrics(&bytes)[0];
        assert_eq!((metric.name(), metric.alias(), metric.timestamp()), ("t", 300, 1_795_400_913_123));
        assert_eq!((metric.datatype(), metric.content.as_ref()), (kind.code(), Some(&content)), "{value:?}");
        assert_eq!((metric.int("Quality"), metric.text("engUnit")), (Some(500), Some("°C")));
    }
}

#[test]
fn small_integers_are_in_32_bits_of_twos_complement() {
    use super::super::metric::{Element, Shape};
    let of = |element| MetricType { element, shape: Shape::One };
    let cases = [
        (Element::Int8, Value::Int(-128), Some(0xffff_ff80)),
        (Element::Int16, Value::Int(-1), Some(0xffff_ffff)),
        (Element::Int32, Value::Int(i32::MIN.into()), Some(0x8000_0000)),
        (Element::UInt8, Value::UInt(255), Some(255)),
        (Element::UInt32, Value::UInt(u32::MAX.into()), Some(u32::MAX)),
        (Element::UInt16, Value::UInt(70_000), None),
        (Element::Int8, Value::Int(128), None),
    ];
    for (element, value, expected) in cases {
        assert_eq!(of(element).takes(&value), expected.is_some(), "{element:?} {value:?}");
        if let Some(expected) = expected {
            let metric = &oracle::metrics(&written(of(element), &value, &[]))[0];
            assert_eq!((metric.datatype(), &metric.content), (element as u32, &Some(Content::Int(expected))));
        }
    }
    let row = Value::Array([Value::Int(-2), Value::Int(1)].into());
    let kind = MetricType { element: Element::Int16, shape: Shape::Array };
    let metric = &oracle::metrics(&written(kind, &row, &[]))[0];
    assert_eq!((metric.datatype(), &metric.content), (23, &Some(Content::Bytes(vec![0xfe, 0xff, 1, 0]))));
}

#[test]
fn history_is_marked_in_each_metric_and_nothing_else_changes() {
    let mut row = Vec::new();
    for value in [Value::Int(1), Value::Text("y".repeat(126).into()), Value::Bool(true)] {
        row.extend(written(MetricType::of_value(&value), &value, &[]));
    }
    let (live, mut past) = (oracle::metrics(&row), oracle::metrics(&as_history(&row)));
    assert!(past.iter().all(|metric| metric.is_historical == Some(true)));
    past.iter_mut().for_each(|metric| metric.is_historical = None);
    assert_eq!(live, past);
}

#[test]
fn a_payload_ends_with_its_time_and_its_seq() {
    let mut payload = written(MetricType::of_value(&Value::Int(1)), &Value::Int(1), &[]);
    finish(1_795_400_913_123, Some(255), &mut payload);
    let decoded = oracle::payload(&payload);
    assert_eq!((decoded.timestamp(), decoded.seq(), decoded.metrics.len()), (1_795_400_913_123, 255, 1));
}

proptest! {
    #[test]
    fn any_value_is_read_back_by_prost(
        name in proptest::option::of("\\PC{0,200}"), alias in proptest::option::of(any::<u64>()), time_ms: u64,
        value in prop_oneof![
            any::<i64>().prop_map(Value::Int), any::<u64>().prop_map(Value::UInt), any::<bool>().prop_map(Value::Bool),
            "\\PC{0,300}".prop_map(|text: String| Value::Text(text.into())),
        ],
    ) {
        let kind = MetricType::of_value(&value);
        let heading = Heading { name: name.as_deref(), alias, time_ms, announced: Some(kind.code()) };
        let mut out = Vec::new();
        write_metric(&heading, Some((kind, &value)), &[], &mut out);
        let decoded = oracle::payload(&out);
        let metric = &decoded.metrics[0];
        prop_assert_eq!((&metric.name, metric.alias, metric.timestamp()), (&name, alias, time_ms));
        prop_assert_eq!(metric.value(), Some(value));
        prop_assert_eq!(decoded.encoded_len(), out.len());
        prop_assert_eq!(oracle::metrics(&as_history(&out))[0].is_historical, Some(true));
    }

    #[test]
    fn garbage_is_never_marked_nor_lost(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        prop_assert!(as_history(&bytes).len() >= bytes.len());
        if let Some((_, size)) = read_varint(&bytes) {
            prop_assert!((1..=bytes.len()).contains(&size));
        }
    }
}
