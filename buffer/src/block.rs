//! What goes into a store and comes out of it.

use std::fmt;

use bytes::Bytes;

use crate::gap::Gap;

/// The place of a record in the log: starts at 1, has no holes, counts on across restarts.
pub type Seq = u64;

/// The highest seq that is taken from disk: a higher one is damage, and from here on no sum overflows.
pub(crate) const SEQ_MAX: Seq = 1 << 62;

/// Largest payload of one block, bytes.
pub const BLOCK_PAYLOAD_BYTES_MAX: usize = 64 * 1024;

/// Bytes that stand before each payload on disk.
pub const BLOCK_ENVELOPE_BYTES: usize = 56;

/// Most records in one block.
pub const BLOCK_COUNT_MAX: u32 = 1 << 20;

/// A run of seqs, both ends included, never empty (`first <= last`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeqRange {
    /// The lowest seq.
    pub first: Seq,
    /// The highest seq.
    pub last: Seq,
}

impl SeqRange {
    /// The range that starts at `first` and holds `count` seqs (at least one).
    pub fn starting_at(first: Seq, count: u64) -> Self {
        Self { first, last: first.saturating_add(count.max(1) - 1) }
    }

    /// How many seqs the range holds.
    pub fn count(&self) -> u64 {
        self.last.saturating_sub(self.first).saturating_add(1)
    }

    /// Whether `seq` lies in the range.
    pub fn contains(&self, seq: Seq) -> bool {
        (self.first..=self.last).contains(&seq)
    }
}

impl fmt::Display for SeqRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..={}", self.first, self.last)
    }
}

/// How much a block is worth when space runs out. Each class has a folder of its own on disk; seqs are given out over all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// What is given up last.
    Critical,
    /// What is not marked otherwise.
    Normal,
    /// What gives way first.
    Bulk,
}

impl Class {
    /// All classes, the most valuable first.
    pub const ALL: [Self; 3] = [Self::Critical, Self::Normal, Self::Bulk];

    /// Its place in [`Class::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }

    /// The class as it stands in an envelope on disk.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Critical => 2,
            Self::Normal => 1,
            Self::Bulk => 3,
        }
    }

    /// The class of an envelope, if this version knows it.
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.code() == code)
    }

    /// The folder's name, which is also the name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Normal => "normal",
            Self::Bulk => "bulk",
        }
    }
}

/// What the store knows of a payload that it cannot read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Records in the payload: the block takes that many seqs; 1 to [`BLOCK_COUNT_MAX`].
    pub count: u32,
    /// Time of the oldest record, nanoseconds since 1970 UTC.
    pub t_min_ns: i64,
    /// Time of the newest record, nanoseconds since 1970 UTC.
    pub t_max_ns: i64,
    /// How the payload is encoded; the caller's own numbering, handed back as it is.
    pub codec: u8,
    /// The caller's own bits, handed back as they are.
    pub flags: u8,
    /// The caller's number for the layout of the records, handed back as it is.
    pub schema: u32,
}

/// A block to be appended.
#[derive(Clone, Copy, Debug)]
pub struct NewBlock<'a> {
    /// What the store must know of it.
    pub meta: Meta,
    /// The opaque bytes, 0 to [`BLOCK_PAYLOAD_BYTES_MAX`].
    pub payload: &'a [u8],
}

/// A block that was read. Record `i` of it has the identity (gateway, `epoch`, `seqs.first + i`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The seqs of its records.
    pub seqs: SeqRange,
    /// The epoch in which it was appended; stays the same however often it is read.
    pub epoch: u32,
    /// Its class.
    pub class: Class,
    /// What the caller said of it.
    pub meta: Meta,
    /// The bytes that were appended, shared with the store and not copied.
    pub payload: Bytes,
}

/// What a read yields, in the order of seqs and without holes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// Data.
    Block(Block),
    /// Seqs that will never be data, to be published and acknowledged as data is.
    Gap(Gap),
}

impl Item {
    /// The seqs that the item stands for.
    pub fn seqs(&self) -> SeqRange {
        match self {
            Self::Block(block) => block.seqs,
            Self::Gap(gap) => gap.seqs,
        }
    }
}

/// Who wrote: together with a seq the key of a record for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// 128 random bits, made once in the life of a buffer.
    pub gateway: u128,
    /// Raised and made durable at each open, so that a seq lost in a power cut is never given out twice as the same.
    pub epoch: u32,
}

impl Identity {
    /// The gateway in the usual form of a UUID: `8-4-4-4-12` hexadecimal digits.
    pub fn gateway_text(&self) -> String {
        let hex = format!("{:032x}", self.gateway);
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}
