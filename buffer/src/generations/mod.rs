//! The store `sled`: sealed segments become sled databases, behind the same journal, ledger and cursors as in the store `log`.
//!
//! ```text
//! <dir>/normal/<first-seq>.seg            the tail journal: the segment that is written to, and sealed ones not yet filled in
//!       normal/<first-seq>.sled/          a generation: one sealed segment as a sled database, and `edges` beside it
//!       normal/<first-seq>.sled.filling/  one that is being filled; removed at the next start
//!       normal/<first-seq>.sled.reading…/ a copy that is being read
//!       normal/<first-seq>.sled.damaged/  one that sled could not open; set aside, and what it held is a gap
//! ```
//! A generation maps the offset of each frame of its segment to the frame; what is longer than 4 KiB is cut into pieces
//! of 4 KiB, because sled 0.34 puts values of 16 KiB and more into files that it never syncs. It is filled in one go when
//! its segment was sealed and synced, flushed (which in sled is no fsync), fdatasynced file by file, copied, opened, counted
//! and summed, and only then renamed to its name and the segment removed. Nothing is ever removed from it but itself.
//! A kill or a power cut before the rename leaves the segment, one after it the generation, and in between both, which say
//! the same. Every call into sled stands behind `catch_unwind`: it panics on damage.
//!
//! To the log a generation is a file: it is a [`Disk`] that shows them in the place of the segments, so that reading,
//! retention and the crash suite are the same for both stores.

mod edges;
mod generation;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::block::Class;
use crate::disk::{Disk, DiskFile};
use edges::Edges;
use generation::Generation;

/// What the folder of a generation ends with.
const ENDING: &str = "sled";

/// Whether segments become generations when they are sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filling {
    /// Yes.
    WhenSealed,
    /// No: those that are there are read.
    Never,
}

/// A disk on which sealed segments are sled databases.
pub struct Generations {
    disk: Arc<dyn Disk>,
    /// The log's folder on `disk`, and where the generations lie on the machine's file system.
    dir: PathBuf,
    outside: PathBuf,
    filling: Filling,
    /// Held while a segment gives way to its generation, or both are removed.
    changing: Mutex<()>,
    /// By how much the generations are larger than the segments that they hold.
    extra_bytes: AtomicI64,
}

