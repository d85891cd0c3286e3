//! From where on a hole is a loss, when the audit begins in the middle.
//!
//! The gateway stores readings of many devices in one block and publishes a block device by device. Whoever comes while a
//! block is being published sees its later devices only, and holes where the earlier ones stood:
//!
//! ```text
//! seq    10 11 12 13 14 15 | 16 17 18 19     published: a(10 13) b(11 14) c(12 15) | a(16 19) b(17) c(18)
//! device  a  b  c  a  b  c |  a  b  c  a     seen:                        c(12 15) | a(16 19) b(17) c(18) | ...
//! ```
//!
//! The first block is certainly over when a device comes for the second time, after another one, with higher seqs than
//! all before. From there on nothing can be missing for this reason. Until then one goes by the first seq that was seen.
//! An audit that goes on where another ended may have to do with half a block as well.

use std::collections::BTreeSet;

use buffer::{Seq, SeqRange};

/// How many devices are remembered in search of the first block's end.
const DEVICES_MAX: usize = 10_000;

/// Where the count begins.
#[derive(Debug, Clone, Default)]
pub(super) enum Start {
    /// Nothing has come.
    #[default]
    Unknown,
    /// The first block is perhaps not over.
    Perhaps { first: Seq, highest: Seq, device: Box<str>, earlier: BTreeSet<Box<str>> },
    /// Nothing has come of what is seen from its beginning.
    Whole,
    /// What is seen from its beginning, in any order, has this lowest seq so far.
    Lowest(Seq),
    /// Here.
    At(Seq),
}

impl Start {
    /// After a message of a device.
    pub(super) fn step(self, of: &str, seqs: SeqRange) -> Start {
        match self {
            Start::At(_) => self,
            Start::Whole => Start::Lowest(seqs.first),
            Start::Lowest(lowest) => Start::Lowest(lowest.min(seqs.first)),
            Start::Unknown => {
                let SeqRange { first, last } = seqs;
                Start::Perhaps { first, highest: last, device: of.into(), earlier: BTreeSet::new() }
            }
            Start::Perhaps { first, highest, device, mut earlier } => {
                let another = *device != *of;
                if another && earlier.contains(of) && seqs.first > highest {
                    return Start::At(seqs.first);
                }
                if earlier.len() >= DEVICES_MAX {
                    return Start::At(first);
                }
                let highest = highest.max(seqs.last);
                if !another {
                    return Start::Perhaps { first, highest, device, earlier };
                }
                earlier.insert(device);
                Start::Perhaps { first, highest, device: of.into(), earlier }
            }
        }
    }

    /// The first seq that must not be missing, as far as is known; `None` when nothing has come.
    pub(super) fn seq(&self) -> Option<Seq> {
        match self {
            Start::Unknown | Start::Whole => None,
            Start::Perhaps { first, .. } | Start::Lowest(first) | Start::At(first) => Some(*first),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message: device, first and last seq.
    type Of = (&'static str, Seq, Seq);

    fn after(messages: &[Of]) -> Option<Seq> {
        let mut start = Start::default();
        for (device, first, last) in messages {
            start = start.step(device, SeqRange { first: *first, last: *last });
        }
        start.seq()
    }

    #[test]
    fn what_is_seen_from_its_beginning_counts_from_the_lowest() {
        let range = |first, last| SeqRange { first, last };
        let start = Start::Whole.step("b", range(5, 9)).step("a", range(1, 4)).step("c", range(20, 21));
        assert_eq!(start.seq(), Some(1));
    }

    #[test]
    fn the_count_begins_behind_the_block_that_was_cut() {
        let cases: [(&[Of], Option<Seq>); 6] = [
            (&[], None),
            (&[("a", 7, 7), ("a", 8, 8), ("a", 12, 12)], Some(7)),
            (&[("c", 12, 15), ("a", 16, 19), ("b", 17, 17)], Some(12)),
            (&[("c", 12, 15), ("a", 16, 19), ("b", 17, 17), ("c", 18, 18), ("a", 20, 24)], Some(20)),
            // One message a reading: a device's next reading does not end the block.
            (&[("b", 14, 14), ("c", 12, 12), ("c", 15, 15), ("a", 16, 16), ("b", 17, 17), ("b", 20, 20)], Some(17)),
            // Sent again: not higher than before.
            (&[("a", 10, 13), ("b", 11, 14), ("a", 10, 13), ("b", 11, 14)], Some(10)),
        ];
        for (messages, expected) in cases {
            assert_eq!(after(messages), expected, "{messages:?}");
        }
    }
}
