//! Whether the pipeline itself moves, in figures that anyone may look at while the threads work.
//!
//! A dead device or a dead broker is no fault of the gateway, and restarting it would not help. A task that did not come
//! back when it had promised to, or a store thread that no longer comes round, is one: [`Health::stuck`] says so.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::lateness::Lateness;

/// How long a line's task may be late after the time by which it wanted to be back.
const LINE_LATE_MAX: Duration = Duration::from_secs(60);

/// How long a touch, a write or a connect may take, and a poll beyond its interval; drivers bound their own waits far
/// below it.
pub const ACT_TIME_MAX: Duration = Duration::from_secs(120);

/// How long a thread may take for a round: a disk that is slow is not a thread that stands still.
const ROUND_MAX: Duration = Duration::from_secs(60);

/// The figures of all lines.
#[derive(Debug, Default)]
pub struct Health {
    /// One for each line, in the order of the configuration.
    pub lines: Box<[Arc<LineHealth>]>,
}

/// The figures of one line, and the clock that its promises are kept by.
#[derive(Debug)]
pub struct LineHealth {
    start: Instant,
    /// Milliseconds since the start by which its task will be back; 0 before its first turn.
    back_by_ms: AtomicU64,
    /// Whether there is a connection.
    pub connected: AtomicBool,
    /// Why there is none.
    cause: Mutex<String>,
    /// Devices that are suspended because they do not answer.
    pub suspended: AtomicU32,
    /// Groups that were polled.
    pub polls: AtomicU64,
    /// Polls that the device did not answer.
    pub silent: AtomicU64,
    /// Cycles that passed because an earlier one took too long, or the gateway stood still.
    pub missed: AtomicU64,
    /// How late its polls began.
    pub late: Lateness,
    /// Connections that were made.
    pub connects: AtomicU64,
    /// Times that its task panicked and was made anew.
    pub panics: AtomicU64,
    /// Its devices, in their order.
    pub devices: Box<[DeviceHealth]>,
}

/// The figures of one device.
#[derive(Debug, Default)]
pub struct DeviceHealth {
    /// Whether it is left alone because it does not answer.
    pub suspended: AtomicBool,
    /// Polls that it did not answer.
    pub silent: AtomicU64,
    /// Its poll groups, in their order.
    pub groups: Box<[GroupHealth]>,
    /// How long the last poll took, microseconds.
    pub last_poll_us: AtomicU64,
    /// Whether the last poll had no answer.
    pub unanswered: AtomicBool,
    /// Milliseconds since the start at which it answered last; 0 before it did.
    answered_ms: AtomicU64,
}

/// The figures of the tags of one device that are polled at one interval.
#[derive(Debug, Default)]
pub struct GroupHealth {
    /// Polls.
    pub polls: AtomicU64,
    /// Cycles that passed because an earlier one took too long, or the gateway stood still.
    pub missed: AtomicU64,
    /// How late its polls began, microseconds, added up.
    pub late_us: AtomicU64,
    /// How long its polls took, microseconds, added up.
    pub poll_us: AtomicU64,
}

impl DeviceHealth {
    /// One of the figures, of all groups together.
    pub fn sum(&self, figure: impl Fn(&GroupHealth) -> &AtomicU64) -> u64 {
        self.groups.iter().map(|group| figure(group).load(Ordering::Relaxed)).sum()
    }
}

impl LineHealth {
    /// The health of a line whose devices have so many groups each.
    pub fn new(groups: impl IntoIterator<Item = usize>, start: Instant) -> LineHealth {
        let device = |groups| DeviceHealth {
            groups: (0..groups).map(|_| GroupHealth::default()).collect(),
            ..DeviceHealth::default()
        };
        LineHealth {
            start,
            back_by_ms: AtomicU64::new(0),
            connected: AtomicBool::new(false),
            cause: Mutex::default(),
            suspended: AtomicU32::new(0),
            polls: AtomicU64::new(0),
            silent: AtomicU64::new(0),
            missed: AtomicU64::new(0),
            late: Lateness::default(),
            connects: AtomicU64::new(0),
            panics: AtomicU64::new(0),
            devices: groups.into_iter().map(device).collect(),
        }
    }

    /// Its task promises to be back by `at`.
    pub fn back_by(&self, at: Instant) {
        self.back_by_ms.store(self.millis(at).max(1), Ordering::Relaxed);
    }

    /// Its task has ended and promises nothing any more.
    pub fn ended(&self) {
        self.back_by_ms.store(0, Ordering::Relaxed);
        self.connected.store(false, Ordering::Relaxed);
        self.suspended.store(0, Ordering::Relaxed);
        self.devices.iter().for_each(|device| device.suspended.store(false, Ordering::Relaxed));
    }

