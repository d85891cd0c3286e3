//! Messages out of the quarantine, offered once more because somebody asked for it.
//!
//! The file is read page by page; a message goes out as it was refused, under the same numbers. What the far side takes now
//! leaves the file at the end of the job, what it refuses stays there. After a kill in between, what was delivered is
//! offered once more: no message leaves the file before it is delivered.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio::task::{JoinHandle, spawn_blocking};
use tracing::error;

use super::quarantine::{Digest, KeptMessages, Quarantine};
use super::replay::{Job, Jobs, What};
use super::window::Window;
use crate::uplink::{Lane, Message, Token};

/// So many messages, or bytes of them, are held at once; one message alone may have more.
const PAGE_MESSAGES: usize = 512;
const PAGE_BYTES: usize = 512 << 10;

/// Asks the gateway that has this buffer, running or not, to offer messages of a quarantine once more; without numbers,
/// all. Returns the job's number.
///
/// # Errors
/// Nothing of that is in quarantine, or the disk refuses.
pub fn ask(buffer: &Path, uplink: &str, numbers: &BTreeSet<u64>) -> Result<u32, NotAsked> {
    let (mut digests, mut unknown, mut is_empty) = (BTreeSet::new(), numbers.clone(), true);
    for kept in Quarantine::beside(buffer, uplink).messages()? {
        let kept = kept?;
        is_empty = false;
        if unknown.remove(&kept.number) {
            digests.insert(kept.digest());
        }
    }
    match unknown.first() {
        Some(number) => Err(NotAsked::Unknown(*number)),
        None if is_empty => Err(NotAsked::Empty),
        None => Ok(Jobs::beside(buffer).add(Job::asked(uplink, What::Quarantined(digests)))?),
    }
}

/// Why nothing was asked for.
#[derive(Debug, thiserror::Error)]
pub enum NotAsked {
    /// There is no such message.
    #[error("there is no message {0} in the quarantine: `forebay buffer quarantine list` has them all")]
    Unknown(u64),
    /// There is nothing to be offered.
    #[error("nothing of this uplink is in quarantine")]
    Empty,
    /// The disk refuses, or too many jobs wait.
    #[error("the request cannot be written beside the buffer: {0}")]
    Disk(#[from] io::Error),
}

/// What a page of the quarantine has, and the rest of the file.
type Page = (VecDeque<(Message, Digest)>, KeptMessages);

/// The messages of one job.
pub(super) struct Retry {
    quarantine: Quarantine,
    wanted: Arc<BTreeSet<Digest>>,
    lane: Lane,
    waiting: VecDeque<(Message, Digest)>,
    on_their_way: BTreeMap<Token, Digest>,
    delivered: BTreeSet<Digest>,
    delivered_count: u64,
    refused_count: u64,
    step: Step,
}

/// How far it is.
enum Step {
    /// A page is being read.
    Reads(JoinHandle<io::Result<Page>>),
    /// What was read is offered; the rest of the file follows.
    Offers(KeptMessages),
    /// All have come back: what was delivered is being taken out of the file.
    Removes(JoinHandle<io::Result<u64>>),
    /// Nothing is left to be done.
    Over,
}

impl Retry {
    pub(super) fn new(job: &Job, quarantine: Quarantine) -> Retry {
        let wanted = match &job.what {
            What::Quarantined(digests) => Arc::new(digests.clone()),
            What::Range(_) => Arc::default(),
        };
        let lane = Lane::Replay(job.number);
        let (of, wanted_of_page) = (quarantine.clone(), wanted.clone());
        let step = Step::Reads(spawn_blocking(move || page(of.messages()?, lane, &wanted_of_page)));
        Retry {
            quarantine,
            wanted,
            lane,
            waiting: VecDeque::new(),
            on_their_way: BTreeMap::new(),
            delivered: BTreeSet::new(),
            delivered_count: 0,
            refused_count: 0,
            step,
        }
    }

    /// Begins with the next page once all of one have come back.
    pub(super) fn read_on(&mut self) {
        if !self.waiting.is_empty() || !self.on_their_way.is_empty() {
            return;
        }
        self.step = match std::mem::replace(&mut self.step, Step::Over) {
            Step::Offers(rest) => {
                let (lane, wanted) = (self.lane, self.wanted.clone());
                Step::Reads(spawn_blocking(move || page(rest, lane, &wanted)))
            }
            other => other,
        };
    }

    /// Waits until a page was read, or what was delivered is gone from the file. May be dropped and called again.
    pub(super) async fn arrived(&mut self) {
        match &mut self.step {
            Step::Reads(reading) => match joined(reading.await) {
                Ok((messages, rest)) if !messages.is_empty() => {
                    self.waiting = messages;
                    self.step = Step::Offers(rest);
                }
                Ok(_) => self.end(),
                Err(cause) => {
                    error!("cannot read the quarantine {}: {cause}", self.quarantine.path().display());
                    self.end();
                }
            },
            Step::Removes(removing) => {
                if let Err(cause) = joined(removing.await) {
                    let path = self.quarantine.path().display();
                    error!(
                        "messages that are delivered now could not be taken out of {path}: {cause}. They stay there"
                    );
                }
                self.step = Step::Over;
            }
            Step::Offers(_) | Step::Over => std::future::pending().await,
        }
    }

    fn end(&mut self) {
        let (quarantine, delivered) = (self.quarantine.clone(), std::mem::take(&mut self.delivered));
        self.step = match delivered.is_empty() {
            true => Step::Over,
            false => Step::Removes(spawn_blocking(move || quarantine.remove_known(&delivered))),
        };
    }

    /// Whether something is ready to be sent.
    pub(super) fn has_more(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Moves the next message into the window; its bytes, or `None` where there is none.
    pub(super) fn make(&mut self, window: &mut Window) -> Option<usize> {
        let (message, digest) = self.waiting.pop_front()?;
        let bytes = message.size_bytes();
        self.on_their_way.insert(message.token, digest);
        window.begin(self.lane, message.seqs);
        window.add(message);
        window.end(self.lane);
        Some(bytes)
    }

    /// A message has come back.
    pub(super) fn returned(&mut self, token: Token, is_delivered: bool) {
        match self.on_their_way.remove(&token) {
            Some(digest) if is_delivered => {
                self.delivered_count += 1;
                self.delivered.insert(digest);
            }
            Some(_) => self.refused_count += 1,
            None => {}
        }
    }

    /// How many the far side has now, and how many it refused once more.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.delivered_count, self.refused_count)
    }

    /// Whether all came back, and what was delivered is out of the file.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.step, Step::Over)
    }
}

/// A panic of the thread that reads is an error like that of the disk.
fn joined<T>(ended: Result<io::Result<T>, tokio::task::JoinError>) -> io::Result<T> {
    ended.unwrap_or_else(|panic| Err(io::Error::other(panic)))
}

/// The next messages that are wanted. A line that cannot be understood stays where it is.
fn page(mut rest: KeptMessages, lane: Lane, wanted: &BTreeSet<Digest>) -> io::Result<Page> {
    let (mut messages, mut bytes) = (VecDeque::new(), 0);
    while messages.len() < PAGE_MESSAGES && bytes < PAGE_BYTES {
        let Some(kept) = rest.next().transpose()? else { break };
        let digest = kept.digest();
        if !wanted.is_empty() && !wanted.contains(&digest) {
            continue;
        }
        if let Some(message) = kept.message(lane) {
            bytes += message.size_bytes();
            messages.push_back((message, digest));
        }
    }
    Ok((messages, rest))
}
