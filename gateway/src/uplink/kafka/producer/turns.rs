//! Whose turn it is, where messages of one lane lie in streams of several.
//!
//! A batch that may have arrived goes again in the stream in which it went, also when its messages have come back in another
//! lane; what follows them goes in the stream of that lane. Of the two the lower seqs go first, so that each key keeps its
//! order.

use std::collections::{BTreeMap, BTreeSet};

use super::Producer;

impl Producer {
    /// Of each stream of such a partition: only what lies below this seq may leave.
    pub(super) fn turns(&mut self) -> BTreeMap<usize, u64> {
        let mixed = self
            .streams
            .iter_mut()
            .filter_map(|stream| stream.holds_strangers().then(|| (stream.key.topic.clone(), stream.key.partition)));
        let mixed: BTreeSet<_> = mixed.collect();
        let mut turns = BTreeMap::new();
        for (topic, partition) in mixed {
            let is_there = |key: &super::StreamKey| key.topic == topic && key.partition == partition;
            let lowest: Vec<(usize, Option<u64>)> = (0..)
                .zip(&self.streams)
                .filter(|(_, stream)| is_there(&stream.key))
                .map(|(number, stream)| (number, stream.lowest_held()))
                .collect();
            let of_topic =
                self.unrouted.iter().filter(|message| message.topic == topic && message.lane().job().is_none());
            let unrouted = of_topic.map(|message| message.seqs.first).min();
            for (number, _) in &lowest {
                let others = lowest.iter().filter(|(other, _)| other != number).filter_map(|(_, seq)| *seq);
                turns.insert(*number, others.chain(unrouted).min().unwrap_or(u64::MAX));
            }
        }
        turns
    }
}
