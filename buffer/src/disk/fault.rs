//! A file system in memory that forgets, tears, fails and fills up on request.
//!
//! What was written is at first only in the *cache*: it survives [`FaultDisk::kill`], and of it a
//! [`FaultDisk::power_cut`] keeps a random part, in sectors, in any order. What was synced survives both. A name that
//! was made or removed is durable after its directory was synced. A sync that fails throws the unsynced writes away and
//! leaves them readable, as Linux does, so that a second sync of the same file succeeds and saves nothing.

mod inode;

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use inode::{Inode, Random};

use super::{Disk, DiskFile};

/// A file system in memory; clones share it.
#[derive(Clone, Debug)]
pub struct FaultDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    random: Random,
    dirs: BTreeSet<PathBuf>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    /// Names made (with their inode) and removed since the last sync of their directory.
    unsynced_names: Vec<(PathBuf, Option<usize>)>,
    inodes: Vec<Inode>,
    locks: BTreeSet<PathBuf>,
    calls: u64,
    crash_at: Option<u64>,
    crashed: bool,
    fail_calls: Option<(std::ops::Range<u64>, io::ErrorKind)>,
    fail_syncs: u64,
    capacity_bytes: Option<u64>,
    read_only: bool,
    outside: Option<(PathBuf, Box<dyn Any + Send>)>,
}

#[derive(Debug)]
struct FaultFile {
    state: Arc<Mutex<State>>,
    inode: usize,
}

#[derive(Debug)]
struct Lock {
    state: Arc<Mutex<State>>,
    path: PathBuf,
}

impl FaultDisk {
    /// An empty disk; the same seed and calls give the same faults.
    pub fn new(seed: u64) -> Self {
        let state = State {
            random: Random::new(seed),
            dirs: BTreeSet::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            unsynced_names: Vec::new(),
            inodes: Vec::new(),
            locks: BTreeSet::new(),
            calls: 0,
            crash_at: None,
            crashed: false,
            fail_calls: None,
            fail_syncs: 0,
            capacity_bytes: None,
            read_only: false,
            outside: None,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// A folder of the machine's that belongs to this disk, made when it is first asked for; what `make` gives beside the
    /// folder lives as long as the disk.
    pub fn outside(&self, make: impl FnOnce() -> (PathBuf, Box<dyn Any + Send>)) -> PathBuf {
        self.state().outside.get_or_insert_with(make).0.clone()
    }

    /// Calls made so far.
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// The call that comes after `calls` more is torn, and from then on every call fails until `kill` or `power_cut`.
    pub fn crash_after(&self, calls: u64) {
        let mut state = self.state();
        state.crash_at = Some(state.calls + calls);
    }

    /// Whether the call named to [`FaultDisk::crash_after`] has come.
    pub fn has_crashed(&self) -> bool {
        self.state().crashed
    }

    /// After `calls` more, `count` calls fail with `kind`; a write among them is torn.
    pub fn fail_after(&self, calls: u64, count: u64, kind: io::ErrorKind) {
        let mut state = self.state();
        let from = state.calls + calls;
        state.fail_calls = Some((from..from.saturating_add(count), kind));
    }

    /// The next `count` syncs of files fail.
    pub fn fail_syncs(&self, count: u64) {
        self.state().fail_syncs = count;
    }

    /// Bytes that all files together may have; `None` for no limit.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity_bytes = bytes;
    }

    /// Whether nothing can be changed.
    pub fn set_read_only(&self, read_only: bool) {
        self.state().read_only = read_only;
    }

    /// The process died: nothing that was written is lost. Drop the store first.
    pub fn kill(&self) {
        self.state().revive();
    }

    /// The machine died: what was not synced is lost, torn or kept, at random. Drop the store first.
    pub fn power_cut(&self) {
        let mut state = self.state();
        state.forget_names();
        let State { inodes, random, .. } = &mut *state;
        for inode in inodes {
            inode.power_cut(random);
        }
        state.revive();
    }

    /// The files that there are.
    pub fn files(&self) -> Vec<PathBuf> {
        self.state().names.keys().cloned().collect()
    }

    /// The content of a file; empty if there is none.
    pub fn content(&self, path: &Path) -> Vec<u8> {
        let state = self.state();
        state.names.get(path).map(|inode| state.inodes[*inode].cache().to_vec()).unwrap_or_default()
    }

    /// Changes the content of a file at rest, durably.
    pub fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state();
        if let Some(inode) = state.names.get(path).copied() {
            state.inodes[inode].damage(change);
        }
    }

    /// Flips one bit of a file at rest.
    pub fn flip_bit(&self, path: &Path, at: u64, bit: u8) {
        self.damage(path, |content| {
            if let Some(byte) = content.get_mut(at as usize) {
                *byte ^= 1 << (bit % 8);
            }
        });
    }

