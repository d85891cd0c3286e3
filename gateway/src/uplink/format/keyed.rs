//! Records with a key, for destinations that keep an order by key: one flat record a reading, or a batch of readings of
//! one device.
//!
//! Here stands what all such formats share: which record a reading goes into, its topic, its key, its time. A [`Content`]
//! writes what the record says. What a gap declares goes to the same topic, under the gateway's name as key, so that who
//! may write readings may also declare a loss.

mod registered;

use std::sync::Arc;

use buffer::{Seq, SeqRange};
use bytes::{Bytes, BytesMut};
use driver_core::{Options, Reading, TagId, Timestamp};

pub use registered::{Registration, SchemaId};

use super::batches::{BATCH_BYTES_MAX, DEVICE_UNKNOWN, tag_unknown};
use super::{Format, Missing, Records};
use crate::pipeline::schema::Schema;
use crate::uplink::kafka::status::Devices;
use crate::uplink::topic::{Rules, Template};
use crate::uplink::{Lane, Message, Token, UplinkError, UplinkSpec};

/// Payloads share pieces of memory of this size, bytes.
const PIECE_BYTES: usize = 64 * 1024;

/// The topic of an uplink that names none: one for all gateways, whose records bear their names.
pub const TOPIC: &str = "forebay.readings";

const KEY_OF_READINGS: &str = "{device}/{tag}";
const KEY_OF_BATCHES: &str = "{device}";

/// The options that these formats take, for the uplinks that carry them.
pub const OPTIONS: &[(&str, &str)] = &[
    ("key", "the key of each record (default {device}/{tag}, and {device} with records=batches)"),
    ("records", "readings (default): one flat record a reading; batches: one a batch and device"),
];

/// What a record holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Shape {
    /// One reading, flat.
    #[default]
    Readings,
    /// Readings of one device.
    Batches,
}

/// Takes the options of these formats out of a URL's; errors stay with `options`.
pub fn take<'o>(options: &mut Options<'o>) -> (Option<&'o str>, Shape) {
    let shape = options.parse("records", "readings or batches", |text| match text {
        "readings" => Some(Shape::Readings),
        "batches" => Some(Shape::Batches),
        _ => None,
    });
    (options.text("key"), shape.unwrap_or_default())
}

/// The topics of an uplink.
pub fn topic(spec: &UplinkSpec) -> Result<Template, UplinkError> {
    Template::parse(spec.topic.as_deref().unwrap_or(TOPIC), &spec.gateway, Rules::Kafka)
}

/// What the records of an uplink hold.
pub fn shape(spec: &UplinkSpec) -> Shape {
    take(&mut spec.url.options()).1
}

/// Writes what records say. Everything is appended to `out`.
pub trait Content: Send {
    /// What is written, as a media type that also tells kinds apart where the bytes do not.
    fn content_type(&self, kind: Kind) -> &'static str;

    /// A reading by itself.
    fn reading(&mut self, reading: &Reading, of: &Of<'_>, out: &mut Vec<u8>);

    /// A reading within a batch; `items` holds those before it.
    fn item(&mut self, reading: &Reading, of: &Of<'_>, items: &mut Vec<u8>);

    /// The batch around `count` items of the device and epoch of `of`.
    fn batch(&mut self, of: &Of<'_>, count: usize, items: &[u8], out: &mut Vec<u8>);

    /// Readings that will never come, in a topic whose records are of this shape.
    fn gap(&mut self, gateway: &str, missing: &Missing, shape: Shape, out: &mut Vec<u8>);

    /// Another of its kind, for another lane.
    fn another(&self) -> Box<dyn Content>;
}

/// What a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One reading.
    Reading,
    /// Readings of one device.
    Batch,
    /// Readings that will never come.
    Gap,
}

/// Whose a reading is, and where it stands.
#[derive(Debug, Clone, Copy)]
pub struct Of<'a> {
    /// The gateway's name.
    pub gateway: &'a str,
    /// The device's name.
    pub device: &'a str,
    /// The tag's name.
    pub tag: &'a str,
    /// The unit of its value; empty when it has none.
    pub unit: &'a str,
    /// The epoch in which it was stored.
    pub epoch: u32,
    /// Its place in the log.
    pub seq: Seq,
    /// The lane in which it goes.
    pub lane: Lane,
}

/// The format of one uplink.
pub struct Keyed {
    gateway: Arc<str>,
    topic: Template,
    gap_topic: Arc<str>,
    key: Template,
    shape: Shape,
    content: Box<dyn Content>,
    /// What the registry knows the schema by, where there is one.
    registration: Option<Registration>,
    /// What the live readings say of the devices.
    devices: Devices,
    /// Topics and keys of the schema that was used last.
    places: Places,
    block: Option<Block>,
    out: Vec<u8>,
    items: Vec<u8>,
    memory: BytesMut,
}

/// Topics and keys, each made when it is first needed.
#[derive(Default)]
struct Places {
    schema: Option<Arc<Schema>>,
    of_tags: Vec<Option<Place>>,
}

#[derive(Clone)]
struct Place {
    topic: Arc<str>,
    key: Bytes,
}

/// The block whose messages are being made.
struct Block {
    records: Records,
    /// The readings' places in the block, in the order in which they go into messages, with their devices.
    order: Vec<(u32, u32)>,
    done: usize,
    parts: u32,
}

impl Keyed {
    /// The format of an uplink whose records hold what `content` writes.
    pub fn open(
        spec: &UplinkSpec,
        topic: Template,
        content: Box<dyn Content>,
        registration: Option<Registration>,
    ) -> Result<Keyed, Vec<UplinkError>> {
        let (written, shape) = take(&mut spec.url.options());
        let default = match shape {
            Shape::Readings => KEY_OF_READINGS,
            Shape::Batches => KEY_OF_BATCHES,
        };
        let written = written.unwrap_or(default);
        let in_key = |message: String| vec![UplinkError { key: "url", message: format!("`key` {message}") }];
        let key = Template::parse(written, &spec.gateway, Rules::Key)
            .map_err(|error| in_key(format!("cannot be used: {}", error.message)))?;
        if shape == Shape::Batches && key.has_tag() {
            return Err(in_key(format!("names a tag, and a batch holds many; write {KEY_OF_BATCHES}")));
        }
        if shape == Shape::Batches && topic.has_tag() {
            let message = "names a tag, and a batch holds many; write {device}, or set `records: readings`".into();
            return Err(vec![UplinkError { key: "topic", message }]);
        }
        Ok(Keyed {
            gateway: (&*spec.gateway).into(),
            gap_topic: topic.render(DEVICE_UNKNOWN, DEVICE_UNKNOWN).into(),
            topic,
            key,
            shape,
            content,
            registration,
            devices: Devices::default(),
            places: Places::default(),
            block: None,
            out: Vec::new(),
            items: Vec::new(),
            memory: BytesMut::new(),
        })
    }

