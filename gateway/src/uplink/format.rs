//! From stored blocks to messages: the formats.

pub mod json;

use std::sync::Arc;

use buffer::{Gap, Seq};
use driver_core::Reading;

use super::{Lane, Message};
use crate::pipeline::schema::Schema;

/// Makes messages of blocks. One format serves one uplink, and the same block always gives the same messages.
pub trait Format: Send {
    /// Begins a block; what was left of the one before is dropped.
    fn begin(&mut self, records: Records);

    /// The next message of the block; `None` at its end. At most one block's readings are held.
    fn next(&mut self) -> Option<Message>;

    /// The message that tells of records that will never come.
    fn gap(&mut self, gap: &Missing) -> Message;
}

/// What a block holds, with what its tag ids mean.
#[derive(Debug, Clone)]
pub struct Records {
    /// The lane in which they go; payloads say so when it is not the live one.
    pub lane: Lane,
    /// The epoch in which they were stored.
    pub epoch: u32,
    /// The seq of the first; the others follow without holes.
    pub first: Seq,
    /// The readings, in the order of their seqs.
    pub readings: Vec<Reading>,
    /// The names of the tags; `None` when they are lost, and the readings are published with numbers for names.
    pub schema: Option<Arc<Schema>>,
}

/// Records that will never come, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The lane in which the notice goes.
    pub lane: Lane,
    /// What is known of them.
    pub gap: Gap,
    /// The word for the reason; the gap's own, or `undecodable`.
    pub reason: &'static str,
    /// The epoch of the block, or 0 when the gap spans more than can be told.
    pub epoch: u32,
}
