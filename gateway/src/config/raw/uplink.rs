//! Uplinks as written.

use super::DRAIN;
use crate::config::Secret;
use crate::config::fields::Fields;
use crate::config::form::{Known, SecretForm, Text};
use crate::config::source::Spanned;
use crate::pipeline::forward::route::Drain;

/// What stands under an uplink's name.
#[derive(Debug)]
pub(in crate::config) struct RawUplink<'t> {
    pub(in crate::config) url: Option<Spanned<&'t str>>,
    pub(in crate::config) topic: Option<Spanned<&'t str>>,
    pub(in crate::config) format: Option<Spanned<&'t str>>,
    pub(in crate::config) payload: Option<Spanned<&'t str>>,
    pub(in crate::config) user: Option<Spanned<&'t str>>,
    pub(in crate::config) password: Option<Spanned<Secret>>,
    pub(in crate::config) tls: RawTls<'t>,
    pub(in crate::config) drain: Option<Spanned<Drain>>,
    /// The uplink's own options that were written as keys.
    pub(in crate::config) options: Vec<(&'static str, Spanned<&'t str>)>,
}

/// The files of a TLS connection.
#[derive(Debug, Default)]
pub(in crate::config) struct RawTls<'t> {
    pub(in crate::config) ca: Option<Spanned<&'t str>>,
    pub(in crate::config) cert: Option<Spanned<&'t str>>,
    pub(in crate::config) key: Option<Spanned<&'t str>>,
}

/// Takes the keys of an uplink.
pub(super) fn uplink<'t>(fields: &mut Fields<'_, 't>) -> RawUplink<'t> {
    let kinds = fields.kinds();
    let schemes: Vec<&str> = kinds.uplink_schemes().collect();
    let url_help = format!("Where it leads. Uplinks here: {}.", schemes.join(", "));
    RawUplink {
        url: fields.required("url", &url_help, &Text { example: "mqtts://broker.example:8883" }),
        topic: fields.optional(
            "topic",
            "With {tag} in it one message a reading, without it one a batch and device.",
            &Text { example: "{gateway}/{device}/{tag}" },
        ),
        format: fields.optional(
            "format",
            "How readings are written; json where nothing stands.",
            &Known(kinds.format_names()),
        ),
        payload: fields.optional(
            "payload",
            "With `format: template`, the payload of a reading, with words such as {value} put in.",
            &Text { example: "{time} {value}" },
        ),
        user: fields.optional("user", "Who logs in.", &Text { example: "forebay" }),
        password: fields.optional("password", "The password, by reference.", &SecretForm),
        drain: fields.optional(
            "drain",
            "In which order a backlog leaves; where nothing stands, as in `buffer`.",
            &DRAIN,
        ),
        tls: fields.section("tls", "Certificates, all in PEM; read at each connect.", tls),
        options: kinds
            .uplink_options()
            .into_iter()
            .filter_map(|(name, help)| {
                let option = fields.optional(name, help, &Text { example: "it stands in the URL's query" })?;
                Some((name, option))
            })
            .collect(),
    }
}

fn tls<'t>(fields: &mut Fields<'_, 't>) -> RawTls<'t> {
    RawTls {
        ca: fields.optional(
            "ca",
            "Whom to trust; without it, whom the system trusts.",
            &Text { example: "/etc/forebay/ca.pem" },
        ),
        cert: fields.optional(
            "cert",
            "The certificate to show, with its chain.",
            &Text { example: "/etc/forebay/cert.pem" },
        ),
        key: fields.optional("key", "The key of that certificate.", &Text { example: "/etc/forebay/key.pem" }),
    }
}
