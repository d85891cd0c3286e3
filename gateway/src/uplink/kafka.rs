//! Apache Kafka 2.8 to 4.x, over TCP and TLS. See `kafka/README.md`.
//!
//! Everything is our own: [`wire`] and [`batch`] are bytes, [`login`] is SASL, [`producer`] is the idempotent producer, all
//! pure; [`link`], [`fleet`] and [`cluster`] move bytes, [`journal`] remembers, [`publisher`] joins them.

pub mod batch;
pub mod cluster;
pub mod config;
mod dial;
pub mod error;
pub mod fleet;
pub mod journal;
pub mod link;
pub mod login;
pub mod partition;
pub mod producer;
mod publisher;
pub mod wire;

use std::sync::Arc;

use self::cluster::Cluster;
use super::format::{self, keyed};
use super::topic::Rules;
use super::{Trial, Uplink, UplinkError, UplinkInfo, UplinkSpec, Way, registry};

/// Kafka clusters.
#[derive(Debug)]
pub struct Kafka;

static INFO: UplinkInfo = UplinkInfo {
    name: "kafka",
    schemes: &["kafka", "kafkas"],
    sample: include_str!("kafka/sample.yaml"),
    options: config::OPTIONS,
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
        let publisher = publisher::KafkaPublisher::new(Arc::new(config), folder, spec.delivered.clone());
        let publisher = registry::before(Box::new(publisher), &*format, spec);
        Ok(Way { format, publisher })
    }

    fn trial(&self, spec: &UplinkSpec) -> Result<Trial, Vec<UplinkError>> {
        let config = Arc::new(config::check(spec)?);
        Ok(Box::pin(async move {
            let cluster = Cluster::connect(config).await?;
            let brokers = cluster.seen().brokers.len();
            Ok(format!(
                "a Kafka cluster of {brokers} {} let the gateway in",
                if brokers == 1 { "broker" } else { "brokers" }
            ))
        }))
    }
}
