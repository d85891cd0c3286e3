//! What is seen of a log from outside.

use std::fmt;
use std::path::PathBuf;

use crate::block::{Block, Class, Identity, Seq, SeqRange};
use crate::cursor::Cursor;
use crate::gap::Gap;

/// A log at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overview {
    /// Who writes here; the epoch is that of the last opening.
    pub identity: Identity,
    /// The oldest seq that a file holds; equals `next_seq` when there is none.
    pub first_seq: Seq,
    /// The seq that the next record will get.
    pub next_seq: Seq,
    /// Bytes of all files but the ballast.
    pub disk_bytes: u64,
    /// Bytes that are held in reserve; 0 after the disk was full, until there is space again.
    pub ballast_bytes: u64,
    /// The files of blocks in the order of their first seqs.
    pub segments: Vec<SegmentFile>,
    /// The uplinks by name, and what each has acknowledged.
    pub uplinks: Vec<(String, Cursor)>,
    /// The losses that are known and that not every uplink was told yet, in the order of seqs.
    pub gaps: Vec<Gap>,
    /// Losses that nobody knows of yet, as far as they show without reading all blocks: records that some uplink waits for
    /// and that no file holds. The next start declares them.
    pub missing: Vec<Gap>,
    /// What the operator should know, one sentence each.
    pub remarks: Vec<String>,
}

/// A file of blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentFile {
    /// The file.
    pub path: PathBuf,
    /// The class of its blocks.
    pub class: Class,
    /// The seqs from its first to its last block; `None` when it has no block.
    pub seqs: Option<SeqRange>,
    /// Its length.
    pub bytes: u64,
    /// Oldest and newest time among its records, nanoseconds since 1970 UTC.
    pub time_ns: Option<(i64, i64)>,
    pub(crate) salt: u32,
    pub(crate) first: Seq,
    /// The first seq of the file behind it.
    pub(crate) next: Option<Seq>,
    pub(crate) is_sealed: bool,
}

/// What is met on a walk through a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// A block whose checksum holds, and where its envelope begins in the file.
    Block(Block, u64),
    /// A stretch that is not what was written.
    Damage(Damage),
}

/// A stretch of a file that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// Where the stretch begins.
    pub offset: u64,
    /// How long it is; 0 where a file ends too early.
    pub bytes: u64,
    /// Records that are lost with it: those that no other file holds and that no gap of another reason covers.
    pub records: u64,
    /// What was there.
    pub part: DamagedPart,
}

/// What was in a damaged stretch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DamagedPart {
    /// The head of a segment: nothing is lost, it is known from elsewhere.
    Head,
    /// Blocks.
    Blocks,
    /// The end of a segment: blocks, or its index and trailer, which a walk replaces.
    End,
    /// The index of a sealed segment: nothing is lost, a walk replaces it.
    Index,
    /// A record of the ledger: cursors may go back, and records are sent twice.
    Ledger,
    /// A slot of the identity, or all of it: it is restored from elsewhere.
    Identity,
}

impl DamagedPart {
    /// A name for reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Blocks => "blocks",
            Self::End => "end",
            Self::Index => "index",
            Self::Ledger => "ledger",
            Self::Identity => "identity",
        }
    }
}

impl fmt::Display for DamagedPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
