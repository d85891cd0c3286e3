//! Reading several segments side by side, in the order of seqs: those of different classes, and copies of the same blocks.

use super::frame::{ENVELOPE_BYTES, Envelope};
use super::read::Reading;
use super::segments::{Hint, OpenSegment, Segments};
use super::tail::block;
use super::walk::{Found, WINDOW_BYTES_MAX, Walker};
use crate::block::{Item, Seq};
use crate::error::{Error, Result};

/// A walk through one of the segments.
struct Source<'a> {
    open: &'a OpenSegment,
    walker: Walker<'a>,
    /// The lowest seq that the next block can have.
    low: Seq,
    /// The next block, if it was looked for.
    next: Option<Found>,
    /// There is none any more.
    ended: bool,
}

/// The walks side by side; where two have the same block, the first of them gives it.
pub(super) struct Merge<'a> {
    sources: Vec<Source<'a>>,
}

impl<'a> Merge<'a> {
    /// Begins where `reading` stands.
    pub(super) fn of(open: &'a [OpenSegment], segments: &Segments, reading: &Reading<'_>) -> Self {
        let window = (reading.bytes_left + ENVELOPE_BYTES).min(WINDOW_BYTES_MAX) / open.len().max(1);
        let source = |open: &'a OpenSegment| {
            let (low, offset) = segments.place(open, reading.pos);
            let (salt, end) = (open.segment.salt, open.segment.extent.data_end);
            let walker = Walker::new(&*open.file, salt, offset, end, window);
            Source { open, walker, low, next: None, ended: false }
        };
        Self { sources: open.iter().map(source).collect() }
    }

    /// Reads blocks on from the place, up to `stop`. Returns the seq of the block behind a hole, if it came to one.
    pub(super) fn read_on(&mut self, reading: &mut Reading<'_>, stop: Seq) -> Result<Option<Seq>> {
        let (start, enough) = (reading.pos, reading.bytes_left / 2);
        while reading.pos < stop && reading.wants_more() {
            if reading.pos > start && reading.bytes_left <= enough && !self.is_in_memory() {
                break;
            }
            for source in &mut self.sources {
                source.look(reading.pos)?;
            }
            let pos = reading.pos;
            let here = self.sources.iter_mut().find(|source| source.next_seq().is_some_and(|seq| seq <= pos));
            match here.and_then(|source| source.next.take()) {
                Some(found) => reading.push(Item::Block(block(&found.envelope, found.payload))),
                None => return Ok(self.sources.iter().filter_map(Source::next_seq).min()),
            }
        }
        Ok(None)
    }

    /// Whether going on costs no reading of files.
    fn is_in_memory(&self) -> bool {
        self.sources.iter().all(|source| source.next.is_some() || source.ended || source.walker.has_next_in_memory())
    }

    /// Where to go on later, at `pos`.
    pub(super) fn hints(&self, pos: Seq) -> Vec<Hint> {
        let hint = |source: &Source<'_>| Hint {
            key: source.open.segment.key(),
            seq: pos,
            offset: source.next.as_ref().map_or(source.walker.at(), |next| next.offset),
        };
        self.sources.iter().map(hint).collect()
    }
}

impl Source<'_> {
    fn next_seq(&self) -> Option<Seq> {
        self.next.as_ref().map(|found| found.envelope.seq)
    }

    /// Looks for the first block that reaches `pos`.
    fn look(&mut self, pos: Seq) -> Result<()> {
        while !self.ended && self.next.as_ref().is_none_or(|found| found.envelope.seqs().last < pos) {
            let (segment, low) = (&self.open.segment, self.low);
            let fits = |envelope: &Envelope| {
                envelope.is_block() && envelope.seq >= low && envelope.seqs().last <= segment.extent.last
            };
            let found = self.walker.next(fits);
            self.next = found.map_err(|error| Error::environment("read", &segment.path, error))?;
            match &self.next {
                Some(found) => self.low = found.envelope.seqs().last + 1,
                None => self.ended = true,
            }
        }
        Ok(())
    }
}
