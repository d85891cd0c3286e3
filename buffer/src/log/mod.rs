//! The store `log`: checksummed segments, cursors, nothing else.
//!
//! # On disk
//!
//! ```text
//! <dir>/lock                              held while the log is open
//!       identity                          two slots: gateway (128 random bits), epoch, salt
//!       ledger-<generation>               where each uplink stands, what was lost
//!       ballast                           nothing: space that is given up when the disk is full
//!       normal/<first-seq>.seg            blocks of the class "normal"; beside it critical/ and bulk/, if there are any
//!       normal/<first-seq>-<attempt>.seg  the same blocks once more, after a failed sync, or others in their place
//!
//! segment = head, frame, frame, ... and once sealed: index, trailer       ledger = head, frame, frame, ...
//!
//! head, 64 bytes                   frame = envelope, 56 bytes, and payload   trailer, the last 64 bytes
//!    0   8  "FBLOGSEG"                0   4  fb "Blk"                           0   8  "FBLOGEND"
//!    8   1  version = 1               4   1  version = 1                        8   1  version = 1
//!    9   1  class                     5   1  codec (ledger: kind of record)    12   4  entries in the index
//!   10   1  bytes of the head         6   1  class (ledger: ff)                16   8  offset where the index begins
//!   12   4  salt                      7   1  flags                             24   8  last seq
//!   16  16  gateway                   8   2  bytes of the envelope             32   8  oldest time, ns
//!   32   4  epoch                    12   4  schema                            40   8  newest time, ns
//!   40   8  first seq, generation    16   4  bytes of the payload, <= 65536    48   4  highest epoch
//!   60   4  CRC-32C of 0..60         20   4  records in it = seqs it takes     52   4  records; 0: all between the seqs
//!                                                                              56   4  CRC-32C of the index
//!                                    24   8  seq of its first record           60   4  CRC-32C of 0..60
//! index entry, 24 bytes              32   8  oldest time, ns since 1970
//!    0   8  seq                      40   8  newest time, ns since 1970      one entry for each 64 KiB of frames;
//!    8   4  offset of its frame      48   4  epoch                           its time is the newest of its stretch
//!   16   8  newest time, ns          52   4  CRC-32C of 0..52 and payload
//! ```
//! All numbers are little-endian; what is not named is zero. The CRC of a frame begins with the salt, a random number
//! of this log, so that bytes that came from outside (a payload may hold anything) never pass for a frame. A seq above
//! 2^62 is damage, whatever its checksum says.
//!
//! # Why nothing is lost that should not be
//!
//! - **Kill.** Each append is one write at the end of the data; what it wrote is in the page cache, which survives the
//!   process. A write that the kill cut short fails its checksum, lies at the end, and is overwritten.
//! - **Power cut.** What was synced is there. Of the rest any sector may be missing; frames are found again by magic and
//!   checksum behind a damaged stretch, and the stretch is a gap. Names are durable with the sync after they were made.
//!   A seq that a cursor has passed is not given out again even if its block is gone; any other seq that is given out
//!   again bears a higher epoch, which is durable before the first append.
//! - **What is delivered need not reach the device.** A block that every uplink has acknowledged is at risk no more, and
//!   nothing is synced for it. While all uplinks keep up, the segment is turned every twenty seconds or so: a new one is
//!   begun, and once the cursors have passed the one before, they alone are made durable and it is removed, before the
//!   system has got round to writing it. After a power cut within that time, records that had arrived may be told as lost.
//! - **Failed sync.** The kernel may then call pages clean that never reached the disk. The file is left as it is, the
//!   unsynced blocks, which are all in memory, go to a new file that overlaps the old one; readers try both. The ledger
//!   begins a new generation, and says which blocks are in doubt until a sync has succeeded: if this process cannot write
//!   them again, the next one does, from the page cache.
//! - **Cursors before files.** A segment goes when all uplinks have passed it by watermarks that are durable. If the
//!   removal itself is undone by a power cut, the segment comes back below all cursors and goes again.
//! - **Gaps before files.** A dropped segment is noted in the ledger before it is removed. If the power cut takes the note
//!   but not the removal, the missing range is found at the next start and is a gap, of another reason. If it takes
//!   the removal but not the note, the gap stands, and the data that came back is not delivered: uplinks may have
//!   published the gap.
//! - **Damage at rest.** Sealed segments are opened by their trailers alone; damage in them is met when it is read.
//!   A head, an index or a trailer that is damaged costs a walk through the file. A damaged ledger takes cursors back:
//!   records are sent twice, not lost. A damaged identity is restored from the other slot, from ledgers or segments.

