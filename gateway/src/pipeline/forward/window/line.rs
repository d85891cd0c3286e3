//! What is to be sent, in its order: lane by lane, and each in the order of its seqs.

use std::collections::VecDeque;

use crate::uplink::Token;

/// Messages by their tokens. Most come behind all others and leave at the front, where a queue costs less than a tree.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// Sorted, each once.
    tokens: VecDeque<Token>,
}

impl Line {
    pub(super) fn insert(&mut self, token: Token) {
        if let Err(place) = self.place(token) {
            self.tokens.insert(place, token);
        }
    }

    pub(super) fn remove(&mut self, token: Token) {
        if let Ok(place) = self.place(token) {
            self.tokens.remove(place);
        }
    }

    pub(super) fn contains(&self, token: Token) -> bool {
        self.place(token).is_ok()
    }

    pub(super) fn len(&self) -> usize {
        self.tokens.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Token> {
        self.tokens.iter().copied()
    }

    /// Where a token stands, or where it belongs.
    fn place(&self, token: Token) -> Result<usize, usize> {
        if self.tokens.back().is_none_or(|last| *last < token) {
            return Err(self.tokens.len());
        }
        self.tokens.binary_search(&token)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::uplink::Lane;

    proptest! {
        #[test]
        fn a_line_holds_what_a_sorted_set_holds(steps in prop::collection::vec((any::<bool>(), 0..3_u32, 0..9_u64), 0..60)) {
            let (mut line, mut set) = (Line::default(), BTreeSet::new());
            for (comes, lane, seq) in steps {
                let lane = [Lane::Live, Lane::History, Lane::Replay(lane)][lane as usize];
                let token = Token { lane, seq, part: 0 };
                if comes {
                    line.insert(token);
                    set.insert(token);
                } else {
                    line.remove(token);
                    set.remove(&token);
                }
                prop_assert!(line.iter().eq(set.iter().copied()), "{line:?}");
                prop_assert_eq!((line.len(), line.contains(token)), (set.len(), set.contains(&token)));
            }
        }
    }
}
