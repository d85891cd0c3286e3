//! A session with a server: the only file of the driver that awaits, with its parts below.
//!
//! The library opens the channel and the session and keeps them alive in a task of its own. It is told never to reconnect:
//! the first loss ends the session, and the line makes a new one. Every wait has a deadline.

mod connect;
mod endpoint;
mod refusal;
mod history;
mod publish;
mod request;
mod types;

use std::sync::Arc;
use std::time::Duration;

use driver_core::LinkError;
use opcua::client::Session as UaSession;
use opcua::types::{Error, StatusCode};
use tokio::task::JoinHandle;

use crate::plan::Limits;
pub(crate) use history::Page;
use publish::{Acks, Publishers};
pub(crate) use publish::{Published, Rest, Watch, Watched};

/// A live session.
pub struct Session {
    inner: Arc<UaSession>,
    /// Runs until the session ends.
    task: JoinHandle<StatusCode>,
    /// Different for each session of this process.
    pub(crate) number: u64,
    /// Host and port, for errors.
    endpoint: String,
    timeout: Duration,
    /// The server's namespaces, by index.
    namespaces: Vec<String>,
    pub(crate) limits: Limits,
    /// When the server was started, in its own ticks; `None` where it does not say.
    pub(crate) server_started: Option<i64>,
    /// Requests in a row without an answer.
    unanswered: u32,
    /// Fetch what is published, once there is a subscription.
    publishers: Option<Publishers>,
    acks: Acks,
}

/// Why a request came to nothing.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The server refused it, or could not serve it; the session stands.
    Refused(StatusCode),
    /// It asked for more at once than the server takes.
    TooMuch,
    /// No answer came in time.
    Silent,
    /// The session is over.
    Over(LinkError),
}

/// So many requests in a row without an answer end the session.
const UNANSWERED_MAX: u32 = 3;
/// How long taking leave may take.
const LEAVE_MAX: Duration = Duration::from_secs(2);

impl Drop for Session {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("endpoint", &self.endpoint)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// The session is over, and why.
    pub(crate) fn lost(&self, cause: impl Into<String>) -> LinkError {
        LinkError::Lost { endpoint: self.endpoint.clone(), cause: cause.into() }
    }

    /// Waits for the answer to a request, and tells what its failure means.
    async fn answer<T>(&mut self, request: impl Future<Output = Result<T, Error>>) -> Result<T, Fault> {
        if self.task.is_finished() {
            return Err(Fault::Over(self.lost("the server closed the session")));
        }
        // The library's own deadline comes first; this one holds where it does not.
        let outcome = tokio::time::timeout(self.timeout + Duration::from_secs(1), request).await;
        let error = match outcome {
            Ok(Ok(answer)) => {
                self.unanswered = 0;
                return Ok(answer);
            }
            Ok(Err(error)) => error,
            Err(_) => Error::new(StatusCode::BadTimeout, "no answer"),
        };
        let status = error.status();
        match verdict(status) {
            Verdict::Silent if self.unanswered + 1 >= UNANSWERED_MAX => {
                Err(Fault::Over(self.lost(format!("{UNANSWERED_MAX} requests in a row were not answered"))))
            }
            Verdict::Silent => {
                self.unanswered += 1;
                Err(Fault::Silent)
            }
            Verdict::Over => Err(Fault::Over(self.lost(crate::wire::explain(status.bits())))),
            Verdict::TooMuch => {
                self.unanswered = 0;
                Err(Fault::TooMuch)
            }
            Verdict::Refused => {
                self.unanswered = 0;
                Err(Fault::Refused(status))
            }
        }
    }

    /// Closes the session in good order.
    pub(crate) async fn leave(self) {
        self.inner.disable_reconnects();
        if tokio::time::timeout(LEAVE_MAX, self.inner.disconnect()).await.is_err() {
            tracing::debug!(endpoint = self.endpoint, "the server did not take leave in time");
        }
    }
}

/// What the status of a whole request means for the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Silent,
    Over,
    TooMuch,
    Refused,
}

fn verdict(status: StatusCode) -> Verdict {
    use StatusCode as S;
    match status {
        S::BadTimeout | S::BadRequestTimeout => Verdict::Silent,
        S::BadTooManyOperations
        | S::BadRequestTooLarge
        | S::BadResponseTooLarge
        | S::BadEncodingLimitsExceeded
        | S::BadTcpMessageTooLarge => Verdict::TooMuch,
        S::BadNotConnected
        | S::BadConnectionClosed
        | S::BadConnectionRejected
        | S::BadCommunicationError
        | S::BadSessionIdInvalid
        | S::BadSessionClosed
        | S::BadSessionNotActivated
        | S::BadSecureChannelClosed
        | S::BadSecureChannelIdInvalid
        | S::BadSecureChannelTokenUnknown
        | S::BadSecurityChecksFailed
        | S::BadTcpSecureChannelUnknown
        | S::BadTcpInternalError
        | S::BadSequenceNumberInvalid
        | S::BadServerHalted
        | S::BadShutdown
        | S::BadDecodingError => Verdict::Over,
        _ => Verdict::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_ends_the_session_or_the_request() {
        use StatusCode as S;
        for (status, expected) in [
            (S::BadTimeout, Verdict::Silent),
            (S::BadTooManyOperations, Verdict::TooMuch),
            (S::BadSessionIdInvalid, Verdict::Over),
            (S::BadSecureChannelClosed, Verdict::Over),
            (S::BadUserAccessDenied, Verdict::Refused),
            (S::BadNothingToDo, Verdict::Refused),
        ] {
            assert_eq!(verdict(status), expected, "{status}");
        }
    }
}
