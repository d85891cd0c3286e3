//! Fetch (1), version 10: records of partitions that one broker leads, without a session.

use bytes::Bytes;

use super::{Encoding, Malformed, Reader, Request, Writer};

/// Asks one broker for records.
#[derive(Debug)]
pub struct Fetch<'a> {
    /// How long the broker may wait for records, milliseconds.
    pub wait_ms: i32,
    /// The most that is wanted, bytes; the first batch comes whole even if it is larger.
    pub bytes_max: i32,
    /// What of transactions is wanted.
    pub level: Isolation,
    /// From where in which partitions.
    pub parts: Vec<FetchPart<'a>>,
}

/// What of transactions is given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Everything.
    Uncommitted,
    /// Nothing behind a transaction that is open, and with it which transactions were aborted.
    Committed,
}

/// A transaction that was aborted: what its producer wrote from an offset on, up to the next mark of its end, never was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aborted {
    /// The producer id.
    pub producer: i64,
    /// The offset of its first record.
    pub first: i64,
}

/// From where in one partition.
#[derive(Debug, Clone, Copy)]
pub struct FetchPart<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
    /// The first offset that is wanted; the batch that holds it comes whole.
    pub offset: i64,
}

/// What one partition gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fetched {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// What is wrong, or 0.
    pub error: i16,
    /// The offset behind the last record that all replicas have.
    pub high_watermark: i64,
    /// The first offset that is kept.
    pub start: i64,
    /// Transactions that were aborted, where that was asked for.
    pub aborted: Vec<Aborted>,
    /// Record batches, the last perhaps cut short.
    pub batches: Bytes,
}

impl Request for Fetch<'_> {
    const KEY: i16 = 1;
    const VERSION: i16 = 10;
    const ENCODING: Encoding = Encoding::Plain;
    type Answer = (i16, Vec<Fetched>);

    fn write(&self, out: &mut Writer) {
        out.i32(-1);
        out.i32(self.wait_ms);
        out.i32(1);
        out.i32(self.bytes_max);
        out.i8(match self.level {
            Isolation::Uncommitted => 0,
            Isolation::Committed => 1,
        });
        // No session: everything is named in each request.
        out.i32(0);
        out.i32(-1);
        out.array(self.parts.len());
        for part in &self.parts {
            out.string(part.topic);
            out.array(1);
            out.i32(part.partition);
            out.i32(-1);
            out.i64(part.offset);
            out.i64(-1);
            out.i32(self.bytes_max);
        }
        out.array(0);
    }

    fn read(answer: &mut Reader) -> Result<(i16, Vec<Fetched>), Malformed> {
        answer.i32()?;
        let error = answer.i16()?;
        answer.i32()?;
        let topics = answer.array(|topic| {
            let name = topic.string()?.unwrap_or_default();
            topic.array(|part| fetched(&name, part))
        })?;
        Ok((error, topics.into_iter().flatten().collect()))
    }
}

fn fetched(topic: &str, part: &mut Reader) -> Result<Fetched, Malformed> {
    let (partition, error, high_watermark) = (part.i32()?, part.i16()?, part.i64()?);
    part.i64()?;
    let start = part.i64()?;
    let aborted = part.array(|aborted| Ok(Aborted { producer: aborted.i64()?, first: aborted.i64()? }))?;
    let batches = part.bytes()?.unwrap_or_default();
    Ok(Fetched { topic: topic.into(), partition, error, high_watermark, start, aborted, batches })
}
