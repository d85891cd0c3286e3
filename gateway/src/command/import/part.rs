//! A part of a document (JSON, TOML or YAML) that knows where it stands.
//!
//! YAML's scalars are texts here, so that numbers and truths are understood from texts too.

use serde_json::{Map, Value};

use super::found::Found;

/// A value and the way to it, such as `inputs.modbus[0].fields[2]`.
#[derive(Debug, Clone)]
pub(super) struct Part<'v> {
    pub(super) value: &'v Value,
    pub(super) place: String,
}

impl<'v> Part<'v> {
    pub(super) fn root(value: &'v Value) -> Part<'v> {
        Part { value, place: String::new() }
    }

    /// What stands behind a key; nothing where it is absent or null.
    pub(super) fn get(&self, key: &str) -> Option<Part<'v>> {
        let value = self.value.get(key).filter(|value| !value.is_null())?;
        let dot = if self.place.is_empty() { "" } else { "." };
        Some(Part { value, place: format!("{}{dot}{key}", self.place) })
    }

    /// The items of a list; a value that is no list is the only one.
    pub(super) fn items(&self) -> Vec<Part<'v>> {
        match self.value {
            Value::Array(items) => items
                .iter()
                .enumerate()
                .map(|(index, value)| Part { value, place: format!("{}[{index}]", self.place) })
                .collect(),
            _ => vec![self.clone()],
        }
    }

    /// The items behind a key; none where it is absent.
    pub(super) fn list(&self, key: &str) -> Vec<Part<'v>> {
        self.get(key).map(|part| part.items()).unwrap_or_default()
    }

    pub(super) fn map(&self) -> Option<&'v Map<String, Value>> {
        self.value.as_object()
    }

    /// The text behind a key, numbers as they are written; nothing for an empty one.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        self.get(key)?.as_text()
    }

    /// Its own text.
    pub(super) fn as_text(&self) -> Option<String> {
        let text = match self.value {
            Value::String(text) => text.trim().to_owned(),
            Value::Number(number) => number.to_string(),
            Value::Bool(truth) => truth.to_string(),
            _ => return None,
        };
        (!text.is_empty()).then_some(text)
    }

    pub(super) fn number(&self, key: &str) -> Option<f64> {
        self.text(key)?.parse().ok()
    }

    pub(super) fn integer(&self, key: &str) -> Option<u64> {
        let number = self.number(key)?;
        ((0.0..1e15).contains(&number) && number.fract() == 0.0).then_some(number as u64)
    }

    pub(super) fn truth(&self, key: &str) -> Option<bool> {
        match self.text(key)?.as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        }
    }

    /// Says of each key that is none of these that it is not mapped.
    pub(super) fn rest(&self, known: &[&str], found: &mut Found) {
        let Some(map) = self.map() else { return };
        for (key, value) in map.iter().filter(|(key, value)| !known.contains(&key.as_str()) && !value.is_null()) {
            let message = match is_secret(key) {
                true => format!("`{key}` is not copied: write it yourself where the device needs one"),
                false => format!("`{key}`{} has no counterpart here", shortened(value)),
            };
            found.left(self.place.clone(), message);
        }
    }
}

fn is_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    ["pass", "secret", "token", "key", "user"].iter().any(|word| key.contains(word))
}

fn shortened(value: &Value) -> String {
    match value {
        Value::String(text) if text.chars().count() <= 40 && !text.chars().any(char::is_control) => {
            format!(" ({text})")
        }
        Value::Number(number) => format!(" ({number})"),
        Value::Bool(truth) => format!(" ({truth})"),
        _ => String::new(),
    }
}

/// Milliseconds of a duration as Go writes it, such as `1s`, `200ms`, `1m30s`; a bare number is in `unit_ms`.
pub(super) fn milliseconds(text: &str, unit_ms: f64) -> Option<u64> {
    if let Ok(number) = text.parse::<f64>() {
        return rounded(number * unit_ms);
    }
    let mut sum = 0.0;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let letters = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |at| digits + at);
        let factor = match &rest[digits..letters] {
            "h" => 3_600_000.0,
            "m" => 60_000.0,
            "s" => 1_000.0,
            "ms" => 1.0,
            "us" | "µs" => 0.001,
            _ => return None,
        };
        sum += rest[..digits].parse::<f64>().ok()? * factor;
        rest = &rest[letters..];
    }
    rounded(sum)
}

fn rounded(milliseconds: f64) -> Option<u64> {
    let rounded = milliseconds.round();
    (1.0..1e12).contains(&rounded).then_some(rounded as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_of_go() {
        assert_eq!(milliseconds("1m30s", 1.0), Some(90_000));
        assert_eq!(milliseconds("1.5s", 1.0), Some(1_500));
        assert_eq!(milliseconds("250ms", 1.0), Some(250));
        assert_eq!(milliseconds("10", 1_000.0), Some(10_000));
        assert_eq!((milliseconds("fast", 1.0), milliseconds("5d", 1.0), milliseconds("0s", 1.0)), (None, None, None));
    }

    #[test]
    fn what_has_no_counterpart_is_said_and_no_secret_is() {
        let value = serde_json::json!({ "name": "x", "retries": 3, "password": "hush" });
        let mut found = Found::default();
        Part::root(&value).get("name").expect("a name");
        Part::root(&value).rest(&["name"], &mut found);
        let told: Vec<&str> = found.notes.iter().map(|note| note.message.as_str()).collect();
        assert_eq!(
            told,
            [
                "`retries` (3) has no counterpart here",
                "`password` is not copied: write it yourself where the device needs one"
            ]
        );
    }
}
