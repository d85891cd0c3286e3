//! What is written by hand is read back by `apache-avro`.

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value as Read;
use driver_core::{Quality, Reason};
use proptest::prelude::*;

use super::super::keyed::tests::{keyed, messages, missing, reading};
use super::*;

fn read(schema: &Schema, bytes: &[u8]) -> Read {
    let mut rest = bytes;
    let reader = GenericDatumReader::builder(schema).build().expect("a reader");
    let read = reader.read_value(&mut rest).expect("a record of the schema");
    assert!(rest.is_empty(), "{} bytes are left over", rest.len());
    read
}

fn field<'r>(record: &'r Read, name: &str) -> &'r Read {
    let Read::Record(fields) = record else { panic!("no record: {record:?}") };
    &fields.iter().find(|(known, _)| known == name).unwrap_or_else(|| panic!("no field {name}")).1
}

fn branch(value: &Read) -> &Read {
    let Read::Union(_, value) = value else { panic!("no union: {value:?}") };
    value
}

fn reading_schema() -> Schema {
    Schema::parse_str(READING).expect("a schema")
}

fn readings(all: Vec<Reading>) -> Vec<Read> {
    let schema = reading_schema();
    let mut format = keyed("", Avro::default(), None).expect("a format");
    messages(&mut format, all).iter().map(|message| read(&schema, &message.payload)).collect()
}

fn text(text: &str) -> Read {
    Read::String(text.into())
}

/// A decimal as the number that it stands for, times 10^9.
fn unscaled(value: &Read) -> i128 {
    let Read::Decimal(decimal) = value else { panic!("no decimal: {value:?}") };
    let bytes = Vec::<u8>::try_from(decimal).expect("bytes");
    let start = if bytes[0] & 0x80 == 0 { 0 } else { -1 };
    bytes.iter().fold(start, |number: i128, byte| number << 8 | i128::from(*byte))
}

#[test]
fn a_reading_has_the_names_and_the_values_of_the_json_payload() {
    let record = &readings(vec![reading(0, Value::Real(21.5))])[0];
    assert_eq!(field(record, "time"), &Read::TimestampMicros(1_795_400_913_123_456));
    for (name, value) in [("gateway", "acme/line7"), ("device", "press"), ("tag", "temperature"), ("quality", "good")] {
        assert_eq!(field(record, name), &text(value));
    }
    assert_eq!(branch(field(record, "value")), &Read::Float(21.5));
    assert_eq!(branch(field(record, "unit")), &text("°C"));
    assert_eq!((field(record, "epoch"), field(record, "seq")), (&Read::Long(7), &Read::Long(1234)));
    for name in ["reason", "status", "clock", "lane", "job", "gap"] {
        assert_eq!(branch(field(record, name)), &Read::Null, "{name}");
    }
}

#[test]
fn values_of_every_type_survive() {
    let cases = [
        (Value::Bool(true), Read::Boolean(true)),
        (Value::Int(i64::MIN), Read::Long(i64::MIN)),
        (Value::UInt(i64::MAX as u64), Read::Long(i64::MAX)),
        (Value::Real(0.1), Read::Float(0.1)),
        (Value::LReal(f64::NEG_INFINITY), Read::Double(f64::NEG_INFINITY)),
        (Value::Text("Größe\0".into()), text("Größe\0")),
        (Value::DateTime(0), text("1970-01-01T00:00:00.000000")),
        (Value::TimeOfDay(8_913_000_000_000), text("02:28:33.000000")),
        (Value::None, Read::Null),
    ];
    let read = readings(cases.iter().map(|(value, _)| reading(1, value.clone())).collect());
    for ((value, expected), record) in cases.iter().zip(&read) {
        assert_eq!(branch(field(record, "value")), expected, "{value:?}");
    }
    let exact = readings(vec![reading(1, Value::UInt(u64::MAX)), reading(1, Value::Duration(-1_500_000_000))]);
    assert_eq!(unscaled(branch(field(&exact[0], "value"))), i128::from(u64::MAX) * 1_000_000_000);
    assert_eq!(unscaled(branch(field(&exact[1], "value"))), -1_500_000_000);
    let nan = &readings(vec![reading(1, Value::Real(f32::NAN))])[0];
    assert!(matches!(branch(field(nan, "value")), Read::Float(value) if value.is_nan()));
    let nested = Value::Array(Box::new([Value::Array(Box::new([Value::Int(1), Value::Real(0.5)]))]));
    let array =
        &readings(vec![reading(1, Value::Array(Box::new([Value::Real(0.5), Value::None]))), reading(1, nested)]);
    let elements = |record| match branch(field(record, "value")) {
        Read::Array(elements) => elements.iter().map(|element| branch(element).clone()).collect::<Vec<_>>(),
        other => panic!("no array: {other:?}"),
    };
    assert_eq!(elements(&array[0]), [Read::Float(0.5), Read::Null]);
    assert_eq!(elements(&array[1]), [text("[1,0.5]")]);
}

