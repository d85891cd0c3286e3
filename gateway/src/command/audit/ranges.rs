//! A set of seqs as ranges: as small as what came is whole.

use std::collections::BTreeMap;

use buffer::{Seq, SeqRange};

/// Seqs, kept as the ranges that they fill.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Ranges {
    /// First and last of each; no two touch.
    ranges: BTreeMap<Seq, Seq>,
}

/// Whether a seq was new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inserted {
    New,
    Again,
}

impl Ranges {
    pub(super) fn insert(&mut self, seq: Seq) -> Inserted {
        if self.contains(seq) {
            return Inserted::Again;
        }
        self.insert_all(SeqRange { first: seq, last: seq });
        Inserted::New
    }

    /// Takes a whole range in, with whatever of it was there before.
    pub(super) fn insert_all(&mut self, range: SeqRange) {
        let SeqRange { mut first, mut last } = range;
        if let Some((before, end)) = self.ranges.range(..=first).next_back().map(|(before, end)| (*before, *end))
            && end.saturating_add(1) >= first
        {
            (first, last) = (before, last.max(end));
        }
        while let Some((start, end)) = self.ranges.range(first..).next().map(|(start, end)| (*start, *end))
            && start <= last.saturating_add(1)
        {
            last = last.max(end);
            self.ranges.remove(&start);
        }
        self.ranges.insert(first, last);
    }

    pub(super) fn contains(&self, seq: Seq) -> bool {
        self.ranges.range(..=seq).next_back().is_some_and(|(_, last)| seq <= *last)
    }

    /// The highest seq.
    pub(super) fn last(&self) -> Option<Seq> {
        self.ranges.last_key_value().map(|(_, last)| *last)
    }

    /// How many ranges there are, which is what the set costs.
    pub(super) fn len(&self) -> usize {
        self.ranges.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = SeqRange> {
        self.ranges.iter().map(|(first, last)| SeqRange { first: *first, last: *last })
    }

    /// What is missing within `within`, in order.
    pub(super) fn holes(&self, within: SeqRange) -> Vec<SeqRange> {
        let mut holes = Vec::new();
        let mut next = Some(within.first);
        for SeqRange { first, last } in self.iter().filter(|range| range.last >= within.first) {
            let Some(from) = next.filter(|from| *from <= within.last) else { break };
            if first > from {
                holes.push(SeqRange { first: from, last: (first - 1).min(within.last) });
            }
            next = last.checked_add(1);
        }
        holes.extend(next.filter(|from| *from <= within.last).map(|first| SeqRange { first, last: within.last }));
        holes
    }

    /// Takes the lowest hole in as if it had come, and gives it.
    pub(super) fn fill_lowest_hole(&mut self) -> Option<SeqRange> {
        let mut ranges = self.ranges.iter();
        let ((_, end), (start, _)) = (ranges.next()?, ranges.next()?);
        let hole = SeqRange { first: end + 1, last: start - 1 };
        self.insert_all(hole);
        Some(hole)
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
    fn neighbours_become_one_range_and_the_ends_of_numbers_hold() {
        let mut ranges = Ranges::default();
        for seq in [5, 7, 6, 0, Seq::MAX] {
            assert_eq!(ranges.insert(seq), Inserted::New);
        }
        assert_eq!(ranges.insert(6), Inserted::Again);
        assert_eq!(ranges.iter().collect::<Vec<_>>(), [range(0, 0), range(5, 7), range(Seq::MAX, Seq::MAX)]);
        assert_eq!(ranges.holes(range(0, Seq::MAX)), [range(1, 4), range(8, Seq::MAX - 1)]);
        assert_eq!(ranges.fill_lowest_hole(), Some(range(1, 4)));
        assert_eq!(ranges.fill_lowest_hole(), Some(range(8, Seq::MAX - 1)));
        assert_eq!((ranges.fill_lowest_hole(), ranges.len()), (None, 1));
    }

    proptest! {
        #[test]
        fn a_set_of_numbers_says_the_same(
            inserted in proptest::collection::vec((0_u64..60, 0_u64..6), 0..40), from in 0_u64..60, length in 0_u64..60,
        ) {
            let (mut ranges, mut set) = (Ranges::default(), BTreeSet::new());
            for (first, more) in inserted {
                if more == 0 {
                    prop_assert_eq!(ranges.insert(first) == Inserted::New, set.insert(first));
                } else {
                    ranges.insert_all(range(first, first + more));
                    set.extend(first..=first + more);
                }
            }
            let expanded: Vec<u64> = ranges.iter().flat_map(|range| range.first..=range.last).collect();
            prop_assert_eq!(&expanded, &set.iter().copied().collect::<Vec<_>>());
            prop_assert!(ranges.holes(range(0, 100)).len() <= ranges.len() + 1, "ranges that touch are one");
            let missing: Vec<u64> = ranges
                .holes(range(from, from + length)).iter().flat_map(|hole| hole.first..=hole.last).collect();
            let expected: Vec<u64> = (from..=from + length).filter(|seq| !set.contains(seq)).collect();
            prop_assert_eq!(missing, expected);
        }
    }
}
