//! Uplinks as written.

use std::time::Duration;

use buffer::LagMax;

use super::{DAY, DRAIN};
use crate::config::Secret;
use crate::config::fields::Fields;
use crate::config::form::{Integer, Interval, Known, MapOf, Named, OneOf, SecretForm, Section, Size, Text};
use crate::config::source::Spanned;
use crate::pipeline::forward::route::Drain;
use crate::uplink::registry::Schemas;

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
    pub(in crate::config) lag_max: LagMax,
    pub(in crate::config) registry: Option<Spanned<RawRegistry<'t>>>,
    pub(in crate::config) create_topics: Option<Spanned<RawTopics<'t>>>,
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

/// A schema registry.
#[derive(Debug)]
pub(in crate::config) struct RawRegistry<'t> {
    pub(in crate::config) url: Option<Spanned<&'t str>>,
    pub(in crate::config) user: Option<Spanned<&'t str>>,
    pub(in crate::config) password: Option<Spanned<Secret>>,
    pub(in crate::config) tls: RawTls<'t>,
    pub(in crate::config) schemas: Schemas,
}

/// How topics are made.
#[derive(Debug)]
pub(in crate::config) struct RawTopics<'t> {
    pub(in crate::config) partitions: Option<Spanned<u16>>,
    pub(in crate::config) replication: Option<Spanned<u16>>,
    pub(in crate::config) settings: Vec<Named<'t, &'t str>>,
}

const MAX_LAG_HELP: &str = "How old may be what it alone still wants. What is older and every other uplink has is dropped, and it is told of the gap.";

const MAX_LAG_SIZE_HELP: &str = "How much may be newer than what it alone still wants, otherwise as with `max_lag`.";

const LAG_AGE: Interval = Interval { min: Duration::from_secs(60), max: DAY.saturating_mul(3650) };

const LAG_SIZE: Size = Size { min: 1 << 20, max: 1 << 50 };

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
        lag_max: LagMax {
            age: fields.optional("max_lag", MAX_LAG_HELP, &LAG_AGE).map(|age| age.value),
            bytes: fields.optional("max_lag_size", MAX_LAG_SIZE_HELP, &LAG_SIZE).map(|bytes| bytes.value),
        },
        tls: fields.section("tls", "Certificates, all in PEM; read at each connect.", tls),
        registry: fields.optional(
            "registry",
            "The schema registry for `format: avro`, `protobuf` and `json-schema`.",
            &Section { name: "registry", read: registry },
        ),
        create_topics: fields.optional(
            "create_topics",
            "Topics of Kafka that are not there are made; without it they have to be there.",
            &Section { name: "create_topics", read: topics },
        ),
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

fn registry<'t>(fields: &mut Fields<'_, 't>) -> RawRegistry<'t> {
    RawRegistry {
        url: fields.required(
            "url",
            "Where it is; what speaks the interface of Confluent's Schema Registry.",
            &Text { example: "http://registry.example:8081" },
        ),
        user: fields.optional("user", "Who logs in.", &Text { example: "forebay" }),
        password: fields.optional("password", "The password, by reference.", &SecretForm),
        tls: fields.section("tls", "Certificates for https, all in PEM.", tls),
        schemas: fields.default("schemas", "What is done with a schema that it does not know.", &SCHEMAS, "register"),
    }
}

fn topics<'t>(fields: &mut Fields<'_, 't>) -> RawTopics<'t> {
    let number = Integer { min: 1, max: 10_000 };
    let settings = fields.optional(
        "settings",
        "Settings of the topics, such as retention.ms.",
        &MapOf(Text { example: "604800000" }),
    );
    RawTopics {
        partitions: fields.optional("partitions", "Partitions; where nothing stands, as the broker has it.", &number),
        replication: fields.optional(
            "replication",
            "Copies of each partition; where nothing stands, as the broker has it.",
            &number,
        ),
        settings: settings.map(|settings| settings.value).unwrap_or_default(),
    }
}

const SCHEMAS: OneOf<Schemas> = OneOf(&[
    ("register", Schemas::Register, "it is checked against those before it and registered"),
    ("look-up", Schemas::LookUp, "a person registers it; until then nothing is sent"),
]);

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
