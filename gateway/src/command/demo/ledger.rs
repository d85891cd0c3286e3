//! Which numbers have arrived: the proof that none is missing.

use std::collections::BTreeSet;

/// The numbers that an observer has seen, counted from 1.
#[derive(Default)]
pub(super) struct Ledger {
    /// All numbers up to this one have arrived.
    whole: u64,
    /// Those beyond.
    beyond: BTreeSet<u64>,
    doubled: u64,
}

impl Ledger {
    pub(super) fn note(&mut self, seq: u64) {
        if seq <= self.whole || !self.beyond.insert(seq) {
            self.doubled += 1;
            return;
        }
        while self.beyond.remove(&(self.whole + 1)) {
            self.whole += 1;
        }
    }

    /// How many different numbers have arrived.
    pub(super) fn arrived(&self) -> u64 {
        self.whole + self.beyond.len() as u64
    }

    /// How many below the highest are not there.
    pub(super) fn missing(&self) -> u64 {
        self.beyond.last().map_or(0, |highest| highest - self.arrived())
    }

    /// How many arrived more than once.
    pub(super) fn doubled(&self) -> u64 {
        self.doubled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_missing_until_they_are_filled() {
        let mut ledger = Ledger::default();
        [1, 2, 5, 4, 4].into_iter().for_each(|seq| ledger.note(seq));
        assert_eq!((ledger.arrived(), ledger.missing(), ledger.doubled()), (4, 1, 1));
        ledger.note(3);
        assert_eq!((ledger.arrived(), ledger.missing(), ledger.doubled()), (5, 0, 1));
    }
}
