//! Each block once: after a failed sync two files may hold the same ones.

use std::collections::VecDeque;

use buffer::{Seq, SeqRange};

/// Holes that are remembered; what lies in an older one is left out if it does turn up in a later file.
const HOLES_MAX: usize = 256;

/// What has been met so far.
pub(super) struct Once {
    next: Seq,
    holes: VecDeque<SeqRange>,
}

impl Once {
    /// Nothing below `first` is wanted.
    pub(super) fn starting_at(first: Seq) -> Once {
        Once { next: first, holes: VecDeque::new() }
    }

    /// Whether a block is met for the first time.
    pub(super) fn is_new(&mut self, seqs: SeqRange) -> bool {
        if seqs.first >= self.next {
            self.note_hole(self.next, seqs.first);
            self.next = seqs.last.saturating_add(1);
            return true;
        }
        let around = |hole: &SeqRange| hole.first <= seqs.first && seqs.last <= hole.last;
        let Some(hole) = self.holes.iter().position(around).and_then(|place| self.holes.remove(place)) else {
            return false;
        };
        self.note_hole(hole.first, seqs.first);
        self.note_hole(seqs.last.saturating_add(1), hole.last.saturating_add(1));
        true
    }

    fn note_hole(&mut self, first: Seq, next: Seq) {
        if first >= next {
            return;
        }
        if self.holes.len() == HOLES_MAX {
            self.holes.pop_front();
        }
        self.holes.push_back(SeqRange { first, last: next - 1 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_file_lost_is_taken_from_the_other_and_nothing_twice() {
        let mut once = Once::starting_at(1);
        let met: Vec<bool> =
            [(1, 5), (11, 15), (21, 25), (1, 5), (6, 7), (8, 10), (8, 10), (16, 20), (21, 25), (26, 30)]
                .map(|(first, last)| once.is_new(SeqRange { first, last }))
                .to_vec();
        assert_eq!(met, [true, true, true, false, true, true, false, true, false, true]);
    }

    #[test]
    fn holes_are_bounded() {
        let mut once = Once::starting_at(1);
        (1..1_000).for_each(|seq| assert!(once.is_new(SeqRange { first: seq * 2, last: seq * 2 })));
        assert_eq!(once.holes.len(), HOLES_MAX);
    }
}