mod actives;
mod append;
mod ballast;
mod commit;
mod frame;
mod gaps;
mod identity;
mod inspect;
mod ledger;
mod lock;
mod merge;
mod read;
mod record;
mod recover;
mod replace;
mod segment;
mod segments;
mod shelter;
mod tail;
mod trim;
mod uplinks;
mod walk;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::block::{Class, Identity, Item, NewBlock, Seq, SeqRange};
use crate::cursor::Cursor;
use crate::disk::{Disk, OsDisk};
use crate::error::{Error, Result};
use crate::gap::Gap;
use crate::options::{ClassOptions, Engine, LagMax, Options, UplinkOptions, WhenFull};
use crate::stats::{ClassStats, Recovery, Stats, UplinkStats};
use crate::store::{Acknowledged, Appended, Store};
use crate::sync::{SyncJob, Synced};

use segments::Segment;

#[cfg(feature = "sled")]
pub(crate) use segment::{HEADER_BYTES, TRAILER_BYTES};
#[cfg(feature = "sled")]
pub(crate) use segments::{frame_bytes, sealed_data_end};

pub use append::APPEND_BYTES_MAX;
pub use inspect::Inspector;
pub use lock::Lock;
pub use read::READ_BYTES_MAX;
pub use replace::{Replaced, Replacement, Stretch};

/// A store in segment files under one directory.
pub struct Log {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// Which classes have their folder.
    has_folder: [bool; Class::ALL.len()],
    _lock: Lock,
    slot: identity::Slot,
    limits: Limits,
    lags: BTreeMap<String, LagMax>,
    book: ledger::Book,
    ledger: ledger::Ledger,
    segments: segments::Segments,
    actives: actives::Actives,
    replacing: replace::Replacing,
    has_ballast: bool,
    tail: tail::Tail,
    commit: commit::Commit,
    totals: Stats,
    recovery: Recovery,
}

/// The bounds, as they act.
#[derive(Clone, Copy, Debug)]
struct Limits {
    size_bytes_max: u64,
    age_max: Option<Duration>,
    free_min_bytes: u64,
    ballast_bytes: u64,
    when_full: WhenFull,
    classes: [ClassOptions; Class::ALL.len()],
}

impl Log {
    /// Opens the log in `dir`, which is made if it does not exist; recovers whatever lies there.
    ///
    /// # Errors
    /// Environment: the disk refuses, or another process has the log open. What lies there is never an error.
    /// Bug: an uplink's name is too long.
    pub fn open(dir: &Path, options: &Options) -> Result<Self> {
        Self::open_on(disk_of(dir, options.engine)?, dir, options)
    }

    /// As [`Log::open`], on another file system than the machine's.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub fn open_on(disk: Arc<dyn Disk>, dir: &Path, options: &Options) -> Result<Self> {
        recover::open(disk, dir, options)
    }

    /// What was found at opening.
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    fn disk_bytes(&self) -> u64 {
        self.segments.bytes() + self.actives.bytes() + self.ledger.bytes() + self.disk.extra_bytes()
    }

    /// The segments of a class, the one that is written to last.
    fn segments_of(&self, class: Class) -> impl Iterator<Item = &Segment> {
        self.segments.of(class).chain(self.actives.of(class).map(|active| &active.segment))
    }

    fn class_stats(&self, class: Class) -> ClassStats {
        let held = self.segments_of(class).find(|segment| !segment.extent.is_empty());
        ClassStats {
            disk_bytes: self.segments_of(class).map(|segment| segment.file_bytes).sum(),
            segments: self.segments_of(class).count() as u64,
            first_seq: held.map_or(0, |segment| segment.extent.first),
            ..self.totals.classes[class.index()]
        }
    }

    fn folder(&self, class: Class) -> PathBuf {
        self.dir.join(class.name())
    }

    /// The buffer's folder and those of the classes, as far as they are there.
    fn folders(&self) -> Vec<PathBuf> {
        let of_classes = Class::ALL.into_iter().filter(|class| self.has_folder[class.index()]);
        std::iter::once(self.dir.clone()).chain(of_classes.map(|class| self.folder(class))).collect()
    }
}

