//! The way out: what every uplink has, what is too old, and what must give way.
//!
//! Under pressure the order is: history that every uplink has; then, as the policy allows, the oldest segments of the
//! least valuable class; a block never makes one of a more valuable class give way.

use std::io;
use std::path::Path;

use super::Log;
use super::segment::Extent;
use super::segments::Segment;
use crate::block::{Class, Seq, SeqRange};
use crate::error::{Error, Result};
use crate::gap::{Gap, GapReason};
use crate::options::{Keep, WhenFull};
use crate::stats::Pressure;

/// Records dated before 2020-01-01 come from a clock that was not set; they are never dropped for their age.
const UNDATED_BEFORE_NS: i64 = 1_577_836_800_000_000_000;

impl Log {
    pub(super) fn trim_all(&mut self, now_ns: Option<i64>) -> Result<Vec<Gap>> {
        for class in Class::ALL {
            self.trim_history(class, self.limits.classes[class.index()].keep, now_ns)?;
        }
        self.take_ballast();
        let mut gaps = self.drop_left_behind(now_ns)?;
        for class in Class::ALL {
            let Some(oldest_ns) = self.oldest_ns(class, now_ns) else { continue };
            loop {
                let oldest = self.segments.of(class).next().filter(|segment| is_older(segment, oldest_ns));
                let Some(old) = oldest.cloned() else { break };
                gaps.extend(self.drop_segment(&old, GapReason::TooOld)?);
            }
        }
        Ok(gaps)
    }

    /// Before which time records of a class are too old.
    fn oldest_ns(&self, class: Class, now_ns: Option<i64>) -> Option<i64> {
        let ages = [self.limits.age_max, self.limits.classes[class.index()].age_max];
        let age = ages.into_iter().flatten().min()?;
        Some(now_ns?.saturating_sub(i64::try_from(age.as_nanos()).ok()?))
    }

    /// Drops what must give way so that `bytes` more of `class` fit, if the policy allows; returns what was lost.
    pub(super) fn make_space(&mut self, class: Class, bytes: u64) -> Result<Vec<Gap>> {
        if self.is_disk_short(bytes) {
            return self.leave_to_others(class);
        }
        if !self.is_over_size(class, bytes) {
            return Ok(Vec::new());
        }
        while self.is_over_size(class, bytes) && self.drop_history(self.class_to_shrink(class, bytes))? {}
        if self.is_over_size(class, bytes) && self.has_undurable_history() {
            // Nothing need be lost: the cursors only have to be made durable.
            self.sync_now()?;
            while self.is_over_size(class, bytes) && self.drop_history(self.class_to_shrink(class, bytes))? {}
        }
        let mut gaps = Vec::new();
        while self.is_over_size(class, bytes) && self.limits.when_full == WhenFull::DropOldest {
            let Some(oldest) = self.oldest_to_drop(class, bytes) else { break };
            gaps.extend(self.drop_segment(&oldest, GapReason::DroppedOldest)?);
        }
        Ok(gaps)
    }

    /// Gives one segment up, so that the disk is left to others: what is removed may be free only later.
    fn leave_to_others(&mut self, class: Class) -> Result<Vec<Gap>> {
        if self.drop_history(None)? || self.limits.when_full == WhenFull::DropNewest {
            return Ok(Vec::new());
        }
        match self.oldest_to_drop(class, 0) {
            Some(oldest) => self.drop_segment(&oldest, GapReason::DroppedOldest),
            None => Ok(Vec::new()),
        }
    }

    /// Whether a block of `class` finds no space, after all that may give way for it has.
    pub(super) fn must_refuse(&self, class: Class, bytes: u64) -> bool {
        // With the policy drop-oldest the newest segment of a class is all that there is of it, and it may go on.
        let holds_others = || Class::ALL.into_iter().any(|other| other < class && self.segments_of(other).count() > 0);
        if self.limits.when_full == WhenFull::DropNewest {
            return self.is_over_size(class, bytes) || self.is_disk_short(bytes);
        }
        self.is_over_size(class, bytes) && holds_others()
    }

