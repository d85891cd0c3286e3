//! ListOffsets (2), version 2: where a partition begins and ends.

use super::{Encoding, Malformed, Reader, Request, Writer};

/// Asks one broker for offsets in partitions that it leads.
#[derive(Debug)]
pub struct ListOffsets<'a> {
    /// Topic, partition, and which offset of it.
    pub parts: Vec<(&'a str, i32, OffsetAt)>,
}

/// Which offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetAt {
    /// Of the first record that is kept.
    Start,
    /// Behind the last record.
    End,
    /// Of the first record at or after a time, milliseconds since 1970 UTC; -1 where there is none.
    Time(i64),
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundOffset {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// What is wrong, or 0.
    pub error: i16,
    /// The offset.
    pub offset: i64,
}

impl Request for ListOffsets<'_> {
    const KEY: i16 = 2;
    const VERSION: i16 = 2;
    const ENCODING: Encoding = Encoding::Plain;
    type Answer = Vec<FoundOffset>;

    fn write(&self, out: &mut Writer) {
        out.i32(-1);
        out.i8(0);
        out.array(self.parts.len());
        for (topic, partition, at) in &self.parts {
            out.string(topic);
            out.array(1);
            out.i32(*partition);
            out.i64(match at {
                OffsetAt::End => -1,
                OffsetAt::Start => -2,
                OffsetAt::Time(time_ms) => *time_ms,
            });
        }
    }

    fn read(answer: &mut Reader) -> Result<Vec<FoundOffset>, Malformed> {
        answer.i32()?;
        let topics = answer.array(|topic| {
            let name = topic.string()?.unwrap_or_default();
            topic.array(|part| {
                let (partition, error) = (part.i32()?, part.i16()?);
                part.i64()?;
                Ok(FoundOffset { topic: name.clone(), partition, error, offset: part.i64()? })
            })
        })?;
        Ok(topics.into_iter().flatten().collect())
    }
}
