//! Group commit: what is not durable yet, the sync that is under way, and what follows when it fails.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::Log;
use super::actives::Actives;
use super::append::Active;
use super::frame::Envelope;
use super::record::Record;
use super::segment::Header;
use crate::block::{Block, Class, Item, Seq};
use crate::disk::{Disk, DiskFile};
use crate::error::{Error, Result};
use crate::sync::{SyncJob, Synced};

/// Most bytes of blocks that may be unsynced: they are kept in memory, in case they must be written again.
pub(super) const UNSYNCED_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// How much one sync lets the disk put into another form.
const SEALED_AT_ONCE_BYTES: u64 = 8 * 1024 * 1024;

/// Blocks that must be written again are read in pieces of about this size.
const COPY_BYTES: usize = 128 * 1024;

/// What waits to be made durable.
pub(super) struct Commit {
    in_flight: Option<InFlight>,
    /// Segments sealed since the last sync, and those whose state is not known after a start.
    pub(super) files: Vec<ToSync>,
    /// Sealed segments that the disk may put into another form with the next syncs; a job gives back what it could not.
    pub(super) sealed: Arc<Mutex<VecDeque<PathBuf>>>,
    /// Names were made or removed since the last sync.
    pub(super) names: bool,
    /// Bytes of blocks that a power cut would take and that some uplink wants.
    pub(super) unsynced_bytes: u64,
    /// All seqs below are durable.
    pub(super) synced_seq: Seq,
    /// The low watermarks that are durable.
    lows: BTreeMap<String, Seq>,
    /// The blocks from `synced_seq` on must be written again to a new file before anything else is.
    pub(super) rewrite: bool,
}

/// A file that holds what is not durable, and how many bytes of pages that is.
pub(super) struct ToSync {
    pub(super) path: PathBuf,
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) bytes: u64,
}

/// What holds once the sync that is under way succeeds.
struct InFlight {
    ticket: Weak<()>,
    seq: Seq,
    lows: BTreeMap<String, Seq>,
    generation: u64,
    device_bytes: u64,
}

impl Commit {
    /// Nothing was appended yet; what lies on disk below `synced_seq` is durable.
    pub(super) fn new(synced_seq: Seq) -> Self {
        Self {
            in_flight: None,
            files: Vec::new(),
            sealed: Arc::default(),
            names: true,
            unsynced_bytes: 0,
            synced_seq,
            lows: BTreeMap::new(),
            rewrite: false,
        }
    }

    /// All seqs below are durably acknowledged by each of `uplinks`.
    pub(super) fn durable_floor<'a>(&self, mut uplinks: impl Iterator<Item = &'a String>) -> Seq {
        let known = uplinks.all(|uplink| self.lows.contains_key(uplink));
        if known { self.lows.values().copied().min().unwrap_or(0) } else { 0 }
    }

    /// All seqs below are durably acknowledged by this uplink.
    pub(super) fn durable_low(&self, uplink: &str) -> Seq {
        self.lows.get(uplink).copied().unwrap_or(0)
    }

    /// The sealed segments that wait; none on a disk that keeps them as they are.
    pub(super) fn sealed(&self) -> MutexGuard<'_, VecDeque<PathBuf>> {
        self.sealed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_under_way(&self) -> bool {
        self.in_flight.as_ref().is_some_and(|in_flight| in_flight.ticket.strong_count() > 0)
    }
}

/// Lets the disk put sealed segments into another form. What cannot be done now is as durable as it was, and is tried again
/// with a later sync.
fn seal(disk: &dyn Disk, sealed: &Mutex<VecDeque<PathBuf>>) {
    let waiting = || sealed.lock().unwrap_or_else(PoisonError::into_inner);
    let mut done_bytes = 0;
    while done_bytes < SEALED_AT_ONCE_BYTES {
        let Some(path) = waiting().pop_front() else { return };
        match disk.seal(&path) {
            Ok(bytes) => done_bytes += bytes,
            Err(_) => return waiting().push_back(path),
        }
    }
}

impl Log {
    pub(super) fn start_sync(&mut self) -> Result<Option<SyncJob>> {
        if self.commit.is_under_way() {
            return Ok(None);
        }
        if self.commit.in_flight.take().is_some() {
            self.sync_failed();
        }
        self.write_again()?;
        self.ledger.catch_up(&self.book)?;
        let mut files = std::mem::take(&mut self.commit.files);
        // What every uplink has is on its way out, and need not reach the device.
        let floor = self.book.floor();
        let is_delivered = |path: &Path| {
            let of_file = self.segments.iter().find(|segment| segment.path == path);
            of_file.is_some_and(|segment| segment.extent.last < floor)
        };
        files.retain(|file| !is_delivered(&file.path));
        for active in self.actives.iter_mut().filter(|active| active.dirty && active.segment.extent.last >= floor) {
            let (path, file, bytes) = (active.segment.path.clone(), Arc::clone(&active.file), active.begin_sync());
            files.push(ToSync { path, file, bytes });
        }
        // Before the blocks: where they are durable, so is what was acknowledged before them.
        if let Some((path, file, bytes)) = self.ledger.begin_sync() {
            files.insert(0, ToSync { path, file, bytes });
        }
        if files.is_empty() && !self.commit.names && self.commit.sealed().is_empty() {
            return Ok(None);
        }
        let names = std::mem::take(&mut self.commit.names);
        Ok(Some(self.job(files, names)))
    }

