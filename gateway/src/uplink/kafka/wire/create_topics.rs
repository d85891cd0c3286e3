//! CreateTopics (19), version 4: sent to any broker, done by the controller.

use super::{Encoding, Malformed, Reader, Request, Writer};

/// Makes topics.
#[derive(Debug)]
pub struct CreateTopics<'a> {
    /// The topics.
    pub topics: Vec<NewTopic<'a>>,
    /// How long the controller may take, milliseconds.
    pub timeout_ms: i32,
}

/// A topic that is to be.
#[derive(Debug)]
pub struct NewTopic<'a> {
    /// Its name.
    pub name: &'a str,
    /// How many partitions; -1 leaves it to the broker.
    pub partitions: i32,
    /// How many copies; -1 leaves it to the broker.
    pub copies: i16,
    /// Settings such as (`cleanup.policy`, `compact`).
    pub settings: Vec<(&'a str, &'a str)>,
}

/// What became of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Its name.
    pub name: String,
    /// What is wrong, or 0.
    pub error: i16,
    /// What the broker says about it.
    pub message: Option<String>,
}

impl Request for CreateTopics<'_> {
    const KEY: i16 = 19;
    const VERSION: i16 = 4;
    const ENCODING: Encoding = Encoding::Plain;
    type Answer = Vec<CreatedTopic>;

    fn write(&self, out: &mut Writer) {
        out.array(self.topics.len());
        for topic in &self.topics {
            out.string(topic.name);
            out.i32(topic.partitions);
            out.i16(topic.copies);
            out.array(0);
            out.array(topic.settings.len());
            for (name, value) in &topic.settings {
                out.string(name);
                out.string(value);
            }
        }
        out.i32(self.timeout_ms);
        out.i8(0);
    }

    fn read(answer: &mut Reader) -> Result<Vec<CreatedTopic>, Malformed> {
        answer.i32()?;
        answer.array(|topic| {
            let name = topic.string()?.unwrap_or_default();
            Ok(CreatedTopic { name, error: topic.i16()?, message: topic.string()? })
        })
    }
}
