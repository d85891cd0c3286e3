//! Structures whose fields the configuration declares. Their values are JSON in a text, as a driver has told them; formats
//! that announce types read the fields out of it.

use std::fmt;

use driver_core::{DataType, Value, nearest, parse_value};
use serde_json::{Map, Value as Json};

/// The fields of a structure, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Structure {
    /// Whether a value is one of them or a row of them.
    pub shape: Shape,
    /// Name and type of each; no two have the same name.
    pub fields: Box<[(Box<str>, DataType)]>,
}

/// How many structures a value has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One.
    One,
    /// Any number, as the rows of a table.
    Table,
}

impl Structure {
    /// Understands a list such as `temperature REAL, count UDINT`.
    ///
    /// # Errors
    /// What is wrong with it, for the operator.
    pub fn parse(text: &str, shape: Shape) -> Result<Structure, String> {
        let mut fields: Vec<(Box<str>, DataType)> = Vec::new();
        for part in text.split(',').map(str::trim) {
            let Some((name, word)) = part.rsplit_once(char::is_whitespace) else {
                return Err(format!("`{part}` is no field: write its name and its type, such as `temperature REAL`"));
            };
            let Some(data_type) = DataType::from_name(word) else {
                let near = nearest(word, DataType::names()).map(|near| format!(", did you mean {near}?"));
                return Err(format!("`{word}` is no type{}", near.unwrap_or_default()));
            };
            let name = name.trim_end();
            if fields.iter().any(|(known, _)| &**known == name) {
                return Err(format!("the field `{name}` stands there twice"));
            }
            fields.push((name.into(), data_type));
        }
        Ok(Structure { shape, fields: fields.into() })
    }

    /// The values of the fields, a row for each structure. `None` when the value is no such structure, or has a field that
    /// was not declared, so that nothing of it is left out in silence. A field that is not there is [`Value::None`].
    pub fn rows(&self, value: &Value) -> Option<Vec<Vec<Value>>> {
        match (self.shape, value) {
            (Shape::One, Value::Text(text)) => Some(vec![self.row(&serde_json::from_str(text).ok()?)?]),
            (Shape::Table, Value::Text(text)) => {
                let rows: Vec<Map<String, Json>> = serde_json::from_str(text).ok()?;
                rows.iter().map(|row| self.row(row)).collect()
            }
            (Shape::Table, Value::Array(rows)) => {
                let row = |row: &Value| match row {
                    Value::Text(text) => self.row(&serde_json::from_str(text).ok()?),
                    _ => None,
                };
                rows.iter().map(row).collect()
            }
            _ => None,
        }
    }

    fn row(&self, object: &Map<String, Json>) -> Option<Vec<Value>> {
        let is_declared = |name: &String| self.fields.iter().any(|(field, _)| **field == *name);
        if !object.keys().all(is_declared) {
            return None;
        }
        self.fields.iter().map(|(name, data_type)| member(object.get(&**name), *data_type)).collect()
    }
}

impl fmt::Display for Structure {
    /// As it is declared, in braces; a table in brackets, too.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields: Vec<String> =
            self.fields.iter().map(|(name, data_type)| format!("{name} {}", data_type.name())).collect();
        match self.shape {
            Shape::One => write!(f, "{{{}}}", fields.join(", ")),
            Shape::Table => write!(f, "[{{{}}}]", fields.join(", ")),
        }
    }
}

/// A field's value in its type; what is no plain value stands as JSON in a field that is a text.
fn member(json: Option<&Json>, data_type: DataType) -> Option<Value> {
    use DataType::{Char, String, Wchar, Wstring};
    let is_text = matches!(data_type, Char | Wchar | String(_) | Wstring(_));
    match json {
        None | Some(Json::Null) => Some(Value::None),
        Some(Json::String(text)) if is_text => Some(Value::Text(text.as_str().into())),
        // Times are UTC, with or without saying so.
        Some(Json::String(text)) => parse_value(text.strip_suffix('Z').unwrap_or(text), data_type, 1).ok(),
        Some(Json::Bool(bit)) => (data_type == DataType::Bool).then_some(Value::Bool(*bit)),
        Some(Json::Number(number)) if !is_text && data_type != DataType::Bool => {
            parse_value(&number.to_string(), data_type, 1).ok()
        }
        Some(json @ (Json::Array(_) | Json::Object(_))) if is_text => Some(Value::Text(json.to_string().into())),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: &str = "on BOOL, small SINT, wide ULINT, level REAL, exact LREAL, name STRING, at LDT";

    #[test]
    fn declared_fields_are_read_in_their_types() {
        let structure = Structure::parse(FIELDS, Shape::One).expect("fields");
        let text = r#"{"name":"a","on":true,"small":-5,"wide":"18446744073709551615","level":1.5,"exact":21,"at":"2026-11-23T02:28:33Z"}"#;
        let rows = structure.rows(&Value::Text(text.into())).expect("a structure");
        let expected = [
            Value::Bool(true),
            Value::Int(-5),
            Value::UInt(u64::MAX),
            Value::Real(1.5),
            Value::LReal(21.0),
            Value::Text("a".into()),
            Value::DateTime(1_795_400_913_000_000_000),
        ];
        assert_eq!(rows, [expected]);
    }

    #[test]
    fn what_does_not_fit_is_no_such_structure_and_what_is_absent_is_nothing() {
        let structure = Structure::parse("n INT, rest STRING", Shape::One).expect("fields");
        let rows = |text: &str| structure.rows(&Value::Text(text.into()));
        assert_eq!(rows("{}"), Some(vec![vec![Value::None, Value::None]]));
        let nested = Value::Text(r#"{"a":[1]}"#.into());
        assert_eq!(rows(r#"{"n":null,"rest":{"a":[1]}}"#), Some(vec![vec![Value::None, nested]]));
        for wrong in
            ["", "[]", "7", r#"{"n":1,"more":2}"#, r#"{"n":40000}"#, r#"{"n":1.5}"#, r#"{"n":true}"#, r#"{"rest":1}"#]
        {
            assert_eq!(rows(wrong), None, "{wrong}");
        }
        assert_eq!(structure.rows(&Value::Int(1)), None);
    }

    #[test]
    fn tables_are_arrays_of_texts_or_one_text() {
        let structure = Structure::parse("n INT", Shape::Table).expect("columns");
        assert_eq!(structure.to_string(), "[{n INT}]");
        let expected = Some(vec![vec![Value::Int(1)], vec![Value::Int(2)]]);
        let text = |text: &str| Value::Text(text.into());
        assert_eq!(structure.rows(&text(r#"[{"n":1},{"n":2}]"#)), expected);
        assert_eq!(structure.rows(&Value::Array([text(r#"{"n":1}"#), text(r#"{"n":2}"#)].into())), expected);
        assert_eq!(structure.rows(&Value::Array([Value::Int(1)].into())), None);
    }

    #[test]
    fn what_is_no_list_of_fields_is_told() {
        let cases = [
            ("n", "`n` is no field"),
            ("n INTT", "`INTT` is no type, did you mean"),
            ("n INT, n REAL", "the field `n` stands there twice"),
            ("n INT,", "`` is no field"),
        ];
        for (text, said) in cases {
            let error = Structure::parse(text, Shape::One).expect_err(text);
            assert!(error.starts_with(said), "{error}");
        }
    }
}
