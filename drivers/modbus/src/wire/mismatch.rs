//! Why received bytes were not taken as an answer.

use std::fmt;

/// The reason for which received bytes were dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mismatch {
    /// An answer to a request that is no longer awaited: late, doubled or never asked for.
    Late,
    /// Another unit's answer.
    Unit(u8),
    /// A protocol identifier other than 0 (TCP).
    ProtocolId(u16),
    /// An answer to another function.
    Function(u8),
    /// A length or byte count that does not belong to the request.
    Length,
    /// A confirmation of another address or value than was written, or fields that the specification does not allow.
    Content,
    /// A frame whose CRC or LRC is wrong.
    Checksum,
    /// The request itself, heard again.
    Echo,
    /// Bytes that form no frame.
    Noise,
    /// The beginning of an answer, whose rest did not come.
    Cut,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late => write!(f, "a late answer to an earlier request came; raise the timeout if this goes on"),
            Self::Unit(unit) => write!(f, "unit {unit} answered instead; check `unit` and for doubled addresses"),
            Self::ProtocolId(id) => write!(f, "the answer carries protocol {id}, not Modbus; check host and port"),
            Self::Function(code) => write!(f, "function {code} was answered instead; check the device or gateway"),
            Self::Length => write!(f, "the answer has a wrong length; check the device's register count limit"),
            Self::Content => write!(f, "the answer confirms something else; check for a second client on the gateway"),
            Self::Checksum => write!(f, "the answer's checksum is wrong; check baud, parity, wiring and termination"),
            Self::Echo => write!(f, "only our own request was heard; set `echo=yes` if the adapter echoes"),
            Self::Noise => {
                write!(f, "bytes came that are no Modbus answer; check baud, parity and wiring, or host and port")
            }
            Self::Cut => write!(f, "the answer broke off; check the line, and raise the timeout if the device is slow"),
        }
    }
}

/// How often bytes were dropped, by reason. Counters never go back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MismatchCounts {
    /// See [`Mismatch::Late`].
    pub late: u64,
    /// See [`Mismatch::Unit`].
    pub unit: u64,
    /// See [`Mismatch::ProtocolId`].
    pub protocol_id: u64,
    /// See [`Mismatch::Function`].
    pub function: u64,
    /// See [`Mismatch::Length`].
    pub length: u64,
    /// See [`Mismatch::Content`].
    pub content: u64,
    /// See [`Mismatch::Checksum`].
    pub checksum: u64,
    /// See [`Mismatch::Echo`].
    pub echo: u64,
    /// See [`Mismatch::Noise`].
    pub noise: u64,
    /// See [`Mismatch::Cut`].
    pub cut: u64,
}

impl MismatchCounts {
    /// Counts one.
    pub fn count(&mut self, reason: Mismatch) {
        let counter = match reason {
            Mismatch::Late => &mut self.late,
            Mismatch::Unit(_) => &mut self.unit,
            Mismatch::ProtocolId(_) => &mut self.protocol_id,
            Mismatch::Function(_) => &mut self.function,
            Mismatch::Length => &mut self.length,
            Mismatch::Content => &mut self.content,
            Mismatch::Checksum => &mut self.checksum,
            Mismatch::Echo => &mut self.echo,
            Mismatch::Noise => &mut self.noise,
            Mismatch::Cut => &mut self.cut,
        };
        *counter += 1;
    }

    /// Every reason's name and counter, in a fixed order.
    pub fn by_reason(&self) -> [(&'static str, u64); 10] {
        [
            ("late", self.late),
            ("unit", self.unit),
            ("protocol_id", self.protocol_id),
            ("function", self.function),
            ("length", self.length),
            ("content", self.content),
            ("checksum", self.checksum),
            ("echo", self.echo),
            ("noise", self.noise),
            ("cut", self.cut),
        ]
    }

    /// All of them together.
    pub fn total(&self) -> u64 {
        self.by_reason().iter().map(|(_, count)| count).sum()
    }
}
