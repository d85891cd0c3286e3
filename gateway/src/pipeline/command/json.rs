//! Commands and answers as plain JSON, for every door that has no form of its own.
//!
//! ```text
//! {"id":"4711","device":"press","tag":"setpoint","value":80,"time":"2026-11-23T02:28:33Z","by":"anna"}
//! {"id":"4711","device":"press","tag":"setpoint","result":"done","old":75,"held":80,"time":"2026-11-23T02:28:33.1Z"}
//! ```

use std::time::Instant;

use driver_core::{Timestamp, Value, nearest};
use serde_json::{Map, Value as Json, json};

use super::{Answer, Asked, Command, Origin, Outcome, Target, Told, Wanted};
use crate::clock::parse_time;

/// The largest command, bytes.
pub const COMMAND_BYTES_MAX: usize = 64 * 1024;

/// The longest key and the longest name of a sender, bytes.
pub const KEY_BYTES_MAX: usize = 128;

/// The most elements of an array that is to be written.
const ELEMENTS_MAX: usize = 10_000;

const KEYS: [&str; 8] = ["id", "device", "tag", "value", "text", "time", "expires", "by"];

/// Understands a command. `origin.who` gives way to the `by` of the command where it is empty.
pub fn read(bytes: &[u8], origin: Origin, received: Instant) -> Asked {
    let found = object(bytes);
    let key = found.as_ref().ok().and_then(|object| key(object).ok().flatten());
    match found.and_then(|object| command(&object, &origin, received)) {
        Ok(command) => Asked::Command(command),
        Err(why) => Asked::Unreadable { origin, key, why },
    }
}

fn object(bytes: &[u8]) -> Result<Map<String, Json>, String> {
    if bytes.len() > COMMAND_BYTES_MAX {
        return Err(format!("the command has {} bytes; at most {COMMAND_BYTES_MAX} are taken", bytes.len()));
    }
    match serde_json::from_slice(bytes) {
        Ok(Json::Object(object)) => Ok(object),
        Ok(_) => Err("the command is no JSON object; send {\"device\":\"…\",\"tag\":\"…\",\"value\":…}".into()),
        Err(cause) => Err(format!("the command is no JSON: {cause}")),
    }
}

fn command(object: &Map<String, Json>, origin: &Origin, received: Instant) -> Result<Command, String> {
    if let Some(unknown) = object.keys().find(|key| !KEYS.contains(&key.as_str())) {
        let near = nearest(unknown, KEYS).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        return Err(format!("`{}` is no key of a command{near} Known are {}", shown(unknown), KEYS.join(", ")));
    }
    let by = text(object, "by")?.unwrap_or_default();
    let who = if origin.who.is_empty() { by.into() } else { origin.who.clone() };
    Ok(Command {
        target: target(object)?,
        value: wanted(object)?,
        key: key(object)?,
        sent: time(object, "time")?,
        expires: time(object, "expires")?,
        lives_for: None,
        received,
        origin: Origin { who, ..origin.clone() },
    })
}

/// The key: a text or a whole number.
fn key(object: &Map<String, Json>) -> Result<Option<Box<str>>, String> {
    match object.get("id") {
        Some(Json::Number(number)) => Ok(Some(number.to_string().into())),
        _ => Ok(text(object, "id")?.map(Into::into)),
    }
}

/// A short text without control characters; empty counts as absent.
fn text<'a>(object: &'a Map<String, Json>, name: &str) -> Result<Option<&'a str>, String> {
    match object.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) if text.len() <= KEY_BYTES_MAX && !text.chars().any(char::is_control) => {
            Ok(Some(text.as_str()).filter(|text| !text.is_empty()))
        }
        Some(_) => {
            Err(format!("`{name}` has to be a text of at most {KEY_BYTES_MAX} bytes without control characters"))
        }
    }
}

/// Without `device`, the first dot in `tag` ends the device's name.
fn target(object: &Map<String, Json>) -> Result<Target, String> {
    let name = |key| match object.get(key) {
        Some(Json::String(name)) if name.len() <= 2 * KEY_BYTES_MAX => Ok(Some(name.as_str())),
        None => Ok(None),
        Some(_) => Err(format!("`{key}` has to be a name")),
    };
    let tag = name("tag")?.ok_or("the command names no `tag`")?;
    match name("device")?.map(|device| (device, tag)).or_else(|| tag.split_once('.')) {
        Some((device, tag)) => Ok(Target { device: device.into(), tag: tag.into() }),
        None => Err("the command names no `device`; write it, or \"tag\":\"DEVICE.TAG\"".into()),
    }
}

