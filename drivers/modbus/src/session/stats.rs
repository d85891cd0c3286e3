//! What a session has done so far, in numbers.

use crate::wire::MismatchCounts;

/// Counters of one session; they never go back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionStats {
    /// Requests sent, broadcasts and markers among them.
    pub requests: u64,
    /// Requests that were answered as asked.
    pub responses: u64,
    /// Requests that the device refused.
    pub exceptions: u64,
    /// Requests without an answer in time.
    pub timeouts: u64,
    /// Extra reads after a timeout on a serial line, which show that no late answer is to be expected any more.
    pub markers: u64,
    /// Bytes sent.
    pub bytes_sent: u64,
    /// Bytes received, whatever became of them.
    pub bytes_received: u64,
    /// Bytes received that answered nothing.
    pub bytes_dropped: u64,
    /// What was dropped, by reason.
    pub dropped: MismatchCounts,
}
