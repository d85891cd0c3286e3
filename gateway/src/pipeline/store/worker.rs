//! The work of the store thread.

mod append;
mod upkeep;

use std::any::Any;
use std::collections::BTreeSet;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use buffer::{Gap, Seq, SeqRange, Store, UplinkOptions};
use driver_core::Clock;
use tokio::sync::{oneshot, watch};
use tracing::{error, info, warn};

use self::upkeep::{TRIM_EVERY, TURN_EVERY};
use super::holds::Holds;
use super::inbox::{Inbox, Request};
use super::pending::Pending;
use super::repack::Repacker;
use super::risk::Risk;
use super::syncer::Syncer;
use super::{Page, Progress, Reopen, StoreSetup, SyncPolicy};
use crate::pipeline::batch::{Batch, Lost};
use crate::pipeline::encode::Encoder;
use crate::pipeline::panic::message;
use crate::pipeline::schema::Schemas;
use crate::pipeline::tags::Tags;

/// How long to wait before trying again what the disk refused.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// How long an end waits for a sync that is under way, after the last readings that could be written.
const CLOSE_WITHIN: Duration = Duration::from_secs(10);

/// What is done with the log; each may fail while the others go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Work {
    Open,
    Append,
    Sync,
    Acknowledge,
    Trim,
    Read,
    Repack,
}

impl Work {
    fn verb(self) -> &'static str {
        match self {
            Work::Open => "open",
            Work::Append => "write readings to",
            Work::Sync => "make durable",
            Work::Acknowledge => "write acknowledgements to",
            Work::Trim => "trim",
            Work::Read => "look for a time in",
            Work::Repack => "put blocks together in",
        }
    }
}

/// What the thread owns.
pub(super) struct Worker {
    inbox: Arc<Inbox>,
    progress: Arc<Progress>,
    holds: Arc<Holds>,
    /// `None` only while it is opened again after a panic.
    store: Option<Box<dyn Store>>,
    reopen: Reopen,
    /// The uplinks that were declared since the start.
    declared: Option<Vec<UplinkOptions>>,
    schemas: Schemas,
    tags: Arc<Tags>,
    /// All tags are of the normal class.
    one_class: bool,
    policy: SyncPolicy,
    clock: Arc<dyn Clock>,
    end: watch::Sender<Seq>,
    syncer: Syncer,
    encoder: Encoder,
    /// Readings that were taken from the queue and are not in the log yet.
    pending: Pending,
    batch: Batch,
    lost: Lost,
    /// Whether the last flush had to declare readings lost.
    losing: bool,
    /// What failed when it was last done.
    failing: BTreeSet<Work>,
    /// From where the log could not be read.
    unreadable: Option<Seq>,
    /// No flush before this.
    not_before: Instant,
    /// When to make durable what is appended; `None` while nothing is to do, or a sync is under way.
    sync_at: Option<Instant>,
    /// Whether a sync is under way on its thread.
    syncing: bool,
    trim_at: Instant,
    repacker: Repacker,
    /// The seqs whose blocks are being put together on another thread.
    repacking: Option<SeqRange>,
    /// Whether readings are being left out for want of room.
    thinning: bool,
    turn_at: Instant,
    /// Since when what is in the log.
    risk: Risk,
}

impl Worker {
    /// Starts the thread that waits for the disk; the caller starts this one's.
    pub(super) fn new(
        inbox: Arc<Inbox>,
        progress: Arc<Progress>,
        holds: Arc<Holds>,
        end: watch::Sender<Seq>,
        setup: StoreSetup,
    ) -> io::Result<Worker> {
        let StoreSetup { store, reopen, schemas, tags, policy, clock } = setup;
        let stats = store.stats();
        schemas.sweep(stats.first_seq, stats.next_seq);
        Ok(Worker {
            syncer: Syncer::start(inbox.clone())?,
            repacker: Repacker::start(inbox.clone())?,
            repacking: None,
            thinning: false,
            inbox,
            progress,
            holds,
            store: Some(store),
            reopen,
            declared: None,
            schemas,
            one_class: tags.all_normal(),
            tags,
            policy,
            clock,
            end,
            encoder: Encoder::new()?,
            pending: Pending::default(),
            batch: Batch::default(),
            lost: Lost::default(),
            losing: false,
            failing: BTreeSet::new(),
            unreadable: None,
            not_before: Instant::now(),
            sync_at: None,
            syncing: false,
            trim_at: Instant::now() + TRIM_EVERY,
            turn_at: Instant::now() + TURN_EVERY,
            risk: Risk::default(),
        })
    }

    /// Until it is told to stop. A panic is a bug in the store or here: the store is opened again, and work goes on.
    pub(super) fn run(mut self) {
        loop {
            match catch_unwind(AssertUnwindSafe(|| self.work())) {
                Ok(()) => return self.close(),
                Err(panic) if self.open_again(&message(&*panic)) => {}
                Err(_) => return,
            }
        }
    }

    /// Opens the store again, until that succeeds; `false` if it is told to stop before.
    fn open_again(&mut self, why: &str) -> bool {
        error!("the store {why}: it is opened again; please report this");
        // What is left of it may panic once more while it is dropped.
        let left = self.store.take();
        if catch_unwind(AssertUnwindSafe(|| drop(left))).is_err() {
            error!("the store panicked again while it was closed");
        }
        (self.syncing, self.sync_at) = (false, None);
        loop {
            let declared = self.declared.as_deref();
            let opened = catch_unwind(AssertUnwindSafe(|| (self.reopen)(declared)));
            match opened.unwrap_or_else(panicked) {
                Ok(store) => {
                    self.store = Some(store);
                    info!("the store is open again");
                    return true;
                }
                Err(cause) => drop(self.noted::<()>(Work::Open, Err(cause))),
            }
            if self.inbox.wait(false, Instant::now() + RETRY_AFTER).stopping {
                return false;
            }
        }
    }

