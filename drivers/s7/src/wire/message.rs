//! The head that all messages share.

use super::{HeaderError, Malformed, word};

/// Bytes of the head of a request.
pub const REQUEST_HEAD: usize = 10;
/// Bytes of the head of an answer to a job: two more, for the error.
pub const ANSWER_HEAD: usize = 12;

/// What kind of message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A request.
    Job,
    /// An answer without data.
    Ack,
    /// An answer with data.
    AckData,
    /// Questions about the PLC itself, and their answers.
    Userdata,
}

/// A message that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'b> {
    /// Its kind.
    pub kind: Kind,
    /// The reference of the request that it answers.
    pub reference: u16,
    /// Why the PLC refuses the request as a whole, if it does.
    pub error: Option<HeaderError>,
    /// What it is about.
    pub parameter: &'b [u8],
    /// What it carries.
    pub data: &'b [u8],
}

/// A message to be sent; its reference is given to it on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outgoing<'r> {
    /// [`Kind::Job`] or [`Kind::Userdata`].
    pub kind: Kind,
    /// What it asks for.
    pub parameter: &'r [u8],
    /// What it carries.
    pub data: &'r [u8],
}

impl<'r> Outgoing<'r> {
    /// A job without data.
    pub fn job(parameter: &'r [u8]) -> Outgoing<'r> {
        Outgoing { kind: Kind::Job, parameter, data: &[] }
    }

    /// Puts the message under this reference.
    pub fn put(&self, reference: u16, out: &mut Vec<u8>) {
        let reference = reference.to_be_bytes();
        let len = |part: &[u8]| u16::try_from(part.len()).unwrap_or(u16::MAX).to_be_bytes();
        let (parameter, data) = (len(self.parameter), len(self.data));
        out.extend_from_slice(&[0x32, self.kind.code(), 0, 0, reference[0], reference[1]]);
        out.extend_from_slice(&[parameter[0], parameter[1], data[0], data[1]]);
        out.extend_from_slice(self.parameter);
        out.extend_from_slice(self.data);
    }

    /// Whether `message` can be the answer to a request of this kind.
    pub fn is_answered_by(&self, message: &Message<'_>) -> bool {
        match self.kind {
            Kind::Userdata => message.kind == Kind::Userdata || message.error.is_some(),
            _ => matches!(message.kind, Kind::Ack | Kind::AckData),
        }
    }
}

impl Kind {
    fn code(self) -> u8 {
        match self {
            Kind::Job => 1,
            Kind::Ack => 2,
            Kind::AckData => 3,
            Kind::Userdata => 7,
        }
    }
}

impl<'b> Message<'b> {
    /// Understands the head of a message and finds its parts.
    ///
    /// # Errors
    /// It is no message of S7 communication, or its parts are not as long as its head says.
    pub fn decode(bytes: &'b [u8]) -> Result<Message<'b>, Malformed> {
        let &[0x32, kind, _, _, high, low, ..] = bytes else {
            return Err(Malformed("a message came that is none of S7 communication"));
        };
        let (kind, head) = match kind {
            1 => (Kind::Job, REQUEST_HEAD),
            2 => (Kind::Ack, ANSWER_HEAD),
            3 => (Kind::AckData, ANSWER_HEAD),
            7 => (Kind::Userdata, REQUEST_HEAD),
            _ => return Err(Malformed("a message came of a kind that S7 communication does not have")),
        };
        let cut = Malformed("a message came that is shorter than its head says");
        let len = |at: usize| bytes.get(at..).and_then(word).map(usize::from).ok_or(cut);
        let (parameter_len, data_len) = (len(6)?, len(8)?);
        let error = if head == ANSWER_HEAD { len(10)? } else { 0 };
        let body = bytes.get(head..).ok_or(cut)?;
        let (parameter, rest) = body.split_at_checked(parameter_len).ok_or(cut)?;
        let data = rest.get(..data_len).ok_or(cut)?;
        if rest.len() > data_len {
            return Err(Malformed("a message came that is longer than its head says"));
        }
        let reference = u16::from_be_bytes([high, low]);
        Ok(Message { kind, reference, error: HeaderError::new(error as u16), parameter, data })
    }
}