    /// Removes a file behind the store's back, durably.
    pub fn delete(&self, path: &Path) {
        let mut state = self.state();
        state.names.remove(path);
        state.durable_names.remove(path);
        state.unsynced_names.retain(|(name, _)| name != path);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn file(&self, inode: usize) -> Arc<dyn DiskFile> {
        Arc::new(FaultFile { state: Arc::clone(&self.state), inode })
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("no panic while the disk is locked")
}

impl State {
    /// Counts a call; an error if it is to fail.
    fn call(&mut self) -> io::Result<()> {
        let call = self.calls;
        self.calls += 1;
        if self.crashed || self.crash_at.is_some_and(|at| call >= at) {
            self.crashed = true;
            return Err(io::Error::other("crashed"));
        }
        match &self.fail_calls {
            Some((range, kind)) if range.contains(&call) => Err((*kind).into()),
            _ => Ok(()),
        }
    }

    /// Counts a call that changes something; an error if it is to fail.
    fn change(&mut self) -> io::Result<()> {
        self.call()?;
        if self.read_only { Err(io::ErrorKind::ReadOnlyFilesystem.into()) } else { Ok(()) }
    }

    fn revive(&mut self) {
        self.crash_at = None;
        self.crashed = false;
        self.fail_calls = None;
        self.fail_syncs = 0;
        self.locks.clear();
    }

    /// Of the unsynced changes to names in each directory keeps the first few, as a journal does.
    fn forget_names(&mut self) {
        let mut cut: BTreeSet<PathBuf> = BTreeSet::new();
        for (path, inode) in std::mem::take(&mut self.unsynced_names) {
            let dir = path.parent().unwrap_or(Path::new("")).to_owned();
            if cut.contains(&dir) || self.random.below(4) == 0 {
                cut.insert(dir);
                continue;
            }
            set_name(&mut self.durable_names, path, inode);
        }
        self.names = self.durable_names.clone();
    }

    fn rename_to(&mut self, path: &Path, inode: Option<usize>) {
        set_name(&mut self.names, path.to_owned(), inode);
        self.unsynced_names.push((path.to_owned(), inode));
    }

    /// How many of `more` bytes still fit.
    fn room(&self, more: u64) -> u64 {
        let used: u64 = self.names.values().map(|inode| self.inodes[*inode].cache().len() as u64).sum();
        self.capacity_bytes.map_or(more, |capacity| more.min(capacity.saturating_sub(used)))
    }
}

fn set_name(names: &mut BTreeMap<PathBuf, usize>, path: PathBuf, inode: Option<usize>) {
    match inode {
        Some(inode) => names.insert(path, inode),
        None => names.remove(&path),
    };
}

impl Disk for FaultDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.change()?;
        state.dirs.extend(path.ancestors().map(Path::to_owned));
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut state = self.state();
        state.call()?;
        if !state.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let names = state.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(names.filter_map(|path| path.file_name()?.to_str().map(str::to_owned)).collect())
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state();
        state.call()?;
        let inode = state.names.get(path).copied().ok_or(io::ErrorKind::NotFound)?;
        drop(state);
        Ok(self.file(inode))
    }

    fn open_for_write(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        if self.state().read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        self.open(path)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state();
        state.change()?;
        if state.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.inodes.push(Inode::default());
        let inode = state.inodes.len() - 1;
        state.rename_to(path, Some(inode));
        drop(state);
        Ok(self.file(inode))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.change()?;
        if !state.names.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.rename_to(path, None);
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.call()?;
        let (synced, left) =
            std::mem::take(&mut state.unsynced_names).into_iter().partition(|(path, _)| path.parent() == Some(dir));
        state.unsynced_names = left;
        for (path, inode) in Vec::from_iter::<Vec<(PathBuf, Option<usize>)>>(synced) {
            set_name(&mut state.durable_names, path, inode);
        }
        Ok(())
    }

    fn free_bytes(&self, _: &Path) -> io::Result<Option<u64>> {
        let mut state = self.state();
        state.call()?;
        Ok(state.capacity_bytes.map(|_| state.room(u64::MAX)))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send>> {
        let mut state = self.state();
        state.change()?;
        if !state.locks.insert(path.to_owned()) {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        Ok(Box::new(Lock { state: Arc::clone(&self.state), path: path.to_owned() }))
    }

    fn random(&self) -> u128 {
        let mut state = self.state();
        u128::from(state.random.next()) << 64 | u128::from(state.random.next())
    }
}

impl DiskFile for FaultFile {
    fn len(&self) -> io::Result<u64> {
        let mut state = lock(&self.state);
        state.call()?;
        Ok(state.inodes[self.inode].cache().len() as u64)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut state = lock(&self.state);
        state.call()?;
        let from = state.inodes[self.inode].cache().get(offset as usize..).unwrap_or_default();
        let n = from.len().min(into.len());
        into[..n].copy_from_slice(&from[..n]);
        Ok(n)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = lock(&self.state);
        let was_crashed = state.crashed;
        if let Err(error) = state.call() {
            if !was_crashed {
                let torn = state.random.below(bytes.len() as u64 + 1) as usize;
                state.inodes[self.inode].write(offset, &bytes[..torn]);
            }
            return Err(error);
        }
        let old_len = state.inodes[self.inode].cache().len() as u64;
        let more = (offset + bytes.len() as u64).saturating_sub(old_len);
        let short = more - state.room(more);
        state.inodes[self.inode].write(offset, &bytes[..bytes.len().saturating_sub(short as usize)]);
        if short > 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.call()?;
        state.inodes[self.inode].set_len(len);
        Ok(())
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let len = lock(&self.state).inodes[self.inode].cache().len() as u64;
        let missing = vec![0; usize::try_from(bytes.saturating_sub(len)).unwrap_or(usize::MAX)];
        self.write_at(len, &missing)
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.call()?;
        if state.fail_syncs > 0 {
            state.fail_syncs -= 1;
            state.inodes[self.inode].sync_failed();
            return Err(io::Error::other("the device did not take the data"));
        }
        state.inodes[self.inode].sync();
        Ok(())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        lock(&self.state).locks.remove(&self.path);
    }
}
