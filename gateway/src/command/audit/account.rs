//! What one gateway has delivered: every number once, or it says which are missing.

use std::collections::BTreeMap;

use buffer::{Seq, SeqRange};

use super::content::{Clock, Gap, Reading};
use super::latency::Latency;
use super::order::Order;
use super::quality::Quality;
use super::ranges::{Inserted, Ranges};
use super::recent::{Recent, Repeat};
use super::start::Start;

/// How many ranges of seqs are kept, some 5 MB; beyond, the lowest hole is given up as lost.
const RANGES_MAX: usize = 100_000;

/// How many starts of a gateway are told apart.
const EPOCHS_MAX: usize = 10_000;

/// How many gaps are listed one by one; all are taken into account.
const GAPS_LISTED_MAX: usize = 1_000;

/// How many numbers that were given twice are listed.
const REUSED_LISTED_MAX: usize = 20;

/// The account of one gateway.
#[derive(Debug)]
pub(super) struct Account {
    /// The gateway's name, or what comes nearest.
    pub(super) name: Box<str>,
    start: Start,
    /// Seqs of all epochs. They go on from epoch to epoch; only after a power cut one may come under two.
    seen: Ranges,
    epochs: BTreeMap<u32, Ranges>,
    declared: Ranges,
    /// Declared gaps among whose seqs are readings that are still to come.
    sparse: Vec<Gap>,
    /// What is above is no longer counted.
    horizon: Option<Seq>,
    /// Readings in holes that were given up for want of room.
    given_up: u64,
    recent: Recent,
    /// Readings that came, repeats among them.
    pub(super) readings: u64,
    /// The lowest and the highest epoch and seq.
    pub(super) span: Option<[(u32, Seq); 2]>,
    /// Declared gaps, each once.
    pub(super) gaps: Vec<Gap>,
    pub(super) doubled: Doubled,
    pub(super) order: Order,
    pub(super) quality: Quality,
    pub(super) latency: Latency,
    pub(super) unsynchronized: u64,
    /// Readings and gaps beyond what can be followed: with any of them nothing is proven.
    pub(super) beyond: u64,
}

/// Readings whose epoch and seq came before.
#[derive(Debug, Default)]
pub(super) struct Doubled {
    /// The same reading again, as at least once allows.
    pub(super) same: u64,
    /// Another reading under the same number.
    pub(super) different: u64,
    /// The earlier one is too long ago to be compared.
    pub(super) forgotten: u64,
    /// The first numbers under which there were different readings.
    pub(super) reused: Vec<(u32, Seq)>,
}

impl Account {
    pub(super) fn new(name: Box<str>, start: Start) -> Account {
        Account {
            name,
            start,
            seen: Ranges::default(),
            epochs: BTreeMap::new(),
            declared: Ranges::default(),
            sparse: Vec::new(),
            horizon: None,
            given_up: 0,
            recent: Recent::default(),
            readings: 0,
            span: None,
            gaps: Vec::new(),
            doubled: Doubled::default(),
            order: Order::default(),
            quality: Quality::default(),
            latency: Latency::default(),
            unsynchronized: 0,
            beyond: 0,
        }
    }

