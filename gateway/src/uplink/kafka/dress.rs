//! What a publisher to Kafka does before it connects and beside the readings: it asks the schema registry, makes topics,
//! and tells who is alive.

use std::sync::Arc;
use std::time::Duration;

use driver_core::Options;
use tokio::time::timeout;

use super::announce::{Announcement, Teller};
use super::cluster::Cluster;
use super::commands::Door;
use super::config::Config;
use super::listen::{self, Listener};
use super::offsets;
use super::status::Speaker;
use super::topics::{self, Purpose};
use crate::pipeline::command::{Answer, ReplyTo, Role};
use crate::uplink::format::{Format, keyed, keyed::Registration};
use crate::uplink::registry::{self, RegistrySpec};
use crate::uplink::stream::Failure;
use crate::uplink::{
    BoxFuture, CONNECT_WITHIN, ConnectError, Degraded, Event, Message, Publisher, TopicsSpec, Traffic, UplinkError,
    UplinkSpec,
};

/// The topic of states, where no other is named.
pub(super) const STATUS: &str = "forebay.status";

const HEARTBEAT_DEFAULT: Duration = Duration::from_secs(30);
const HEARTBEAT_MIN: Duration = Duration::from_secs(1);

/// The options of what is done beside the readings.
pub(super) const OPTIONS: &[(&str, &str)] = &[
    ("status", "the compacted topic that tells which gateways and devices are alive (default forebay.status), or off"),
    ("heartbeat", "how often the gateway says there that it is alive, from 1s (default 30s); it is gone after three"),
    (
        "commands",
        "the topic on which commands are taken, such as {gateway}/commands, or plant.commands in Kafka (default: none)",
    ),
    ("commands_role", "what the senders of commands may do: viewer, operator (default), engineer or admin"),
    (
        "answers",
        "the topic of Kafka for the answers to commands (default: that of the commands with .answers behind it)",
    ),
];

/// What these options say.
pub(super) struct Beside {
    status: Option<Box<str>>,
    heartbeat: Duration,
    commands: Option<Box<str>>,
    role: Role,
    answers: Option<Box<str>>,
}

/// Takes these options out of a URL's; errors stay with `options`.
pub(super) fn take(options: &mut Options<'_>) -> Beside {
    let status = options.parse("status", "a topic's name, or off", |text| match text {
        "off" => Some(None),
        _ => is_topic(text).then(|| Some(text.into())),
    });
    let heartbeat = options.duration("heartbeat").unwrap_or(HEARTBEAT_DEFAULT).max(HEARTBEAT_MIN);
    let commands = options.text("commands").map(Into::into);
    let role = options.parse("commands_role", "viewer, operator, engineer or admin", Role::from_name);
    let answers = options.text("answers").map(Into::into);
    Beside {
        status: status.unwrap_or(Some(STATUS.into())),
        heartbeat,
        commands,
        role: role.unwrap_or(Role::Operator),
        answers,
    }
}

/// The door for commands, where they are taken.
///
/// # Errors
/// A topic is wrong, or the one of answers stands alone.
pub(super) fn door(spec: &UplinkSpec) -> Result<Option<Door>, UplinkError> {
    let Beside { commands, role, answers, .. } = take(&mut spec.url.options());
    match (commands, answers) {
        (Some(commands), answers) => Door::new(spec, &commands, answers.as_deref(), role).map(Some),
        (None, None) => Ok(None),
        (None, Some(_)) => {
            let message = "`answers` stands without `commands`, to which the answers are given".into();
            Err(UplinkError { key: "url", message })
        }
    }
}

/// The topic that tells who is alive, where it is told.
pub(super) fn status(spec: &UplinkSpec) -> Option<Box<str>> {
    take(&mut spec.url.options()).status
}

