//! The way in: blocks to frames, frames to the active segment.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::Log;
use super::commit::{ToSync, UNSYNCED_BYTES_MAX};
use super::frame::{ENVELOPE_BYTES, Envelope};
use super::segment::{self, Extent, HEADER_BYTES, Header, Index};
use super::segments::{OpenSegment, Segment};
use crate::block::{BLOCK_COUNT_MAX, BLOCK_PAYLOAD_BYTES_MAX, Class, NewBlock, Seq, SeqRange};
use crate::disk::{Disk, DiskFile};
use crate::error::{Error, Result};
use crate::gap::{Gap, GapReason};
use crate::store::Appended;

/// Most bytes that one append may write.
pub const APPEND_BYTES_MAX: usize = 1024 * 1024;

/// Most segments that may begin with the same seq.
const ATTEMPTS_MAX: u32 = 1000;

/// What goes to the device as a whole, bytes.
const PAGE_BYTES: u64 = 4096;

/// The segment that is being written.
pub(super) struct Active {
    pub(super) segment: Segment,
    pub(super) index: Arc<Index>,
    pub(super) file: Arc<dyn DiskFile>,
    /// Something was written since the last sync began.
    pub(super) dirty: bool,
    /// Where what was written since then begins.
    dirty_from: u64,
    /// A write failed and may have left bytes behind the last frame.
    ragged: bool,
}

impl Active {
    /// Makes the file for a segment whose head will be `header`, with the first free attempt from `attempt` on.
    pub(super) fn create(disk: &dyn Disk, dir: &Path, class: Class, header: &Header, attempt: u32) -> Result<Self> {
        let mut attempt = attempt;
        loop {
            let path = segment::path(dir, header.number, attempt);
            match disk.create(&path) {
                Ok(file) => {
                    let extent = Extent::starting_at(header.number);
                    let file_bytes = extent.data_end;
                    let (salt, level) = (header.salt, header.level);
                    let segment =
                        Segment { path, class, attempt, level, salt, extent, file_bytes, thinned: 0, is_own: true };
                    return Ok(Self::resume(segment, Index::default(), file));
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempt < ATTEMPTS_MAX => attempt += 1,
                Err(error) => return Err(Error::environment("create", &path, error)),
            }
        }
    }

    /// Goes on behind the last frame of a segment.
    pub(super) fn resume(segment: Segment, index: Index, file: Arc<dyn DiskFile>) -> Self {
        let dirty_from = segment.extent.data_end;
        Self { segment, index: Arc::new(index), file, dirty: true, dirty_from, ragged: false }
    }

    pub(super) fn write_head(&mut self, header: &Header) -> io::Result<()> {
        self.file.write_at(0, &header.encode())
    }

    /// Writes one frame behind the last one.
    pub(super) fn write(&mut self, envelope: Envelope, frame: &[u8]) -> io::Result<()> {
        self.write_bytes(frame)?;
        self.note(&envelope, frame.len());
        Ok(())
    }

    fn write_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = self.file.write_at(self.segment.extent.data_end, bytes);
        self.ragged |= written.is_err();
        self.dirty = true;
        written
    }

    fn note(&mut self, envelope: &Envelope, frame_bytes: usize) {
        let offset = self.segment.extent.data_end;
        Arc::make_mut(&mut self.index).note(envelope, offset);
        self.segment.extent.note(envelope, offset + frame_bytes as u64);
        self.segment.file_bytes = self.segment.extent.data_end;
    }

    /// What was written up to here is about to be synced: bytes of the pages that this takes along.
    pub(super) fn begin_sync(&mut self) -> u64 {
        let from = std::mem::replace(&mut self.dirty_from, self.segment.file_bytes);
        self.dirty = false;
        pages(from, self.segment.file_bytes)
    }

    /// The segment as readers see it.
    pub(super) fn open(&self) -> OpenSegment {
        OpenSegment { segment: self.segment.clone(), file: Arc::clone(&self.file), index: Arc::clone(&self.index) }
    }

    fn has_room(&self, bytes: u64, segment_bytes_max: u64) -> bool {
        self.segment.extent.is_empty() || self.segment.extent.data_end + bytes <= segment_bytes_max
    }

    /// Writes the foot. Without one the segment is as good, but must be read from end to end to be opened.
    pub(super) fn seal(&mut self) -> io::Result<usize> {
        let extent = &self.segment.extent;
        if self.ragged {
            self.file.set_len(extent.data_end)?;
        }
        let foot = segment::foot(extent, &self.index);
        self.file.write_at(extent.data_end, &foot)?;
        self.segment.file_bytes = extent.data_end + foot.len() as u64;
        Ok(foot.len())
    }
}

