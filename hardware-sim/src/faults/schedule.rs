//! Which frame meets which fault.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use super::Fault;
use crate::random::Random;

/// The faults of one direction, and the count of what was done. Clones are the same faults.
#[derive(Debug, Clone)]
pub struct Faults {
    state: Arc<Mutex<State>>,
}

/// What passed in one direction.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FaultCounts {
    /// Frames that came.
    pub frames: u64,
    /// Bytes that came.
    pub bytes: u64,
    /// How often each fault was done, by its name.
    pub injected: BTreeMap<&'static str, u64>,
    /// Faults that were due but make no sense for their frame, such as a wrong CRC on Modbus TCP; it passed.
    pub inapplicable: u64,
}

#[derive(Debug)]
struct State {
    schedule: Schedule,
    only_unit: Option<u8>,
    random: Random,
    counts: FaultCounts,
}

#[derive(Debug)]
enum Schedule {
    Always(Fault),
    Script(VecDeque<Fault>),
    Mix { share: f64, faults: Vec<Fault> },
}

impl Faults {
    pub(super) fn none() -> Self {
        let schedule = Schedule::Always(Fault::Pass);
        let state = State { schedule, only_unit: None, random: Random::new(0), counts: FaultCounts::default() };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// From now on every frame meets this fault.
    pub fn set(&self, fault: Fault) {
        self.with(|state| state.schedule = Schedule::Always(fault));
    }

    /// The next frames meet these faults, one each; those behind pass.
    pub fn script(&self, faults: impl IntoIterator<Item = Fault>) {
        self.with(|state| state.schedule = Schedule::Script(faults.into_iter().collect()));
    }

    /// Of the frames a share from 0 to 1 meets one of the faults by chance; the same seed makes the same choices.
    pub fn mix(&self, seed: u64, share: f64, faults: impl IntoIterator<Item = Fault>) {
        self.with(|state| {
            state.random = Random::new(seed);
            state.schedule = Schedule::Mix { share, faults: faults.into_iter().collect() };
        });
    }

    /// Lets the frames of all units but this one pass; with none again no unit is spared.
    pub fn only_unit(&self, unit: Option<u8>) {
        self.with(|state| state.only_unit = unit);
    }

    /// How many faults of a script are still to come.
    pub fn left(&self) -> usize {
        self.with(|state| match &state.schedule {
            Schedule::Script(faults) => faults.len(),
            Schedule::Always(_) | Schedule::Mix { .. } => 0,
        })
    }

    /// What was done so far.
    pub fn counts(&self) -> FaultCounts {
        self.with(|state| state.counts.clone())
    }

    /// How many faults were done so far, of all kinds.
    pub fn injected(&self) -> u64 {
        self.with(|state| state.counts.injected.values().sum())
    }

    /// The fault for a frame of so many bytes that came from, or goes to, a unit.
    pub(super) fn next(&self, len: usize, unit: Option<u8>) -> Fault {
        self.with(|state| {
            state.counts.frames += 1;
            state.counts.bytes += len as u64;
            if state.only_unit.is_some() && state.only_unit != unit {
                return Fault::Pass;
            }
            match &mut state.schedule {
                Schedule::Always(fault) => *fault,
                Schedule::Script(faults) => faults.pop_front().unwrap_or(Fault::Pass),
                Schedule::Mix { share, faults } if state.random.fraction() < *share => {
                    state.random.choose(faults).copied().unwrap_or(Fault::Pass)
                }
                Schedule::Mix { .. } => Fault::Pass,
            }
        })
    }

    pub(super) fn random_bytes(&self, len: usize) -> Vec<u8> {
        self.with(|state| state.random.bytes(len))
    }

    pub(super) fn done(&self, fault: Fault) {
        if fault != Fault::Pass {
            self.with(|state| *state.counts.injected.entry(fault.name()).or_default() += 1);
        }
    }

    pub(super) fn inapplicable(&self) {
        self.with(|state| state.counts.inapplicable += 1);
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(faults: &Faults, count: usize) -> Vec<Fault> {
        (0..count).map(|_| faults.next(10, Some(1))).collect()
    }

    #[test]
    fn a_script_is_played_once() {
        let faults = Faults::none();
        faults.script([Fault::Silence, Fault::Twice]);
        assert_eq!(faults.left(), 2);
        assert_eq!(next(&faults, 3), [Fault::Silence, Fault::Twice, Fault::Pass]);
        assert_eq!((faults.left(), faults.counts().frames, faults.counts().bytes), (0, 3, 30));
    }

    #[test]
    fn a_mix_keeps_its_share_and_repeats_by_its_seed() {
        let draw = |seed| {
            let faults = Faults::none();
            faults.mix(seed, 0.25, [Fault::Silence, Fault::Echo]);
            next(&faults, 4000)
        };
        let drawn = draw(1);
        let broken = drawn.iter().filter(|fault| **fault != Fault::Pass).count();
        assert!((800..1200).contains(&broken), "{broken}");
        assert!(drawn.contains(&Fault::Silence) && drawn.contains(&Fault::Echo));
        assert_eq!(drawn, draw(1));
        assert_ne!(drawn, draw(2));
    }

    #[test]
    fn other_units_are_spared() {
        let faults = Faults::none();
        faults.set(Fault::Silence);
        faults.only_unit(Some(2));
        assert_eq!(faults.next(8, Some(1)), Fault::Pass);
        assert_eq!(faults.next(8, None), Fault::Pass);
        assert_eq!(faults.next(8, Some(2)), Fault::Silence);
    }
}
