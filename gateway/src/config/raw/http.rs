//! The HTTP server as written.

use std::path::PathBuf;

use super::write::ROLE;
use crate::config::Secret;
use crate::config::fields::Fields;
use crate::config::form::{Either, HashForm, Listen, MapOf, OneOf, Or, SecretForm, Section, Text};
use crate::config::source::{Span, Spanned};
use crate::http::{Certificate, HttpConfig, Token, User, Users};
use crate::pipeline::command::Role;

/// Takes the keys of `http:`.
pub(super) fn http<'t>(fields: &mut Fields<'_, 't>) -> HttpConfig {
    let listen = fields.default_at(
        "listen",
        "Where it listens. Beyond the loopback only with `tls`, and with somebody who may log in.",
        &Or(OFF, Listen),
        "127.0.0.1:9470",
    );
    let tls = fields.optional(
        "tls",
        "What it shows to those who come from elsewhere.",
        &Section { name: "http_tls", read: certificate },
    );
    let users =
        fields.optional("users", "Who may log in on the page, by name.", &MapOf(Section { name: "user", read: user }));
    let users_file = fields.optional(
        "users_file",
        "A file with more of them, name:role:hash a line; read at each login.",
        &Text { example: "/etc/forebay/users" },
    );
    let tokens = fields.optional(
        "tokens",
        "What programs log in with, by name; also for commands.",
        &MapOf(Section { name: "token", read: token }),
    );
    let users = users.map(|users| users.value).unwrap_or_default().into_iter();
    let users = users.filter_map(|user| Some(User { name: user.name.into(), hash: user.value.0?, role: user.value.1 }));
    let tokens = tokens.map(|tokens| tokens.value).unwrap_or_default().into_iter();
    let tokens =
        tokens.filter_map(|token| Some(Token { name: token.name.into(), secret: token.value.0?, role: token.value.1 }));
    let config = HttpConfig {
        listen: match listen.value {
            Either::First(()) => None,
            Either::Second(address) => Some(address),
        },
        certificate: tls.and_then(|tls| tls.value),
        users: Users { written: users.collect(), file: users_file.map(|file| file.value.into()) },
        tokens: tokens.collect(),
    };
    beyond_the_loopback(&config, listen.span, fields);
    config
}

/// What can be reached from elsewhere is encrypted, and asks who comes.
fn beyond_the_loopback(config: &HttpConfig, span: Span, fields: &mut Fields<'_, '_>) {
    let Some(address) = config.listen.filter(|address| !address.ip().is_loopback()) else { return };
    if config.certificate.is_none() {
        let message = format!("`{address}` can be reached from other machines, and would be served without TLS");
        let help = "add `tls: { cert: own }`, or name a certificate and its key there, or listen on 127.0.0.1:9470";
        fields.fault(span, message, help);
    }
    if config.users.is_empty() && config.tokens.is_empty() {
        let message = format!("`{address}` can be reached from other machines, and nobody could log in");
        let help = "add `users: { NAME: { hash: … } }` with a hash that `forebay password` prints, or `tokens`";
        fields.fault(span, message, help);
    }
}

fn certificate(fields: &mut Fields<'_, '_>) -> Option<Certificate> {
    let cert = fields.required(
        "cert",
        "The certificate with its chain, PEM; or `own`: one that the gateway makes for itself, beside its buffer.",
        &Text { example: "/etc/forebay/cert.pem" },
    );
    let key = fields.optional("key", "The key of that certificate, PEM.", &Text { example: "/etc/forebay/key.pem" });
    let cert: Spanned<&str> = cert?;
    match (cert.value, key) {
        ("own", None) => Some(Certificate::Own),
        ("own", Some(key)) => {
            fields.fault(key.span, "an own certificate has its own key", "remove `key`");
            None
        }
        (path, Some(key)) => Some(Certificate::Files { cert: PathBuf::from(path), key: PathBuf::from(key.value) }),
        (_, None) => {
            fields.fault(cert.span, "the certificate has no key", "add `key: /path`, or write `cert: own`");
            None
        }
    }
}

fn user(fields: &mut Fields<'_, '_>) -> (Option<Box<str>>, Role) {
    let hash = fields.required("hash", "The hash of their password, as `forebay password` prints it.", &HashForm);
    let role = fields.default("role", "What they may do.", &ROLE, "viewer");
    (hash.map(|hash| hash.value.into()), role)
}

fn token(fields: &mut Fields<'_, '_>) -> (Option<Secret>, Role) {
    let secret = fields.required("secret", "The token, by reference; at least 16 characters.", &SecretForm);
    let role = fields.default("role", "What they may do.", &ROLE, "operator");
    (secret.map(|secret| secret.value), role)
}

const OFF: OneOf<()> = OneOf(&[("off", (), "nowhere")]);
