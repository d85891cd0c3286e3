//! How late polls begin, as a distribution: a mean hides what a 10 ms cycle is judged by.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Up to how late, microseconds; what is later still has a place of its own.
pub const BOUNDS_US: [u64; 12] = [50, 100, 200, 300, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000];

/// Polls by how late they began.
#[derive(Debug, Default)]
pub struct Lateness {
    polls: [AtomicU64; BOUNDS_US.len() + 1],
}

impl Lateness {
    /// A poll began so late.
    pub fn add(&self, late: Duration) {
        let us = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
        self.polls[BOUNDS_US.partition_point(|bound| *bound < us)].fetch_add(1, Ordering::Relaxed);
    }

    /// Adds its polls to those of others, in the order of the bounds.
    pub fn add_to(&self, sum: &mut [u64; BOUNDS_US.len() + 1]) {
        for (sum, polls) in sum.iter_mut().zip(&self.polls) {
            *sum += polls.load(Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poll_counts_where_it_belongs() {
        let late = Lateness::default();
        [0, 50, 51, 1_000, 100_001].into_iter().for_each(|us| late.add(Duration::from_micros(us)));
        let mut sum = [0; BOUNDS_US.len() + 1];
        late.add_to(&mut sum);
        late.add_to(&mut sum);
        assert_eq!(sum, [4, 2, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 2]);
    }
}
