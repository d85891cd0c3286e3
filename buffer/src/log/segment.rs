//! The head and the foot of a file, to bytes and back; the drawing stands in the module above. No I/O.

use std::path::{Path, PathBuf};

use super::frame::{Envelope, field};
use crate::block::{SEQ_MAX, Seq};

/// Bytes of a file's head.
pub(crate) const HEADER_BYTES: usize = 64;

/// Bytes of a file's last part.
pub(crate) const TRAILER_BYTES: usize = 64;

/// One entry of the index stands for about this many bytes of frames.
pub(super) const INDEX_STRIDE_BYTES: u64 = 64 * 1024;

const INDEX_ENTRY_BYTES: usize = 24;
const HEADER_MAGIC: [u8; 8] = *b"FBLOGSEG";
const TRAILER_MAGIC: [u8; 8] = *b"FBLOGEND";
const VERSION: u8 = 1;

/// What stands at the beginning of each segment and each ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) class: u8,
    /// Of blocks that stand for others, the number that the caller gave them; 0 for all else.
    pub(super) level: u8,
    pub(super) salt: u32,
    pub(super) gateway: u128,
    pub(super) epoch: u32,
    /// The first seq of a segment, the generation of a ledger.
    pub(super) number: u64,
}

impl Header {
    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut to = [0; HEADER_BYTES];
        to[0..8].copy_from_slice(&HEADER_MAGIC);
        to[8..12].copy_from_slice(&[VERSION, self.class, HEADER_BYTES as u8, self.level]);
        to[12..16].copy_from_slice(&self.salt.to_le_bytes());
        to[16..32].copy_from_slice(&self.gateway.to_le_bytes());
        to[32..36].copy_from_slice(&self.epoch.to_le_bytes());
        to[40..48].copy_from_slice(&self.number.to_le_bytes());
        let crc = crc32c::crc32c(&to[..60]);
        to[60..].copy_from_slice(&crc.to_le_bytes());
        to
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let from: &[u8; HEADER_BYTES] = bytes.first_chunk()?;
        if from[0..8] != HEADER_MAGIC || from[8] != VERSION || crc32c::crc32c(&from[..60]).to_le_bytes() != from[60..] {
            return None;
        }
        Some(Self {
            class: from[9],
            level: from[11],
            salt: u32::from_le_bytes(field(from, 12)),
            gateway: u128::from_le_bytes(field(from, 16)),
            epoch: u32::from_le_bytes(field(from, 32)),
            number: u64::from_le_bytes(field(from, 40)),
        })
    }
}

/// What a segment holds, in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) first: Seq,
    /// Below `first` when there is no block.
    pub(super) last: Seq,
    pub(super) t_min_ns: i64,
    pub(super) t_max_ns: i64,
    /// The highest epoch among its blocks.
    pub(super) epoch: u32,
    /// Records in its blocks; fewer than seqs from `first` to `last` when other classes lie in between.
    pub(super) records: u64,
    /// Where its last frame ends in the file.
    pub(super) data_end: u64,
}

impl Extent {
    /// Of a segment whose blocks start at `first`, without any block.
    pub(super) fn starting_at(first: Seq) -> Self {
        let data_end = HEADER_BYTES as u64;
        Self { first, last: first - 1, t_min_ns: i64::MAX, t_max_ns: i64::MIN, epoch: 0, records: 0, data_end }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.last < self.first
    }

    pub(super) fn contains(&self, seq: Seq) -> bool {
        (self.first..=self.last).contains(&seq)
    }

    /// Whether it holds every seq from the first to the last.
    pub(super) fn is_dense(&self) -> bool {
        !self.is_empty() && self.records == self.last - self.first + 1
    }

    /// Takes a block into account that ends at `end`.
    pub(super) fn note(&mut self, envelope: &Envelope, end: u64) {
        self.last = envelope.seqs().last;
        self.records += u64::from(envelope.meta.count);
        self.t_min_ns = self.t_min_ns.min(envelope.meta.t_min_ns);
        self.t_max_ns = self.t_max_ns.max(envelope.meta.t_max_ns);
        self.epoch = self.epoch.max(envelope.epoch);
        self.data_end = end;
    }

    /// The oldest and newest time, if there is a block.
    pub(super) fn time_ns(&self) -> Option<(i64, i64)> {
        (self.t_min_ns <= self.t_max_ns).then_some((self.t_min_ns, self.t_max_ns))
    }
}

/// Where a stretch of a segment begins, and how late its records are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IndexEntry {
    pub(super) seq: Seq,
    pub(super) offset: u32,
    pub(super) t_max_ns: i64,
}

/// The sparse index of one segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Index {
    pub(super) entries: Vec<IndexEntry>,
}

