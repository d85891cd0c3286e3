//! Values that every far side holds, as data: what a gateway file says, and what must arrive.

pub mod modbus;
pub mod opcua;
pub mod s7;

use std::path::Path;

use serde_json::Value;

use crate::need;
use crate::subscriber::Received;

/// One value and where it stands.
#[derive(Debug, Clone)]
pub struct Case {
    /// The tag's name, which no other case has.
    pub tag: String,
    /// The address as written in a gateway file.
    pub address: String,
    /// What must arrive as `value`.
    pub value: Value,
}

/// The `tags:` of a gateway file for these cases, in flow style.
pub fn tags(cases: &[Case]) -> String {
    let lines: Vec<String> = cases.iter().map(|case| format!("      {}: \"{}\"\n", case.tag, case.address)).collect();
    lines.concat()
}

/// Whether the reading holds the value of the case: numbers to the last bit of their type, all else literally.
pub fn holds(case: &Case, reading: &Received) -> bool {
    reading.is_good() && same(&case.value, reading.value())
}

fn same(wanted: &Value, got: &Value) -> bool {
    match (wanted, got) {
        (Value::Array(wanted), Value::Array(got)) => {
            wanted.len() == got.len() && wanted.iter().zip(got).all(|(wanted, got)| same(wanted, got))
        }
        (Value::Number(wanted), Value::Number(got)) => {
            let integers = (wanted.as_i64(), wanted.as_u64()) == (got.as_i64(), got.as_u64());
            let whole = wanted.as_i64().is_some() || wanted.as_u64().is_some();
            if whole { integers } else { wanted.as_f64() == got.as_f64() }
        }
        _ => wanted == got,
    }
}

/// The entries of a file of `tests/cases`.
fn entries(file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(need::root().join("tests/cases").join(Path::new(file)));
    let cases: Value = serde_json::from_str(&text.expect("the case file is part of the checkout")).expect("it is JSON");
    cases.as_array().expect("the case file is a list").clone()
}

fn case(entry: &Value) -> Case {
    Case { tag: text(entry, "tag"), address: text(entry, "address"), value: entry["value"].clone() }
}

fn text(entry: &Value, name: &str) -> String {
    entry[name].as_str().expect("a text in the case file").to_owned()
}

fn number(value: &Value) -> u16 {
    u16::try_from(value.as_u64().expect("a number in the case file")).expect("16 bits")
}
