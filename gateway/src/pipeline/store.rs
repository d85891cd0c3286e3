//! The store thread: encodes what was polled, appends it to the log, and serves the uplinks' reads and acknowledgements.
//!
//! It is the only thread that touches the log, apart from the one that waits for the disk in an fsync. What it cannot
//! write it keeps and tries again; polls go on meanwhile, until the queue before it is full.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use buffer::{
    BLOCK_PAYLOAD_BYTES_MAX, Class, Gap, Identity, Item, Meta, NewBlock, Seq, SeqRange, Stats, Store, SyncJob, Synced,
};
use driver_core::{Clock, ClockState, Reading};
use tokio::sync::{oneshot, watch};
use tracing::{error, info, warn};

use super::batch::{Inbox, Lost};
use super::encode::Encoder;
use super::schema::{Schema, Schemas};

/// The log is written to at most this often: it bounds wake-ups and adds at most this much to a reading's way.
const FLUSH_PACE: Duration = Duration::from_millis(20);

/// How many readings make a block: large enough that the columns pay, small enough to stay a few KiB.
const BLOCK_READINGS: usize = 2_048;

/// How many readings are appended in one go.
const FLUSH_READINGS_MAX: usize = 16 * BLOCK_READINGS;

/// Blocks are appended together up to about this many bytes; the log takes 1 MiB at once.
const APPEND_BYTES: usize = 256 << 10;

/// How often acknowledged segments are removed and the age bound acts.
const TRIM_EVERY: Duration = Duration::from_secs(2);

/// How long to wait before trying again what the disk refused.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// How long an end waits for a sync that is under way.
const CLOSE_WITHIN: Duration = Duration::from_secs(10);

/// When what was appended is made durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncPolicy {
    /// Before anything else happens.
    Always,
    /// At most this long after it was appended.
    Every(Duration),
}

/// What a read of the log gave.
#[derive(Debug)]
pub struct Page {
    /// Blocks and gaps in the order of their seqs.
    pub items: Vec<Item>,
    /// From where to read on.
    pub next: Seq,
}

/// The store thread is gone; the gateway is stopping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the store has been closed")]
pub struct StoreClosed;

/// What is asked of the store thread.
pub(super) enum Request {
    Read { from: Seq, bytes_max: usize, reply: oneshot::Sender<Page> },
    Cursor { uplink: Box<str>, reply: oneshot::Sender<Option<buffer::Cursor>> },
    Acknowledge { uplink: Arc<str>, seqs: Vec<SeqRange> },
    Schema { id: u32, reply: oneshot::Sender<Option<Arc<Schema>>> },
    Stats { reply: oneshot::Sender<Stats> },
    Synced(Synced),
}

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
}

impl StoreHandle {
    /// The items from `from` on, about `bytes_max` payload bytes; empty at the end of the log.
    pub async fn read(&self, from: Seq, bytes_max: usize) -> Result<Page, StoreClosed> {
        self.ask(|reply| Request::Read { from, bytes_max, reply }).await
    }

    /// Where an uplink stands; `None` for one that was not declared.
    pub async fn cursor(&self, uplink: &str) -> Result<Option<buffer::Cursor>, StoreClosed> {
        self.ask(|reply| Request::Cursor { uplink: uplink.into(), reply }).await
    }

    /// Marks seqs as delivered by one uplink. Not more wait here than an uplink has in its window.
    pub fn acknowledge(&self, uplink: &Arc<str>, seqs: Vec<SeqRange>) {
        self.inbox.request(Request::Acknowledge { uplink: uplink.clone(), seqs });
    }

    /// The names behind a block's tag ids; `None` when they are no longer known.
    pub async fn schema(&self, id: u32) -> Result<Option<Arc<Schema>>, StoreClosed> {
        self.ask(|reply| Request::Schema { id, reply }).await
    }

    /// The state of the log in figures.
    pub async fn stats(&self) -> Result<Stats, StoreClosed> {
        self.ask(|reply| Request::Stats { reply }).await
    }

    /// The seq after the last one, and notice whenever it grows.
    pub fn end(&self) -> watch::Receiver<Seq> {
        self.end.clone()
    }

