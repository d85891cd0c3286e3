//! The producer with its journal, from the first connect to the end of the process.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use buffer::{Cursor, SeqRange};
use tokio::task::{JoinHandle, spawn_blocking};
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
    /// Where what is sent is remembered; while it is [`Life::away`] nothing leaves.
    pub(super) journal: Option<Journal>,
    /// The journal while a thread that may wait for the disk has it.
    pub(super) away: Option<Away>,
    /// Whether what was appended did not get to the disk: the file is then written anew.
    pub(super) must_mend: bool,
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

/// A journal with another thread, and what came of it there.
pub(super) type Away = JoinHandle<(Journal, io::Result<()>)>;

impl Life {
    /// Writes what is to be remembered; `false` while the disk refuses or is waited for.
    pub(super) fn write(&mut self, now: Instant, uplink: &str) -> bool {
        if self.away.is_some() || self.write_at.is_some_and(|at| at > now) {
            return false;
        }
        if self.must_mend {
            self.send_away(|journal| journal.shorten(|_| false));
            return false;
        }
        if self.entries.is_empty() {
            return true;
        }
        let written = self.journal.as_mut().map_or(Ok(()), |journal| journal.append(&self.entries));
        match written {
            Ok(()) => {
                let is_urgent = self.entries.iter().any(Entry::must_be_durable);
                self.entries.clear();
                (self.write_at, self.write_told) = (None, false);
                if is_urgent {
                    self.send_away(Journal::sync);
                }
                self.away.is_none()
            }
            Err(cause) => {
                self.refused(&cause, now, uplink);
                false
            }
        }
    }

    fn refused(&mut self, cause: &io::Error, now: Instant, uplink: &str) {
        if !self.write_told {
            self.write_told = true;
            error!(uplink, "nothing is sent: what is sent cannot be remembered: {cause}. Look after the disk");
        }
        self.write_at = Some(now + WRITE_AGAIN_AFTER);
    }

    /// Hands the journal to a thread that may wait for the disk; the other uplinks do not wait with it.
    fn send_away(&mut self, work: impl FnOnce(&mut Journal) -> io::Result<()> + Send + 'static) {
        let Some(mut journal) = self.journal.take() else { return };
        self.away = Some(spawn_blocking(move || {
            let outcome = work(&mut journal);
            (journal, outcome)
        }));
    }

    /// The journal is here again.
    pub(super) fn brought_back(&mut self, (journal, outcome): (Journal, io::Result<()>), uplink: &str) {
        (self.journal, self.away) = (Some(journal), None);
        self.must_mend = outcome.is_err();
        match outcome {
            Ok(()) => (self.write_at, self.write_told) = (None, false),
            Err(cause) => self.refused(&cause, Instant::now(), uplink),
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

    pub(super) fn shorten(&mut self, cursor: Option<Cursor>) {
        let Some(cursor) = cursor else { return };
        self.send_away(move |journal| {
            journal.shorten(|mark: &Mark| {
                mark.job.is_some() || cursor.covers(SeqRange { first: mark.first, last: mark.last })
            })
        });
    }
}

/// The journal, once the thread that has it is done; waits for ever while none has it.
pub(super) async fn back(away: &mut Option<Away>) -> (Journal, io::Result<()>) {
    let Some(task) = away else { return std::future::pending().await };
    match task.await {
        Ok(done) => done,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends, and this with it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Waits until the journal is here again; for ever while it is not away.
pub(super) async fn brought_back(life: &mut Option<Life>, uplink: &str) {
    let Some(life) = life else { return std::future::pending().await };
    let done = back(&mut life.away).await;
    life.brought_back(done, uplink);
}

/// What the log knows to be delivered, once it was asked; waits for ever while it was not.
pub(super) async fn shortening(reading: &mut Option<BoxFuture<'static, Option<Cursor>>>) -> Option<Cursor> {
    let Some(future) = reading else { return std::future::pending().await };
    let cursor = future.as_mut().await;
    *reading = None;
    cursor
}
