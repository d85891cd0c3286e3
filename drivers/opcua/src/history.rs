//! The gaps in what was told of the tags, and how far the server's history has filled them; without I/O.
//!
//! ```text
//! told ─────────┤ interrupted            heard ├───── told
//!             after ·····························  before
//! ```
//! Strictly between the two the history is read: both ends are known.

pub(crate) mod left;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use driver_core::Timestamp;
use opcua::types::ByteString;

/// A gap is left alone for so long at first: a historian writes what it sees a moment later.
const SETTLE: Duration = Duration::from_secs(2);
/// Gaps that wait for each tag, on average; of a connection that comes and goes more often the oldest stay.
const GAPS_PER_TAG_MAX: usize = 4;

/// What is known of a device's gaps.
#[derive(Debug)]
pub(crate) struct History {
    /// How far back a gap is filled.
    reach: Duration,
    /// By the tag's index.
    marks: Vec<Mark>,
    waiting: VecDeque<Gap>,
    /// The newest time of all tags that was told.
    newest: Option<Timestamp>,
    /// The server was asked in this session of which of the tags it keeps a history.
    is_surveyed: bool,
    /// Readings that have filled gaps since it was told last.
    filled: usize,
}

#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    /// The newest time that was told.
    told: Option<Timestamp>,
    /// It was not told of since then.
    since: Option<Timestamp>,
    /// Whether the server keeps its history, and lets us read it; `None` until it was asked.
    is_kept: Option<bool>,
}

/// A time of which a tag's values are not known; both ends are, and do not belong to it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Gap {
    pub(crate) tag: usize,
    pub(crate) after: Timestamp,
    pub(crate) before: Timestamp,
    /// Before then it is left alone.
    due: Instant,
    /// Where the server goes on (Part 11, 6.3); empty at the begin.
    pub(crate) point: ByteString,
}

impl History {
    /// Of so many tags.
    pub(crate) fn new(tags: usize, reach: Duration) -> History {
        History {
            reach,
            marks: vec![Mark::default(); tags],
            waiting: VecDeque::new(),
            newest: None,
            is_surveyed: false,
            filled: 0,
        }
    }

    /// Whether gaps are filled at all.
    pub(crate) fn is_wanted(&self) -> bool {
        !self.reach.is_zero()
    }

    /// An earlier run of the gateway has told of a tag up to then.
    pub(crate) fn resume(&mut self, tag: usize, told: Timestamp) {
        self.marks[tag].told = Some(told);
        self.newest = self.newest.max(Some(told));
    }

    /// The newest time of all tags that was told.
    pub(crate) fn newest(&self) -> Option<Timestamp> {
        self.newest
    }

    /// The newest time of each tag that was told of.
    pub(crate) fn told(&self) -> impl Iterator<Item = (usize, Timestamp)> + '_ {
        self.marks.iter().enumerate().filter_map(|(tag, mark)| Some((tag, mark.told?)))
    }

    /// In another session the server may keep other histories, and knows nothing of where it stood.
    pub(crate) fn enter(&mut self) {
        self.marks.iter_mut().for_each(|mark| mark.is_kept = None);
        self.is_surveyed = false;
        self.waiting.iter_mut().for_each(|gap| gap.point = ByteString::null());
        self.interrupted(0..self.marks.len());
    }

    /// From here on something of these tags may be missed.
    pub(crate) fn interrupted(&mut self, tags: impl IntoIterator<Item = usize>) {
        for tag in tags {
            let mark = &mut self.marks[tag];
            mark.since = mark.since.or(mark.told);
        }
    }

    /// A tag was told of, with the time of its value.
    pub(crate) fn heard(&mut self, tag: usize, at: Timestamp, now: Instant) {
        let mark = &mut self.marks[tag];
        mark.told = mark.told.max(Some(at));
        self.newest = self.newest.max(Some(at));
        let Some(since) = mark.since.take() else { return };
        let reach = i64::try_from(self.reach.as_nanos()).unwrap_or(i64::MAX);
        let after = since.max(Timestamp(at.0.saturating_sub(reach)));
        if after < at && self.waiting.len() < self.marks.len() * GAPS_PER_TAG_MAX {
            self.waiting.push_back(Gap { tag, after, before: at, due: now + SETTLE, point: ByteString::null() });
        }
    }

    /// Whether the server keeps the history of any tag.
    pub(crate) fn is_kept(&self) -> bool {
        self.marks.iter().any(|mark| mark.is_kept == Some(true))
    }

    /// The tags of which the server was not asked whether it keeps their history: those with gaps first, then all others once.
    pub(crate) fn unasked(&mut self, now: Instant) -> Vec<usize> {
        let mut tags: Vec<usize> = self.waiting.iter().filter(|gap| gap.due <= now).map(|gap| gap.tag).collect();
        tags.retain(|tag| self.marks[*tag].is_kept.is_none());
        tags.sort_unstable();
        tags.dedup();
        if tags.is_empty() && !self.is_surveyed && self.newest.is_some() {
            let marks = self.marks.iter().enumerate();
            tags.extend(marks.filter(|(_, mark)| mark.told.is_some() && mark.is_kept.is_none()).map(|(tag, _)| tag));
            self.is_surveyed = tags.is_empty();
        }
        tags
    }

    /// Whether the server keeps a tag's history.
    pub(crate) fn keeps(&mut self, tag: usize, is_kept: bool) {
        self.marks[tag].is_kept = Some(is_kept);
    }

    /// The next gap that can be filled; those that cannot are given up.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Gap> {
        let marks = &self.marks;
        self.waiting.retain(|gap| marks[gap.tag].is_kept != Some(false));
        let is_ready = |gap: &Gap| gap.due <= now && marks[gap.tag].is_kept == Some(true);
        let place = self.waiting.iter().position(is_ready)?;
        self.waiting.remove(place)
    }

    /// There is more to be had of a gap, now or after a while.
    pub(crate) fn put_back(&mut self, gap: Gap, pause: Duration, now: Instant) {
        self.waiting.push_front(Gap { due: now + pause, ..gap });
    }

    /// So many readings have filled a gap. How many there were in all, when it was the last gap.
    pub(crate) fn filled(&mut self, readings: usize) -> Option<usize> {
        self.filled += readings;
        let is_last = self.waiting.is_empty() && self.filled > 0;
        is_last.then(|| std::mem::take(&mut self.filled))
    }
}

