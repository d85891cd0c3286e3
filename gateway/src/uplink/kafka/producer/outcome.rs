//! What an answer changes, or that none will come.

use std::time::{Duration, Instant};

use tracing::{error, warn};

use super::ask::{Answer, Ask, Sent};
use super::stream::Told;
use super::{METADATA_AGAIN_AFTER, Producer, ProducerId};
use crate::uplink::kafka::error::code;
use crate::uplink::kafka::fleet::NodeId;
use crate::uplink::kafka::wire::{ProduceAnswer, ProducerIdentity};

/// How soon a cluster that refuses a producer id is asked again: rights are given by people.
const RIGHT_AGAIN_AFTER: Duration = Duration::from_secs(5);

impl Producer {
    /// An answer has come.
    pub fn answered(&mut self, ask: Ask, answer: Answer, now: Instant) {
        match (ask, answer) {
            (Ask::Metadata, Answer::Metadata(seen)) => self.saw(&seen, now),
            (Ask::NewId { lane }, Answer::NewId(identity)) => {
                self.ids[usize::from(lane)] = self.named(lane, &identity, now);
            }
            (Ask::Produce { node, batches }, Answer::Produced(produced)) => {
                self.came_back(node);
                self.produced(node, &batches, &produced, now);
            }
            (ask, answer) => {
                let Some(number) = ask.stream() else { return };
                let told = self.streams[number].answered(&answer, &self.encoder.identity, now, &mut self.entries);
                self.note(number, told, now);
            }
        }
    }

    /// A lane's producer id, or when to ask for it again.
    fn named(&mut self, lane: u8, identity: &ProducerIdentity, now: Instant) -> ProducerId {
        match identity.error {
            code::NONE => {
                let of_lane = self.streams.iter_mut().filter(|stream| stream.key.lane == lane);
                of_lane.filter(|stream| stream.is_exhausted()).for_each(|stream| stream.rename(identity.id));
                ProducerId::Known(identity.id)
            }
            code::CLUSTER_AUTHORIZATION_FAILED => {
                self.forbid_lane(lane, identity.error);
                ProducerId::Wanted { not_before: Some(now + RIGHT_AGAIN_AFTER) }
            }
            _ => ProducerId::Wanted { not_before: Some(now + METADATA_AGAIN_AFTER) },
        }
    }

    /// No answer will come any more: the connection is over, or there was none.
    pub fn failed(&mut self, ask: Ask, now: Instant) {
        self.look_again(now);
        match ask {
            Ask::Metadata => self.metadata.asked = false,
            Ask::NewId { lane } => {
                self.ids[usize::from(lane)] = ProducerId::Wanted { not_before: Some(now + METADATA_AGAIN_AFTER) };
            }
            Ask::Produce { node, batches } => {
                self.came_back(node);
                for sent in batches {
                    self.streams[sent.stream].vanished(sent.intent);
                }
            }
            ask => {
                if let Some(number) = ask.stream() {
                    self.streams[number].not_asked(now);
                }
            }
        }
    }

    /// A broker cannot be reached: nothing is asked of it before then. Leaders are looked up meanwhile.
    pub fn unreachable(&mut self, node: NodeId, until: Instant) {
        self.unreachable.insert(node, until);
    }

    /// A broker answers.
    pub fn reached(&mut self, node: NodeId) {
        self.unreachable.remove(&node);
    }

    fn came_back(&mut self, node: NodeId) {
        if let Some(count) = self.on_their_way.get_mut(&node) {
            *count = count.saturating_sub(1);
        }
    }

    fn produced(&mut self, node: NodeId, batches: &[Sent], answer: &ProduceAnswer, now: Instant) {
        if answer.throttle_ms > 0 {
            self.paused.insert(node, now + Duration::from_millis(answer.throttle_ms as u64));
        }
        self.paused.retain(|_, until| *until > now);
        for sent in batches {
            let stream = &mut self.streams[sent.stream];
            let key = &stream.key;
            let part = answer.parts.iter().find(|part| part.partition == key.partition && part.topic == *key.topic);
            let told = match part {
                Some(part) => stream.produced(sent.intent, part, now, &mut self.entries),
                None => {
                    stream.vanished(sent.intent);
                    Told::default()
                }
            };
            self.note(sent.stream, told, now);
        }
    }

    /// Tells what a stream found out.
    fn note(&mut self, number: usize, told: Told, now: Instant) {
        let Told { delivered, refused, found, look_again, fenced, doubled, foreign } = told;
        for token in delivered {
            self.acknowledge(token);
        }
        for (message, lasting, reason) in refused {
            self.refuse(&message, lasting, &reason);
        }
        let (topic, partition) = (self.streams[number].key.topic.clone(), self.streams[number].key.partition);
        if let Some(found) = found {
            for mark in self.streams[number].take_settled() {
                self.expected.remove(&mark);
            }
            self.done.extend(found);
            for token in self.streams[number].take_done(&mut self.done) {
                self.acknowledge(token);
            }
        }
        if look_again {
            self.look_again(now);
        }
        if fenced {
            self.figures.readings_behind_a_fence += 1;
            warn!(topic = &*topic, partition, "it is not known what has arrived: the partition is read behind a fence");
        }
        if let Some((messages, why)) = doubled {
            self.figures.perhaps_doubled += messages;
            warn!(topic = &*topic, partition, messages, "delivered at least once, not exactly once: {why}");
        }
        if foreign {
            error!(
                topic = &*topic,
                partition,
                "another gateway produces with this one's identity: a copy of its buffer is in use elsewhere. This uplink \
                 stops here; stop one of the two, and give the other a buffer of its own"
            );
        }
    }
}
