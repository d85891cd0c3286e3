//! The segments that are no longer written to: sorted by their first seq, some of them open for reading.

use std::io;
#[cfg(feature = "sled")]
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use super::frame::Envelope;
use super::segment::{Extent, HEADER_BYTES, Index, TRAILER_BYTES, Trailer};
use super::walk::{WINDOW_BYTES_MAX, Walker};
use crate::block::{Class, Seq, SeqRange};
use crate::disk::{Disk, DiskFile};
use crate::error::{Error, Result};

/// Files held open for readers at once.
const OPEN_MAX: usize = 4;

/// A file of blocks.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    pub(super) class: Class,
    pub(super) attempt: u32,
    /// The number that its blocks were given when they were put in the place of others; 0 for blocks as appended.
    pub(super) level: u8,
    /// What checksums in this file begin with.
    pub(super) salt: u32,
    pub(super) extent: Extent,
    pub(super) file_bytes: u64,
    /// Records that its blocks stand for and no longer hold, as far as this process left them out.
    pub(super) thinned: u64,
    /// Begun by this process, not found when it started.
    pub(super) is_own: bool,
}

impl Segment {
    /// What segments are sorted by; the path says the same.
    pub(super) fn key(&self) -> Key {
        (self.extent.first, self.class, self.attempt)
    }
}

/// A segment's first seq, class and attempt: no two segments have the same.
pub(super) type Key = (Seq, Class, u32);

/// A segment that is open for reading, with its index.
#[derive(Clone)]
pub(super) struct OpenSegment {
    pub(super) segment: Segment,
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) index: Arc<Index>,
}

impl OpenSegment {
    /// How many records its blocks hold with these seqs.
    pub(super) fn count(&self, seqs: SeqRange) -> io::Result<u64> {
        let extent = &self.segment.extent;
        let mut walker =
            Walker::new(&*self.file, self.segment.salt, HEADER_BYTES as u64, extent.data_end, WINDOW_BYTES_MAX);
        let (mut low, mut count) = (extent.first, 0);
        while let Some(found) = walker.next(|e| e.is_block() && e.seq >= low && e.seqs().last <= extent.last)? {
            let block = found.envelope.seqs();
            low = block.last + 1;
            if block.first.max(seqs.first) <= block.last.min(seqs.last) {
                count += block.last.min(seqs.last) - block.first.max(seqs.first) + 1;
            }
        }
        Ok(count)
    }
}

/// Places behind what was read last that are remembered, so that the next read goes on there.
const HINTS_MAX: usize = 16;

/// A place between two frames of a file: all blocks behind it hold seqs from `seq` on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hint {
    pub(super) key: Key,
    pub(super) seq: Seq,
    pub(super) offset: u64,
}

/// The sealed segments, and what readers need to find their place.
#[derive(Default)]
pub(super) struct Segments {
    sorted: Vec<Segment>,
    open: Vec<OpenSegment>,
    hints: Vec<Hint>,
    bytes: u64,
}

impl Segments {
    /// Bytes of all files.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The segments in the order of their first seqs.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Segment> {
        self.sorted.iter()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.sorted.len()
    }

    /// The segments of one class in the order of their first seqs.
    pub(super) fn of(&self, class: Class) -> impl DoubleEndedIterator<Item = &Segment> {
        self.sorted.iter().filter(move |segment| segment.class == class)
    }

    /// The segment that bears this key.
    pub(super) fn get(&self, key: Key) -> Option<&Segment> {
        self.sorted.iter().find(|segment| segment.key() == key)
    }

    /// Adds a segment in its place.
    pub(super) fn insert(&mut self, segment: Segment) {
        self.bytes += segment.file_bytes;
        let place = self.sorted.partition_point(|other| other.key() < segment.key());
        self.sorted.insert(place, segment);
    }

    /// Takes a segment off the list and closes it; its file is the caller's business.
    pub(super) fn forget(&mut self, key: Key) {
        if let Some(place) = self.sorted.iter().position(|segment| segment.key() == key) {
            self.bytes -= self.sorted.remove(place).file_bytes;
        }
        self.open.retain(|open| open.segment.key() != key);
        self.hints.retain(|hint| hint.key != key);
    }

    /// Where to start walking through a segment for `seq`: the lowest seq that can lie there, and the offset.
    pub(super) fn place(&self, open: &OpenSegment, seq: Seq) -> (Seq, u64) {
        let key = open.segment.key();
        let hints = self.hints.iter().filter(|hint| hint.key == key && hint.seq <= seq);
        let hint = hints.map(|hint| (hint.seq, hint.offset)).max_by_key(|(_, offset)| *offset);
        let indexed = match open.index.before(seq) {
            Some(entry) => (entry.seq, u64::from(entry.offset)),
            None => (open.segment.extent.first, HEADER_BYTES as u64),
        };
        hint.filter(|hint| hint.1 > indexed.1).unwrap_or(indexed)
    }

    /// Remembers where a read ended.
    pub(super) fn remember(&mut self, hint: Hint) {
        if self.hints.len() == HINTS_MAX {
            self.hints.remove(0);
        }
        self.hints.push(hint);
    }

    /// The segments whose range holds `seq`, the latest first: one of each class, and more after a failed sync or while
    /// one is replaced by another.
    pub(super) fn holding(&self, seq: Seq) -> impl Iterator<Item = &Segment> {
        let end = self.sorted.partition_point(|segment| segment.extent.first <= seq);
        self.sorted[..end].iter().rev().filter(move |segment| segment.extent.contains(seq))
    }

    /// The first seq of the next segment that begins above `seq`.
    pub(super) fn next_after(&self, seq: Seq) -> Option<Seq> {
        let start = self.sorted.partition_point(|segment| segment.extent.first <= seq);
        self.sorted[start..].iter().find(|segment| !segment.extent.is_empty()).map(|segment| segment.extent.first)
    }

    /// Opens a segment for reading, or finds it open; `None` if its file has vanished.
    pub(super) fn open(&mut self, disk: &dyn Disk, segment: &Segment) -> Result<Option<OpenSegment>> {
        if let Some(place) = self.open.iter().position(|open| open.segment.key() == segment.key()) {
            let open = self.open.remove(place);
            self.open.push(open.clone());
            return Ok(Some(open));
        }
        let file = match disk.open(&segment.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::environment("open", &segment.path, error)),
        };
        let index = load_index(&*file, segment).map_err(|error| Error::environment("read", &segment.path, error))?;
        let open = OpenSegment { segment: segment.clone(), file, index: Arc::new(index) };
        if self.open.len() == OPEN_MAX {
            self.open.remove(0);
        }
        self.open.push(open.clone());
        Ok(Some(open))
    }
}

