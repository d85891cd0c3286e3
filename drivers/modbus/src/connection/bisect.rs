//! Finding what a device refuses within a request, by halving it until the bad address stands alone.
//!
//! A refused request is explained by a tag that is refused alone. Where both halves are accepted, and all of theirs, there
//! is no such tag: then it was the length of the request, or something that lies between the halves.

use super::tally::Tally;
use crate::plan::Read;
use crate::wire::Exception;

/// The search within one refused request. Bounded by its number of tags: each half has fewer.
#[derive(Debug, Default)]
pub(super) struct Bisection {
    trials: Vec<Trial>,
    /// Halves to be asked for, the next one last, each with the trial that it is of.
    open: Vec<(Read, usize)>,
}

/// A request that was refused and cut.
#[derive(Debug)]
struct Trial {
    parent: Option<usize>,
    zone: usize,
    len: u16,
    /// Where its second half begins.
    seam: u32,
    exception: Exception,
    halves_open: u8,
    cause: Cause,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Unknown,
    Found,
}

impl Bisection {
    /// The next half to be asked for, and its trial.
    pub(super) fn next(&mut self) -> Option<(Read, usize)> {
        self.open.pop()
    }

    /// What has not been asked for.
    pub(super) fn rest(&self) -> impl Iterator<Item = &Read> {
        self.open.iter().map(|(read, _)| read)
    }

    /// The device refuses `read`, a half of `parent`.
    pub(super) fn refuse(
        &mut self,
        read: Read,
        parent: Option<usize>,
        exception: Exception,
        tally: &mut Tally<'_, '_>,
    ) {
        if let Some([left, right]) = read.halves() {
            let (zone, len, seam) = (read.zone, read.len, right.start);
            self.trials.push(Trial { parent, zone, len, seam, exception, halves_open: 2, cause: Cause::Unknown });
            let trial = self.trials.len() - 1;
            self.open.extend([(right, trial), (left, trial)]);
            return;
        }
        tally.refuse_alone(&read, exception);
        if let Some(parent) = parent {
            self.leave(parent, tally);
        }
    }

    /// The device accepts a half of `trial`.
    pub(super) fn accept(&mut self, trial: usize, tally: &mut Tally<'_, '_>) {
        self.settle(trial, tally);
    }

    /// A half of `trial` has a cause of its own, or could not be tried: nothing follows for the whole.
    pub(super) fn leave(&mut self, trial: usize, tally: &mut Tally<'_, '_>) {
        self.found(trial);
        self.settle(trial, tally);
    }

    fn found(&mut self, trial: usize) {
        let mut next = Some(trial);
        while let Some(trial) = next {
            self.trials[trial].cause = Cause::Found;
            next = self.trials[trial].parent;
        }
    }

    fn settle(&mut self, trial: usize, tally: &mut Tally<'_, '_>) {
        let mut next = Some(trial);
        while let Some(index) = next {
            let trial = &mut self.trials[index];
            trial.halves_open -= 1;
            if trial.halves_open > 0 {
                return;
            }
            next = trial.parent;
            if trial.cause == Cause::Unknown {
                tally.refuse_whole(trial.zone, u32::from(trial.len), trial.seam, trial.exception);
                self.found(index);
            }
        }
    }
}
