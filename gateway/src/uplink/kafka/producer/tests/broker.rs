//! A broker that keeps what a partition keeps: records, and of each producer the epoch and the last five batches.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use super::IDENTITY;
use crate::uplink::kafka::batch::{Batch, Builder, Compression, Headers, NewRecord, Record, read};
use crate::uplink::kafka::journal::advance;
use crate::uplink::kafka::producer::{Answer, Ask, Producer};
use crate::uplink::kafka::wire::{
    Fetched, FoundOffset, MetadataAnswer, PartitionMetadata, PartitionProducers, ProduceAnswer, Produced,
    ProducerIdentity, ProducerState, TopicMetadata,
};

/// What goes wrong with one request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    None,
    RequestLost,
    AnswerLost,
    /// An error, and nothing is appended.
    Code(i16),
    /// An error, although it is appended.
    CodeAfterAppend(i16),
}

pub(super) struct Broker {
    id: u8,
    partitions: Vec<Partition>,
    producers: i64,
    /// The seq of a record that is refused, with every batch that holds it.
    pub(super) too_large: Option<u64>,
    /// How long it asks to be left alone, milliseconds.
    pub(super) throttle_ms: i32,
}

#[derive(Default)]
struct Partition {
    records: Vec<Record>,
    producers: BTreeMap<i64, Known>,
}

struct Known {
    epoch: i16,
    /// First sequence, last sequence, offset.
    batches: VecDeque<(i32, i32, i64)>,
}

impl Broker {
    pub(super) fn new(partitions: usize) -> Broker {
        let partitions = (0..partitions).map(|_| Partition::default()).collect();
        Broker { id: 1, partitions, producers: 0, too_large: None, throttle_ms: 0 }
    }

    /// The seqs of all records but fences.
    pub(super) fn seqs(&self) -> Vec<u64> {
        self.partitions().concat()
    }

    pub(super) fn partitions(&self) -> Vec<Vec<u64>> {
        self.partitions.iter().map(|partition| partition.records.iter().filter_map(seq).collect()).collect()
    }

    pub(super) fn forget_producers(&mut self) {
        self.partitions.iter_mut().for_each(|partition| partition.producers.clear());
    }

    /// Another gateway with our identity has been here.
    pub(super) fn raise_epochs(&mut self) {
        for known in self.partitions.iter_mut().flat_map(|partition| partition.producers.values_mut()) {
            known.epoch += 1;
            known.batches = [(0, 0, 0)].into();
        }
    }

    pub(super) fn make_anew(&mut self) {
        self.id += 1;
        self.partitions.iter_mut().for_each(|partition| *partition = Partition::default());
    }

    pub(super) fn answer(&mut self, ask: &Ask, producer: &Producer, fault: Fault) -> Option<Answer> {
        if matches!(fault, Fault::RequestLost) {
            return None;
        }
        let answer = self.ask(ask, producer, fault);
        (!matches!(fault, Fault::AnswerLost)).then_some(answer)
    }

    fn ask(&mut self, ask: &Ask, producer: &Producer, fault: Fault) -> Answer {
        match ask {
            Ask::Metadata => Answer::Metadata(self.metadata()),
            Ask::NewId { .. } => {
                self.producers += 1;
                Answer::NewId(ProducerIdentity { error: 0, id: self.producers, epoch: 0 })
            }
            Ask::End { stream } => {
                let (topic, partition) = producer.place(*stream);
                let offset = self.partitions[partition as usize].records.len() as i64;
                Answer::End(vec![FoundOffset { topic: topic.into(), partition, error: 0, offset }])
            }
            Ask::Describe { stream } => Answer::Described(vec![self.describe(producer.place(*stream))]),
            Ask::Fence { stream, batch } => self.produced(&[(producer.place(*stream), batch.clone())], fault),
            Ask::Produce { batches, .. } => {
                let batches: Vec<_> =
                    batches.iter().map(|sent| (producer.place(sent.stream), sent.batch.clone())).collect();
                let partitions: BTreeSet<i32> = batches.iter().map(|((_, partition), _)| *partition).collect();
                assert_eq!(partitions.len(), batches.len(), "of two batches of a partition a broker appends one");
                self.produced(&batches, fault)
            }
            Ask::Read { stream, offset } => {
                let (topic, partition) = producer.place(*stream);
                let batches = self.partitions[partition as usize].from(*offset);
                Answer::Read(0, vec![Fetched { topic: topic.into(), partition, batches, ..Fetched::default() }])
            }
        }
    }

