//! Which seqs go in which lane. No I/O.
//!
//! ```text
//!       low                       live at the connect        end
//!   ----+-------------------------+--------------------------+
//!   done|  behind: history        |  live, as it is stored   |
//! ```
//!
//! When a connection begins and much waits, the live lane goes on at the end of the log, and what it leaves out becomes
//! history. Each such leap leaves a range in the cursor, of which it holds a few; so while there are many, the live lane
//! goes through them in their order first, and leaps then.

use std::collections::VecDeque;

use buffer::{Cursor, Seq, SeqRange};

/// In which order a backlog leaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Drain {
    /// What is new first; the backlog behind it, oldest first, with a share of the way.
    #[default]
    LiveFirst,
    /// All in the order of the log.
    OldestFirst,
    /// What is new first; the backlog behind it, newest first.
    NewestFirst,
}

/// So many readings that wait are no backlog: they go in the live lane, in their order.
pub(super) const LIVE_BACKLOG_MAX: u64 = 2_048;

/// The live lane leaps only while the cursor has no more ranges than these; the others are for what is on its way.
pub(super) const RANGES_BEFORE_A_LEAP_MAX: usize = 12;

/// How many readings of a backlog go in their order when the newest go first.
const CHUNK_READINGS: u64 = 16_384;

/// The way through the log.
#[derive(Debug)]
pub(super) struct Route {
    drain: Drain,
    /// From where the live lane reads on.
    live: Seq,
    /// What the live lane has left out: sorted, apart, all below `live`.
    behind: VecDeque<SeqRange>,
    /// What the history lane is reading.
    chunk: Option<SeqRange>,
    /// A connection has begun, and the live lane has not yet come to the end of the log since.
    may_leap: bool,
}

impl Route {
    /// Goes on where the cursor stands.
    pub(super) fn new(drain: Drain, cursor: &Cursor) -> Route {
        Route { drain, live: cursor.low(), behind: VecDeque::new(), chunk: None, may_leap: false }
    }

    /// The live lane went on from this seq on in an earlier life: what it left out, and is not delivered, is history still.
    pub(super) fn behind_a_leap(mut self, to: Seq) -> Route {
        if self.drain != Drain::OldestFirst && self.live < to {
            self.behind.push_back(SeqRange { first: self.live, last: to - 1 });
            self.live = to;
        }
        self
    }

    /// A connection begins.
    pub(super) fn connected(&mut self) {
        self.may_leap = self.drain != Drain::OldestFirst;
    }

    /// From where the live lane reads on. `true` beside it: it has leapt there, and has left out what is history now.
    pub(super) fn live(&mut self, delivered: &Cursor, end: Seq) -> (Seq, bool) {
        self.live = beyond(delivered, self.live);
        if !self.may_leap {
            return (self.live, false);
        }
        if end.saturating_sub(self.live) <= LIVE_BACKLOG_MAX {
            self.may_leap = false;
            return (self.live, false);
        }
        if delivered.ranges().len() > RANGES_BEFORE_A_LEAP_MAX {
            return (self.live, false);
        }
        self.may_leap = false;
        let left_out = SeqRange { first: self.live, last: end - 1 };
        match self.behind.back_mut().filter(|before| before.last + 1 == left_out.first) {
            Some(before) => before.last = left_out.last,
            None => self.behind.push_back(left_out),
        }
        self.live = end;
        (end, true)
    }

    /// What the history lane reads next; `None` when there is no history.
    pub(super) fn history(&mut self, delivered: &Cursor) -> Option<SeqRange> {
        loop {
            let chunk = self.chunk.take().or_else(|| self.next_chunk())?;
            let chunk = SeqRange { first: beyond(delivered, chunk.first), last: chunk.last };
            if chunk.first <= chunk.last {
                self.chunk = Some(chunk);
                return Some(chunk);
            }
        }
    }

    fn next_chunk(&mut self) -> Option<SeqRange> {
        if self.drain != Drain::NewestFirst {
            return self.behind.pop_front();
        }
        let newest = self.behind.back_mut()?;
        let first = newest.last.saturating_sub(CHUNK_READINGS - 1);
        if first <= newest.first {
            return self.behind.pop_back();
        }
        let chunk = SeqRange { first, last: newest.last };
        newest.last = first - 1;
        Some(chunk)
    }

    /// The live lane has read up to `next`.
    pub(super) fn live_read(&mut self, next: Seq) {
        self.live = self.live.max(next);
    }

    /// The history lane has read up to `next`.
    pub(super) fn history_read(&mut self, next: Seq) {
        self.chunk = self.chunk.filter(|chunk| next <= chunk.last).map(|chunk| SeqRange { first: next, ..chunk });
    }