    fn reading(&mut self, block: &mut Block) -> Option<Message> {
        let (_, index) = *block.order.get(block.done)?;
        let reading = block.records.readings.get(index as usize)?;
        let place = self.place(reading.tag);
        let name = TagName::find(block.records.schema.as_deref(), reading.tag);
        self.begin();
        let of = name.of(&self.gateway, &block.records, index as usize);
        self.content.reading(reading, &of, &mut self.out);
        let seqs = SeqRange { first: of.seq, last: of.seq };
        let time = Some(reading.timestamp);
        block.done += 1;
        Some(self.message(Kind::Reading, block.token(), place, time, block.records.epoch, seqs))
    }

    fn batch(&mut self, block: &mut Block) -> Option<Message> {
        let (device, first) = *block.order.get(block.done)?;
        let place = self.place(block.records.readings.get(first as usize)?.tag);
        let schema = self.places.schema.clone();
        self.items.clear();
        let (mut count, mut time, mut last) = (0, None, first);
        for (_, index) in block.order[block.done..].iter().take_while(|(of, _)| *of == device) {
            if self.items.len() >= BATCH_BYTES_MAX {
                break;
            }
            let Some(reading) = block.records.readings.get(*index as usize) else { break };
            let name = TagName::find(schema.as_deref(), reading.tag);
            let of = name.of(&self.gateway, &block.records, *index as usize);
            self.content.item(reading, &of, &mut self.items);
            time = time.max(Some(reading.timestamp));
            last = *index;
            count += 1;
        }
        let name = TagName::find(schema.as_deref(), block.records.readings.get(first as usize)?.tag);
        self.begin();
        let of = name.of(&self.gateway, &block.records, first as usize);
        self.content.batch(&of, count, &self.items, &mut self.out);
        let seqs = SeqRange { first: of.seq, last: block.records.seq(last as usize) };
        block.done += count;
        let message = self.message(Kind::Batch, block.token(), place, time, block.records.epoch, seqs);
        Some(Message { readings: count as u32, ..message })
    }

    /// Empties `out` and writes what stands before each payload that a registry knows the schema of.
    fn begin(&mut self) {
        self.out.clear();
        if let Some(registration) = &self.registration {
            registration.write_head(&mut self.out);
        }
    }

    fn message(
        &mut self,
        kind: Kind,
        token: Token,
        place: Place,
        time: Option<Timestamp>,
        epoch: u32,
        seqs: SeqRange,
    ) -> Message {
        if self.memory.capacity() < self.out.len() {
            self.memory = BytesMut::with_capacity(PIECE_BYTES.max(self.out.len()));
        }
        self.memory.extend_from_slice(&self.out);
        let payload = self.memory.split().freeze();
        let (Place { topic, key }, content_type) = (place, self.content.content_type(kind).into());
        let readings = u32::from(kind != Kind::Gap);
        Message { token, topic, key: Some(key), payload, time, content_type, epoch, seqs, readings }
    }