    /// Takes in the readings of one message, which are of one device.
    pub(super) fn take(&mut self, readings: &[Reading<'_>], arrived_ns: Option<i64>) {
        let horizon = self.horizon.unwrap_or(Seq::MAX);
        let counted = || readings.iter().filter(|reading| reading.seq <= horizon);
        let seqs = (counted().map(|reading| reading.seq).min(), counted().map(|reading| reading.seq).max());
        let ((Some(first), Some(last)), Some(of)) = (seqs, readings.first()) else { return };
        let start = std::mem::take(&mut self.start);
        self.start = start.step(of.device, SeqRange { first, last });
        counted().for_each(|reading| self.take_one(reading, arrived_ns));
    }

    fn take_one(&mut self, reading: &Reading<'_>, arrived_ns: Option<i64>) {
        let Reading { epoch, seq, fingerprint, .. } = *reading;
        if self.epochs.len() >= EPOCHS_MAX && !self.epochs.contains_key(&epoch) {
            self.beyond += 1;
            return;
        }
        self.readings += 1;
        match self.epochs.entry(epoch).or_default().insert(seq) {
            Inserted::Again => self.double(epoch, seq, fingerprint),
            Inserted::New => {
                self.seen.insert(seq);
                self.recent.remember(epoch, seq, fingerprint);
                self.order.follow(reading);
                self.quality.count(reading.quality, reading.reason);
                match reading.clock {
                    Clock::Synchronized => {
                        arrived_ns.into_iter().for_each(|arrived_ns| self.latency.record(reading.time_ns, arrived_ns));
                    }
                    Clock::Unsynchronized => self.unsynchronized += 1,
                }
                let here = (epoch, seq);
                let [low, high] = self.span.unwrap_or([here, here]);
                self.span = Some([low.min(here), high.max(here)]);
                self.bound(epoch);
            }
        }
    }

    fn double(&mut self, epoch: u32, seq: Seq, fingerprint: u32) {
        match self.recent.compare(epoch, seq, fingerprint) {
            Repeat::Same => self.doubled.same += 1,
            Repeat::Forgotten => self.doubled.forgotten += 1,
            Repeat::Different => {
                self.doubled.different += 1;
                if self.doubled.reused.len() < REUSED_LISTED_MAX {
                    self.doubled.reused.push((epoch, seq));
                }
            }
        }
    }

    /// Keeps the sets small; what is filled here and comes later counts as a repeat.
    fn bound(&mut self, epoch: u32) {
        if self.seen.len() > RANGES_MAX
            && let Some(hole) = self.seen.fill_lowest_hole()
        {
            let from = hole.first.max(self.start.seq().unwrap_or(0));
            let undeclared = self.declared.holes(SeqRange { first: from, last: hole.last });
            self.given_up += undeclared.iter().map(|hole| hole.count()).sum::<u64>();
        }
        if let Some(seqs) = self.epochs.get_mut(&epoch)
            && seqs.len() > RANGES_MAX
        {
            seqs.fill_lowest_hole();
        }
    }

    /// Takes in what the gateway declares as lost; the same gap may come again.
    pub(super) fn declare(&mut self, gap: Gap) {
        if self.declared.len() >= RANGES_MAX {
            self.beyond += 1;
            return;
        }
        let missing = |seen: &Ranges| seen.holes(gap.seqs).iter().map(SeqRange::count).sum::<u64>();
        if gap.count >= gap.seqs.count() || missing(&self.seen) <= gap.count {
            self.declared.insert_all(gap.seqs);
        } else if self.sparse.len() >= RANGES_MAX {
            self.beyond += 1;
            return;
        } else if !self.sparse.contains(&gap) {
            self.sparse.push(gap.clone());
        }
        if !self.gaps.contains(&gap) && self.gaps.len() < GAPS_LISTED_MAX {
            self.gaps.push(gap);
        }
    }

    /// From here on only what is below the highest seq so far is taken in: it was on its way.
    pub(super) fn freeze(&mut self) {
        self.horizon = self.last_seq();
    }

    /// What is missing and not declared, lowest first. Where more is missing among the seqs of a gap than it says, nothing of
    /// it counts as declared.
    pub(super) fn holes(&self) -> Vec<SeqRange> {
        let (Some(first), Some(last)) = (self.start.seq(), self.last_seq()) else { return Vec::new() };
        let mut known = self.seen.clone();
        self.declared.iter().for_each(|range| known.insert_all(range));
        let in_vain = |gap: &&Gap| known.holes(gap.seqs).iter().map(SeqRange::count).sum::<u64>() > gap.count;
        let (_, kept): (Vec<&Gap>, Vec<&Gap>) = self.sparse.iter().partition(in_vain);
        kept.iter().for_each(|gap| known.insert_all(gap.seqs));
        known.holes(SeqRange { first, last })
    }

    /// How many readings are missing and not declared.
    pub(super) fn lost(&self) -> u64 {
        self.given_up + self.holes().iter().map(|hole| hole.count()).sum::<u64>()
    }

    /// The first seq that must not be missing.
    pub(super) fn counted_from(&self) -> Option<Seq> {
        self.start.seq()
    }

    /// The first seq that must not be missing is this one.
    pub(super) fn count_from(&mut self, seq: Seq) {
        self.start = Start::At(seq);
    }

    /// Nothing is missing that was not declared, and no number was given twice.
    pub(super) fn is_complete(&self) -> bool {
        self.lost() == 0 && self.doubled.different == 0 && self.beyond == 0
    }

    fn last_seq(&self) -> Option<Seq> {
        self.seen.last()
    }
}

#[cfg(test)]
pub(super) mod tests;
