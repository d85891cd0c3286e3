//! The configuration with everything resolved: what the pipeline and the uplinks are built from.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use buffer::{Class, ClassOptions, Engine, LagMax, WhenFull};
use driver_core::{DataType, EndpointUrl, LineSpec, TagId};
use tracing::Level;

use super::Secret;
use crate::http::HttpConfig;
use crate::pipeline::command::books::WhenAuditFails;
use crate::pipeline::command::rule::Writables;
use crate::pipeline::derive::Plan;
use crate::pipeline::forward::route::Drain;
use crate::pipeline::recorder::RecorderConfig;
use crate::pipeline::scheduling::Scheduling;
use crate::pipeline::store::SyncPolicy;
use crate::pipeline::tags::Tags;
use crate::uplink::registry::{RegistrySpec, Schemas};
use crate::uplink::structure::Structure;
use crate::uplink::{Password, TlsFiles, TopicsSpec, UplinkSpec};

/// All that one gateway does.
///
/// Tag ids are dense: they count line by line, on each line device by device, in the order of `spec.devices` and their
/// `tags`. In a configuration that takes the place of a running one, tags that go on keep the ids that they had; see [`Tags`].
#[derive(Debug)]
pub struct Config {
    /// The gateway's name, such as `acme/berlin/line7`.
    pub gateway: Box<str>,
    /// All tags: names, units and rules.
    pub tags: Arc<Tags>,
    /// The connections with the devices behind each; at least one.
    pub lines: Vec<LineConfig>,
    /// Where readings go; may be empty.
    pub uplinks: Vec<UplinkConfig>,
    /// Where readings are kept.
    pub buffer: BufferConfig,
    /// What commands may write.
    pub writables: Arc<Writables>,
    /// What is made of other tags.
    pub derived: Arc<Plan>,
    /// The types of those.
    pub derived_types: Box<[(TagId, DataType)]>,
    /// What the structures of tags are made of, where that is declared.
    pub structures: Box<[(TagId, Arc<Structure>)]>,
    /// What is kept of commands.
    pub commands: CommandsConfig,
    /// The class of the thread that polls.
    pub scheduling: Scheduling,
    /// The flight recorder.
    pub recorder: RecorderConfig,
    /// The HTTP server.
    pub http: HttpConfig,
    /// What the gateway says of itself.
    pub log: LogConfig,
}

/// One connection and the devices behind it.
#[derive(Debug)]
pub struct LineConfig {
    /// The name of the device, or of the bus, whose URL it is.
    pub name: Box<str>,
    /// What its driver is given.
    pub spec: LineSpec,
}

/// One destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UplinkConfig {
    /// Its name.
    pub name: Box<str>,
    /// Where it leads, with the uplink's own options in the query.
    pub url: EndpointUrl,
    /// The topic's template; `None` takes the uplink's default.
    pub topic: Option<Box<str>>,
    /// The name of the format; `None` takes the default.
    pub format: Option<Box<str>>,
    /// The template for payloads.
    pub payload: Option<Box<str>>,
    /// Who logs in; `None` logs in without a name.
    pub user: Option<Box<str>>,
    /// The password.
    pub password: Option<Secret>,
    /// Certificates for TLS.
    pub tls: TlsFiles,
    /// In which order a backlog leaves.
    pub drain: Drain,
    /// How far it may fall behind before what all others have is dropped.
    pub lag_max: LagMax,
    /// The schema registry, where there is one.
    pub registry: Option<RegistryConfig>,
    /// How topics are made that are not there.
    pub create_topics: Option<TopicsSpec>,
}

/// A schema registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryConfig {
    /// Where it is.
    pub url: EndpointUrl,
    /// Who logs in.
    pub user: Option<Box<str>>,
    /// The password.
    pub password: Option<Secret>,
    /// Certificates for https.
    pub tls: TlsFiles,
    /// What is done with a schema that it does not know.
    pub schemas: Schemas,
}

impl RegistryConfig {
    fn spec(&self) -> RegistrySpec {
        RegistrySpec {
            url: self.url.clone(),
            user: self.user.clone(),
            password: self.password.clone().map(fetched),
            tls: self.tls.clone(),
            schemas: self.schemas,
        }
    }
}

fn fetched(secret: Secret) -> Password {
    Arc::new(move || secret.fetch())
}

impl UplinkConfig {
    /// What the uplink is given; `identity` is the UUID of the gateway's log.
    pub fn spec(&self, gateway: &str, identity: &str) -> UplinkSpec {
        UplinkSpec {
            topic: self.topic.clone(),
            format: self.format.clone(),
            payload: self.payload.clone(),
            user: self.user.clone(),
            password: self.password.clone().map(fetched),
            registry: self.registry.as_ref().map(RegistryConfig::spec),
            create_topics: self.create_topics.clone(),
            tls: self.tls.clone(),
            identity: identity.into(),
            ..UplinkSpec::new(gateway, &self.name, self.url.clone())
        }
    }
}

/// Where readings are kept until every uplink has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BufferConfig {
    /// The folder.
    pub path: PathBuf,
    /// What the readings lie in.
    pub engine: Engine,
    /// The most that it may take on disk, bytes.
    pub size_max_bytes: u64,
    /// Readings older than this are dropped.
    pub age_max: Duration,
    /// What is left free of the disk, bytes.
    pub free_min_bytes: u64,
    /// Space in reserve, bytes.
    pub ballast_bytes: u64,
    /// What happens when the size is reached.
    pub when_full: WhenFull,
    /// In which order a backlog leaves, where the uplink does not say otherwise.
    pub drain: Drain,
    /// The bounds of each class, and what stays of it after every uplink has it.
    pub classes: [ClassOptions; Class::ALL.len()],
    /// When what was stored is made durable.
    pub sync: SyncPolicy,
}

/// What is kept of commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandsConfig {
    /// The most that the audit trail may take on disk, bytes.
    pub audit_bytes_max: u64,
    /// What happens to commands while it cannot be written.
    pub when_audit_fails: WhenAuditFails,
}

/// What the gateway says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogConfig {
    /// How much.
    pub level: Level,
    /// In which form.
    pub format: LogFormat,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}
