//! Group commit: what is not durable yet, the sync that is under way, and what follows when it fails.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::PathBuf;
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
    pub(super) files: Vec<(PathBuf, Arc<dyn DiskFile>)>,
    /// Sealed segments that the disk may put into another form with the next syncs; a job gives back what it could not.
    pub(super) sealed: Arc<Mutex<VecDeque<PathBuf>>>,
    /// Names were made or removed since the last sync.
    pub(super) names: bool,
    /// Bytes of pages of sealed segments that the next sync takes along.
    pub(super) device_bytes: u64,
    /// Bytes of frames appended, ever, and of these the durable ones.
    pub(super) written: u64,
    pub(super) synced: u64,
    /// All seqs below are durable.
    pub(super) synced_seq: Seq,
    /// The low watermarks that are durable.
    lows: BTreeMap<String, Seq>,
    /// The blocks from `synced_seq` on must be written again to a new file before anything else is.
    pub(super) rewrite: bool,
}

/// What holds once the sync that is under way succeeds.
struct InFlight {
    ticket: Weak<()>,
    written: u64,
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
            device_bytes: 0,
            written: 0,
            synced: 0,
            synced_seq,
            lows: BTreeMap::new(),
            rewrite: false,
        }
    }

    /// Bytes of blocks that a power cut would take.
    pub(super) fn unsynced_bytes(&self) -> u64 {
        self.written - self.synced
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
        let mut device_bytes = std::mem::take(&mut self.commit.device_bytes);
        for active in self.actives.iter_mut().filter(|active| active.dirty) {
            device_bytes += active.begin_sync();
            files.push((active.segment.path.clone(), Arc::clone(&active.file)));
        }
        if let Some((path, file, bytes)) = self.ledger.begin_sync() {
            device_bytes += bytes;
            files.push((path, file));
        }
        if files.is_empty() && !self.commit.names && self.commit.sealed().is_empty() {
            return Ok(None);
        }
        let names = std::mem::take(&mut self.commit.names);
        Ok(Some(self.job(files, names, device_bytes)))
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

    fn job(&mut self, files: Vec<(PathBuf, Arc<dyn DiskFile>)>, names: bool, device_bytes: u64) -> SyncJob {
        let ticket = Arc::new(());
        self.commit.in_flight = Some(InFlight {
            ticket: Arc::downgrade(&ticket),
            written: self.commit.written,
            seq: self.book.next_seq,
            lows: self.book.cursors.iter().map(|(uplink, cursor)| (uplink.clone(), cursor.low())).collect(),
            generation: self.ledger.generation(),
            device_bytes,
        });
        let (disk, dirs) = (Arc::clone(&self.disk), if names { self.folders() } else { Vec::new() });
        let sealed = Arc::clone(&self.commit.sealed);
        SyncJob::new(ticket, move || {
            for (path, file) in &files {
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
        self.commit.synced = done.written;
        self.commit.synced_seq = done.seq;
        self.commit.lows = done.lows;
        self.ledger.synced(done.generation);
        if self.book.doubt.take().is_some() {
            self.note(&Record::Doubt { from: 0 });
        }
        self.tail.release(self.commit.synced_seq, self.book.floor());
        Ok(())
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
        let first = self.commit.synced_seq;
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
