//! A folder that cannot be written to, with what is written held in memory until it can be.
//!
//! Reads see what was written, and below it what lies in the folder. Now and then, with a write, it is tried whether the
//! folder takes what is held; once it has taken all of it, everything goes there directly, also through files that were
//! open before. What is held is bounded. It is gone with the process, whatever was synced.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Disk, DiskFile};

/// How often it is tried whether the folder can be written to.
const TRY_EVERY: Duration = Duration::from_secs(2);

/// So much more than its bound is held of ledgers.
const BOOKS_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Files are copied in pieces of this size.
const COPY_BYTES: usize = 256 * 1024;

/// A disk whose changes are held in memory until the one below it takes them; clones share it.
#[derive(Clone)]
pub struct OverlayDisk {
    shared: Arc<Shared>,
}

struct Shared {
    below: Arc<dyn Disk>,
    bytes_max: u64,
    /// Nothing is held any more.
    is_through: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    dirs: BTreeSet<PathBuf>,
    files: BTreeMap<PathBuf, Arc<Held>>,
    /// What lies below and is to be removed there.
    removed: BTreeSet<PathBuf>,
    lock_path: Option<PathBuf>,
    /// The folder's lock, once it could be taken.
    lock: Option<Box<dyn Send>>,
    /// Bytes that are held.
    bytes: u64,
    try_at: Option<Instant>,
    /// Why the folder takes nothing.
    why: String,
}

/// A file that was written to.
type Held = Mutex<Content>;

enum Content {
    Memory(Vec<u8>),
    Below(Arc<dyn DiskFile>),
}

struct OverlayFile {
    shared: Arc<Shared>,
    held: Arc<Held>,
    kind: Kind,
}

/// Blocks may fill the memory; what says that they are delivered must still find room.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Blocks,
    Books,
}

impl Kind {
    fn of(path: &Path) -> Self {
        if path.extension().is_some_and(|extension| extension == "seg") { Self::Blocks } else { Self::Books }
    }
}

