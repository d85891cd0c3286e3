//! The gaps that the log knows of: sorted, apart, bounded in number. No I/O.

use std::collections::BTreeMap;

use crate::block::{Seq, SeqRange};
use crate::gap::Gap;

/// Most gaps that are remembered; beyond it the oldest is forgotten and found again, as damage, when it is read over.
pub(super) const GAPS_MAX: usize = 1024;

/// The known gaps by their first seq.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    by_first: BTreeMap<Seq, Gap>,
}

impl Gaps {
    /// The gaps in the order of seqs.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Gap> {
        self.by_first.values()
    }

    /// The gap that holds `seq`, cut so that it begins there.
    pub(super) fn at(&self, seq: Seq) -> Option<Gap> {
        let (_, gap) = self.by_first.range(..=seq).next_back()?;
        gap.seqs.contains(seq).then(|| cut(gap, SeqRange { first: seq, last: gap.seqs.last }))
    }

    /// The first seq of the next gap above `seq`.
    pub(super) fn next_after(&self, seq: Seq) -> Option<Seq> {
        self.by_first.range(seq.saturating_add(1)..).next().map(|(first, _)| *first)
    }

    /// The highest seq in any gap.
    pub(super) fn last(&self) -> Option<Seq> {
        self.by_first.last_key_value().map(|(_, gap)| gap.seqs.last)
    }

    /// Takes a loss into account. Returns the parts of it that were not known, each with its own count.
    pub(super) fn add(&mut self, gap: &Gap) -> Vec<Gap> {
        let fresh: Vec<Gap> = self.unknown(gap.seqs).into_iter().map(|seqs| cut(gap, seqs)).collect();
        for part in &fresh {
            self.insert(part.clone());
        }
        while self.by_first.len() > GAPS_MAX {
            self.by_first.pop_first();
        }
        fresh
    }

    /// Forgets the gaps that lie wholly below `seq`.
    pub(super) fn forget_below(&mut self, seq: Seq) {
        while let Some(entry) = self.by_first.first_entry() {
            if entry.get().seqs.last >= seq {
                return;
            }
            entry.remove();
        }
    }

    /// The parts of `seqs` that no gap covers.
    fn unknown(&self, seqs: SeqRange) -> Vec<SeqRange> {
        let mut parts = Vec::new();
        let mut from = seqs.first;
        while from <= seqs.last {
            if let Some(known) = self.at(from) {
                from = known.seqs.last.saturating_add(1);
                continue;
            }
            let last = self.next_after(from).map_or(seqs.last, |next| seqs.last.min(next - 1));
            parts.push(SeqRange { first: from, last });
            from = last.saturating_add(1);
        }
        parts
    }

    /// Inserts a gap that touches no known seq, joined with the one before it if that is of the same kind.
    fn insert(&mut self, gap: Gap) {
        let before = self.by_first.range_mut(..gap.seqs.first).next_back().map(|(_, before)| before);
        match before {
            Some(before)
                if before.seqs.last + 1 == gap.seqs.first
                    && (before.reason, before.class) == (gap.reason, gap.class) =>
            {
                before.seqs.last = gap.seqs.last;
                before.count += gap.count;
                before.time_ns = join(before.time_ns, gap.time_ns);
            }
            _ => {
                self.by_first.insert(gap.seqs.first, gap);
            }
        }
    }
}

/// The part of a gap that covers `seqs`.
pub(super) fn cut(gap: &Gap, seqs: SeqRange) -> Gap {
    Gap { seqs, count: seqs.count(), ..gap.clone() }
}

fn join(a: Option<(i64, i64)>, b: Option<(i64, i64)>) -> Option<(i64, i64)> {
    match (a, b) {
        (Some((a_min, a_max)), Some((b_min, b_max))) => Some((a_min.min(b_min), a_max.max(b_max))),
        (known, None) | (None, known) => known,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::block::Class;
    use crate::gap::GapReason;

    fn gap(first: Seq, last: Seq, reason: GapReason) -> Gap {
        let seqs = SeqRange { first, last };
        let time_ns = Some((first as i64, last as i64));
        Gap { class: Class::Normal, seqs, count: seqs.count(), time_ns, reason }
    }

    #[test]
    fn a_loss_that_covers_a_known_one_keeps_the_known_reason() {
        let mut gaps = Gaps::default();
        gaps.add(&gap(5, 6, GapReason::Damaged));
        let fresh = gaps.add(&gap(1, 10, GapReason::DroppedOldest));
        assert_eq!(fresh.iter().map(|g| (g.seqs.first, g.count)).collect::<Vec<_>>(), [(1, 4), (7, 4)]);
        assert_eq!(gaps.at(6).map(|g| (g.reason, g.count)), Some((GapReason::Damaged, 1)));
    }

    #[test]
    fn neighbours_of_one_reason_become_one() {
        let mut gaps = Gaps::default();
        gaps.add(&gap(1, 4, GapReason::TooOld));
        gaps.add(&gap(5, 8, GapReason::TooOld));
        assert_eq!(gaps.iter().collect::<Vec<_>>(), [&gap(1, 8, GapReason::TooOld)]);
        gaps.forget_below(9);
        assert_eq!(gaps.iter().count(), 0);
    }

    #[test]
    fn stays_within_its_bound() {
        let mut gaps = Gaps::default();
        for i in 1..=GAPS_MAX as u64 + 10 {
            gaps.add(&gap(i * 2, i * 2, GapReason::Damaged));
        }
        assert_eq!(gaps.iter().count(), GAPS_MAX);
    }

    proptest! {
        #[test]
        fn every_lost_seq_is_in_exactly_one_gap_and_counted_once(
            losses in proptest::collection::vec((1u64..80, 0u64..12, 0usize..7), 0..30),
        ) {
            let (mut gaps, mut set, mut counted) = (Gaps::default(), BTreeSet::new(), 0);
            for (first, more, reason) in losses {
                counted += gaps.add(&gap(first, first + more, GapReason::ALL[reason])).iter().map(|g| g.count).sum::<u64>();
                set.extend(first..=first + more);
            }
            prop_assert_eq!(counted, set.len() as u64);
            for seq in 1..100 {
                prop_assert_eq!(gaps.at(seq).is_some(), set.contains(&seq), "seq {}", seq);
            }
            let listed: Vec<Gap> = gaps.iter().cloned().collect();
            prop_assert!(listed.windows(2).all(|pair| pair[0].seqs.last < pair[1].seqs.first));
        }
    }
}