fn wanted(object: &Map<String, Json>) -> Result<Wanted, String> {
    match (object.get("value"), object.get("text")) {
        (Some(value), None) => value_of(value).map(Wanted::Value),
        (None, Some(Json::String(text))) => Ok(Wanted::Text(text.as_str().into())),
        (None, Some(_)) => Err("`text` has to be a text, such as \"80\"".into()),
        (Some(_), Some(_)) => Err("the command has both `value` and `text`; send one of them".into()),
        (None, None) => Err("the command has no `value`".into()),
    }
}

fn value_of(json: &Json) -> Result<Value, String> {
    match json {
        Json::Array(elements) if elements.len() > ELEMENTS_MAX => {
            Err(format!("`value` has {} elements; at most {ELEMENTS_MAX} are taken", elements.len()))
        }
        Json::Array(elements) => {
            elements.iter().map(scalar_of).collect::<Result<Vec<_>, _>>().map(|elements| Value::Array(elements.into()))
        }
        one => scalar_of(one),
    }
}

fn scalar_of(json: &Json) -> Result<Value, String> {
    match json {
        Json::Bool(value) => Ok(Value::Bool(*value)),
        Json::String(text) => Ok(Value::Text(text.as_str().into())),
        Json::Number(number) => {
            let whole = number.as_i64().map(Value::Int).or_else(|| number.as_u64().map(Value::UInt));
            whole.or_else(|| number.as_f64().map(Value::LReal)).ok_or_else(|| format!("`{number}` is out of range"))
        }
        Json::Null => Err("`value` is null; nothing can be written".into()),
        Json::Array(_) | Json::Object(_) => {
            Err("`value` has to be a number, true, false, a text or a list of them".into())
        }
    }
}

/// RFC 3339, or milliseconds since 1970.
fn time(object: &Map<String, Json>, name: &str) -> Result<Option<Timestamp>, String> {
    let found = match object.get(name) {
        None | Some(Json::Null) => return Ok(None),
        Some(Json::String(text)) => parse_time(text).map(Timestamp),
        Some(json) => json.as_i64().and_then(|millis| millis.checked_mul(1_000_000)).map(Timestamp),
    };
    let wrong = || format!("`{name}` has to be a time such as 2026-11-23T02:28:33Z, or milliseconds since 1970");
    found.map(Some).ok_or_else(wrong)
}

fn shown(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(40).collect()
}

/// An answer in one line.
pub fn write(answer: &Answer) -> Vec<u8> {
    json_of(answer).to_string().into_bytes()
}

/// An answer as a JSON object.
pub fn json_of(answer: &Answer) -> Json {
    let mut object = Map::new();
    let mut put = |name: &str, value: Json| drop(object.insert(name.into(), value));
    if let Some(key) = &answer.key {
        put("id", json!(key));
    }
    if let Some(Target { device, tag }) = &answer.target {
        put("device", json!(device));
        put("tag", json!(tag));
    }
    put("result", json!(answer.outcome.name()));
    if let Outcome::Refused(why) = answer.outcome {
        put("refused", json!(why.name()));
    }
    if !answer.reason.is_empty() {
        put("reason", json!(answer.reason));
    }
    for (name, value) in [("old", &answer.old), ("held", &answer.held)] {
        if *value != Value::None {
            put(name, json_value(value));
        }
    }
    put("time", json!(answer.at.to_string()));
    if answer.told == Told::Again {
        put("repeated", json!(true));
    }
    Json::Object(object)
}

