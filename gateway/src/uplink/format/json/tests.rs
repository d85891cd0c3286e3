use std::sync::Arc;

use buffer::{Class, Gap, GapReason, SeqRange};
use driver_core::{Quality, Reason, TagId, Tense, Timestamp, Value};
use proptest::prelude::*;
use serde_json::json;

use driver_core::ClockState;

use super::value::write_value;
use super::*;

use crate::pipeline::schema::{Schema, SchemaBuilder};
use crate::uplink::format::batches::BATCH_BYTES_MAX;
use crate::uplink::topic::Rules;
use crate::uplink::{Lane, Message, Token};

const NOON: i64 = 1_795_400_913_123_456_000;

fn schema() -> Arc<Schema> {
    let mut builder = SchemaBuilder::default();
    builder.device("press");
    builder.tag("temperature", "°C");
    builder.tag("say \"hi\" \\", "");
    builder.device("mixer");
    builder.tag("level", "m³");
    Arc::new(builder.build())
}

fn reading(tag: u32, value: Value) -> Reading {
    Reading {
        tag: TagId(tag),
        value,
        quality: Quality::Good,
        status: 0,
        timestamp: Timestamp(NOON),
        clock: ClockState::Synchronized,
        tense: Tense::Present,
    }
}

fn messages(topic: &str, readings: Vec<Reading>) -> Vec<Message> {
    messages_in(Lane::Live, topic, readings)
}

fn messages_in(lane: Lane, topic: &str, readings: Vec<Reading>) -> Vec<Message> {
    let topic = Template::parse(topic, "acme/line7", Rules::Mqtt).expect("a template");
    let mut json = Json::new("acme/line7", topic, Rules::Mqtt);
    json.begin(Records { lane, epoch: 7, first: 1234, readings, offsets: None, schema: Some(schema()) });
    std::iter::from_fn(|| json.next()).collect()
}

fn text(message: &Message) -> &str {
    std::str::from_utf8(&message.payload).expect("UTF-8")
}

#[test]
fn a_reading_is_written_as_documented() {
    let made = messages("{gateway}/{device}/{tag}", vec![reading(0, Value::Real(21.5))]);
    assert_eq!(made.len(), 1);
    assert_eq!(&*made[0].topic, "acme/line7/press/temperature");
    assert_eq!(made[0].token, Token { lane: Lane::Live, seq: 1234, part: 0 });
    assert_eq!(
        text(&made[0]),
        r#"{"time":"2026-11-23T02:28:33.123456Z","device":"press","tag":"temperature","value":21.5,"quality":"good","unit":"°C","epoch":7,"seq":1234}"#
    );
}

#[test]
fn a_batch_holds_one_device_and_each_reading_its_seq() {
    let bad = Quality::Bad(Reason::Timeout);
    let other = Reading { timestamp: Timestamp(NOON + 1_000), quality: bad, ..reading(0, Value::None) };
    let readings = vec![reading(0, Value::Int(1)), reading(2, Value::Int(2)), other];
    let made = messages("{gateway}/{device}", readings);
    let topics: Vec<&str> = made.iter().map(|message| &*message.topic).collect();
    assert_eq!(topics, ["acme/line7/press", "acme/line7/mixer"]);
    assert_eq!(
        text(&made[0]),
        r#"{"gateway":"acme/line7","device":"press","epoch":7,"time":"2026-11-23T02:28:33.123456Z","quality":"good","readings":[{"tag":"temperature","value":1,"unit":"°C","seq":1234},{"time":"2026-11-23T02:28:33.123457Z","tag":"temperature","value":null,"quality":"bad","reason":"timeout","unit":"°C","seq":1236}]}"#
    );
    assert_eq!(made[0].seqs, SeqRange { first: 1234, last: 1236 });
    assert_eq!(
        (made[1].token, made[1].seqs),
        (Token { lane: Lane::Live, seq: 1234, part: 1 }, SeqRange { first: 1235, last: 1235 })
    );
}