    /// Frees one segment's space after the disk was found full.
    pub(super) fn make_room_now(&mut self) -> Result<Vec<Gap>> {
        if self.drop_ballast()? || self.drop_history(None)? {
            return Ok(Vec::new());
        }
        let mut least = Class::ALL.into_iter().rev().filter_map(|class| self.segments.of(class).next().cloned());
        match least.next() {
            Some(oldest) if self.is_acknowledged(&oldest) || self.limits.when_full == WhenFull::DropOldest => {
                self.drop_segment(&oldest, GapReason::DroppedOldest)
            }
            _ => Ok(Vec::new()),
        }
    }

    pub(super) fn pressure(&self) -> Pressure {
        // History goes first, and whatever it takes is no pressure.
        let end = self.history_end();
        let history = |segment: &&Segment| segment.extent.last < end;
        let of_class = |class: Class| {
            let size_max = self.limits.classes[class.index()].size_max_bytes?;
            let history: u64 = self.segments.of(class).filter(history).map(|segment| segment.file_bytes).sum();
            let all: u64 = self.segments_of(class).map(|segment| segment.file_bytes).sum();
            Some(pressure_of_class(class, pressure_of(all - history, size_max)))
        };
        let history: u64 = self.segments.iter().filter(history).map(|segment| segment.file_bytes).sum();
        let whole = pressure_of(self.disk_bytes().saturating_sub(history), self.limits.size_bytes_max);
        // A disk whose free space nears what is left to others is as full as a buffer near its bound.
        let least = self.limits.free_min_bytes;
        let free = if least > 0 { self.free_bytes() } else { None };
        let disk = free.map(|free| pressure_of(least, free.saturating_mul(7) / 10));
        let classes = Class::ALL.into_iter().filter_map(of_class);
        classes.chain(disk).fold(whole, Pressure::max)
    }

    fn is_over_size(&self, class: Class, bytes: u64) -> bool {
        self.disk_bytes() + bytes > self.limits.size_bytes_max || self.is_class_over_size(class, bytes)
    }

    fn is_class_over_size(&self, class: Class, bytes: u64) -> bool {
        let size_max = self.limits.classes[class.index()].size_max_bytes;
        size_max.is_some_and(|max| self.segments_of(class).map(|s| s.file_bytes).sum::<u64>() + bytes > max)
    }

    /// Which class has to give way: its own one where its own bound is reached, otherwise any.
    fn class_to_shrink(&self, class: Class, bytes: u64) -> Option<Class> {
        self.is_class_over_size(class, bytes).then_some(class)
    }

    /// The segment that is dropped next so that a block of `class` fits: the oldest of the least valuable class that is not
    /// more valuable.
    fn oldest_to_drop(&mut self, class: Class, bytes: u64) -> Option<Segment> {
        if self.is_class_over_size(class, bytes) {
            return self.segments.of(class).next().cloned();
        }
        for other in Class::ALL.into_iter().rev().take_while(|other| *other >= class) {
            if other > class && self.segments.of(other).next().is_none() {
                // What is written to is given up as well, before anything that is worth more.
                if let Some(active) = self.actives.take(other) {
                    self.put_away(active);
                }
            }
            if let Some(oldest) = self.segments.of(other).next() {
                return Some(oldest.clone());
            }
        }
        None
    }

    fn is_acknowledged(&self, segment: &Segment) -> bool {
        segment.extent.last < self.book.floor()
    }

    /// Everything below is acknowledged by every uplink, and will be after a power cut.
    fn history_end(&self) -> Seq {
        self.commit.durable_floor(self.book.cursors.keys()).min(self.book.floor())
    }

    fn has_undurable_history(&self) -> bool {
        let end = self.history_end();
        self.segments.iter().any(|segment| segment.extent.last >= end && self.is_acknowledged(segment))
    }

