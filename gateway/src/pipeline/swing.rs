//! Swinging door: of a line of readings only the ends of straight pieces. No I/O.
//!
//! From the last reading that went on, two doors of the width hang open; each reading closes them a little. When they have
//! passed one another, no straight line fits all readings any more: the one before goes on, and is the next hinge. All that
//! stayed lies within the width of the line between two readings that went on. The last reading is held back until the next
//! one decides about it, or the heartbeat lets it go.

use std::time::{Duration, Instant};

use driver_core::{Level, Reading};

/// The doors of one tag.
#[derive(Debug, Clone, Default)]
pub struct Swing {
    /// Nanoseconds and value of the last reading that went on; `None` when that was no good number.
    hinge: Option<(i64, f64)>,
    /// The steepest fall and the flattest rise that still fit, per nanosecond.
    slopes: (f64, f64),
    held: Option<Reading>,
    passed_at: Option<Instant>,
}

const OPEN: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);

impl Swing {
    /// Takes a reading; what goes on is added to `out`, in order.
    pub fn take(
        &mut self,
        reading: Reading,
        width: f64,
        heartbeat: Option<Duration>,
        now: Instant,
        out: &mut Vec<Reading>,
    ) {
        let good = reading.quality.level() == Level::Good;
        let number = reading.value.as_f64().filter(|number| good && number.is_finite());
        let (Some(number), Some(hinge)) = (number, self.hinge) else {
            out.extend(self.held.take());
            return self.pass(reading, number, now, out);
        };
        let at = reading.timestamp.0;
        if at <= hinge.0 || self.held.as_ref().is_some_and(|held| at <= held.timestamp.0) {
            // The clock was set: there is no line through these.
            out.extend(self.held.take());
            return self.pass(reading, Some(number), now, out);
        }
        self.close(hinge, at, number, width);
        if self.slopes.0 > self.slopes.1
            && let Some(held) = self.held.take()
        {
            let from = (held.timestamp.0, held.value.as_f64().unwrap_or(number));
            (self.hinge, self.slopes, self.passed_at) = (Some(from), OPEN, Some(now));
            out.push(held);
            self.close(from, at, number, width);
        }
        let silent = self.passed_at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        if heartbeat.is_some_and(|heartbeat| silent >= heartbeat) {
            return self.pass(reading, Some(number), now, out);
        }
        self.held = Some(reading);
    }

    /// The reading that is held back, at the end.
    pub fn flush(&mut self) -> Option<Reading> {
        self.held.take()
    }

    fn close(&mut self, (from, start): (i64, f64), at: i64, number: f64, width: f64) {
        let time = at.saturating_sub(from) as f64;
        let (low, high) = ((number - width - start) / time, (number + width - start) / time);
        self.slopes = (self.slopes.0.max(low), self.slopes.1.min(high));
    }

    fn pass(&mut self, reading: Reading, number: Option<f64>, now: Instant, out: &mut Vec<Reading>) {
        self.hinge = number.map(|number| (reading.timestamp.0, number));
        (self.slopes, self.held, self.passed_at) = (OPEN, None, Some(now));
        out.push(reading);
    }
}

#[cfg(test)]
mod tests {
    use driver_core::{ClockState, Quality, Reason, TagId, Tense, Timestamp, Value};
    use proptest::prelude::*;

    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn reading(second: i64, value: Option<f64>) -> Reading {
        let quality = if value.is_some() { Quality::Good } else { Quality::Bad(Reason::Timeout) };
        let value = value.map_or(Value::None, Value::LReal);
        let timestamp = Timestamp(second * SECOND);
        Reading {
            tag: TagId(0),
            value,
            quality,
            status: 0,
            timestamp,
            clock: ClockState::Synchronized,
            tense: Tense::Present,
        }
    }

    /// The seconds and values of what goes on of readings that come a second apart.
    fn passed(values: &[Option<f64>], width: f64, heartbeat_s: Option<u64>) -> Vec<(i64, Option<f64>)> {
        let (start, mut swing, mut out) = (Instant::now(), Swing::default(), Vec::new());
        for (value, second) in values.iter().zip(0..) {
            let now = start + Duration::from_secs(second as u64);
            swing.take(reading(second, *value), width, heartbeat_s.map(Duration::from_secs), now, &mut out);
        }
        out.extend(swing.flush());
        out.iter().map(|reading| (reading.timestamp.0 / SECOND, reading.value.as_f64())).collect()
    }

    #[test]
    fn straight_lines_leave_their_ends() {
        let some = |values: &[f64]| values.iter().map(|value| Some(*value)).collect::<Vec<_>>();
        let flat = [5.0; 10];
        assert_eq!(passed(&some(&flat), 0.1, None), [(0, Some(5.0)), (9, Some(5.0))]);
        let kinked = some(&[0.0, 1.0, 2.0, 3.0, 2.0, 1.0, 0.0]);
        assert_eq!(passed(&kinked, 0.1, None), [(0, Some(0.0)), (3, Some(3.0)), (6, Some(0.0))]);
        assert_eq!(passed(&some(&flat), 0.1, Some(4)).iter().map(|one| one.0).collect::<Vec<_>>(), [0, 4, 8, 9]);
    }

    #[test]
    fn what_is_bad_goes_on_and_so_does_what_was_held_before_it() {
        let values = [Some(1.0), Some(1.0), Some(1.0), None, Some(1.0), Some(1.0)];
        let expected = [(0, Some(1.0)), (2, Some(1.0)), (3, None), (4, Some(1.0)), (5, Some(1.0))];
        assert_eq!(passed(&values, 0.1, None), expected);
    }

    proptest! {
        #[test]
        fn all_that_stayed_lies_within_the_width_of_the_lines(
            values in prop::collection::vec(-10.0..10.0_f64, 2..80), width in 0.01..5.0_f64,
        ) {
            let all: Vec<Option<f64>> = values.iter().copied().map(Some).collect();
            let kept = passed(&all, width, None);
            prop_assert_eq!(kept.first().map(|one| one.0), Some(0));
            prop_assert_eq!(kept.last().map(|one| one.0), Some(values.len() as i64 - 1));
            for pair in kept.windows(2) {
                let ((from, start), (to, end)) = (pair[0], pair[1]);
                let (start, end) = (start.expect("a number"), end.expect("a number"));
                for second in from..=to {
                    let line = start + (end - start) * (second - from) as f64 / (to - from) as f64;
                    let off = (values[second as usize] - line).abs();
                    // The line goes to a reading that fitted, not through the middle of the doors.
                    prop_assert!(off <= 2.0 * width + 1e-9, "{off} at {second} of {kept:?}");
                }
            }
        }
    }
}
