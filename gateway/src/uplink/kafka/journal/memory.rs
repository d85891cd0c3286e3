//! What a journal adds up to.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::entry::{Entry, Mark, StreamKey};
use crate::uplink::kafka::wire::TopicId;

/// What was remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    /// The boot under which the last process ran.
    pub boot: Option<Box<str>>,
    /// The cluster.
    pub cluster: Option<Box<str>>,
    /// The streams, by their numbers.
    pub streams: BTreeMap<u32, StreamMemory>,
    /// What is delivered and may be handed out again.
    pub done: BTreeSet<Mark>,
    /// Whether nothing can be missing: no entry is cut short, and the machine has not been booted since.
    pub is_whole: bool,
}

/// What was remembered of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamMemory {
    /// Which it is.
    pub key: StreamKey,
    /// The topic's id.
    pub topic: TopicId,
    /// The producer id.
    pub producer: i64,
    /// Its epoch.
    pub epoch: i16,
    /// The next sequence.
    pub next: i32,
    /// Nothing of ours that is in doubt lies below this offset.
    pub base: i64,
    /// What may be on its way, in the order of the sequences.
    pub open: VecDeque<OpenIntent>,
    /// Whether the epoch was raised and the partition was not read since.
    pub is_unsettled: bool,
}

/// A batch of which it is not known whether it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenIntent {
    /// The sequence of its first record.
    pub sequence: i32,
    /// Its records.
    pub marks: Vec<Mark>,
}

impl Default for Memory {
    fn default() -> Memory {
        Memory { boot: None, cluster: None, streams: BTreeMap::new(), done: BTreeSet::new(), is_whole: true }
    }
}

/// The sequence that comes `count` after another.
pub fn advance(sequence: i32, count: usize) -> i32 {
    ((i64::from(sequence) + count as i64) & i64::from(i32::MAX)) as i32
}

impl Memory {
    /// Takes in the next entry. One about a stream that was never opened says that the file is not whole.
    pub fn take(&mut self, entry: Entry) {
        match entry {
            Entry::Boot(id) => self.boot = Some(id),
            Entry::Cluster(id) => {
                if self.cluster.as_ref().is_some_and(|known| *known != id) {
                    self.streams.clear();
                }
                self.cluster = Some(id);
            }
            Entry::Opened { stream, key, topic, producer, epoch, next, base } => {
                let (open, is_unsettled) = (VecDeque::new(), false);
                let opened = StreamMemory { key, topic, producer, epoch, next, base, open, is_unsettled };
                self.streams.insert(stream, opened);
            }
            Entry::Done(marks) => self.done.extend(marks),
            Entry::Intent { stream, sequence, marks } => self.of(stream, |stream, _| {
                stream.next = advance(sequence, marks.len());
                stream.open.push_back(OpenIntent { sequence, marks });
            }),
            Entry::Appended { stream, sequence, base } => self.of(stream, |stream, done| {
                if let Some(at) = stream.open.iter().position(|intent| intent.sequence == sequence) {
                    done.extend(stream.open.remove(at).into_iter().flat_map(|intent| intent.marks));
                }
                stream.base = base;
            }),
            Entry::Withdrawn { stream, sequence } => self.of(stream, |stream, _| {
                if let Some(at) = stream.open.iter().position(|intent| intent.sequence == sequence) {
                    stream.open.truncate(at);
                    stream.next = sequence;
                }
            }),
            Entry::Raised { stream, producer, epoch } => self.of(stream, |stream, _| {
                (stream.producer, stream.epoch, stream.next, stream.is_unsettled) = (producer, epoch, 0, true);
            }),
            Entry::Settled { stream, next, base, found } => self.of(stream, |stream, done| {
                stream.open.clear();
                (stream.next, stream.base, stream.is_unsettled) = (next, base, false);
                done.extend(found);
            }),
            Entry::Renewed { stream, topic } => self.of(stream, |stream, _| {
                (stream.topic, stream.base) = (topic, 0);
            }),
        }
    }

    fn of(&mut self, stream: u32, change: impl FnOnce(&mut StreamMemory, &mut BTreeSet<Mark>)) {
        match self.streams.get_mut(&stream) {
            Some(stream) => change(stream, &mut self.done),
            None => self.is_whole = false,
        }
    }

    /// Something may be missing: every partition has to be read before anything more is sent to it, also when this
    /// process is killed before it has done so.
    pub fn doubt_everything(&mut self) {
        for stream in self.streams.values_mut() {
            (stream.is_unsettled, stream.next) = (true, 0);
        }
    }

    /// Entries that add up to the same.
    pub fn entries(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        entries.extend(self.boot.clone().map(Entry::Boot));
        entries.extend(self.cluster.clone().map(Entry::Cluster));
        for (number, stream) in &self.streams {
            let number = *number;
            let StreamMemory { key, topic, producer, epoch, next, base, open, is_unsettled } = stream;
            let (topic, producer, epoch, next, base) = (*topic, *producer, *epoch, *next, *base);
            entries.push(Entry::Opened { stream: number, key: key.clone(), topic, producer, epoch, next, base });
            for OpenIntent { sequence, marks } in open {
                entries.push(Entry::Intent { stream: number, sequence: *sequence, marks: marks.clone() });
            }
            if *is_unsettled {
                entries.push(Entry::Raised { stream: number, producer, epoch });
            }
        }
        let done: Vec<Mark> = self.done.iter().copied().collect();
        entries.extend(done.chunks(10_000).map(|marks| Entry::Done(marks.to_vec())));
        entries
    }
}
