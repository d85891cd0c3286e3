//! How a request can end without its answer, told apart by what the caller must do.

use std::io;

use crate::wire::{Exception, InvalidRequest, Mismatch};

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum TransactError {
    /// The device answered, by refusing. The session goes on.
    #[error("{0}")]
    Exception(Exception),
    /// No answer came in time. The session goes on, and never takes the late answer for another request's.
    #[error("no answer in time{}", hint(.dropped))]
    Timeout {
        /// The last thing that came instead, if anything did.
        dropped: Option<Mismatch>,
    },
    /// The request was not sent, for it breaks the protocol. The session goes on.
    #[error(transparent)]
    Invalid(#[from] InvalidRequest),
    /// The session is over: drop it and connect anew.
    #[error(transparent)]
    Link(#[from] LinkError),
}

/// Why a session is over.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The far side closed the connection.
    #[error("the device closed the connection; it may have too few of them or be restarting")]
    Closed,
    /// The far side of a TLS connection closed it without taking leave.
    #[error(
        "the device closed the connection without a word; check whether it wants another certificate of ours (`cert`, `key`)"
    )]
    ClosedUnannounced,
    /// Reading or writing failed.
    #[error("the connection failed: {0}; check cable, adapter and network")]
    Io(io::Error),
    /// The far side takes no more bytes.
    #[error("the device did not take a request in time; check whether it hangs")]
    Stuck,
    /// Without transaction ids a late answer could not be told from the next one.
    #[error("no answer in time, and with `tid=ignore` a late one could not be recognised, so the connection is closed")]
    LateAnswerPossible,
    /// An earlier error ended the session, or a call was abandoned while it was sending.
    #[error("the session ended earlier and must be opened anew")]
    Spent,
}

impl From<io::Error> for LinkError {
    /// TLS calls it an unexpected end when the far side closes without a word, as devices do that refuse our certificate.
    fn from(error: io::Error) -> LinkError {
        if error.kind() == io::ErrorKind::UnexpectedEof { LinkError::ClosedUnannounced } else { LinkError::Io(error) }
    }
}

fn hint(dropped: &Option<Mismatch>) -> String {
    match dropped {
        Some(mismatch) => format!(": {mismatch}"),
        None => "; check that the device is on, its address and unit, and raise the timeout if it is slow".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_far_side_that_leaves_without_a_word_is_told_from_a_broken_line() {
        let over = LinkError::from(io::Error::new(io::ErrorKind::UnexpectedEof, "peer closed without close_notify"));
        assert!(matches!(over, LinkError::ClosedUnannounced), "{over}");
        let over = LinkError::from(io::Error::from(io::ErrorKind::ConnectionReset));
        assert!(matches!(over, LinkError::Io(_)), "{over}");
    }
}
