//! The producer's questions as requests to brokers, and what came back as their answers.

use bytes::Bytes;
use tokio::time::Instant;

use super::KafkaPublisher;
use crate::uplink::kafka::fleet::NodeId;
use crate::uplink::kafka::producer::{Answer, Ask, Sent, Target};
use crate::uplink::kafka::wire::{
    DescribeProducers, Fetch, FetchPart, InitProducerId, Isolation, ListOffsets, Malformed, Metadata, OffsetAt,
    Produce, ProducePart, Request, read_answer,
};

/// What is read of a partition at once, bytes.
const READ_BYTES_MAX: i32 = 4 << 20;

impl KafkaPublisher {
    pub(super) fn send_to(&mut self, target: Target, ask: Ask) {
        let node = match target {
            Target::Node(node) => Some(node),
            Target::Any => self.candidates().next(),
        };
        let Some(life) = &mut self.life else { return };
        match node.filter(|node| self.fleet.knows(*node)) {
            None => life.producer.failed(ask, Instant::now().into_std()),
            Some(node) => {
                self.fleet.call(node);
                life.waiting.push((node, ask));
                self.send_waiting(node);
            }
        }
    }

    /// Sends what waited for a connection, if it is open.
    pub(super) fn send_waiting(&mut self, node: NodeId) {
        let Some(life) = &mut self.life else { return };
        let Some(link) = self.fleet.link(node) else { return };
        let (mine, others) = std::mem::take(&mut life.waiting).into_iter().partition(|(to, _)| *to == node);
        life.waiting = others;
        let mine: Vec<(NodeId, Ask)> = mine;
        let (within, soon) = (self.config.answer_within(), self.config.answer_soon());
        let timeout_ms = self.config.timeout.as_millis() as i32;
        for (_, ask) in mine {
            let correlation = match &ask {
                Ask::Metadata => link.send(&Metadata { topics: life.producer.topics() }, soon),
                Ask::NewId { .. } => link.send(&InitProducerId, soon),
                Ask::End { stream } => {
                    let (topic, partition) = life.producer.place(*stream);
                    link.send(&ListOffsets { parts: vec![(topic, partition, OffsetAt::End)] }, soon)
                }
                Ask::Describe { stream } => {
                    link.send(&DescribeProducers { parts: vec![life.producer.place(*stream)] }, soon)
                }
                Ask::Read { stream, offset } => {
                    let (topic, partition) = life.producer.place(*stream);
                    let parts = vec![FetchPart { topic, partition, offset: *offset }];
                    let (wait_ms, bytes_max, level) = (500, READ_BYTES_MAX, Isolation::Uncommitted);
                    link.send(&Fetch { wait_ms, bytes_max, level, parts }, within)
                }
                Ask::Fence { stream, batch } => {
                    let (topic, partition) = life.producer.place(*stream);
                    let parts = vec![ProducePart { topic, partition, batch }];
                    link.send(&Produce { timeout_ms, parts }, within)
                }
                Ask::Produce { batches, .. } => {
                    let part = |sent: &Sent| (life.producer.place(sent.stream), sent.batch.clone());
                    let owned: Vec<((&str, i32), Bytes)> = batches.iter().map(part).collect();
                    let parts = owned.iter().map(|((topic, partition), batch)| ProducePart {
                        topic,
                        partition: *partition,
                        batch,
                    });
                    link.send(&Produce { timeout_ms, parts: parts.collect() }, within)
                }
            };
            life.asks.insert((node, correlation), ask);
        }
    }

    /// Nothing that was to go to this broker will be answered.
    pub(super) fn give_up_on(&mut self, node: NodeId) {
        let Some(life) = &mut self.life else { return };
        let now = Instant::now().into_std();
        let sent: Vec<(NodeId, i32)> = life.asks.keys().copied().filter(|(to, _)| *to == node).collect();
        for key in sent {
            if let Some(ask) = life.asks.remove(&key) {
                life.producer.failed(ask, now);
            }
        }
        let (mine, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut life.waiting).into_iter().partition(|(to, _)| *to == node);
        life.waiting = others;
        for (_, ask) in mine {
            life.producer.failed(ask, now);
        }
    }
}

pub(super) fn understood(ask: &Ask, body: Bytes) -> Result<Answer, Malformed> {
    fn read<R: Request>(body: Bytes, answer: impl Fn(R::Answer) -> Answer) -> Result<Answer, Malformed> {
        read_answer::<R>(body).map(answer)
    }
    match ask {
        Ask::Metadata => read::<Metadata<'_>>(body, Answer::Metadata),
        Ask::NewId { .. } => read::<InitProducerId>(body, Answer::NewId),
        Ask::End { .. } => read::<ListOffsets<'_>>(body, Answer::End),
        Ask::Describe { .. } => read::<DescribeProducers<'_>>(body, Answer::Described),
        Ask::Fence { .. } | Ask::Produce { .. } => read::<Produce<'_>>(body, Answer::Produced),
        Ask::Read { .. } => read::<Fetch<'_>>(body, |(error, fetched)| Answer::Read(error, fetched)),
    }
}
