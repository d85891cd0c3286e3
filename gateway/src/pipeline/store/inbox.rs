//! Readings and requests on their way to the store thread: the one bounded queue between polling and the disk.
//!
//! Offering never waits. When the store has fallen so far behind that the queue is full, readings are counted as lost,
//! and the count reaches the uplinks as a gap.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use buffer::{Replaced, Seq, SeqRange, Stats, Synced, UplinkOptions};
use driver_core::Reading;
use tokio::sync::oneshot;

use super::Page;
use super::pending::Pending;
use crate::pipeline::batch::Lost;
use crate::pipeline::schema::Schema;
use crate::pipeline::tags::Tags;

/// The most readings that wait for the store; at 48 bytes each about 12 MB.
const READINGS_QUEUED_MAX: usize = 1 << 18;

/// How many emptied vectors are kept for the polls to come, and for how many readings they have room together: what ten
/// devices of 1000 tags read between two flushes.
const SPARE_MAX: usize = 64;
const SPARE_READINGS_MAX: usize = 16_384;

/// What is asked of the store thread.
pub(super) enum Request {
    Read {
        from: Seq,
        bytes_max: usize,
        reply: oneshot::Sender<Page>,
    },
    Seek {
        t_ns: i64,
        reply: oneshot::Sender<Seq>,
    },
    Cursor {
        uplink: Box<str>,
        reply: oneshot::Sender<Option<buffer::Cursor>>,
    },
    Acknowledge {
        uplink: Arc<str>,
        seqs: Vec<SeqRange>,
    },
    Schema {
        id: u32,
        reply: oneshot::Sender<Option<Arc<Schema>>>,
    },
    Stats {
        reply: oneshot::Sender<Stats>,
    },
    Name {
        tags: Arc<Tags>,
        reply: oneshot::Sender<io::Result<()>>,
    },
    Declare {
        uplinks: Vec<UplinkOptions>,
        reply: oneshot::Sender<buffer::Result<()>>,
    },
    Synced(Synced),
    /// A sync panicked, with this message.
    SyncPanicked(String),
    Repacked(Option<Box<Replaced>>),
}

/// What the store thread found when it looked.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) requests: VecDeque<Request>,
    pub(super) stopping: bool,
}

/// The queue; polls and uplinks hold one end, the store thread the other.
#[derive(Default)]
pub(super) struct Inbox {
    state: Mutex<State>,
    woken: Condvar,
}

#[derive(Default)]
struct State {
    batches: VecDeque<Vec<Reading>>,
    readings: usize,
    spare: Vec<Vec<Reading>>,
    /// For how many readings `spare` has room.
    spare_readings: usize,
    lost: Lost,
    requests: VecDeque<Request>,
    stopping: bool,
    closed: bool,
}

impl Inbox {
    /// Queues readings, or counts them as lost; `false` when they were lost.
    pub(super) fn offer(&self, mut readings: Vec<Reading>) -> bool {
        let mut state = self.lock();
        if readings.is_empty() {
            state.keep(readings);
            return true;
        }
        if state.readings + readings.len() > READINGS_QUEUED_MAX || state.stopping {
            state.lost.add(&readings);
            readings.clear();
            state.keep(readings);
            return false;
        }
        state.readings += readings.len();
        state.batches.push_back(readings);
        let first = state.batches.len() == 1;
        drop(state);
        if first {
            self.woken.notify_one();
        }
        true
    }

    /// An empty vector, with the memory of an earlier poll where there is one.
    pub(super) fn spare(&self) -> Vec<Reading> {
        let mut state = self.lock();
        let spare = state.spare.pop().unwrap_or_default();
        state.spare_readings -= spare.capacity();
        spare
    }

    /// Queues a request. Once the store is closed it is dropped, and with it the way back that it holds.
    pub(super) fn request(&self, request: Request) {
        let mut state = self.lock();
        if !state.closed {
            state.requests.push_back(request);
        }
        drop(state);
        self.woken.notify_one();
    }

