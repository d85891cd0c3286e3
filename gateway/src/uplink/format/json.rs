//! The JSON payload: a reading, a batch of readings of one device, or a gap.
//!
//! ```text
//! {"time":"2026-11-23T02:28:33.123456Z","device":"press","tag":"temperature","value":21.5,"quality":"good",
//!  "unit":"°C","epoch":7,"seq":1234}
//! {"gateway":"acme/line7","device":"press","epoch":7,"readings":[{"time":…,"tag":…,"value":…,…,"seq":1234},…]}
//! {"gateway":"acme/line7","gap":{"first":10,"last":19,"count":10,"reason":"dropped-oldest","from":…,"to":…}}
//! ```
//!
//! | value | JSON |
//! |---|---|
//! | BOOL | `true`, `false` |
//! | integers, bit strings | all digits; beyond 2^53 the reader needs a parser that keeps integers |
//! | REAL, LREAL | shortest decimal that reads back as the same REAL or LREAL: 0.1 stays `0.1`, one is `1.0` |
//! | not a number, infinities | `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | text | string; control characters as `\u00XX` |
//! | durations | exact decimal seconds, `-1.5` |
//! | dates and times of day | `"2026-11-23T02:28:33.000000"`, `"02:28:33.000000"`: the device's own zone, so none is named |
//! | arrays | array of the above |
//! | no value | `null`; `quality` is then `bad` and `reason` says why |
//!
//! A payload that is not live says so: `"lane":"history"` beside the epoch for what was stored while the far side could not
//! be reached, `"lane":"replay","job":3` for what is sent once more.
//!
//! `reason`, `unit`, `clock` (`"unsynchronized"`) and `status` (the protocol's own code, when it is not 0) stand only
//! where they say something. Times have six decimals, or nine where the last three are not zero.

mod keys;
mod time;
mod value;
mod writer;

use std::sync::Arc;

use buffer::SeqRange;
use bytes::Bytes;
use driver_core::{Reading, TagId, Timestamp};

use self::keys::{Keys, Pieces};
use self::value::{write_escaped, write_integer};
use self::writer::{Writer, write_lane};
use super::{Format, FormatInfo, FormatKind, Missing, Records};
use crate::uplink::topic::{Rules, Template, own};
use crate::uplink::{Message, Token, UplinkError, UplinkSpec};

/// A batch is closed when it has grown beyond this, bytes; one reading alone may be longer.
pub const BATCH_BYTES_MAX: usize = 64 * 1024;

const CONTENT_TYPE: &str = "application/json";

/// What stands for the names of a device whose schema is lost.
const DEVICE_UNKNOWN: &str = "unknown";

/// `format: json`.
#[derive(Debug)]
pub struct JsonKind;

static INFO: FormatInfo =
    FormatInfo { name: "json", help: "JSON, one object a reading or a batch", uplinks: &["mqtt"] };

impl FormatKind for JsonKind {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn open(&self, spec: &UplinkSpec, topic: Template, rules: Rules) -> Result<Box<dyn Format>, Vec<UplinkError>> {
        Ok(Box::new(Json::new(&spec.gateway, topic, rules)))
    }
}

/// The JSON format of one uplink.
pub struct Json {
    topic: Template,
    gap_topic: Arc<str>,
    gateway: Box<[u8]>,
    writer: Writer,
    /// The pieces of the schema that was used last.
    keys: Option<Keys>,
    block: Option<Block>,
}

/// The block whose messages are being made.
struct Block {
    records: Records,
    /// The readings' devices and places in the block: by device, and for each in the order of the block.
    order: Vec<(u32, u32)>,
    /// How far `order` has gone into messages.
    done: usize,
    parts: u32,
    /// The topic of the device of the last batch.
    device_topic: Option<(u32, Arc<str>)>,
}

impl Block {
    fn message(&mut self, topic: Arc<str>, seqs: SeqRange, time: Option<Timestamp>, payload: &[u8]) -> Message {
        let token = Token { lane: self.records.lane, seq: self.records.first, part: self.parts };
        self.parts += 1;
        let payload = Bytes::copy_from_slice(payload);
        let epoch = self.records.epoch;
        Message { token, topic, key: None, payload, time, content_type: CONTENT_TYPE, epoch, seqs }
    }
}

impl Json {
    /// Messages of the gateway `gateway`, on topics made from `topic`.
    pub fn new(gateway: &str, topic: Template, rules: Rules) -> Json {
        let mut escaped = Vec::new();
        write_escaped(gateway, &mut escaped);
        Json {
            topic,
            gap_topic: own(gateway, "gap", rules).into(),
            gateway: escaped.into(),
            writer: Writer::default(),
            keys: None,
            block: None,
        }
    }

    fn single(&mut self, block: &mut Block) -> Option<Message> {
        let (_, index) = *block.order.get(block.done)?;
        let reading = &block.records.readings[index as usize];
        let seq = block.records.seq(index as usize);
        let topic = self.topic_of(reading.tag);
        self.writer.out.clear();
        self.writer.single(reading, &Names::of(self.keys.as_ref(), reading.tag).pieces(), &block.records, seq);
        block.done += 1;
        let time = Some(reading.timestamp);
        Some(block.message(topic, SeqRange { first: seq, last: seq }, time, &self.writer.out))
    }