#[test]
fn what_is_not_good_says_why() {
    let bad = Reading {
        quality: Quality::Bad(Reason::Timeout),
        status: 11,
        clock: ClockState::Unsynchronized,
        ..reading(1, Value::None)
    };
    let past = Reading { tense: Tense::Past, ..reading(0, Value::Int(1)) };
    let read = readings(vec![bad, past]);
    let historical = read.iter().map(|record| field(record, "historical")).collect::<Vec<_>>();
    assert_eq!(historical, [&Read::Boolean(false), &Read::Boolean(true)]);
    let record = &read[0];
    assert_eq!(branch(field(record, "reason")), &text("timeout"));
    assert_eq!(branch(field(record, "status")), &Read::Long(11));
    assert_eq!(branch(field(record, "clock")), &text("unsynchronized"));
    assert_eq!(branch(field(record, "unit")), &Read::Null);
}

#[test]
fn batches_and_gaps_are_read_back() {
    let schema = Schema::parse_str(BATCH).expect("a schema");
    let mut format = keyed("?records=batches", Avro::default(), None).expect("a format");
    let made = messages(&mut format, vec![reading(0, Value::Int(1)), reading(1, Value::Int(2))]);
    let batch = read(&schema, &made[0].payload);
    let Read::Array(items) = field(&batch, "readings") else { panic!("an array") };
    assert_eq!((items.len(), field(&items[1], "seq")), (2, &Read::Long(1235)));
    assert_eq!(field(&batch, "device"), &text("press"));
    let gap = read(&schema, &format.gap(&missing()).payload);
    assert_eq!(field(branch(field(&gap, "gap")), "last"), &Read::Long(19));
    let mut format = keyed("", Avro::default(), None).expect("a format");
    let gap = read(&reading_schema(), &format.gap(&missing()).payload);
    let declared = branch(field(&gap, "gap"));
    assert_eq!((field(declared, "first"), field(declared, "count")), (&Read::Long(10), &Read::Long(10)));
    assert_eq!(branch(field(declared, "to")), &Read::TimestampMicros(1_795_400_913_123_456));
    assert_eq!((field(&gap, "quality"), branch(field(&gap, "value"))), (&text("bad"), &Read::Null));
}

fn value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<u64>().prop_map(Value::UInt),
        any::<f32>().prop_map(Value::Real),
        any::<f64>().prop_map(Value::LReal),
        ".{0,20}".prop_map(|text| Value::Text(text.into())),
        any::<i64>().prop_map(Value::Duration),
        any::<i64>().prop_map(Value::DateTime),
        Just(Value::None),
    ];
    scalar.clone().prop_recursive(2, 8, 4, move |inner| {
        prop::collection::vec(inner, 0..4).prop_map(|elements| Value::Array(elements.into()))
    })
}

proptest! {
    #[test]
    fn any_reading_is_a_record_of_the_schema(value in value(), nanos: i64, status: u32, seq in 0..u64::MAX / 2) {
        let of = Of { gateway: "g", device: "d", tag: "t", unit: "", epoch: u32::MAX, seq, lane: Lane::Replay(3) };
        let one = Reading { status, timestamp: driver_core::Timestamp(nanos), ..reading(0, value) };
        let mut out = Vec::new();
        Avro::default().reading(&one, &of, &mut out);
        let record = read(&reading_schema(), &out);
        prop_assert_eq!(field(&record, "time"), &Read::TimestampMicros(nanos.div_euclid(1_000)));
        prop_assert_eq!(field(&record, "seq"), &Read::Long(seq as i64));
        prop_assert_eq!(branch(field(&record, "job")), &Read::Long(3));
    }
}
