//! Since when which records have been in the log: what is delivered within the sync interval need never be synced.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use buffer::Seq;

/// Most moments that are remembered. Beyond it, what is appended counts as if it had come with the newest of them.
const MARKS_MAX: usize = 1_024;

/// When the log had grown to which seq.
#[derive(Debug, Default)]
pub(super) struct Risk {
    marks: VecDeque<(Seq, Instant)>,
}

impl Risk {
    /// The log's end is `end` now.
    pub(super) fn appended(&mut self, end: Seq, now: Instant) {
        let is_full = self.marks.len() >= MARKS_MAX;
        match self.marks.back_mut() {
            Some((last, _)) if *last >= end => {}
            Some((last, _)) if is_full => *last = end,
            _ => self.marks.push_back((end, now)),
        }
    }

    /// When the record `first`, the first that some uplink wants and that is not durable, has been in the log for `interval`.
    pub(super) fn due(&mut self, first: Seq, interval: Duration) -> Option<Instant> {
        while self.marks.front().is_some_and(|(end, _)| *end <= first) {
            self.marks.pop_front();
        }
        self.marks.front().map(|(_, since)| *since + interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_due_an_interval_after_it_came() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut risk = Risk::default();
        for (end, seconds) in [(11, 0), (21, 1), (21, 2), (31, 3)] {
            risk.appended(end, start + second * seconds);
        }
        let due: Vec<_> = [1, 10, 11, 21, 30, 31].into_iter().map(|first| risk.due(first, second)).collect();
        assert_eq!(due, [Some(1), Some(1), Some(2), Some(4), Some(4), None].map(|at| at.map(|at| start + second * at)));
    }

    #[test]
    fn too_many_moments_make_it_due_too_early_and_never_too_late() {
        let start = Instant::now();
        let mut risk = Risk::default();
        for number in 0..2 * MARKS_MAX as u64 {
            risk.appended(2 + number, start + Duration::from_millis(number));
        }
        assert_eq!(risk.marks.len(), MARKS_MAX);
        let last = risk.due(2 * MARKS_MAX as u64, Duration::ZERO).expect("it is remembered");
        assert!(last <= start + Duration::from_millis(2 * MARKS_MAX as u64));
    }
}
