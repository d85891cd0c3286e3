//! What the producer knows of the cluster: topics, leaders, producer ids.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use tracing::warn;

use super::ask::{Ask, Target};
use super::{LANES, METADATA_AGAIN_AFTER, METADATA_EVERY, MetadataState, Producer, ProducerId};
use crate::uplink::Lasting;
use crate::uplink::kafka::error::{advice, name};
use crate::uplink::kafka::journal::{Entry, StreamKey};
use crate::uplink::kafka::wire::{MetadataAnswer, TopicId};

impl Producer {
    pub(super) fn ask_for_metadata(&mut self, now: Instant, asks: &mut Vec<(Target, Ask)>) {
        if self.metadata.quiet_until.is_some_and(|until| until > now) {
            return;
        }
        let due = self.metadata.due.is_some_and(|at| at <= now);
        let old = self.metadata.seen_at.is_none_or(|at| at + self.metadata_every() <= now);
        if !self.metadata.asked && (due || old) {
            self.metadata.asked = true;
            self.metadata.due = None;
            asks.push((Target::Any, Ask::Metadata));
        }
    }

    pub(super) fn metadata_every(&self) -> Duration {
        if self.topics.has_unseen() { METADATA_AGAIN_AFTER } else { METADATA_EVERY }
    }

    /// Leaders are looked up soon.
    pub(super) fn look_again(&mut self, now: Instant) {
        self.look_within(METADATA_AGAIN_AFTER, now);
    }

    pub(super) fn look_within(&mut self, within: Duration, now: Instant) {
        let at = now + within;
        self.metadata.due = Some(self.metadata.due.map_or(at, |due| due.min(at)));
    }

    pub(super) fn ask_for_ids(&mut self, now: Instant, asks: &mut Vec<(Target, Ask)>) {
        let mut wanted: BTreeSet<u8> = self.unrouted.iter().map(|message| StreamKey::lane_of(message.lane())).collect();
        for stream in self.streams.iter().filter(|stream| stream.is_exhausted()) {
            if let Some(id @ ProducerId::Known(_)) = self.ids.get_mut(usize::from(stream.key.lane)) {
                *id = ProducerId::Wanted { not_before: None };
            }
            wanted.insert(stream.key.lane);
        }
        for lane in wanted {
            let Some(id) = self.ids.get_mut(usize::from(lane)) else { continue };
            if matches!(id, ProducerId::Wanted { not_before } if not_before.is_none_or(|at| at <= now)) {
                *id = ProducerId::Asked;
                asks.push((Target::Any, Ask::NewId { lane }));
            }
        }
    }

    pub(super) fn saw(&mut self, seen: &MetadataAnswer, now: Instant) {
        let quiet = u64::try_from(seen.throttle_ms).unwrap_or(0);
        self.metadata = MetadataState {
            asked: false,
            due: self.metadata.due.filter(|at| *at > now),
            seen_at: Some(now),
            quiet_until: Some(now + Duration::from_millis(quiet)),
        };
        let cluster = seen.cluster.as_deref();
        if cluster.is_some() && cluster != self.cluster.as_deref() {
            self.another_cluster(cluster.unwrap_or_default());
        }
        self.topics.saw(seen);
        for stream in &mut self.streams {
            let id = self.topics.id(&stream.key.topic);
            if id == stream.topic || id == TopicId::default() {
                continue;
            }
            if stream.topic == TopicId::default() {
                stream.topic = id;
                continue;
            }
            self.figures.topics_made_anew += 1;
            let (topic, partition) = (&*stream.key.topic, stream.key.partition);
            warn!(topic, partition, "the topic was deleted and made anew: it goes on at the new one");
            stream.renew(id, &mut self.entries);
        }
        if self.topics.has_leaderless() {
            self.look_again(now);
        }
    }

    /// Producer ids of one cluster mean nothing in another.
    pub(super) fn another_cluster(&mut self, cluster: &str) {
        if self.cluster.is_some() {
            warn!(
                cluster,
                "this is another Kafka cluster than before: everything that was not acknowledged goes to it"
            );
        }
        self.cluster = Some(cluster.into());
        self.entries.push(Entry::Cluster(cluster.into()));
        self.ids = [ProducerId::Wanted { not_before: None }; LANES];
        self.is_another = !self.streams.is_empty();
        self.on_their_way.clear();
        self.expected.clear();
        self.by_key.clear();
        for stream in std::mem::take(&mut self.streams) {
            self.unrouted.extend(stream.into_messages());
        }
    }

    /// Nobody gave the lane a producer id: its messages wait.
    pub(super) fn forbid_lane(&mut self, lane: u8, code: i16) {
        let reason = format!("no producer id: {}. {}", name(code), advice(code));
        let (of_lane, others): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.unrouted)
            .into_iter()
            .partition(|message| StreamKey::lane_of(message.lane()) == lane);
        self.unrouted = others;
        for message in of_lane {
            self.refuse(&message, Lasting::ForNow, &reason);
        }
    }
}
