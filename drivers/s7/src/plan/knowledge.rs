//! What is learned of a zone from the PLC's refusals.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use tokio::time::Instant;

use super::Tag;
use crate::wire::ReturnCode;

/// What is refused is tried again after this long at first: a PLC refuses everything while a program is loaded.
const RETRY_FIRST: Duration = Duration::from_secs(30);
/// Each further try takes twice as long as the one before, up to this.
const RETRY_MAX: Duration = Duration::from_secs(600);
/// So often the seams of a zone are given up, to find out whether the PLC can be read across them by now.
const SEAM_RETRY: Duration = Duration::from_secs(3_600);
/// Seams remembered for one zone; more than these are learned again.
const SEAMS_MAX: usize = 4_096;

/// What the PLC said of one tag, or of a whole data block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The return code.
    pub(crate) code: ReturnCode,
    retry_at: Instant,
    wait: Duration,
}

/// What is known of one zone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Knowledge {
    /// By the tag's index.
    refusals: BTreeMap<usize, Refusal>,
    /// The data block does not exist for us: all its tags are refused.
    absent: Option<Refusal>,
    /// Whether anything of it was ever read.
    is_present: bool,
    /// Places that no item may reach across: the PLC accepts both sides alone, but not together.
    seams: BTreeSet<u32>,
    /// When they are given up; none while there is none.
    seam_retry_at: Option<Instant>,
}

/// What stands between the bytes of a zone.
#[derive(Debug, Default)]
pub(super) struct Barriers {
    /// The bytes of refused tags, by rising start; none meets another.
    holes: Vec<Range<u32>>,
    /// By rising place.
    seams: Vec<u32>,
}

impl Barriers {
    /// Whether one stands between the end of what is read and the next byte that is wanted.
    pub(super) fn part(&self, end: u32, start: u32) -> bool {
        let gap = end.min(start)..start;
        let seam = self.seams.get(self.seams.partition_point(|seam| *seam < gap.start));
        let hole = self.holes.get(self.holes.partition_point(|hole| hole.end <= gap.start));
        seam.is_some_and(|seam| *seam <= gap.end) || !gap.is_empty() && hole.is_some_and(|hole| hole.start < gap.end)
    }
}

impl Refusal {
    fn new(code: ReturnCode, earlier: Option<&Refusal>, now: Instant) -> Refusal {
        let wait = earlier.map_or(RETRY_FIRST, |earlier| (earlier.wait * 2).min(RETRY_MAX));
        Refusal { code, retry_at: now + wait, wait }
    }
}

impl Knowledge {
    /// The refusal of a tag.
    pub(crate) fn refusal(&self, tag: usize) -> Option<&Refusal> {
        self.absent.as_ref().or_else(|| self.refusals.get(&tag))
    }

    /// Whether the zone as a whole is refused.
    pub(crate) fn is_absent(&self) -> bool {
        self.absent.is_some()
    }

    /// What no item may read along or reach across.
    pub(super) fn barriers(&self, tags: &[Tag]) -> Barriers {
        let refused = self.refusals.keys().filter_map(|tag| tags.get(*tag));
        let mut holes: Vec<Range<u32>> =
            refused.map(|tag| tag.address.start..tag.address.start + tag.address.bytes()).collect();
        holes.sort_unstable_by_key(|hole| (hole.start, hole.end));
        holes.dedup_by(|next, last| {
            let meets = next.start <= last.end;
            if meets {
                last.end = last.end.max(next.end);
            }
            meets
        });
        Barriers { holes, seams: self.seams.iter().copied().collect() }
    }

    /// Something of the zone was read.
    pub(crate) fn accept(&mut self) {
        self.is_present = true;
    }

    /// The PLC refuses a tag that stands alone in its item. Where it says of a second one that the whole data block is not
    /// there, and nothing of it was ever read, all tags of it are refused at once.
    pub(crate) fn refuse(&mut self, tag: usize, code: ReturnCode, now: Instant) {
        let blames_the_block = code.blames_the_block() && !self.is_present;
        let blamed_before =
            self.refusals.iter().any(|(other, refusal)| *other != tag && refusal.code.blames_the_block());
        if blames_the_block && (self.absent.is_some() || blamed_before) {
            // All tags of a zone are tried at once, and each tells: the wait grows once.
            let is_told = self.absent.is_some_and(|absent| absent.retry_at > now);
            self.absent = if is_told { self.absent } else { Some(Refusal::new(code, self.absent.as_ref(), now)) };
            self.refusals.clear();
            return;
        }
        let refusal = Refusal::new(code, self.refusals.get(&tag), now);
        self.refusals.insert(tag, refusal);
    }

