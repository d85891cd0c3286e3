//! Record batches of format 2, as they stand in requests, on the broker's disk and in answers: pure.
//!
//! ```text
//! base offset i64 | length i32 | leader epoch i32 | magic 2 | crc-32c u32 | attributes i16 | last offset delta i32
//! | first time i64 | largest time i64 | producer id i64 | epoch i16 | first sequence i32 | count i32 | records
//! record: length | attributes 0 | time delta | offset delta | key | value | headers        (varints, compressed together)
//! ```
//!
//! The checksum covers everything from the attributes on.

mod compress;
mod headers;
mod read;

use bytes::Bytes;

pub use self::compress::{Compression, Packer};
pub use self::headers::Headers;
pub use self::read::{Batch, Kind, Record, Unreadable, committed, read};

use super::wire::writer::{Writer, size_of_varint};

/// Bytes from the start of a batch to its records.
pub const HEAD_BYTES: usize = 61;
/// Where the length is counted from.
const LENGTH_FROM: usize = 12;
const CRC_AT: usize = 17;
const ATTRIBUTES_AT: usize = 21;
const MAGIC: i8 = 2;

/// Who produces: a batch of these bytes is taken once by a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The producer id.
    pub producer: i64,
    /// Its epoch.
    pub epoch: i16,
    /// The sequence of the first record.
    pub sequence: i32,
}

/// A batch without a producer, as of one who does not care for duplicates.
pub const NO_STAMP: Stamp = Stamp { producer: -1, epoch: -1, sequence: -1 };

/// One record as it is to be written.
#[derive(Debug, Clone, Copy)]
pub struct NewRecord<'a> {
    /// Milliseconds since 1970 UTC.
    pub time_ms: i64,
    /// What decides on the partition.
    pub key: Option<&'a [u8]>,
    /// What it says; `None` is a tombstone where the topic is compacted.
    pub value: Option<&'a [u8]>,
    /// Names and values beside it.
    pub headers: &'a Headers,
}

/// Gathers records into batches.
#[derive(Debug, Default)]
pub struct Builder {
    /// Room for the head, and the records behind it.
    batch: Vec<u8>,
    count: i32,
    first_time_ms: i64,
    largest_time_ms: i64,
    /// What the last batch had, bytes: the next is mostly about as large.
    last_bytes: usize,
    packer: Packer,
}

impl Builder {
    /// Bytes of records so far, not compressed.
    pub fn len(&self) -> usize {
        self.batch.len().saturating_sub(HEAD_BYTES)
    }

    /// How many records there are.
    pub fn count(&self) -> usize {
        self.count as usize
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The largest time of any record, milliseconds since 1970 UTC.
    pub fn largest_time_ms(&self) -> i64 {
        self.largest_time_ms
    }

    /// Adds a record.
    pub fn push(&mut self, record: &NewRecord<'_>) {
        if self.count == 0 {
            (self.first_time_ms, self.largest_time_ms) = (record.time_ms, record.time_ms);
            self.batch.reserve(self.last_bytes);
            self.batch.resize(HEAD_BYTES, 0);
        }
        self.largest_time_ms = self.largest_time_ms.max(record.time_ms);
        let (time, place) = (record.time_ms - self.first_time_ms, i64::from(self.count));
        let mut out = Writer::new(&mut self.batch);
        out.varint(size_of_record(record, time, place) as i64);
        out.i8(0);
        out.varint(time);
        out.varint(place);
        nullable(record.key, &mut out);
        nullable(record.value, &mut out);
        record.headers.write(&mut out);
        self.count += 1;
    }

    /// Ends the batch, which has at least one record, and begins another.
    ///
    /// # Errors
    /// The compressor fails, which it does only without memory.
    pub fn finish(&mut self, stamp: Stamp, compression: Compression) -> std::io::Result<Bytes> {
        let (mut batch, count) = (std::mem::take(&mut self.batch), std::mem::take(&mut self.count));
        self.last_bytes = batch.len();
        if compression != Compression::None {
            let mut packed = vec![0; HEAD_BYTES];
            self.packer.pack(compression, &batch[HEAD_BYTES..], &mut packed)?;
            // Its memory is used again.
            batch.clear();
            self.batch = std::mem::replace(&mut batch, packed);
        }
        let mut head = Vec::with_capacity(HEAD_BYTES);
        let mut out = Writer::new(&mut head);
        out.i64(0);
        out.i32((batch.len() - LENGTH_FROM) as i32);
        out.i32(-1);
        out.i8(MAGIC);
        out.i32(0);
        out.i16(compression.attributes());
        out.i32(count - 1);
        out.i64(self.first_time_ms);
        out.i64(self.largest_time_ms);
        out.i64(stamp.producer);
        out.i16(stamp.epoch);
        out.i32(stamp.sequence);
        out.i32(count);
        batch[..HEAD_BYTES].copy_from_slice(&head);
        let crc = crc32c::crc32c(&batch[ATTRIBUTES_AT..]);
        batch[CRC_AT..ATTRIBUTES_AT].copy_from_slice(&crc.to_be_bytes());
        Ok(batch.into())
    }
}

/// What stands behind a record's length, bytes.
fn size_of_record(record: &NewRecord<'_>, time: i64, place: i64) -> usize {
    let or_null = |bytes: Option<&[u8]>| bytes.map_or(1, |bytes| size_of_varint(bytes.len() as i64) + bytes.len());
    let attributes = 1;
    let deltas = size_of_varint(time) + size_of_varint(place);
    attributes + deltas + or_null(record.key) + or_null(record.value) + record.headers.size_bytes()
}

fn nullable(bytes: Option<&[u8]>, out: &mut Writer<'_>) {
    match bytes {
        Some(bytes) => sized(bytes, out),
        None => out.varint(-1),
    }
}

fn sized(bytes: &[u8], out: &mut Writer<'_>) {
    out.varint(bytes.len() as i64);
    out.raw(bytes);
}

#[cfg(test)]
mod tests;
