//! What an uplink has done, for metrics and status.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// One uplink's figures, since the start. They may be read at any time.
#[derive(Debug, Default)]
pub struct Counters {
    /// Messages that were handed over, those that were sent again included.
    pub sent: AtomicU64,
    /// Messages that the far side acknowledged.
    pub acknowledged: AtomicU64,
    /// Readings and gaps in acknowledged items.
    pub delivered_records: AtomicU64,
    /// Refusals by the far side.
    pub refused: AtomicU64,
    /// Messages that were put into quarantine.
    pub set_aside: AtomicU64,
    /// Acknowledgements and refusals that nobody waited for.
    pub unknown: AtomicU64,
    /// Tries to connect.
    pub connects: AtomicU64,
    /// Connections that ended without being asked to.
    pub losses: AtomicU64,
    /// Bytes to the far side.
    pub sent_bytes: AtomicU64,
    /// Bytes from the far side.
    pub received_bytes: AtomicU64,
    /// Messages on their way.
    pub in_flight: AtomicU64,
    /// Records in the log that the far side does not have yet.
    pub lag_records: AtomicU64,
    /// The share of the time that a backlog takes behind what is live, in percent; 0 while there is none.
    pub history_share_percent: AtomicU64,
    /// What the far side took of a backlog when that was last measured, bytes a second.
    pub history_throughput: AtomicU64,
    /// Readings that were sent once more because somebody asked for it.
    pub replayed_records: AtomicU64,
    /// Records of the log that the replay that runs has not looked at yet; 0 while none runs.
    pub replay_left: AtomicU64,
    /// Messages that may stand at the far side twice, though each was promised to stand there once.
    pub perhaps_doubled: AtomicU64,
    /// How often it had to be read at the far side what has arrived.
    pub tails_read: AtomicU64,
    /// How often what is written to was found to have been made anew.
    pub made_anew: AtomicU64,
    /// Whether there is a connection.
    pub connected: AtomicBool,
}

/// Counts `more` on.
pub(super) fn count(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

/// States a figure that goes up and down.
pub(super) fn state(gauge: &AtomicU64, value: u64) {
    gauge.store(value, Ordering::Relaxed);
}
