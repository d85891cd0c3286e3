//! Agreeing on the size of messages and on how many may be under way.
//!
//! ```text
//! F0 | 0 | jobs of ours at once (2) | jobs of the far side's at once (2) | longest message (2)
//! ```

use super::{Malformed, Message, word};

/// What is asked for, and what the PLC answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setup {
    /// How many of our jobs it works on at once ("AmQ calling").
    pub jobs: u16,
    /// The longest message either way, in bytes.
    pub pdu: u16,
}

const FUNCTION: u8 = 0xF0;

impl Setup {
    /// The parameter of the request.
    pub fn parameter(&self) -> [u8; 8] {
        let (jobs, pdu) = (self.jobs.to_be_bytes(), self.pdu.to_be_bytes());
        [FUNCTION, 0, jobs[0], jobs[1], jobs[0], jobs[1], pdu[0], pdu[1]]
    }

    /// Understands the answer.
    ///
    /// # Errors
    /// It is no answer to this request.
    pub fn decode(message: &Message<'_>) -> Result<Setup, Malformed> {
        match *message.parameter {
            [FUNCTION, _, _, _, _, _, ..] if message.parameter.len() == 8 => {
                let at = |at: usize| message.parameter.get(at..).and_then(word).unwrap_or(0);
                Ok(Setup { jobs: at(2), pdu: at(6) })
            }
            _ => Err(Malformed("the PLC does not answer with the size of its messages")),
        }
    }
}
