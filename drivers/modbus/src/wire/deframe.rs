//! Finding answers in a stream of bytes, whatever the framing.

use std::ops::Range;

use super::{InvalidRequest, Mismatch, Request, ascii, mbap, rtu};

/// How messages are wrapped on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Framing {
    /// Transaction id and length: Modbus TCP and TLS.
    Mbap,
    /// Binary with CRC-16: serial lines, also carried over TCP.
    Rtu,
    /// Hexadecimal text with LRC: serial lines, also carried over TCP.
    Ascii,
}

/// Whether the far side returns the transaction ids that it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TransactionIds {
    /// It does, as the specification demands.
    #[default]
    Match,
    /// It does not; then only one request may be under way, and a timeout ends the connection.
    Ignore,
}

/// A request that was sent and is not answered yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Awaited<'r> {
    /// Its transaction id; means nothing on serial lines.
    pub tid: u16,
    /// The unit asked.
    pub unit: u8,
    /// What was asked.
    pub request: Request<'r>,
}

impl Awaited<'_> {
    /// Appends the whole frame to `out`.
    ///
    /// # Errors
    /// The request breaks a limit of the specification; `out` is then left as it was.
    pub fn encode(&self, framing: Framing, out: &mut Vec<u8>) -> Result<(), InvalidRequest> {
        match framing {
            Framing::Mbap => mbap::encode(self, out),
            Framing::Rtu => rtu::encode(self, out),
            Framing::Ascii => ascii::encode(self, out),
        }
    }
}

/// What the bytes at the start of the receive buffer are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The first `len` bytes answer the request at `which`; [`Deframer::pdu`] gives the PDU.
    Answer {
        /// Index into what is awaited.
        which: usize,
        /// Where the PDU lies.
        pdu: Range<usize>,
        /// Bytes to consume.
        len: usize,
    },
    /// The first `len` bytes are our own request, echoed as it was announced.
    Skip {
        /// Bytes to consume.
        len: usize,
    },
    /// The first `len` bytes answer nothing.
    Drop {
        /// Bytes to consume, at least one.
        len: usize,
        /// Why.
        reason: Mismatch,
    },
    /// More bytes are needed.
    Wait,
}

/// The state of reception of one connection.
#[derive(Debug)]
pub enum Deframer {
    /// See [`Framing::Mbap`].
    Mbap(mbap::Deframer),
    /// See [`Framing::Rtu`].
    Rtu(rtu::Deframer),
    /// See [`Framing::Ascii`].
    Ascii(ascii::Deframer),
}

impl Deframer {
    /// A fresh one; `ids` means nothing on serial lines.
    pub fn new(framing: Framing, ids: TransactionIds) -> Self {
        match framing {
            Framing::Mbap => Self::Mbap(mbap::Deframer::new(ids)),
            Framing::Rtu => Self::Rtu(rtu::Deframer::default()),
            Framing::Ascii => Self::Ascii(ascii::Deframer::default()),
        }
    }

    /// Looks at the first bytes of `buffer`. Never answers the same bytes twice if the caller consumes what it is told to.
    pub fn step(&mut self, buffer: &[u8], awaited: &[Awaited<'_>]) -> Step {
        match self {
            Self::Mbap(mbap) => mbap.step(buffer, awaited),
            Self::Rtu(rtu) => rtu.step(buffer, awaited.first()),
            Self::Ascii(ascii) => ascii.step(buffer, awaited.first()),
        }
    }

    /// The PDU of a [`Step::Answer`] that was found in `buffer`.
    pub fn pdu<'b>(&'b self, buffer: &'b [u8], range: Range<usize>) -> &'b [u8] {
        match self {
            Self::Mbap(_) | Self::Rtu(_) => buffer.get(range).unwrap_or_default(),
            Self::Ascii(ascii) => ascii.pdu(range),
        }
    }

    /// Remembers the frame just sent, so that its echo is known for what it is.
    pub fn sent(&mut self, frame: &[u8], echo: Echo) {
        match self {
            Self::Mbap(_) => {}
            Self::Rtu(rtu) => rtu.echoes.sent(frame, echo),
            Self::Ascii(ascii) => ascii.echoes.sent(frame, echo),
        }
    }

    /// What the bytes left over at a timeout are, if there are any.
    pub fn leftover(&self, buffer: &[u8]) -> Option<Mismatch> {
        if buffer.is_empty() {
            return None;
        }
        match self {
            Self::Mbap(_) => Some(Mismatch::Cut),
            Self::Rtu(_) => Some(rtu::leftover(buffer)),
            Self::Ascii(_) => Some(ascii::leftover(buffer)),
        }
    }
}

/// Whether the serial adapter hears what it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Echo {
    /// It does not.
    #[default]
    Absent,
    /// It does: each request comes back before its answer.
    Expected,
}

/// The echo of a two-wire line.
#[derive(Debug, Default)]
pub struct Echoes {
    frame: Vec<u8>,
    due: bool,
}

impl Echoes {
    fn sent(&mut self, frame: &[u8], echo: Echo) {
        self.frame.clear();
        self.frame.extend_from_slice(frame);
        self.due = echo == Echo::Expected;
    }

    /// What the bytes are if they are an echo, or may become the one that is due.
    pub(super) fn step(&mut self, buffer: &[u8], confirms_by_repeating: bool) -> Option<Step> {
        if self.frame.is_empty() {
            return None;
        }
        let len = self.frame.len();
        let heard = buffer.starts_with(&self.frame);
        if self.due {
            if heard {
                self.due = false;
                return Some(Step::Skip { len });
            }
            if self.frame.starts_with(buffer) {
                return Some(Step::Wait);
            }
            self.due = false;
            return None;
        }
        // The answer to a single write repeats the request byte for byte, so there an unannounced echo cannot be told.
        (heard && !confirms_by_repeating).then_some(Step::Drop { len, reason: Mismatch::Echo })
    }
}
