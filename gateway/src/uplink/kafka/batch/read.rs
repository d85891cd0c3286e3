//! Record batches as a broker gives them.

use std::collections::BTreeSet;

use bytes::{Buf, Bytes};

use super::{ATTRIBUTES_AT, CRC_AT, Compression, HEAD_BYTES, LENGTH_FROM, MAGIC, Stamp};
use crate::uplink::kafka::wire::{Aborted, Malformed, Reader};

/// A batch marked so holds no records for readers, but notes of the broker's own.
const CONTROL: i16 = 1 << 5;
/// A batch that belongs to a transaction.
const TRANSACTIONAL: i16 = 1 << 4;
/// The type of a control record that ends a transaction as if it never was.
const ABORT: i16 = 0;
/// The broker's time of appending stands in place of the records'.
const LOG_APPEND_TIME: i16 = 1 << 3;

/// A batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The offset of its first record.
    pub offset: i64,
    /// The offset behind its last one, whether that still stands in it or not.
    pub next_offset: i64,
    /// Who produced it.
    pub stamp: Stamp,
    /// What it is beside a carrier of records.
    pub kind: Kind,
    /// Its records that are left; none of a batch that is the broker's own.
    pub records: Vec<Record>,
}

/// What a batch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Records of their own.
    Plain,
    /// Records of a transaction, which may have been aborted.
    Transactional,
    /// The mark that a producer's transaction was aborted.
    Abort,
    /// Another note of the broker's own.
    Control,
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its place in the partition.
    pub offset: i64,
    /// Milliseconds since 1970 UTC.
    pub time_ms: i64,
    /// What decided on the partition.
    pub key: Option<Bytes>,
    /// What it says.
    pub value: Option<Bytes>,
    /// Names and values beside it.
    pub headers: Vec<(String, Bytes)>,
}

impl Record {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| &value[..])
    }
}

/// A batch that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// Its structure is wrong.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// It is of a format that ended with Kafka 0.10.
    #[error("the batch is of format {0}; only format 2 is read")]
    Magic(i8),
    /// It is not what was written.
    #[error("the checksum of a batch is wrong")]
    Checksum,
    /// It does not unpack.
    #[error("a batch cannot be unpacked: {0}")]
    Compression(#[from] std::io::Error),
}

/// The batches in some bytes. The last one, when it is cut short, is left for the next fetch.
///
/// # Errors
/// A whole batch cannot be read.
pub fn read(mut bytes: Bytes) -> Result<Vec<Batch>, Unreadable> {
    let mut batches = Vec::new();
    while let Some(head) = bytes.first_chunk::<LENGTH_FROM>() {
        let length = i32::from_be_bytes([head[8], head[9], head[10], head[11]]);
        let length = usize::try_from(length).map_err(|_| Malformed { what: "a batch's length" })?;
        if length + LENGTH_FROM < HEAD_BYTES {
            return Err(Malformed { what: "a batch's length" }.into());
        }
        if bytes.len() < LENGTH_FROM + length {
            break;
        }
        batches.push(batch(bytes.split_to(LENGTH_FROM + length))?);
    }
    Ok(batches)
}

fn batch(bytes: Bytes) -> Result<Batch, Unreadable> {
    let mut head = Reader::new(bytes.clone());
    let offset = head.i64()?;
    head.i32()?;
    head.i32()?;
    let magic = head.i8()?;
    if magic != MAGIC {
        return Err(Unreadable::Magic(magic));
    }
    let crc = head.u32()?;
    if crc != crc32c::crc32c(&bytes[ATTRIBUTES_AT..]) {
        return Err(Unreadable::Checksum);
    }
    debug_assert_eq!(CRC_AT + size_of::<u32>(), ATTRIBUTES_AT);
    let attributes = head.i16()?;
    let last_delta = head.i32()?;
    let (first_time, largest_time) = (head.i64()?, head.i64()?);
    let stamp = Stamp { producer: head.i64()?, epoch: head.i16()?, sequence: head.i32()? };
    let count = head.i32()?;
    let compression = Compression::of_attributes(attributes).ok_or(Malformed { what: "a batch's compression" })?;
    let next_offset = offset.saturating_add(i64::from(last_delta)).saturating_add(1);
    let kind = if attributes & TRANSACTIONAL == 0 { Kind::Plain } else { Kind::Transactional };
    let mut batch = Batch { offset, next_offset, stamp, kind, records: Vec::new() };
    let mut rest = Reader::new(unpacked(head.rest(), compression)?);
    if attributes & CONTROL != 0 {
        let key = if count > 0 { record(&mut rest)?.1.key } else { None };
        batch.kind = if key.is_some_and(is_abort) { Kind::Abort } else { Kind::Control };
        return Ok(batch);
    }
    for _ in 0..count {
        let (time_delta, mut record) = record(&mut rest)?;
        record.offset = offset.saturating_add(record.offset);
        record.time_ms = match attributes & LOG_APPEND_TIME {
            0 => first_time.saturating_add(time_delta),
            _ => largest_time,
        };
        batch.records.push(record);
    }
    Ok(batch)
}

/// The key of a control record is its version and its type, each in two bytes.
fn is_abort(key: Bytes) -> bool {
    key.get(2..4) == Some(&ABORT.to_be_bytes()[..])
}

/// Takes the records out of batches that belong to aborted transactions, as every consumer that reads what is committed
/// does. `aborted` is what came with them.
pub fn committed(batches: &mut [Batch], aborted: &[Aborted]) {
    let mut to_come: Vec<Aborted> = aborted.to_vec();
    to_come.sort_by_key(|transaction| std::cmp::Reverse(transaction.first));
    let mut open = BTreeSet::new();
    for batch in batches {
        while let Some(transaction) = to_come.pop_if(|transaction| transaction.first < batch.next_offset) {
            open.insert(transaction.producer);
        }
        match batch.kind {
            Kind::Abort => drop(open.remove(&batch.stamp.producer)),
            Kind::Transactional if open.contains(&batch.stamp.producer) => batch.records.clear(),
            Kind::Transactional | Kind::Plain | Kind::Control => {}
        }
    }
}

fn unpacked(records: Bytes, compression: Compression) -> Result<Bytes, Unreadable> {
    match compression {
        Compression::None => Ok(records),
        packed => Ok(packed.unpack(records.chunk())?.into()),
    }
}

/// A record with the deltas of its time and, as its offset, of its offset.
fn record(batch: &mut Reader) -> Result<(i64, Record), Malformed> {
    let length = usize::try_from(batch.varint()?).map_err(|_| Malformed { what: "a record's length" })?;
    let mut record = Reader::new(batch.take(length)?);
    record.i8()?;
    let time_delta = record.varlong()?;
    let offset = i64::from(record.varint()?);
    let (key, value) = (nullable(&mut record)?, nullable(&mut record)?);
    let mut headers = Vec::new();
    for _ in 0..record.varint()? {
        let name = nullable(&mut record)?.unwrap_or_default();
        headers.push((String::from_utf8_lossy(&name).into_owned(), nullable(&mut record)?.unwrap_or_default()));
    }
    Ok((time_delta, Record { offset, time_ms: 0, key, value, headers }))
}

fn nullable(record: &mut Reader) -> Result<Option<Bytes>, Malformed> {
    match record.varint()? {
        -1 => Ok(None),
        length => record.take(usize::try_from(length).map_err(|_| Malformed { what: "a length" })?).map(Some),
    }
}
