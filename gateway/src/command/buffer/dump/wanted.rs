//! Which part of the log is wanted.

use buffer::Seq;

use super::bound::Bound;

/// What is wanted, both ends included.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    seqs: (Seq, Seq),
    times: (i64, i64),
}

impl Wanted {
    /// From the one bound to the other; what is not given is not bounded.
    pub(super) fn between(from: Option<Bound>, to: Option<Bound>) -> Wanted {
        let mut wanted = Wanted { seqs: (0, Seq::MAX), times: (i64::MIN, i64::MAX) };
        match from {
            Some(Bound::Seq(seq)) => wanted.seqs.0 = seq,
            Some(Bound::Time(time)) => wanted.times.0 = time,
            None => {}
        }
        match to {
            Some(Bound::Seq(seq)) => wanted.seqs.1 = seq,
            Some(Bound::Time(time)) => wanted.times.1 = time,
            None => {}
        }
        wanted
    }

    /// Whether a reading is wanted.
    pub(super) fn has(&self, seq: Seq, time: i64) -> bool {
        (self.seqs.0..=self.seqs.1).contains(&seq) && (self.times.0..=self.times.1).contains(&time)
    }

    /// Whether some of these seqs are wanted.
    pub(super) fn meets_seqs(&self, first: Seq, last: Seq) -> bool {
        first <= self.seqs.1 && self.seqs.0 <= last
    }

    /// Whether some of these times are wanted, nanoseconds since 1970 UTC.
    pub(super) fn meets_times(&self, first: i64, last: i64) -> bool {
        first <= self.times.1 && self.times.0 <= last
    }
}