impl Gap {
    /// Takes in a value's time; whether it fills the gap, and was not had before.
    pub(crate) fn takes(&mut self, at: Timestamp) -> bool {
        let fills = self.after < at && at < self.before;
        if fills {
            self.after = at;
        }
        fills
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn at(second: i64) -> Timestamp {
        Timestamp(second * SECOND)
    }

    fn ready(history: &mut History, now: Instant) -> Vec<(usize, i64, i64)> {
        let later = now + SETTLE;
        history.unasked(later).into_iter().for_each(|tag| history.keeps(tag, tag != 2));
        let gaps = std::iter::from_fn(|| history.next(later));
        gaps.map(|gap| (gap.tag, gap.after.0 / SECOND, gap.before.0 / SECOND)).collect()
    }

    #[test]
    fn a_gap_lies_between_the_last_and_the_first_that_was_told() {
        let now = Instant::now();
        let mut history = History::new(4, Duration::from_secs(100));
        history.enter();
        (0..3).for_each(|tag| history.heard(tag, at(10), now));
        assert_eq!(ready(&mut history, now), [], "nothing was missed yet");
        history.enter();
        history.heard(0, at(20), now);
        history.heard(0, at(21), now);
        // The same value still: nothing can lie between. No history is kept. It was never told of.
        history.heard(1, at(10), now);
        history.heard(2, at(20), now);
        history.heard(3, at(20), now);
        assert!(history.next(now + SETTLE / 2).is_none(), "the server has its time");
        assert_eq!(ready(&mut history, now), [(0, 10, 20)]);
        history.interrupted([0]);
        history.interrupted([0]);
        history.heard(0, at(500), now);
        assert_eq!(ready(&mut history, now), [(0, 400, 500)], "no further back than wanted");
    }

    #[test]
    fn what_an_earlier_run_has_told_is_where_a_gap_begins() {
        let now = Instant::now();
        let mut history = History::new(3, Duration::from_secs(100));
        history.resume(0, at(10));
        history.resume(1, at(10));
        assert_eq!(history.unasked(now), [0, 1], "what is kept is asked once");
        history.enter();
        history.heard(0, at(20), now);
        // It has not changed since long before.
        history.heard(1, at(5), now);
        history.heard(2, at(20), now);
        assert_eq!(ready(&mut history, now), [(0, 10, 20)]);
        assert_eq!(history.told().map(|(_, told)| told).collect::<Vec<_>>(), [at(20), at(10), at(20)]);
        assert_eq!((history.newest(), history.is_kept()), (Some(at(20)), true));
        assert_eq!(history.unasked(now), [1, 2], "after those with gaps the others are asked for");
    }

    #[test]
    fn values_fill_a_gap_once_and_in_order() {
        let now = Instant::now();
        let mut history = History::new(1, Duration::from_secs(100));
        history.heard(0, at(10), now);
        history.enter();
        history.heard(0, at(20), now);
        history.keeps(0, true);
        let mut gap = history.next(now + SETTLE).expect("a gap");
        let taken: Vec<bool> = [10, 11, 11, 15, 12, 20, 21].map(|second| gap.takes(at(second))).into();
        assert_eq!(taken, [false, true, false, true, false, false, false]);
        gap.point = ByteString::from(vec![1]);
        history.put_back(gap, Duration::ZERO, now);
        assert_eq!(history.filled(2), None);
        // The session ends meanwhile: it goes on behind what was had, and the server is asked again.
        history.enter();
        assert_eq!((history.next(now), history.unasked(now)), (None, vec![0]));
        history.keeps(0, true);
        let gap = history.next(now).expect("the rest");
        assert_eq!((gap.after, gap.before, gap.point), (at(15), at(20), ByteString::null()));
        assert_eq!((history.filled(1), history.filled(0)), (Some(3), None));
    }

    #[test]
    fn gaps_that_wait_are_bounded() {
        let now = Instant::now();
        let mut history = History::new(1, Duration::from_secs(100));
        for second in 0..50 {
            history.enter();
            history.heard(0, at(second), now);
        }
        assert_eq!(ready(&mut history, now), [(0, 0, 1), (0, 1, 2), (0, 2, 3), (0, 3, 4)]);
    }
}
