//! What a producer must know after a kill: which records it sent under which sequences. A file beside the log.
//!
//! ```text
//! file:  magic | entries …        entry: length u32 | crc-32c u32 | body
//! body:  kind u8 | fields as varints and strings        (see `entry`)
//! ```
//!
//! An intent is written before its batch leaves, without waiting for the disk: what was written survives the death of the
//! process. After a power cut the end of the file may be missing. That is why the boot's id stands in it, and why after
//! another boot nothing in it is trusted but where to read the partitions from. What must not be lost in a power cut, that
//! a partition is produced to at all and that an epoch was raised, is synced.
//!
//! It stands beside the log and not in it: the log's blocks are what the uplinks share, and the identity of a record
//! (epoch and seq) holds whether one of the two is cut shorter than the other or not.

mod entry;
mod memory;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

pub use self::entry::{Entry, Mark, StreamKey};
pub use self::memory::{Memory, OpenIntent, StreamMemory, advance};
use crate::uplink::file_of;

const MAGIC: &[u8; 8] = b"fbkafka1";

/// Bytes before the body of an entry.
const FRAME_BYTES: usize = 8;

/// An entry is never larger: a batch has at most some thousand records.
const ENTRY_BYTES_MAX: usize = 4 << 20;

/// The file is written anew, without what the log knows to be delivered, when it has grown by this much, bytes.
const GROWTH_BYTES_MAX: u64 = 2 << 20;

/// The file of one uplink.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    bytes: u64,
    /// What it had when it was last written anew.
    bytes_anew: u64,
    out: Vec<u8>,
}

impl Journal {
    /// Opens the file of an uplink, which may not be there yet, and tells what it remembers. `boot` is this boot's id.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn open(folder: &Path, uplink: &str, boot: &str) -> io::Result<(Journal, Memory)> {
        fs::create_dir_all(folder)?;
        let path = file_of(folder, uplink, "kafka");
        let mut memory = match fs::read(&path) {
            Ok(bytes) => remembered(&bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Memory::default(),
            Err(error) => return Err(error),
        };
        memory.is_whole &= memory.boot.as_deref() == Some(boot);
        if !memory.is_whole {
            memory.doubt_everything();
        }
        memory.boot = Some(boot.into());
        let journal = Journal::write_anew(path, &memory)?;
        Ok((journal, memory))
    }

    /// Appends entries as one write, without waiting for the disk.
    ///
    /// # Errors
    /// The disk refuses; nothing that was to be told by them may leave.
    pub fn append(&mut self, entries: &[Entry]) -> io::Result<()> {
        self.out.clear();
        for entry in entries {
            frame(entry, &mut self.out);
        }
        if let Err(error) = self.file.write_all(&self.out) {
            // What comes later must not stand behind half an entry. Where this fails, too, the file reads as not whole.
            self.file.set_len(self.bytes)?;
            return Err(error);
        }
        self.bytes += self.out.len() as u64;
        Ok(())
    }

    /// Waits until what was appended is on the disk.
    ///
    /// # Errors
    /// The disk refuses; the file has to be written anew.
    pub fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Whether it has grown so much that it should be written anew.
    pub fn is_long(&self) -> bool {
        self.bytes > self.bytes_anew.saturating_mul(2) + GROWTH_BYTES_MAX
    }

    /// Writes the file anew without marks for which `delivered` holds: the log will not hand those records out again.
    ///
    /// # Errors
    /// The disk refuses; the old file stays.
    pub fn shorten(&mut self, delivered: impl Fn(&Mark) -> bool) -> io::Result<()> {
        let mut bytes = Vec::new();
        File::open(&self.path)?.read_to_end(&mut bytes)?;
        let mut memory = remembered(&bytes);
        if !memory.is_whole {
            memory.doubt_everything();
        }
        memory.done.retain(|mark| !delivered(mark));
        *self = Journal::write_anew(self.path.clone(), &memory)?;
        Ok(())
    }

    /// The file is replaced as a whole or not at all.
    fn write_anew(path: PathBuf, memory: &Memory) -> io::Result<Journal> {
        use std::os::unix::fs::OpenOptionsExt;
        let half = path.with_extension("half");
        match fs::remove_file(&half) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(&half)?;
        let mut out = MAGIC.to_vec();
        for entry in memory.entries() {
            frame(&entry, &mut out);
        }
        file.write_all(&out)?;
        file.sync_all()?;
        fs::rename(&half, &path)?;
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
        let bytes = out.len() as u64;
        Ok(Journal { path, file, bytes, bytes_anew: bytes, out: Vec::new() })
    }
}

fn frame(entry: &Entry, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; FRAME_BYTES]);
    entry.write(out);
    let body = &out[start + FRAME_BYTES..];
    let (length, crc) = (body.len() as u32, crc32c::crc32c(body));
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..start + FRAME_BYTES].copy_from_slice(&crc.to_le_bytes());
}

/// What a file says. At the first thing that cannot be read it ends, and is not whole.
pub fn remembered(bytes: &[u8]) -> Memory {
    let mut memory = Memory::default();
    let Some(mut rest) = bytes.strip_prefix(MAGIC) else {
        memory.is_whole = bytes.is_empty();
        return memory;
    };
    while !rest.is_empty() {
        match next(rest) {
            Some((entry, size)) => {
                memory.take(entry);
                rest = &rest[size..];
            }
            None => {
                memory.is_whole = false;
                break;
            }
        }
    }
    memory
}

fn next(bytes: &[u8]) -> Option<(Entry, usize)> {
    let length = u32::from_le_bytes(*bytes.first_chunk::<4>()?) as usize;
    let crc = u32::from_le_bytes(*bytes.get(4..)?.first_chunk::<4>()?);
    let body = bytes.get(FRAME_BYTES..FRAME_BYTES + length).filter(|_| length <= ENTRY_BYTES_MAX)?;
    if crc32c::crc32c(body) != crc {
        return None;
    }
    Some((Entry::read(body)?, FRAME_BYTES + length))
}

#[cfg(test)]
mod tests;
