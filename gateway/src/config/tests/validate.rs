//! As much of a JSON Schema validator as our schema uses, and YAML as an editor sees it.

use serde_json::{Map, Value, json};

use crate::config::tree::{Content, Node, Texts};

/// A node as JSON, with the types that YAML's core schema gives to plain texts.
pub(super) fn json(node: &Node, texts: Texts<'_>) -> Value {
    let text = node.words().map(|words| texts.get(words)).unwrap_or_default();
    match &node.content {
        Content::Nothing => Value::Null,
        Content::Quoted(_) => json!(text),
        Content::Plain(_) => match (text.parse::<i64>(), text.parse::<f64>(), text.parse::<bool>()) {
            (Ok(integer), ..) => json!(integer),
            (_, Ok(number), _) if number.is_finite() => json!(number),
            (.., Ok(boolean)) => json!(boolean),
            _ => json!(text),
        },
        Content::List(items) => items.iter().map(|item| json(item, texts)).collect(),
        Content::Map(entries) => Value::Object(
            entries.iter().map(|entry| (texts.get(entry.key).into(), json(&entry.value, texts))).collect(),
        ),
    }
}

/// The keywords or keys for which a value does not fit; a keyword that is not known here fits never.
pub(super) fn faults(root: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let Value::Object(keywords) = schema else { panic!("a schema is an object: {schema}") };
    keywords.iter().flat_map(|(keyword, argument)| fault(root, keywords, keyword, argument, value)).collect()
}

fn fault(root: &Value, keywords: &Map<String, Value>, keyword: &str, argument: &Value, value: &Value) -> Vec<String> {
    let fitting = |schemas: &Value| {
        let schemas = schemas.as_array().expect("an array of schemas");
        schemas.iter().filter(|schema| faults(root, schema, value).is_empty()).count()
    };
    let object = value.as_object();
    let length = value.as_str().map(|text| text.chars().count() as u64);
    let fits = match keyword {
        "$schema" | "$defs" | "title" | "description" | "default" => true,
        "$ref" => {
            let name = argument.as_str().and_then(|text| text.strip_prefix("#/$defs/")).expect("a local reference");
            return faults(root, &root["$defs"][name], value);
        }
        "type" => match argument {
            Value::Array(types) => types.iter().any(|name| is_a(value, name)),
            name => is_a(value, name),
        },
        "const" => value == argument,
        "not" => !faults(root, argument, value).is_empty(),
        "anyOf" => fitting(argument) > 0,
        "oneOf" => fitting(argument) == 1,
        "allOf" => {
            return argument.as_array().into_iter().flatten().flat_map(|schema| faults(root, schema, value)).collect();
        }
        "minimum" => value.as_f64().is_none_or(|number| Some(number) >= argument.as_f64()),
        "maximum" => value.as_f64().is_none_or(|number| Some(number) <= argument.as_f64()),
        "exclusiveMinimum" => value.as_f64().is_none_or(|number| Some(number) > argument.as_f64()),
        "minLength" => length.is_none_or(|length| Some(length) >= argument.as_u64()),
        "maxLength" => length.is_none_or(|length| Some(length) <= argument.as_u64()),
        "minProperties" => object.is_none_or(|object| Some(object.len() as u64) >= argument.as_u64()),
        "maxProperties" => object.is_none_or(|object| Some(object.len() as u64) <= argument.as_u64()),
        "pattern" => value.as_str().is_none_or(|text| matches(argument.as_str().expect("a pattern"), text)),
        "required" => {
            let missing = argument.as_array().into_iter().flatten().filter_map(Value::as_str);
            return missing
                .filter(|key| object.is_some_and(|object| !object.contains_key(*key)))
                .map(Into::into)
                .collect();
        }
        "propertyNames" => {
            let names = object.into_iter().flat_map(Map::keys);
            return names.flat_map(|name| faults(root, argument, &json!(name))).collect();
        }
        "properties" => {
            let known = argument.as_object().expect("properties");
            let given = known.iter().filter_map(|(key, schema)| Some((schema, object?.get(key)?)));
            return given.flat_map(|(schema, value)| faults(root, schema, value)).collect();
        }
        "additionalProperties" => {
            let known = keywords.get("properties").and_then(Value::as_object);
            let others =
                object.into_iter().flatten().filter(|(key, _)| known.is_none_or(|known| !known.contains_key(*key)));
            return match argument {
                Value::Bool(false) => others.map(|(key, _)| key.clone()).collect(),
                schema => others.flat_map(|(_, value)| faults(root, schema, value)).collect(),
            };
        }
        _ => false,
    };
    if fits { Vec::new() } else { vec![keyword.into()] }
}

fn is_a(value: &Value, name: &Value) -> bool {
    match name.as_str().expect("the name of a type") {
        "object" => value.is_object(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("no type {other}"),
    }
}

/// Our patterns are a decimal number with one of a few endings.
fn matches(pattern: &str, text: &str) -> bool {
    let ends =
        pattern.strip_prefix("^[0-9]+(\\.[0-9]+)?").and_then(|rest| rest.strip_suffix('$')).expect("our pattern");
    let ends = ends.trim_start_matches('(').trim_end_matches(')');
    ends.split('|').any(|end| text.strip_suffix(end).is_some_and(|digits| digits.parse::<f64>().is_ok()))
}
