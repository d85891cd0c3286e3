//! Reading: gaps from the ledger, the newest blocks from memory, the rest from the files, in the order of seqs.

use super::Log;
use super::frame::ENVELOPE_BYTES;
use super::merge::Merge;
use super::segments::{OpenSegment, Segment};
use super::walk::{WINDOW_BYTES_MAX, Walker};
use crate::block::{Class, Item, Seq, SeqRange};
use crate::error::{Error, Result};
use crate::gap::{Gap, GapReason};

/// Most bytes that one read pushes, whatever it is asked for.
pub const READ_BYTES_MAX: usize = 1024 * 1024;

/// A read under way: what it may still take, and what it got.
pub(super) struct Reading<'a> {
    pub(super) pos: Seq,
    items: &'a mut Vec<Item>,
    pub(super) bytes_left: usize,
    is_first: bool,
}

impl Reading<'_> {
    pub(super) fn wants_more(&self) -> bool {
        self.is_first || self.bytes_left > 0
    }

    pub(super) fn push(&mut self, item: Item) {
        let bytes = ENVELOPE_BYTES + if let Item::Block(block) = &item { block.payload.len() } else { 0 };
        self.bytes_left = self.bytes_left.saturating_sub(bytes);
        self.is_first = false;
        self.pos = item.seqs().last + 1;
        self.items.push(item);
    }
}

impl Log {
    pub(super) fn read_items(&mut self, from: Seq, bytes_max: usize, items: &mut Vec<Item>) -> Result<Seq> {
        let bytes_left = bytes_max.min(READ_BYTES_MAX);
        let mut reading = Reading { pos: from.max(1), items, bytes_left, is_first: true };
        while reading.pos < self.book.next_seq && reading.wants_more() {
            if let Some(gap) = self.book.gaps.at(reading.pos) {
                reading.push(Item::Gap(gap));
            } else if self.tail.first().is_some_and(|first| first <= reading.pos) {
                self.read_tail(&mut reading);
            } else {
                self.read_files(&mut reading)?;
            }
        }
        Ok(reading.pos)
    }

    fn read_tail(&mut self, reading: &mut Reading<'_>) {
        let start = reading.pos;
        let mut next = self.book.next_seq;
        for block in self.tail.from(start) {
            if !reading.wants_more() {
                return;
            }
            if block.envelope.seq > reading.pos {
                next = block.envelope.seq;
                break;
            }
            reading.push(Item::Block(block.block()));
        }
        if reading.pos == start {
            self.pass_hole(reading, next, GapReason::Damaged);
        }
    }

    /// Reads from the segments whose range holds the place, as long as one of them has the next block; if none has, it is a
    /// hole.
    fn read_files(&mut self, reading: &mut Reading<'_>) -> Result<()> {
        let start = reading.pos;
        let mut open = Vec::new();
        for segment in self.holding(start) {
            open.extend(self.open_segment(&segment)?);
        }
        let begins =
            [self.segments.next_after(start), self.actives.next_after(start), self.book.gaps.next_after(start)];
        let stop = begins.into_iter().flatten().min().unwrap_or(Seq::MAX);
        let mut merge = Merge::of(&open, &self.segments, reading);
        let resumes = merge.read_on(reading, stop);
        for hint in merge.hints(reading.pos) {
            self.segments.remember(hint);
        }
        let resumes = resumes?;
        if reading.pos == start {
            let next = self.next_known_after(start).min(resumes.unwrap_or(Seq::MAX));
            let reason = if open.is_empty() { GapReason::Vanished } else { GapReason::Damaged };
            self.pass_hole(reading, next, reason);
        }
        Ok(())
    }

    /// The segments whose range holds `seq`, the latest first.
    fn holding(&self, seq: Seq) -> Vec<Segment> {
        let actives = self.actives.iter().map(|active| &active.segment).filter(|segment| segment.extent.contains(seq));
        actives.chain(self.segments.holding(seq)).cloned().collect()
    }

    /// Opens a segment; `None` if its file is gone, and then it is off the list.
    pub(super) fn open_segment(&mut self, segment: &Segment) -> Result<Option<OpenSegment>> {
        if let Some(active) = self.actives.find(segment.key()) {
            return Ok(Some(active.open()));
        }
        let open = self.segments.open(&*self.disk, segment)?;
        if open.is_none() {
            self.segments.forget(segment.key());
        }
        Ok(open)
    }

    /// The first seq above `seq` that something is known of.
    fn next_known_after(&self, seq: Seq) -> Seq {
        let files = [self.segments.next_after(seq), self.actives.next_after(seq)];
        let candidates = files.into_iter().chain([self.tail.first(), self.book.gaps.next_after(seq)]);
        candidates.flatten().filter(|next| *next > seq).fold(self.book.next_seq, Seq::min)
    }

    /// Goes on behind a hole. What every uplink has is passed over in silence, what was dropped is told as that, and the
    /// rest is a loss.
    fn pass_hole(&mut self, reading: &mut Reading<'_>, next: Seq, reason: GapReason) {
        let floor = self.book.floor();
        if reading.pos < floor {
            reading.pos = next.min(floor);
            return;
        }
        let gap = match self.book.gaps.explain(reading.pos, next) {
            Ok(known) => known,
            Err(next) => {
                let seqs = SeqRange { first: reading.pos, last: next - 1 };
                let gap = Gap { class: Class::Normal, seqs, count: seqs.count(), time_ns: None, reason };
                self.lose(&gap);
                gap
            }
        };
        reading.push(Item::Gap(gap));
    }

    pub(super) fn seek_time(&mut self, t_ns: i64) -> Result<Seq> {
        let actives = self.actives.iter().map(|active| &active.segment);
        let late = self.segments.iter().chain(actives).filter(|segment| segment.extent.t_max_ns >= t_ns);
        let mut late: Vec<Segment> = late.cloned().collect();
        late.sort_by_key(Segment::key);
        let mut found = self.book.next_seq;
        for segment in late {
            if segment.extent.first >= found {
                break;
            }
            if let Some(open) = self.open_segment(&segment)?
                && let Some(seq) = find_time(&open, t_ns)?
            {
                found = found.min(seq);
            }
        }
        Ok(found)
    }
}

/// The first block in a segment with a record at or after `t_ns`.
fn find_time(open: &OpenSegment, t_ns: i64) -> Result<Option<Seq>> {
    let Some(entry) = open.index.at_time(t_ns) else { return Ok(None) };
    let (segment, offset) = (&open.segment, u64::from(entry.offset));
    let mut walker = Walker::new(&*open.file, segment.salt, offset, segment.extent.data_end, WINDOW_BYTES_MAX);
    let fits = |envelope: &super::frame::Envelope| envelope.is_block() && segment.extent.contains(envelope.seq);
    while let Some(found) = walker.next(fits).map_err(|error| Error::environment("read", &segment.path, error))? {
        if found.envelope.meta.t_max_ns >= t_ns {
            return Ok(Some(found.envelope.seq));
        }
    }
    Ok(None)
}