    /// Nobody takes from here any more.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        (state.stopping, state.closed) = (true, true);
        state.requests.clear();
    }

    /// Whether nobody takes from here any more.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    pub(super) fn stop(&self) {
        self.lock().stopping = true;
        self.woken.notify_one();
    }

    /// Waits until there is a request, an end, or readings (these only when `for_readings`), or until `deadline`.
    pub(super) fn wait(&self, for_readings: bool, deadline: Instant) -> Taken {
        let mut state = self.lock();
        loop {
            let readings = !state.batches.is_empty() || state.lost.count > 0;
            let now = Instant::now();
            if !state.requests.is_empty() || state.stopping || (readings && for_readings) || now >= deadline {
                let requests = std::mem::take(&mut state.requests);
                return Taken { requests, stopping: state.stopping };
            }
            let waited = self.woken.wait_timeout(state, deadline - now);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until there is a request, or until `deadline`, whether or not the end has begun.
    pub(super) fn requests(&self, deadline: Instant) -> VecDeque<Request> {
        let left = deadline.saturating_duration_since(Instant::now());
        let waited = self.woken.wait_timeout_while(self.lock(), left, |state| state.requests.is_empty());
        std::mem::take(&mut waited.unwrap_or_else(PoisonError::into_inner).0.requests)
    }

    /// Moves what waits, up to about `readings_max`, to the end of `into`; returns what was lost before.
    pub(super) fn take(&self, readings_max: usize, into: &mut Pending) -> Lost {
        let mut state = self.lock();
        while into.len() < readings_max {
            let Some(batch) = state.batches.pop_front() else { break };
            state.readings -= batch.len();
            into.push(batch).into_iter().for_each(|empty| state.keep(empty));
        }
        std::mem::take(&mut state.lost)
    }

    /// Keeps the memory of an empty vector for a poll to come.
    pub(super) fn keep(&self, empty: Vec<Reading>) {
        self.lock().keep(empty);
    }

    /// A panic while the lock was held leaves nothing half done here.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn keep(&mut self, empty: Vec<Reading>) {
        if self.spare.len() < SPARE_MAX && self.spare_readings + empty.capacity() <= SPARE_READINGS_MAX {
            self.spare_readings += empty.capacity();
            self.spare.push(empty);
        }
    }
}

#[cfg(test)]
mod tests {
    use driver_core::{ClockState, Quality, TagId, Tense, Timestamp, Value};

    use super::*;

    fn readings(count: usize) -> Vec<Reading> {
        let reading = |at| Reading {
            tag: TagId(0),
            value: Value::Int(1),
            quality: Quality::Good,
            status: 0,
            timestamp: Timestamp(at),
            clock: ClockState::Synchronized,
            tense: Tense::Present,
        };
        (0..count as i64).map(reading).collect()
    }

    #[test]
    fn a_full_queue_counts_what_it_refuses() {
        let inbox = Inbox::default();
        assert!(inbox.offer(readings(READINGS_QUEUED_MAX - 1)));
        assert!(!inbox.offer(readings(3)));
        assert!(inbox.offer(readings(1)));
        let mut taken = Pending::default();
        let lost = inbox.take(usize::MAX, &mut taken);
        assert_eq!(taken.len(), READINGS_QUEUED_MAX);
        assert_eq!(lost, Lost { count: 3, time_ns: Some((0, 2)) });
        assert_eq!(inbox.take(usize::MAX, &mut taken), Lost::default());
    }

    #[test]
    fn memory_goes_round() {
        let inbox = Inbox::default();
        assert!(inbox.offer(readings(100)));
        let mut taken = Pending::default();
        inbox.take(usize::MAX, &mut taken);
        taken.remove(100, |empty| inbox.keep(empty));
        assert!(inbox.spare().capacity() >= 100);
        assert_eq!(inbox.spare().capacity(), 0);
    }

    #[test]
    fn the_memory_that_is_kept_is_bounded() {
        let inbox = Inbox::default();
        inbox.keep(Vec::with_capacity(SPARE_READINGS_MAX));
        inbox.keep(Vec::with_capacity(1));
        assert_eq!(inbox.spare().capacity(), SPARE_READINGS_MAX);
        assert_eq!(inbox.spare().capacity(), 0);
        inbox.keep(Vec::with_capacity(1));
        assert!(inbox.spare().capacity() > 0, "what was taken makes room");
    }

    #[test]
    fn the_store_sleeps_until_its_deadline_when_only_readings_wait() {
        let inbox = Inbox::default();
        assert!(inbox.offer(readings(1)));
        let taken = inbox.wait(false, Instant::now());
        assert!(taken.requests.is_empty() && !taken.stopping);
        let far = Instant::now() + std::time::Duration::from_secs(3_600);
        inbox.wait(true, far);
        assert!(Instant::now() < far);
    }
}
