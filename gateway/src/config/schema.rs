//! The JSON Schema of a configuration file, described by the code that reads it.

use serde_json::{Map, Value, json};

use super::form::{Form, Section};
use super::kinds::Kinds;
use super::raw;

/// The parts of a schema that are referred to by name.
pub(super) struct Definitions {
    pub(super) kinds: Kinds,
    known: Map<String, Value>,
}

impl Definitions {
    /// A reference to a definition, which is made if it is not there yet.
    pub(super) fn reference(&mut self, name: &str, describe: impl FnOnce(&mut Definitions) -> Value) -> Value {
        if !self.known.contains_key(name) {
            self.known.insert(name.into(), Value::Null);
            let description = describe(self);
            self.known.insert(name.into(), description);
        }
        json!({ "$ref": format!("#/$defs/{name}") })
    }
}

/// The schema of a file that may name these drivers and uplinks.
pub fn schema(kinds: Kinds) -> Value {
    let mut definitions = Definitions { kinds, known: Map::new() };
    let root = Section { name: "gateway", read: raw::gateway }.schema(&mut definitions);
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of a Forebay gateway",
    });
    if let (Value::Object(schema), Value::Object(root)) = (&mut schema, root) {
        schema.extend(root);
        schema.insert("$defs".into(), Value::Object(definitions.known));
    }
    schema
}