impl Generations {
    /// Over `disk`, for the log in `dir` there; its generations lie under `outside` on the machine's file system.
    /// Removes what was not filled to the end.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn over(disk: Arc<dyn Disk>, dir: &Path, outside: &Path, filling: Filling) -> io::Result<Self> {
        let generations = Self {
            disk,
            dir: dir.to_owned(),
            outside: outside.to_owned(),
            filling,
            changing: Mutex::default(),
            extra_bytes: AtomicI64::new(0),
        };
        for folder in generations.folders()? {
            if !is_whole(&folder) {
                if filling == Filling::WhenSealed {
                    fs::remove_dir_all(&folder)?;
                }
            } else if let Some(edges) = Edges::read(&folder)? {
                generations.note(&folder, edges.bytes);
            } else if filling == Filling::WhenSealed && folder.extension().is_some_and(|ending| ending == ENDING) {
                generation::set_aside(&folder)?;
            }
        }
        Ok(generations)
    }

    /// Whether there are generations in the log's folder `dir` on the machine's file system.
    pub(crate) fn are_in(dir: &Path) -> bool {
        let ends_so = |path: &PathBuf| path.extension().is_some_and(|ending| ending == ENDING);
        Class::ALL.iter().any(|class| folders_in(&dir.join(class.name())).is_ok_and(|names| names.iter().any(ends_so)))
    }

    fn folders(&self) -> io::Result<Vec<PathBuf>> {
        let mut all = Vec::new();
        for class in Class::ALL {
            all.extend(folders_in(&self.outside.join(class.name()))?);
        }
        Ok(all)
    }

    /// Where the generation of a segment lies, if `path` is a segment's.
    fn place(&self, path: &Path) -> Option<PathBuf> {
        let inside = path.strip_prefix(&self.dir).ok()?;
        (inside.extension()? == "seg").then(|| self.outside.join(inside).with_extension(ENDING))
    }

    fn note(&self, folder: &Path, bytes: u64) {
        let extra = bytes_in(folder) as i64 - bytes as i64;
        self.extra_bytes.fetch_add(extra, Ordering::Relaxed);
    }

    fn change(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a generation that is whole its name, unless its segment was removed meanwhile.
    fn finish(&self, path: &Path, filled: &Path, place: &Path) -> io::Result<()> {
        let changing = self.change();
        match self.disk.open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return fs::remove_dir_all(filled),
            found => drop(found?),
        }
        fs::rename(filled, place)?;
        drop(changing);
        if let Some(parent) = place.parent() {
            fs::File::open(parent)?.sync_all()?;
        }
        match self.disk.remove(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl Disk for Generations {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.create_dir(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names: BTreeSet<String> = self.disk.list(dir)?.into_iter().collect();
        if let Ok(inside) = dir.strip_prefix(&self.dir) {
            for folder in folders_in(&self.outside.join(inside))? {
                let Some(name) = folder.file_name().and_then(|name| name.to_str()) else { continue };
                if !is_whole(&folder) {
                    continue;
                }
                match name.strip_suffix(&format!(".{ENDING}")) {
                    Some(stem) => names.insert(format!("{stem}.seg")),
                    None => names.insert(name.to_owned()),
                };
            }
        }
        Ok(names.into_iter().collect())
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let Some(place) = self.place(path).filter(|place| place.is_dir()) else { return self.disk.open(path) };
        Ok(Arc::new(Generation::lazily(&place)?))
    }

    fn open_for_write(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.disk.open_for_write(path)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        if self.place(path).is_some_and(|place| place.is_dir()) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.disk.create(path)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let Some(place) = self.place(path) else { return self.disk.remove(path) };
        let _changing = self.change();
        if place.is_dir() {
            let extra = Edges::read(&place)?.map_or(0, |edges| bytes_in(&place) as i64 - edges.bytes as i64);
            fs::remove_dir_all(&place)?;
            self.extra_bytes.fetch_sub(extra, Ordering::Relaxed);
            // After a crash its segment may be there too.
            return match self.disk.remove(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                removed => removed,
            };
        }
        self.disk.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<Option<u64>> {
        self.disk.free_bytes(dir)
    }

    fn seals(&self) -> bool {
        self.filling == Filling::WhenSealed
    }

    fn seal(&self, path: &Path) -> io::Result<u64> {
        let Some(place) = self.place(path).filter(|place| self.seals() && !place.is_dir()) else { return Ok(0) };
        let file = match self.disk.open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error),
        };
        let filled = place.with_extension("sled.filling");
        if filled.is_dir() {
            fs::remove_dir_all(&filled)?;
        }
        let done = generation::fill(&*file, path, &filled).and_then(|edges| match edges {
            Some(edges) => self.finish(path, &filled, &place).map(|()| {
                self.note(&place, edges.bytes);
                edges.bytes
            }),
            None => Ok(0),
        });
        if done.is_err() && filled.is_dir() {
            fs::remove_dir_all(&filled)?;
        }
        done
    }

    fn extra_bytes(&self) -> u64 {
        u64::try_from(self.extra_bytes.load(Ordering::Relaxed)).unwrap_or(0)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send>> {
        self.disk.lock(path)
    }

    fn random(&self) -> u128 {
        self.disk.random()
    }
}

/// Whether it is a generation, or one that was damaged, and nothing that a crash left on the way.
fn is_whole(folder: &Path) -> bool {
    folder.extension().is_some_and(|ending| ending == ENDING || ending == "damaged")
}

/// The folders of generations in a folder of a class, whole or not; none where there is no folder.
fn folders_in(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    let mut folders = Vec::new();
    for entry in entries {
        let entry = entry?;
        let is_ours = entry.file_name().to_string_lossy().contains(".sled");
        if is_ours && entry.file_type()?.is_dir() {
            folders.push(entry.path());
        }
    }
    Ok(folders)
}

/// What a generation takes on disk; what cannot be looked at counts as nothing.
fn bytes_in(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let metadata = entries.filter_map(|entry| entry.metadata().ok());
    metadata.map(|metadata| std::os::unix::fs::MetadataExt::blocks(&metadata) * 512).sum()
}
