//! What uplinks hold on to: seqs whose blocks stay as they are.
//!
//! An uplink that has sent records under numbers of its own sends the same records again after a crash. Blocks that are put
//! together or thinned meanwhile would give them back in another shape.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use buffer::SeqRange;

/// The seqs by uplink.
#[derive(Debug, Default)]
pub(super) struct Holds(Mutex<BTreeMap<Box<str>, Vec<SeqRange>>>);

impl Holds {
    /// Takes the place of what the uplink held before.
    pub(super) fn set(&self, uplink: &str, seqs: Vec<SeqRange>) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seqs.is_empty() {
            held.remove(uplink);
        } else {
            held.insert(uplink.into(), seqs);
        }
    }

    /// Whether some uplink holds one of these seqs.
    pub(super) fn touch(&self, seqs: SeqRange) -> bool {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.values().flatten().any(|held| held.first <= seqs.last && seqs.first <= held.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_uplink_lets_go_another_may_still_hold() {
        let (holds, seqs) = (Holds::default(), |first, last| SeqRange { first, last });
        holds.set("lake", vec![seqs(10, 20), seqs(40, 40)]);
        holds.set("cloud", vec![seqs(15, 30)]);
        let touched =
            |holds: &Holds| [(1, 9), (1, 10), (21, 22), (31, 39), (35, 50)].map(|(a, b)| holds.touch(seqs(a, b)));
        assert_eq!(touched(&holds), [false, true, true, false, true]);
        holds.set("lake", Vec::new());
        assert_eq!(touched(&holds), [false, false, true, false, false]);
    }
}
