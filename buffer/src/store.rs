//! The contract of a store.

use crate::block::{Class, Identity, Item, NewBlock, Seq, SeqRange};
use crate::cursor::Cursor;
use crate::error::Result;
use crate::gap::Gap;
use crate::log::{Replaced, Replacement, Stretch};
use crate::options::UplinkOptions;
use crate::stats::Stats;
use crate::sync::{SyncJob, Synced};

/// What became of appended blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The seqs of the blocks, in their order; block `i` takes `count` of them after those of block `i - 1`.
    pub seqs: SeqRange,
    /// What was lost on the way, empty when nothing was: the oldest records, or some of these blocks themselves.
    pub gaps: Vec<Gap>,
}

/// What became of an acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// All seqs below this one are now acknowledged.
    pub low: Seq,
    /// Acknowledged ranges that did not fit into the cursor's [`crate::CURSOR_RANGES_MAX`] and are forgotten: they
    /// count as not acknowledged, so acknowledge them again later or send them again. Empty in ordinary life.
    pub forgotten: Vec<SeqRange>,
}

/// A store of blocks: one owner, one thread, synchronous.
///
/// After any error the store is consistent and the same call may be made again.
/// A block is *accepted* when `append` has returned: from then on it survives the death of the process.
/// It survives a power cut when a sync that began afterwards has succeeded.
pub trait Store: Send {
    /// Who writes here; the epoch is that of this opening.
    fn identity(&self) -> Identity;

