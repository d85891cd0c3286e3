//! What the store thread does beside taking readings in: making them durable, letting go of what is delivered, and making
//! room.

use std::time::{Duration, Instant};

use buffer::{Class, Pressure, Replaced, Stretch, Synced};
use driver_core::ClockState;
use tracing::warn;

use super::{RETRY_AFTER, Work, Worker, note_gaps, opened};
use crate::pipeline::store::SyncPolicy;
use crate::pipeline::store::repack::{Job, LEVEL_REPACKED, Thinning};
use crate::pipeline::store::thin;

/// How often acknowledged segments are removed and the age bound acts.
pub(super) const TRIM_EVERY: Duration = Duration::from_secs(2);

/// How often files are turned, so that what is delivered goes before the system has written it: that is after 30 s.
pub(super) const TURN_EVERY: Duration = Duration::from_secs(18);

impl Worker {
    pub(super) fn due_sync(&mut self) {
        let Some(first) = opened(&mut self.store).at_risk().filter(|_| self.sync_at.is_none()) else { return };
        match self.policy {
            SyncPolicy::Always => self.sync(),
            SyncPolicy::Every(interval) => {
                self.sync_at = Some(self.risk.due(first, interval).unwrap_or_else(|| Instant::now() + interval));
            }
        }
    }

    /// Waits for the disk. What it does not make durable is in the log all the same, and is tried again.
    fn sync(&mut self) {
        let synced = opened(&mut self.store).sync();
        let done = self.noted(Work::Sync, synced);
        self.sync_at = done.is_none().then(|| Instant::now() + RETRY_AFTER);
    }

    pub(super) fn begin_sync(&mut self, now: Instant) {
        if self.policy == SyncPolicy::Always {
            return self.sync();
        }
        self.sync_at = None;
        // Much has been delivered meanwhile.
        self.due_sync();
        if self.sync_at.is_none_or(|at| at > now) {
            return;
        }
        self.sync_at = None;
        match opened(&mut self.store).begin_sync() {
            Ok(Some(job)) => self.syncing = self.syncer.begin(job),
            Ok(None) => {}
            Err(cause) => {
                self.noted::<()>(Work::Sync, Err(cause));
                self.sync_at = Some(now + RETRY_AFTER);
            }
        }
    }

    pub(super) fn end_sync(&mut self, synced: Synced) {
        self.syncing = false;
        let ended = opened(&mut self.store).end_sync(synced);
        if self.noted(Work::Sync, ended).is_none() {
            self.sync_at = Some(Instant::now() + RETRY_AFTER);
        }
        if !self.pending.is_empty() {
            self.not_before = Instant::now();
        }
        self.due_sync();
    }

    pub(super) fn trim(&mut self, now: Instant) {
        self.trim_at = now + TRIM_EVERY;
        if now >= self.turn_at {
            self.turn_at = now + TURN_EVERY;
            opened(&mut self.store).turn();
        }
        self.begin_release();
        self.schemas.keep();
        let (time, state) = self.clock.now();
        let trimmed = opened(&mut self.store).trim((state == ClockState::Synchronized).then_some(time.0));
        if let Some(gaps) = self.noted(Work::Trim, trimmed) {
            note_gaps(&gaps);
        }
        self.repack();
    }

    /// Makes room while there is time: bulk is thinned when there is hardly any left, and else what lies there as small
    /// blocks is put together.
    fn repack(&mut self) {
        if self.repacking.is_some() {
            return;
        }
        let Some((stretch, level)) = self.next_thinned().or_else(|| self.next_repacked()) else { return };
        let begun = opened(&mut self.store).replace(&stretch, level);
        let thinning = thin::window(level).map_or(Thinning::Nothing, Thinning::Windows);
        if let Some(Some(replacement)) = self.noted(Work::Repack, begun) {
            if thinning != Thinning::Nothing && !self.thinning {
                self.thinning = true;
                warn!(
                    "the buffer is nearly full: of readings with `class: bulk` only the first, lowest, highest and last of \
                     each window are kept; what is left out is declared"
                );
            }
            let seqs = stretch.seqs;
            self.repacking = self.repacker.begin(Job { stretch, replacement, thinning }).then_some(seqs);
        }
    }

    /// The newest sealed blocks that some uplink waits for and nobody has put together: what is oldest may be leaving just
    /// now.
    fn next_repacked(&mut self) -> Option<(Stretch, u8)> {
        let store = opened(&mut self.store);
        let pinned = store.stats().pinned_seq;
        let is_due = |stretch: &Stretch| {
            stretch.level < LEVEL_REPACKED && stretch.seqs.first >= pinned && !self.holds.touch(stretch.seqs)
        };
        let newest = |class: &Class| store.sealed(*class).into_iter().rfind(is_due);
        Class::ALL.iter().rev().find_map(newest).map(|stretch| (stretch, LEVEL_REPACKED))
    }

    /// The oldest of the finest sealed blocks of bulk, while nothing else makes room. The first that an uplink waits for may
    /// be leaving just now, and stays.
    fn next_thinned(&mut self) -> Option<(Stretch, u8)> {
        let store = opened(&mut self.store);
        let stats = store.stats();
        if stats.pressure < Pressure::Downsample {
            self.thinning = false;
            return None;
        }
        let waiting = store.sealed(Class::Bulk).into_iter().filter(|stretch| stretch.seqs.first >= stats.pinned_seq);
        let free = waiting.skip(1).filter(|stretch| !self.holds.touch(stretch.seqs));
        let finest = free.filter_map(|stretch| Some((thin::next_level(stretch.level)?, stretch)));
        let (level, stretch) = finest.min_by_key(|(level, stretch)| (*level, stretch.seqs.first))?;
        Some((stretch, level))
    }

    pub(super) fn end_repack(&mut self, replaced: Option<Box<Replaced>>) {
        let seqs = self.repacking.take();
        // What an uplink has sent of it meanwhile has to stay: then the old blocks do.
        let is_free = seqs.is_none_or(|seqs| !self.holds.touch(seqs));
        if let Some(replaced) = replaced.filter(|_| is_free) {
            let ended = opened(&mut self.store).end_replace(*replaced);
            self.noted(Work::Repack, ended);
        }
        if self.thinning {
            self.repack();
        }
    }

    /// What the uplinks have is made durable by itself, so that files go whose readings never were.
    fn begin_release(&mut self) {
        if self.syncing {
            return;
        }
        match opened(&mut self.store).begin_release() {
            Ok(Some(job)) => self.syncing = self.syncer.begin(job),
            Ok(None) => {}
            Err(cause) => drop(self.noted::<()>(Work::Sync, Err(cause))),
        }
    }
}