    fn batch(&mut self, block: &mut Block) -> Option<Message> {
        let (device, index) = *block.order.get(block.done)?;
        let first = block.records.readings[index as usize].tag;
        let topic = match &block.device_topic {
            Some((known, topic)) if *known == device => topic.clone(),
            _ => self.topic_of(first),
        };
        self.begin_batch(first, &block.records);
        let (start, mut time) = (block.done, None);
        while let Some((_, index)) = block.order.get(block.done).filter(|(of, _)| *of == device) {
            if block.done > start {
                if self.writer.out.len() >= BATCH_BYTES_MAX {
                    break;
                }
                self.writer.out.push(b',');
            }
            let reading = &block.records.readings[*index as usize];
            let seq = block.records.seq(*index as usize);
            self.writer.in_batch(reading, &Names::of(self.keys.as_ref(), reading.tag).pieces(), seq);
            time = time.max(Some(reading.timestamp));
            block.done += 1;
        }
        self.writer.out.extend_from_slice(b"]}");
        let seq_of = |place: usize| block.records.seq(block.order[place].1 as usize);
        let seqs = SeqRange { first: seq_of(start), last: seq_of(block.done - 1) };
        block.device_topic = Some((device, topic.clone()));
        Some(block.message(topic, seqs, time, &self.writer.out))
    }

    fn begin_batch(&mut self, first: TagId, records: &Records) {
        let names = Names::of(self.keys.as_ref(), first);
        let out = &mut self.writer.out;
        out.clear();
        out.extend_from_slice(b"{\"gateway\":\"");
        out.extend_from_slice(&self.gateway);
        out.extend_from_slice(names.pieces().device_name);
        out.extend_from_slice(b"\",\"epoch\":");
        write_integer(records.epoch, out);
        write_lane(records.lane, out);
        out.extend_from_slice(b",\"readings\":[");
    }

    fn topic_of(&self, tag: TagId) -> Arc<str> {
        match self.keys.as_ref().and_then(|keys| keys.schema().tag(tag)) {
            Some(names) => self.topic.render(names.device, names.tag).into(),
            None => self.topic.render(DEVICE_UNKNOWN, &format!("tag-{}", tag.0)).into(),
        }
    }
}

impl Format for Json {
    fn begin(&mut self, records: Records) {
        self.keys = match (self.keys.take(), &records.schema) {
            (Some(keys), Some(schema)) if keys.is_of(schema) => Some(keys),
            (_, Some(schema)) => Some(Keys::of(schema.clone())),
            (_, None) => None,
        };
        let order = by_device(self.keys.as_ref(), &records.readings);
        self.block = Some(Block { records, order, done: 0, parts: 0, device_topic: None });
    }

    fn next(&mut self) -> Option<Message> {
        let mut block = self.block.take()?;
        let message = if self.topic.has_tag() { self.single(&mut block) } else { self.batch(&mut block) }?;
        self.block = Some(block);
        Some(message)
    }

    fn another(&self) -> Box<dyn Format> {
        Box::new(Json {
            topic: self.topic.clone(),
            gap_topic: self.gap_topic.clone(),
            gateway: self.gateway.clone(),
            writer: Writer::default(),
            keys: None,
            block: None,
        })
    }

    fn gap(&mut self, missing: &Missing) -> Message {
        let gap = &missing.gap;
        self.writer.gap(&self.gateway, missing);
        Message {
            token: Token { lane: missing.lane, seq: gap.seqs.first, part: 0 },
            topic: self.gap_topic.clone(),
            key: None,
            payload: Bytes::copy_from_slice(&self.writer.out),
            time: gap.time_ns.map(|(_, newest)| Timestamp(newest)),
            content_type: CONTENT_TYPE,
            epoch: missing.epoch,
            seqs: gap.seqs,
        }
    }
}

/// The readings' devices and places, sorted by device; within a device they keep their order.
fn by_device(keys: Option<&Keys>, readings: &[Reading]) -> Vec<(u32, u32)> {
    let device = |reading: &Reading| keys.and_then(|keys| keys.device(reading.tag)).unwrap_or(u32::MAX);
    let mut order: Vec<(u32, u32)> = readings.iter().map(device).zip(0..).collect();
    if !order.is_sorted() {
        order.sort_unstable();
    }
    order
}

/// The pieces of a tag, also of one whose names are lost: its number stands for them.
enum Names<'a> {
    Known(Pieces<'a>),
    Lost(String),
}

impl Names<'_> {
    fn of(keys: Option<&Keys>, tag: TagId) -> Names<'_> {
        match keys.and_then(|keys| keys.pieces(tag)) {
            Some(pieces) => Names::Known(pieces),
            None => Names::Lost(format!("\",\"tag\":\"tag-{}\",\"value\":", tag.0)),
        }
    }

    fn pieces(&self) -> Pieces<'_> {
        match self {
            Names::Known(pieces) => *pieces,
            Names::Lost(tag_name) => {
                Pieces { device_name: b"\",\"device\":\"unknown", tag_name: tag_name.as_bytes(), good: keys::GOOD }
            }
        }
    }
}

#[cfg(test)]
mod tests;
