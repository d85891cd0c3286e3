//! From a block to messages, whatever the format: a message a reading, a device or a block, on topics from a template.
//!
//! ```text
//! topic with {tag}            one message a reading
//! topic with {device}         one message a device and block, cut when it has grown beyond a bound
//! topic with neither          the same, or one message a block where the format tells devices apart
//! ```

use std::ops::Range;
use std::sync::Arc;

use buffer::{Seq, SeqRange};
use bytes::Bytes;
use driver_core::{Reading, TagId, Timestamp};

use super::{Format, Missing, Records};
use crate::uplink::topic::{Rules, Template, own};
use crate::uplink::{Message, Token};

/// A batch is closed when it has grown beyond this, bytes; one reading alone may be longer.
pub(super) const BATCH_BYTES_MAX: usize = 64 * 1024;

/// What stands for the name of a device whose schema is lost.
pub(in crate::uplink) const DEVICE_UNKNOWN: &str = "unknown";

/// What stands for the name of a tag whose schema is lost.
pub(in crate::uplink) fn tag_unknown(tag: TagId) -> String {
    format!("tag-{}", tag.0)
}

/// What a batch may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// Readings of one device.
    Device,
    /// Readings of any device, where the topic does not name one.
    Block,
}

/// How a format writes readings, one after another.
pub trait Rows: Send {
    /// What a payload is, as a media type.
    const CONTENT_TYPE: &'static str;

    /// What a batch may hold.
    const SPAN: Span;

    /// A block follows: what its tag ids mean, and all that is the same for its readings.
    fn begin(&mut self, records: &Records);

    /// A reading by itself.
    fn single(&mut self, reading: &Reading, records: &Records, seq: Seq, out: &mut Vec<u8>);

    /// The head of a batch that begins with this reading.
    fn open(&mut self, first: &Reading, records: &Records, seq: Seq, out: &mut Vec<u8>);

    /// A reading of a batch, with what stands between it and the `nth - 1` before.
    fn add(&mut self, nth: usize, reading: &Reading, records: &Records, seq: Seq, out: &mut Vec<u8>);

    /// The end of a batch.
    fn close(&mut self, out: &mut Vec<u8>);

    /// Records that will never come, and the media type of what was written.
    fn gap(&mut self, missing: &Missing, out: &mut Vec<u8>) -> &'static str;

    /// The same for another lane, with no block begun.
    fn another(&self) -> Self;
}

/// The format of one uplink, made of how it writes rows.
pub struct Batches<R> {
    topic: Template,
    gap_topic: Arc<str>,
    rows: R,
    out: Vec<u8>,
    block: Option<Block>,
}

/// The block whose messages are being made.
struct Block {
    records: Records,
    /// What has not gone into messages yet begins with the run at `at`: by device, and for each in the order of the block.
    runs: Vec<Run>,
    at: usize,
    parts: u32,
    /// The topic of the device of the last batch.
    device_topic: Option<(u32, Arc<str>)>,
}

/// Readings of one device that stand one after the other in the block.
struct Run {
    device: u32,
    places: Range<u32>,
}

impl Block {
    /// The device and the place of the next reading.
    fn next(&self) -> Option<(u32, usize)> {
        self.runs.get(self.at).map(|run| (run.device, run.places.start as usize))
    }

    /// The next reading has gone into a message.
    fn advance(&mut self) {
        if let Some(run) = self.runs.get_mut(self.at) {
            run.places.start += 1;
            self.at += usize::from(run.places.is_empty());
        }
    }

    fn token(&mut self) -> Token {
        let token = Token { lane: self.records.lane, seq: self.records.first, part: self.parts };
        self.parts += 1;
        token
    }
}

impl<R: Rows> Batches<R> {
    /// Messages of the gateway `gateway`, on topics made from `topic`.
    pub(super) fn of(rows: R, gateway: &str, topic: Template, rules: Rules) -> Batches<R> {
        Batches { topic, gap_topic: own(gateway, "gap", rules).into(), rows, out: Vec::new(), block: None }
    }

    fn single(&mut self, block: &mut Block) -> Option<Message> {
        let (_, place) = block.next()?;
        let reading = block.records.readings.get(place)?;
        let seq = block.records.seq(place);
        let (topic, time) = (topic_of(&self.topic, &block.records, reading.tag), Some(reading.timestamp));
        self.out.clear();
        self.rows.single(reading, &block.records, seq, &mut self.out);
        block.advance();
        Some(self.message(block, topic, SeqRange { first: seq, last: seq }, time, 1))
    }