    fn metadata(&self) -> MetadataAnswer {
        let partitions: Vec<PartitionMetadata> =
            (0..self.partitions.len() as i32).map(|index| PartitionMetadata { error: 0, index, leader: 1 }).collect();
        let error = if partitions.is_empty() { 3 } else { 0 };
        let topic = TopicMetadata { error, name: "plant".into(), id: [self.id; 16], partitions };
        MetadataAnswer {
            cluster: Some("cluster".into()),
            topics: vec![topic],
            throttle_ms: self.throttle_ms,
            ..MetadataAnswer::default()
        }
    }

    fn describe(&self, (topic, partition): (&str, i32)) -> PartitionProducers {
        let known = &self.partitions[partition as usize].producers;
        let producers = known.iter().map(|(id, known)| ProducerState {
            id: *id,
            epoch: known.epoch.into(),
            last_sequence: known.batches.back().map_or(-1, |(_, last, _)| *last),
            last_time_ms: i64::MAX / 2,
        });
        PartitionProducers { topic: topic.into(), partition, error: 0, producers: producers.collect() }
    }

    fn produced(&mut self, batches: &[((&str, i32), Bytes)], fault: Fault) -> Answer {
        let parts = batches.iter().map(|((topic, partition), bytes)| {
            let batch = read(bytes.clone()).expect("a batch").remove(0);
            let refused = self.too_large.is_some_and(|large| batch.records.iter().filter_map(seq).any(|s| s == large));
            let (error, offset) = match fault {
                Fault::Code(code) => (code, -1),
                _ if refused => (10, -1),
                _ => self.partitions[*partition as usize].append(batch),
            };
            let error = match fault {
                Fault::CodeAfterAppend(code) if error == 0 => code,
                _ => error,
            };
            Produced { topic: (*topic).into(), partition: *partition, error, offset, ..Produced::default() }
        });
        Answer::Produced(ProduceAnswer { parts: parts.collect(), throttle_ms: self.throttle_ms })
    }
}

impl Partition {
    fn append(&mut self, batch: Batch) -> (i16, i64) {
        let (first, count) = (batch.stamp.sequence, batch.records.len());
        let last = advance(first, count - 1);
        match self.producers.get(&batch.stamp.producer) {
            Some(known) if batch.stamp.epoch < known.epoch => return (47, -1),
            Some(known) if batch.stamp.epoch > known.epoch && first != 0 => return (45, -1),
            Some(known) if batch.stamp.epoch == known.epoch => {
                if let Some((_, _, offset)) = known.batches.iter().find(|(f, l, _)| (*f, *l) == (first, last)) {
                    // What no real broker looks at: under the same sequences stand the same records.
                    let stand = self.records[*offset as usize..].iter().map(seq);
                    assert!(stand.zip(&batch.records).all(|(stands, sent)| stands == seq(sent)), "{batch:?}");
                    return (0, *offset);
                }
                let next = known.batches.back().map_or(0, |(_, last, _)| advance(*last, 1));
                if first != next {
                    return (45, -1);
                }
            }
            Some(_) | None => {}
        }
        let offset = self.records.len() as i64;
        let known = self.producers.entry(batch.stamp.producer).or_insert(Known { epoch: 0, batches: VecDeque::new() });
        if known.epoch != batch.stamp.epoch {
            *known = Known { epoch: batch.stamp.epoch, batches: VecDeque::new() };
        }
        known.batches.push_back((first, last, offset));
        if known.batches.len() > 5 {
            known.batches.pop_front();
        }
        for record in batch.records {
            self.records.push(Record { offset: self.records.len() as i64, ..record });
        }
        (0, offset)
    }

    /// A batch a record, up to thirty.
    fn from(&self, offset: i64) -> Bytes {
        let mut bytes = Vec::new();
        for record in self.records.iter().skip(offset as usize).take(30) {
            let headers: Vec<(&str, &[u8])> =
                record.headers.iter().map(|(name, value)| (&**name, &value[..])).collect();
            let mut builder = Builder::default();
            builder.push(&NewRecord {
                time_ms: 0,
                key: None,
                value: record.value.as_deref(),
                headers: &Headers::new(&headers),
            });
            let stamp = crate::uplink::kafka::batch::NO_STAMP;
            let mut batch = builder.finish(stamp, Compression::None).expect("memory").to_vec();
            batch[..8].copy_from_slice(&record.offset.to_be_bytes());
            bytes.extend(batch);
        }
        bytes.into()
    }
}

fn seq(record: &Record) -> Option<u64> {
    assert_eq!(record.header("gateway"), Some(IDENTITY.as_bytes()));
    record.header("seq").map(|seq| String::from_utf8_lossy(seq).parse().expect("one seq"))
}
