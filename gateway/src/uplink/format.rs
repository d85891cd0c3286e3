//! From stored blocks to messages: the list of formats in this build, and what a format has to be able to do.
//!
//! A [`FormatKind`] is one static value that checks what was configured, without I/O; a [`Format`] is the live one of one
//! uplink. The operator chooses it with the key `format`; [`choose`] is how an uplink comes by it.

pub mod avro;
pub(in crate::uplink) mod batches;
pub mod compressed;
pub mod json;
pub mod json_compact;
pub mod json_schema;
pub mod keyed;
pub mod line_protocol;
pub mod protobuf;
pub mod template;
#[cfg(test)]
pub(crate) mod testkit;

use std::sync::Arc;

use buffer::{Gap, Seq};
use driver_core::Reading;

use super::kafka::status::Devices;
use super::sparkplug;
use super::topic::{Rules, Template};
use super::{Lane, Message, UplinkError, UplinkInfo, UplinkSpec};
use crate::pipeline::schema::Schema;

/// All formats of this build. A new one is a folder and a line here.
pub const FORMATS: &[&dyn FormatKind] = &[
    &json::JsonKind,
    &json_compact::JsonCompactKind,
    &avro::AvroKind,
    &protobuf::ProtobufKind,
    &json_schema::JsonSchemaKind,
    &line_protocol::LineProtocolKind,
    &template::TemplateKind,
    &template::RawKind,
    &sparkplug::SparkplugKind,
];

/// The format of an uplink that names none.
pub const FORMAT_DEFAULT: &str = "json";

/// A way to write readings: one static value that checks, and does no I/O.
pub trait FormatKind: Send + Sync + 'static {
    /// What it is called and where it may be used.
    fn info(&self) -> &'static FormatInfo;

    /// The format for one uplink, with its topics made from `topic`; every wrong part of what was configured is reported.
    fn open(&self, spec: &UplinkSpec, topic: Template, rules: Rules) -> Result<Box<dyn Format>, Vec<UplinkError>>;
}

/// What a format is called and where it may be used.
#[derive(Debug)]
pub struct FormatInfo {
    /// The word behind `format`, such as `json`.
    pub name: &'static str,
    /// What it is, in one line.
    pub help: &'static str,
    /// The names of the uplinks that can carry it.
    pub uplinks: &'static [&'static str],
    /// Whether it has to know what it will be given.
    pub types: Types,
}

/// Whether a format has to know the types of all tags before their first readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Types {
    /// It takes what comes.
    AsTheyCome,
    /// It announces them: see [`super::Site::types`].
    Announced,
}

/// Whether the format of that name announces the types of all tags.
pub fn announces_types(name: Option<&str>) -> bool {
    let name = name.unwrap_or(FORMAT_DEFAULT);
    FORMATS.iter().any(|kind| kind.info().name == name && kind.info().types == Types::Announced)
}

/// The kind of format that `spec` asks for, where the uplink `by` can carry it.
///
/// # Errors
/// There is none of that name for this uplink.
pub fn choose(by: &UplinkInfo, spec: &UplinkSpec) -> Result<&'static dyn FormatKind, UplinkError> {
    let name = spec.format.as_deref().unwrap_or(FORMAT_DEFAULT);
    let carried = |kind: &&dyn FormatKind| kind.info().uplinks.contains(&by.name);
    let found = FORMATS.iter().copied().filter(carried).find(|kind| kind.info().name == name);
    if found.is_some() && spec.payload.is_some() && name != template::NAME {
        let message = format!("stands without `format: {}`, which it is for", template::NAME);
        return Err(UplinkError { key: "payload", message });
    }
    found.ok_or_else(|| {
        let names: Vec<&str> = FORMATS.iter().copied().filter(carried).map(|kind| kind.info().name).collect();
        let message = format!("`{name}` cannot be sent by an uplink of {}; write one of {}", by.name, names.join(", "));
        UplinkError { key: "format", message }
    })
}

/// Makes messages of blocks. One format serves one uplink, and the same block always gives the same messages.
pub trait Format: Send {
    /// Begins a block; what was left of the one before is dropped.
    fn begin(&mut self, records: Records);

    /// The next message of the block; `None` at its end. At most one block's readings are held.
    fn next(&mut self) -> Option<Message>;

    /// The message that tells of records that will never come.
    fn gap(&mut self, gap: &Missing) -> Message;

    /// Another one for the same uplink with no block begun, for another lane; what an uplink numbers or announces once is
    /// shared between them.
    fn another(&self) -> Box<dyn Format>;

    /// What a registry has to know before a message may leave; `None` where there is nothing of the kind.
    fn registration(&self) -> Option<&keyed::Registration> {
        None
    }

    /// What the readings that went by say of the devices; `None` where nobody looks.
    fn devices(&self) -> Option<&Devices> {
        None
    }
}

/// What a block holds, or a part of it, with what its tag ids mean.
#[derive(Debug, Clone, Default)]
pub struct Records {
    /// The lane in which they go; payloads say so when it is not the live one.
    pub lane: Lane,
    /// The epoch in which they were stored.
    pub epoch: u32,
    /// The first seq of the block, from which its messages have their tokens.
    pub first: Seq,
    /// The readings, in the order of their seqs.
    pub readings: Vec<Reading>,
    /// How far each reading's seq lies above `first`, where some of the block's are not here; `None`: they follow without
    /// holes.
    pub offsets: Option<Box<[u32]>>,
    /// The names of the tags; `None` when they are lost, and the readings are published with numbers for names.
    pub schema: Option<Arc<Schema>>,
}

impl Records {
    /// The seq of the reading at `index`.
    pub fn seq(&self, index: usize) -> Seq {
        let offset = self.offsets.as_ref().and_then(|offsets| offsets.get(index).copied());
        self.first + offset.map_or(index as Seq, Seq::from)
    }
}

/// Records that will never come, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The lane in which the notice goes.
    pub lane: Lane,
    /// What is known of them.
    pub gap: Gap,
    /// The word for the reason; the gap's own, or `undecodable`, or `quarantined`.
    pub reason: &'static str,
    /// The epoch of the block, or 0 when the gap spans more than can be told.
    pub epoch: u32,
}

#[cfg(test)]
mod tests;