    fn batch(&mut self, block: &mut Block) -> Option<Message> {
        let (device, place) = block.next()?;
        let first = block.records.readings.get(place)?;
        let topic = match &block.device_topic {
            Some((known, topic)) if *known == device => topic.clone(),
            _ => topic_of(&self.topic, &block.records, first.tag),
        };
        let mut seqs = SeqRange { first: block.records.seq(place), last: block.records.seq(place) };
        let (mut count, mut time) = (0, None);
        self.out.clear();
        self.rows.open(first, &block.records, seqs.first, &mut self.out);
        let Block { records, runs, at, .. } = &mut *block;
        'message: while let Some(run) = runs.get_mut(*at).filter(|run| run.device == device) {
            let left = run.places.start as usize..run.places.end as usize;
            for (reading, place) in records.readings[left.clone()].iter().zip(left) {
                if count > 0 && self.out.len() >= BATCH_BYTES_MAX {
                    break 'message;
                }
                seqs.last = records.seq(place);
                self.rows.add(count, reading, records, seqs.last, &mut self.out);
                time = time.max(Some(reading.timestamp));
                count += 1;
                run.places.start += 1;
            }
            *at += 1;
        }
        self.rows.close(&mut self.out);
        block.device_topic = Some((device, topic.clone()));
        Some(self.message(block, topic, seqs, time, count as u32))
    }

    /// The message takes the bytes as they are; the next one probably has about as many.
    fn message(
        &mut self,
        block: &mut Block,
        topic: Arc<str>,
        seqs: SeqRange,
        time: Option<Timestamp>,
        readings: u32,
    ) -> Message {
        let next = Vec::with_capacity(self.out.len() + self.out.len() / 8);
        Message {
            token: block.token(),
            topic,
            key: None,
            payload: std::mem::replace(&mut self.out, next).into(),
            time,
            content_type: R::CONTENT_TYPE.into(),
            epoch: block.records.epoch,
            seqs,
            readings,
        }
    }
}

impl<R: Rows + 'static> Format for Batches<R> {
    fn begin(&mut self, records: Records) {
        self.rows.begin(&records);
        let mixed = R::SPAN == Span::Block && !self.topic.has_device();
        let runs = if mixed || self.topic.has_tag() { as_they_stand(&records) } else { by_device(&records) };
        self.block = Some(Block { records, runs, at: 0, parts: 0, device_topic: None });
    }

    fn next(&mut self) -> Option<Message> {
        let mut block = self.block.take()?;
        let message = if self.topic.has_tag() { self.single(&mut block) } else { self.batch(&mut block) }?;
        self.block = Some(block);
        Some(message)
    }

    fn gap(&mut self, missing: &Missing) -> Message {
        self.out.clear();
        let content_type = self.rows.gap(missing, &mut self.out).into();
        Message {
            token: Token { lane: missing.lane, seq: missing.gap.seqs.first, part: 0 },
            topic: self.gap_topic.clone(),
            key: None,
            payload: Bytes::copy_from_slice(&self.out),
            time: missing.gap.time_ns.map(|(_, newest)| Timestamp(newest)),
            content_type,
            epoch: missing.epoch,
            seqs: missing.gap.seqs,
            readings: 0,
        }
    }

    fn another(&self) -> Box<dyn Format> {
        Box::new(Batches {
            topic: self.topic.clone(),
            gap_topic: self.gap_topic.clone(),
            rows: self.rows.another(),
            out: Vec::new(),
            block: None,
        })
    }
}

fn topic_of(topic: &Template, records: &Records, tag: TagId) -> Arc<str> {
    match records.schema.as_ref().and_then(|schema| schema.tag(tag)) {
        Some(names) => topic.render(names.device, names.tag).into(),
        None => topic.render(DEVICE_UNKNOWN, &tag_unknown(tag)).into(),
    }
}

fn as_they_stand(records: &Records) -> Vec<Run> {
    let all = Run { device: 0, places: 0..records.readings.len() as u32 };
    if all.places.is_empty() { Vec::new() } else { vec![all] }
}

/// Sorted by device; within a device they keep their order. Polls are of one device, so there are few runs.
fn by_device(records: &Records) -> Vec<Run> {
    let schema = records.schema.as_deref();
    let device = |reading: &Reading| schema.and_then(|schema| schema.device_of(reading.tag)).unwrap_or(u32::MAX);
    let mut runs: Vec<Run> = Vec::new();
    for (reading, place) in records.readings.iter().zip(0_u32..) {
        let device = device(reading);
        match runs.last_mut() {
            Some(run) if run.device == device => run.places.end += 1,
            _ => runs.push(Run { device, places: place..place + 1 }),
        }
    }
    runs.sort_by_key(|run| run.device);
    runs
}