    /// Removes the oldest segment that every uplink has durably acknowledged, of `class` or of the least valuable one.
    /// Returns whether there was one.
    fn drop_history(&mut self, class: Option<Class>) -> Result<bool> {
        let end = self.history_end();
        let classes = Class::ALL.into_iter().rev().filter(|other| class.is_none_or(|class| class == *other));
        let history = classes.flat_map(|class| self.segments.of(class)).find(|segment| segment.extent.last < end);
        match history.cloned() {
            Some(oldest) => self.remove_segment(&oldest).map(|()| true),
            None => Ok(false),
        }
    }

    /// Removes the segments of a class that every uplink has durably acknowledged and that need not be kept.
    fn trim_history(&mut self, class: Class, keep: Keep, now_ns: Option<i64>) -> Result<()> {
        let end = self.history_end();
        let age_ns = keep.age_max.and_then(|age| i64::try_from(age.as_nanos()).ok());
        let oldest_ns = age_ns.zip(now_ns).map(|(age_ns, now_ns)| now_ns.saturating_sub(age_ns));
        let history = self.segments.of(class).rev().filter(|segment| segment.extent.last < end);
        let mut kept_bytes = 0;
        let goes = history.filter(|segment| {
            kept_bytes += segment.file_bytes;
            kept_bytes > keep.bytes_max || oldest_ns.is_some_and(|oldest_ns| is_older(segment, oldest_ns))
        });
        let goes: Vec<Segment> = goes.cloned().collect();
        goes.iter().rev().try_for_each(|segment| self.remove_segment(segment))
    }

    /// Drops what only uplinks still want that are further behind than they may be.
    fn drop_left_behind(&mut self, now_ns: Option<i64>) -> Result<Vec<Gap>> {
        if self.lags.values().all(|lag| lag.bytes.is_none() && lag.age.is_none()) {
            return Ok(Vec::new());
        }
        let mut newer_bytes = self.actives.bytes();
        let mut left = Vec::new();
        for segment in self.segments.iter().rev() {
            if self.is_left_behind(segment, newer_bytes, now_ns) {
                left.push(segment.clone());
            }
            newer_bytes += segment.file_bytes;
        }
        let mut gaps = Vec::new();
        for segment in left.iter().rev() {
            gaps.extend(self.drop_segment(segment, GapReason::LeftBehind)?);
        }
        Ok(gaps)
    }

    /// Begins new segments where most of the one that is written to is delivered already, so that it can go whole.
    pub(super) fn turn_segments(&mut self) {
        let floor = self.book.floor();
        for class in Class::ALL {
            let keeps = self.limits.classes[class.index()].keep.bytes_max > 0;
            let is_delivered =
                |extent: &Extent| !extent.is_empty() && extent.first + (extent.last - extent.first) / 2 < floor;
            if !keeps && self.actives.of(class).is_some_and(|active| is_delivered(&active.segment.extent)) {
                let turned = self.actives.take(class);
                turned.into_iter().for_each(|active| self.put_away(active));
            }
        }
    }

    /// Whether every uplink that has not durably acknowledged a segment is too far behind to be waited for.
    fn is_left_behind(&self, segment: &Segment, newer_bytes: u64, now_ns: Option<i64>) -> bool {
        let mut behind = self.lags.iter().filter(|(uplink, _)| self.commit.durable_low(uplink) <= segment.extent.last);
        behind.all(|(_, lag)| {
            let is_far = lag.bytes.is_some_and(|bytes| newer_bytes >= bytes);
            let age_ns = lag.age.and_then(|age| i64::try_from(age.as_nanos()).ok());
            let oldest_ns = age_ns.zip(now_ns).map(|(age_ns, now_ns)| now_ns.saturating_sub(age_ns));
            is_far || oldest_ns.is_some_and(|oldest_ns| is_older(segment, oldest_ns))
        }) && segment.extent.last >= self.history_end()
    }

