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
//! `reason`, `unit`, `clock` (`"unsynchronized"`) and `status` (the protocol's own code, when it is not 0) stand only
//! where they say something. Times have six decimals, or nine where the last three are not zero.

mod time;
mod value;

use std::sync::Arc;

use buffer::{Seq, SeqRange};
use bytes::Bytes;
use driver_core::{ClockState, Reading};

use self::time::TimeText;
use self::value::{write_escaped, write_integer, write_string, write_value};
use super::{Format, Missing, Records};
use crate::pipeline::schema::Schema;
use crate::uplink::topic::{Rules, Template, own};
use crate::uplink::{Message, Token};

/// A batch is closed when it has grown beyond this, bytes; one reading alone may be longer.
pub const BATCH_BYTES_MAX: usize = 64 * 1024;

const CONTENT_TYPE: &str = "application/json";

/// What stands for the names of a tag whose schema is lost.
const DEVICE_UNKNOWN: &str = "unknown";

/// The JSON format of one uplink.
pub struct Json {
    topic: Template,
    gap_topic: Arc<str>,
    gateway: Box<[u8]>,
    time: TimeText,
    scratch: Vec<u8>,
    block: Option<Block>,
}

/// The block whose messages are being made.
struct Block {
    records: Records,
    /// The readings by device, each with its place in the block.
    order: Vec<(u32, u32)>,
    /// How far `order` has gone into messages.
    done: usize,
    parts: u32,
    /// The topic of the device of the last batch.
    device_topic: Option<(u32, Arc<str>)>,
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
            time: TimeText::default(),
            scratch: Vec::new(),
            block: None,
        }
    }

    fn single(&mut self, block: &mut Block) -> Option<Message> {
        let (_, index) = *block.order.get(block.done)?;
        let reading = &block.records.readings[index as usize];
        let seq = block.records.first + Seq::from(index);
        let names = names(block.records.schema.as_deref(), reading);
        self.scratch.clear();
        let out = &mut self.scratch;
        begin_reading(reading, &mut self.time, out);
        out.extend_from_slice(b",\"device\":");
        write_string(names.device(), out);
        write_middle(reading, &names, out);
        out.extend_from_slice(b",\"epoch\":");
        write_integer(block.records.epoch, out);
        end_reading(seq, out);
        let topic = self.topic.render(names.device(), &names.tag());
        block.done += 1;
        Some(self.message(block, topic.into(), SeqRange { first: seq, last: seq }))
    }

    fn batch(&mut self, block: &mut Block) -> Option<Message> {
        let (device, index) = *block.order.get(block.done)?;
        let first = names(block.records.schema.as_deref(), &block.records.readings[index as usize]);
        let topic = match &block.device_topic {
            Some((known, topic)) if *known == device => topic.clone(),
            _ => Arc::from(self.topic.render(first.device(), "")),
        };
        self.scratch.clear();
        let out = &mut self.scratch;
        out.extend_from_slice(b"{\"gateway\":\"");
        out.extend_from_slice(&self.gateway);
        out.extend_from_slice(b"\",\"device\":");
        write_string(first.device(), out);
        out.extend_from_slice(b",\"epoch\":");
        write_integer(block.records.epoch, out);
        out.extend_from_slice(b",\"readings\":[");
        let start = block.done;
        while let Some((_, index)) = block.order.get(block.done).filter(|(of, _)| *of == device) {
            if block.done > start {
                if out.len() >= BATCH_BYTES_MAX {
                    break;
                }
                out.push(b',');
            }
            let reading = &block.records.readings[*index as usize];
            begin_reading(reading, &mut self.time, out);
            write_middle(reading, &names(block.records.schema.as_deref(), reading), out);
            end_reading(block.records.first + Seq::from(*index), out);
            block.done += 1;
        }
        out.extend_from_slice(b"]}");
        let seq_of = |place: usize| block.records.first + Seq::from(block.order[place].1);
        let seqs = SeqRange { first: seq_of(start), last: seq_of(block.done - 1) };
        block.device_topic = Some((device, topic.clone()));
        Some(self.message(block, topic, seqs))
    }

    fn message(&self, block: &mut Block, topic: Arc<str>, seqs: SeqRange) -> Message {
        let token = Token { seq: block.records.first, part: block.parts };
        block.parts += 1;
        let payload = Bytes::copy_from_slice(&self.scratch);
        Message { token, topic, payload, content_type: CONTENT_TYPE, epoch: block.records.epoch, seqs }
    }
}

