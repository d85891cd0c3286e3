//! The form of a secret: where it is found.

use serde_json::{Value, json};

use super::{Context, Form, Key, Section, Text};
use crate::config::Secret;
use crate::config::fields::Fields;
use crate::config::near::nearest;
use crate::config::schema::Definitions;
use crate::config::tree::{Content, Node};

/// A reference to a secret.
pub(in crate::config) struct SecretForm;

const KEYS: [&str; 4] = ["file", "env", "credential", LITERAL];

/// The key whose value is the secret itself.
const LITERAL: &str = "literal";

const EXPECTED: &str =
    "{ file: /path }, { env: NAME } or { credential: NAME }; { literal: … } only if it has to stand in the file";

impl<'t> Form<'t> for SecretForm {
    type Value = Secret;

    fn read(&self, context: &mut Context<'t>, key: Key<'t>, node: &Node) -> Option<Secret> {
        let Content::Map(entries) = &node.content else {
            context.faults.hide(node.span);
            let message = format!("`{}` is a secret, and secrets do not stand in the file", key.name);
            context.faults.error(node.span, message, format!("write {EXPECTED}"));
            return None;
        };
        let texts = context.texts;
        if let Some(unknown) = entries.iter().find(|entry| !KEYS.contains(&texts.get(entry.key))) {
            // `{ hunter2 }` is a map with that key: not even the key is shown.
            context.faults.hide(node.span);
            let near = nearest(texts.get(unknown.key), KEYS)
                .map(|near| format!("did you mean `{near}`? "))
                .unwrap_or_default();
            let message = format!("`{}` has a key that is not known here", key.name);
            context.faults.error(unknown.key_span, message, format!("{near}Write {EXPECTED}"));
            return None;
        }
        let literal = entries.iter().filter(|entry| texts.get(entry.key) == LITERAL);
        literal.for_each(|entry| context.faults.hide(entry.value.span));
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
    let literal = fields.optional(LITERAL, "The secret itself, for all who read this file.", &Text { example: "…" });
    let given = [
        file.map(|path| Secret::File(path.value.into())),
        env.map(|name| Secret::Env(name.value.into())),
        credential.map(|name| Secret::Credential(name.value.into())),
        literal.map(|text| Secret::Literal(text.value.into())),
    ];
    given.into_iter().flatten().collect()
}
