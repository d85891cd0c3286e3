//! The store thread: encodes what was polled, appends it to the log, and serves the uplinks' reads and acknowledgements.
//!
//! It is the only thread that touches the log, apart from the one that waits for the disk in an fsync. What it cannot
//! write it keeps and tries again; polls go on meanwhile, until the queue before it is full.

mod inbox;
mod holds;
mod pending;
mod repack;
mod risk;
mod syncer;
mod thin;
mod worker;

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use buffer::{Identity, Item, Seq, SeqRange, Stats, Store, UplinkOptions};
use driver_core::{Clock, Reading};
use tokio::sync::{oneshot, watch};

use self::holds::Holds;
use self::inbox::{Inbox, Request};
use self::worker::Worker;
use super::schema::{Schema, Schemas};
use super::tags::Tags;

/// When what was appended is made durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncPolicy {
    /// Before anything else happens.
    Always,
    /// At most this long after it was appended.
    Every(Duration),
}

/// What the store thread is made of.
pub struct StoreSetup {
    /// The log.
    pub store: Box<dyn Store>,
    /// Opens it again, should it panic.
    pub reopen: Reopen,
    /// The names behind the tag ids of its blocks.
    pub schemas: Schemas,
    /// The tags, which say of what class their readings are.
    pub tags: Arc<Tags>,
    /// When what was appended is made durable.
    pub policy: SyncPolicy,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

/// What a read of the log gave.
#[derive(Debug)]
pub struct Page {
    /// Blocks and gaps in the order of their seqs.
    pub items: Vec<Item>,
    /// From where to read on.
    pub next: Seq,
}

/// Opens the store again after a panic in it, for the uplinks that were declared last where that was after the start.
pub type Reopen = Box<dyn FnMut(Option<&[UplinkOptions]>) -> buffer::Result<Box<dyn Store>> + Send>;

/// The store thread is gone; the gateway is stopping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the store has been closed")]
pub struct StoreClosed;

/// The door for polls.
#[derive(Clone)]
pub struct Intake {
    inbox: Arc<Inbox>,
    progress: Arc<Progress>,
}

impl Intake {
    /// Hands readings over without waiting. `false`: the queue is full, and they are counted as lost.
    pub fn offer(&self, readings: Vec<Reading>) -> bool {
        let count = readings.len() as u64;
        let taken = self.inbox.offer(readings);
        if !taken {
            self.progress.lost.fetch_add(count, Ordering::Relaxed);
        }
        taken
    }

    /// An empty vector for the next poll.
    pub fn spare(&self) -> Vec<Reading> {
        self.inbox.spare()
    }
}

/// The door for uplinks and for whoever wants figures.
#[derive(Clone)]
pub struct StoreHandle {
    inbox: Arc<Inbox>,
    end: watch::Receiver<Seq>,
    identity: Identity,
    progress: Arc<Progress>,
    holds: Arc<Holds>,
}

/// Figures that anyone may look at while the thread works.
#[derive(Debug, Default)]
pub struct Progress {
    /// Readings that are in the log.
    pub accepted: AtomicU64,
    /// Readings that found the queue full, or a log that could not take them.
    pub lost: AtomicU64,
    /// Raised each time that the thread comes round.
    pub rounds: AtomicU64,
    /// Whether the last write was refused.
    pub failing: AtomicBool,
    /// Why the log lies in memory.
    trouble: Mutex<Option<String>>,
}

impl Progress {
    /// Why the log lies in memory; `None` while it lies in its folder.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// States why the log lies in memory; gives what was stated before.
    fn set_trouble(&self, why: Option<String>) -> Option<String> {
        std::mem::replace(&mut *self.trouble.lock().unwrap_or_else(PoisonError::into_inner), why)
    }
}

impl StoreHandle {
    /// The items from `from` on, about `bytes_max` payload bytes; empty at the end of the log, and before it while the
    /// disk refuses.
    pub async fn read(&self, from: Seq, bytes_max: usize) -> Result<Page, StoreClosed> {
        self.ask(|reply| Request::Read { from, bytes_max, reply }).await
    }

    /// The seq of the first block with a reading at or after this time, nanoseconds since 1970 UTC; the end of the log
    /// where there is none, or the disk refuses.
    pub async fn seek(&self, t_ns: i64) -> Result<Seq, StoreClosed> {
        self.ask(|reply| Request::Seek { t_ns, reply }).await
    }