fn is_topic(text: &str) -> bool {
    (1..=249).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// A publisher with what is done before and beside.
pub(super) struct Dressed {
    inner: Box<dyn Publisher>,
    registry: Option<(RegistrySpec, Registration)>,
    topics: Option<NewTopics>,
    announcement: Option<Announcement>,
    teller: Option<Teller>,
    listener: Option<Listener>,
}

/// Topics that are made before the first record.
struct NewTopics {
    config: Arc<Config>,
    spec: TopicsSpec,
    names: Vec<String>,
}

/// The publisher of an uplink, dressed.
///
/// # Errors
/// What is configured wrongly, with the key.
pub(super) fn dress(
    inner: Box<dyn Publisher>,
    format: &dyn Format,
    spec: &UplinkSpec,
    config: &Arc<Config>,
) -> Result<Dressed, Vec<UplinkError>> {
    let Beside { status, heartbeat, .. } = take(&mut spec.url.options());
    let registry = spec.registry.clone().zip(format.registration().cloned());
    let topics = match &spec.create_topics {
        Some(create) => Some(NewTopics { config: config.clone(), spec: create.clone(), names: names(spec)? }),
        None => None,
    };
    let devices = format.devices().cloned().unwrap_or_default();
    let speaker = Speaker {
        gateway: spec.gateway.clone(),
        uplink: spec.name.clone(),
        log: spec.identity.clone(),
        epoch: spec.epoch,
        heartbeat,
    };
    let create = spec.create_topics.clone();
    let announcement = status.map(|topic| Announcement { config: config.clone(), topic, create, speaker, devices });
    let door = door(spec).map_err(|error| vec![error])?;
    let listener = door.zip(spec.site.as_ref()).map(|(door, site)| {
        Listener::new(listen::Setup {
            config: config.clone(),
            file: offsets::path_of(&site.folder, &spec.name),
            door,
            create: spec.create_topics.clone(),
            identity: spec.identity.clone(),
        })
    });
    Ok(Dressed { inner, registry, topics, announcement, teller: None, listener })
}

/// The topics of all devices and tags of the configuration, each once.
pub(super) fn names(spec: &UplinkSpec) -> Result<Vec<String>, Vec<UplinkError>> {
    let template = keyed::topic(spec).map_err(|error| vec![error])?;
    if !template.has_device() && !template.has_tag() {
        return Ok(vec![template.render("", "")]);
    }
    let Some(site) = &spec.site else { return Ok(Vec::new()) };
    let tags = (0..u32::try_from(site.schema.tags()).unwrap_or(u32::MAX)).map(driver_core::TagId);
    let mut names: Vec<String> =
        tags.filter_map(|id| site.schema.tag(id)).map(|tag| template.render(tag.device, tag.tag)).collect();
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

impl NewTopics {
    async fn make(&self) -> Result<(), Failure> {
        let connected = Cluster::connect(self.config.clone()).await;
        let mut cluster = connected.map_err(|error| Failure { cause: error.cause, advice: error.advice })?;
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        let missing = topics::missing(&mut cluster, &names).await?;
        topics::make(&mut cluster, &self.spec, &missing, Purpose::Readings).await
    }
}

impl Dressed {
    async fn prepare(&mut self) -> Result<(), ConnectError> {
        if let Some((spec, registration)) = &self.registry {
            registry::ask(spec, registration).await?;
        }
        if let Some(topics) = &self.topics {
            let made = timeout(CONNECT_WITHIN, topics.make()).await;
            let late = || Failure { cause: "the topics were not made in time".into(), advice: "It is tried again" };
            let outcome = made.unwrap_or_else(|_| Err(late()));
            let endpoint = self.inner.endpoint().to_owned();
            outcome.map_err(|Failure { cause, advice }| ConnectError { endpoint, cause, advice })?;
            self.topics = None;
        }
        Ok(())
    }
}

impl Publisher for Dressed {
    fn endpoint(&self) -> &str {
        self.inner.endpoint()
    }

    fn connect(&mut self) -> BoxFuture<'_, Result<(), ConnectError>> {
        Box::pin(async move {
            self.prepare().await?;
            self.inner.connect().await?;
            if let (None, Some(announcement)) = (&self.teller, &self.announcement) {
                self.teller = Some(Teller::start(announcement.clone()));
            }
            if let Some(listener) = &mut self.listener {
                listener.start();
            }
            Ok(())
        })
    }

    fn room(&self) -> usize {
        self.inner.room()
    }

    fn send(&mut self, message: &Arc<Message>) {
        self.inner.send(message);
    }

    fn waits(&self) -> bool {
        self.inner.waits()
    }

    fn events<'a>(&'a mut self, events: &'a mut Vec<Event>) -> BoxFuture<'a, ()> {
        let Some(listener) = &mut self.listener else { return self.inner.events(events) };
        let inner = &mut self.inner;
        Box::pin(async move {
            // Both may be dropped; the events of the first are appended as a whole.
            let inbound = tokio::select! {
                biased;
                () = inner.events(events) => None,
                inbound = listener.next() => Some(inbound),
            };
            events.extend(inbound.map(|inbound| Event::Command(inbound.into())));
        })
    }

    fn close(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.inner.close().await;
            if let Some(teller) = self.teller.take() {
                teller.close().await;
            }
            if let Some(listener) = &mut self.listener {
                listener.close().await;
            }
        })
    }

    fn answer(&mut self, to: ReplyTo, answer: &Answer) {
        if let Some(listener) = &self.listener {
            listener.answer(to, answer);
        }
    }

    fn degraded(&self) -> Degraded {
        self.inner.degraded()
    }

    fn traffic(&self) -> Traffic {
        self.inner.traffic()
    }
}