    /// The PLC accepts a tag that it refused: the others it refused are due to be tried too.
    pub(crate) fn forgive(&mut self, tag: usize, now: Instant) {
        self.is_present = true;
        if self.absent.take().is_some() || self.refusals.remove(&tag).is_some() {
            self.refusals.values_mut().for_each(|other| other.retry_at = now);
        }
    }

    /// Whether a refused tag is due to be tried again.
    pub(crate) fn is_due(&self, tag: usize, now: Instant) -> bool {
        self.refusal(tag).is_some_and(|refusal| refusal.retry_at <= now)
    }

    /// An item was refused, though both its halves, which meet at `seam`, were accepted.
    pub(crate) fn part(&mut self, seam: u32, now: Instant) {
        if self.seams.len() < SEAMS_MAX {
            self.seams.insert(seam);
            self.seam_retry_at.get_or_insert(now + SEAM_RETRY);
        }
    }

    /// Gives up the seams where it is time to; whether the plan may become better by it.
    pub(crate) fn give_up_seams(&mut self, now: Instant) -> bool {
        let is_due = self.seam_retry_at.is_some_and(|at| at <= now);
        if is_due {
            self.seam_retry_at = None;
            self.seams.clear();
        }
        is_due
    }

    /// Refused tags with their codes.
    pub(super) fn refusals(&self) -> impl Iterator<Item = (usize, ReturnCode)> {
        self.refusals.iter().map(|(tag, refusal)| (*tag, refusal.code))
    }

    pub(super) fn absent(&self) -> Option<ReturnCode> {
        self.absent.map(|refusal| refusal.code)
    }

    pub(super) fn seams(&self) -> impl Iterator<Item = u32> {
        self.seams.iter().copied()
    }

    pub(super) fn restore_absent(&mut self, code: ReturnCode, now: Instant) {
        self.absent = Some(Refusal::new(code, None, now));
    }

    pub(super) fn restore_refusal(&mut self, tag: usize, code: ReturnCode, now: Instant) {
        self.refusals.insert(tag, Refusal::new(code, None, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUT_OF_RANGE: ReturnCode = ReturnCode(5);
    const ABSENT: ReturnCode = ReturnCode(10);

    #[test]
    fn a_refusal_is_tried_again_ever_more_rarely() {
        let mut knowledge = Knowledge::default();
        let mut now = Instant::now();
        let mut waits = Vec::new();
        for _ in 0..7 {
            knowledge.refuse(3, OUT_OF_RANGE, now);
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
    fn a_block_that_is_not_there_refuses_all_its_tags_until_one_is_accepted() {
        let now = Instant::now();
        let mut knowledge = Knowledge::default();
        knowledge.refuse(3, ABSENT, now);
        assert!(!knowledge.is_absent() && knowledge.refusal(77).is_none(), "one tag alone may be beyond the end");
        knowledge.refuse(4, ABSENT, now);
        assert!(knowledge.is_absent() && knowledge.refusal(77).is_some());
        knowledge.forgive(77, now);
        assert!(!knowledge.is_absent() && knowledge.refusal(3).is_none());
        knowledge.refuse(3, ABSENT, now);
        knowledge.refuse(4, ABSENT, now);
        assert!(!knowledge.is_absent(), "something of it was read before");
        assert!(knowledge.refusal(3).is_some() && knowledge.refusal(77).is_none());
    }

    #[test]
    fn refused_bytes_part_the_gaps_that_they_lie_in() {
        let barriers = Barriers { holes: vec![4..8, 20..22], seams: Vec::new() };
        let cases = [
            (0, 4, false),
            (0, 5, true),
            (4, 4, false),
            (7, 9, true),
            (8, 20, false),
            (8, 21, true),
            (22, 99, false),
            (9, 2, false),
        ];
        for (end, start, parted) in cases {
            assert_eq!(barriers.part(end, start), parted, "{end}..{start}");
        }
    }

    #[test]
    fn seams_part_what_meets_at_them_and_are_given_up_in_time() {
        let now = Instant::now();
        let mut knowledge = Knowledge::default();
        assert!(!knowledge.give_up_seams(now + SEAM_RETRY), "there is none");
        knowledge.part(20, now);
        for (end, start, parted) in
            [(10, 19, false), (10, 20, true), (20, 20, true), (15, 25, true), (21, 30, false), (30, 21, false)]
        {
            assert_eq!(knowledge.barriers(&[]).part(end, start), parted, "{end}..{start}");
        }
        assert!(!knowledge.give_up_seams(now));
        assert!(knowledge.give_up_seams(now + SEAM_RETRY) && knowledge.seams().next().is_none());
    }
}