impl Format for Json {
    fn begin(&mut self, records: Records) {
        let order = by_device(&records);
        self.block = Some(Block { records, order, done: 0, parts: 0, device_topic: None });
    }

    fn next(&mut self) -> Option<Message> {
        let mut block = self.block.take()?;
        let message = if self.topic.has_tag() { self.single(&mut block) } else { self.batch(&mut block) }?;
        self.block = Some(block);
        Some(message)
    }

    fn gap(&mut self, missing: &Missing) -> Message {
        let gap = &missing.gap;
        self.scratch.clear();
        let out = &mut self.scratch;
        out.extend_from_slice(b"{\"gateway\":\"");
        out.extend_from_slice(&self.gateway);
        out.extend_from_slice(b"\",\"gap\":{\"first\":");
        write_integer(gap.seqs.first, out);
        out.extend_from_slice(b",\"last\":");
        write_integer(gap.seqs.last, out);
        out.extend_from_slice(b",\"count\":");
        write_integer(gap.count, out);
        out.extend_from_slice(b",\"reason\":");
        write_string(missing.reason, out);
        if let Some((from, to)) = gap.time_ns {
            out.extend_from_slice(b",\"from\":\"");
            self.time.write(from, out);
            out.extend_from_slice(b"Z\",\"to\":\"");
            self.time.write(to, out);
            out.extend_from_slice(b"Z\"");
        }
        out.extend_from_slice(b"}}");
        Message {
            token: Token { seq: gap.seqs.first, part: 0 },
            topic: self.gap_topic.clone(),
            payload: Bytes::copy_from_slice(&self.scratch),
            content_type: CONTENT_TYPE,
            epoch: missing.epoch,
            seqs: gap.seqs,
        }
    }
}

/// The readings sorted by device; within a device they keep their order.
fn by_device(records: &Records) -> Vec<(u32, u32)> {
    let device = |reading: &Reading| {
        let tag = records.schema.as_ref().and_then(|schema| schema.tag(reading.tag));
        tag.map_or(u32::MAX, |tag| tag.device_index as u32)
    };
    let mut order: Vec<(u32, u32)> = records.readings.iter().map(device).zip(0..).collect();
    order.sort_unstable();
    order
}

/// A tag's names, or its number where they are lost.
enum Names<'a> {
    Known(crate::pipeline::schema::TagNames<'a>),
    Lost(u32),
}

fn names<'a>(schema: Option<&'a Schema>, reading: &Reading) -> Names<'a> {
    schema.and_then(|schema| schema.tag(reading.tag)).map_or(Names::Lost(reading.tag.0), Names::Known)
}

impl Names<'_> {
    fn device(&self) -> &str {
        match self {
            Names::Known(names) => names.device,
            Names::Lost(_) => DEVICE_UNKNOWN,
        }
    }

    fn tag(&self) -> std::borrow::Cow<'_, str> {
        match self {
            Names::Known(names) => names.tag.into(),
            Names::Lost(number) => format!("tag-{number}").into(),
        }
    }

    fn unit(&self) -> &str {
        match self {
            Names::Known(names) => names.unit,
            Names::Lost(_) => "",
        }
    }
}

fn begin_reading(reading: &Reading, time: &mut TimeText, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"time\":\"");
    time.write(reading.timestamp.0, out);
    out.extend_from_slice(b"Z\"");
}

fn write_middle(reading: &Reading, names: &Names<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"tag\":");
    write_string(&names.tag(), out);
    out.extend_from_slice(b",\"value\":");
    write_value(&reading.value, out);
    out.extend_from_slice(b",\"quality\":\"");
    out.extend_from_slice(reading.quality.level().name().as_bytes());
    out.push(b'"');
    if let Some(reason) = reading.quality.reason() {
        out.extend_from_slice(b",\"reason\":");
        write_string(reason.name(), out);
    }
    if reading.status != 0 {
        out.extend_from_slice(b",\"status\":");
        write_integer(reading.status, out);
    }
    if !names.unit().is_empty() {
        out.extend_from_slice(b",\"unit\":");
        write_string(names.unit(), out);
    }
    if reading.clock == ClockState::Unsynchronized {
        out.extend_from_slice(b",\"clock\":\"unsynchronized\"");
    }
}

fn end_reading(seq: Seq, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"seq\":");
    write_integer(seq, out);
    out.push(b'}');
}

#[cfg(test)]
mod tests;
