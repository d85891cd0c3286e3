//! From TCP's stream to messages: packets taken apart, parts of a message put together.

use std::ops::Range;

use super::{Malformed, Tpdu, cotp, tpkt};

/// Why a stream is lost, or the far side has ended it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// What came is not the protocol.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The far side takes leave.
    #[error("the PLC ended the connection: {}", cotp::disconnect_reason(*.0))]
    Left(u8),
    /// The far side did not understand us.
    #[error("the PLC did not understand a TPDU of ours (cause {0})")]
    Rejected(u8),
}

/// What to do with the bytes received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Wait for more.
    Wait,
    /// Drop so many bytes: they were a part of a message, and are kept.
    Part {
        /// Bytes of the packet.
        len: usize,
    },
    /// A message: [`Deframer::message`] gives it.
    Message {
        /// Where it lies in the bytes received, where it came in one part.
        at: Range<usize>,
        /// Bytes of the packet.
        len: usize,
    },
}

/// Finds messages in a stream.
#[derive(Debug)]
pub struct Deframer {
    message_max: usize,
    /// The parts of a message that came before its last one.
    parts: Vec<u8>,
    /// Whether the message found last stands in `parts`.
    is_joined: bool,
}

impl Deframer {
    /// Messages longer than `message_max` bytes are no messages.
    pub fn new(message_max: usize) -> Deframer {
        Deframer { message_max, parts: Vec::new(), is_joined: false }
    }

    /// What `buffer` begins with.
    ///
    /// # Errors
    /// The stream is lost, or the far side has ended it.
    pub fn step(&mut self, buffer: &[u8]) -> Result<Step, Broken> {
        let Some(len) = tpkt::packet_len(buffer)? else { return Ok(Step::Wait) };
        let Some(packet) = buffer.get(tpkt::HEADER..len) else { return Ok(Step::Wait) };
        if std::mem::take(&mut self.is_joined) {
            self.parts.clear();
        }
        let (last, payload) = match Tpdu::decode(packet)? {
            Tpdu::Data { last, payload } => (last, payload),
            Tpdu::Disconnect { reason } => return Err(Broken::Left(reason)),
            Tpdu::Error { cause } => return Err(Broken::Rejected(cause)),
            Tpdu::Confirm { .. } => return Err(Malformed("the connection was confirmed twice").into()),
        };
        if self.parts.len() + payload.len() > self.message_max {
            return Err(Malformed("a message came that is longer than was agreed").into());
        }
        if last && self.parts.is_empty() {
            return Ok(Step::Message { at: len - payload.len()..len, len });
        }
        self.parts.extend_from_slice(payload);
        self.is_joined = last;
        Ok(if last { Step::Message { at: 0..0, len } } else { Step::Part { len } })
    }

    /// The message of a [`Step::Message`]; `received` begins where the buffer of that step did.
    pub fn message<'b>(&'b self, received: &'b [u8], at: Range<usize>) -> &'b [u8] {
        if self.is_joined { &self.parts } else { received.get(at).unwrap_or_default() }
    }
}
