//! Maps: with known keys, and with names that the operator chooses.

use serde_json::{Value, json};

use super::text::{NAME_BYTES_MAX, check};
use super::{Context, Form, Key};
use crate::config::fields::Fields;
use crate::config::schema::Definitions;
use crate::config::source::Span;
use crate::config::tree::{Content, Entry, Node};

/// A map with known keys, read by a function.
pub(in crate::config) struct Section<'t, T> {
    /// What it is, as a noun; its name in the schema.
    pub(in crate::config) name: &'static str,
    /// Takes each key in turn.
    pub(in crate::config) read: fn(&mut Fields<'_, 't>) -> T,
}

/// A map with names of the operator's, each with the same form behind it.
pub(in crate::config) struct MapOf<F>(pub(in crate::config) F);

/// An entry of a [`MapOf`].
#[derive(Debug, Clone)]
pub(in crate::config) struct Named<'t, T> {
    pub(in crate::config) name: &'t str,
    /// Where the name stands.
    pub(in crate::config) span: Span,
    pub(in crate::config) value: T,
}

impl<'t, T> Section<'t, T> {
    fn read_entries(&self, context: &mut Context<'t>, key: Key<'t>, entries: &[Entry]) -> T {
        let mut fields = Fields::reading(context, key, entries);
        let value = (self.read)(&mut fields);
        fields.finish();
        value
    }
}

impl<'t, T> Form<'t> for Section<'t, T> {
    type Value = T;

    fn read(&self, context: &mut Context<'t>, key: Key<'t>, node: &Node) -> Option<T> {
        match &node.content {
            Content::Map(entries) => Some(self.read_entries(context, key, entries)),
            _ => {
                context.unexpected(key, node, &self.expected());
                None
            }
        }
    }

    fn read_nothing(&self, context: &mut Context<'t>, key: Key<'t>) -> Option<T> {
        Some(self.read_entries(context, key, &[]))
    }

    fn expected(&self) -> String {
        format!("a map with the keys of a {}", self.name)
    }

    fn schema(&self, definitions: &mut Definitions) -> Value {
        definitions.reference(self.name, |definitions| {
            let mut fields = Fields::describing(definitions);
            (self.read)(&mut fields);
            fields.described()
        })
    }
}

impl<'t, F: Form<'t>> Form<'t> for MapOf<F> {
    type Value = Vec<Named<'t, F::Value>>;

    fn read(&self, context: &mut Context<'t>, key: Key<'t>, node: &Node) -> Option<Self::Value> {
        let Content::Map(entries) = &node.content else {
            context.unexpected(key, node, &self.expected());
            return None;
        };
        let mut named = Vec::with_capacity(entries.len());
        for Entry { key: name, key_span, value } in entries.iter() {
            let name = context.texts.get(*name);
            if let Err(complaint) = check(name, NAME_BYTES_MAX, "the name") {
                context.faults.complaint(*key_span, complaint);
                continue;
            }
            let key = Key { name, span: *key_span };
            let value = match value.content {
                Content::Nothing => self.0.read_nothing(context, key),
                _ => self.0.read(context, key, value),
            };
            named.extend(value.map(|value| Named { name, span: *key_span, value }));
        }
        Some(named)
    }

    fn read_nothing(&self, _: &mut Context<'t>, _: Key<'t>) -> Option<Self::Value> {
        Some(Vec::new())
    }

    fn expected(&self) -> String {
        "a map of names, each with its own value".into()
    }

    fn schema(&self, definitions: &mut Definitions) -> Value {
        let names = json!({ "minLength": 1, "maxLength": NAME_BYTES_MAX });
        json!({ "type": ["object", "null"], "propertyNames": names, "additionalProperties": self.0.schema(definitions) })
    }
}
