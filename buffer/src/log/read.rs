//! Reading: gaps from the ledger, the newest blocks from memory, the rest from the files, in the order of seqs.

use super::Log;
use super::frame::{ENVELOPE_BYTES, Envelope};
use super::segments::{Hint, OpenSegment, Segment};
use super::tail::block;
use super::walk::{WINDOW_BYTES_MAX, Walker};
use crate::block::{Class, Item, Seq, SeqRange};
use crate::error::{Error, Result};
use crate::gap::{Gap, GapReason};

/// Most bytes that one read pushes, whatever it is asked for.
pub const READ_BYTES_MAX: usize = 1024 * 1024;

/// A read under way: what it may still take, and what it got.
struct Reading<'a> {
    pos: Seq,
    items: &'a mut Vec<Item>,
    bytes_left: usize,
    is_first: bool,
}

impl Reading<'_> {
    fn wants_more(&self) -> bool {
        self.is_first || self.bytes_left > 0
    }

    fn push(&mut self, item: Item) {
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

    /// Reads from the segments that hold the place, one after the other until one has the block; if none has, it is a hole.
    fn read_files(&mut self, reading: &mut Reading<'_>) -> Result<()> {
        let start = reading.pos;
        let mut next = self.next_known_after(start);
        let mut reason = GapReason::Vanished;
        for segment in self.holding(start) {
            let Some(open) = self.open_segment(&segment)? else { continue };
            let resumes = self.read_segment(&open, reading)?;
            if reading.pos > start {
                return Ok(());
            }
            next = next.min(resumes.unwrap_or(next));
            reason = GapReason::Damaged;
        }
        self.pass_hole(reading, next, reason);
        Ok(())
    }

    /// The segments whose range holds `seq`, the latest first.
    fn holding(&self, seq: Seq) -> Vec<Segment> {
        let active = self.active.iter().map(|active| &active.segment).filter(|segment| segment.extent.contains(seq));
        active.chain(self.segments.holding(seq)).cloned().collect()
    }

    /// Opens a segment; `None` if its file is gone, and then it is off the list.
    fn open_segment(&mut self, segment: &Segment) -> Result<Option<OpenSegment>> {
        if let Some(active) = self.active.as_ref().filter(|active| active.segment.key() == segment.key()) {
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
        let active = self.active.as_ref().map(|active| active.segment.extent.first);
        let candidates = [self.segments.next_after(seq), active, self.tail.first(), self.book.gaps.next_after(seq)];
        candidates.into_iter().flatten().filter(|next| *next > seq).fold(self.book.next_seq, Seq::min)
    }

    /// Goes on behind a hole. What every uplink has is passed over in silence, the rest is a loss.
    fn pass_hole(&mut self, reading: &mut Reading<'_>, next: Seq, reason: GapReason) {
        let floor = self.book.floor();
        if reading.pos < floor {
            reading.pos = next.min(floor);
            return;
        }
        let seqs = SeqRange { first: reading.pos, last: next - 1 };
        let gap = Gap { class: Class::Normal, seqs, count: seqs.count(), time_ns: None, reason };
        self.lose(&gap);
        reading.push(Item::Gap(gap));
    }

    /// Reads blocks on from the place. Returns the seq of the block behind a hole at the place, if it found one.
    fn read_segment(&mut self, open: &OpenSegment, reading: &mut Reading<'_>) -> Result<Option<Seq>> {
        let (segment, stop) = (&open.segment, self.book.gaps.next_after(reading.pos).unwrap_or(Seq::MAX));
        let failed = |error| Error::environment("read", &segment.path, error);
        let (mut low, offset) = self.segments.place(open, reading.pos);
        let window = (reading.bytes_left + ENVELOPE_BYTES).min(WINDOW_BYTES_MAX);
        let mut walker = Walker::new(&*open.file, segment.salt, offset, segment.extent.data_end, window);
        let enough = reading.bytes_left / 2;
        while reading.pos < stop && reading.wants_more() && (reading.bytes_left > enough || walker.has_next_in_memory())
        {
            let fits = |envelope: &Envelope| {
                envelope.is_block() && envelope.seq >= low && envelope.seqs().last <= segment.extent.last
            };
            let Some(found) = walker.next(fits).map_err(failed)? else { break };
            low = found.envelope.seqs().last + 1;
            if low <= reading.pos {
                continue;
            }
            if found.envelope.seq > reading.pos {
                return Ok(Some(found.envelope.seq));
            }
            reading.push(Item::Block(block(&found.envelope, found.payload)));
        }
        self.segments.remember(Hint { key: segment.key(), seq: reading.pos, offset: walker.at() });
        Ok(None)
    }

    pub(super) fn seek_time(&mut self, t_ns: i64) -> Result<Seq> {
        let active = self.active.iter().map(|active| &active.segment);
        let late = self.segments.iter().chain(active).filter(|segment| segment.extent.t_max_ns >= t_ns);
        for segment in late.cloned().collect::<Vec<_>>() {
            if let Some(open) = self.open_segment(&segment)?
                && let Some(seq) = find_time(&open, t_ns)?
            {
                return Ok(seq);
            }
        }
        Ok(self.book.next_seq)
    }
}

/// The first block in a segment with a record at or after `t_ns`.
fn find_time(open: &OpenSegment, t_ns: i64) -> Result<Option<Seq>> {
    let Some(entry) = open.index.at_time(t_ns) else { return Ok(None) };
    let (segment, offset) = (&open.segment, u64::from(entry.offset));
    let mut walker = Walker::new(&*open.file, segment.salt, offset, segment.extent.data_end, WINDOW_BYTES_MAX);
    let fits = |envelope: &Envelope| envelope.is_block() && segment.extent.contains(envelope.seq);
    while let Some(found) = walker.next(fits).map_err(|error| Error::environment("read", &segment.path, error))? {
        if found.envelope.meta.t_max_ns >= t_ns {
            return Ok(Some(found.envelope.seq));
        }
    }
    Ok(None)
}
