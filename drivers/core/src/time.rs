//! Points in time, and whether the clock that gave them can be trusted.

use std::time::{SystemTime, UNIX_EPOCH};

/// Nanoseconds since 1970-01-01 00:00 UTC, without leap seconds; from 1677 to 2262.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

/// Whether the clock was synchronized to a time source when it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ClockState {
    /// The time can be trusted.
    #[default]
    Synchronized,
    /// The box has just booted without a battery-backed clock, or lost its time source.
    Unsynchronized,
}

/// Where the time comes from; the gateway's, a program's, or a test's.
pub trait Clock: Send + Sync {
    /// The time now, and whether it can be trusted.
    fn now(&self) -> (Timestamp, ClockState);
}

/// The operating system's clock, taken as synchronized.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> (Timestamp, ClockState) {
        (Timestamp::from(SystemTime::now()), ClockState::Synchronized)
    }
}

impl From<SystemTime> for Timestamp {
    /// A time out of range becomes the nearest one that can be told.
    fn from(time: SystemTime) -> Timestamp {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Timestamp(i64::try_from(after.as_nanos()).unwrap_or(i64::MAX)),
            Err(before) => Timestamp(i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |nanos| -nanos)),
        }
    }
}