    /// Appends all `blocks`, or none of them, as one write. Syncs first, on this thread, when more is unsynced than may
    /// be; a caller that syncs every second or so never meets that.
    ///
    /// # Errors
    /// Environment: the disk is full (see [`Store::make_room`]), or refuses, or too much waits for a sync that is under
    /// way; nothing was appended. Bug: a block breaks a limit.
    fn append(&mut self, class: Class, blocks: &[NewBlock<'_>]) -> Result<Appended>;

    /// Gives `count` records up that could not be appended: they get seqs, and the gap is published like any other.
    ///
    /// # Errors
    /// Bug: `count` is 0. A disk that refuses is no error: the gap is kept in memory and written when it can be.
    fn discard(&mut self, class: Class, count: u64, time_ns: Option<(i64, i64)>) -> Result<Gap>;

    /// Bytes of blocks that a power cut would take now and that some uplink wants.
    fn unsynced_bytes(&self) -> u64;

    /// The lowest seq that a power cut would take now and that some uplink wants; `None` if there is none, and then no
    /// sync is needed.
    fn at_risk(&self) -> Option<Seq>;

    /// Begins new files where most of what is in those that are written to is delivered, so that they can be removed whole,
    /// before the system has written them to the device. To be called every twenty seconds or so.
    fn turn(&mut self);

    /// Begins to make durable how far the uplinks are, and no block, when files can be removed after that; `None` otherwise.
    /// As with [`Store::begin_sync`], hand the result of the job to [`Store::end_sync`]. To be called before
    /// [`Store::trim`], which removes the files.
    ///
    /// # Errors
    /// Environment: the ledger cannot be written.
    fn begin_release(&mut self) -> Result<Option<SyncJob>>;

    /// Begins to make durable what is written so far; `None` when all of it is, or when a sync is under way.
    /// [`SyncJob::run`] may take seconds and belongs on another thread; hand its result to [`Store::end_sync`].
    ///
    /// # Errors
    /// Environment: earlier trouble with writing is not over yet.
    fn begin_sync(&mut self) -> Result<Option<SyncJob>>;

    /// Ends a sync. When it failed, the files are not trusted again: what they held unsynced is written to new ones.
    ///
    /// # Errors
    /// Environment: the sync failed, or writing again did; the next append or sync tries again.
    fn end_sync(&mut self, synced: Synced) -> Result<()>;

    /// Makes durable what is written so far, on this thread.
    ///
    /// # Errors
    /// As [`Store::begin_sync`] and [`Store::end_sync`].
    fn sync(&mut self) -> Result<()> {
        match self.begin_sync()? {
            Some(job) => self.end_sync(job.run()),
            None => Ok(()),
        }
    }

    /// Pushes the items from `from` on to `items`, up to about `bytes_max` payload bytes but at least one if there is
    /// one, and returns the seq from which to read on. Nothing is pushed when `from` is the end.
    ///
    /// The first block may begin below `from`, because seqs are given to records and files hold blocks; a gap never
    /// begins below. What every uplink has and is no longer kept is passed over in silence. Payloads are slices of memory
    /// shared with the store: drop them when they are sent.
    ///
    /// # Errors
    /// Environment: the disk refuses; what was pushed before is good. Damage is no error but a gap.
    fn read(&mut self, from: Seq, bytes_max: usize, items: &mut Vec<Item>) -> Result<Seq>;

    /// The seq of the first block with a record at or after `t_ns`, nanoseconds since 1970 UTC; the end if there is none.
    ///
    /// # Errors
    /// Environment: the disk refuses.
    fn seek(&mut self, t_ns: i64) -> Result<Seq>;

    /// States the uplinks that must get every record. A name never seen starts at the oldest kept block, so that
    /// nothing is lost; a name that is no longer there is forgotten and pins nothing.
    /// Without uplinks everything is kept until the bounds act.
    ///
    /// # Errors
    /// Environment: the change holds in this process, but could not be written yet; it is written when it can be.
    fn declare(&mut self, uplinks: &[UplinkOptions]) -> Result<()>;

    /// Where an uplink stands; `None` if it was not declared.
    fn cursor(&self, uplink: &str) -> Option<&Cursor>;

    /// Marks seqs as delivered by one uplink, in any order, repeats allowed. When it returns, a kill loses nothing of
    /// it; a power cut may take back what was not synced, and the records are sent again.
    ///
    /// # Errors
    /// Environment: it holds in this process, but could not be written yet; it is written when it can be.
    /// Bug: the uplink was not declared, or a seq was never given out.
    fn acknowledge(&mut self, uplink: &str, seqs: &[SeqRange]) -> Result<Acknowledged>;

    /// Removes what every uplink has durably acknowledged and need not be kept, what pins more than an uplink may, and
    /// what is too old at `now_ns` (nanoseconds since 1970 UTC; pass `None` while the clock cannot be trusted).
    /// Returns what was lost. To be called every few seconds.
    ///
    /// # Errors
    /// Environment: a file could not be removed; the next call tries again.
    fn trim(&mut self, now_ns: Option<i64>) -> Result<Vec<Gap>>;

    /// After an append that failed because the disk is full: drops the oldest segment if the policy allows it.
    /// Returns what was lost; nothing lost does not mean that nothing was freed.
    ///
    /// # Errors
    /// Environment: the file could not be removed.
    fn make_room(&mut self) -> Result<Vec<Gap>>;

    /// The sealed and durable blocks of a class that can be replaced, in the order of their seqs.
    fn sealed(&self, class: Class) -> Vec<Stretch>;

    /// Begins to put other blocks in the place of those of `stretch`; `None` when they are gone by now, or are being
    /// replaced. `level` is the caller's own number, at least 1, that [`Store::sealed`] gives back. The new blocks cover the
    /// same seqs, as fewer and larger blocks or as blocks that say less; which, the store does not know. Until
    /// [`Store::end_replace`] everything stays as it is.
    ///
    /// # Errors
    /// Environment: no file could be made. Bug: `level` is 0.
    fn replace(&mut self, stretch: &Stretch, level: u8) -> Result<Option<Replacement>>;

    /// Takes the new blocks and removes those before them.
    ///
    /// # Errors
    /// Environment: the new blocks could not be made durable, and those before them stay; or these could not be removed.
    /// Bug: the new blocks cover less than those before them.
    fn end_replace(&mut self, replaced: Replaced) -> Result<()>;

    /// The store's state in figures.
    fn stats(&self) -> Stats;
}
