//! The way out: what every uplink has, what is too old, and what must give way.

use std::io;

use super::Log;
use super::segments::Segment;
use crate::block::{Class, Seq, SeqRange};
use crate::error::{Error, Result};
use crate::gap::{Gap, GapReason};
use crate::options::WhenFull;

/// Records dated before 2020-01-01 come from a clock that was not set; they are never dropped for their age.
const UNDATED_BEFORE_NS: i64 = 1_577_836_800_000_000_000;

impl Log {
    pub(super) fn trim_all(&mut self, now_ns: Option<i64>) -> Result<Vec<Gap>> {
        self.trim_acknowledged()?;
        let age_ns = self.limits.age_max.and_then(|age| i64::try_from(age.as_nanos()).ok());
        let (Some(now_ns), Some(age_ns)) = (now_ns, age_ns) else { return Ok(Vec::new()) };
        let oldest_ns = now_ns.saturating_sub(age_ns);
        let mut gaps = Vec::new();
        while let Some(old) = self.segments.front().filter(|s| is_older(s, oldest_ns)).cloned() {
            gaps.extend(self.drop_segment(&old, GapReason::TooOld)?);
        }
        Ok(gaps)
    }

    /// Drops what must give way so that `bytes` more fit, if the policy allows; returns what was lost.
    pub(super) fn make_space(&mut self, bytes: u64) -> Result<Vec<Gap>> {
        if !self.is_over_size(bytes) {
            return Ok(Vec::new());
        }
        self.trim_acknowledged()?;
        if self.is_over_size(bytes) && self.segments.front().is_some_and(|front| self.is_acknowledged(front)) {
            // Nothing need be lost: the cursors only have to be made durable.
            self.sync_now()?;
            self.trim_acknowledged()?;
        }
        let mut gaps = Vec::new();
        while self.is_over_size(bytes) {
            let Some(oldest) = self.oldest_to_drop() else { break };
            gaps.extend(self.drop_segment(&oldest, GapReason::DroppedOldest)?);
        }
        Ok(gaps)
    }

    /// Frees one segment's space after the disk was found full.
    pub(super) fn make_room_now(&mut self) -> Result<Vec<Gap>> {
        let before = self.segments.len();
        self.trim_acknowledged()?;
        match self.oldest_to_drop() {
            Some(oldest) if self.segments.len() == before => self.drop_segment(&oldest, GapReason::DroppedOldest),
            _ => Ok(Vec::new()),
        }
    }

    pub(super) fn is_over_size(&self, bytes: u64) -> bool {
        self.disk_bytes() + bytes > self.limits.size_bytes_max
    }

    /// The segment that goes next: one that all uplinks have, or, if the policy says so, the oldest.
    fn oldest_to_drop(&self) -> Option<Segment> {
        let oldest = self.segments.front()?;
        (self.is_acknowledged(oldest) || self.limits.when_full == WhenFull::DropOldest).then(|| oldest.clone())
    }

    fn is_acknowledged(&self, segment: &Segment) -> bool {
        segment.extent.last < self.book.floor()
    }

    /// Removes the segments that every uplink has durably acknowledged.
    fn trim_acknowledged(&mut self) -> Result<()> {
        let floor = self.commit.durable_floor(self.book.cursors.keys()).min(self.book.floor());
        while let Some(done) = self.segments.front().filter(|s| s.extent.last < floor).cloned() {
            self.remove_segment(&done)?;
        }
        Ok(())
    }

    /// Removes a segment; what no uplink may miss of it becomes a gap, noted before the file goes.
    fn drop_segment(&mut self, segment: &Segment, reason: GapReason) -> Result<Vec<Gap>> {
        let first = segment.extent.first.max(self.book.floor());
        let last = self.copied_from(segment).map_or(segment.extent.last, |from| segment.extent.last.min(from - 1));
        let mut gaps = Vec::new();
        if first <= last {
            let seqs = SeqRange { first, last };
            let time_ns = segment.extent.time_ns();
            gaps = self.lose(&Gap { class: Class::Normal, seqs, count: seqs.count(), time_ns, reason });
        }
        self.remove_segment(segment)?;
        self.catch_up();
        Ok(gaps)
    }

    /// Where the next segment begins; if that is within `segment`, the rest was written again there.
    fn copied_from(&self, segment: &Segment) -> Option<Seq> {
        let active = self.active.as_ref().map(|active| &active.segment);
        let others = self.segments.iter().chain(active).filter(|other| other.key() != segment.key());
        others.map(|other| other.extent.first).min()
    }

    fn remove_segment(&mut self, segment: &Segment) -> Result<()> {
        match self.disk.remove(&segment.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::environment("remove", &segment.path, error));
            }
            _ => {}
        }
        self.commit.names = true;
        self.commit.files.retain(|(path, _)| *path != segment.path);
        self.segments.forget(segment.key());
        Ok(())
    }

    /// Notes a loss: it is counted, written to the ledger, and read by every uplink that has not passed it.
    /// Returns the parts that were not known before. A disk that refuses leaves the ledger behind, to be caught up.
    pub(super) fn lose(&mut self, gap: &Gap) -> Vec<Gap> {
        let fresh = self.book.gaps.add(gap);
        for part in &fresh {
            self.totals.lost_records_total[usize::from(part.reason.code())] += part.count;
            self.note(&super::record::Record::Gap(part.clone()));
        }
        fresh
    }
}

fn is_older(segment: &Segment, oldest_ns: i64) -> bool {
    let t_max_ns = segment.extent.t_max_ns;
    t_max_ns < oldest_ns && t_max_ns >= UNDATED_BEFORE_NS
}