impl OverlayDisk {
    /// Holds up to `bytes_max` of what is written over `below`, which took nothing for the reason `why`.
    pub fn over(below: Arc<dyn Disk>, bytes_max: u64, why: String) -> Self {
        let state = State { why, ..State::default() };
        let (is_through, state) = (AtomicBool::new(false), Mutex::new(state));
        Self { shared: Arc::new(Shared { below, bytes_max, is_through, state }) }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_missing<T>(result: &io::Result<T>) -> bool {
    matches!(result, Err(error) if error.kind() == io::ErrorKind::NotFound)
}

impl Shared {
    fn is_through(&self) -> bool {
        self.is_through.load(Ordering::Acquire)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Tries now and then whether the folder takes what is held.
    fn settle(&self) {
        if self.is_through() {
            return;
        }
        let (mut state, now) = (self.state(), Instant::now());
        if *state.try_at.get_or_insert(now + TRY_EVERY) <= now {
            state.try_at = Some(now + TRY_EVERY);
            self.try_now(&mut state);
        }
    }

    fn try_now(&self, state: &mut State) {
        if self.is_through() {
            return;
        }
        match self.hand_over(state) {
            Ok(()) => {
                state.bytes = 0;
                self.is_through.store(true, Ordering::Release);
            }
            Err(cause) => state.why = cause.to_string(),
        }
    }

    /// Writes all that is held to the folder: the identity and the ledger, whose names come first, before the segments.
    /// What is interrupted is done again from its beginning, and until all is done nothing counts as handed over.
    fn hand_over(&self, state: &mut State) -> io::Result<()> {
        let below = &*self.below;
        state.dirs.iter().try_for_each(|dir| below.create_dir(dir))?;
        if let (None, Some(path)) = (&state.lock, &state.lock_path) {
            state.lock = Some(below.lock(path)?);
        }
        let mut handed = Vec::with_capacity(state.files.len());
        for (path, held) in &state.files {
            let Content::Memory(bytes) = &*lock(held) else { continue };
            let opened = below.open_for_write(path);
            let file = if is_missing(&opened) { below.create(path)? } else { opened? };
            for (piece, at) in bytes.chunks(COPY_BYTES).zip((0..).step_by(COPY_BYTES)) {
                file.write_at(at, piece)?;
            }
            file.set_len(bytes.len() as u64)?;
            file.sync()?;
            handed.push((Arc::clone(held), file));
        }
        for path in &state.removed {
            let removed = below.remove(path);
            if !is_missing(&removed) {
                removed?;
            }
        }
        state.dirs.iter().try_for_each(|dir| below.sync_dir(dir))?;
        for (held, file) in handed {
            *lock(&held) = Content::Below(file);
        }
        state.files.clear();
        state.removed.clear();
        Ok(())
    }

    /// Takes room for `more` bytes.
    fn take(&self, more: u64, kind: Kind) -> io::Result<()> {
        let mut state = self.state();
        let bytes_max = self.bytes_max + if kind == Kind::Books { BOOKS_BYTES_MAX } else { 0 };
        if state.bytes + more > bytes_max {
            let what = format!("the memory that stands in for it is full ({} bytes)", self.bytes_max);
            return Err(io::Error::new(io::ErrorKind::OutOfMemory, what));
        }
        state.bytes += more;
        Ok(())
    }

    fn give_back(&self, less: u64) {
        let mut state = self.state();
        state.bytes = state.bytes.saturating_sub(less);
    }
}

impl OverlayDisk {
    /// Tries at once whether the folder takes what is held; `true` when nothing is held any more.
    pub fn settle(&self) -> bool {
        self.shared.try_now(&mut self.shared.state());
        self.is_through()
    }

    fn is_through(&self) -> bool {
        self.shared.is_through()
    }

    fn below(&self) -> &dyn Disk {
        &*self.shared.below
    }

    fn file(&self, path: &Path, held: Arc<Held>) -> Arc<dyn DiskFile> {
        Arc::new(OverlayFile { shared: Arc::clone(&self.shared), held, kind: Kind::of(path) })
    }

    /// Copies a file from below, so that it can be written to.
    fn copy_up(&self, path: &Path) -> io::Result<Arc<Held>> {
        let file = self.below().open(path)?;
        let bytes = usize::try_from(file.len()?).map_err(io::Error::other)?;
        self.shared.take(bytes as u64, Kind::of(path))?;
        let mut content = vec![0; bytes];
        let got = file.read_at(0, &mut content)?;
        content.truncate(got);
        let held = Arc::new(Mutex::new(Content::Memory(content)));
        self.shared.state().files.insert(path.to_owned(), Arc::clone(&held));
        Ok(held)
    }
}

impl Disk for OverlayDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        if self.is_through() {
            return self.below().create_dir(path);
        }
        self.shared.state().dirs.extend([path.to_owned()]);
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let listed = self.below().list(dir);
        if self.is_through() {
            return listed;
        }
        let state = self.shared.state();
        let is_made = state.dirs.iter().any(|made| made.starts_with(dir));
        let mut names: BTreeSet<String> =
            if is_missing(&listed) && is_made { BTreeSet::new() } else { listed?.into_iter().collect() };
        let here = |path: &&PathBuf| path.parent() == Some(dir);
        let name = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
        for gone in state.removed.iter().filter(here).filter_map(name) {
            names.remove(&gone);
        }
        names.extend(state.files.keys().filter(here).filter_map(name));
        Ok(names.into_iter().collect())
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        if !self.is_through() {
            let state = self.shared.state();
            if let Some(held) = state.files.get(path) {
                return Ok(self.file(path, Arc::clone(held)));
            }
            if state.removed.contains(path) {
                return Err(io::ErrorKind::NotFound.into());
            }
        }
        self.below().open(path)
    }

    fn open_for_write(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.shared.settle();
        if self.is_through() {
            return self.below().open_for_write(path);
        }
        let (held, is_removed) = {
            let state = self.shared.state();
            (state.files.get(path).cloned(), state.removed.contains(path))
        };
        match held {
            Some(held) => Ok(self.file(path, held)),
            None if is_removed => Err(io::ErrorKind::NotFound.into()),
            None => self.copy_up(path).map(|held| self.file(path, held)),
        }
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.shared.settle();
        if self.is_through() {
            return self.below().create(path);
        }
        match self.open(path) {
            Ok(_) => return Err(io::ErrorKind::AlreadyExists.into()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Err(_) => {}
        }
        let held = Arc::new(Mutex::new(Content::Memory(Vec::new())));
        let mut state = self.shared.state();
        state.files.insert(path.to_owned(), Arc::clone(&held));
        // It takes the place of what lies below under this name.
        state.removed.remove(path);
        drop(state);
        Ok(self.file(path, held))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        if self.is_through() {
            return self.below().remove(path);
        }
        let is_below = !is_missing(&self.below().open(path));
        let mut state = self.shared.state();
        let held = state.files.remove(path);
        let was_removed = state.removed.contains(path);
        if is_below {
            state.removed.insert(path.to_owned());
        }
        drop(state);
        match held {
            Some(held) => {
                let held_bytes = match &mut *lock(&held) {
                    Content::Memory(bytes) => std::mem::take(bytes).len() as u64,
                    Content::Below(_) => 0,
                };
                self.shared.give_back(held_bytes);
                Ok(())
            }
            None if is_below && !was_removed => Ok(()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        if self.is_through() { self.below().sync_dir(dir) } else { Ok(()) }
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<Option<u64>> {
        if self.is_through() { self.below().free_bytes(dir) } else { Ok(None) }
    }

    /// Until the folder can be written to, nobody else can write there either.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send>> {
        self.shared.state().lock_path = Some(path.to_owned());
        Ok(Box::new(()))
    }

    fn random(&self) -> u128 {
        self.below().random()
    }

    fn trouble(&self) -> Option<String> {
        if self.is_through() { None } else { Some(self.shared.state().why.clone()) }
    }
}

impl OverlayFile {
    /// What is held, or the file below.
    fn content(&self) -> MutexGuard<'_, Content> {
        lock(&self.held)
    }

    /// Makes room for a file of `len` bytes.
    fn grow(&self, len: u64) -> io::Result<()> {
        let held = match &*self.content() {
            Content::Memory(bytes) => bytes.len() as u64,
            Content::Below(_) => return Ok(()),
        };
        self.shared.take(len.saturating_sub(held), self.kind)
    }
}

impl DiskFile for OverlayFile {
    fn len(&self) -> io::Result<u64> {
        match &*self.content() {
            Content::Memory(bytes) => Ok(bytes.len() as u64),
            Content::Below(file) => file.len(),
        }
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        match &*self.content() {
            Content::Memory(bytes) => {
                let from = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..)).unwrap_or_default();
                let got = from.len().min(into.len());
                into[..got].copy_from_slice(&from[..got]);
                Ok(got)
            }
            Content::Below(file) => file.read_at(offset, into),
        }
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.shared.settle();
        let end = offset + bytes.len() as u64;
        self.grow(end)?;
        match &mut *self.content() {
            Content::Memory(content) => {
                let (from, end) = (offset as usize, end as usize);
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[from..end].copy_from_slice(bytes);
                Ok(())
            }
            Content::Below(file) => file.write_at(offset, bytes),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.grow(len)?;
        // The state is never waited for while a file is held.
        let cut = match &mut *self.content() {
            Content::Memory(content) => {
                let cut = (content.len() as u64).saturating_sub(len);
                content.resize(len as usize, 0);
                cut
            }
            Content::Below(file) => return file.set_len(len),
        };
        self.shared.give_back(cut);
        Ok(())
    }

    /// Memory is no place for a reserve.
    fn allocate(&self, bytes: u64) -> io::Result<()> {
        match &*self.content() {
            Content::Memory(_) => Err(io::ErrorKind::Unsupported.into()),
            Content::Below(file) => file.allocate(bytes),
        }
    }

    fn sync(&self) -> io::Result<()> {
        match &*self.content() {
            Content::Memory(_) => Ok(()),
            Content::Below(file) => file.sync(),
        }
    }
}
