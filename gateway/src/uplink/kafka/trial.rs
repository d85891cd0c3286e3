//! A look at a cluster, and at the schema registry, whether the gateway could bring its readings there: nothing is made, nothing is written.

use std::sync::Arc;

use tokio::time::timeout;

use super::cluster::Cluster;
use super::config::{self, Config};
use super::{Kafka, dress, topics};
use crate::uplink::stream::Failure;
use crate::uplink::{CONNECT_WITHIN, ConnectError, Trial, Uplink, UplinkError, UplinkSpec, registry};

/// Connects, logs in, and looks for the topics.
pub(super) fn trial(spec: &UplinkSpec) -> Result<Trial, Vec<UplinkError>> {
    let config = Arc::new(config::check(spec)?);
    let door = dress::door(spec).map_err(|error| vec![error])?;
    let mut names = dress::names(spec)?;
    names.extend(door.into_iter().flat_map(|door| [door.topic.into(), door.answers.into()]));
    let are_made = spec.create_topics.is_some();
    let way = Kafka.open(spec)?;
    let registry = spec.registry.clone().zip(way.format.registration().cloned());
    Ok(Box::pin(async move {
        if let Some((registry, registration)) = &registry {
            registry::trial(registry, registration).await?;
        }
        let late = || Failure {
            cause: format!("no answer within {} s", CONNECT_WITHIN.as_secs()),
            advice: "Check the brokers and the network between",
        };
        let looked = timeout(2 * CONNECT_WITHIN, look(&config, &names, are_made)).await;
        looked.unwrap_or_else(|_| Err(late())).map_err(|Failure { cause, advice }| ConnectError {
            endpoint: config.endpoint.to_string(),
            cause,
            advice,
        })
    }))
}

async fn look(config: &Arc<Config>, names: &[String], are_made: bool) -> Result<String, Failure> {
    let connected = Cluster::connect(config.clone()).await;
    let mut cluster = connected.map_err(|error| Failure { cause: error.cause, advice: error.advice })?;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let missing = topics::missing(&mut cluster, &names).await?;
    let brokers = cluster.seen().brokers.len();
    match missing.first() {
        None => {
            Ok(format!("a cluster of {brokers} brokers let the gateway in, and has the topic {}", names.join(", ")))
        }
        Some(first) if are_made => {
            Ok(format!("a cluster of {brokers} brokers let the gateway in; it will make {first}"))
        }
        Some(first) => Err(Failure {
            cause: format!("the topic {first} is not there"),
            advice: "Make it, put right `topic`, or let the gateway make it with `create_topics:`",
        }),
    }
}
