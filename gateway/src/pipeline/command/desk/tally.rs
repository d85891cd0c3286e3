//! How many commands came to which end.

use std::sync::atomic::{AtomicU64, Ordering};

use super::super::{Outcome, RefusedFor};

/// The ends of commands, in the order in which they are counted.
const OUTCOMES: usize = 4 + RefusedFor::ALL.len();

/// Counts since the start. They may be read at any time.
#[derive(Debug)]
pub struct Tally([AtomicU64; OUTCOMES]);

/// One count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// What became of them.
    pub outcome: Outcome,
    /// How many there were.
    pub count: u64,
}

impl Default for Tally {
    fn default() -> Tally {
        Tally(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Tally {
    /// One more came to this end.
    pub(super) fn count(&self, outcome: Outcome) {
        if let Some(place) = outcomes().position(|known| known == outcome) {
            self.0[place].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// All counts, those that are 0 included.
    pub fn counts(&self) -> impl Iterator<Item = Counted> + '_ {
        outcomes().zip(&self.0).map(|(outcome, count)| Counted { outcome, count: count.load(Ordering::Relaxed) })
    }
}

fn outcomes() -> impl Iterator<Item = Outcome> {
    let plain = [Outcome::Done, Outcome::Differs, Outcome::Failed, Outcome::Unknown];
    plain.into_iter().chain(RefusedFor::ALL.map(Outcome::Refused))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_has_a_count_of_its_own() {
        let tally = Tally::default();
        assert_eq!(outcomes().count(), OUTCOMES);
        outcomes().zip(1..).for_each(|(outcome, times)| (0..times).for_each(|_| tally.count(outcome)));
        let counts: Vec<u64> = tally.counts().map(|counted| counted.count).collect();
        assert_eq!(counts, (1..=OUTCOMES as u64).collect::<Vec<_>>());
    }
}
