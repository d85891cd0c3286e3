//! One generation: filling it, and reading it as if it were the segment that it was made of.

use std::any::Any;
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::edges::Edges;
use crate::disk::DiskFile;
use crate::log::{HEADER_BYTES, TRAILER_BYTES, frame_bytes, sealed_data_end};

/// Longest value, bytes.
const VALUE_BYTES_MAX: usize = 4096;

/// What sled may keep in memory of each open generation.
const CACHE_BYTES: u64 = 1024 * 1024;

/// The folder of values that sled keeps outside its log and never syncs: those larger than a quarter of its segments of
/// 512 KiB. There are none.
const SLEDS_OUTSIDE: &str = "blobs";

/// The end of the names of sled's own unfinished files, which make it refuse to open.
const SLEDS_UNFINISHED: &str = ".generating";

/// Copies made by this process.
static COPIES: AtomicU64 = AtomicU64::new(0);

/// A generation, opened when it is first read: a copy of it, because sled writes to what it opens, syncs none of that, and
/// does not survive a power cut then.
pub(super) struct Generation {
    folder: PathBuf,
    copy: PathBuf,
    /// `None`: it is damaged, and is read as an empty file.
    edges: Option<Edges>,
    database: Mutex<Database>,
}

enum Database {
    NotYet,
    Open(sled::Db),
    Damaged,
}

/// Why sled did not do what it was asked to.
enum Refused {
    /// The machine: try again.
    Environment(io::Error),
    /// What lies there, or sled itself.
    Damage,
}

impl Generation {
    /// The generation in `folder`.
    pub(super) fn lazily(folder: &Path) -> io::Result<Self> {
        let edges = Edges::read(folder)?;
        let database = Mutex::new(if edges.is_some() { Database::NotYet } else { Database::Damaged });
        let number = COPIES.fetch_add(1, Ordering::Relaxed);
        let copy = beside(folder, &format!(".reading-{}-{number}", std::process::id()));
        Ok(Self { folder: folder.to_owned(), copy, edges, database })
    }

    /// Reads from the database. What sled cannot read is damage from then on.
    fn read_values(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut database = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let read = match &*database {
            Database::Damaged => return Ok(0),
            Database::Open(open) => guarded(|| copy(open, offset, into)),
            Database::NotYet => self.open_copy().and_then(|open| {
                let read = guarded(|| copy(&open, offset, into));
                *database = Database::Open(open);
                read
            }),
        };
        match read {
            Ok(bytes) => Ok(bytes),
            Err(Refused::Environment(error)) => Err(error),
            Err(Refused::Damage) => {
                *database = Database::Damaged;
                set_aside(&self.folder)?;
                Ok(0)
            }
        }
    }
    fn open_copy(&self) -> Result<sled::Db, Refused> {
        match copy_files(&self.folder, &self.copy) {
            // There is nothing to open any more.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Refused::Damage),
            copied => copied.map_err(Refused::Environment)?,
        }
        open(&self.copy)
    }
}

impl Drop for Generation {
    /// What cannot be removed is removed at the next start.
    fn drop(&mut self) {
        let database = self.database.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Database::Open(open) = std::mem::replace(database, Database::NotYet) {
            drop(close(open));
        }
        if self.copy.is_dir() {
            drop(fs::remove_dir_all(&self.copy));
        }
    }
}

/// A folder whose name goes on with `more`.
fn beside(folder: &Path, more: &str) -> PathBuf {
    let mut name = folder.to_owned().into_os_string();
    name.push(more);
    name.into()
}

/// Copies what sled needs to read a generation.
fn copy_files(from: &Path, to: &Path) -> io::Result<()> {
    if to.is_dir() {
        fs::remove_dir_all(to)?;
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if entry.file_type()?.is_file() && !name.to_string_lossy().ends_with(SLEDS_UNFINISHED) {
            fs::copy(entry.path(), to.join(name))?;
        }
    }
    Ok(())
}

/// Keeps a damaged generation for whoever wants to look into it.
pub(super) fn set_aside(folder: &Path) -> io::Result<()> {
    let aside = beside(folder, ".damaged");
    match fs::rename(folder, &aside) {
        // On a read-only medium it stays where it is; a second reader finds it gone.
        Err(error) if matches!(error.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::NotFound) => Ok(()),
        renamed => renamed,
    }
}

impl DiskFile for Generation {
    fn len(&self) -> io::Result<u64> {
        Ok(self.edges.as_ref().map_or(0, |edges| edges.bytes))
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let Some(edges) = &self.edges else { return Ok(0) };
        let trailer_at = edges.bytes.saturating_sub(TRAILER_BYTES as u64);
        if offset == trailer_at && into.len() == TRAILER_BYTES {
            into.copy_from_slice(&edges.trailer);
            return Ok(TRAILER_BYTES);
        }
        if offset == 0 && into.len() == HEADER_BYTES {
            into.copy_from_slice(&edges.head);
            return Ok(HEADER_BYTES);
        }
        self.read_values(offset, into)
    }