    /// Whether there is history that was not read yet.
    pub(super) fn has_history(&self) -> bool {
        self.chunk.is_some() || !self.behind.is_empty()
    }
}

/// The first seq from `seq` on that is not acknowledged.
fn beyond(cursor: &Cursor, seq: Seq) -> Seq {
    let seq = seq.max(cursor.low());
    cursor.ranges().iter().find(|range| range.contains(seq)).map_or(seq, |range| range.last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: Seq, last: Seq) -> SeqRange {
        SeqRange { first, last }
    }

    #[test]
    fn a_backlog_becomes_history_and_the_live_lane_leaps() {
        let cursor = Cursor::starting_at(11);
        let mut route = Route::new(Drain::LiveFirst, &cursor);
        route.connected();
        assert_eq!(route.live(&cursor, 100_001), (100_001, true));
        assert_eq!(route.history(&cursor), Some(range(11, 100_000)));
        route.history_read(600);
        assert_eq!(route.history(&cursor), Some(range(600, 100_000)));
        route.history_read(100_001);
        assert_eq!(route.history(&cursor), None);
        assert!(!route.has_history());
        route.live_read(100_050);
        assert_eq!(route.live(&cursor, 900_000), (100_050, false), "it leaps at a connect only");
    }

    #[test]
    fn a_few_readings_stay_in_the_live_lane() {
        let cursor = Cursor::starting_at(11);
        let mut route = Route::new(Drain::LiveFirst, &cursor);
        route.connected();
        assert_eq!(route.live(&cursor, 11 + LIVE_BACKLOG_MAX), (11, false));
        assert_eq!(route.live(&cursor, 500_000), (11, false), "what comes while it is connected is live");
        assert_eq!(route.history(&cursor), None);
    }

    #[test]
    fn what_is_left_of_a_backlog_stays_history_after_a_restart_however_few_there_are() {
        let mut cursor = Cursor::starting_at(50);
        cursor.acknowledge(range(101, 130));
        let mut route = Route::new(Drain::LiveFirst, &cursor).behind_a_leap(101);
        route.connected();
        assert_eq!(route.live(&cursor, 140), (131, false));
        assert_eq!(route.history(&cursor), Some(range(50, 100)));
        for (drain, leapt_to) in [(Drain::LiveFirst, 50), (Drain::LiveFirst, 0), (Drain::OldestFirst, 101)] {
            let mut route = Route::new(drain, &cursor).behind_a_leap(leapt_to);
            route.connected();
            assert_eq!((route.live(&cursor, 140), route.has_history()), ((50, false), false));
        }
    }

    #[test]
    fn strict_order_knows_no_history() {
        let cursor = Cursor::starting_at(11);
        let mut route = Route::new(Drain::OldestFirst, &cursor);
        route.connected();
        assert_eq!(route.live(&cursor, 1_000_000), (11, false));
        assert!(!route.has_history());
    }

    #[test]
    fn the_newest_first_goes_backwards_in_chunks_and_leaves_nothing_out() {
        let cursor = Cursor::starting_at(1);
        let mut route = Route::new(Drain::NewestFirst, &cursor);
        route.connected();
        route.live(&cursor, 40_001);
        let mut chunks = Vec::new();
        while let Some(chunk) = route.history(&cursor) {
            chunks.push(chunk);
            route.history_read(chunk.last + 1);
        }
        assert_eq!(chunks, [range(23_617, 40_000), range(7_233, 23_616), range(1, 7_232)]);
    }

    #[test]
    fn what_is_acknowledged_is_passed_over() {
        let mut cursor = Cursor::starting_at(1);
        cursor.acknowledge(range(5_001, 9_000));
        let mut route = Route::new(Drain::LiveFirst, &cursor);
        route.connected();
        assert_eq!(route.live(&cursor, 20_001), (20_001, true));
        assert_eq!(route.history(&cursor), Some(range(1, 20_000)));
        route.history_read(5_001);
        assert_eq!(route.history(&cursor), Some(range(9_001, 20_000)));
    }

    #[test]
    fn a_cursor_full_of_holes_is_mended_before_the_next_leap() {
        let mut cursor = Cursor::starting_at(1);
        for hole in 0..=RANGES_BEFORE_A_LEAP_MAX as u64 {
            cursor.acknowledge(range(10 + 20 * hole, 19 + 20 * hole));
        }
        let mut route = Route::new(Drain::LiveFirst, &cursor);
        route.connected();
        assert_eq!(route.live(&cursor, 90_000), (1, false));
        cursor.acknowledge(range(1, 9));
        assert_eq!(route.live(&cursor, 90_000), (90_000, true));
        assert_eq!(route.history(&cursor), Some(range(20 + 10, 89_999).min(range(20, 89_999))));
    }
}
