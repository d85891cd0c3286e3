//! Produce (0), version 8: batches for partitions that one broker leads.

use bytes::Bytes;

use super::{Encoding, Malformed, Reader, Request, Writer};

/// Waits for all replicas that are in sync.
const ACKS_ALL: i16 = -1;

/// Batches for several partitions, acknowledged by all replicas in sync.
#[derive(Debug)]
pub struct Produce<'a> {
    /// How long the broker may wait for replicas, milliseconds.
    pub timeout_ms: i32,
    /// One batch a partition; those of one topic stand together.
    pub parts: Vec<ProducePart<'a>>,
}

/// One batch.
#[derive(Debug)]
pub struct ProducePart<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
    /// A record batch of format 2.
    pub batch: &'a Bytes,
}

/// What became of the batches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProduceAnswer {
    /// What became of each.
    pub parts: Vec<Produced>,
    /// How long the broker asks to wait, milliseconds.
    pub throttle_ms: i32,
}

/// What became of one batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Produced {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// What is wrong, or 0.
    pub error: i16,
    /// Where its first record stands; -1 where that is not known.
    pub offset: i64,
    /// The places of single records that are to blame.
    pub records: Vec<i32>,
    /// What the broker says about it.
    pub message: Option<String>,
}

impl Request for Produce<'_> {
    const KEY: i16 = 0;
    const VERSION: i16 = 8;
    const ENCODING: Encoding = Encoding::Plain;
    type Answer = ProduceAnswer;

    fn write(&self, out: &mut Writer) {
        out.null_string();
        out.i16(ACKS_ALL);
        out.i32(self.timeout_ms);
        let topics: Vec<&[ProducePart<'_>]> = self.parts.chunk_by(|one, two| one.topic == two.topic).collect();
        out.array(topics.len());
        for parts in topics {
            out.string(parts.first().map_or("", |part| part.topic));
            out.array(parts.len());
            for part in parts {
                out.i32(part.partition);
                out.shared_bytes(part.batch);
            }
        }
    }

    fn read(answer: &mut Reader) -> Result<ProduceAnswer, Malformed> {
        let topics = answer.array(|topic| {
            let name = topic.string()?.unwrap_or_default();
            topic.array(|part| produced(&name, part))
        })?;
        Ok(ProduceAnswer { parts: topics.into_iter().flatten().collect(), throttle_ms: answer.i32()? })
    }
}

fn produced(topic: &str, part: &mut Reader) -> Result<Produced, Malformed> {
    let partition = part.i32()?;
    let error = part.i16()?;
    let offset = part.i64()?;
    part.i64()?;
    part.i64()?;
    let records = part.array(|record| {
        let index = record.i32()?;
        record.string()?;
        Ok(index)
    })?;
    let message = part.string()?;
    Ok(Produced { topic: topic.into(), partition, error, offset, records, message })
}
