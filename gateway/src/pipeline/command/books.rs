//! The audit trail as the desk keeps it: what happens when the disk refuses.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use driver_core::Timestamp;
use serde_json::{Map, Value as Json};
use tracing::{error, info};

use super::record;
use super::trail::Trail;

/// How many records wait for a disk that refuses; the oldest goes for another, and is counted.
const WAITING_MAX: usize = 256;

/// How often a disk that refused is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What happens to commands while the audit trail cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenAuditFails {
    /// They are refused.
    Refuse,
    /// They are executed, and what was not recorded is counted in the trail once it can be written again.
    Execute,
}

/// The audit trail, and what waits for it.
pub(super) struct Books {
    folder: PathBuf,
    bytes_max: u64,
    trail: State,
    waiting: VecDeque<Map<String, Json>>,
    /// Records that are gone.
    lost: u64,
    /// Whether something was added since the last sync.
    unsynced: bool,
    opened_at: Instant,
}

enum State {
    Open(Trail),
    /// It refused, and is tried again.
    Refused {
        again_at: Instant,
    },
}

impl Books {
    /// The trail in a folder; `each` is given what it holds of the last commands.
    pub(super) fn open(folder: PathBuf, bytes_max: u64, now: Instant, each: &mut dyn FnMut(&Json)) -> Books {
        let trail = match Trail::open(&folder, bytes_max, each) {
            Ok(trail) => State::Open(trail),
            Err(cause) => {
                error!("the audit trail of commands in {} cannot be read: {cause}", folder.display());
                State::Refused { again_at: now + AGAIN_AFTER }
            }
        };
        Books { folder, bytes_max, trail, waiting: VecDeque::new(), lost: 0, unsynced: false, opened_at: now }
    }

    /// Adds a record. It is on disk after the next [`Books::sync`] that succeeds; one that the disk refuses waits.
    pub(super) fn add(&mut self, record: Map<String, Json>) {
        if self.waiting.len() >= WAITING_MAX {
            self.waiting.pop_front();
            self.lost += 1;
        }
        self.waiting.push_back(record);
    }

    /// Whether something has to be written, or made durable.
    pub(super) fn is_behind(&self) -> bool {
        self.unsynced || self.lost > 0 || !self.waiting.is_empty()
    }

    /// Hands all that waits to the system: it survives the end of the process, and after [`Books::sync`] a power cut. `false`
    /// when the disk refuses.
    pub(super) fn write(&mut self, now: Instant, at: Timestamp) -> bool {
        self.tried(now, |books| books.write_out(at))
    }

    /// Writes all that waits and makes it durable; `false` when the disk refuses.
    pub(super) fn sync(&mut self, now: Instant, at: Timestamp) -> bool {
        self.tried(now, |books| {
            books.write_out(at)?;
            match &mut books.trail {
                State::Open(trail) if books.unsynced => trail.sync()?,
                State::Open(_) | State::Refused { .. } => {}
            }
            books.unsynced = false;
            Ok(())
        })
    }

    /// A disk that refused is tried at the next occasion, however soon that is.
    pub(super) fn try_at_once(&mut self) {
        if let State::Refused { again_at } = &mut self.trail {
            *again_at = self.opened_at;
        }
    }

    fn tried(&mut self, now: Instant, work: impl FnOnce(&mut Books) -> io::Result<()>) -> bool {
        let was_refused = match self.trail {
            State::Refused { again_at } if now < again_at => return false,
            State::Refused { .. } => true,
            State::Open(_) => false,
        };
        match work(self) {
            Ok(()) => {
                if was_refused {
                    info!("the audit trail of commands is written again");
                }
                true
            }
            Err(cause) => {
                if !was_refused {
                    error!(
                        "the audit trail of commands in {} cannot be written: {cause}. Free the disk, or give the \
                         gateway's user the right to write there",
                        self.folder.display()
                    );
                }
                self.trail = State::Refused { again_at: now + AGAIN_AFTER };
                false
            }
        }
    }

    fn write_out(&mut self, at: Timestamp) -> io::Result<()> {
        if let State::Refused { .. } = self.trail {
            self.trail = State::Open(Trail::open(&self.folder, self.bytes_max, &mut |_| {})?);
        }
        let State::Open(trail) = &mut self.trail else { return Err(io::Error::other("the trail is not open")) };
        if self.lost > 0 {
            trail.append(&record::lost(self.lost, at))?;
            (self.lost, self.unsynced) = (0, true);
        }
        while let Some(record) = self.waiting.front() {
            trail.append(record)?;
            self.waiting.pop_front();
            self.unsynced = true;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::trail::verify;
    use super::*;

    fn events(books: &Books) -> Vec<String> {
        let mut events = Vec::new();
        let found = verify(&books.folder, None, &mut |record| {
            events.extend(record["event"].as_str().map(|event| format!("{event} {}", record["records"])));
        });
        assert_eq!(found.expect("reads").broken, []);
        events
    }

    #[test]
    fn what_a_disk_refuses_waits_and_what_is_too_much_is_counted() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("commands");
        let start = Instant::now();
        let mut books = Books::open(folder.clone(), 1 << 20, start, &mut |_| {});
        books.add(record::lost(1, Timestamp(0)));
        assert!(books.sync(start, Timestamp(0)));
        // A file where the folder was: every access fails, whoever asks.
        let kept = root.path().join("kept");
        fs::rename(&folder, &kept).expect("renames");
        fs::write(&folder, "").expect("writes");
        let mut broken = Books::open(folder.clone(), 1 << 20, start, &mut |_| {});
        (0..WAITING_MAX + 7).for_each(|_| broken.add(record::lost(2, Timestamp(0))));
        assert!(!broken.sync(start, Timestamp(0)) && broken.is_behind());
        fs::remove_file(&folder).expect("removes");
        fs::rename(&kept, &folder).expect("renames");
        assert!(!broken.sync(start, Timestamp(0)), "not at each try");
        assert!(broken.sync(start + AGAIN_AFTER, Timestamp(0)) && !broken.is_behind());
        let events = events(&broken);
        assert_eq!(events.len(), 1 + 1 + WAITING_MAX);
        assert_eq!(events[1], "lost 7");
    }
}
