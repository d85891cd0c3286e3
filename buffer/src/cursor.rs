//! Where one uplink stands: a low watermark and a few acknowledged ranges above it.

use crate::block::{Seq, SeqRange};

/// Most acknowledged ranges that a cursor keeps above its low watermark.
pub const CURSOR_RANGES_MAX: usize = 64;

/// What one uplink has acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    low: Seq,
    /// Sorted, apart from each other by at least one seq, all above `low`.
    ranges: Vec<SeqRange>,
}

impl Cursor {
    /// A cursor that has acknowledged everything below `low`.
    pub fn starting_at(low: Seq) -> Self {
        Self { low, ranges: Vec::new() }
    }

    /// All seqs below this one are acknowledged, this one is not.
    pub fn low(&self) -> Seq {
        self.low
    }

    /// The acknowledged ranges above the low watermark, sorted and apart.
    pub fn ranges(&self) -> &[SeqRange] {
        &self.ranges
    }

    /// The highest acknowledged seq; 0 if there is none.
    pub fn high(&self) -> Seq {
        self.ranges.last().map_or(self.low - 1, |range| range.last)
    }

    /// Whether every seq of `seqs` is acknowledged, so that it need not be sent.
    pub fn covers(&self, seqs: SeqRange) -> bool {
        seqs.last < self.low
            || self.ranges.iter().any(|r| r.first.max(self.low) <= seqs.first.max(self.low) && seqs.last <= r.last)
    }

    /// How many seqs below `next` are not acknowledged.
    pub fn pending(&self, next: Seq) -> u64 {
        let above: u64 = self.ranges.iter().map(SeqRange::count).sum();
        next.saturating_sub(self.low).saturating_sub(above)
    }

    /// Acknowledges `seqs`. Returns a range that had to be forgotten because there were too many: the highest.
    pub fn acknowledge(&mut self, seqs: SeqRange) -> Option<SeqRange> {
        if seqs.last < self.low {
            return None;
        }
        self.insert(seqs);
        while let Some(first) = self.ranges.first().filter(|range| range.first <= self.low) {
            self.low = self.low.max(first.last.saturating_add(1));
            self.ranges.remove(0);
        }
        if self.ranges.len() > CURSOR_RANGES_MAX { self.ranges.pop() } else { None }
    }

    /// Puts `seqs` among the ranges, joined with those that it touches.
    fn insert(&mut self, seqs: SeqRange) {
        let from = self.ranges.partition_point(|range| range.last.saturating_add(1) < seqs.first);
        let to = self.ranges.partition_point(|range| range.first <= seqs.last.saturating_add(1));
        let touched = &self.ranges[from..to];
        let joined = SeqRange {
            first: touched.first().map_or(seqs.first, |range| range.first.min(seqs.first)),
            last: touched.last().map_or(seqs.last, |range| range.last.max(seqs.last)),
        };
        self.ranges.splice(from..to, [joined]);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn range(first: Seq, last: Seq) -> SeqRange {
        SeqRange { first, last }
    }

    #[test]
    fn the_low_watermark_moves_only_when_the_hole_is_filled() {
        let mut cursor = Cursor::starting_at(1);
        assert_eq!(cursor.acknowledge(range(3, 4)), None);
        assert_eq!((cursor.low(), cursor.ranges()), (1, &[range(3, 4)][..]));
        assert_eq!(cursor.acknowledge(range(1, 2)), None);
        assert_eq!((cursor.low(), cursor.ranges()), (5, &[][..]));
    }

    #[test]
    fn one_range_too_many_forgets_the_highest() {
        let mut cursor = Cursor::starting_at(1);
        for i in 0..CURSOR_RANGES_MAX as u64 {
            assert_eq!(cursor.acknowledge(range(10 + 2 * i, 10 + 2 * i)), None);
        }
        assert_eq!(cursor.acknowledge(range(5, 5)), Some(range(136, 136)));
        assert_eq!(cursor.ranges().len(), CURSOR_RANGES_MAX);
    }

    #[test]
    fn a_block_that_straddles_the_low_watermark_is_covered_by_both_together() {
        let mut cursor = Cursor::starting_at(5);
        assert!(cursor.covers(range(2, 4)));
        assert!(!cursor.covers(range(2, 5)));
        cursor.acknowledge(range(7, 9));
        assert!(cursor.covers(range(7, 8)) && !cursor.covers(range(6, 8)));
    }

    proptest! {
        #[test]
        fn holds_what_a_set_of_seqs_would_hold(acks in proptest::collection::vec((1u64..60, 0u64..6), 0..40)) {
            let mut cursor = Cursor::starting_at(1);
            let mut set = BTreeSet::new();
            for (first, more) in acks {
                prop_assert_eq!(cursor.acknowledge(range(first, first + more)), None);
                set.extend(first..=first + more);
            }
            for seq in 1..70 {
                prop_assert_eq!(cursor.covers(range(seq, seq)), set.contains(&seq), "seq {}", seq);
            }
            prop_assert_eq!(cursor.pending(70), 69 - set.len() as u64);
            prop_assert_eq!(cursor.high(), set.last().copied().unwrap_or(0));
            prop_assert!(cursor.ranges().windows(2).all(|pair| pair[0].last + 1 < pair[1].first));
        }
    }
}
