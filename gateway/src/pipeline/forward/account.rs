//! What an uplink tells of itself: to the log, what is done; to the metrics, how it goes.

use std::time::Duration;

use tokio::time::Instant;

use super::Forward;
use super::backlog::Backlog;
use super::counters::{count, state};
use crate::uplink::Lane;

/// What was acknowledged is told to the log at most this often; so much is sent twice after a kill.
const COMMIT_EVERY: Duration = Duration::from_millis(100);

impl<B: Backlog> Forward<B> {
    pub(super) fn commit_soon(&mut self) {
        if self.commit_at.is_none() {
            self.commit_at = Some(Instant::now() + COMMIT_EVERY);
        }
    }

    /// Tells the log what is done, and counts.
    pub(super) fn commit(&mut self) {
        self.commit_at = None;
        let mut done = self.window.take_done(Lane::Live);
        done.append(&mut self.window.take_done(Lane::History));
        self.lanes.look(&self.window);
        let end = *self.end.borrow();
        let pending = self.delivered.pending(end);
        for range in &done {
            self.delivered.acknowledge(*range);
        }
        if !done.is_empty() {
            count(&self.counters.delivered_records, pending.saturating_sub(self.delivered.pending(end)));
            self.log.acknowledge(done);
        }
        self.count_waiting();
        let share = if self.lanes.is_draining() { self.lanes.pace().share_percent() } else { 0 };
        state(&self.counters.history_share_percent, share);
        state(&self.counters.history_throughput, self.lanes.pace().throughput());
        state(&self.counters.replayed_records, self.lanes.replayed());
        state(&self.counters.replay_left, self.lanes.replay_left());
        let traffic = self.publisher.traffic();
        state(&self.counters.sent_bytes, traffic.sent_bytes);
        state(&self.counters.received_bytes, traffic.received_bytes);
        let degraded = self.publisher.degraded();
        state(&self.counters.perhaps_doubled, degraded.perhaps_doubled);
        state(&self.counters.tails_read, degraded.tails_read);
        state(&self.counters.made_anew, degraded.made_anew);
    }

    pub(super) fn count_waiting(&self) {
        state(&self.counters.lag_records, self.delivered.pending(*self.end.borrow()));
    }
}