impl Log {
    pub(super) fn append_blocks(&mut self, class: Class, blocks: &[NewBlock<'_>]) -> Result<Appended> {
        let (bytes, count) = check(blocks)?;
        let mut gaps = self.make_space(class, bytes as u64)?;
        if self.must_refuse(class, bytes as u64) {
            let time_ns = blocks.iter().map(|block| (block.meta.t_min_ns, block.meta.t_max_ns));
            let time_ns = time_ns.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
            let gap = self.lose_next(class, count, time_ns, GapReason::DroppedNewest);
            gaps.push(gap.clone());
            return Ok(Appended { seqs: gap.seqs, gaps });
        }
        self.bound_unsynced(bytes as u64)?;
        self.ensure_active(class, bytes as u64)?;
        let seqs = SeqRange::starting_at(self.book.next_seq, count);
        self.write_blocks(class, blocks, bytes)?;
        Ok(Appended { seqs, gaps })
    }

    pub(super) fn discard_records(&mut self, class: Class, count: u64, time_ns: Option<(i64, i64)>) -> Result<Gap> {
        if count == 0 {
            return Err(Error::Bug("nothing was discarded".into()));
        }
        Ok(self.lose_next(class, count, time_ns, GapReason::Discarded))
    }

    /// Gives the next seqs to records that are not stored.
    fn lose_next(&mut self, class: Class, count: u64, time_ns: Option<(i64, i64)>, reason: GapReason) -> Gap {
        let seqs = SeqRange::starting_at(self.book.next_seq, count);
        self.book.next_seq = seqs.last + 1;
        let gap = Gap { class, seqs, count, time_ns, reason };
        self.lose(&gap);
        gap
    }

    /// Keeps what a failed sync would have to write again within its bound.
    fn bound_unsynced(&mut self, bytes: u64) -> Result<()> {
        if self.commit.unsynced_bytes + bytes <= UNSYNCED_BYTES_MAX {
            return Ok(());
        }
        match self.start_sync()? {
            Some(job) => self.finish_sync(job.run()),
            None => Err(Error::environment("write more to", &self.dir, io::ErrorKind::WouldBlock.into())),
        }
    }

    /// Makes sure that there is a segment with room for `bytes`.
    fn ensure_active(&mut self, class: Class, bytes: u64) -> Result<()> {
        self.write_again()?;
        let bytes_max = self.limits.segment_bytes_max(class);
        if self.actives.of(class).is_some_and(|active| active.has_room(bytes, bytes_max)) {
            return Ok(());
        }
        let next = self.create_segment(class, self.book.next_seq, 0, 0)?;
        self.totals.written_bytes_total += HEADER_BYTES as u64;
        if let Some(full) = self.actives.set(next) {
            self.put_away(full);
        }
        Ok(())
    }

    /// Seals a segment that is not written to any more.
    pub(super) fn put_away(&mut self, mut full: Active) {
        if let Ok(foot_bytes) = full.seal() {
            self.totals.written_bytes_total += foot_bytes as u64;
            self.seal_later(&full.segment);
        }
        let (path, bytes) = (full.segment.path.clone(), full.begin_sync());
        self.commit.files.push(ToSync { path, file: full.file, bytes });
        self.segments.insert(full.segment);
    }

    /// The disk may put a segment into another form.
    pub(super) fn seal_later(&mut self, segment: &Segment) {
        if self.disk.seals() {
            self.commit.sealed().push_back(segment.path.clone());
        }
    }

    fn write_blocks(&mut self, class: Class, blocks: &[NewBlock<'_>], bytes: usize) -> Result<()> {
        let (epoch, salt) = (self.slot.identity.epoch, self.slot.salt);
        let envelopes = with_seqs(self.book.next_seq, blocks)
            .map(|(seq, block)| (Envelope { class: class.code(), meta: block.meta, seq, epoch }, block.payload));
        let frames = self.tail.encode(envelopes.clone(), bytes, salt);
        let active = self.actives.of_mut(class).ok_or_else(|| Error::Bug("no segment to write to".into()))?;
        if let Err(error) = active.write_bytes(&frames) {
            let failed = Error::environment("write", &active.segment.path, error);
            if !failed.is_for_want_of_room() {
                self.abandon_actives();
            }
            return Err(failed);
        }
        let mut at = 0;
        for (envelope, payload) in envelopes {
            let frame = frames.slice(at..at + ENVELOPE_BYTES + payload.len());
            at += frame.len();
            active.note(&envelope, frame.len());
            self.tail.push(envelope, frame);
            self.book.next_seq = envelope.seqs().last + 1;
            self.totals.records_total += u64::from(envelope.meta.count);
            self.totals.classes[class.index()].records_total += u64::from(envelope.meta.count);
            self.totals.payload_bytes_total += payload.len() as u64;
        }
        self.totals.blocks_total += blocks.len() as u64;
        self.totals.written_bytes_total += bytes as u64;
        self.commit.unsynced_bytes += bytes as u64;
        Ok(())
    }
}

/// Bytes of the pages that a stretch of a file touches.
pub(super) fn pages(from: u64, to: u64) -> u64 {
    if from >= to { 0 } else { (to.div_ceil(PAGE_BYTES) - from / PAGE_BYTES) * PAGE_BYTES }
}

/// Each block with the seq of its first record.
fn with_seqs<'a>(first: Seq, blocks: &'a [NewBlock<'a>]) -> impl Iterator<Item = (Seq, &'a NewBlock<'a>)> + Clone {
    blocks.iter().scan(first, |next, block| {
        let seq = *next;
        *next += u64::from(block.meta.count);
        Some((seq, block))
    })
}

/// The bytes and the records of an append, if it keeps the limits.
fn check(blocks: &[NewBlock<'_>]) -> Result<(usize, u64)> {
    let (mut bytes, mut count) = (0, 0);
    for NewBlock { meta, payload } in blocks {
        if payload.len() > BLOCK_PAYLOAD_BYTES_MAX || !(1..=BLOCK_COUNT_MAX).contains(&meta.count) {
            let (len, count) = (payload.len(), meta.count);
            return Err(Error::Bug(format!("a block of {len} bytes and {count} records breaks the limits")));
        }
        bytes += ENVELOPE_BYTES + payload.len();
        count += u64::from(meta.count);
    }
    if count == 0 || bytes > APPEND_BYTES_MAX {
        return Err(Error::Bug(format!("an append of {} blocks, {bytes} bytes breaks the limits", blocks.len())));
    }
    Ok((bytes, count))
}
