//! A walk through one segment that tells what is not as it was written.

use std::io;
use std::ops::ControlFlow;

use super::books::is_begun;
use super::{Inspector, uncovered};
use crate::block::{Seq, SeqRange};
use crate::disk::DiskFile;
use crate::error::{Error, Result};
use crate::gap::GapReason;
use crate::log::frame::{ENVELOPE_BYTES, Envelope};
use crate::log::segment::{HEADER_BYTES, Header, Index, TRAILER_BYTES, Trailer};
use crate::log::segments::read_trailer;
use crate::log::tail::block;
use crate::log::walk::{WINDOW_BYTES_MAX, Walker};
use crate::overview::{Damage, DamagedPart, SegmentFile, Sight};

/// How often the end of a file is looked at again because a running gateway has written there meanwhile.
const GROWTHS_MAX: u32 = 64;

/// A walk under way.
struct Walk<'a> {
    inspector: &'a Inspector,
    segment: &'a SegmentFile,
    file: &'a dyn DiskFile,
    visit: &'a mut dyn FnMut(Sight) -> ControlFlow<()>,
    /// The last seq that was met.
    last: Seq,
    /// Where its frame ends.
    at: u64,
    /// What lies in other files and in gaps of other reasons, once something is damaged.
    elsewhere: Option<Vec<SeqRange>>,
}

/// Where the frames of a file end.
enum End {
    /// Where its trailer says.
    Sealed(Trailer),
    /// At the end of the file, as far as is known.
    Open(u64),
}

impl Inspector {
    pub(super) fn examine(&self, segment: &SegmentFile, visit: &mut dyn FnMut(Sight) -> ControlFlow<()>) -> Result<()> {
        let file = match self.disk.open(&segment.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Error::environment("open", &segment.path, error)),
        };
        let (last, at) = (segment.first - 1, HEADER_BYTES as u64);
        let mut walk = Walk { inspector: self, segment, file: &*file, visit, last, at, elsewhere: None };
        let walked = walk.head().and_then(|flow| if flow.is_break() { Ok(flow) } else { walk.frames() });
        walked.map(drop).map_err(|error| Error::environment("read", &segment.path, error))
    }
}

impl Inspector {
    /// The seqs in the range of a file that lie in other files, of other classes too, or in gaps of other reasons than
    /// damage; joined where they touch.
    fn elsewhere(&self, segment: &SegmentFile) -> io::Result<Vec<SeqRange>> {
        let last = segment.next.map_or(Seq::MAX, |next| next - 1);
        let range = SeqRange { first: segment.first, last: last.max(segment.seqs.map_or(0, |seqs| seqs.last)) };
        let gaps = self.overview.gaps.iter().filter(|gap| gap.reason != GapReason::Damaged);
        let mut held: Vec<SeqRange> = gaps.map(|gap| gap.seqs).collect();
        let meets = |other: &SeqRange| other.first <= range.last && other.last >= range.first;
        for other in &self.overview.segments {
            if other.path != segment.path && other.seqs.as_ref().is_some_and(meets) {
                self.add_blocks(other, &mut held)?;
            }
        }
        Ok(held)
    }

    /// Adds the seqs of the whole blocks of a file. One that is gone meanwhile has none.
    fn add_blocks(&self, segment: &SegmentFile, held: &mut Vec<SeqRange>) -> io::Result<()> {
        let file = match self.disk.open(&segment.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            file => file?,
        };
        let end = file.len()?;
        let mut walker = Walker::new(&*file, segment.salt, HEADER_BYTES as u64, end, WINDOW_BYTES_MAX);
        while let Some(found) = walker.next(|envelope| envelope.is_block())? {
            let seqs = found.envelope.seqs();
            match held.last_mut().filter(|last| last.last.checked_add(1) == Some(seqs.first)) {
                Some(last) => last.last = seqs.last,
                None => held.push(seqs),
            }
        }
        Ok(())
    }
}