    /// Whose log this is.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// The thread's figures.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Result<T, StoreClosed> {
        let (reply, answer) = oneshot::channel();
        self.inbox.request(request(reply));
        answer.await.map_err(|_| StoreClosed)
    }
}

/// The running thread.
pub struct StoreThread {
    inbox: Arc<Inbox>,
    thread: JoinHandle<()>,
}

impl StoreThread {
    /// Starts the thread that owns `store`.
    pub fn start(
        store: Box<dyn Store>,
        schemas: Schemas,
        policy: SyncPolicy,
        clock: Arc<dyn Clock>,
    ) -> io::Result<(StoreThread, Intake, StoreHandle)> {
        let inbox = Arc::new(Inbox::default());
        let progress = Arc::new(Progress::default());
        let (end, end_seen) = watch::channel(0);
        let identity = store.identity();
        let syncer = Syncer::start(inbox.clone())?;
        let worker = Worker {
            inbox: inbox.clone(),
            progress: progress.clone(),
            store,
            schemas,
            policy,
            clock,
            end,
            syncer,
            encoder: Encoder::new()?,
            pending: Vec::new(),
            payloads: Vec::new(),
            lost: Lost::default(),
            not_before: Instant::now(),
            sync_at: None,
            syncing: false,
            trim_at: Instant::now() + TRIM_EVERY,
        };
        let thread = thread::Builder::new().name("store".into()).spawn(move || worker.run())?;
        let intake = Intake { inbox: inbox.clone(), progress: progress.clone() };
        let handle = StoreHandle { inbox: inbox.clone(), end: end_seen, identity, progress };
        Ok((StoreThread { inbox, thread }, intake, handle))
    }

    /// Writes what waits, makes it durable, and ends the thread. `false`: the thread had panicked.
    pub fn stop(self) -> bool {
        self.inbox.stop();
        self.thread.join().is_ok()
    }
}

/// The thread that waits for the disk, so that the store's does not.
struct Syncer {
    jobs: SyncSender<SyncJob>,
}

impl Syncer {
    fn start(inbox: Arc<Inbox>) -> io::Result<Syncer> {
        let (jobs, waiting): (SyncSender<SyncJob>, Receiver<SyncJob>) = sync_channel(1);
        thread::Builder::new().name("sync".into()).spawn(move || {
            for job in waiting {
                inbox.request(Request::Synced(job.run()));
            }
        })?;
        Ok(Syncer { jobs })
    }
}

struct Worker {
    inbox: Arc<Inbox>,
    progress: Arc<Progress>,
    store: Box<dyn Store>,
    schemas: Schemas,
    policy: SyncPolicy,
    clock: Arc<dyn Clock>,
    end: watch::Sender<Seq>,
    syncer: Syncer,
    encoder: Encoder,
    /// Readings that were taken from the queue and are not in the log yet.
    pending: Vec<Reading>,
    payloads: Vec<u8>,
    lost: Lost,
    /// No flush before this.
    not_before: Instant,
    /// When to make durable what is appended; `None` while nothing is to do, or a sync is under way.
    sync_at: Option<Instant>,
    /// Whether a sync is under way on its thread.
    syncing: bool,
    trim_at: Instant,
}

impl Worker {
    fn run(mut self) {
        self.publish_end();
        loop {
            let now = Instant::now();
            let may_flush = now >= self.not_before;
            let taken = self.inbox.wait(may_flush, self.wake_at(may_flush));
            self.progress.rounds.fetch_add(1, Ordering::Relaxed);
            for request in taken.requests {
                self.answer(request);
            }
            let now = Instant::now();
            if now >= self.not_before || taken.stopping {
                self.flush(now);
            }
            if self.sync_at.is_some_and(|at| now >= at) {
                self.begin_sync(now);
            }
            if now >= self.trim_at {
                self.trim(now);
            }
            if taken.stopping {
                return self.close();
            }
        }
    }

    fn wake_at(&self, may_flush: bool) -> Instant {
        let flush = (!may_flush).then_some(self.not_before);
        [flush, self.sync_at].into_iter().flatten().fold(self.trim_at, Instant::min)
    }

