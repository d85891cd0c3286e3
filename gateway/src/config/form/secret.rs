//! The form of a secret: where it is found.

use serde_json::{Value, json};

use super::{Context, Form, Key, Section, Text};
use crate::config::Secret;
use crate::config::fields::Fields;
use crate::config::schema::Definitions;
use crate::config::tree::{Content, Node};

/// A reference to a secret.
pub(in crate::config) struct SecretForm;

/// The keys whose values are no secrets themselves.
const PLACES: [&str; 3] = ["file", "env", "credential"];

const EXPECTED: &str =
    "{ file: /path }, { env: NAME } or { credential: NAME }; { literal: … } only if it has to stand in the file";

impl<'t> Form<'t> for SecretForm {
    type Value = Secret;

    fn read(&self, context: &mut Context, key: Key<'t>, node: &'t Node<'t>) -> Option<Secret> {
        let Content::Map(entries) = &node.content else {
            context.faults.hide(node.span);
            let message = format!("`{}` is a secret, and secrets do not stand in the file", key.name);
            context.faults.error(node.span, message, format!("write {EXPECTED}"));
            return None;
        };
        let told = entries.iter().filter(|entry| !PLACES.contains(&&*entry.key));
        told.for_each(|entry| context.faults.hide(entry.value.span));
        let mut given = section().read(context, key, node)?;
        match (given.pop(), given.is_empty()) {
            (Some(secret), true) => Some(secret),
            (Some(_), false) => {
                let message = format!("`{}` is in more than one place", key.name);
                context.faults.error(key.span, message, "keep one of them");
                None
            }
            (None, _) => {
                context.faults.error(key.span, format!("`{}` has no place", key.name), format!("write {EXPECTED}"));
                None
            }
        }
    }

    fn expected(&self) -> String {
        EXPECTED.into()
    }

    fn schema(&self, definitions: &mut Definitions) -> Value {
        json!({ "allOf": [section().schema(definitions)], "minProperties": 1, "maxProperties": 1 })
    }

    fn is_secret(&self) -> bool {
        true
    }
}

fn section<'t>() -> Section<'t, Vec<Secret>> {
    Section { name: "secret", read: places }
}

fn places(fields: &mut Fields<'_, '_>) -> Vec<Secret> {
    let file = fields.optional("file", "A file that holds it; read at each connect.", &Text { example: "/run/secret" });
    let env = fields.optional("env", "An environment variable that holds it.", &Text { example: "MQTT_PASSWORD" });
    let credential = fields.optional(
        "credential",
        "A systemd credential (LoadCredential=, LoadCredentialEncrypted=) that holds it.",
        &Text { example: "mqtt" },
    );
    let literal = fields.optional("literal", "The secret itself, for all who read this file.", &Text { example: "…" });
    let given = [
        file.map(|path| Secret::File(path.value.into())),
        env.map(|name| Secret::Env(name.value.into())),
        credential.map(|name| Secret::Credential(name.value.into())),
        literal.map(|text| Secret::Literal(text.value.into())),
    ];
    given.into_iter().flatten().collect()
}