/// A value: numbers as numbers as far as JSON has them; NaN, infinities, durations and times as text.
pub fn json_value(value: &Value) -> Json {
    match value {
        Value::None => Json::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::UInt(value) => (*value).into(),
        Value::Real(real) if real.is_finite() => {
            serde_json::from_str(&real.to_string()).unwrap_or_else(|_| f64::from(*real).into())
        }
        Value::LReal(value) if value.is_finite() => (*value).into(),
        Value::Array(elements) => elements.iter().map(json_value).collect(),
        other => other.to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CommandDoor, RefusedFor, Role};
    use super::*;

    fn origin() -> Origin {
        Origin { door: CommandDoor::Mqtt, from: "cloud commands".into(), who: "".into(), role: Role::Operator }
    }

    fn asked(text: &str) -> Asked {
        read(text.as_bytes(), origin(), Instant::now())
    }

    fn command(text: &str) -> Command {
        match asked(text) {
            Asked::Command(command) => command,
            Asked::Unreadable { why, .. } => panic!("{text}: {why}"),
        }
    }

    #[test]
    fn a_command_names_tag_value_and_what_else_is_known_of_it() {
        let full = command(
            r#"{"id":"4711","device":"press","tag":"set.point","value":80,"time":"2026-11-23T02:28:33Z","expires":1795400914000,"by":"anna"}"#,
        );
        assert_eq!(full.target, Target { device: "press".into(), tag: "set.point".into() });
        assert_eq!((full.value, full.key.as_deref()), (Wanted::Value(Value::Int(80)), Some("4711")));
        assert_eq!(full.sent, Some(Timestamp(1_795_400_913_000_000_000)));
        assert_eq!(full.expires, Some(Timestamp(1_795_400_914_000_000_000)));
        assert_eq!((&*full.origin.who, full.origin.role), ("anna", Role::Operator));
        let short = command(r#"{"tag":"press.set.point","text":"80"}"#);
        assert_eq!(short.target, full.target);
        assert_eq!((short.value, short.key), (Wanted::Text("80".into()), None));
        assert_eq!(command(r#"{"id":7,"tag":"a.b","value":[1.5,true,"x"]}"#).value, {
            Wanted::Value(Value::Array([Value::LReal(1.5), Value::Bool(true), Value::Text("x".into())].into()))
        });
    }

    #[test]
    fn what_is_no_command_is_told_with_its_key_and_what_to_send() {
        let cases = [
            ("", None, "no JSON"),
            ("[]", None, "no JSON object"),
            (r#"{"id":"k","device":"d","tag":"t"}"#, Some("k"), "no `value`"),
            (r#"{"id":"k","tag":"t","value":1}"#, Some("k"), "no `device`"),
            (r#"{"id":"k","device":"d","value":1}"#, Some("k"), "no `tag`"),
            (r#"{"id":"k","tag":"d.t","valeu":1}"#, Some("k"), "did you mean `value`?"),
            (r#"{"id":"k","tag":"d.t","value":null}"#, Some("k"), "null"),
            (r#"{"id":"k","tag":"d.t","value":[[1]]}"#, Some("k"), "a list"),
            (r#"{"id":"k","tag":"d.t","value":1,"text":"1"}"#, Some("k"), "both"),
            (r#"{"id":"k","tag":"d.t","value":1,"expires":"soon"}"#, Some("k"), "`expires`"),
            (r#"{"id":"a\nb","tag":"d.t","value":1}"#, None, "`id`"),
        ];
        for (text, expected, said) in cases {
            let Asked::Unreadable { key, why, .. } = asked(text) else { panic!("{text} was understood") };
            assert_eq!(key.as_deref(), expected, "{text}");
            assert!(why.contains(said), "{text}: {why}");
        }
        let long = format!(r#"{{"tag":"d.t","value":"{}"}}"#, "x".repeat(COMMAND_BYTES_MAX));
        assert!(matches!(asked(&long), Asked::Unreadable { why, .. } if why.contains("bytes")));
    }

    #[test]
    fn an_answer_says_what_became_of_it() {
        let mut answer = asked(r#"{"id":"4711","tag":"press.setpoint","value":80}"#).refused(
            RefusedFor::OutOfRange,
            "at most 70",
            Timestamp(0),
        );
        let text = |answer: &Answer| String::from_utf8(write(answer)).expect("JSON");
        assert_eq!(
            text(&answer),
            r#"{"id":"4711","device":"press","tag":"setpoint","result":"refused","refused":"out-of-range","reason":"at most 70","time":"1970-01-01T00:00:00Z"}"#
        );
        answer = Answer {
            outcome: Outcome::Done,
            reason: String::new(),
            old: Value::Real(0.1),
            held: Value::UInt(u64::MAX),
            told: Told::Again,
            ..answer
        };
        assert!(text(&answer).ends_with(
            r#""result":"done","old":0.1,"held":18446744073709551615,"time":"1970-01-01T00:00:00Z","repeated":true}"#
        ));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,80}|[{}\\[\\]\":,0-9a-z.]{0,60}") {
            asked(&text);
        }
    }
}
