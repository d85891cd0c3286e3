//! What is learned of a zone from the device's refusals.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use tokio::time::Instant;

use super::Tag;
use crate::wire::Exception;

/// A refused address is tried again after this long at first: devices refuse everything while they start up.
const RETRY_FIRST: Duration = Duration::from_secs(30);
/// One that the device failed at is tried again sooner: it may be well by then.
const RETRY_FIRST_FAILED: Duration = Duration::from_secs(5);
/// Each further try takes twice as long as the one before, up to this.
const RETRY_MAX: Duration = Duration::from_secs(600);
/// So often one seam of a zone is given up, to find out whether the device can be read across it by now.
const SEAM_RETRY: Duration = Duration::from_secs(3_600);
/// Seams remembered for one zone; more than these are learned again.
const SEAMS_MAX: usize = 4_096;

/// Requests up to this length are never refused for their length: every device takes so many.
const LENGTH_MIN: u32 = 16;

/// What the device said of one tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The exception's code.
    pub(crate) code: u8,
    retry_at: Instant,
    wait: Duration,
}

/// What is known of one zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Knowledge {
    /// By the tag's index.
    refusals: BTreeMap<usize, Refusal>,
    /// Places that no request may reach across: the device accepts both sides alone, but not together.
    seams: BTreeSet<u32>,
    /// The seam that was given up last: the next one follows it.
    seam_tried: u32,
    /// When the next one is given up; none while there is no seam.
    seam_retry_at: Option<Instant>,
    /// Longest request that was accepted.
    accepted: u32,
    /// Shortest request that was refused for its length alone.
    too_long: u32,
    units_max: u32,
}

impl Knowledge {
    /// Nothing, but that the protocol allows so many items in a request.
    pub(crate) fn new(units_max: u32) -> Knowledge {
        let (refusals, seams) = (BTreeMap::new(), BTreeSet::new());
        let (seam_tried, seam_retry_at) = (0, None);
        Knowledge { refusals, seams, seam_tried, seam_retry_at, accepted: 0, too_long: units_max + 1, units_max }
    }

    /// The length to plan with: what the protocol allows, or halfway between what was accepted and what was refused, until
    /// they meet.
    pub(crate) fn units_max(&self) -> u32 {
        if self.too_long > self.units_max {
            return self.units_max;
        }
        (self.accepted + (self.too_long - self.accepted) / 2).max(1)
    }

    /// The refusal of a tag.
    pub(crate) fn refusal(&self, tag: usize) -> Option<&Refusal> {
        self.refusals.get(&tag)
    }

    /// What no request may read along or reach across.
    pub(crate) fn holes(&self, tags: &[Tag]) -> Vec<Range<u32>> {
        let refused = self.refusals.keys().filter_map(|tag| tags.get(*tag)).map(|tag| {
            let start = tag.address.start;
            start..start + tag.address.units()
        });
        refused.chain(self.seams.iter().map(|seam| *seam..*seam)).collect()
    }

    /// A request of this length was accepted; whether the plan may become better by it.
    pub(crate) fn accept(&mut self, len: u32) -> bool {
        if len <= self.accepted {
            return false;
        }
        let before = self.units_max();
        self.accepted = len;
        if self.too_long <= len {
            self.too_long = self.units_max + 1;
        }
        self.units_max() != before
    }

    /// The device refuses a tag that stands alone in its request.
    pub(crate) fn refuse(&mut self, tag: usize, exception: Exception, now: Instant) {
        let first = if exception.blames_the_address() { RETRY_FIRST } else { RETRY_FIRST_FAILED };
        let wait = self.refusals.get(&tag).map_or(first, |earlier| (earlier.wait * 2).min(RETRY_MAX));
        self.refusals.insert(tag, Refusal { code: exception.code(), retry_at: now + wait, wait });
    }

    /// The device accepts a tag that it refused: the others it refused are due to be tried too.
    pub(crate) fn forgive(&mut self, tag: usize, now: Instant) {
        if self.refusals.remove(&tag).is_some() {
            self.refusals.values_mut().for_each(|other| other.retry_at = now);
        }
    }

    /// Whether a refused tag is due to be tried again.
    pub(crate) fn is_due(&self, tag: usize, now: Instant) -> bool {
        self.refusals.get(&tag).is_some_and(|refusal| refusal.retry_at <= now)
    }

    /// A request of `len` items was refused, though both its halves, which meet at `seam`, were accepted. An exception
    /// that blames the amount means its length, unless longer ones were accepted; else something lies between the halves.
    pub(crate) fn refuse_whole(&mut self, len: u32, seam: u32, exception: Exception, now: Instant) {
        if self.blames_length(len, exception) {
            self.too_long = self.too_long.min(len);
        } else {
            self.part(seam, now);
        }
    }

    /// No request may reach across `seam`.
    pub(super) fn part(&mut self, seam: u32, now: Instant) {
        if self.seams.len() < SEAMS_MAX {
            self.seams.insert(seam);
            self.seam_retry_at.get_or_insert(now + SEAM_RETRY);
        }
    }

