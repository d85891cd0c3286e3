//! Readings stored together: from what was polled to the blocks of one append.

use buffer::{BLOCK_PAYLOAD_BYTES_MAX, Meta, NewBlock};
use driver_core::Reading;

use super::encode::Encoder;

/// How many readings make a block: large enough that the columns pay, small enough to stay a few KiB.
pub const BLOCK_READINGS: usize = 2_048;

/// Blocks are appended together up to about this many bytes; the log takes 1 MiB at once.
const APPEND_BYTES: usize = 256 << 10;

/// The blocks of one append; keeps its memory from append to append.
#[derive(Default)]
pub struct Batch {
    payloads: Vec<u8>,
    metas: Vec<(Meta, usize)>,
}

impl Batch {
    /// Encodes readings, each slice as a block, as many as one append holds, and returns how many those are; 0 when the
    /// first alone is larger than a block may be.
    pub fn fill<'a>(
        &mut self,
        encoder: &mut Encoder,
        slices: impl Iterator<Item = &'a [Reading]>,
        schema: u32,
    ) -> usize {
        self.payloads.clear();
        self.metas.clear();
        let mut count = 0;
        for readings in slices {
            let fitted = self.encode(encoder, readings, schema);
            count += fitted;
            if fitted < readings.len() || self.payloads.len() >= APPEND_BYTES {
                break;
            }
        }
        count
    }

    /// The blocks, as the log takes them.
    pub fn blocks(&self) -> Vec<NewBlock<'_>> {
        let mut rest = self.payloads.as_slice();
        let block = |(meta, length): &(Meta, usize)| {
            let (payload, after) = rest.split_at(*length);
            rest = after;
            NewBlock { meta: *meta, payload }
        };
        self.metas.iter().map(block).collect()
    }

    /// Encodes readings as one block, or as halves where that is too large for one; returns how many fitted.
    fn encode(&mut self, encoder: &mut Encoder, readings: &[Reading], schema: u32) -> usize {
        let start = self.payloads.len();
        let codec = encoder.encode(readings, &mut self.payloads);
        let length = self.payloads.len() - start;
        if length <= BLOCK_PAYLOAD_BYTES_MAX {
            let mut span = Lost::default();
            span.add(readings);
            let (t_min_ns, t_max_ns) = span.time_ns.unwrap_or_default();
            let meta = Meta { count: readings.len() as u32, t_min_ns, t_max_ns, codec, flags: 0, schema };
            self.metas.push((meta, length));
            return readings.len();
        }
        self.payloads.truncate(start);
        let (left, right) = readings.split_at(readings.len() / 2);
        if left.is_empty() {
            return 0;
        }
        let fitted = self.encode(encoder, left, schema);
        if fitted < left.len() { fitted } else { fitted + self.encode(encoder, right, schema) }
    }
}

/// Readings that cannot be stored, and will be declared as a gap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lost {
    /// How many.
    pub count: u64,
    /// Oldest and newest time among them, nanoseconds since 1970 UTC.
    pub time_ns: Option<(i64, i64)>,
}

impl Lost {
    /// Adds what was lost elsewhere.
    pub(super) fn merge(&mut self, other: Lost) {
        self.count += other.count;
        self.time_ns = match (self.time_ns, other.time_ns) {
            (Some((oldest, newest)), Some((older, newer))) => Some((oldest.min(older), newest.max(newer))),
            (known, other) => known.or(other),
        };
    }

    /// Adds readings that are given up.
    pub(super) fn add(&mut self, readings: &[Reading]) {
        self.count += readings.len() as u64;
        for reading in readings {
            let at = reading.timestamp.0;
            let (oldest, newest) = self.time_ns.unwrap_or((at, at));
            self.time_ns = Some((oldest.min(at), newest.max(at)));
        }
    }
}
