//! From blocks to the data of devices: rows of metrics that go by their alias, without timestamp and seq of the message,
//! which [`super::node`] adds when it is handed over.

use buffer::SeqRange;
use bytes::Bytes;
use driver_core::{Level, Reading, Reason, Timestamp, Value};

use super::catalogue::Catalogue;
use super::wire::{Heading, write_metric};
use super::{GAP, Names, Shared, metric, time_ms};
use crate::uplink::format::json::value::write_escaped;
use crate::uplink::format::json::writer::write_gap;
use crate::uplink::format::{Format, Missing, Records};
use crate::uplink::{Message, Token};

/// A message is closed when it has grown beyond this, bytes.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;

const CONTENT_TYPE: &str = "application/x-protobuf";

/// The format of one lane.
pub(super) struct SparkplugFormat {
    shared: Shared,
    names: Names,
    gateway: Box<str>,
    block: Option<Block>,
    out: Vec<u8>,
}

/// The block whose messages are being made.
struct Block {
    records: Records,
    /// Device, place in the block and place in the catalogue, by device.
    order: Vec<(u32, u32, u32)>,
    done: usize,
    parts: u32,
}

impl SparkplugFormat {
    pub(super) fn new(shared: Shared, names: Names, gateway: &str) -> SparkplugFormat {
        SparkplugFormat { shared, names, gateway: gateway.into(), block: None, out: Vec::new() }
    }

    fn message(&mut self, block: &mut Block) -> Option<Message> {
        let (device, index, _) = *block.order.get(block.done)?;
        let catalogue = self.shared.lock();
        let first = block.records.seq(index as usize);
        let (mut seqs, mut readings, mut time, mut silent) = (SeqRange { first, last: first }, 0, None, true);
        self.out.clear();
        while let Some((_, index, place)) = block.order.get(block.done).filter(|(of, ..)| *of == device) {
            if self.out.len() >= MESSAGE_BYTES_MAX {
                break;
            }
            let Some(reading) = block.records.readings.get(*index as usize) else { break };
            catalogue.write_data(*place, reading, &mut self.out);
            seqs.last = block.records.seq(*index as usize);
            time = time.max(Some(reading.timestamp));
            silent &= is_silence(reading);
            readings += 1;
            block.done += 1;
        }
        let device = catalogue.devices().get(device as usize)?;
        let token = Token { lane: block.records.lane, seq: block.records.first, part: block.parts };
        block.parts += 1;
        Some(Message {
            token,
            topic: if silent { device.death.clone() } else { device.data.clone() },
            key: None,
            payload: Bytes::copy_from_slice(&self.out),
            time,
            content_type: CONTENT_TYPE.into(),
            epoch: block.records.epoch,
            seqs,
            readings,
        })
    }
}

impl Format for SparkplugFormat {
    fn begin(&mut self, records: Records) {
        let mut catalogue = self.shared.lock();
        let order = by_device(&mut catalogue, &records);
        drop(catalogue);
        self.block = Some(Block { records, order, done: 0, parts: 0 });
    }

    fn next(&mut self) -> Option<Message> {
        let mut block = self.block.take()?;
        let message = self.message(&mut block)?;
        self.block = Some(block);
        Some(message)
    }

    /// A metric of the edge node whose text is the gap as JSON.
    fn gap(&mut self, missing: &Missing) -> Message {
        let (mut gateway, mut text) = (Vec::new(), Vec::new());
        write_escaped(&self.gateway, &mut gateway);
        write_gap(&gateway, missing, &mut text);
        let value = Value::Text(String::from_utf8_lossy(&text).into());
        let time = missing.gap.time_ns.map(|(_, newest)| Timestamp(newest));
        let heading =
            Heading { name: Some(GAP), alias: None, time_ms: time_ms(time.unwrap_or(Timestamp(0))), announced: None };
        self.out.clear();
        write_metric(&heading, Some((metric::MetricType::of_value(&value), &value)), &[], &mut self.out);
        Message {
            token: Token { lane: missing.lane, seq: missing.gap.seqs.first, part: 0 },
            topic: self.names.topic("NDATA", None).into(),
            key: None,
            payload: Bytes::copy_from_slice(&self.out),
            time: None,
            content_type: CONTENT_TYPE.into(),
            epoch: missing.epoch,
            seqs: missing.gap.seqs,
            readings: 0,
        }
    }

    fn another(&self) -> Box<dyn Format> {
        Box::new(SparkplugFormat::new(self.shared.clone(), self.names.clone(), &self.gateway))
    }
}

/// Whether a reading says nothing but that its device cannot be reached.
fn is_silence(reading: &Reading) -> bool {
    reading.quality.level() == Level::Bad
        && matches!(
            reading.quality.reason(),
            Some(Reason::Timeout | Reason::NotConnected | Reason::Disconnected | Reason::Suspended)
        )
}

/// The readings' devices and places, sorted by device; within a device they keep their order.
fn by_device(catalogue: &mut Catalogue, records: &Records) -> Vec<(u32, u32, u32)> {
    let schema = records.schema.as_ref();
    let mut order = Vec::with_capacity(records.readings.len());
    for (index, reading) in records.readings.iter().enumerate() {
        let place = catalogue.observe(schema, records.lane, reading);
        order.push((catalogue.device_of(schema, reading.tag), index as u32, place));
    }
    if !order.is_sorted() {
        order.sort_unstable();
    }
    order
}

#[cfg(test)]
mod tests;
