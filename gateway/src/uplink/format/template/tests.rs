use driver_core::{Quality, Reason};
use proptest::prelude::*;

use super::super::testkit::{as_json, messages, messages_of, reading, spec, text};
use super::*;
use crate::uplink::Lane;

fn made(payload: &str, topic: &str, readings: Vec<Reading>) -> Vec<crate::uplink::Message> {
    let spec = UplinkSpec { payload: Some(payload.into()), ..spec() };
    messages_of(&TemplateKind, &spec, topic, Lane::Live, readings)
}

#[test]
fn words_take_their_places_and_other_braces_stay() {
    let bad = Reading { quality: Quality::Bad(Reason::Timeout), status: 3, ..reading(1, Value::None) };
    let cases = [
        (
            reading(0, Value::Real(21.5)),
            "{device}/{tag}={value} {unit} {quality}{reason}",
            "press/temperature=21.5 °C good",
        ),
        (Reading { tense: Tense::Past, ..reading(0, Value::Int(1)) }, "{value} {historical}", "1 true"),
        (reading(0, Value::Int(1)), r#"{"v":{value},"x":{}}"#, r#"{"v":1,"x":{}}"#),
        (
            bad.clone(),
            r#"{"t":{tag:json},"v":{value:json},"r":{reason:json}}"#,
            r#"{"t":"say \"hi\" \\","v":null,"r":"timeout"}"#,
        ),
        (bad, "[{value}] {quality} {reason} {status}", "[] bad timeout 3"),
        (
            reading(0, Value::Int(1)),
            "{time} {time_s} {time_ms} {time_us}",
            "2026-11-23T02:28:33.123456Z 1795400913 1795400913123 1795400913123456",
        ),
        (
            reading(0, Value::DateTime(0)),
            "{value} {value:json}",
            r#"1970-01-01T00:00:00.000000 "1970-01-01T00:00:00.000000""#,
        ),
        (reading(0, Value::Text("a\"b".into())), "{value} {value:json}", r#"a"b "a\"b""#),
        (
            reading(0, Value::Bool(true)),
            "{gateway} {epoch}/{seq} {clock} {lane} {time_ns}",
            "acme/line7 7/1234 synchronized live 1795400913123456000",
        ),
    ];
    for (reading, payload, expected) in cases {
        assert_eq!(text(&made(payload, "{tag}", vec![reading])[0]), expected, "{payload}");
    }
}

#[test]
fn a_batch_is_a_line_a_reading() {
    let readings = vec![reading(0, Value::Int(1)), reading(2, Value::Int(2)), reading(0, Value::Int(3))];
    let made = made("{device};{value}", "plant", readings);
    assert_eq!(made.iter().map(text).collect::<Vec<_>>(), ["press;1\nmixer;2\npress;3\n"]);
}

#[test]
fn raw_is_the_value_and_nothing_else() {
    let bad = Reading { quality: Quality::Bad(Reason::Timeout), ..reading(0, Value::None) };
    let texts = Value::Array([Value::Text("a".into())].into());
    let readings = vec![reading(0, Value::Real(0.1)), bad, reading(0, Value::LReal(f64::INFINITY)), reading(0, texts)];
    let made = messages(&RawKind, "{device}/{tag}", Lane::Live, readings);
    assert_eq!(made.iter().map(text).collect::<Vec<_>>(), ["0.1", "", "Infinity", "[\"a\"]"]);
}

#[test]
fn what_is_wrong_is_told_with_what_to_write() {
    let cases = [
        ("{vlaue}", "`{vlaue}` is not known here; write one of {gateway}"),
        ("{value:xml}", "only `:json`"),
        ("hello", "the same of every reading"),
        ("{}", "the same of every reading"),
    ];
    for (payload, expected) in cases {
        let error = Payload::parse(payload).expect_err(payload);
        assert!(error.contains(expected), "{payload}: {error}");
    }
    assert!(Payload::parse(&"x".repeat(5000)).is_err());
    let topic = || Template::parse("{device}", "g", TopicRules::Mqtt).expect("a template");
    let missing = TemplateKind.open(&spec(), topic(), TopicRules::Mqtt).err().expect("an error");
    assert_eq!((missing[0].key, missing[0].message.contains("format: template")), ("payload", true));
    let raw = RawKind.open(&spec(), topic(), TopicRules::Mqtt).err().expect("an error");
    assert_eq!((raw[0].key, raw[0].message.contains("{tag}")), ("topic", true));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic_and_json_words_make_json(text in "[{}a-z:_\" ]{0,40}", value in "\\PC{0,12}") {
        if let Ok(payload) = Payload::parse(&text) {
            prop_assert!(!payload.parts().is_empty());
        }
        let line = made("{\"v\":{value:json},\"d\":{device:json}}", "{tag}", vec![reading(0, Value::Text(value.clone().into()))]);
        let json = as_json(&line[0]);
        prop_assert_eq!(json["v"].as_str(), Some(value.as_str()));
        prop_assert_eq!(&json["d"], "press");
    }
}
