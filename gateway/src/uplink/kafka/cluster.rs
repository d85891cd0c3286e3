//! A cluster for who asks one thing after the other: looks, reads, makes topics.
//!
//! ```text
//! let mut cluster = Cluster::connect(config).await?;
//! let seen = cluster.metadata(&["plant"]).await?;
//! let answer = cluster.request(leader, &Fetch { … }).await?;
//! ```

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::config::Config;
use super::error::{self, code};
use super::fleet::{Fleet, Happened, NodeId};
use super::wire::{
    self, CreateTopics, CreatedTopic, Metadata, MetadataAnswer, NewTopic, Produce, ProducePart, Request, TopicMetadata,
};
use crate::uplink::stream::Failure;
use crate::uplink::{ConnectError, Traffic};

/// A connected cluster. Connections that break are made anew by the next request.
pub struct Cluster {
    config: Arc<Config>,
    fleet: Fleet,
    seen: MetadataAnswer,
}

impl Cluster {
    /// Connects to the first host of the URL that lets the gateway in. Bounded in time for each host.
    ///
    /// # Errors
    /// None does; the last failure is told.
    pub async fn connect(config: Arc<Config>) -> Result<Cluster, ConnectError> {
        let fleet = Fleet::new(config.clone());
        let mut cluster = Cluster { config, fleet, seen: MetadataAnswer::default() };
        match cluster.metadata(&[]).await {
            Ok(_) => Ok(cluster),
            Err(failure) => Err(ConnectError {
                endpoint: cluster.config.endpoint.to_string(),
                cause: failure.cause,
                advice: failure.advice,
            }),
        }
    }

    /// The brokers and these topics, as they are now.
    ///
    /// # Errors
    /// No broker answers.
    pub async fn metadata(&mut self, topics: &[&str]) -> Result<MetadataAnswer, Failure> {
        let open = self.fleet.any_open();
        let candidates: Vec<NodeId> = open.into_iter().chain(self.fleet.known()).collect();
        let mut last = Failure { cause: "no host is named".into(), advice: "Put right `url` of the uplink" };
        for node in candidates {
            match self.request(node, &Metadata { topics: topics.to_vec() }).await {
                Ok(seen) => {
                    for broker in &seen.brokers {
                        self.fleet.learn(broker.node, &broker.host, broker.port);
                    }
                    self.seen = seen.clone();
                    return Ok(seen);
                }
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }

    /// One request to one broker, and its answer. Bounded in time.
    ///
    /// # Errors
    /// The broker cannot be reached, does not answer, or answers nonsense.
    pub async fn request<R: Request>(&mut self, node: NodeId, request: &R) -> Result<R::Answer, Failure> {
        if !self.fleet.knows(node) {
            let cause = format!("it is not known where broker {node} is");
            return Err(Failure { cause, advice: "Try again: the cluster is changing" });
        }
        self.fleet.call(node);
        let within = self.config.answer_within();
        let mut sent = self.fleet.link(node).map(|link| link.send(request, within));
        loop {
            match poll_fn(|cx| self.fleet.poll(cx)).await {
                Happened::Opened(opened) if opened == node => {
                    sent = self.fleet.link(node).map(|link| link.send(request, within));
                }
                Happened::Answered(from, correlation, body) if from == node && Some(correlation) == sent => {
                    return wire::read_answer::<R>(body).map_err(|cause| Failure {
                        cause: cause.to_string(),
                        advice: error::advice(code::UNSUPPORTED_VERSION),
                    });
                }
                Happened::Failed(failed, failure) if failed == node => return Err(failure),
                Happened::Broken(broken, loss) if broken == node => {
                    return Err(Failure { cause: loss.reason, advice: "Check the network and the broker" });
                }
                // Another connection; it is made anew when it is needed.
                Happened::Opened(_) | Happened::Answered(..) | Happened::Failed(..) | Happened::Broken(..) => {}
            }
        }
    }

    /// A topic as it was seen last.
    ///
    /// # Errors
    /// It was not asked about.
    pub fn topic(&self, topic: &str) -> Result<&TopicMetadata, Failure> {
        let seen = self.seen.topics.iter().find(|known| known.name == topic);
        seen.ok_or_else(|| Failure {
            cause: format!("nothing is known of the topic {topic}"),
            advice: "Look into the broker's log",
        })
    }

    /// The broker that leads a partition, as it was seen last.
    ///
    /// # Errors
    /// None does.
    pub fn leader(&self, topic: &str, partition: i32) -> Result<NodeId, Failure> {
        self.seen.leader(topic, partition).ok_or_else(|| Failure {
            cause: format!("partition {partition} of {topic} has no leader"),
            advice: "Look after the brokers",
        })
    }

    /// Writes one batch to one partition, and waits until all replicas in sync have it.
    ///
    /// # Errors
    /// The partition has no leader, the broker cannot be reached, or it refuses.
    pub async fn write(&mut self, topic: &str, partition: i32, batch: &Bytes, within: Duration) -> Result<(), Failure> {
        let leader = self.leader(topic, partition)?;
        let timeout_ms = i32::try_from(within.as_millis()).unwrap_or(i32::MAX);
        let parts = vec![ProducePart { topic, partition, batch }];
        let written = self.request(leader, &Produce { timeout_ms, parts }).await?;
        error::check(topic, written.parts.first().map_or(0, |part| part.error))
    }

    /// Makes topics; one that is there already is an error in its answer.
    ///
    /// # Errors
    /// No broker answers.
    pub async fn create_topics(&mut self, topics: Vec<NewTopic<'_>>) -> Result<Vec<CreatedTopic>, Failure> {
        let seen = self.metadata(&[]).await?;
        let node = if self.fleet.knows(seen.controller) { seen.controller } else { self.any(&seen) };
        let timeout_ms = self.config.timeout.as_millis() as i32;
        self.request(node, &CreateTopics { topics, timeout_ms }).await
    }

    /// The cluster as it was seen last.
    pub fn seen(&self) -> &MetadataAnswer {
        &self.seen
    }

    /// Bytes so far.
    pub fn traffic(&self) -> Traffic {
        self.fleet.traffic()
    }

    fn any(&self, seen: &MetadataAnswer) -> NodeId {
        self.fleet.any_open().or(seen.brokers.first().map(|broker| broker.node)).unwrap_or(-1)
    }
}

impl MetadataAnswer {
    /// The broker that leads a partition; `None` while none does.
    pub fn leader(&self, topic: &str, partition: i32) -> Option<NodeId> {
        let topic = self.topics.iter().find(|known| known.name == topic)?;
        let partition = topic.partitions.iter().find(|known| known.index == partition)?;
        (partition.leader >= 0).then_some(partition.leader)
    }
}