impl Walk<'_> {
    fn head(&mut self) -> io::Result<ControlFlow<()>> {
        let mut head = [0; HEADER_BYTES];
        let got = self.file.read_at(0, &mut head)?;
        if got == 0 || Header::decode(&head[..got]).is_some() {
            return Ok(ControlFlow::Continue(()));
        }
        Ok(self.damage(0, got as u64, 0, DamagedPart::Head))
    }

    /// Goes on to the end, which may move while a gateway writes.
    fn frames(&mut self) -> io::Result<ControlFlow<()>> {
        let mut growths = 0;
        loop {
            let end = self.end()?;
            let torn = match self.frames_to(&end)? {
                ControlFlow::Break(()) => return Ok(ControlFlow::Break(())),
                ControlFlow::Continue(torn) => torn,
            };
            match end {
                End::Sealed(trailer) => return self.sealed_end(&trailer),
                End::Open(bytes) if growths < GROWTHS_MAX && self.file.len()? != bytes => growths += 1,
                End::Open(bytes) => return self.open_end(bytes, torn),
            }
        }
    }

    fn end(&self) -> io::Result<End> {
        let bytes = self.file.len()?;
        let trailer = read_trailer(self.file, self.segment.first, bytes)?;
        Ok(trailer.map_or(End::Open(bytes), End::Sealed))
    }

    /// Shows what lies before the end. Gives the envelope of a frame that is all there but whose checksum is wrong.
    fn frames_to(&mut self, end: &End) -> io::Result<ControlFlow<(), Option<Envelope>>> {
        let (end, highest) = match end {
            End::Sealed(trailer) => (trailer.extent.data_end, trailer.extent.last),
            End::Open(bytes) => (*bytes, Seq::MAX),
        };
        let mut walker = Walker::new(self.file, self.segment.salt, self.at, end, WINDOW_BYTES_MAX);
        loop {
            let last = self.last;
            let fits =
                |envelope: &Envelope| envelope.is_block() && envelope.seq > last && envelope.seqs().last <= highest;
            let Some(found) = walker.next(fits)? else { break };
            let seqs = found.envelope.seqs();
            if found.skipped > 0 {
                let lost = self.lost_up_to(seqs.first)?;
                let offset = found.offset - found.skipped;
                if self.damage(offset, found.skipped, lost, DamagedPart::Blocks).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            (self.last, self.at) = (seqs.last, found.end());
            let offset = found.offset;
            if (self.visit)(Sight::Block(block(&found.envelope, found.payload), offset)).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        let torn = walker.unchecked()?.filter(|envelope| envelope.is_block() && envelope.seq > self.last);
        Ok(ControlFlow::Continue(torn))
    }

    /// Of a sealed segment its trailer says how far it goes.
    fn sealed_end(&mut self, trailer: &Trailer) -> io::Result<ControlFlow<()>> {
        let extent = trailer.extent;
        if self.at < extent.data_end || self.last < extent.last {
            let lost = self.lost_up_to(extent.last + 1)?;
            let bytes = extent.data_end.saturating_sub(self.at);
            if self.damage(self.at, bytes, lost, DamagedPart::Blocks).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        let index_bytes = self.file.len()?.saturating_sub(extent.data_end + TRAILER_BYTES as u64);
        let mut bytes = vec![0; usize::try_from(index_bytes).unwrap_or(0).min(WINDOW_BYTES_MAX)];
        let got = self.file.read_at(extent.data_end, &mut bytes)?;
        if Index::decode(&bytes[..got], trailer).is_none() {
            return Ok(self.damage(extent.data_end, index_bytes, 0, DamagedPart::Index));
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Of one that is not sealed only the next segment says how far it should go, and what lies behind its last block
    /// may be a write that was interrupted, or is under way.
    fn open_end(&mut self, end: u64, torn: Option<Envelope>) -> io::Result<ControlFlow<()>> {
        let mut tail = [0; ENVELOPE_BYTES];
        let got = self.file.read_at(self.at, &mut tail)?;
        let tail_bytes = end.saturating_sub(self.at);
        let wanted = self.inspector.floor.max(self.last + 1);
        let lost = match (self.segment.next, torn) {
            (Some(next), _) if next > wanted => self.lost(SeqRange { first: wanted, last: next - 1 })?,
            (None, Some(torn)) => self.lost(torn.seqs())?,
            _ => 0,
        };
        let is_whole = tail_bytes == 0 || is_begun(&tail[..got], tail_bytes);
        if is_whole && lost == 0 {
            return Ok(ControlFlow::Continue(()));
        }
        Ok(self.damage(self.at, tail_bytes, lost, DamagedPart::End))
    }

    /// Records between the last one that was met and `next`.
    fn lost_up_to(&mut self, next: Seq) -> io::Result<u64> {
        match next > self.last + 1 {
            true => self.lost(SeqRange { first: self.last + 1, last: next - 1 }),
            false => Ok(0),
        }
    }

    /// How many of these seqs are lost without being told: no other file has them, no gap of another reason covers them.
    fn lost(&mut self, seqs: SeqRange) -> io::Result<u64> {
        let elsewhere = match self.elsewhere.take() {
            Some(known) => known,
            None => self.inspector.elsewhere(self.segment)?,
        };
        let lost = uncovered(seqs, elsewhere.iter().copied()).iter().map(SeqRange::count).sum();
        self.elsewhere = Some(elsewhere);
        Ok(lost)
    }

    fn damage(&mut self, offset: u64, bytes: u64, records: u64, part: DamagedPart) -> ControlFlow<()> {
        (self.visit)(Sight::Damage(Damage { path: self.segment.path.clone(), offset, bytes, records, part }))
    }
}
