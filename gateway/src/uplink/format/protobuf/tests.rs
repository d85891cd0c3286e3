//! What is written by hand is read back by `prost`; the structs are those that its compiler makes of the file.

use driver_core::{Quality, Reason};
use proptest::prelude::*;
use prost::Message as _;

use super::super::keyed::tests::{keyed, messages, missing, reading};
use super::*;

#[derive(Clone, PartialEq, prost::Message)]
struct Time {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Member {
    #[prost(bool, tag = "5")]
    Boolean(bool),
    #[prost(sint64, tag = "6")]
    Integer(i64),
    #[prost(uint64, tag = "7")]
    Unsigned(u64),
    #[prost(float, tag = "8")]
    Real(f32),
    #[prost(double, tag = "9")]
    Lreal(f64),
    #[prost(string, tag = "10")]
    Text(String),
    #[prost(sint64, tag = "11")]
    DurationNs(i64),
    #[prost(message, tag = "12")]
    Array(Array),
}

#[derive(Clone, PartialEq, prost::Message)]
struct Array {
    #[prost(message, repeated, tag = "1")]
    elements: Vec<Element>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Element {
    #[prost(oneof = "Member", tags = "5, 6, 7, 8, 9, 10, 11, 12")]
    value: Option<Member>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Gap {
    #[prost(uint64, tag = "1")]
    first: u64,
    #[prost(uint64, tag = "2")]
    last: u64,
    #[prost(uint64, tag = "3")]
    count: u64,
    #[prost(string, tag = "4")]
    reason: String,
    #[prost(message, optional, tag = "5")]
    from: Option<Time>,
    #[prost(message, optional, tag = "6")]
    to: Option<Time>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Read {
    #[prost(message, optional, tag = "1")]
    time: Option<Time>,
    #[prost(string, tag = "2")]
    gateway: String,
    #[prost(string, tag = "3")]
    device: String,
    #[prost(string, tag = "4")]
    tag: String,
    #[prost(oneof = "Member", tags = "5, 6, 7, 8, 9, 10, 11, 12")]
    value: Option<Member>,
    #[prost(string, tag = "13")]
    quality: String,
    #[prost(string, optional, tag = "14")]
    reason: Option<String>,
    #[prost(uint32, optional, tag = "15")]
    status: Option<u32>,
    #[prost(string, optional, tag = "16")]
    unit: Option<String>,
    #[prost(string, optional, tag = "17")]
    clock: Option<String>,
    #[prost(uint32, tag = "18")]
    epoch: u32,
    #[prost(string, optional, tag = "19")]
    lane: Option<String>,
    #[prost(uint32, optional, tag = "20")]
    job: Option<u32>,
    #[prost(uint64, tag = "21")]
    seq: u64,
    #[prost(message, optional, tag = "22")]
    gap: Option<Gap>,
    #[prost(bool, tag = "24")]
    historical: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Batch {
    #[prost(string, tag = "2")]
    gateway: String,
    #[prost(string, tag = "3")]
    device: String,
    #[prost(uint32, tag = "18")]
    epoch: u32,
    #[prost(message, optional, tag = "22")]
    gap: Option<Gap>,
    #[prost(message, repeated, tag = "23")]
    readings: Vec<Read>,
}

fn readings(all: Vec<Reading>) -> Vec<Read> {
    let mut format = keyed("", Protobuf::default(), None).expect("a format");
    let made = messages(&mut format, all);
    made.iter().map(|message| Read::decode(&*message.payload).expect("a reading")).collect()
}

#[test]
fn a_reading_has_the_names_and_the_values_of_the_json_payload() {
    let read = &readings(vec![reading(0, Value::Real(21.5))])[0];
    let expected = Read {
        time: Some(Time { seconds: 1_795_400_913, nanos: 123_456_000 }),
        gateway: "acme/line7".into(),
        device: "press".into(),
        tag: "temperature".into(),
        value: Some(Member::Real(21.5)),
        quality: "good".into(),
        unit: Some("°C".into()),
        epoch: 7,
        seq: 1234,
        ..Read::default()
    };
    assert_eq!(read, &expected);
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
    assert_eq!((read[0].historical, read[1].historical), (false, true));
    let read = &read[0];
    assert_eq!((read.value.as_ref(), read.reason.as_deref(), read.status), (None, Some("timeout"), Some(11)));
    assert_eq!((read.clock.as_deref(), read.unit.as_deref()), (Some("unsynchronized"), None));
}

#[test]
fn batches_and_gaps_are_read_back() {
    let mut format = keyed("?records=batches", Protobuf::default(), None).expect("a format");
    let made = messages(&mut format, vec![reading(0, Value::Int(1)), reading(1, Value::Int(2))]);
    let batch = Batch::decode(&*made[0].payload).expect("a batch");
    assert_eq!((&*batch.gateway, &*batch.device, batch.epoch, batch.readings.len()), ("acme/line7", "press", 7, 2));
    assert_eq!((&*batch.readings[1].tag, batch.readings[1].seq), ("say \"hi\"", 1235));
    let gap = Batch::decode(&*format.gap(&missing()).payload).expect("a batch").gap.expect("a gap");
    assert_eq!((gap.first, gap.last, gap.count, &*gap.reason), (10, 19, 10, "dropped-oldest"));
    let mut format = keyed("", Protobuf::default(), None).expect("a format");
    let read = Read::decode(&*format.gap(&missing()).payload).expect("a reading");
    assert_eq!((read.gap, &*read.quality), (Some(gap), "bad"));
}

/// The member in which a value is expected.
fn member(value: &Value) -> Option<Member> {
    let text = |write: fn(i64, &mut Vec<u8>), nanos| {
        let mut out = Vec::new();
        write(nanos, &mut out);
        Member::Text(String::from_utf8(out).expect("ASCII"))
    };
    Some(match value {
        Value::None => return None,
        Value::Bool(value) => Member::Boolean(*value),
        Value::Int(value) => Member::Integer(*value),
        Value::UInt(value) => Member::Unsigned(*value),
        Value::Real(value) => Member::Real(*value),
        Value::LReal(value) => Member::Lreal(*value),
        Value::Text(text) => Member::Text(text.to_string()),
        Value::Duration(nanos) => Member::DurationNs(*nanos),
        Value::DateTime(nanos) => text(|nanos, out| TimeText::default().write(nanos, out), *nanos),
        Value::TimeOfDay(nanos) => text(write_time_of_day, *nanos),
        Value::Array(all) => {
            Member::Array(Array { elements: all.iter().map(|value| Element { value: member(value) }).collect() })
        }
    })
}

fn value() -> impl Strategy<Value = Value> {
    let finite = |value: &f64| !value.is_nan();
    let scalar = prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<u64>().prop_map(Value::UInt),
        any::<f64>().prop_filter("NaN equals nothing", finite).prop_map(Value::LReal),
        ".{0,200}".prop_map(|text| Value::Text(text.into())),
        any::<i64>().prop_map(Value::Duration),
        any::<i64>().prop_map(Value::DateTime),
        (0..86_400_000_000_000_i64).prop_map(Value::TimeOfDay),
        Just(Value::None),
    ];
    scalar.clone().prop_recursive(3, 12, 4, move |inner| {
        prop::collection::vec(inner, 0..4).prop_map(|elements| Value::Array(elements.into()))
    })
}

proptest! {
    #[test]
    fn any_value_is_found_in_its_member(value in value(), nanos: i64, seq: u64) {
        let of = Of { gateway: "g", device: "d", tag: "t", unit: "", epoch: 0, seq, lane: Lane::Replay(3) };
        let expected = member(&value);
        let one = Reading { timestamp: driver_core::Timestamp(nanos), ..reading(0, value) };
        let mut out = Vec::new();
        Protobuf::default().reading(&one, &of, &mut out);
        let read = Read::decode(&*out).expect("a reading");
        prop_assert_eq!(read.value, expected);
        prop_assert_eq!((read.seq, read.job, read.lane.as_deref()), (seq, Some(3), Some("replay")));
        let time = read.time.expect("a time");
        prop_assert_eq!(time.seconds * 1_000_000_000 + i64::from(time.nanos), nanos);
    }
}

#[test]
fn nan_stays_nan() {
    let read = &readings(vec![reading(0, Value::Real(f32::NAN))])[0];
    assert!(matches!(read.value, Some(Member::Real(value)) if value.is_nan()));
}