/// The machine's disk as an engine sees it.
#[cfg(feature = "sled")]
fn disk_of(dir: &Path, engine: Engine) -> Result<Arc<dyn Disk>> {
    use crate::generations::{Filling, Generations};
    let filling = match engine {
        Engine::Sled => Filling::WhenSealed,
        Engine::Log if Generations::are_in(dir) => Filling::Never,
        Engine::Log => return Ok(Arc::new(OsDisk)),
    };
    let generations = Generations::over(Arc::new(OsDisk), dir, dir, filling);
    Ok(Arc::new(generations.map_err(|error| Error::environment("look into", dir, error))?))
}

/// The machine's disk as an engine sees it.
#[cfg(not(feature = "sled"))]
fn disk_of(dir: &Path, engine: Engine) -> Result<Arc<dyn Disk>> {
    match engine {
        Engine::Log => Ok(Arc::new(OsDisk)),
        Engine::Sled => Err(Error::environment("use sled for", dir, std::io::ErrorKind::Unsupported.into())),
    }
}

impl Store for Log {
    fn identity(&self) -> Identity {
        self.slot.identity
    }

    fn append(&mut self, class: Class, blocks: &[NewBlock<'_>]) -> Result<Appended> {
        self.append_blocks(class, blocks)
    }

    fn discard(&mut self, class: Class, count: u64, time_ns: Option<(i64, i64)>) -> Result<Gap> {
        self.discard_records(class, count, time_ns)
    }

    fn unsynced_bytes(&self) -> u64 {
        self.commit.unsynced_bytes
    }

    fn at_risk(&self) -> Option<Seq> {
        self.first_at_risk()
    }

    fn turn(&mut self) {
        self.turn_segments();
    }

    fn begin_release(&mut self) -> Result<Option<SyncJob>> {
        self.start_release()
    }

    fn begin_sync(&mut self) -> Result<Option<SyncJob>> {
        self.start_sync()
    }

    fn end_sync(&mut self, synced: Synced) -> Result<()> {
        self.finish_sync(synced)
    }

    fn read(&mut self, from: Seq, bytes_max: usize, items: &mut Vec<Item>) -> Result<Seq> {
        self.read_items(from, bytes_max, items)
    }

    fn seek(&mut self, t_ns: i64) -> Result<Seq> {
        self.seek_time(t_ns)
    }

    fn declare(&mut self, uplinks: &[UplinkOptions]) -> Result<()> {
        self.declare_uplinks(uplinks)
    }

    fn cursor(&self, uplink: &str) -> Option<&Cursor> {
        self.book.cursors.get(uplink)
    }

    fn acknowledge(&mut self, uplink: &str, seqs: &[SeqRange]) -> Result<Acknowledged> {
        self.acknowledge_seqs(uplink, seqs)
    }

    fn trim(&mut self, now_ns: Option<i64>) -> Result<Vec<Gap>> {
        self.trim_all(now_ns)
    }

    fn make_room(&mut self) -> Result<Vec<Gap>> {
        self.make_room_now()
    }

    fn sealed(&self, class: Class) -> Vec<Stretch> {
        self.sealed_stretches(class)
    }

    fn replace(&mut self, stretch: &Stretch, level: u8) -> Result<Option<Replacement>> {
        self.begin_replace(stretch, level)
    }

    fn end_replace(&mut self, replaced: Replaced) -> Result<()> {
        self.finish_replace(replaced)
    }

    fn stats(&self) -> Stats {
        let next_seq = self.book.next_seq;
        let uplinks = self.book.cursors.iter().map(|(name, cursor)| UplinkStats {
            name: name.clone(),
            low: cursor.low(),
            pending_records: cursor.pending(next_seq),
        });
        Stats {
            first_seq: self.first_seq(),
            next_seq,
            synced_seq: self.commit.synced_seq,
            unsynced_bytes: self.commit.unsynced_bytes,
            disk_bytes: self.disk_bytes(),
            segments: (self.segments.len() + self.actives.iter().count()) as u64,
            pinned_seq: self.book.floor(),
            pressure: self.pressure(),
            has_ballast: self.has_ballast,
            trouble: self.disk.trouble(),
            classes: Class::ALL.map(|class| self.class_stats(class)),
            memory_bytes: self.tail.bytes() as u64,
            written_bytes_total: self.totals.written_bytes_total + self.ledger.written_bytes(),
            uplinks: uplinks.collect(),
            ..self.totals.clone()
        }
    }
}