    /// Where an uplink stands; `None` for one that was not declared.
    pub async fn cursor(&self, uplink: &str) -> Result<Option<buffer::Cursor>, StoreClosed> {
        self.ask(|reply| Request::Cursor { uplink: uplink.into(), reply }).await
    }

    /// Marks seqs as delivered by one uplink. Not more wait here than an uplink has in its window.
    pub fn acknowledge(&self, uplink: &Arc<str>, seqs: Vec<SeqRange>) {
        self.inbox.request(Request::Acknowledge { uplink: uplink.clone(), seqs });
    }

    /// Blocks with any of these seqs stay as they are, until the uplink says otherwise: they are neither put together nor
    /// thinned.
    pub fn hold(&self, uplink: &str, seqs: Vec<SeqRange>) {
        self.holds.set(uplink, seqs);
    }

    /// The names behind a block's tag ids; `None` when they are no longer known.
    pub async fn schema(&self, id: u32) -> Result<Option<Arc<Schema>>, StoreClosed> {
        self.ask(|reply| Request::Schema { id, reply }).await
    }

    /// Names what is stored from here on by these tags, which have all ids that were there before. The names are kept
    /// durably first; on an error nothing has changed.
    pub async fn name(&self, tags: &Arc<Tags>) -> Result<io::Result<()>, StoreClosed> {
        self.ask(|reply| Request::Name { tags: tags.clone(), reply }).await
    }

    /// States which uplinks must get every reading from here on. The place of one that is not among them is forgotten.
    pub async fn declare(&self, uplinks: &[UplinkOptions]) -> Result<buffer::Result<()>, StoreClosed> {
        self.ask(|reply| Request::Declare { uplinks: uplinks.to_vec(), reply }).await
    }

    /// The state of the log in figures.
    pub async fn stats(&self) -> Result<Stats, StoreClosed> {
        self.ask(|reply| Request::Stats { reply }).await
    }

    /// The seq after the last one, and notice whenever it grows.
    pub fn end(&self) -> watch::Receiver<Seq> {
        self.end.clone()
    }

    /// Whether the thread has ended.
    pub fn is_over(&self) -> bool {
        self.inbox.is_closed()
    }

    /// Waits until the thread has ended.
    pub async fn over(&self) {
        let mut end = self.end();
        while end.changed().await.is_ok() {}
    }

    /// Whose log this is.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// The thread's figures.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// A request that is lost because the store panicked is made again: it is being opened again.
    async fn ask<T>(&self, request: impl Fn(oneshot::Sender<T>) -> Request) -> Result<T, StoreClosed> {
        loop {
            let (reply, answer) = oneshot::channel();
            self.inbox.request(request(reply));
            match answer.await {
                Ok(answer) => return Ok(answer),
                Err(_) if self.inbox.is_closed() => return Err(StoreClosed),
                Err(_) => {}
            }
        }
    }
}

/// The running thread.
pub struct StoreThread {
    inbox: Arc<Inbox>,
    thread: JoinHandle<()>,
}

impl StoreThread {
    /// Starts the thread that owns the store.
    pub fn start(setup: StoreSetup) -> io::Result<(StoreThread, Intake, StoreHandle)> {
        let inbox = Arc::new(Inbox::default());
        let progress = Arc::new(Progress::default());
        let (end, end_seen) = watch::channel(0);
        let identity = setup.store.identity();
        let holds = Arc::new(Holds::default());
        let worker = Worker::new(inbox.clone(), progress.clone(), holds.clone(), end, setup)?;
        let thread = thread::Builder::new().name("store".into()).spawn(move || worker.run())?;
        let intake = Intake { inbox: inbox.clone(), progress: progress.clone() };
        let handle = StoreHandle { inbox: inbox.clone(), end: end_seen, identity, progress, holds };
        Ok((StoreThread { inbox, thread }, intake, handle))
    }

    /// Whether the thread has ended, which it does by itself only when it panicked more than once.
    pub fn is_over(&self) -> bool {
        self.inbox.is_closed()
    }

    /// Writes what waits, makes it durable, and ends the thread. `false`: the thread had panicked.
    pub fn stop(self) -> bool {
        self.inbox.stop();
        self.thread.join().is_ok()
    }
}

#[cfg(test)]
mod tests;
