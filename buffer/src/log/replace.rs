//! Putting other blocks in the place of sealed ones: larger ones that say the same, or coarser ones that say less.
//!
//! The new blocks go to a file of their own, which begins with the same seq and has a higher attempt. Its head is durable
//! before its first block, it is sealed only when its blocks are durable, and the file before it is removed only when the
//! seal is durable too. A crash leaves the old file and a new one that is empty or not sealed, which the next start removes;
//! or both whole, and then the next start removes the old one.

use std::path::PathBuf;
use std::sync::{Arc, Weak};

use super::Log;
use super::append::Active;
use super::frame::{ENVELOPE_BYTES, Envelope};
use super::recover::Found;
use super::segments::{Key, Segment};
use crate::block::{BLOCK_COUNT_MAX, BLOCK_PAYLOAD_BYTES_MAX, Class, NewBlock, Seq, SeqRange};
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::gap::GapReason;

/// Sealed blocks of one class that lie together and can be replaced together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Their class.
    pub class: Class,
    /// The seqs from the first to the last of them; those of other classes may lie in between.
    pub seqs: SeqRange,
    /// Records in them.
    pub records: u64,
    /// Bytes that they take on disk.
    pub bytes: u64,
    /// Oldest and newest time among the records, nanoseconds since 1970 UTC.
    pub time_ns: Option<(i64, i64)>,
    /// The number that was given when they last were replaced; 0 if they never were.
    pub level: u8,
    attempt: u32,
}

/// Replacing blocks under way: writes to a file of its own, on any thread. Dropped unfinished, everything stays as it was.
pub struct Replacement {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// `None` once it is finished.
    active: Option<Active>,
    class: Class,
    salt: u32,
    seqs: SeqRange,
    key: Key,
    ticket: Arc<()>,
}

/// New blocks that are durable, or why they are not; for [`crate::Store::end_replace`].
#[must_use = "hand it to the store's end_replace"]
pub struct Replaced {
    result: Result<Segment>,
    key: Key,
    /// Held by the replacement and then by its outcome, so that the store notices when both were dropped.
    ticket: Arc<()>,
}

/// The replacements under way, by the segments that they replace.
#[derive(Default)]
pub(super) struct Replacing(Vec<(Key, Weak<()>)>);

impl Replacing {
    fn is_under_way(&self, key: Key) -> bool {
        self.0.iter().any(|(other, ticket)| *other == key && ticket.strong_count() > 0)
    }

    /// Whether it was begun here, and not in the life of a store before.
    fn is_ours(&self, replaced: &Replaced) -> bool {
        self.0.iter().any(|(_, ticket)| std::ptr::eq(ticket.as_ptr(), Arc::as_ptr(&replaced.ticket)))
    }

    fn begin(&mut self, key: Key) -> Arc<()> {
        let ticket = Arc::new(());
        self.0.retain(|(_, ticket)| ticket.strong_count() > 0);
        self.0.push((key, Arc::downgrade(&ticket)));
        ticket
    }
}

impl Log {
    pub(super) fn sealed_stretches(&self, class: Class) -> Vec<Stretch> {
        let sealed: Vec<&Segment> = self.segments.of(class).filter(|segment| !segment.extent.is_empty()).collect();
        let (mut stretches, mut last_before) = (Vec::new(), 0);
        for (index, segment) in sealed.iter().enumerate() {
            // Where two hold the same, a copy after a failure, both are left alone.
            let extent = &segment.extent;
            let ends_before_next = sealed.get(index + 1).is_none_or(|next| next.extent.first > extent.last);
            let is_alone = extent.first > last_before && ends_before_next;
            let is_durable = extent.last < self.commit.synced_seq;
            if is_alone && is_durable && !self.replacing.is_under_way(segment.key()) {
                stretches.push(stretch(segment));
            }
            last_before = last_before.max(extent.last);
        }
        stretches
    }

    pub(super) fn begin_replace(&mut self, stretch: &Stretch, level: u8) -> Result<Option<Replacement>> {
        if level == 0 {
            return Err(Error::Bug("blocks that stand for others have a level above 0".into()));
        }
        let key = (stretch.seqs.first, stretch.class, stretch.attempt);
        if self.segments.get(key).is_none() || self.replacing.is_under_way(key) {
            return Ok(None);
        }
        let active = self.create_segment(stretch.class, stretch.seqs.first, stretch.attempt + 1, level)?;
        Ok(Some(Replacement {
            disk: Arc::clone(&self.disk),
            dir: self.folder(stretch.class),
            active: Some(active),
            class: stretch.class,
            salt: self.slot.salt,
            seqs: stretch.seqs,
            key,
            ticket: self.replacing.begin(key),
        }))
    }

    pub(super) fn finish_replace(&mut self, replaced: Replaced) -> Result<()> {
        if !self.replacing.is_ours(&replaced) {
            // The store was opened again meanwhile, and has settled what it found.
            return Ok(());
        }
        let new = replaced.result?;
        let Some(old) = self.segments.get(replaced.key).cloned() else {
            // It was dropped or acknowledged meanwhile.
            return self.remove_file(&new.path);
        };
        if let Err(wrong) = self.check_cover(&old, &new) {
            return self.remove_file(&new.path).and(Err(wrong));
        }
        self.totals.written_bytes_total += new.file_bytes;
        self.totals.device_bytes_total += new.file_bytes;
        self.totals.replaced_bytes_total += old.file_bytes;
        self.totals.replacing_bytes_total += new.file_bytes;
        let thinned = new.thinned;
        let new = Segment { thinned: old.thinned + thinned, ..new };
        self.totals.lost_records_total[usize::from(GapReason::Downsampled.code())] += thinned;
        self.totals.classes[new.class.index()].lost_records_total += thinned;
        self.seal_later(&new);
        self.segments.insert(new);
        self.remove_segment(&old)
    }

