//! How a job can end without its answer, and how a connection can fail, told apart by what the caller must do.

use std::io;

use crate::wire::{Broken, HeaderError, Malformed, cotp};

/// No answer came in time. The session goes on, and never takes the late answer for another job's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unanswered {
    /// The last thing that came instead, if anything did.
    pub dropped: Option<Dropped>,
}

/// What came and answered nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// An answer to a job that is not under way, or no longer.
    Late,
    /// No message.
    Malformed(Malformed),
}

/// Why a session is over.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The far side closed the connection.
    #[error("the PLC closed the connection; it may have too few of them or be restarting")]
    Closed,
    /// What came is not the protocol, or takes leave.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// Reading or writing failed.
    #[error("the connection failed: {0}; check cable and network")]
    Io(io::Error),
    /// The far side takes no more bytes.
    #[error("the PLC did not take a job in time; check whether it hangs")]
    Stuck,
    /// An earlier error ended the session, or a call was abandoned while it was sending.
    #[error("the session ended earlier and must be opened anew")]
    Spent,
}

/// Why a session was not opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The host name has no address.
    #[error("the name {host} has no address ({error})")]
    Resolve {
        /// The name.
        host: String,
        /// What the resolver said.
        error: io::Error,
    },
    /// The host did not accept the connection.
    #[error("{0}")]
    Tcp(io::Error),
    /// No answer in time, at this step.
    #[error("no answer {0}")]
    Silent(Step),
    /// The PLC closed the connection, at this step.
    #[error("it closed the connection {0}")]
    Closed(Step),
    /// The PLC refuses the connection.
    #[error("it refuses the connection: {}", cotp::disconnect_reason(*.0))]
    Refused(u8),
    /// The PLC refuses to agree on messages.
    #[error("{0}")]
    Setup(HeaderError),
    /// What came is not the protocol.
    #[error("{0}")]
    Malformed(Malformed),
}

/// The steps of opening a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The TCP connection.
    Tcp,
    /// The call to a TSAP.
    Call,
    /// Agreeing on messages.
    Setup,
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Step::Tcp => "to the TCP connection",
            Step::Call => "to the call of its TSAP",
            Step::Setup => "when the size of messages was to be agreed on",
        })
    }
}
