//! The keys of one map: read in turn, or described in turn. The code that takes the keys is the same, so that the schema
//! and the parser cannot disagree.

use serde_json::{Map, Value, json};

use super::form::{Context, Form, Key, Scalar, Section, Word};
use super::kinds::Kinds;
use super::near::nearest;
use super::schema::Definitions;
use super::source::{Span, Spanned};
use super::tree::{Content, Entry};

/// A map whose keys are taken one by one. Faults are gathered; a key that cannot be understood is as if it were absent.
pub(super) struct Fields<'c, 't> {
    mode: Mode<'c, 't>,
    known: Vec<&'static str>,
    secrets: Secrets,
}

enum Mode<'c, 't> {
    Read { context: &'c mut Context<'t>, key: Key<'t>, entries: &'c [Entry], taken: Vec<bool> },
    Describe { definitions: &'c mut Definitions, properties: Map<String, Value>, required: Vec<Value> },
}

/// Whether a map has keys for secrets: then nothing behind a misspelt key is ever shown.
#[derive(PartialEq, Eq)]
enum Secrets {
    None,
    Some,
}

impl<'c, 't> Fields<'c, 't> {
    pub(super) fn reading(context: &'c mut Context<'t>, key: Key<'t>, entries: &'c [Entry]) -> Fields<'c, 't> {
        let taken = vec![false; entries.len()];
        Fields { mode: Mode::Read { context, key, entries, taken }, known: Vec::new(), secrets: Secrets::None }
    }

    pub(super) fn describing(definitions: &'c mut Definitions) -> Fields<'c, 't> {
        let mode = Mode::Describe { definitions, properties: Map::new(), required: Vec::new() };
        Fields { mode, known: Vec::new(), secrets: Secrets::None }
    }

    /// Which drivers and uplinks there are.
    pub(super) fn kinds(&self) -> Kinds {
        match &self.mode {
            Mode::Read { context, .. } => context.kinds,
            Mode::Describe { definitions, .. } => definitions.kinds,
        }
    }

    /// A key that may be absent; `None` also when its value cannot be understood.
    pub(super) fn optional<F: Form<'t>>(
        &mut self,
        name: &'static str,
        help: &str,
        form: &F,
    ) -> Option<Spanned<F::Value>> {
        self.known.push(name);
        if form.is_secret() {
            self.secrets = Secrets::Some;
        }
        match &mut self.mode {
            Mode::Read { context, entries, taken, .. } => {
                let texts = context.texts;
                let index = entries.iter().position(|entry| texts.get(entry.key) == name)?;
                taken[index] = true;
                let Entry { key, key_span, value } = &entries[index];
                let key = Key { name: texts.get(*key), span: *key_span };
                let (read, span) = match value.content {
                    Content::Nothing => (form.read_nothing(context, key), *key_span),
                    _ => (form.read(context, key, value), value.span),
                };
                read.map(|value| Spanned { value, span })
            }
            Mode::Describe { definitions, properties, .. } => {
                let mut property = form.schema(definitions);
                property["description"] = help.into();
                properties.insert(name.into(), property);
                None
            }
        }
    }

    /// A key that has to be there.
    pub(super) fn required<F: Form<'t>>(
        &mut self,
        name: &'static str,
        help: &str,
        form: &F,
    ) -> Option<Spanned<F::Value>> {
        match &mut self.mode {
            Mode::Read { context, key, entries, .. } => {
                if !entries.iter().any(|entry| context.texts.get(entry.key) == name) {
                    let subject = if key.name.is_empty() { String::new() } else { format!(" of `{}`", key.name) };
                    let help = format!("write `{name}:` with {}", form.expected());
                    context.faults.error(key.span, format!("the key `{name}`{subject} is missing"), help);
                }
            }
            Mode::Describe { required, .. } => required.push(name.into()),
        }
        self.optional(name, help, form)
    }

    /// A key with a default, given as it would be written.
    pub(super) fn default<F: Scalar<'t>>(
        &mut self,
        name: &'static str,
        help: &str,
        form: &F,
        default: &'static str,
    ) -> F::Value {
        self.default_at(name, help, form, default).value
    }

    /// The same with its place; nowhere where it was not written.
    pub(super) fn default_at<F: Scalar<'t>>(
        &mut self,
        name: &'static str,
        help: &str,
        form: &F,
        default: &'static str,
    ) -> Spanned<F::Value> {
        let read = self.optional(name, help, form);
        if let Mode::Describe { properties, .. } = &mut self.mode {
            properties[name]["default"] = default.into();
        }
        match read {
            Some(read) => read,
            None => match form.parse(Word::plain(default)) {
                Ok(value) => Spanned { value, span: Span::default() },
                Err(complaint) => unreachable!("the default of `{name}`: {}", complaint.message),
            },
        }
    }

    /// A key with a map behind it in which every key may be absent, and so may the map.
    pub(super) fn section<T>(&mut self, name: &'static str, help: &str, read: fn(&mut Fields<'_, 't>) -> T) -> T {
        if let Some(read) = self.optional(name, help, &Section { name, read }) {
            return read.value;
        }
        match &mut self.mode {
            Mode::Read { context, key, .. } => read(&mut Fields::reading(context, *key, &[])),
            Mode::Describe { definitions, .. } => read(&mut Fields::describing(definitions)),
        }
    }

    /// Tells of keys that do not go together.
    pub(super) fn fault(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        if let Mode::Read { context, .. } = &mut self.mode {
            context.faults.error(span, message, help);
        }
    }

    /// Tells of all keys that nobody took.
    pub(super) fn finish(self) {
        let Mode::Read { context, entries, taken, .. } = self.mode else { return };
        for (entry, _) in entries.iter().zip(taken).filter(|(_, taken)| !taken) {
            if self.secrets == Secrets::Some {
                context.faults.hide(entry.value.span);
            }
            let (key, known) = (context.texts.get(entry.key), self.known.join(", "));
            let help = match nearest(key, self.known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`? Known here: {known}"),
                None => format!("known here: {known}"),
            };
            context.faults.error(entry.key_span, format!("unknown key `{key}`"), help);
        }
    }

    /// The schema of the keys that were taken.
    pub(super) fn described(self) -> Value {
        match self.mode {
            Mode::Read { .. } => Value::Null,
            Mode::Describe { properties, required, .. } => {
                let kind = if required.is_empty() { json!(["object", "null"]) } else { json!("object") };
                json!({ "type": kind, "properties": properties, "required": required, "additionalProperties": false })
            }
        }
    }
}
