//! DescribeProducers (61), version 0: what a partition remembers of its producers. Needs the right to read the topic.

use super::{Encoding, Malformed, Reader, Request, Writer};

/// Asks one broker about partitions that it leads.
#[derive(Debug)]
pub struct DescribeProducers<'a> {
    /// Topics and partitions.
    pub parts: Vec<(&'a str, i32)>,
}

/// The producers of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionProducers {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// What is wrong, or 0.
    pub error: i16,
    /// All that are remembered.
    pub producers: Vec<ProducerState>,
}

/// What is remembered of one producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerState {
    /// Its id.
    pub id: i64,
    /// Its epoch.
    pub epoch: i32,
    /// The sequence of its last record.
    pub last_sequence: i32,
    /// The largest time in its last batch, milliseconds since 1970 UTC.
    pub last_time_ms: i64,
}

impl Request for DescribeProducers<'_> {
    const KEY: i16 = 61;
    const VERSION: i16 = 0;
    const ENCODING: Encoding = Encoding::Flexible;
    type Answer = Vec<PartitionProducers>;

    fn write(&self, out: &mut Writer) {
        out.compact_array(self.parts.len());
        for (topic, partition) in &self.parts {
            out.compact_string(topic);
            out.compact_array(1);
            out.i32(*partition);
            out.no_tags();
        }
        out.no_tags();
    }

    fn read(answer: &mut Reader) -> Result<Vec<PartitionProducers>, Malformed> {
        answer.i32()?;
        let topics = answer.compact_array(|topic| {
            let name = topic.compact_string()?.unwrap_or_default();
            let partitions = topic.compact_array(|part| partition(&name, part))?;
            topic.tags()?;
            Ok(partitions)
        })?;
        Ok(topics.into_iter().flatten().collect())
    }
}

fn partition(topic: &str, part: &mut Reader) -> Result<PartitionProducers, Malformed> {
    let (partition, error) = (part.i32()?, part.i16()?);
    part.compact_string()?;
    let producers = part.compact_array(|state| {
        let (id, epoch, last_sequence, last_time_ms) = (state.i64()?, state.i32()?, state.i32()?, state.i64()?);
        state.i32()?;
        state.i64()?;
        state.tags()?;
        Ok(ProducerState { id, epoch, last_sequence, last_time_ms })
    })?;
    part.tags()?;
    Ok(PartitionProducers { topic: topic.into(), partition, error, producers })
}