#[test]
fn what_is_not_live_says_so_beside_the_epoch() {
    let single = messages_in(Lane::Replay(3), "{tag}", vec![reading(0, Value::Int(1))]);
    assert!(text(&single[0]).ends_with(r#","epoch":7,"lane":"replay","job":3,"seq":1234}"#), "{}", text(&single[0]));
    assert_eq!(single[0].lane(), Lane::Replay(3));
    let batch = messages_in(Lane::History, "{device}", vec![reading(0, Value::Int(1))]);
    let head = r#"{"gateway":"acme/line7","device":"press","epoch":7,"lane":"history","time":"2026-11-23T02:28:33.123456Z","quality":"good","readings":["#;
    assert!(text(&batch[0]).starts_with(head), "{}", text(&batch[0]));
}

#[test]
fn readings_of_a_block_that_is_not_whole_keep_their_seqs() {
    let readings = vec![reading(0, Value::Int(1)), reading(2, Value::Int(2)), reading(0, Value::Int(3))];
    let topic = Template::parse("{device}", "acme/line7", Rules::Mqtt).expect("a template");
    let mut json = Json::new("acme/line7", topic, Rules::Mqtt);
    let offsets = Some([4, 5, 9].into());
    json.begin(Records { epoch: 7, first: 1234, readings, offsets, schema: Some(schema()), ..Records::default() });
    let made: Vec<Message> = std::iter::from_fn(|| json.next()).collect();
    assert_eq!(made[0].seqs, SeqRange { first: 1238, last: 1243 });
    assert!(text(&made[0]).ends_with(r#""seq":1243}]}"#), "{}", text(&made[0]));
    assert_eq!((made[1].token.seq, made[1].seqs), (1234, SeqRange { first: 1239, last: 1239 }));
}

#[test]
fn what_is_not_good_says_why() {
    let bad = Reading {
        value: Value::None,
        quality: Quality::Bad(Reason::Timeout),
        status: 11,
        clock: ClockState::Unsynchronized,
        ..reading(0, Value::None)
    };
    let past = Reading { tense: Tense::Past, ..reading(0, Value::Int(1)) };
    let made = messages("{tag}", vec![bad, past]);
    assert!(text(&made[1]).contains(r#""value":1,"quality":"good","unit":"°C","historical":true,"epoch":7"#));
    assert_eq!(
        text(&made[0]),
        r#"{"time":"2026-11-23T02:28:33.123456Z","device":"press","tag":"temperature","value":null,"quality":"bad","reason":"timeout","status":11,"unit":"°C","clock":"unsynchronized","epoch":7,"seq":1234}"#
    );
}

#[test]
fn values_are_written_as_the_table_says() {
    let cases = [
        (Value::Real(0.1), "0.1"),
        (Value::Real(1.0), "1.0"),
        (Value::LReal(0.1), "0.1"),
        (Value::LReal(1e300), "1e+300"),
        (Value::LReal(-0.0), "-0.0"),
        (Value::Real(f32::NAN), r#""NaN""#),
        (Value::Real(f32::INFINITY), r#""Infinity""#),
        (Value::LReal(f64::NEG_INFINITY), r#""-Infinity""#),
        (Value::Int(i64::MIN), "-9223372036854775808"),
        (Value::UInt(u64::MAX), "18446744073709551615"),
        (Value::Bool(true), "true"),
        (Value::Text("a\u{0}\u{1f}\n\"ü\u{7f}".into()), r#""a\u0000\u001f\n\"ü\u007f""#),
        (Value::Duration(1_500_000_000), "1.5"),
        (Value::DateTime(NOON), r#""2026-11-23T02:28:33.123456""#),
        (Value::TimeOfDay(8_913_000_000_000), r#""02:28:33.000000""#),
        (Value::Array(Box::new([Value::Real(0.5), Value::Real(f32::NAN)])), r#"[0.5,"NaN"]"#),
        (Value::Array(Box::new([])), "[]"),
    ];
    for (value, expected) in cases {
        let mut out = Vec::new();
        write_value(&value, &mut out);
        assert_eq!(String::from_utf8(out).expect("UTF-8"), expected, "{value:?}");
    }
}

#[test]
fn a_batch_ends_before_it_grows_too_large() {
    let long = Value::Text("x".repeat(BATCH_BYTES_MAX / 3).into());
    let made = messages("{device}", vec![reading(0, long); 10]);
    assert!(made.len() > 2 && made.iter().all(|message| message.payload.len() < 2 * BATCH_BYTES_MAX));
    let tokens: Vec<u32> = made.iter().map(|message| message.token.part).collect();
    assert_eq!(tokens, (0..made.len() as u32).collect::<Vec<u32>>());
}

#[test]
fn readings_whose_names_are_lost_are_published_all_the_same() {
    let made = messages("{device}/{tag}", vec![reading(99, Value::Int(5))]);
    assert_eq!(&*made[0].topic, "unknown/tag-99");
    assert!(text(&made[0]).contains(r#""device":"unknown","tag":"tag-99","value":5"#));
}

#[test]
fn a_gap_names_its_range_its_count_and_its_reason() {
    let topic = Template::parse("{tag}", "acme/line7", Rules::Mqtt).expect("a template");
    let gap = Gap {
        class: Class::Normal,
        seqs: SeqRange { first: 10, last: 19 },
        count: 10,
        time_ns: Some((0, NOON)),
        reason: GapReason::DroppedOldest,
    };
    let missing = Missing { lane: Lane::Live, reason: gap.reason.name(), gap, epoch: 0 };
    let message = Json::new("acme/line7", topic, Rules::Mqtt).gap(&missing);
    assert_eq!(&*message.topic, "acme/line7/$gap");
    let expected = json!({"gateway": "acme/line7", "gap": {"first": 10, "last": 19, "count": 10,
        "reason": "dropped-oldest", "from": "1970-01-01T00:00:00.000000Z", "to": "2026-11-23T02:28:33.123456Z"}});
    assert_eq!(serde_json::from_str::<serde_json::Value>(text(&message)).expect("JSON"), expected);
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::None),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<u64>().prop_map(Value::UInt),
        any::<u32>().prop_map(|bits| Value::Real(f32::from_bits(bits))),
        any::<u64>().prop_map(|bits| Value::LReal(f64::from_bits(bits))),
        any::<String>().prop_map(|text| Value::Text(text.into())),
        any::<i64>().prop_map(Value::Duration),
        any::<i64>().prop_map(Value::DateTime),
        any::<i64>().prop_map(Value::TimeOfDay),
    ];
    leaf.prop_recursive(2, 8, 4, |inner| {
        proptest::collection::vec(inner, 0..4).prop_map(|elements| Value::Array(elements.into()))
    })
}

/// serde_json reads floats without the last bits; that all bits are there is another test's matter.
const LAST_BITS: u64 = 4;

/// Whether an independent parser finds the value that was written.
fn is_same(value: &Value, read: &serde_json::Value) -> bool {
    match value {
        Value::None => read.is_null(),
        Value::Bool(value) => read.as_bool() == Some(*value),
        Value::Int(value) => read.as_i64() == Some(*value),
        Value::UInt(value) => read.as_u64() == Some(*value),
        Value::Real(value) if value.is_finite() => {
            read.as_f64().is_some_and(|read| (read as f32).to_bits().abs_diff(value.to_bits()) <= 1)
        }
        Value::LReal(value) if value.is_finite() => {
            read.as_f64().is_some_and(|read| read.to_bits().abs_diff(value.to_bits()) <= LAST_BITS)
        }
        Value::Real(value) => read.as_str().is_some_and(|read| read == not_finite(f64::from(*value))),
        Value::LReal(value) => read.as_str().is_some_and(|read| read == not_finite(*value)),
        Value::Text(text) => read.as_str() == Some(text),
        Value::Duration(nanos) => {
            read.as_f64().is_some_and(|read| (read - *nanos as f64 / 1e9).abs() <= 1e-6 * read.abs())
        }
        Value::DateTime(_) | Value::TimeOfDay(_) => read.is_string(),
        Value::Array(elements) => read.as_array().is_some_and(|read| {
            read.len() == elements.len() && elements.iter().zip(read).all(|(value, read)| is_same(value, read))
        }),
    }
}

fn not_finite(value: f64) -> &'static str {
    match value {
        value if value.is_nan() => "NaN",
        value if value > 0.0 => "Infinity",
        _ => "-Infinity",
    }
}

proptest! {
    #[test]
    fn another_parser_reads_the_same(values in proptest::collection::vec((0..4_u32, value(), any::<i64>()), 1..20)) {
        let readings: Vec<Reading> = values
            .into_iter()
            .map(|(tag, value, time)| Reading { timestamp: Timestamp(time), ..reading(tag, value) })
            .collect();
        let mut seen = 0;
        for message in messages("{device}", readings.clone()) {
            let parsed: serde_json::Value = serde_json::from_str(text(&message)).expect("JSON");
            for read in parsed["readings"].as_array().expect("an array") {
                let seq = read["seq"].as_u64().expect("a seq");
                prop_assert!(message.seqs.contains(seq));
                let reading = &readings[(seq - 1234) as usize];
                prop_assert!(is_same(&reading.value, &read["value"]), "{reading:?} {read}");
                seen += 1;
            }
        }
        prop_assert_eq!(seen, readings.len());
        for (index, message) in messages("{tag}", readings.clone()).iter().enumerate() {
            let read: serde_json::Value = serde_json::from_str(text(message)).expect("JSON");
            let reading = &readings[(read["seq"].as_u64().expect("a seq") - 1234) as usize];
            prop_assert!(is_same(&reading.value, &read["value"]), "{index}");
        }
    }

    #[test]
    fn numbers_keep_all_their_bits(real in any::<u32>().prop_map(f32::from_bits), lreal in any::<u64>().prop_map(f64::from_bits)) {
        let written = |value: Value| {
            let mut out = Vec::new();
            write_value(&value, &mut out);
            String::from_utf8(out).expect("UTF-8")
        };
        if real.is_finite() {
            prop_assert_eq!(written(Value::Real(real)).parse::<f32>().map(f32::to_bits), Ok(real.to_bits()));
        }
        if lreal.is_finite() {
            prop_assert_eq!(written(Value::LReal(lreal)).parse::<f64>().map(f64::to_bits), Ok(lreal.to_bits()));
        }
    }
}