    fn place(&mut self, tag: TagId) -> Place {
        if let Some(Some(place)) = self.places.of_tags.get(tag.index()) {
            return place.clone();
        }
        let name = TagName::find(self.places.schema.as_deref(), tag);
        let (device, tag_name) = (name.device(), name.tag());
        let place = Place {
            topic: self.topic.render(device, tag_name).into(),
            key: self.key.render(device, tag_name).into_bytes().into(),
        };
        if let Some(known) = self.places.of_tags.get_mut(tag.index()) {
            *known = Some(place.clone());
        }
        place
    }
}

impl Format for Keyed {
    fn begin(&mut self, records: Records) {
        let is_known = match (&self.places.schema, &records.schema) {
            (Some(known), Some(schema)) => Arc::ptr_eq(known, schema),
            (known, schema) => known.is_none() && schema.is_none(),
        };
        if !is_known {
            let tags = records.schema.as_ref().map_or(0, |schema| schema.tags());
            self.places = Places { schema: records.schema.clone(), of_tags: vec![None; tags] };
        }
        if let (Lane::Live, Some(schema)) = (records.lane, &records.schema) {
            self.devices.look(&records.readings, schema);
        }
        let order = order(self.shape, &records);
        self.block = Some(Block { records, order, done: 0, parts: 0 });
    }

    fn next(&mut self) -> Option<Message> {
        let mut block = self.block.take()?;
        let message = match self.shape {
            Shape::Readings => self.reading(&mut block),
            Shape::Batches => self.batch(&mut block),
        }?;
        self.block = Some(block);
        Some(message)
    }

    fn gap(&mut self, missing: &Missing) -> Message {
        let gap = &missing.gap;
        Keyed::begin(self);
        self.content.gap(&self.gateway, missing, self.shape, &mut self.out);
        let place = Place { topic: self.gap_topic.clone(), key: Bytes::copy_from_slice(self.gateway.as_bytes()) };
        let token = Token { lane: missing.lane, seq: gap.seqs.first, part: 0 };
        let time = gap.time_ns.map(|(_, newest)| Timestamp(newest));
        self.message(Kind::Gap, token, place, time, missing.epoch, gap.seqs)
    }

    fn another(&self) -> Box<dyn Format> {
        Box::new(Keyed {
            gateway: self.gateway.clone(),
            topic: self.topic.clone(),
            gap_topic: self.gap_topic.clone(),
            key: self.key.clone(),
            shape: self.shape,
            content: self.content.another(),
            registration: self.registration.clone(),
            devices: self.devices.clone(),
            places: Places::default(),
            block: None,
            out: Vec::new(),
            items: Vec::new(),
            memory: BytesMut::new(),
        })
    }

    fn registration(&self) -> Option<&Registration> {
        self.registration.as_ref()
    }

    fn devices(&self) -> Option<&Devices> {
        Some(&self.devices)
    }
}

impl Block {
    fn token(&mut self) -> Token {
        let token = Token { lane: self.records.lane, seq: self.records.first, part: self.parts };
        self.parts += 1;
        token
    }
}

/// Readings go in the order of their seqs; those of batches by device first.
fn order(shape: Shape, records: &Records) -> Vec<(u32, u32)> {
    let schema = records.schema.as_deref();
    let device = |reading: &Reading| match shape {
        Shape::Readings => 0,
        Shape::Batches => {
            schema.and_then(|schema| schema.tag(reading.tag)).map_or(u32::MAX, |names| names.device_index as u32)
        }
    };
    let mut order: Vec<(u32, u32)> = records.readings.iter().map(device).zip(0..).collect();
    if !order.is_sorted() {
        order.sort_unstable();
    }
    order
}

/// The names of a tag, also of one whose names are lost: its number stands for them.
enum TagName<'a> {
    Known(crate::pipeline::schema::TagNames<'a>),
    Lost(String),
}

impl TagName<'_> {
    fn find(schema: Option<&Schema>, tag: TagId) -> TagName<'_> {
        match schema.and_then(|schema| schema.tag(tag)) {
            Some(names) => TagName::Known(names),
            None => TagName::Lost(tag_unknown(tag)),
        }
    }

    fn device(&self) -> &str {
        match self {
            TagName::Known(names) => names.device,
            TagName::Lost(_) => DEVICE_UNKNOWN,
        }
    }

    fn tag(&self) -> &str {
        match self {
            TagName::Known(names) => names.tag,
            TagName::Lost(tag) => tag,
        }
    }

    fn of<'b>(&'b self, gateway: &'b str, records: &Records, index: usize) -> Of<'b> {
        let unit = match self {
            TagName::Known(names) => names.unit,
            TagName::Lost(_) => "",
        };
        let (epoch, seq, lane) = (records.epoch, records.seq(index), records.lane);
        Of { gateway, device: self.device(), tag: self.tag(), unit, epoch, seq, lane }
    }
}

#[cfg(test)]
pub(in crate::uplink::format) mod tests;