/// The index from the foot of a segment, or, if that is not whole, from its frames.
fn load_index(file: &dyn DiskFile, segment: &Segment) -> io::Result<Index> {
    let file_bytes = file.len()?;
    if let Some(trailer) = read_trailer(file, segment.extent.first, file_bytes)? {
        let index_bytes = file_bytes - trailer.extent.data_end - TRAILER_BYTES as u64;
        let mut bytes = vec![0; usize::try_from(index_bytes).unwrap_or(0).min(WINDOW_BYTES_MAX)];
        let got = file.read_at(trailer.extent.data_end, &mut bytes)?;
        if let Some(index) = Index::decode(&bytes[..got], &trailer) {
            return Ok(index);
        }
    }
    Ok(scan(file, segment.salt, segment.extent.first, file_bytes)?.index)
}

/// The trailer of a sealed segment; `None` if it is not sealed, or its foot is damaged.
pub(super) fn read_trailer(file: &dyn DiskFile, first: Seq, file_bytes: u64) -> io::Result<Option<Trailer>> {
    let mut bytes = [0; TRAILER_BYTES];
    let Some(at) = file_bytes.checked_sub(TRAILER_BYTES as u64) else { return Ok(None) };
    let got = file.read_at(at, &mut bytes)?;
    Ok(Trailer::decode(&bytes[..got], first, file_bytes))
}

/// What a walk from end to end found in a file.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) extent: Extent,
    pub(super) index: Index,
    /// Bytes passed over between good frames.
    pub(super) damaged_bytes: u64,
    /// Bytes behind the last good frame.
    pub(super) tail_bytes: u64,
    /// What the first frame of these bytes says it is, if it is all there but its checksum is wrong.
    pub(super) torn: Option<Envelope>,
}

/// Walks through a segment from end to end.
pub(super) fn scan(file: &dyn DiskFile, salt: u32, first: Seq, file_bytes: u64) -> io::Result<Scan> {
    let (mut extent, mut index, mut damaged_bytes) = (Extent::starting_at(first), Index::default(), 0);
    let mut walker = Walker::new(file, salt, extent.data_end, file_bytes, WINDOW_BYTES_MAX);
    let mut last = extent.last;
    while let Some(found) = walker.next(|envelope| envelope.is_block() && envelope.seq > last)? {
        index.note(&found.envelope, found.offset);
        extent.note(&found.envelope, found.end());
        last = extent.last;
        damaged_bytes += found.skipped;
    }
    let torn = walker.unchecked()?.filter(Envelope::is_block);
    Ok(Scan { extent, index, damaged_bytes, tail_bytes: file_bytes.saturating_sub(walker.at()), torn })
}

/// Where the frames of a sealed segment end; `None` if it has no seal.
#[cfg(feature = "sled")]
pub(crate) fn sealed_data_end(file: &dyn DiskFile, path: &Path, file_bytes: u64) -> io::Result<Option<u64>> {
    let name = path.file_name().and_then(|name| name.to_str()).and_then(super::segment::parse_name);
    let Some((first, _)) = name else { return Ok(None) };
    Ok(read_trailer(file, first, file_bytes)?.map(|trailer| trailer.extent.data_end))
}

/// How long the frame at `at` says that it is; `None` if there is none.
#[cfg(feature = "sled")]
pub(crate) fn frame_bytes(file: &dyn DiskFile, at: u64) -> io::Result<Option<u64>> {
    let mut head = [0; super::frame::ENVELOPE_BYTES];
    let got = file.read_at(at, &mut head)?;
    let parsed = (got == head.len()).then(|| super::frame::parse_envelope(&head)).flatten();
    Ok(parsed.map(|(_, payload_bytes)| (head.len() + payload_bytes) as u64))
}
