//! What waits goes into the log: as blocks of one class, and what was lost as a gap behind it.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use buffer::{BLOCK_PAYLOAD_BYTES_MAX, Class};
use driver_core::Reading;
use tracing::error;

use super::{RETRY_AFTER, Work, Worker, note_gaps, opened};

/// The log is written to at most this often: it bounds wake-ups and adds at most this much to a reading's way.
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
                self.pending.sort_by_key(|reading| self.tags.class(reading.tag).index());
            }
        }
        if self.pending.is_empty() && self.lost.count == 0 {
            return false;
        }
        self.not_before = now + FLUSH_PACE;
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
            self.pending.drain(..count);
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
        let count = self.batch.fill(&mut self.encoder, &self.pending[..readings], self.schemas.current());
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
            Some(first) => (first, self.pending.iter().take_while(|reading| class(reading) == first).count()),
        }
    }

    /// The first reading alone is larger than a block may be.
    fn give_up_first(&mut self) -> buffer::Result<usize> {
        let reading = &self.pending[0];
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
