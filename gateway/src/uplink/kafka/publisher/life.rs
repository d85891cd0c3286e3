//! The producer with its journal, from the first connect to the end of the process.

use std::collections::HashMap;
use std::time::Duration;

use buffer::{Cursor, SeqRange};
use tokio::time::Instant;
use tracing::error;

use crate::uplink::kafka::fleet::NodeId;
use crate::uplink::kafka::journal::{Entry, Journal, Mark};
use crate::uplink::kafka::producer::{Ask, Producer, Target};
use crate::uplink::{BoxFuture, Delivered};

/// How often a disk that refuses is tried again.
const WRITE_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// How often it is looked whether the journal has grown too long.
pub(super) const SHORTEN_EVERY: Duration = Duration::from_secs(10);

/// What is there once the journal is read.
pub(super) struct Life {
    pub(super) journal: Option<Journal>,
    pub(super) producer: Producer,
    pub(super) asks: HashMap<(NodeId, i32), Ask>,
    /// What waits for its connection.
    pub(super) waiting: Vec<(NodeId, Ask)>,
    pub(super) write_at: Option<Instant>,
    /// Questions that leave once the journal has been written.
    pub(super) unwritten: Vec<(Target, Ask)>,
    pub(super) entries: Vec<Entry>,
    pub(super) write_told: bool,
    pub(super) shorten_at: Instant,
    pub(super) shortening: Option<BoxFuture<'static, Option<Cursor>>>,
}

impl Life {
    /// Writes what is to be remembered; `false` while the disk refuses.
    pub(super) fn write(&mut self, now: Instant, uplink: &str) -> bool {
        if self.entries.is_empty() {
            return true;
        }
        if self.write_at.is_some_and(|at| at > now) {
            return false;
        }
        let written = self.journal.as_mut().map_or(Ok(()), |journal| journal.append(&self.entries));
        match written {
            Ok(()) => {
                self.entries.clear();
                (self.write_at, self.write_told) = (None, false);
                true
            }
            Err(cause) => {
                if !self.write_told {
                    self.write_told = true;
                    error!(uplink, "nothing is sent: what is sent cannot be remembered: {cause}. Look after the disk");
                }
                self.write_at = Some(now + WRITE_AGAIN_AFTER);
                false
            }
        }
    }

    pub(super) fn look_at_the_length(&mut self, now: Instant, delivered: Option<&Delivered>) {
        if self.shorten_at > now {
            return;
        }
        self.shorten_at = now + SHORTEN_EVERY;
        if let Some(delivered) = delivered.filter(|_| self.journal.as_ref().is_some_and(Journal::is_long)) {
            self.shortening.get_or_insert_with(|| delivered());
        }
    }

    pub(super) fn shorten(&mut self, cursor: Option<Cursor>, uplink: &str) {
        let (Some(cursor), Some(journal)) = (cursor, &mut self.journal) else { return };
        let is_delivered =
            |mark: &Mark| mark.job.is_some() || cursor.covers(SeqRange { first: mark.first, last: mark.last });
        if let Err(cause) = journal.shorten(is_delivered) {
            error!(uplink, "the journal of what was sent cannot be shortened: {cause}. Look after the disk");
        }
    }
}

/// What the log knows to be delivered, once it was asked; waits for ever while it was not.
pub(super) async fn shortening(reading: &mut Option<BoxFuture<'static, Option<Cursor>>>) -> Option<Cursor> {
    let Some(future) = reading else { return std::future::pending().await };
    let cursor = future.as_mut().await;
    *reading = None;
    cursor
}