    /// Syncs on this thread; does nothing while another sync is under way.
    pub(super) fn sync_now(&mut self) -> Result<()> {
        match self.start_sync()? {
            Some(job) => self.finish_sync(job.run()),
            None => Ok(()),
        }
    }

    /// Makes the ledger alone durable: where a new uplink starts must hold before it is told of any loss.
    pub(super) fn sync_ledger(&mut self) -> Result<()> {
        self.ledger.catch_up(&self.book)?;
        let Some((path, file, bytes)) = self.ledger.begin_sync() else { return Ok(()) };
        self.totals.device_bytes_total += bytes;
        let synced = file.sync().map_err(|error| Error::environment("sync", &path, error));
        let named = || self.disk.sync_dir(&self.dir).map_err(|error| Error::environment("sync", &self.dir, error));
        let done = synced.and_then(|()| named());
        match done {
            Ok(()) => self.ledger.synced(self.ledger.generation()),
            Err(_) => self.ledger.distrust(),
        }
        done
    }

    /// Makes the cursors durable without any block, if that lets files go whose blocks then need never reach the device.
    pub(super) fn start_release(&mut self) -> Result<Option<SyncJob>> {
        let durable = self.commit.durable_floor(self.book.cursors.keys());
        let floor = self.book.floor();
        let goes = self.segments.iter().any(|segment| (durable..floor).contains(&segment.extent.last));
        if self.commit.rewrite && self.commit.synced_seq.max(floor) >= self.book.next_seq {
            // Nothing is left that would have to be written again.
            self.write_again()?;
        }
        let is_troubled = self.commit.rewrite || self.book.doubt.is_some() || self.commit.in_flight.is_some();
        if is_troubled || !goes {
            return Ok(None);
        }
        self.ledger.catch_up(&self.book)?;
        let Some((path, file, device_bytes)) = self.ledger.begin_sync() else { return Ok(None) };
        let synced_seq = self.commit.synced_seq;
        let (disk, dirs) = (Arc::clone(&self.disk), [self.dir.clone()]);
        let is_named = self.ledger.is_durable();
        let ticket = self.fly(synced_seq, device_bytes);
        Ok(Some(SyncJob::new(ticket, move || {
            file.sync().map_err(|error| Error::environment("sync", &path, error))?;
            for dir in dirs.iter().filter(|_| !is_named) {
                disk.sync_dir(dir).map_err(|error| Error::environment("sync", dir, error))?;
            }
            Ok(())
        })))
    }

    /// Notes what holds once the sync that begins succeeds.
    fn fly(&mut self, seq: Seq, device_bytes: u64) -> Arc<()> {
        let ticket = Arc::new(());
        self.commit.in_flight = Some(InFlight {
            ticket: Arc::downgrade(&ticket),
            seq,
            lows: self.book.cursors.iter().map(|(uplink, cursor)| (uplink.clone(), cursor.low())).collect(),
            generation: self.ledger.generation(),
            device_bytes,
        });
        ticket
    }

    fn job(&mut self, files: Vec<ToSync>, names: bool) -> SyncJob {
        let device_bytes = files.iter().map(|file| file.bytes).sum();
        let ticket = self.fly(self.book.next_seq, device_bytes);
        let (disk, dirs) = (Arc::clone(&self.disk), if names { self.folders() } else { Vec::new() });
        let sealed = Arc::clone(&self.commit.sealed);
        SyncJob::new(ticket, move || {
            for ToSync { path, file, .. } in &files {
                file.sync().map_err(|error| Error::environment("sync", path, error))?;
            }
            for dir in &dirs {
                disk.sync_dir(dir).map_err(|error| Error::environment("sync", dir, error))?;
            }
            seal(&*disk, &sealed);
            Ok(())
        })
    }

    pub(super) fn finish_sync(&mut self, synced: Synced) -> Result<()> {
        let Some(done) = self.commit.in_flight.take() else { return synced.result };
        if let Err(error) = synced.result {
            self.sync_failed();
            // The next append or sync writes again too; what failed first is what the operator must hear of.
            return self.write_again().and(Err(error));
        }
        self.totals.syncs_total += 1;
        self.totals.device_bytes_total += done.device_bytes;
        let synced_bytes = self.tail.bytes_between(self.commit.synced_seq, done.seq);
        self.commit.unsynced_bytes = self.commit.unsynced_bytes.saturating_sub(synced_bytes);
        self.commit.synced_seq = done.seq;
        self.commit.lows = done.lows;
        self.ledger.synced(done.generation);
        if self.book.doubt.take().is_some() {
            self.note(&Record::Doubt { from: 0 });
        }
        self.release();
        Ok(())
    }

