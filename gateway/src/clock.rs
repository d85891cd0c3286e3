//! The one place that asks for the time.
//!
//! Scheduling runs on the monotonic clock (tokio's); the wall clock stamps readings and nothing else, so that a clock
//! that jumps, or starts in 1970, changes no poll and no order. What a box without a battery-backed clock reads before
//! its first synchronization is stored as it was stamped, marked [`ClockState::Unsynchronized`]; when the clock locks,
//! what still waits in the log is re-dated on its way out: see [`crate::pipeline::redate`].

mod text;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use driver_core::{Clock, ClockState, Timestamp};

pub use text::parse_time;

/// 2024-01-01: a clock that stands before it has not been set since the box was switched on.
const EARLIEST: Timestamp = Timestamp(1_704_067_200_000_000_000);

/// A wall clock that moved this far against the monotonic one was set, not disciplined.
const STEP_MIN_NS: i64 = 1_000_000_000;

/// Where systemd-timesyncd tells that it runs; within it lies `synchronized` once it has had its first answer.
const TIMESYNC_DIR: &str = "/run/systemd/timesync";

/// The gateway's wall clock: stamps readings, and knows whether its time can be trusted.
///
/// The time is trusted when it lies after 2024 and systemd-timesyncd, where it runs, has been synchronized. Other time
/// services (chrony, ntpd) keep no file to ask; there a plausible year is all that is checked.
#[derive(Debug)]
pub struct WallClock {
    timesync: PathBuf,
    synchronized: AtomicBool,
    watch: Mutex<Watch>,
    started: Instant,
}

impl WallClock {
    /// The operating system's clock.
    pub fn new() -> WallClock {
        WallClock::with_timesync(Path::new(TIMESYNC_DIR))
    }

    fn with_timesync(timesync: &Path) -> WallClock {
        let now = Timestamp::from(SystemTime::now());
        let watch = Watch { offset_ns: now.0, state: state_of(now, Witness::of(timesync)) };
        WallClock {
            timesync: timesync.into(),
            synchronized: AtomicBool::new(watch.state == ClockState::Synchronized),
            started: Instant::now(),
            watch: Mutex::new(watch),
        }
    }

    /// Looks again whether the clock can be trusted and whether it was set; to be called every few seconds.
    pub fn check(&self) -> Option<ClockEvent> {
        let witness = Witness::of(&self.timesync);
        let monotonic_ns = i64::try_from(self.started.elapsed().as_nanos()).unwrap_or(i64::MAX);
        let mut watch = self.watch();
        let (next, event) = watch.step(Timestamp::from(SystemTime::now()), monotonic_ns, witness);
        *watch = next;
        self.synchronized.store(next.state == ClockState::Synchronized, Ordering::Relaxed);
        event
    }

    fn watch(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for WallClock {
    fn default() -> WallClock {
        WallClock::new()
    }
}

/// The time is given in microseconds: when a frame arrived is not known better, and what is finer costs bytes on disk and
/// on the wire.
const GRAIN_NS: i64 = 1_000;

impl Clock for WallClock {
    fn now(&self) -> (Timestamp, ClockState) {
        let now = Timestamp(Timestamp::from(SystemTime::now()).0 / GRAIN_NS * GRAIN_NS);
        let trusted = self.synchronized.load(Ordering::Relaxed) && now >= EARLIEST;
        (now, if trusted { ClockState::Synchronized } else { ClockState::Unsynchronized })
    }
}

/// What happened to the wall clock since the last look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockEvent {
    /// The time can be trusted from here on; unsynchronized readings of this run are re-dated by adding `by_ns`.
    Locked {
        /// How far the clock was moved since the last look.
        by_ns: i64,
    },
    /// The time can no longer be trusted.
    Unlocked,
    /// The clock was set while it was, or was not, trusted.
    Stepped {
        /// How far; positive is forward.
        by_ns: i64,
    },
}

/// What the time service says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Witness {
    Synchronized,
    Waiting,
    Absent,
}

impl Witness {
    fn of(timesync: &Path) -> Witness {
        match (timesync.join("synchronized").exists(), timesync.exists()) {
            (true, _) => Witness::Synchronized,
            (false, true) => Witness::Waiting,
            (false, false) => Witness::Absent,
        }
    }
}

fn state_of(now: Timestamp, witness: Witness) -> ClockState {
    match witness {
        _ if now < EARLIEST => ClockState::Unsynchronized,
        Witness::Waiting => ClockState::Unsynchronized,
        Witness::Synchronized | Witness::Absent => ClockState::Synchronized,
    }
}