impl Index {
    /// Takes the block at `offset` into account.
    pub(super) fn note(&mut self, envelope: &Envelope, offset: u64) {
        match self.entries.last_mut() {
            Some(entry) if offset - u64::from(entry.offset) < INDEX_STRIDE_BYTES => {
                entry.t_max_ns = entry.t_max_ns.max(envelope.meta.t_max_ns);
            }
            _ => {
                let entry = IndexEntry { seq: envelope.seq, offset: offset as u32, t_max_ns: envelope.meta.t_max_ns };
                self.entries.push(entry);
            }
        }
    }

    /// The last entry at or before `seq`.
    pub(super) fn before(&self, seq: Seq) -> Option<IndexEntry> {
        let after = self.entries.partition_point(|entry| entry.seq <= seq);
        self.entries.get(after.checked_sub(1)?).copied()
    }

    /// The first entry whose stretch has a record at or after `t_ns`.
    pub(super) fn at_time(&self, t_ns: i64) -> Option<IndexEntry> {
        self.entries.iter().find(|entry| entry.t_max_ns >= t_ns).copied()
    }

    fn encode(&self) -> Vec<u8> {
        let mut to = Vec::with_capacity(self.entries.len() * INDEX_ENTRY_BYTES + TRAILER_BYTES);
        for entry in &self.entries {
            to.extend_from_slice(&entry.seq.to_le_bytes());
            to.extend_from_slice(&entry.offset.to_le_bytes());
            to.extend_from_slice(&[0; 4]);
            to.extend_from_slice(&entry.t_max_ns.to_le_bytes());
        }
        to
    }

    /// Reads the index of a segment back; `None` if the bytes are not what the trailer says.
    pub(super) fn decode(bytes: &[u8], trailer: &Trailer) -> Option<Self> {
        if crc32c::crc32c(bytes) != trailer.index_crc {
            return None;
        }
        let entries = bytes.chunks_exact(INDEX_ENTRY_BYTES).map(|from| IndexEntry {
            seq: u64::from_le_bytes(field(from, 0)),
            offset: u32::from_le_bytes(field(from, 8)),
            t_max_ns: i64::from_le_bytes(field(from, 16)),
        });
        Some(Self { entries: entries.collect() })
    }
}

/// What stands at the end of a sealed segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trailer {
    pub(super) extent: Extent,
    index_crc: u32,
}

impl Trailer {
    /// Reads the last 64 bytes of a file of `file_bytes`; `None` if it was not sealed or is damaged.
    pub(super) fn decode(bytes: &[u8], first: Seq, file_bytes: u64) -> Option<Self> {
        let from: &[u8; TRAILER_BYTES] = bytes.first_chunk()?;
        if from[0..8] != TRAILER_MAGIC || from[8] != VERSION || crc32c::crc32c(&from[..60]).to_le_bytes() != from[60..]
        {
            return None;
        }
        let last = u64::from_le_bytes(field(from, 24));
        let records = u32::from_le_bytes(field(from, 52));
        let extent = Extent {
            first,
            last,
            t_min_ns: i64::from_le_bytes(field(from, 32)),
            t_max_ns: i64::from_le_bytes(field(from, 40)),
            epoch: u32::from_le_bytes(field(from, 48)),
            // Trailers of the time when there was one class do not say it: then the segment is dense.
            records: if records == 0 { last.wrapping_add(1).wrapping_sub(first) } else { u64::from(records) },
            data_end: u64::from_le_bytes(field(from, 16)),
        };
        let index_bytes = u64::from(u32::from_le_bytes(field(from, 12))) * INDEX_ENTRY_BYTES as u64;
        let fits = extent.data_end.checked_add(index_bytes + TRAILER_BYTES as u64) == Some(file_bytes);
        let sane = extent.data_end >= HEADER_BYTES as u64 && (first.saturating_sub(1)..=SEQ_MAX).contains(&extent.last);
        (fits && sane).then_some(Self { extent, index_crc: u32::from_le_bytes(field(from, 56)) })
    }
}

