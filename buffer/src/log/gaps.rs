//! The gaps that the log knows of: sorted, apart, bounded in number. No I/O.
//!
//! A gap is *dense* when every seq of it is lost. What was dropped of one class while others lie in between is *sparse*:
//! it is kept as its bounds and its count, and says why a seq is missing that no file has.

use std::collections::{BTreeMap, VecDeque};

use crate::block::{Seq, SeqRange};
use crate::gap::Gap;

/// Most gaps that are remembered; beyond it the oldest is forgotten and found again, as damage, when it is read over.
pub(super) const GAPS_MAX: usize = 1024;

/// Most sparse gaps: those of one class and reason are one, so there are never many.
const SPARSE_MAX: usize = 64;

/// The known gaps.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    /// The dense ones by their first seq.
    by_first: BTreeMap<Seq, Gap>,
    /// The sparse ones in the order in which they were made.
    sparse: VecDeque<Gap>,
}

impl Gaps {
    /// The dense gaps in the order of seqs, and then the sparse ones.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Gap> {
        self.by_first.values().chain(&self.sparse)
    }

    /// Why seqs from `first` on, before `next`, are missing that no file has: the part of a sparse gap that begins at
    /// `first`. If there is none, up to where one begins.
    pub(super) fn explain(&self, first: Seq, next: Seq) -> Result<Gap, Seq> {
        match self.sparse.iter().find(|gap| gap.seqs.contains(first)) {
            Some(gap) => Ok(cut(gap, SeqRange { first, last: gap.seqs.last.min(next - 1) })),
            None => {
                let begins = self.sparse.iter().map(|gap| gap.seqs.first).filter(|begins| *begins > first);
                Err(begins.fold(next, Seq::min))
            }
        }
    }

    /// The dense gap that holds `seq`, cut so that it begins there.
    pub(super) fn at(&self, seq: Seq) -> Option<Gap> {
        let (_, gap) = self.by_first.range(..=seq).next_back()?;
        gap.seqs.contains(seq).then(|| cut(gap, SeqRange { first: seq, last: gap.seqs.last }))
    }

    /// The first seq of the next dense gap above `seq`.
    pub(super) fn next_after(&self, seq: Seq) -> Option<Seq> {
        self.by_first.range(seq.saturating_add(1)..).next().map(|(first, _)| *first)
    }

    /// The highest seq in any gap.
    pub(super) fn last(&self) -> Option<Seq> {
        let dense = self.by_first.last_key_value().map(|(_, gap)| gap.seqs.last);
        dense.max(self.sparse.iter().map(|gap| gap.seqs.last).max())
    }

    /// How many of these seqs are in dense gaps.
    pub(super) fn lost_in(&self, seqs: SeqRange) -> u64 {
        let gaps = self.by_first.values().map(|gap| gap.seqs);
        let parts = gaps.map(|gap| (gap.first.max(seqs.first), gap.last.min(seqs.last)));
        parts.map(|(first, last)| (last + 1).saturating_sub(first)).sum()
    }

    /// Takes a loss into account. Returns the parts of it that were not known, each with its own count.
    pub(super) fn add(&mut self, gap: &Gap) -> Vec<Gap> {
        if gap.count < gap.seqs.count() {
            return self.add_sparse(gap);
        }
        let fresh: Vec<Gap> = self.unknown(gap.seqs).into_iter().map(|seqs| cut(gap, seqs)).collect();
        for part in &fresh {
            self.insert(part.clone());
        }
        while self.by_first.len() > GAPS_MAX {
            self.by_first.pop_first();
        }
        fresh
    }

    fn add_sparse(&mut self, gap: &Gap) -> Vec<Gap> {
        let alike = self.sparse.iter_mut().filter(|known| (known.class, known.reason) == (gap.class, gap.reason));
        for known in alike {
            if known.seqs.first <= gap.seqs.first && gap.seqs.last <= known.seqs.last {
                return Vec::new();
            }
            if gap.seqs.first <= known.seqs.first && known.seqs.last <= gap.seqs.last {
                // A ledger that was begun later says it of more.
                let more = gap.count.saturating_sub(known.count);
                *known = gap.clone();
                return if more > 0 { vec![Gap { count: more, ..gap.clone() }] } else { Vec::new() };
            }
            if known.seqs.last < gap.seqs.first {
                known.seqs.last = gap.seqs.last;
                known.count += gap.count;
                known.time_ns = join(known.time_ns, gap.time_ns);
                return vec![gap.clone()];
            }
        }
        self.sparse.push_back(gap.clone());
        if self.sparse.len() > SPARSE_MAX {
            self.sparse.pop_front();
        }
        vec![gap.clone()]
    }

    /// Forgets the gaps that lie wholly below `seq`.
    pub(super) fn forget_below(&mut self, seq: Seq) {
        self.sparse.retain(|gap| gap.seqs.last >= seq);
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
