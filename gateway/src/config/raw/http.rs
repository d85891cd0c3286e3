//! The HTTP server as written.

use super::write::ROLE;
use crate::config::Secret;
use crate::config::fields::Fields;
use crate::config::form::{Either, Listen, MapOf, OneOf, Or, SecretForm, Section};
use crate::http::{HttpConfig, Token};
use crate::pipeline::command::Role;

/// Takes the keys of `http:`.
pub(super) fn http<'t>(fields: &mut Fields<'_, 't>) -> HttpConfig {
    let listen = fields.default(
        "listen",
        "Where it listens: an address of this machine itself.",
        &Or(OFF, Listen),
        "127.0.0.1:9470",
    );
    let tokens = fields.optional(
        "tokens",
        "Who may send commands, by name; without any nobody may.",
        &MapOf(Section { name: "token", read: token }),
    );
    let tokens = tokens.map(|tokens| tokens.value).unwrap_or_default().into_iter();
    HttpConfig {
        listen: match listen {
            Either::First(()) => None,
            Either::Second(address) => Some(address),
        },
        tokens: tokens
            .filter_map(|token| Some(Token { name: token.name.into(), secret: token.value.0?, role: token.value.1 }))
            .collect(),
    }
}

fn token(fields: &mut Fields<'_, '_>) -> (Option<Secret>, Role) {
    let secret = fields.required("secret", "The token, by reference; at least 16 characters.", &SecretForm);
    let role = fields.default("role", "What they may do.", &ROLE, "operator");
    (secret.map(|secret| secret.value), role)
}

const OFF: OneOf<()> = OneOf(&[("off", (), "nowhere")]);