/// The wall clock's distance from the monotonic one, and whether it is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Watch {
    offset_ns: i64,
    state: ClockState,
}

impl Watch {
    fn step(self, wall: Timestamp, monotonic_ns: i64, witness: Witness) -> (Watch, Option<ClockEvent>) {
        let next = Watch { offset_ns: wall.0.saturating_sub(monotonic_ns), state: state_of(wall, witness) };
        let by_ns = next.offset_ns.saturating_sub(self.offset_ns);
        let event = match (self.state, next.state) {
            (ClockState::Unsynchronized, ClockState::Synchronized) => Some(ClockEvent::Locked { by_ns }),
            (ClockState::Synchronized, ClockState::Unsynchronized) => Some(ClockEvent::Unlocked),
            _ if by_ns.unsigned_abs() >= STEP_MIN_NS.unsigned_abs() => Some(ClockEvent::Stepped { by_ns }),
            _ => None,
        };
        (next, event)
    }
}

#[cfg(test)]
pub(crate) mod test_clock {
    use std::sync::atomic::{AtomicI64, Ordering};

    use driver_core::{Clock, ClockState, Timestamp};

    /// A synchronized clock that goes on by one nanosecond each time it is asked.
    #[derive(Debug, Default)]
    pub(crate) struct CountingClock(AtomicI64);

    impl Clock for CountingClock {
        fn now(&self) -> (Timestamp, ClockState) {
            (Timestamp(self.0.fetch_add(1, Ordering::Relaxed)), ClockState::Synchronized)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;
    const DAY: i64 = 86_400 * SECOND;

    #[test]
    fn a_clock_is_watched_for_steps_and_for_its_lock() {
        let in_2026 = EARLIEST.0 + 900 * DAY;
        let trusted = Watch { offset_ns: in_2026, state: ClockState::Synchronized };
        let booted = Watch { offset_ns: 0, state: ClockState::Unsynchronized };
        let cases = [
            ("it runs on", trusted, in_2026 + 5 * SECOND, Witness::Absent, None),
            ("it is disciplined", trusted, in_2026 + 5 * SECOND + 400_000_000, Witness::Absent, None),
            (
                "it steps a day ahead",
                trusted,
                in_2026 + DAY + 5 * SECOND,
                Witness::Absent,
                Some(ClockEvent::Stepped { by_ns: DAY }),
            ),
            (
                "it steps a day back",
                trusted,
                in_2026 - DAY + 5 * SECOND,
                Witness::Synchronized,
                Some(ClockEvent::Stepped { by_ns: -DAY }),
            ),
            ("it falls to 1970", trusted, 5 * SECOND, Witness::Absent, Some(ClockEvent::Unlocked)),
            ("1970 goes on", booted, 5 * SECOND, Witness::Synchronized, None),
            (
                "it locks after 1970",
                booted,
                in_2026 + 5 * SECOND,
                Witness::Synchronized,
                Some(ClockEvent::Locked { by_ns: in_2026 }),
            ),
            (
                "it is set by hand and no server has answered",
                booted,
                in_2026 + 5 * SECOND,
                Witness::Waiting,
                Some(ClockEvent::Stepped { by_ns: in_2026 }),
            ),
        ];
        for (name, watch, wall, witness, expected) in cases {
            assert_eq!(watch.step(Timestamp(wall), 5 * SECOND, witness).1, expected, "{name}");
        }
    }

    #[test]
    fn the_time_is_not_trusted_until_the_time_service_is_synchronized() {
        let run = tempfile::tempdir().expect("a directory");
        let clock = WallClock::with_timesync(run.path());
        assert_eq!(clock.now().1, ClockState::Unsynchronized);
        assert_eq!(clock.check(), None);
        std::fs::write(run.path().join("synchronized"), "").expect("a file");
        assert!(matches!(clock.check(), Some(ClockEvent::Locked { .. })));
        assert_eq!(clock.now().1, ClockState::Synchronized);
    }

    #[test]
    fn a_plausible_time_is_trusted_where_no_time_service_can_be_asked() {
        let run = tempfile::tempdir().expect("a directory");
        let clock = WallClock::with_timesync(&run.path().join("absent"));
        assert_eq!(clock.now().1, ClockState::Synchronized);
        assert_eq!(clock.check(), None);
    }
}
