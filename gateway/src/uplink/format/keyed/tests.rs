use buffer::{Class, Gap, GapReason};
use driver_core::{ClockState, Quality, Tense, Value};

use super::*;
use crate::pipeline::schema::SchemaBuilder;
use crate::uplink::format::json::JsonRecords;

const NOON: i64 = 1_795_400_913_123_456_000;

/// Two devices: tags 0 and 1, and tag 2.
pub(in crate::uplink::format) fn schema() -> Arc<Schema> {
    let mut builder = SchemaBuilder::default();
    builder.device("press");
    builder.tag("temperature", "°C");
    builder.tag("say \"hi\"", "");
    builder.device("Rührwerk");
    builder.tag("level", "m³");
    Arc::new(builder.build())
}

/// A good reading.
pub(in crate::uplink::format) fn reading(tag: u32, value: Value) -> Reading {
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

/// A gap of ten readings.
pub(in crate::uplink::format) fn missing() -> Missing {
    let seqs = SeqRange { first: 10, last: 19 };
    let (class, reason) = (Class::Normal, GapReason::DroppedOldest);
    let gap = Gap { class, seqs, count: 10, time_ns: Some((NOON - 9_000_000_000, NOON)), reason };
    Missing { lane: Lane::Live, gap, reason: "dropped-oldest", epoch: 7 }
}

/// The format over some content, with options such as `?records=batches`.
pub(in crate::uplink::format) fn keyed(
    options: &str,
    content: impl Content + 'static,
    registration: Option<Registration>,
) -> Result<Keyed, Vec<UplinkError>> {
    let spec = UplinkSpec::new("acme/line7", "lake", format!("kafka://k1{options}").parse().expect("a URL"));
    let topic = Template::parse("plant", "acme/line7", Rules::Kafka).expect("a topic");
    Keyed::open(&spec, topic, Box::new(content), registration)
}

/// All messages of a block.
pub(in crate::uplink::format) fn messages(format: &mut Keyed, readings: Vec<Reading>) -> Vec<Message> {
    let records = Records { epoch: 7, first: 1234, readings, schema: Some(schema()), ..Records::default() };
    Format::begin(format, records);
    std::iter::from_fn(|| format.next()).collect()
}

fn text(message: &Message) -> &str {
    std::str::from_utf8(&message.payload).expect("UTF-8")
}

fn key(message: &Message) -> &str {
    std::str::from_utf8(message.key.as_deref().unwrap_or_default()).expect("UTF-8")
}

#[test]
fn a_reading_is_a_flat_record_under_the_key_of_its_tag() {
    let mut format = keyed("", JsonRecords::default(), None).expect("a format");
    let made = messages(&mut format, vec![reading(2, Value::Int(1)), reading(0, Value::Real(21.5))]);
    let keys: Vec<&str> = made.iter().map(key).collect();
    assert_eq!(keys, ["Rührwerk/level", "press/temperature"], "in the order of their seqs");
    assert_eq!(
        text(&made[1]),
        r#"{"time":"2026-11-23T02:28:33.123456Z","gateway":"acme/line7","device":"press","tag":"temperature","value":21.5,"quality":"good","unit":"°C","epoch":7,"seq":1235}"#
    );
    assert_eq!((&*made[1].topic, made[1].time), ("plant", Some(Timestamp(NOON))));
    assert_eq!(made[1].seqs, SeqRange { first: 1235, last: 1235 });
    assert_eq!(made[1].token, Token { lane: Lane::Live, seq: 1234, part: 1 });
}

#[test]
fn a_record_says_that_it_comes_from_the_past_and_that_its_time_is_not_sure() {
    let past = Reading { tense: Tense::Past, clock: ClockState::Unsynchronized, ..reading(1, Value::Int(1)) };
    for options in ["", "?records=batches"] {
        let mut format = keyed(options, JsonRecords::default(), None).expect("a format");
        let made = messages(&mut format, vec![past.clone(), reading(1, Value::Int(2))]);
        let json: Vec<serde_json::Value> =
            made.iter().map(|one| serde_json::from_str(text(one)).expect("JSON")).collect();
        let rows = json[0]["readings"].as_array().cloned().unwrap_or(json);
        assert_eq!((&rows[0]["historical"], &rows[0]["clock"]), (&true.into(), &"unsynchronized".into()), "{rows:?}");
        assert!(rows[1].get("historical").is_none() && rows[1].get("clock").is_none(), "{rows:?}");
    }
}

#[test]
fn a_batch_holds_one_device_under_its_key() {
    let mut format = keyed("?records=batches", JsonRecords::default(), None).expect("a format");
    let made =
        messages(&mut format, vec![reading(0, Value::Int(1)), reading(2, Value::Int(2)), reading(1, Value::Int(3))]);
    let keys: Vec<&str> = made.iter().map(key).collect();
    assert_eq!(keys, ["press", "Rührwerk"]);
    assert!(text(&made[0]).starts_with(r#"{"gateway":"acme/line7","device":"press","epoch":7,"readings":[{"time""#));
    let parsed: serde_json::Value = serde_json::from_slice(&made[0].payload).expect("JSON");
    assert_eq!((&parsed["readings"][1]["tag"], &parsed["readings"][1]["seq"]), (&"say \"hi\"".into(), &1236.into()));
    assert_eq!(made[0].seqs, SeqRange { first: 1234, last: 1236 });
}

#[test]
fn a_batch_ends_before_it_grows_too_large() {
    let mut format = keyed("?records=batches", JsonRecords::default(), None).expect("a format");
    let long = Value::Text("x".repeat(BATCH_BYTES_MAX / 3).into());
    let made = messages(&mut format, vec![reading(0, long); 10]);
    assert!(made.len() > 2 && made.iter().all(|message| message.payload.len() < 2 * BATCH_BYTES_MAX));
    assert_eq!(made.last().map(|message| message.seqs.last), Some(1243), "none is left out");
}

#[test]
fn a_gap_goes_to_the_same_topic_under_the_gateways_name() {
    let mut format = keyed("", JsonRecords::default(), None).expect("a format");
    let gap = format.gap(&missing());
    assert_eq!((&*gap.topic, key(&gap)), ("plant", "acme/line7"));
    assert!(text(&gap).contains(r#""gap":{"first":10,"last":19,"count":10,"reason":"dropped-oldest""#));
}

#[test]
fn a_registered_schema_is_named_before_each_payload() {
    let id = SchemaId::default();
    let registration =
        Registration { subject: "plant-value".into(), kind: "JSON", schema: "", message: &[2, 2], id: id.clone() };
    let format = keyed("", JsonRecords::default(), Some(registration)).expect("a format");
    id.set(258);
    // All lanes know the number.
    let Some(registration) = format.another().registration().cloned() else { panic!("a registration") };
    assert_eq!(registration.id.get(), 258);
    let mut format = format;
    let made = messages(&mut format, vec![reading(0, Value::Int(1))]);
    assert_eq!(made[0].payload[..8], [0, 0, 0, 1, 2, 2, 2, b'{']);
    assert_eq!(format.gap(&missing()).payload[..6], [0, 0, 0, 1, 2, 2]);
}

#[test]
fn readings_whose_names_are_lost_bear_numbers() {
    let mut format = keyed("", JsonRecords::default(), None).expect("a format");
    let records = Records { readings: vec![reading(5, Value::Int(1))], ..Records::default() };
    Format::begin(&mut format, records);
    let made = format.next().expect("a message");
    assert_eq!(key(&made), "unknown/tag-5");
}

#[test]
fn a_batch_has_no_tag_in_its_key() {
    let wrong = keyed("?records=batches&key={device}/{tag}", JsonRecords::default(), None).err().expect("an error");
    assert!(wrong[0].message.contains("a batch holds many"), "{wrong:?}");
    assert!(keyed("?key={tga}", JsonRecords::default(), None).is_err());
    let mut own = keyed("?key={gateway}:{device}", JsonRecords::default(), None).expect("a format");
    assert_eq!(key(&messages(&mut own, vec![reading(0, Value::Int(1))])[0]), "acme/line7:press");
}
