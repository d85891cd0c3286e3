//! Waits between tries: they grow, and no two gateways knock in step.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// How waits grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// No wait is shorter.
    pub shortest: Duration,
    /// The upper bound of the first wait; it doubles with each try.
    pub first: Duration,
    /// The upper bound of any wait.
    pub longest: Duration,
    /// A success that held this long starts the count anew.
    pub steady: Duration,
}

impl Backoff {
    /// The wait before try number `tries`, counted from 0: evenly spread below a bound that doubles (full jitter).
    pub fn wait(&self, tries: u32, jitter: &mut Jitter) -> Duration {
        let bound = self.first.saturating_mul(1 << tries.min(20)).min(self.longest);
        jitter.up_to(bound).max(self.shortest)
    }
}

/// Randomness for waits: splitmix64, which is enough to keep many gateways from knocking in step.
#[derive(Debug, Clone)]
pub struct Jitter(u64);

impl Jitter {
    /// The same waits for the same seed.
    pub fn seeded(seed: u64) -> Jitter {
        Jitter(seed)
    }

    /// Waits that nobody can foresee.
    pub fn random() -> Jitter {
        Jitter(RandomState::new().hash_one(0_u8))
    }

    /// A duration from nothing up to `bound`.
    pub fn up_to(&mut self, bound: Duration) -> Duration {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        crate::pipeline::schedule::share(bound, mixed ^ (mixed >> 31))
    }
}