    fn is_late(&self, now: Instant) -> bool {
        match self.back_by_ms.load(Ordering::Relaxed) {
            0 => false,
            back_by_ms => self.millis(now) > back_by_ms + LINE_LATE_MAX.as_millis() as u64,
        }
    }

    fn millis(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.start).as_millis()).unwrap_or(u64::MAX)
    }

    /// Adds to one of the figures.
    pub fn count(figure: &AtomicU64, by: u64) {
        figure.fetch_add(by, Ordering::Relaxed);
    }

    /// One of its devices answered.
    pub fn answered(&self, device: &DeviceHealth, at: Instant) {
        device.answered_ms.store(self.millis(at).max(1), Ordering::Relaxed);
    }

    /// How long ago one of its devices answered last; `None` when it never did.
    pub fn since_answer(&self, device: &DeviceHealth, now: Instant) -> Option<Duration> {
        let ms = device.answered_ms.load(Ordering::Relaxed);
        (ms > 0).then(|| Duration::from_millis(self.millis(now).saturating_sub(ms)))
    }

    /// States why there is no connection.
    pub fn fails(&self, cause: String) {
        *self.cause.lock().unwrap_or_else(PoisonError::into_inner) = cause;
    }

    /// Why there was no connection when there was none last; empty when there always was one.
    pub fn cause(&self) -> String {
        self.cause.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What does not move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stuck {
    /// The task of the line with this index.
    Line(usize),
    /// The thread of this name.
    Thread(&'static str),
    /// The thread of this name, which is no more.
    Ended(&'static str),
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stuck::Line(index) => write!(f, "the task of line {index} has not come back"),
            Stuck::Ended(name) => write!(f, "the thread `{name}` has ended"),
            Stuck::Thread(name) => write!(f, "the thread `{name}` does not come round"),
        }
    }
}

impl Health {
    /// The health of lines whose devices have so many groups each.
    pub fn new<G: IntoIterator<Item = usize>>(lines: impl IntoIterator<Item = G>, start: Instant) -> Health {
        Health { lines: lines.into_iter().map(|groups| Arc::new(LineHealth::new(groups, start))).collect() }
    }

    /// How many lines have a connection.
    pub fn connected(&self) -> usize {
        self.lines.iter().filter(|line| line.connected.load(Ordering::Relaxed)).count()
    }

    /// The line whose task has broken its promise, if one has.
    pub fn stuck(&self, now: Instant) -> Option<Stuck> {
        self.lines.iter().position(|line| line.is_late(now)).map(Stuck::Line)
    }
}

/// When a thread was last seen to come round.
#[derive(Debug)]
pub struct ThreadWatch {
    name: &'static str,
    rounds: u64,
    moved_at: Instant,
}

impl ThreadWatch {
    /// The thread has come round no times at `now`.
    pub fn new(name: &'static str, now: Instant) -> ThreadWatch {
        ThreadWatch { name, rounds: 0, moved_at: now }
    }

    /// To be asked every few seconds with the number of the thread's rounds.
    pub fn stuck(&mut self, rounds: u64, now: Instant) -> Option<Stuck> {
        if rounds != self.rounds {
            (self.rounds, self.moved_at) = (rounds, now);
        }
        (now.duration_since(self.moved_at) > ROUND_MAX).then_some(Stuck::Thread(self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_line_is_stuck_when_it_breaks_its_promise_and_not_before() {
        let start = Instant::now();
        let health = Health::new([[1], [1]], start);
        let stuck = |at: Duration| health.stuck(start + at);
        assert_eq!(stuck(1000 * SECOND), None);
        health.lines[1].back_by(start + 3600 * SECOND);
        assert_eq!(stuck(3600 * SECOND), None);
        assert_eq!(stuck(3661 * SECOND), Some(Stuck::Line(1)));
        health.lines[1].back_by(start + 3700 * SECOND);
        assert_eq!(stuck(3661 * SECOND), None);
        health.lines[1].ended();
        assert_eq!(stuck(9000 * SECOND), None);
    }

    #[test]
    fn a_thread_is_stuck_when_it_no_longer_comes_round() {
        let start = Instant::now();
        let mut store = ThreadWatch::new("store", start);
        assert_eq!(store.stuck(1, start + 50 * SECOND), None);
        assert_eq!(store.stuck(1, start + 110 * SECOND), None);
        assert_eq!(store.stuck(1, start + 111 * SECOND), Some(Stuck::Thread("store")));
        assert_eq!(store.stuck(2, start + 112 * SECOND), None);
    }
}
