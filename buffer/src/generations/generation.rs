//! One generation: filling it, and reading it as if it were the segment that it was made of.

use std::any::Any;
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::edges::Edges;
use crate::disk::DiskFile;
use crate::log::{HEADER_BYTES, TRAILER_BYTES, frame_bytes, sealed_data_end};

/// Longest value, bytes.
const VALUE_BYTES_MAX: usize = 4096;

/// What sled may keep in memory of each open generation.
const CACHE_BYTES: u64 = 1024 * 1024;

/// The pieces in which sled takes space; its own choice of 512 KiB would waste half of a small generation.
const SEGMENT_BYTES: usize = 64 * 1024;

/// The end of the names of sled's own unfinished files, which make it refuse to open.
const SLEDS_UNFINISHED: &str = "generating";

/// A generation, opened when it is first read.
pub(super) struct Generation {
    folder: PathBuf,
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
        Ok(Self { folder: folder.to_owned(), edges, database })
    }

    /// Reads from the database. What sled cannot read is damage from then on.
    fn read_values(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut database = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let read = match &*database {
            Database::Damaged => return Ok(0),
            Database::Open(open) => guarded(|| copy(open, offset, into)),
            Database::NotYet => open(&self.folder).and_then(|open| {
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
}

/// Keeps a damaged generation for whoever wants to look into it.
pub(super) fn set_aside(folder: &Path) -> io::Result<()> {
    let mut aside = folder.to_owned().into_os_string();
    aside.push(".damaged");
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
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::File::open(entry.path())?.sync_data()?;
        }
    }
    let edges = Edges { bytes, values, crc, head, trailer };
    edges.write(folder)?;
    fs::File::open(folder)?.sync_all()?;
    if count(folder)? != (values, crc) {
        return Err(io::Error::other("sled did not give back what was written to it"));
    }
    Ok(Some(edges))
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
fn copy(database: &sled::Db, offset: u64, into: &mut [u8]) -> Result<usize, Refused> {
    let first = database.range(..=offset.to_be_bytes()).next_back().transpose()?;
    let Some(start) = first.and_then(|(key, _)| key.as_ref().try_into().ok().map(u64::from_be_bytes)) else {
        return Ok(0);
    };
    let (mut done, mut expected) = (0, start);
    for entry in database.range(start.to_be_bytes()..) {
        let (key, value) = entry?;
        let at = key.as_ref().try_into().map(u64::from_be_bytes).map_err(|_| Refused::Damage)?;
        if at != expected || done == into.len() {
            break;
        }
        expected = at + value.len() as u64;
        let skip = usize::try_from(offset.saturating_sub(at)).unwrap_or(usize::MAX);
        let Some(from) = value.get(skip..) else { break };
        let bytes = from.len().min(into.len() - done);
        into[done..done + bytes].copy_from_slice(&from[..bytes]);
        done += bytes;
    }
    Ok(done)
}

fn open(folder: &Path) -> Result<sled::Db, Refused> {
    for entry in fs::read_dir(folder).map_err(Refused::Environment)? {
        let path = entry.map_err(Refused::Environment)?.path();
        if path.extension().is_some_and(|ending| ending == SLEDS_UNFINISHED) {
            fs::remove_file(path).map_err(Refused::Environment)?;
        }
    }
    let config = sled::Config::new().path(folder).cache_capacity(CACHE_BYTES).flush_every_ms(None);
    let config = config.segment_size(SEGMENT_BYTES);
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
