//! Messages as a batch under a range of sequences.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::encoder::Encoder;
use crate::uplink::kafka::batch::Stamp;
use crate::uplink::kafka::journal::Mark;
use crate::uplink::{Message, SeqRange};

/// Records of one batch at most; their marks are one entry of the journal.
pub(super) const RECORDS_MAX: usize = 10_000;

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
    pub(super) messages: Vec<Option<Arc<Message>>>,
    pub(super) missing: usize,
    batch: Option<Bytes>,
    /// Whether it is on its way.
    pub(super) is_sent: bool,
    /// Whether it may have arrived although that was never said.
    pub(super) may_be_there: bool,
}

impl Intent {
    pub(super) fn new(
        number: u64,
        sequence: i32,
        messages: impl Iterator<Item = Arc<Message>>,
        batch: Bytes,
    ) -> Intent {
        let messages: Vec<Option<Arc<Message>>> = messages.map(Some).collect();
        let marks: Vec<Mark> = messages.iter().flatten().map(|message| Mark::of(message)).collect();
        let seqs = span(&marks);
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
    pub(super) fn fill(&mut self, mark: &Mark, message: &Arc<Message>) -> bool {
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