    fn work(&mut self) {
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
                return;
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
                let read = opened(&mut self.store).read(from, bytes_max, &mut items);
                let next = self.read_to(from, read).unwrap_or(items.last().map_or(from, |item| item.seqs().last + 1));
                answer(reply, Page { items, next });
            }
            Request::Seek { t_ns, reply } => {
                let found = opened(&mut self.store).seek(t_ns);
                answer(
                    reply,
                    self.noted(Work::Read, found).unwrap_or_else(|| opened(&mut self.store).stats().next_seq),
                );
            }
            Request::Cursor { uplink, reply } => answer(reply, opened(&mut self.store).cursor(&uplink).cloned()),
            Request::Acknowledge { uplink, seqs } => {
                let kept = opened(&mut self.store).acknowledge(&uplink, &seqs);
                self.noted(Work::Acknowledge, kept);
                self.due_sync();
            }
            Request::Schema { id, reply } => answer(reply, self.schemas.get(id)),
            Request::Stats { reply } => answer(reply, opened(&mut self.store).stats()),
            Request::Name { tags, reply } => answer(reply, self.name(tags)),
            Request::Declare { uplinks, reply } => {
                let declared = opened(&mut self.store).declare(&uplinks);
                if declared.is_ok() {
                    self.declared = Some(uplinks);
                }
                self.due_sync();
                answer(reply, declared);
            }
            Request::Synced(synced) => self.end_sync(synced),
            Request::SyncPanicked(why) => {
                error!("the sync {why}: what it was for is written again; please report this");
                (self.syncing, self.sync_at) = (false, Some(Instant::now() + RETRY_AFTER));
            }
            Request::Repacked(replaced) => self.end_repack(replaced),
        }
    }

    /// What is pending keeps its names: the new ones stand behind those that it has.
    fn name(&mut self, tags: Arc<Tags>) -> io::Result<()> {
        self.schemas.change(tags.schema().clone())?;
        if let Some(stats) = self.store.as_ref().map(|store| store.stats()) {
            self.schemas.sweep(stats.first_seq, stats.next_seq);
        }
        self.one_class = tags.all_normal() && self.pending.is_empty();
        self.tags = tags;
        Ok(())
    }

    fn publish_end(&mut self) {
        let stats = opened(&mut self.store).stats();
        let end = stats.next_seq;
        self.note_trouble(stats.trouble);
        self.risk.appended(end, Instant::now());
        self.end.send_if_modified(|seen| std::mem::replace(seen, end) != end);
    }

    /// The log lies in memory, or does so no more.
    fn note_trouble(&self, trouble: Option<String>) {
        let is_well = trouble.is_none();
        if self.progress.set_trouble(trouble).is_some() && is_well {
            info!("the buffer's folder can be written to: what was kept in memory lies there now");
        }
    }

    /// Tells of a failure, and of its end, once.
    fn noted<T>(&mut self, work: Work, result: buffer::Result<T>) -> Option<T> {
        let done = match result {
            Ok(done) => {
                if self.failing.remove(&work) {
                    info!("the gateway can {} the buffer again", work.verb());
                }
                Some(done)
            }
            Err(cause) => {
                if !cause.is_behind() && self.failing.insert(work) {
                    error!(
                        "cannot {} the buffer: {cause}. Polling goes on; readings are kept in memory as long as they fit",
                        work.verb()
                    );
                }
                None
            }
        };
        self.progress.failing.store(self.failing.contains(&Work::Append), Ordering::Relaxed);
        done
    }

    /// Uplinks read at many places, of which one may be bad.
    fn read_to(&mut self, from: Seq, read: buffer::Result<Seq>) -> Option<Seq> {
        match read {
            Ok(next) => {
                self.unreadable.take_if(|place| *place == from);
                Some(next)
            }
            Err(cause) => {
                if self.unreadable.replace(from) != Some(from) {
                    error!("cannot read the buffer from seq {from} on: {cause}. What needs it waits");
                }
                None
            }
        }
    }

    fn close(mut self) {
        let mut patience = Instant::now() + CLOSE_WITHIN;
        loop {
            let now = Instant::now();
            if self.flush(now) {
                patience = now + CLOSE_WITHIN;
                continue;
            }
            // What is refused may only wait for the sync.
            if !self.syncing || now >= patience {
                break;
            }
            for request in self.inbox.requests(patience) {
                self.answer(request);
            }
        }
        if let Err(cause) = opened(&mut self.store).sync() {
            error!("the last readings may not survive a power cut: {cause}");
        }
        let unwritten = self.pending.len() as u64 + self.lost.count;
        if unwritten > 0 {
            error!(readings = unwritten, "readings could not be written and are lost");
        }
    }
}

impl Drop for Worker {
    /// Also when the thread panics: whoever waits for an answer must not wait for ever.
    fn drop(&mut self) {
        if std::thread::panicking() {
            error!("the store panicked again and again, and is given up; please report this");
        }
        self.inbox.close();
    }
}

/// A panic while the store is opened is an error that can be tried again.
fn panicked(panic: Box<dyn Any + Send>) -> buffer::Result<Box<dyn Store>> {
    Err(buffer::Error::Bug(message(&*panic)))
}

/// The store, which is open but for the moment after a panic, in which nothing is asked of it.
fn opened(store: &mut Option<Box<dyn Store>>) -> &mut dyn Store {
    store.as_deref_mut().expect("the store is open while there is work")
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