    fn answer(&mut self, request: Request) {
        match request {
            Request::Read { from, bytes_max, reply } => {
                let mut items = Vec::new();
                let next = self.store.read(from, bytes_max, &mut items);
                let next = next.unwrap_or_else(|cause| {
                    self.note_failure("read from", &cause);
                    items.last().map_or(from, |item| item.seqs().last + 1)
                });
                answer(reply, Page { items, next });
            }
            Request::Cursor { uplink, reply } => answer(reply, self.store.cursor(&uplink).cloned()),
            Request::Acknowledge { uplink, seqs } => {
                if let Err(cause) = self.store.acknowledge(&uplink, &seqs) {
                    self.note_failure("write to", &cause);
                }
                self.due_sync();
            }
            Request::Schema { id, reply } => answer(reply, self.schemas.get(id)),
            Request::Stats { reply } => answer(reply, self.store.stats()),
            Request::Synced(synced) => self.end_sync(synced),
        }
    }

    /// Appends what waits. What the disk refuses stays pending and is tried again.
    fn flush(&mut self, now: Instant) {
        let room = FLUSH_READINGS_MAX.saturating_sub(self.pending.len());
        if room > 0 {
            let lost = self.inbox.take(FLUSH_READINGS_MAX, &mut self.pending);
            self.lost.merge(lost);
        }
        if self.pending.is_empty() && self.lost.count == 0 {
            return;
        }
        self.not_before = now + FLUSH_PACE;
        match self.append() {
            Ok(()) => self.note_success(),
            Err(cause) => {
                self.note_failure("write to", &cause);
                self.not_before = now + RETRY_AFTER;
            }
        }
        self.publish_end();
        self.due_sync();
    }

    fn append(&mut self) -> buffer::Result<()> {
        if self.lost.count > 0 {
            let lost = std::mem::take(&mut self.lost);
            error!(
                readings = lost.count,
                "the disk is slower than the polls: readings were lost and are declared as a gap"
            );
            self.store.discard(Class::Normal, lost.count, lost.time_ns)?;
        }
        while !self.pending.is_empty() {
            let count = self.append_blocks()?;
            self.pending.drain(..count);
        }
        Ok(())
    }

    /// Appends as many blocks as one flush holds; returns how many readings are in the log now, or declared lost.
    fn append_blocks(&mut self) -> buffer::Result<usize> {
        self.payloads.clear();
        let mut metas = Vec::new();
        let schema = self.schemas.current();
        let mut count = 0;
        for readings in self.pending.chunks(BLOCK_READINGS) {
            let blocks = encode(&mut self.encoder, readings, schema, &mut self.payloads, &mut metas);
            count += blocks;
            if blocks < readings.len() || self.payloads.len() >= APPEND_BYTES {
                break;
            }
        }
        if metas.is_empty() {
            return self.give_up_first();
        }
        let mut start = 0;
        let blocks: Vec<NewBlock<'_>> = metas
            .iter()
            .map(|(meta, length)| {
                let payload = &self.payloads[start..start + length];
                start += length;
                NewBlock { meta: *meta, payload }
            })
            .collect();
        let appended = match self.store.append(Class::Normal, &blocks) {
            Err(cause) if cause.is_disk_full() => {
                note_gaps(&self.store.make_room()?);
                self.store.append(Class::Normal, &blocks)?
            }
            other => other?,
        };
        self.progress.accepted.fetch_add(count as u64, Ordering::Relaxed);
        note_gaps(&appended.gaps);
        if self.policy == SyncPolicy::Always {
            self.store.sync()?;
        }
        Ok(count)
    }

    /// The first reading alone is larger than a block may be.
    fn give_up_first(&mut self) -> buffer::Result<usize> {
        let reading = &self.pending[0];
        error!(
            tag = reading.tag.0,
            "a value is larger than the log's {BLOCK_PAYLOAD_BYTES_MAX} bytes and is declared lost"
        );
        let at = reading.timestamp.0;
        self.store.discard(Class::Normal, 1, Some((at, at)))?;
        self.progress.lost.fetch_add(1, Ordering::Relaxed);
        Ok(1)
    }

    fn due_sync(&mut self) {
        if let (SyncPolicy::Every(interval), None) = (self.policy, self.sync_at)
            && self.store.unsynced_bytes() > 0
        {
            self.sync_at = Some(Instant::now() + interval);
        }
    }

