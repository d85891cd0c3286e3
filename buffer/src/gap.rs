//! Gaps: records that were accepted, or should have been, and will never be delivered.

use std::fmt;

use crate::block::{Class, SeqRange};

/// A run of seqs without data, with what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The class of the lost records.
    pub class: Class,
    /// The seqs that will never be data.
    pub seqs: SeqRange,
    /// How many records were lost. Of a gap that is read it is the length of `seqs`; what was dropped in one go may be
    /// told with records of other classes in between, and then it is less.
    pub count: u64,
    /// Oldest and newest time among the lost records, nanoseconds since 1970 UTC, if known. The bounds are those of
    /// what was dropped together, so they may be wider than the records of this gap.
    pub time_ns: Option<(i64, i64)>,
    /// Why.
    pub reason: GapReason,
}

/// Why records are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum GapReason {
    /// The buffer was full, and the oldest had to go.
    DroppedOldest,
    /// The buffer was full, and what came was refused.
    DroppedNewest,
    /// Older than the configured age.
    TooOld,
    /// The caller gave them up before they were stored.
    Discarded,
    /// The bytes on disk are damaged.
    Damaged,
    /// A file, or the end of one, is missing.
    Vanished,
    /// Written, but not yet durable when the power failed.
    PowerCut,
    /// The uplink was further behind than it may be, and all others had it.
    LeftBehind,
    /// The buffer was nearly full, and coarser blocks took the place of finer ones.
    Downsampled,
}

impl GapReason {
    /// All reasons, in the order of their codes on disk.
    pub const ALL: [Self; 9] = [
        Self::DroppedOldest,
        Self::DroppedNewest,
        Self::TooOld,
        Self::Discarded,
        Self::Damaged,
        Self::Vanished,
        Self::PowerCut,
        Self::LeftBehind,
        Self::Downsampled,
    ];

    /// The reason as it stands on disk; also its place in [`GapReason::ALL`].
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The reason of a code on disk, if this version knows it.
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// A name for payloads and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::DroppedOldest => "dropped-oldest",
            Self::DroppedNewest => "dropped-newest",
            Self::TooOld => "too-old",
            Self::Discarded => "discarded",
            Self::Damaged => "damaged",
            Self::Vanished => "vanished",
            Self::PowerCut => "power-cut",
            Self::LeftBehind => "left-behind",
            Self::Downsampled => "downsampled",
        }
    }
}

impl fmt::Display for GapReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
