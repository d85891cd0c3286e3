//! Apache Kafka 2.8 to 4.x, over TCP and TLS. See `kafka/README.md`.
//!
//! Everything is our own: [`wire`] and [`batch`] are bytes, [`login`] is SASL, [`producer`] is the idempotent producer, all
//! pure; [`link`], [`fleet`] and [`cluster`] move bytes, [`journal`] remembers, [`publisher`] joins them;
//! [`dress`] is what is done before the first record and beside the readings; [`listen`] takes commands from a topic.

mod announce;
pub mod batch;
pub mod cluster;
mod commands;
pub mod config;
mod dial;
mod dress;
pub mod error;
pub mod fleet;
pub mod journal;
pub mod link;
mod listen;
pub mod login;
mod offsets;
pub mod partition;
pub mod producer;
mod publisher;
pub mod status;
mod topics;
mod trial;
pub mod wire;

use std::sync::Arc;

use super::format::{self, keyed};
use super::topic::Rules;
use super::{ListsTags, Trial, Uplink, UplinkError, UplinkInfo, UplinkSpec, Way};

/// Kafka clusters.
#[derive(Debug)]
pub struct Kafka;

static INFO: UplinkInfo = UplinkInfo {
    name: "kafka",
    schemes: &["kafka", "kafkas"],
    sample: include_str!("kafka/sample.yaml"),
    options: config::OPTIONS,
    lists_tags: ListsTags::Uplink,
};

impl Uplink for Kafka {
    fn info(&self) -> &'static UplinkInfo {
        &INFO
    }

    fn open(&self, spec: &UplinkSpec) -> Result<Way, Vec<UplinkError>> {
        let mut errors = Vec::new();
        let kind = format::choose(&INFO, spec).map_err(|error| errors.push(error)).ok();
        let topic = keyed::topic(spec).map_err(|error| errors.push(error)).ok();
        let config = config::check(spec).map_err(|wrong| errors.extend(wrong)).ok();
        let (Some(kind), Some(topic), Some(config)) = (kind, topic, config) else { return Err(errors) };
        let format = kind.open(spec, topic, Rules::Kafka)?;
        let folder = spec.site.as_ref().map(|site| site.folder.clone());
        let config = Arc::new(config);
        let publisher =
            publisher::KafkaPublisher::new(config.clone(), folder, spec.delivered.clone(), spec.hold.clone());
        let publisher = dress::dress(Box::new(publisher), &*format, spec, &config)?;
        Ok(Way { format, publisher: Box::new(publisher) })
    }

    fn trial(&self, spec: &UplinkSpec) -> Result<Trial, Vec<UplinkError>> {
        trial::trial(spec)
    }
}