    fn begin_sync(&mut self, now: Instant) {
        self.sync_at = None;
        match self.store.begin_sync() {
            Ok(Some(job)) => self.syncing = self.syncer.jobs.send(job).is_ok(),
            Ok(None) => {}
            Err(cause) => {
                self.note_failure("write to", &cause);
                self.sync_at = Some(now + RETRY_AFTER);
            }
        }
    }

    fn end_sync(&mut self, synced: Synced) {
        self.syncing = false;
        if let Err(cause) = self.store.end_sync(synced) {
            self.note_failure("make durable", &cause);
            self.sync_at = Some(Instant::now() + RETRY_AFTER);
        }
        if !self.pending.is_empty() {
            self.not_before = Instant::now();
        }
        self.due_sync();
    }

    fn trim(&mut self, now: Instant) {
        self.trim_at = now + TRIM_EVERY;
        let (time, state) = self.clock.now();
        match self.store.trim((state == ClockState::Synchronized).then_some(time.0)) {
            Ok(gaps) => note_gaps(&gaps),
            Err(cause) => self.note_failure("trim", &cause),
        }
    }

    fn publish_end(&mut self) {
        let end = self.store.stats().next_seq;
        self.end.send_if_modified(|seen| std::mem::replace(seen, end) != end);
    }

    /// Once per change of state, not once per try.
    fn note_failure(&self, doing: &str, cause: &buffer::Error) {
        if !cause.is_behind() && !self.progress.failing.swap(true, Ordering::Relaxed) {
            error!(
                "cannot {doing} the buffer: {cause}. Polling goes on; readings are kept in memory as long as they fit"
            );
        }
    }

    fn note_success(&self) {
        if self.progress.failing.swap(false, Ordering::Relaxed) {
            info!("the buffer takes readings again");
        }
    }

    fn close(mut self) {
        while self.inbox.wait(true, Instant::now()).readings && !self.progress.failing.load(Ordering::Relaxed) {
            self.flush(Instant::now());
        }
        let patience = Instant::now() + CLOSE_WITHIN;
        while self.syncing && Instant::now() < patience {
            for request in self.inbox.wait(false, patience).requests {
                self.answer(request);
            }
        }
        if let Err(cause) = self.store.sync() {
            error!("the last readings may not survive a power cut: {cause}");
        }
        if !self.pending.is_empty() {
            error!(readings = self.pending.len(), "readings could not be written and are lost");
        }
    }
}

impl Drop for Worker {
    /// Also when the thread panics: whoever waits for an answer must not wait for ever.
    fn drop(&mut self) {
        self.inbox.close();
    }
}

/// Encodes readings as one block, or as halves where that is too large for one; returns how many fitted.
fn encode(
    encoder: &mut Encoder,
    readings: &[Reading],
    schema: u32,
    payloads: &mut Vec<u8>,
    metas: &mut Vec<(Meta, usize)>,
) -> usize {
    let start = payloads.len();
    let codec = encoder.encode(readings, payloads);
    let length = payloads.len() - start;
    if length <= BLOCK_PAYLOAD_BYTES_MAX {
        let mut span = Lost::default();
        span.add(readings);
        let (t_min_ns, t_max_ns) = span.time_ns.unwrap_or_default();
        metas.push((Meta { count: readings.len() as u32, t_min_ns, t_max_ns, codec, flags: 0, schema }, length));
        return readings.len();
    }
    payloads.truncate(start);
    let (left, right) = readings.split_at(readings.len() / 2);
    if left.is_empty() {
        return 0;
    }
    let fitted = encode(encoder, left, schema, payloads, metas);
    if fitted < left.len() { fitted } else { fitted + encode(encoder, right, schema, payloads, metas) }
}

fn note_gaps(gaps: &[Gap]) {
    for gap in gaps {
        warn!(readings = gap.count, reason = gap.reason.name(), "readings were dropped from the buffer: {}", gap.seqs);
    }
}

/// Whoever asked may have gone meanwhile; then nobody is left to be told.
fn answer<T>(reply: oneshot::Sender<T>, answer: T) {
    drop(reply.send(answer));
}

#[cfg(test)]
mod tests;
