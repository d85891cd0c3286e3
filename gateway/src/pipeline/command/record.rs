//! What stands in the audit trail, and what can be told from it again.
//!
//! ```text
//! {"n":2,"time":"…","event":"begun","door":"mqtt","from":"cloud acme/commands","who":"anna","role":"operator","id":"4711",
//!  "device":"press","tag":"setpoint","value":80,"old":75,"chain":"…"}
//! {"n":3,"time":"…","event":"ended","door":"mqtt",…,"value":80,"old":75,"held":80,"result":"done","chain":"…"}
//! {"n":9,"time":"…","event":"lost","records":3,"chain":"…"}
//! ```
//! `begun` is on disk before the device is given anything; what is refused has only its `ended`. `lost` tells of records
//! that the disk refused.

use driver_core::{Timestamp, Value};
use serde_json::{Map, Value as Json, json};

use super::json::{json_of, json_value};
use super::{Answer, Asked, Command, Outcome, RefusedFor, Target, Told};

/// A command is about to be handed over.
pub(super) fn begun(command: &Command, old: &Value, at: Timestamp) -> Map<String, Json> {
    let mut record = head("begun", at);
    who(&Asked::Command(command.clone()), &mut record);
    if *old != Value::None {
        record.insert("old".into(), json_value(old));
    }
    record
}

/// What became of what was asked.
pub(super) fn ended(asked: &Asked, answer: &Answer) -> Map<String, Json> {
    let mut record = head("ended", answer.at);
    who(asked, &mut record);
    if let Json::Object(told) = json_of(answer) {
        let news = ["old", "held", "result", "refused", "reason", "repeated"];
        record.extend(told.into_iter().filter(|(name, _)| news.contains(&name.as_str())));
    }
    record
}

/// So many records could not be kept.
pub(super) fn lost(records: u64, at: Timestamp) -> Map<String, Json> {
    let mut record = head("lost", at);
    record.insert("records".into(), json!(records));
    record
}

fn head(event: &str, at: Timestamp) -> Map<String, Json> {
    let mut record = Map::new();
    record.insert("time".into(), json!(at.to_string()));
    record.insert("event".into(), json!(event));
    record
}

fn who(asked: &Asked, record: &mut Map<String, Json>) {
    let origin = asked.origin();
    let mut put = |name: &str, text: &str| {
        if !text.is_empty() {
            record.insert(name.into(), json!(text));
        }
    };
    put("door", origin.door.name());
    put("from", &origin.from);
    put("who", &origin.who);
    put("role", origin.role.name());
    match asked {
        Asked::Command(command) => {
            put("id", command.key.as_deref().unwrap_or_default());
            put("device", &command.target.device);
            put("tag", &command.target.tag);
            let value = match &command.value {
                super::Wanted::Value(value) => json_value(value),
                super::Wanted::Text(text) => json!(text),
            };
            record.insert("value".into(), value);
        }
        Asked::Unreadable { key, .. } => put("id", key.as_deref().unwrap_or_default()),
    }
}

/// What a record of the trail says of a key.
#[derive(Debug, PartialEq)]
pub(super) struct Remembered {
    /// The key with its door and sender.
    pub(super) scope: String,
    /// What was asked for under it.
    pub(super) wish: String,
    /// What became of it; `None` where it had only begun.
    pub(super) answer: Option<Answer>,
}

/// The key of a command among those of its door and sender; `None` where it has none.
pub(super) fn scope(door: &str, from: &str, who: &str, key: &str) -> String {
    // Over HTTP each request comes from a port of its own; there the sender is known by name.
    let place = if door == "http" { who } else { from };
    format!("{door}\n{place}\n{key}")
}

/// What was asked for, as text that is equal for equal wishes.
pub(super) fn wish(target: &Target, value: &Json) -> String {
    format!("{target}\n{value}")
}

/// What of a record has to be remembered.
pub(super) fn remembered(record: &Json) -> Option<Remembered> {
    let text = |name: &str| record[name].as_str().unwrap_or_default();
    let target = Target { device: text("device").into(), tag: text("tag").into() };
    let key = Some(text("id")).filter(|key| !key.is_empty())?;
    let scope = scope(text("door"), text("from"), text("who"), key);
    let answer = match text("event") {
        "begun" => None,
        "ended" => Some(Answer {
            key: Some(key.into()),
            outcome: outcome(text("result"), text("refused"))?,
            reason: text("reason").into(),
            old: value(&record["old"]),
            held: value(&record["held"]),
            at: Timestamp(crate::clock::parse_time(text("time"))?),
            told: Told::Again,
            target: Some(target.clone()).filter(|target| !target.tag.is_empty()),
        }),
        _ => return None,
    };
    Some(Remembered { scope, wish: wish(&target, &record["value"]), answer })
}

fn outcome(result: &str, refused: &str) -> Option<Outcome> {
    match result {
        "refused" => RefusedFor::ALL.into_iter().find(|why| why.name() == refused).map(Outcome::Refused),
        _ => {
            let outcomes = [Outcome::Done, Outcome::Differs, Outcome::Failed, Outcome::Unknown];
            outcomes.into_iter().find(|outcome| outcome.name() == result)
        }
    }
}

/// A value as an answer shows it; times are texts.
fn value(json: &Json) -> Value {
    match json {
        Json::Bool(value) => Value::Bool(*value),
        Json::String(text) => Value::Text(text.as_str().into()),
        Json::Number(number) => {
            let whole = number.as_i64().map(Value::Int).or_else(|| number.as_u64().map(Value::UInt));
            whole.or_else(|| number.as_f64().map(Value::LReal)).unwrap_or(Value::None)
        }
        Json::Array(values) => Value::Array(values.iter().map(value).collect()),
        Json::Null | Json::Object(_) => Value::None,
    }
}
