//! Finding what a PLC refuses within an item, by halving it until the bad address stands alone.
//!
//! A refused item is explained by a tag that is refused alone. Where both halves are accepted, and all of theirs, there is
//! no such tag: then something that lies between the halves was to blame. Items are refused one by one, so that all halves
//! of a round go out together.

use super::tally::Tally;
use crate::plan::Block;
use crate::wire::ReturnCode;

/// An item to be asked for or refused, with the trial of which it is a half.
#[derive(Debug)]
pub(super) struct Half {
    pub(super) block: Block,
    pub(super) trial: Option<usize>,
}

/// The items that were refused and cut.
#[derive(Debug, Default)]
pub(super) struct Trials {
    trials: Vec<Trial>,
}

#[derive(Debug)]
struct Trial {
    parent: Option<usize>,
    zone: usize,
    /// Where its second half begins.
    seam: u32,
    halves_open: u8,
    cause: Cause,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Unknown,
    Found,
}

impl Trials {
    /// The PLC refuses an item for its address: its halves, if it has any.
    pub(super) fn refuse(&mut self, refused: Half, code: ReturnCode, tally: &mut Tally<'_, '_>) -> Option<[Half; 2]> {
        let Half { block, trial: parent } = refused;
        let is_absent = tally.zones[block.zone].knowledge.is_absent();
        let halves = if is_absent { None } else { block.halves() };
        let Some([left, right]) = halves else {
            if is_absent {
                tally.fault(&block, super::tally::refusal(code));
            } else {
                tally.refuse_alone(&block, code);
            }
            self.leave(parent, tally);
            return None;
        };
        let seam = right.item.start;
        self.trials.push(Trial { parent, zone: block.zone, seam, halves_open: 2, cause: Cause::Unknown });
        let trial = Some(self.trials.len() - 1);
        Some([Half { block: left, trial }, Half { block: right, trial }])
    }

    /// The PLC accepts a half of `trial`.
    pub(super) fn accept(&mut self, trial: Option<usize>, tally: &mut Tally<'_, '_>) {
        let mut next = trial;
        while let Some(index) = next {
            let trial = &mut self.trials[index];
            trial.halves_open = trial.halves_open.saturating_sub(1);
            if trial.halves_open > 0 {
                return;
            }
            next = trial.parent;
            if trial.cause == Cause::Unknown {
                tally.refuse_whole(trial.zone, trial.seam);
                self.found(Some(index));
            }
        }
    }

    /// A half of `trial` has a cause of its own, or could not be tried: nothing follows for the whole.
    pub(super) fn leave(&mut self, trial: Option<usize>, tally: &mut Tally<'_, '_>) {
        self.found(trial);
        self.accept(trial, tally);
    }

    fn found(&mut self, trial: Option<usize>) {
        let mut next = trial;
        while let Some(index) = next {
            self.trials[index].cause = Cause::Found;
            next = self.trials[index].parent;
        }
    }
}