/// What is written behind the last frame to seal a segment: the index and the trailer.
pub(super) fn foot(extent: &Extent, index: &Index) -> Vec<u8> {
    let mut to = index.encode();
    let index_crc = crc32c::crc32c(&to);
    let mut trailer = [0; TRAILER_BYTES];
    trailer[0..8].copy_from_slice(&TRAILER_MAGIC);
    trailer[8] = VERSION;
    trailer[12..16].copy_from_slice(&(index.entries.len() as u32).to_le_bytes());
    trailer[16..24].copy_from_slice(&extent.data_end.to_le_bytes());
    trailer[24..32].copy_from_slice(&extent.last.to_le_bytes());
    trailer[32..40].copy_from_slice(&extent.t_min_ns.to_le_bytes());
    trailer[40..48].copy_from_slice(&extent.t_max_ns.to_le_bytes());
    trailer[48..52].copy_from_slice(&extent.epoch.to_le_bytes());
    trailer[52..56].copy_from_slice(&u32::try_from(extent.records).unwrap_or(u32::MAX).to_le_bytes());
    trailer[56..60].copy_from_slice(&index_crc.to_le_bytes());
    let crc = crc32c::crc32c(&trailer[..60]);
    trailer[60..].copy_from_slice(&crc.to_le_bytes());
    to.extend_from_slice(&trailer);
    to
}

/// The path of a segment. `attempt` is 0 but for blocks that had to be written again after a failed sync.
pub(super) fn path(dir: &Path, first: Seq, attempt: u32) -> PathBuf {
    match attempt {
        0 => dir.join(format!("{first:020}.seg")),
        _ => dir.join(format!("{first:020}-{attempt}.seg")),
    }
}

/// The first seq and the attempt that a file name says; `None` if it is not a segment's.
pub(super) fn parse_name(name: &str) -> Option<(Seq, u32)> {
    let stem = name.strip_suffix(".seg")?;
    let (first, attempt) = match stem.split_once('-') {
        Some((first, attempt)) => (first, attempt.parse().ok()?),
        None => (stem, 0),
    };
    let seq = first.parse().ok().filter(|seq| (1..=SEQ_MAX).contains(seq))?;
    (path(Path::new(""), seq, attempt) == Path::new(name)).then_some((seq, attempt))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::block::Meta;

    fn sealed() -> (Extent, Index, Vec<u8>) {
        let (mut extent, mut index) = (Extent::starting_at(10), Index::default());
        for i in 0..5u64 {
            let t = i as i64 * 10;
            let meta = Meta { count: 2, t_min_ns: t, t_max_ns: t + 5, codec: 0, flags: 0, schema: 0 };
            let envelope = Envelope { class: 1, meta, seq: 10 + 2 * i, epoch: 3 };
            index.note(&envelope, 64 + i * 50_000);
            extent.note(&envelope, 64 + (i + 1) * 50_000);
        }
        let foot = foot(&extent, &index);
        (extent, index, foot)
    }

    #[test]
    fn the_foot_gives_back_the_extent_and_the_index() {
        let (extent, index, foot) = sealed();
        let split = foot.len() - TRAILER_BYTES;
        let trailer = Trailer::decode(&foot[split..], 10, extent.data_end + foot.len() as u64).expect("a trailer");
        assert_eq!(trailer.extent, extent);
        assert_eq!(Index::decode(&foot[..split], &trailer), Some(index));
        assert_eq!(Trailer::decode(&foot[split..], 10, extent.data_end), None, "a file of another length");
    }

    #[test]
    fn the_index_finds_seqs_and_times_by_stretches() {
        let (_, index, _) = sealed();
        assert_eq!(index.entries.iter().map(|e| e.seq).collect::<Vec<_>>(), [10, 14, 18]);
        assert_eq!(index.before(9), None);
        assert_eq!(index.before(15).map(|e| e.seq), Some(14));
        assert_eq!(index.at_time(16).map(|e| e.seq), Some(14));
        assert_eq!(index.at_time(46), None);
    }

    #[test]
    fn names_are_paths_and_back() {
        for (first, attempt) in [(1, 0), (SEQ_MAX, 3)] {
            let path = path(Path::new("d"), first, attempt);
            let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
            assert_eq!(parse_name(name), Some((first, attempt)));
        }
        for wrong in [
            "1.seg",
            "00000000000000000000.seg",
            "x.seg",
            "00000000000000000001.tmp",
            "ledger",
            "18446744073709551615.seg",
            "+0000000000000000001.seg",
            "00000000000000000001-0.seg",
        ] {
            assert_eq!(parse_name(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn garbage_is_neither_head_nor_foot(bytes in proptest::collection::vec(any::<u8>(), 0..130)) {
            prop_assert_eq!(Header::decode(&bytes), None);
            prop_assert_eq!(Trailer::decode(&bytes, 1, 1000), None);
        }

        #[test]
        fn a_flipped_bit_in_the_head_is_noticed(at in 0usize..64, bit in 0u8..8) {
            let header = Header { class: 1, level: 6, salt: 2, gateway: 3, epoch: 4, number: 5 };
            let mut bytes = header.encode();
            prop_assert_eq!(Header::decode(&bytes), Some(header));
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(Header::decode(&bytes), None);
        }
    }
}