    /// What the new file does not hold of the old one must be lost already.
    fn check_cover(&self, old: &Segment, new: &Segment) -> Result<()> {
        let missing = old.extent.records.saturating_sub(new.extent.records);
        let range = SeqRange { first: old.extent.first, last: old.extent.last };
        if missing <= self.book.gaps.lost_in(range) && new.extent.records <= old.extent.records {
            return Ok(());
        }
        let (had, has) = (old.extent.records, new.extent.records);
        Err(Error::Bug(format!("blocks of {had} records were to be replaced by blocks of {has}")))
    }
}

/// Ends at opening what a crash interrupted: of two files that hold the same, the one that is not whole goes, or the older
/// one. What cannot be removed stays, and does no harm.
pub(super) fn settle(disk: &dyn Disk, mut found: Vec<Found>) -> Vec<Found> {
    // One that was only just made has no head yet that would say so.
    let is_new = |found: &&Found| {
        let Segment { level, attempt, extent, .. } = &found.segment;
        *level > 0 || (found.header.is_none() && *attempt > 0 && extent.is_empty())
    };
    let news: Vec<Segment> = found.iter().filter(is_new).map(|found| found.segment.clone()).collect();
    for new in news {
        let is_sealed = found.iter().any(|found| found.segment.key() == new.key() && found.scan.is_none());
        let is_old = |other: &Segment| {
            let begins_alike = (other.class, other.extent.first) == (new.class, new.extent.first);
            begins_alike && other.attempt < new.attempt && !other.extent.is_empty()
        };
        let olds = found.iter().map(|found| &found.segment).filter(|other| is_old(other));
        let olds: Vec<Key> = olds.map(Segment::key).collect();
        let goes = match (is_sealed, olds.is_empty()) {
            (true, _) => olds,
            // Its seal is damaged, and it is all that there is.
            (false, true) => Vec::new(),
            (false, false) => vec![new.key()],
        };
        found.retain(|found| !goes.contains(&found.segment.key()) || disk.remove(&found.segment.path).is_err());
    }
    found
}

fn stretch(segment: &Segment) -> Stretch {
    Stretch {
        class: segment.class,
        seqs: SeqRange { first: segment.extent.first, last: segment.extent.last },
        records: segment.extent.records,
        bytes: segment.file_bytes,
        time_ns: segment.extent.time_ns(),
        level: segment.level,
        attempt: segment.attempt,
    }
}

impl Replacement {
    /// Adds a block that covers `count` seqs from `first` on, in the epoch of the records that it stands for. Blocks come in
    /// the order of their seqs, cover no seq of another class, and together all that they replace.
    ///
    /// # Errors
    /// Environment: the disk refuses; drop the replacement. Bug: the block breaks a limit, or the order.
    pub fn add(&mut self, first: Seq, epoch: u32, block: &NewBlock<'_>) -> Result<()> {
        let Some(active) = self.active.as_mut() else { return Err(Error::Bug("the replacement is finished".into())) };
        let NewBlock { meta, payload } = block;
        let seqs = SeqRange::starting_at(first, u64::from(meta.count));
        let is_placed = first > active.segment.extent.last && first >= self.seqs.first && seqs.last <= self.seqs.last;
        if payload.len() > BLOCK_PAYLOAD_BYTES_MAX || !(1..=BLOCK_COUNT_MAX).contains(&meta.count) || !is_placed {
            return Err(Error::Bug(format!("a block of {seqs} cannot stand for blocks of {}", self.seqs)));
        }
        if active.segment.extent.is_empty() {
            // The head says that these blocks stand for others: a power cut must leave none of them without it.
            active.file.sync().map_err(|error| Error::environment("sync", &active.segment.path, error))?;
        }
        let envelope = Envelope { class: self.class.code(), meta: *meta, seq: first, epoch };
        let mut frame = Vec::with_capacity(ENVELOPE_BYTES + payload.len());
        frame.extend_from_slice(&envelope.encode(payload, self.salt));
        frame.extend_from_slice(payload);
        active.write(envelope, &frame).map_err(|error| Error::environment("write", &active.segment.path, error))
    }

    /// States that the new blocks hold `records` less than those before them. What is left out is counted as lost; the
    /// blocks themselves must tell their readers of it, as their caller's payload says.
    pub fn leave_out(&mut self, records: u64) {
        if let Some(active) = self.active.as_mut() {
            active.segment.thinned += records;
        }
    }

    /// Makes the new blocks durable; may take seconds.
    pub fn finish(mut self) -> Replaced {
        let ticket = Arc::clone(&self.ticket);
        let key = self.key;
        let result = self.seal();
        if result.is_ok() {
            self.active = None;
        }
        Replaced { result, key, ticket }
    }

    fn seal(&mut self) -> Result<Segment> {
        let Some(active) = self.active.as_mut() else { return Err(Error::Bug("the replacement is finished".into())) };
        let path = active.segment.path.clone();
        let failed = |doing: &'static str| move |error| Error::environment(doing, &path, error);
        active.file.sync().map_err(failed.clone()("sync"))?;
        active.seal().map_err(failed.clone()("write"))?;
        active.file.sync().map_err(failed("sync"))?;
        self.disk.sync_dir(&self.dir).map_err(|error| Error::environment("sync", &self.dir, error))?;
        Ok(active.segment.clone())
    }
}

impl Drop for Replacement {
    /// What is not finished is not needed; if it cannot be removed, the next start does.
    fn drop(&mut self) {
        if let Some(active) = &self.active {
            drop(self.disk.remove(&active.segment.path));
        }
    }
}