    /// Removes a segment; what no uplink may miss of it becomes a gap, noted before the file goes.
    fn drop_segment(&mut self, segment: &Segment, reason: GapReason) -> Result<Vec<Gap>> {
        let first = segment.extent.first.max(self.book.floor());
        let last = self.copied_from(segment).map_or(segment.extent.last, |from| segment.extent.last.min(from - 1));
        let mut gaps = Vec::new();
        if first <= last {
            let seqs = SeqRange { first, last };
            let count = self.records_in(segment, seqs)?;
            if count > 0 {
                let time_ns = segment.extent.time_ns();
                gaps = self.lose(&Gap { class: segment.class, seqs, count, time_ns, reason });
                let lost = gaps.iter().map(|gap| gap.count).sum();
                self.count_once(segment.class, reason, segment.thinned.min(lost));
            }
        }
        self.remove_segment(segment)?;
        self.catch_up();
        Ok(gaps)
    }

    /// Where the next segment of the class begins; if that is within `segment`, the rest was written again there.
    fn copied_from(&self, segment: &Segment) -> Option<Seq> {
        let is_other = |other: &&Segment| other.key() != segment.key() && !other.extent.is_empty();
        let others = self.segments_of(segment.class).filter(is_other);
        others.map(|other| other.extent.first).filter(|first| *first >= segment.extent.first).min()
    }

    /// How many records a segment holds with these seqs.
    fn records_in(&mut self, segment: &Segment, seqs: SeqRange) -> Result<u64> {
        if segment.extent.is_dense() {
            return Ok(seqs.count());
        }
        let Some(open) = self.open_segment(segment)? else { return Ok(0) };
        open.count(seqs).map_err(|error| Error::environment("read", &segment.path, error))
    }

    pub(super) fn remove_segment(&mut self, segment: &Segment) -> Result<()> {
        self.remove_file(&segment.path)?;
        self.commit.files.retain(|file| file.path != segment.path);
        self.commit.sealed().retain(|path| *path != segment.path);
        self.segments.forget(segment.key());
        Ok(())
    }

    pub(super) fn remove_file(&mut self, path: &Path) -> Result<()> {
        match self.disk.remove(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::environment("remove", path, error));
            }
            _ => {}
        }
        self.commit.names = true;
        Ok(())
    }

    /// Notes a loss: it is counted, written to the ledger, and read by every uplink that has not passed it.
    /// Returns the parts that were not known before. A disk that refuses leaves the ledger behind, to be caught up.
    pub(super) fn lose(&mut self, gap: &Gap) -> Vec<Gap> {
        let fresh = self.book.gaps.add(gap);
        for part in &fresh {
            if part.count < part.seqs.count() {
                self.tail.forget(part.class, part.seqs);
            }
            self.count_loss(part);
            self.note(&super::record::Record::Gap(part.clone()));
        }
        fresh
    }

    /// What was told as left out of blocks is not told once more when these go.
    fn count_once(&mut self, class: Class, reason: GapReason, records: u64) {
        self.totals.lost_records_total[usize::from(reason.code())] -= records;
        self.totals.classes[class.index()].lost_records_total -= records;
    }

    pub(super) fn count_loss(&mut self, gap: &Gap) {
        self.totals.lost_records_total[usize::from(gap.reason.code())] += gap.count;
        self.totals.classes[gap.class.index()].lost_records_total += gap.count;
    }
}

/// What nothing helps but to drop what is worth more asks for no coarser bulk.
fn pressure_of_class(class: Class, pressure: Pressure) -> Pressure {
    if class == Class::Bulk { pressure } else { pressure.min(Pressure::Repack) }
}

fn pressure_of(used: u64, max: u64) -> Pressure {
    match used.saturating_mul(20) / max.max(1) {
        0..14 => Pressure::None,
        14..17 => Pressure::Repack,
        _ => Pressure::Downsample,
    }
}

fn is_older(segment: &Segment, oldest_ns: i64) -> bool {
    let t_max_ns = segment.extent.t_max_ns;
    t_max_ns < oldest_ns && t_max_ns >= UNDATED_BEFORE_NS
}
