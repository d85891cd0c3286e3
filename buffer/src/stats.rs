//! What a store tells about itself.

use std::time::Duration;

use crate::block::{Class, Seq};
use crate::gap::{Gap, GapReason};

/// A store's state and what it has done since it was opened. Counters only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// The oldest seq that a file holds; equals `next_seq` when there is none.
    pub first_seq: Seq,
    /// The seq that the next record will get.
    pub next_seq: Seq,
    /// The lowest seq that some uplink still wants; what lies below is history, kept to be sent again. 0 without uplinks.
    pub pinned_seq: Seq,
    /// All seqs below this one survive a power cut.
    pub synced_seq: Seq,
    /// Bytes of blocks that a power cut would take.
    pub unsynced_bytes: u64,
    /// Bytes of all files.
    pub disk_bytes: u64,
    /// Segment files.
    pub segments: u64,
    /// Bytes of blocks held in memory.
    pub memory_bytes: u64,
    /// Blocks appended.
    pub blocks_total: u64,
    /// Records appended.
    pub records_total: u64,
    /// Payload bytes appended.
    pub payload_bytes_total: u64,
    /// Bytes handed to the disk: envelopes, payloads, indexes, cursors.
    pub written_bytes_total: u64,
    /// Bytes of the pages that syncs took to the device; what the file system writes beside them is not in it.
    pub device_bytes_total: u64,
    /// Bytes of files whose blocks were replaced by others.
    pub replaced_bytes_total: u64,
    /// Bytes of the files that took their place.
    pub replacing_bytes_total: u64,
    /// Syncs that succeeded.
    pub syncs_total: u64,
    /// Syncs that failed; after each the unsynced blocks were written again to a new file.
    pub sync_failures_total: u64,
    /// Records in gaps found or made since open, in the order of [`GapReason::ALL`].
    pub lost_records_total: [u64; GapReason::ALL.len()],
    /// Why what is stored lies in memory and not in the buffer's folder; `None` while it lies there.
    pub trouble: Option<String>,
    /// Whether space is held in reserve; not after the disk was full, until there is enough again.
    pub has_ballast: bool,
    /// What should be done to make room before anything is lost.
    pub pressure: Pressure,
    /// How each class stands, in the order of [`Class::ALL`].
    pub classes: [ClassStats; Class::ALL.len()],
    /// Where each uplink stands.
    pub uplinks: Vec<UplinkStats>,
}

/// How near the buffer, or one of its classes, is to its bound, and what helps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pressure {
    /// There is room.
    #[default]
    None,
    /// Seven tenths are taken: small blocks should be replaced by larger ones.
    Repack,
    /// Seventeen twentieths are taken: bulk blocks should be replaced by coarser ones.
    Downsample,
}

/// How one class stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassStats {
    /// Bytes of its files.
    pub disk_bytes: u64,
    /// Its segment files.
    pub segments: u64,
    /// The oldest seq that its files hold; 0 when there is none.
    pub first_seq: Seq,
    /// Records appended since open.
    pub records_total: u64,
    /// Records of it that were given up since open, as far as the class of what was lost is known.
    pub lost_records_total: u64,
}

impl Stats {
    /// Records lost for one reason since open.
    pub fn lost_records(&self, reason: GapReason) -> u64 {
        self.lost_records_total[usize::from(reason.code())]
    }

    /// How one class stands.
    pub fn class(&self, class: Class) -> &ClassStats {
        &self.classes[class.index()]
    }
}

/// Where one uplink stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UplinkStats {
    /// Its name.
    pub name: String,
    /// All seqs below are acknowledged.
    pub low: Seq,
    /// Seqs that wait for acknowledgement, gaps included.
    pub pending_records: u64,
}

/// What was found when the store was opened. Nothing in it prevents a start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Segment files found.
    pub segments: u64,
    /// Segment files read from end to end, because they were open when the process ended or their index is damaged.
    pub segments_scanned: u64,
    /// Bytes cut from the end of the last segment: a write that a kill or a power cut interrupted.
    pub cut_tail_bytes: u64,
    /// Bytes passed over between good blocks in the scanned segments.
    pub damaged_bytes: u64,
    /// Losses that were not known before.
    pub gaps: Vec<Gap>,
    /// What the operator should know, one sentence each.
    pub remarks: Vec<String>,
    /// How long opening took.
    pub took: Duration,
}
