//! What is known of topics: their ids, their partitions and who leads them.

use std::collections::BTreeMap;

use super::TopicName;
use crate::uplink::Message;
use crate::uplink::kafka::error::code;
use crate::uplink::kafka::fleet::NodeId;
use crate::uplink::kafka::partition::of_key;
use crate::uplink::kafka::wire::{MetadataAnswer, TopicId};

/// Messages without a key stay with one partition for this many seqs.
const SEQS_PER_PARTITION: u64 = 1_024;

/// All topics that messages named.
#[derive(Debug, Default)]
pub(super) struct Topics {
    known: BTreeMap<TopicName, Topic>,
}

#[derive(Debug)]
enum Topic {
    /// Nobody was asked yet, or the answer was of no use.
    Unseen,
    /// It cannot be used; the code says why.
    Wrong(i16),
    Seen {
        id: TopicId,
        /// By partition.
        leaders: Vec<Option<NodeId>>,
    },
}

/// Where a message goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Routed {
    /// It is not known yet.
    Unknown,
    /// Nowhere: the code says why.
    Not(i16),
    /// To this partition.
    To(i32),
}

impl Topics {
    pub(super) fn want(&mut self, topic: &TopicName) {
        if !self.known.contains_key(topic) {
            self.known.insert(topic.clone(), Topic::Unseen);
        }
    }

    /// Is asked for anew.
    pub(super) fn forget(&mut self, topic: &TopicName) {
        self.known.remove(topic);
    }

    pub(super) fn wanted(&self) -> Vec<&str> {
        self.known.keys().map(|topic| &**topic).collect()
    }

    pub(super) fn has_unseen(&self) -> bool {
        self.known.values().any(|topic| matches!(topic, Topic::Unseen))
    }

    pub(super) fn has_leaderless(&self) -> bool {
        self.known.values().any(|topic| matches!(topic, Topic::Seen { leaders, .. } if leaders.contains(&None)))
    }

    pub(super) fn id(&self, topic: &str) -> TopicId {
        match self.known.get(topic) {
            Some(Topic::Seen { id, .. }) => *id,
            _ => TopicId::default(),
        }
    }

    pub(super) fn leader(&self, topic: &str, partition: i32) -> Option<NodeId> {
        let Some(Topic::Seen { leaders, .. }) = self.known.get(topic) else { return None };
        leaders.get(usize::try_from(partition).ok()?).copied().flatten()
    }

    pub(super) fn route(&self, message: &Message) -> Routed {
        match self.known.get(&message.topic) {
            None | Some(Topic::Unseen) => Routed::Unknown,
            Some(Topic::Wrong(code)) => Routed::Not(*code),
            Some(Topic::Seen { leaders, .. }) => {
                let partitions = leaders.len() as u64;
                Routed::To(match &message.key {
                    Some(key) => of_key(key, partitions as u32),
                    None => (message.seqs.first / SEQS_PER_PARTITION % partitions.max(1)) as i32,
                })
            }
        }
    }

    /// Takes in what a broker knows.
    pub(super) fn saw(&mut self, seen: &MetadataAnswer) {
        for topic in &seen.topics {
            let Some((name, _)) = self.known.get_key_value(topic.name.as_str()) else { continue };
            let now = match topic.error {
                code::UNKNOWN_TOPIC_OR_PARTITION | code::TOPIC_AUTHORIZATION_FAILED | code::INVALID_TOPIC_EXCEPTION => {
                    Topic::Wrong(topic.error)
                }
                code::NONE => {
                    let mut leaders = vec![None; topic.partitions.len()];
                    for partition in &topic.partitions {
                        let place = usize::try_from(partition.index).ok();
                        if let Some(leader) = place.and_then(|place| leaders.get_mut(place)) {
                            *leader = (partition.leader >= 0).then_some(partition.leader);
                        }
                    }
                    Topic::Seen { id: topic.id, leaders }
                }
                _ => continue,
            };
            self.known.insert(name.clone(), now);
        }
    }
}