    fn write_at(&self, _: u64, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn allocate(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// It was durable before it had its name.
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Fills a new generation with a sealed segment and checks it; `None` if the segment has no seal.
pub(super) fn fill(segment: &dyn DiskFile, path: &Path, folder: &Path) -> io::Result<Option<Edges>> {
    let bytes = segment.len()?;
    let Some(data_end) = sealed_data_end(segment, path, bytes)? else { return Ok(None) };
    let (mut head, mut trailer) = ([0; HEADER_BYTES], [0; TRAILER_BYTES]);
    segment.read_at(0, &mut head)?;
    segment.read_at(bytes - TRAILER_BYTES as u64, &mut trailer)?;
    fs::create_dir_all(folder)?;
    let (values, crc) = write_values(segment, data_end, bytes, folder)?;
    let outside = folder.join(SLEDS_OUTSIDE);
    if outside.is_dir() && fs::read_dir(outside)?.next().is_some() {
        return Err(io::Error::other("sled has put values where it does not sync them"));
    }
    let edges = Edges { bytes, values, crc, head, trailer };
    edges.write(folder)?;
    sync(folder)?;
    let copy = beside(folder, ".counting");
    let counted = copy_files(folder, &copy).and_then(|()| count(&copy));
    fs::remove_dir_all(&copy)?;
    if counted? != (values, crc) {
        return Err(io::Error::other("sled did not give back what was written to it"));
    }
    Ok(Some(edges))
}

/// Makes the files of a generation durable, and their names.
fn sync(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::File::open(entry.path())?.sync_data()?;
        }
    }
    fs::File::open(folder)?.sync_all()
}

/// Writes all values; how many there are, and the checksum over them.
fn write_values(segment: &dyn DiskFile, data_end: u64, bytes: u64, folder: &Path) -> io::Result<(u64, u32)> {
    let database = open(folder).map_err(Refused::into_error)?;
    let (mut at, mut values, mut crc) = (0, 0, 0);
    let mut buffer = vec![0; VALUE_BYTES_MAX];
    while at < bytes {
        let left = match at {
            0 => HEADER_BYTES as u64,
            _ if at < data_end => frame_bytes(segment, at)?.unwrap_or(VALUE_BYTES_MAX as u64).min(data_end - at),
            _ => bytes - at,
        };
        let end = at + left;
        while at < end {
            let piece = &mut buffer[..usize::try_from(end - at).unwrap_or(usize::MAX).min(VALUE_BYTES_MAX)];
            if segment.read_at(at, piece)? < piece.len() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            guarded(|| database.insert(at.to_be_bytes(), &*piece).map(drop).map_err(Refused::from))
                .map_err(Refused::into_error)?;
            crc = crc32c::crc32c_append(crc, piece);
            (at, values) = (at + piece.len() as u64, values + 1);
        }
    }
    guarded(|| database.flush().map(drop).map_err(Refused::from)).map_err(Refused::into_error)?;
    close(database)?;
    Ok((values, crc))
}

/// Opens a generation again and reads all of it.
fn count(folder: &Path) -> io::Result<(u64, u32)> {
    let database = open(folder).map_err(Refused::into_error)?;
    let summed = guarded(|| {
        let (mut values, mut crc) = (0, 0);
        for entry in database.iter() {
            let (_, value) = entry?;
            (values, crc) = (values + 1, crc32c::crc32c_append(crc, &value));
        }
        Ok((values, crc))
    });
    close(database)?;
    summed.map_err(Refused::into_error)
}

/// Copies from the values that hold `offset` and what follows.
///
/// Goes forwards only, from as far before as a value may reach: for the way back sled brings a key of a mebibyte along.
fn copy(database: &sled::Db, offset: u64, into: &mut [u8]) -> Result<usize, Refused> {
    let begins_after = offset.saturating_sub(VALUE_BYTES_MAX as u64);
    let mut done = 0;
    for entry in database.range(begins_after.to_be_bytes()..) {
        let (key, value) = entry?;
        let at = key.as_ref().try_into().map(u64::from_be_bytes).map_err(|_| Refused::Damage)?;
        let Some(skip) = (offset + done as u64).checked_sub(at) else { break };
        let from = usize::try_from(skip).ok().and_then(|skip| value.get(skip..)).unwrap_or_default();
        let bytes = from.len().min(into.len() - done);
        into[done..done + bytes].copy_from_slice(&from[..bytes]);
        done += bytes;
        if done == into.len() {
            break;
        }
    }
    Ok(done)
}

fn open(folder: &Path) -> Result<sled::Db, Refused> {
    let config = sled::Config::new().path(folder).cache_capacity(CACHE_BYTES).flush_every_ms(None);
    guarded(|| config.open().map_err(Refused::from))
}

fn close(database: sled::Db) -> io::Result<()> {
    guarded(|| {
        drop(database);
        Ok(())
    })
    .map_err(Refused::into_error)
}

/// Whatever sled does inside, the store goes on.
fn guarded<T>(work: impl FnOnce() -> Result<T, Refused>) -> Result<T, Refused> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_: Box<dyn Any + Send>| Err(Refused::Damage))
}

impl From<sled::Error> for Refused {
    fn from(error: sled::Error) -> Self {
        match error {
            // A file that ends too early is damage, whoever says so.
            sled::Error::Io(error) if error.kind() != io::ErrorKind::UnexpectedEof => Self::Environment(error),
            _ => Self::Damage,
        }
    }
}

impl Refused {
    fn into_error(self) -> io::Error {
        match self {
            Self::Environment(error) => error,
            Self::Damage => io::Error::other("sled could not do it"),
        }
    }
}