    /// Gives up one seam where it is time to; whether the plan may become better by it. If the device still refuses what
    /// lies there, the next poll learns it anew, and loses no value by it.
    pub(crate) fn give_up_seam(&mut self, now: Instant) -> bool {
        if self.seam_retry_at.is_none_or(|at| now < at) {
            return false;
        }
        let next = self.seams.range(self.seam_tried.saturating_add(1)..).next().or(self.seams.first()).copied();
        self.seam_retry_at = next.map(|_| now + SEAM_RETRY);
        self.seam_tried = next.unwrap_or(0);
        self.seams.remove(&self.seam_tried)
    }

    /// A tag that stands alone was refused, perhaps only for its length: then it will be read in parts.
    pub(crate) fn refuse_length(&mut self, len: u32, exception: Exception) -> bool {
        let is_length = self.blames_length(len, exception);
        if is_length {
            self.too_long = self.too_long.min(len);
        }
        is_length
    }

    fn blames_length(&self, len: u32, exception: Exception) -> bool {
        exception == Exception::IllegalDataValue && len > self.accepted.max(LENGTH_MIN)
    }

    /// Refused tags with their codes.
    pub(super) fn refusals(&self) -> impl Iterator<Item = (usize, u8)> {
        self.refusals.iter().map(|(tag, refusal)| (*tag, refusal.code))
    }

    pub(super) fn seams(&self) -> impl Iterator<Item = u32> {
        self.seams.iter().copied()
    }

    /// Longest accepted and shortest refused length, where one was refused.
    pub(super) fn lengths(&self) -> Option<(u32, u32)> {
        (self.too_long <= self.units_max).then_some((self.accepted, self.too_long))
    }

    pub(super) fn restore_lengths(&mut self, accepted: u32, too_long: u32) {
        if accepted < too_long && (LENGTH_MIN + 1..=self.units_max).contains(&too_long) {
            (self.accepted, self.too_long) = (accepted, too_long);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accepted_length_is_found_by_halving() {
        let (device_max, mut tries) = (100, 0);
        let mut knowledge = Knowledge::new(125);
        assert_eq!(knowledge.units_max(), 125);
        loop {
            let len = knowledge.units_max();
            if len > device_max {
                knowledge.refuse_whole(len, len / 2, Exception::IllegalDataValue, Instant::now());
            } else if !knowledge.accept(len) {
                break;
            }
            tries += 1;
            assert!(tries < 20);
        }
        assert_eq!(knowledge.units_max(), device_max);
        knowledge.accept(120);
        assert_eq!(knowledge.units_max(), 125, "a longer one was accepted: it was not the length");
    }

    #[test]
    fn a_refusal_is_tried_again_ever_more_rarely() {
        let mut knowledge = Knowledge::new(125);
        let mut now = Instant::now();
        let mut waits = Vec::new();
        for _ in 0..7 {
            knowledge.refuse(3, Exception::IllegalDataAddress, now);
            let refusal = *knowledge.refusal(3).expect("refused");
            assert!(!knowledge.is_due(3, now));
            waits.push(refusal.wait.as_secs());
            now = refusal.retry_at;
            assert!(knowledge.is_due(3, now));
        }
        assert_eq!(waits, [30, 60, 120, 240, 480, 600, 600]);
        knowledge.forgive(3, now);
        assert_eq!(knowledge.refusal(3), None);
    }

    #[test]
    fn what_lies_between_two_good_halves_becomes_a_seam() {
        let mut knowledge = Knowledge::new(125);
        knowledge.accept(60);
        knowledge.refuse_whole(50, 20, Exception::IllegalDataValue, Instant::now());
        knowledge.refuse_whole(70, 30, Exception::IllegalDataAddress, Instant::now());
        assert_eq!(knowledge.holes(&[]), [20..20, 30..30]);
        assert_eq!(knowledge.units_max(), 125);
    }

    #[test]
    fn seams_are_given_up_one_after_the_other_and_learned_again() {
        let mut knowledge = Knowledge::new(125);
        let mut now = Instant::now();
        assert!(!knowledge.give_up_seam(now + SEAM_RETRY), "there is none");
        [10, 20, 30].into_iter().for_each(|seam| knowledge.part(seam, now));
        assert!(!knowledge.give_up_seam(now));
        let mut tried = Vec::new();
        for _ in 0..4 {
            now += SEAM_RETRY;
            assert!(knowledge.give_up_seam(now) && !knowledge.give_up_seam(now));
            tried.push(knowledge.seam_tried);
            knowledge.part(knowledge.seam_tried, now);
        }
        assert_eq!(tried, [10, 20, 30, 10]);
        for _ in 0..3 {
            now += SEAM_RETRY;
            assert!(knowledge.give_up_seam(now));
        }
        assert_eq!(knowledge.holes(&[]), []);
        assert!(!knowledge.give_up_seam(now + SEAM_RETRY), "all are gone");
    }
}