    /// Lets go of what is in memory and need not be.
    pub(super) fn release(&mut self) {
        let released = self.tail.release(self.commit.synced_seq, self.book.floor());
        self.commit.unsynced_bytes = self.commit.unsynced_bytes.saturating_sub(released);
    }

    /// The lowest seq that a power cut would take and that some uplink wants.
    pub(super) fn first_at_risk(&self) -> Option<Seq> {
        let safe = self.commit.synced_seq.max(self.book.floor());
        self.tail.from(safe).next().map(|block| block.envelope.seq)
    }

    /// Nothing that was open is trusted any more: after a failed fsync the kernel forgets that its pages are unwritten.
    fn sync_failed(&mut self) {
        self.totals.sync_failures_total += 1;
        self.book.doubt = Some(self.commit.synced_seq);
        self.note(&Record::Doubt { from: self.commit.synced_seq });
        self.commit.files.clear();
        self.commit.names = true;
        self.ledger.distrust();
        self.abandon_actives();
    }

    /// Sets the active segments aside as suspect; their unsynced blocks are to be written again.
    pub(super) fn abandon_actives(&mut self) {
        for active in Class::ALL.into_iter().filter_map(|class| self.actives.take(class)) {
            self.segments.insert(active.segment);
        }
        self.commit.rewrite = true;
    }

    /// Writes the unsynced blocks to a new segment, if a failure made that necessary.
    pub(super) fn write_again(&mut self) -> Result<()> {
        if !self.commit.rewrite {
            return Ok(());
        }
        // What every uplink has need not be saved.
        let first = self.commit.synced_seq.max(self.book.floor());
        if first < self.book.next_seq {
            let mut copies = Actives::default();
            if let Err(error) = self.copy_from(first, &mut copies) {
                return Err(copies.iter().fold(error, |error, copy| self.discard_segment(copy, error)));
            }
            self.actives = copies;
            self.remove_superseded(first);
        }
        self.commit.rewrite = false;
        Ok(())
    }

    /// Copies the blocks from `pos` on: those of this process from memory, those of the one before, if it was killed
    /// shortly before a sync, from its files, where they are in the page cache.
    fn copy_from(&mut self, mut pos: Seq, copies: &mut Actives) -> Result<()> {
        let mut items = Vec::new();
        while pos < self.book.next_seq {
            pos = self.read_items(pos, COPY_BYTES, &mut items)?;
            for item in items.drain(..) {
                let Item::Block(Block { seqs, epoch, class, meta, payload }) = item else { continue };
                let envelope = Envelope { class: class.code(), meta, seq: seqs.first, epoch };
                let frame = [&envelope.encode(&payload, self.slot.salt)[..], &payload].concat();
                if copies.of(class).is_none() {
                    copies.set(self.create_segment(class, seqs.first, 0, 0)?);
                }
                let Some(active) = copies.of_mut(class) else { continue };
                let written = active.write(envelope, &frame);
                written.map_err(|error| Error::environment("write", &active.segment.path, error))?;
                self.totals.written_bytes_total += frame.len() as u64;
            }
        }
        Ok(())
    }

    /// Removes the suspect segments of which every block was written again, so that repeated failures do not fill the
    /// disk. Those of an earlier process stay: what they hold may be durable, and the copy is not yet.
    fn remove_superseded(&mut self, from: Seq) {
        let superseded = self.segments.iter().filter(|segment| segment.is_own && segment.extent.first >= from);
        let keys: Vec<_> = superseded.map(|segment| segment.key()).collect();
        for key in keys {
            let path = super::segment::path(&self.folder(key.1), key.0, key.2);
            match self.disk.remove(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {}
                _ => self.segments.forget(key),
            }
        }
    }

    /// Makes a new segment file with its head, whose attempt is `attempt` or above.
    pub(super) fn create_segment(&mut self, class: Class, first: Seq, attempt: u32, level: u8) -> Result<Active> {
        let dir = self.folder(class);
        if !self.has_folder[class.index()] {
            self.disk.create_dir(&dir).map_err(|error| Error::environment("create", &dir, error))?;
            self.has_folder[class.index()] = true;
        }
        let header = Header {
            class: class.code(),
            level,
            salt: self.slot.salt,
            gateway: self.slot.identity.gateway,
            epoch: self.slot.identity.epoch,
            number: first,
        };
        let mut active = Active::create(&*self.disk, &dir, class, &header, attempt)?;
        self.commit.names = true;
        match active.write_head(&header) {
            Ok(()) => Ok(active),
            Err(error) => {
                let error = Error::environment("write", &active.segment.path, error);
                Err(self.discard_segment(&active, error))
            }
        }
    }

    /// Removes a segment that could not be begun; hands the error on.
    fn discard_segment(&mut self, active: &Active, error: Error) -> Error {
        // If it cannot be removed either, its name stays taken, and what it holds are copies.
        match self.disk.remove(&active.segment.path) {
            Ok(()) => error,
            Err(source) => Error::environment("write or remove", &active.segment.path, source),
        }
    }
}
