//! What a publisher to Kafka does before it connects and beside the readings: it asks the schema registry, makes topics,
//! and tells who is alive.

use std::sync::Arc;
use std::time::Duration;

use driver_core::Options;
use tokio::time::timeout;

use super::announce::{Announcement, Teller};
use super::cluster::Cluster;
use super::config::Config;
use super::status::Speaker;
use super::topics::{self, Purpose};
use crate::pipeline::command::{Answer, ReplyTo};
use crate::uplink::format::{Format, keyed, keyed::Registration};
use crate::uplink::registry::{self, RegistrySpec};
use crate::uplink::stream::Failure;
use crate::uplink::{
    BoxFuture, CONNECT_WITHIN, ConnectError, Event, Message, Publisher, TopicsSpec, Traffic, UplinkError, UplinkSpec,
};

/// The topic of states, where no other is named.
pub(super) const STATUS: &str = "forebay.status";

const HEARTBEAT_DEFAULT: Duration = Duration::from_secs(30);
const HEARTBEAT_MIN: Duration = Duration::from_secs(1);

/// The options of what is done beside the readings.
pub(super) const OPTIONS: &[(&str, &str)] = &[
    ("status", "the compacted topic that tells which gateways and devices are alive (default forebay.status), or off"),
    ("heartbeat", "how often the gateway says there that it is alive, from 1s (default 30s); it is gone after three"),
];

/// Takes these options out of a URL's; errors stay with `options`.
pub(super) fn take(options: &mut Options<'_>) -> (Option<Box<str>>, Duration) {
    let status = options.parse("status", "a topic's name, or off", |text| match text {
        "off" => Some(None),
        _ => is_topic(text).then(|| Some(text.into())),
    });
    let heartbeat = options.duration("heartbeat").unwrap_or(HEARTBEAT_DEFAULT).max(HEARTBEAT_MIN);
    (status.unwrap_or(Some(STATUS.into())), heartbeat)
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
    let (status, heartbeat) = take(&mut spec.url.options());
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
    Ok(Dressed { inner, registry, topics, announcement, teller: None })
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
            Ok(())
        })
    }

    fn room(&self) -> usize {
        self.inner.room()
    }

    fn send(&mut self, message: &Message) {
        self.inner.send(message);
    }

    fn waits(&self) -> bool {
        self.inner.waits()
    }

    fn events<'a>(&'a mut self, events: &'a mut Vec<Event>) -> BoxFuture<'a, ()> {
        self.inner.events(events)
    }

    fn close(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.inner.close().await;
            if let Some(teller) = self.teller.take() {
                teller.close().await;
            }
        })
    }

    fn answer(&mut self, to: ReplyTo, answer: &Answer) {
        self.inner.answer(to, answer);
    }

    fn traffic(&self) -> Traffic {
        self.inner.traffic()
    }
}
