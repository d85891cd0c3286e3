//! Messages as a batch under a range of sequences.

use std::io;

use bytes::Bytes;
use driver_core::{Clock, SystemClock};

use crate::uplink::kafka::batch::{Builder, Compression, NewRecord, Stamp};
use crate::uplink::kafka::config::Config;
use crate::uplink::kafka::journal::Mark;
use crate::uplink::{Lane, Message, SeqRange};

/// Records of one batch at most; their marks are one entry of the journal.
pub(super) const RECORDS_MAX: usize = 10_000;

/// What a record adds to key and value at most, bytes: headers, lengths, time.
const ENVELOPE_BYTES_MAX: usize = 256;

/// The header that only a fence has.
pub(super) const FENCE: &str = "fence";

/// A batch that is bound to its sequences.
#[derive(Debug)]
pub(super) struct Intent {
    /// Never the same twice in a life.
    pub(super) number: u64,
    pub(super) sequence: i32,
    pub(super) marks: Vec<Mark>,
    /// From the lowest seq to the highest.
    pub(super) seqs: SeqRange,
    /// The messages; those of an earlier life come one by one.
    pub(super) messages: Vec<Option<Message>>,
    pub(super) missing: usize,
    batch: Option<Bytes>,
    /// Whether it is on its way.
    pub(super) is_sent: bool,
    /// Whether it may have arrived although that was never said.
    pub(super) may_be_there: bool,
}

impl Intent {
    pub(super) fn new(number: u64, sequence: i32, messages: Vec<Message>, batch: Bytes) -> Intent {
        let marks: Vec<Mark> = messages.iter().map(Mark::of).collect();
        let seqs = span(&marks);
        let messages = messages.into_iter().map(Some).collect();
        Intent {
            number,
            sequence,
            marks,
            seqs,
            messages,
            missing: 0,
            batch: Some(batch),
            is_sent: false,
            may_be_there: false,
        }
    }

    /// One of an earlier life, without its messages.
    pub(super) fn remembered(number: u64, sequence: i32, marks: Vec<Mark>) -> Intent {
        let (missing, seqs) = (marks.len(), span(&marks));
        let messages = marks.iter().map(|_| None).collect();
        Intent { number, sequence, marks, seqs, messages, missing, batch: None, is_sent: false, may_be_there: true }
    }

    /// The messages are handed over anew later.
    pub(super) fn lost(&mut self) {
        self.may_be_there |= self.is_sent;
        self.is_sent = false;
        self.missing = self.marks.len();
        self.batch = None;
        self.messages.iter_mut().for_each(|message| *message = None);
    }

    /// One of the messages is here again.
    pub(super) fn fill(&mut self, mark: &Mark, message: &Message) -> bool {
        let place = self.marks.iter().zip(&self.messages).position(|(known, held)| known == mark && held.is_none());
        let Some(place) = place else { return false };
        self.messages[place] = Some(message.clone());
        self.missing -= 1;
        true
    }

    /// The bytes; the same messages under the same sequences each time.
    pub(super) fn batch(&mut self, producer: i64, epoch: i16, encoder: &mut Encoder) -> io::Result<Bytes> {
        if let Some(batch) = &self.batch {
            return Ok(batch.clone());
        }
        self.messages.iter().flatten().for_each(|message| encoder.push(message));
        let batch = encoder.finish(Stamp { producer, epoch, sequence: self.sequence })?;
        self.batch = Some(batch.clone());
        Ok(batch)
    }
}

fn span(marks: &[Mark]) -> SeqRange {
    let first = marks.iter().map(|mark| mark.first).min().unwrap_or_default();
    let last = marks.iter().map(|mark| mark.last).max().unwrap_or_default();
    SeqRange { first, last }
}

/// Writes messages as records.
pub(super) struct Encoder {
    builder: Builder,
    pub(super) batch_bytes: usize,
    compression: Compression,
    /// The gateway's UUID.
    pub(super) identity: Box<str>,
    gateway: Box<str>,
}

impl Encoder {
    pub(super) fn new(config: &Config) -> Encoder {
        Encoder {
            builder: Builder::default(),
            batch_bytes: config.batch_bytes,
            compression: config.compression,
            identity: config.identity.clone(),
            gateway: config.gateway.clone(),
        }
    }

    /// Whether the batch stays within its bytes with this message, too.
    pub(super) fn has_room_for(&self, message: &Message) -> bool {
        self.builder.len() + message.size_bytes() + ENVELOPE_BYTES_MAX <= self.batch_bytes
    }

    pub(super) fn push(&mut self, message: &Message) {
        let (mut epoch, mut seq) = (itoa::Buffer::new(), itoa::Buffer::new());
        let range;
        let seq = if message.seqs.first == message.seqs.last {
            seq.format(message.seqs.first)
        } else {
            range = format!("{}-{}", message.seqs.first, message.seqs.last);
            &range
        };
        let epoch = epoch.format(message.epoch);
        let mut job = itoa::Buffer::new();
        let job = message.lane().job().map(|number| job.format(number));
        let all: [(&str, &[u8]); 6] = [
            ("gateway", self.identity.as_bytes()),
            ("epoch", epoch.as_bytes()),
            ("seq", seq.as_bytes()),
            ("content-type", message.content_type.as_bytes()),
            ("lane", message.lane().name().as_bytes()),
            ("job", job.unwrap_or_default().as_bytes()),
        ];
        let count = match message.lane() {
            Lane::Live => 4,
            Lane::History => 5,
            Lane::Replay(_) => 6,
        };
        // What tells of no reading is of now: a record of 1970 would be the first that a topic's retention takes.
        let time_ms = message.time.map_or_else(now_ms, |time| time.0.div_euclid(1_000_000));
        self.builder.push(&NewRecord {
            time_ms,
            key: message.key.as_deref(),
            value: Some(&message.payload),
            headers: &all[..count],
        });
    }

    pub(super) fn finish(&mut self, stamp: Stamp) -> io::Result<Bytes> {
        self.builder.finish(stamp, self.compression)
    }

    /// A record without a value, which readers pass over: its place is all that matters.
    pub(super) fn fence(&mut self, producer: i64, epoch: i16) -> io::Result<Bytes> {
        let headers: [(&str, &[u8]); 2] = [("gateway", self.identity.as_bytes()), (FENCE, b"1")];
        self.builder.push(&NewRecord {
            time_ms: now_ms(),
            key: Some(self.gateway.as_bytes()),
            value: None,
            headers: &headers,
        });
        self.builder.finish(Stamp { producer, epoch, sequence: 0 }, Compression::None)
    }
}

/// Milliseconds since 1970 UTC.
pub(super) fn now_ms() -> i64 {
    let (now, _) = SystemClock.now();
    now.0.div_euclid(1_000_000)
}
