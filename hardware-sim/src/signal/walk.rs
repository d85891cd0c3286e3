//! A value that wanders.

use std::time::Duration;

use super::periods;
use crate::random::Random;

/// The most steps that are walked for one question; a longer pause is skipped without walking.
const STEPS_MAX: u64 = 100_000;

/// A random walk between two bounds, the same for the same seed.
#[derive(Debug, Clone)]
pub struct RandomWalk {
    min: f64,
    max: f64,
    step: f64,
    every: Duration,
    seed: u64,
    random: Random,
    walked: u64,
    value: f64,
}

impl RandomWalk {
    /// Starts in the middle; after each `every` it moves by at most `step`, and never beyond the bounds.
    pub fn new(min: f64, max: f64, step: f64, every: Duration, seed: u64) -> Self {
        let (min, max) = if min <= max { (min, max) } else { (max, min) };
        let value = min + (max - min) / 2.0;
        Self { min, max, step, every, seed, random: Random::new(seed), walked: 0, value }
    }

    pub(super) fn at(&mut self, t: Duration) -> f64 {
        let target = periods(t, self.every);
        if target < self.walked {
            *self = Self::new(self.min, self.max, self.step, self.every, self.seed);
        }
        for _ in 0..(target - self.walked).min(STEPS_MAX) {
            let move_by = self.step * (2.0 * self.random.fraction() - 1.0);
            self.value = (self.value + move_by).max(self.min).min(self.max);
        }
        self.walked = target;
        self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(seed: u64) -> RandomWalk {
        RandomWalk::new(0.0, 10.0, 1.0, Duration::from_secs(1), seed)
    }

    fn path(seed: u64) -> Vec<f64> {
        let mut walk = walk(seed);
        (0..200).map(|s| walk.at(Duration::from_secs(s))).collect()
    }

    #[test]
    fn stays_in_its_bounds_and_takes_small_steps() {
        let path = path(3);
        assert!(path.iter().all(|v| (0.0..=10.0).contains(v)));
        assert!(path.windows(2).all(|w| (w[1] - w[0]).abs() <= 1.0));
        assert!(path.windows(2).filter(|w| w[0] != w[1]).count() > 150);
    }

    #[test]
    fn depends_on_the_seed_and_not_on_what_was_asked_before() {
        assert_eq!(path(3), path(3));
        assert_ne!(path(3), path(4));
        let mut jumping = walk(3);
        let late = jumping.at(Duration::from_secs(150));
        assert_eq!(late, path(3)[150]);
        assert_eq!(jumping.at(Duration::from_secs(20)), path(3)[20]);
    }

    #[test]
    fn a_pause_of_years_is_skipped() {
        assert!((0.0..=10.0).contains(&walk(1).at(Duration::from_secs(u64::MAX))));
    }
}
