//! Kafka's requests and answers as bytes: pure, and each in the one version that Kafka 2.8 to 4.x all understand.
//!
//! ```text
//! request: size i32 | api key i16 | version i16 | correlation i32 | client id | [tags] | body
//! answer:  size i32 | correlation i32 | [tags] | body          [tags]: flexible versions only
//! ```
//!
//! Answers come from outside: every count is held against the bytes that are there before anything is allocated.

mod api_versions;
mod create_topics;
mod fetch;
mod init_producer_id;
mod list_offsets;
mod metadata;
mod produce;
mod producers;
pub mod reader;
mod sasl;
pub mod writer;

use std::collections::VecDeque;

use bytes::Bytes;

pub use self::api_versions::{ApiRange, ApiVersions};
pub use self::create_topics::{CreateTopics, CreatedTopic, NewTopic};
pub use self::fetch::{Aborted, Fetch, FetchPart, Fetched, Isolation};
pub use self::init_producer_id::{InitProducerId, ProducerIdentity};
pub use self::list_offsets::{FoundOffset, ListOffsets, OffsetAt};
pub use self::metadata::{Broker, Metadata, MetadataAnswer, PartitionMetadata, TopicMetadata};
pub use self::produce::{Produce, ProduceAnswer, ProducePart, Produced};
pub use self::producers::{DescribeProducers, PartitionProducers, ProducerState};
pub use self::reader::{Malformed, Reader};
pub use self::sasl::{SaslAnswer, SaslAuthenticate, SaslHandshake, SaslMechanisms};
pub use self::writer::Writer;

/// The largest answer that is taken, bytes.
pub const ANSWER_BYTES_MAX: usize = 16 << 20;

/// Bytes of a size and of a correlation id.
const SIZE_BYTES: usize = 4;

/// Whether a version's strings and arrays are the compact ones, with tagged fields behind each structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// 16- and 32-bit lengths.
    Plain,
    /// Compact lengths and tagged fields.
    Flexible,
}

/// A topic's id; all zero where the broker has none.
pub type TopicId = [u8; 16];

/// A request in one version, and how its answer is read.
pub trait Request {
    /// The API's number.
    const KEY: i16;
    /// The version in which it is written.
    const VERSION: i16;
    /// How that version is written.
    const ENCODING: Encoding;
    /// What comes back.
    type Answer;

    /// Writes the body.
    fn write(&self, out: &mut Writer);

    /// Reads the answer's body.
    ///
    /// # Errors
    /// The bytes are no such answer.
    fn read(answer: &mut Reader) -> Result<Self::Answer, Malformed>;
}

/// Appends a whole request with its size to what is to leave: `out` is sent piece by piece.
pub fn write_request<R: Request>(request: &R, correlation: i32, client_id: &str, out: &mut VecDeque<Bytes>) {
    let mut written = Vec::new();
    let mut writer = Writer::new(&mut written);
    writer.i32(0);
    writer.i16(R::KEY);
    writer.i16(R::VERSION);
    writer.i32(correlation);
    // The client id stays a plain string in flexible headers, too.
    writer.string(client_id);
    if R::ENCODING == Encoding::Flexible {
        writer.no_tags();
    }
    request.write(&mut writer);
    let shared = writer.into_shared();
    let size = written.len() - SIZE_BYTES + shared.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
    written[..SIZE_BYTES].copy_from_slice(&(size as u32).to_be_bytes());
    let (written, mut from) = (Bytes::from(written), 0);
    for (at, bytes) in shared {
        out.extend([written.slice(from..at), bytes]);
        from = at;
    }
    out.push_back(written.slice(from..));
}

/// An answer without its size: which request it answers, and its body with what is left of its header.
pub fn correlation_of(frame: &Bytes) -> Result<(i32, Bytes), Malformed> {
    let mut reader = Reader::new(frame.clone());
    let correlation = reader.i32()?;
    Ok((correlation, reader.rest()))
}

/// Reads the answer to a request of kind `R`.
///
/// # Errors
/// The bytes are no such answer.
pub fn read_answer<R: Request>(body: Bytes) -> Result<R::Answer, Malformed> {
    let mut reader = Reader::new(body);
    // The broker answers ApiVersions with the old header even in flexible versions; ours is a plain one.
    if R::ENCODING == Encoding::Flexible {
        reader.tags()?;
    }
    R::read(&mut reader)
}

/// The size of the frame at the head of some bytes, its own size field included; `None` until it is whole.
///
/// # Errors
/// It says that it is larger than any answer may be, or negative.
pub fn frame_size(bytes: &[u8]) -> Result<Option<usize>, Malformed> {
    let Some(head) = bytes.first_chunk::<SIZE_BYTES>() else { return Ok(None) };
    let size = i32::from_be_bytes(*head);
    match usize::try_from(size) {
        Ok(size) if (SIZE_BYTES..=ANSWER_BYTES_MAX).contains(&size) => {
            Ok((bytes.len() >= SIZE_BYTES + size).then_some(SIZE_BYTES + size))
        }
        _ => Err(Malformed { what: "a frame's size" }),
    }
}

#[cfg(test)]
mod tests;
