//! What waits goes into the log: as blocks of one class, and what was lost as a gap behind it.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use buffer::{BLOCK_PAYLOAD_BYTES_MAX, Class};
use driver_core::Reading;
use tracing::error;

use super::{RETRY_AFTER, Work, Worker, note_gaps, opened};

/// The log is written to at most this often, unless more waits than one flush takes: it bounds wake-ups and adds at most
/// this much to a reading's way.
const FLUSH_PACE: Duration = Duration::from_millis(100);

/// How many readings are appended in one go.
const FLUSH_READINGS_MAX: usize = 32_768;

impl Worker {
    /// Appends what waits, as much as one flush takes; whether something did. What the disk refuses stays pending and is
    /// tried again.
    pub(super) fn flush(&mut self, now: Instant) -> bool {
        let room = FLUSH_READINGS_MAX.saturating_sub(self.pending.len());
        if room > 0 {
            let lost = self.inbox.take(FLUSH_READINGS_MAX, &mut self.pending);
            self.lost.merge(lost);
            if !self.one_class {
                // A tag has one class, so its readings stay in their order.
                let (tags, inbox) = (&self.tags, &self.inbox);
                self.pending.sort_by_key(|reading| tags.class(reading.tag).index(), |empty| inbox.keep(empty));
            }
        }
        if self.pending.is_empty() && self.lost.count == 0 {
            return false;
        }
        let is_full = self.pending.len() >= FLUSH_READINGS_MAX;
        self.not_before = if is_full { now } else { now + FLUSH_PACE };
        let appended = self.append();
        let done = self.noted(Work::Append, appended).is_some();
        if !done {
            self.not_before = now + RETRY_AFTER;
        }
        self.due_sync();
        self.publish_end();
        done
    }

    /// What was lost is declared behind what waited, once for as long as the disk refused.
    fn append(&mut self) -> buffer::Result<()> {
        while !self.pending.is_empty() {
            let count = self.append_blocks()?;
            self.pending.remove(count, |empty| self.inbox.keep(empty));
        }
        let lost = std::mem::take(&mut self.lost);
        if lost.count > 0 {
            opened(&mut self.store).discard(Class::Normal, lost.count, lost.time_ns)?;
        }
        if lost.count > 0 && !self.losing {
            error!(
                readings = lost.count,
                "the disk is slower than the polls, or refused for too long: readings were lost and are declared as a gap"
            );
        }
        self.losing = lost.count > 0;
        Ok(())
    }

    /// Appends as many blocks as one flush holds; returns how many readings are in the log now, or declared lost.
    fn append_blocks(&mut self) -> buffer::Result<usize> {
        let (class, readings) = self.first_class();
        let readings = self.pending.first_of(readings);
        let count = self.batch.fill(&mut self.encoder, readings, self.schemas.current());
        if count == 0 {
            return self.give_up_first();
        }
        let blocks = self.batch.blocks();
        let appended = match opened(&mut self.store).append(class, &blocks) {
            Err(cause) if cause.is_disk_full() => {
                note_gaps(&opened(&mut self.store).make_room()?);
                opened(&mut self.store).append(class, &blocks)?
            }
            other => other?,
        };
        self.progress.accepted.fetch_add(count as u64, Ordering::Relaxed);
        note_gaps(&appended.gaps);
        Ok(count)
    }

    /// The class of the first reading that waits, and how many of it there are before one of another.
    fn first_class(&self) -> (Class, usize) {
        let class = |reading: &Reading| self.tags.class(reading.tag);
        match self.pending.first().filter(|_| !self.one_class).map(class) {
            None => (Class::Normal, self.pending.len()),
            Some(first) => (first, self.pending.count_while(|reading| class(reading) == first)),
        }
    }

    /// The first reading alone is larger than a block may be.
    fn give_up_first(&mut self) -> buffer::Result<usize> {
        let Some(reading) = self.pending.first() else { return Ok(0) };
        error!(
            tag = reading.tag.0,
            "a value is larger than the log's {BLOCK_PAYLOAD_BYTES_MAX} bytes and is declared lost"
        );
        let at = reading.timestamp.0;
        let class = self.tags.class(reading.tag);
        opened(&mut self.store).discard(class, 1, Some((at, at)))?;
        self.progress.lost.fetch_add(1, Ordering::Relaxed);
        Ok(1)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::{reading, setup};
    use super::*;
    use crate::pipeline::store::holds::Holds;
    use crate::pipeline::store::inbox::Inbox;
    use crate::pipeline::store::{Progress, SyncPolicy};
    use buffer::{Log, Options};
    use std::sync::Arc;
    use std::sync::atomic::Ordering;
    use tokio::sync::watch;

    #[test]
    fn the_pace_is_for_what_one_flush_takes_and_more_than_that_does_not_wait_for_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Box::new(Log::open(folder.path(), &Options::new(["cloud"])).expect("the log opens"));
        let (inbox, progress) = (Arc::new(Inbox::default()), Arc::new(Progress::default()));
        let setup = setup(folder.path(), store, SyncPolicy::Every(Duration::from_secs(1)));
        let (end, _seen) = watch::channel(0);
        let mut worker =
            Worker::new(inbox.clone(), progress.clone(), Arc::new(Holds::default()), end, setup).expect("a worker");
        for start in (0..3).map(|flush| flush * FLUSH_READINGS_MAX) {
            assert!(inbox.offer((start..start + FLUSH_READINGS_MAX).map(|number| reading(number as i64)).collect()));
        }
        let now = Instant::now();
        for flush in 1..=3 {
            assert!(worker.flush(now));
            assert_eq!(worker.not_before, now, "after {flush}");
            assert_eq!(progress.accepted.load(Ordering::Relaxed), (flush * FLUSH_READINGS_MAX) as u64);
        }
        assert!(inbox.offer(vec![reading(0)]));
        assert!(worker.flush(now));
        assert_eq!(worker.not_before, now + FLUSH_PACE);
    }
}
