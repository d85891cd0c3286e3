//! Readings that were stamped before the clock was right get the right time on their way out.
//!
//! A box without a battery-backed clock begins to poll in 1970, or where it stood when the power failed. What it stamps
//! then is stored as it is and marked. When the clock locks, the steps by which it was set are known, and from then on
//! whatever still waits in the log is moved by them and no longer marked. Steps are kept beside the log, so that a backlog
//! is re-dated after a restart too. Steps backwards are not undone: between such a step and the moment that it is noticed
//! the two times cannot be told apart.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use driver_core::{ClockState, Reading, Timestamp};

/// The most steps that are kept, the newest ones; a clock locks once a start.
const STEPS_MAX: usize = 256;

const FILE: &str = "clock-steps";

/// The steps of the clock, as far as they are known to have led to the right time.
#[derive(Debug, Default)]
pub struct Redate {
    file: Option<PathBuf>,
    steps: Mutex<Steps>,
}

#[derive(Debug, Default)]
struct Steps {
    /// In the order in which they happened.
    locked: Vec<Step>,
    /// Of this run, before the clock has locked.
    waiting: Vec<Step>,
}

/// The clock was set forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    /// The run in which it happened.
    epoch: u32,
    /// What the clock showed before, nanoseconds since 1970: what was stamped later was stamped after the step.
    until_ns: i64,
    /// By how much.
    by_ns: i64,
}

impl Redate {
    /// With the steps of earlier runs, kept in the buffer's folder.
    pub fn within(buffer: &Path) -> Redate {
        let file = buffer.join(FILE);
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let mut locked: Vec<Step> = text.lines().filter_map(Step::parse).collect();
        locked.drain(..locked.len().saturating_sub(STEPS_MAX));
        Redate { file: Some(file), steps: Mutex::new(Steps { locked, waiting: Vec::new() }) }
    }

    /// The clock was set while it was not trusted; `now` is what it shows since.
    pub fn stepped(&self, epoch: u32, now: Timestamp, by_ns: i64) {
        let mut steps = self.steps();
        if by_ns > 0 && steps.waiting.len() < STEPS_MAX {
            steps.waiting.push(Step { epoch, until_ns: now.0.saturating_sub(by_ns), by_ns });
        }
    }

    /// The clock can be trusted from here on: all steps up to now hold.
    ///
    /// # Errors
    /// They hold, but could not be kept on disk.
    pub fn locked(&self, epoch: u32, now: Timestamp, by_ns: i64) -> io::Result<()> {
        self.stepped(epoch, now, by_ns);
        let mut steps = self.steps();
        let waiting = std::mem::take(&mut steps.waiting);
        steps.locked.extend(&waiting);
        let excess = steps.locked.len().saturating_sub(STEPS_MAX);
        steps.locked.drain(..excess);
        drop(steps);
        let (Some(file), false) = (&self.file, waiting.is_empty()) else { return Ok(()) };
        let mut file = OpenOptions::new().create(true).append(true).open(file)?;
        waiting.iter().try_for_each(|step| writeln!(file, "{} {} {}", step.epoch, step.until_ns, step.by_ns))?;
        file.sync_all()
    }

    /// Whether no reading is moved.
    pub fn is_empty(&self) -> bool {
        self.steps().locked.is_empty()
    }

    /// Moves the readings of one run that were stamped before the clock was right.
    pub fn apply(&self, epoch: u32, readings: &mut [Reading]) {
        if readings.iter().all(|reading| reading.clock == ClockState::Synchronized) {
            return;
        }
        let steps = self.steps();
        let steps: Vec<Step> = steps.locked.iter().filter(|step| step.epoch == epoch).copied().collect();
        let Some(last) = steps.last() else { return };
        for reading in readings.iter_mut().filter(|reading| reading.clock == ClockState::Unsynchronized) {
            let mut at = reading.timestamp.0;
            for step in &steps {
                if at <= step.until_ns {
                    at = at.saturating_add(step.by_ns);
                }
            }
            // What was stamped after the last step belongs to a later time without trust.
            if at <= last.until_ns.saturating_add(last.by_ns) {
                reading.timestamp = Timestamp(at);
                reading.clock = ClockState::Synchronized;
            }
        }
    }

    fn steps(&self) -> MutexGuard<'_, Steps> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Step {
    fn parse(line: &str) -> Option<Step> {
        let mut numbers = line.split(' ');
        let mut next = || numbers.next()?.parse::<i64>().ok();
        let (epoch, until_ns, by_ns) = (next()?, next()?, next()?);
        Some(Step { epoch: u32::try_from(epoch).ok()?, until_ns, by_ns })
    }
}

#[cfg(test)]
mod tests {
    use driver_core::{Quality, TagId, Value};

    use driver_core::Tense;

    use super::*;

    const SECOND: i64 = 1_000_000_000;
    /// What the right time is 100 s after the box was switched on in 1970.
    const NOW: i64 = 1_795_400_913 * SECOND;

    fn stamped(at: i64) -> Reading {
        Reading {
            tag: TagId(0),
            value: Value::Int(1),
            quality: Quality::Good,
            status: 0,
            timestamp: Timestamp(at),
            clock: ClockState::Unsynchronized,
            tense: Tense::Present,
        }
    }

    fn redated(redate: &Redate, epoch: u32, at: i64) -> (i64, ClockState) {
        let mut readings = [stamped(at)];
        redate.apply(epoch, &mut readings);
        (readings[0].timestamp.0, readings[0].clock)
    }

    #[test]
    fn readings_from_1970_get_the_time_at_which_they_were_taken() {
        let redate = Redate::default();
        assert_eq!(redated(&redate, 7, 40 * SECOND), (40 * SECOND, ClockState::Unsynchronized));
        redate.locked(7, Timestamp(NOW), NOW - 100 * SECOND).expect("no file");
        assert_eq!(redated(&redate, 7, 40 * SECOND), (NOW - 60 * SECOND, ClockState::Synchronized));
        assert_eq!(redated(&redate, 8, 40 * SECOND), (40 * SECOND, ClockState::Unsynchronized), "another run");
        assert_eq!(
            redated(&redate, 7, NOW + SECOND),
            (NOW + SECOND, ClockState::Unsynchronized),
            "lost its source later"
        );
    }

    #[test]
    fn a_clock_that_was_set_before_it_was_trusted_counts_both_steps() {
        let redate = Redate::default();
        redate.stepped(7, Timestamp(1_000 * SECOND), 900 * SECOND);
        assert_eq!(redated(&redate, 7, 40 * SECOND).1, ClockState::Unsynchronized);
        redate.locked(7, Timestamp(NOW), NOW - 1_010 * SECOND).expect("no file");
        assert_eq!(redated(&redate, 7, 40 * SECOND), (NOW - 70 * SECOND, ClockState::Synchronized));
        assert_eq!(redated(&redate, 7, 1_005 * SECOND), (NOW - 5 * SECOND, ClockState::Synchronized));
    }

    #[test]
    fn steps_survive_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        Redate::within(folder.path()).locked(7, Timestamp(NOW), NOW - 100 * SECOND).expect("written");
        std::fs::OpenOptions::new()
            .append(true)
            .open(folder.path().join(FILE))
            .and_then(|mut file| file.write_all(b"8 half a li"))
            .expect("cut short");
        let redate = Redate::within(folder.path());
        assert_eq!(redated(&redate, 7, 40 * SECOND), (NOW - 60 * SECOND, ClockState::Synchronized));
    }
}
