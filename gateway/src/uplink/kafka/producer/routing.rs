//! From a message to the stream in which it goes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use super::stream::Stream;
use super::topics::Routed;
use super::{Producer, ProducerId, TopicName};
use crate::uplink::kafka::error::{advice, code, name};
use crate::uplink::kafka::journal::{Mark, StreamKey};
use crate::uplink::{Lasting, Message};

impl Producer {
    pub(super) fn route(&mut self, now: Instant) {
        let mut wrong = BTreeSet::new();
        for message in std::mem::take(&mut self.unrouted) {
            match self.topics.route(&message) {
                Routed::Not(refused) => {
                    let reason = format!("topic `{}`: {}. {}", message.topic, name(refused), advice(refused));
                    let is_name = refused == code::INVALID_TOPIC_EXCEPTION;
                    let lasting = if is_name { Lasting::ForThisMessage } else { Lasting::ForNow };
                    self.refuse(&message, lasting, &reason);
                    wrong.insert(message.topic.clone());
                }
                Routed::To(partition) if !self.is_unsettled(&message.topic) => self.put(message, partition),
                Routed::To(_) | Routed::Unknown => self.unrouted.push_back(message),
            }
        }
        for topic in wrong {
            self.topics.forget(&topic);
            self.look_again(now);
        }
    }

    pub(super) fn put(&mut self, message: Arc<Message>, partition: i32) {
        if self.done.remove(&Mark::of(&message)) {
            return self.acknowledge(message.token);
        }
        let lane = StreamKey::lane_of(message.lane());
        match self.stream_of(&message.topic, lane, partition) {
            Some(number) => self.streams[number].push(message),
            None => self.unrouted.push_back(message),
        }
    }

    /// After a power cut a message may stand in any partition of its topic, sent in any lane: none leaves before all have
    /// been read.
    pub(super) fn is_unsettled(&self, topic: &str) -> bool {
        self.streams.iter().any(|stream| stream.is_unsettled && *stream.key.topic == *topic)
    }

    /// The stream of a message that nothing keeps waiting; most have one.
    pub(super) fn at_once(&self, message: &Message) -> Option<usize> {
        let Routed::To(partition) = self.topics.route(message) else { return None };
        let streams = self.by_key.get(&*message.topic).filter(|_| self.unrouted.is_empty())?;
        let stream = streams.get(&(StreamKey::lane_of(message.lane()), partition))?;
        (!self.is_unsettled(&message.topic)).then_some(*stream)
    }

    /// The stream of a partition; `None` until its lane has a producer id.
    fn stream_of(&mut self, topic: &TopicName, lane: u8, partition: i32) -> Option<usize> {
        if let Some(number) = self.by_key.get(topic).and_then(|streams| streams.get(&(lane, partition))) {
            return Some(*number);
        }
        let ProducerId::Known(producer) = *self.ids.get(usize::from(lane))? else { return None };
        let (number, key) = (self.streams.len(), StreamKey { lane, topic: topic.clone(), partition });
        self.remember(&key, number);
        self.streams.push(Stream::new(self.next_number, key, self.topics.id(topic), producer));
        self.next_number += 1;
        Some(number)
    }

    /// Has a stream found by its key.
    pub(super) fn remember(&mut self, key: &StreamKey, number: usize) {
        self.by_key.entry(key.topic.clone()).or_default().insert((key.lane, key.partition), number);
    }
}
