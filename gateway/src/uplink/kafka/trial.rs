//! A look at a cluster, and at the schema registry, whether the gateway could bring its readings there: nothing is made,
//! nothing is written.

use std::sync::Arc;

use tokio::time::timeout;

use super::cluster::Cluster;
use super::config::{self, Config};
use super::{Kafka, dress, topics};
use crate::uplink::stream::Failure;
use crate::uplink::{CONNECT_WITHIN, ConnectError, Trial, Uplink, UplinkError, UplinkSpec, registry};

/// The topics that an uplink uses.
struct Topics {
    /// Without these it brings nothing.
    needed: Vec<String>,
    /// Without this it cannot tell who is alive.
    status: Option<Box<str>>,
    /// Whether those that are not there are made.
    are_made: bool,
}

/// Connects, logs in, and looks for the topics.
pub(super) fn trial(spec: &UplinkSpec) -> Result<Trial, Vec<UplinkError>> {
    let config = Arc::new(config::check(spec)?);
    let door = dress::door(spec).map_err(|error| vec![error])?;
    let mut needed = dress::names(spec)?;
    needed.extend(door.into_iter().flat_map(|door| [door.topic.into(), door.answers.into()]));
    let topics = Topics { needed, status: dress::status(spec), are_made: spec.create_topics.is_some() };
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
        let looked = timeout(2 * CONNECT_WITHIN, look(&config, &topics)).await;
        looked.unwrap_or_else(|_| Err(late())).map_err(|Failure { cause, advice }| ConnectError {
            endpoint: config.endpoint.to_string(),
            cause,
            advice,
        })
    }))
}

async fn look(config: &Arc<Config>, topics: &Topics) -> Result<String, Failure> {
    let connected = Cluster::connect(config.clone()).await;
    let mut cluster = connected.map_err(|error| Failure { cause: error.cause, advice: error.advice })?;
    let needed: Vec<&str> = topics.needed.iter().map(String::as_str).collect();
    let mut missing = topics::missing(&mut cluster, &needed).await?;
    if let (Some(first), false) = (missing.first(), topics.are_made) {
        return Err(Failure {
            cause: format!("the topic {first} is not there"),
            advice: "Make it, put right `topic`, or let the gateway make it with `create_topics:`",
        });
    }
    let mut found = match cluster.seen().brokers.len() {
        1 => "a cluster of one broker let the gateway in".to_owned(),
        brokers => format!("a cluster of {brokers} brokers let the gateway in"),
    };
    let there: Vec<&str> = needed.into_iter().filter(|topic| !missing.contains(topic)).collect();
    if !there.is_empty() {
        found.push_str(&format!(", and has the topic {}", there.join(", ")));
    }
    match lacks_status(&mut cluster, topics.status.as_deref()).await {
        Ok(Some(status)) if topics.are_made => missing.push(status),
        Ok(Some(status)) => found.push_str(&format!(
            "; it has no topic {status}, without which it is not told who is alive: make it with \
             cleanup.policy=compact, or write `status: off`"
        )),
        Ok(None) => {}
        Err(Failure { cause, advice }) => found.push_str(&format!("; it is not told who is alive: {cause}. {advice}")),
    }
    if !missing.is_empty() {
        found.push_str(&format!("; the gateway will make {}", missing.join(", ")));
    }
    Ok(found)
}

/// The topic of states, where it is not there.
async fn lacks_status<'t>(cluster: &mut Cluster, status: Option<&'t str>) -> Result<Option<&'t str>, Failure> {
    let Some(status) = status else { return Ok(None) };
    Ok(topics::missing(cluster, &[status]).await?.pop())
}
