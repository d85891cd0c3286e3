//! The ledger: where each uplink stands and what was lost, in a small file of records beside the segments.
//!
//! A *generation* is one file: a head, a snapshot of all that is known, then one record for each change. A new one is
//! begun when the file has grown or can no longer be written; the one before stays until the new one is durable, and
//! all that lie there are read in turn, so a torn or missing last one only takes back what was not synced.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::append::pages;
use super::frame::LEDGER_CLASS;
use super::gaps::Gaps;
use super::record::Record;
use super::segment::{HEADER_BYTES, Header};
use super::walk::{WINDOW_BYTES_MAX, Walker};
use crate::block::Seq;
use crate::cursor::Cursor;
use crate::disk::{Disk, DiskFile};
use crate::error::{Error, Result};

/// A generation that has grown by this many bytes is followed by a new one.
const GROWTH_BYTES_MAX: u64 = 256 * 1024;

/// The highest generation that is taken from a name, so that there is always a next one.
const GENERATION_MAX: u64 = 1 << 62;

/// What the ledger remembers.
#[derive(Debug)]
pub(super) struct Book {
    pub(super) next_seq: Seq,
    pub(super) cursors: BTreeMap<String, Cursor>,
    pub(super) gaps: Gaps,
    /// A sync failed: the blocks from here on must be written again.
    pub(super) doubt: Option<Seq>,
}

impl Book {
    pub(super) fn new() -> Self {
        Self { next_seq: 1, cursors: BTreeMap::new(), gaps: Gaps::default(), doubt: None }
    }

    /// The lowest watermark of all uplinks: everything below is acknowledged by each; 0 without uplinks.
    pub(super) fn floor(&self) -> Seq {
        self.cursors.values().map(Cursor::low).min().unwrap_or(0)
    }

    fn apply(&mut self, record: Record) {
        match record {
            Record::Counters { next_seq } => self.next_seq = self.next_seq.max(next_seq),
            Record::Cursor { uplink, cursor } => drop(self.cursors.insert(uplink, cursor)),
            Record::Gap(gap) => drop(self.gaps.add(&gap)),
            Record::Forget { uplink } => drop(self.cursors.remove(&uplink)),
            Record::Doubt { from } => self.doubt = (from > 0).then_some(from),
        }
    }

    fn snapshot(&self) -> impl Iterator<Item = Record> {
        let cursors = self
            .cursors
            .iter()
            .map(|(uplink, cursor)| Record::Cursor { uplink: uplink.clone(), cursor: cursor.clone() });
        let gaps = self.gaps.iter().cloned().map(Record::Gap);
        let doubt = Record::Doubt { from: self.doubt.unwrap_or(0) };
        [Record::Counters { next_seq: self.next_seq }, doubt].into_iter().chain(cursors).chain(gaps)
    }
}

/// The files of a ledger as they were found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) generations: Vec<u64>,
    pub(super) headers: Vec<Header>,
}

/// The generation that is being written.
struct Current {
    number: u64,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    bytes: u64,
    /// Of these, those that a sync was begun for.
    synced_bytes: u64,
    snapshot_bytes: u64,
}

/// The ledger, open for writing.
pub(super) struct Ledger {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    header: Header,
    current: Option<Current>,
    /// Something is known that is not in the current generation: begin a new one.
    behind: bool,
    /// The current generation has been synced at least once.
    durable: bool,
    dirty: bool,
    /// Generations that a power cut would fall back to.
    kept: Vec<u64>,
    /// Generations to be removed.
    junk: Vec<u64>,
    written_bytes: u64,
}

impl Ledger {
    /// A ledger whose next generation follows those in `found`.
    pub(super) fn new(disk: Arc<dyn Disk>, dir: &Path, header: Header, found: Found) -> Self {
        let number = found.generations.iter().copied().max().unwrap_or(0);
        Self {
            disk,
            dir: dir.to_owned(),
            header: Header { class: LEDGER_CLASS, number, ..header },
            current: None,
            behind: true,
            durable: false,
            dirty: false,
            kept: found.generations,
            junk: Vec::new(),
            written_bytes: 0,
        }
    }

    /// Adds `record`, which `book` already reflects.
    pub(super) fn add(&mut self, book: &Book, record: &Record) -> Result<()> {
        let Some(current) = self.current.as_mut().filter(|_| !self.behind) else { return self.catch_up(book) };
        if current.bytes > current.snapshot_bytes + GROWTH_BYTES_MAX {
            return self.begin_generation(book);
        }
        let mut bytes = Vec::with_capacity(256);
        record.encode(self.header.epoch, self.header.salt, &mut bytes);
        if let Err(error) = current.file.write_at(current.bytes, &bytes) {
            self.behind = true;
            return Err(Error::environment("write", &current.path, error));
        }
        current.bytes += bytes.len() as u64;
        self.written_bytes += bytes.len() as u64;
        self.dirty = true;
        Ok(())
    }

    /// Writes what could not be written before, if there is any.
    pub(super) fn catch_up(&mut self, book: &Book) -> Result<()> {
        if self.behind { self.begin_generation(book) } else { Ok(()) }
    }

    /// The current file is not to be trusted any more.
    pub(super) fn distrust(&mut self) {
        self.behind = true;
    }

    /// The file to be synced, if it holds anything that is not; what follows counts as unsynced again.
    /// With it the bytes of the pages that this takes along.
    pub(super) fn begin_sync(&mut self) -> Option<(PathBuf, Arc<dyn DiskFile>, u64)> {
        let current = self.current.as_mut().filter(|_| self.dirty)?;
        self.dirty = false;
        let from = std::mem::replace(&mut current.synced_bytes, current.bytes);
        Some((current.path.clone(), Arc::clone(&current.file), pages(from, current.bytes)))
    }

    /// Whether the current generation is there after a power cut, with all that was synced of it.
    pub(super) fn is_durable(&self) -> bool {
        self.durable
    }

    /// The number of the current generation; 0 if there is none.
    pub(super) fn generation(&self) -> u64 {
        self.current.as_ref().map_or(0, |current| current.number)
    }

    /// Generation `number` is durable: if it is the current one, those before it are no longer needed.
    pub(super) fn synced(&mut self, number: u64) {
        if self.current.is_some() && self.generation() == number {
            self.durable = true;
            self.junk.append(&mut self.kept);
            self.remove_junk();
        }
    }

    /// Bytes of the current file.
    pub(super) fn bytes(&self) -> u64 {
        self.current.as_ref().map_or(0, |current| current.bytes)
    }

    /// Bytes written since open.
    pub(super) fn written_bytes(&self) -> u64 {
        self.written_bytes
    }

    fn begin_generation(&mut self, book: &Book) -> Result<()> {
        self.behind = true;
        self.header.number += 1;
        let path = path(&self.dir, self.header.number);
        let file = self.disk.create(&path).map_err(|error| Error::environment("create", &path, error))?;
        let mut bytes = self.header.encode().to_vec();
        for record in book.snapshot() {
            record.encode(self.header.epoch, self.header.salt, &mut bytes);
        }
        if let Err(error) = file.write_at(0, &bytes) {
            self.junk.push(self.header.number);
            self.remove_junk();
            return Err(Error::environment("write", &path, error));
        }
        if let Some(before) = self.current.take() {
            let list = if self.durable { &mut self.kept } else { &mut self.junk };
            list.push(before.number);
        }
        let bytes = bytes.len() as u64;
        let number = self.header.number;
        self.current = Some(Current { number, path, file, bytes, synced_bytes: 0, snapshot_bytes: bytes });
        self.written_bytes += bytes;
        (self.behind, self.durable, self.dirty) = (false, false, true);
        self.remove_junk();
        Ok(())
    }

    /// Removes what is no longer needed; what cannot be removed now is tried again the next time.
    fn remove_junk(&mut self) {
        let (disk, dir) = (&self.disk, &self.dir);
        self.junk.retain(|number| match disk.remove(&path(dir, *number)) {
            Ok(()) => false,
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        });
    }
}

/// Looks which generations there are and reads their heads.
pub(super) fn find(disk: &dyn Disk, dir: &Path) -> Result<Found> {
    let names = disk.list(dir).map_err(|error| Error::environment("list", dir, error))?;
    let mut generations: Vec<u64> = names.iter().filter_map(|name| parse_name(name)).collect();
    generations.sort_unstable();
    let mut headers = Vec::new();
    for number in &generations {
        let mut head = [0; HEADER_BYTES];
        let path = path(dir, *number);
        let got = open(disk, &path)?.read_at(0, &mut head).map_err(|error| Error::environment("read", &path, error))?;
        headers.extend(Header::decode(&head[..got]));
    }
    Ok(Found { generations, headers })
}

/// Reads all generations in turn. Records that are damaged are passed over.
pub(super) fn load(disk: &dyn Disk, dir: &Path, found: &Found, salt: u32) -> Result<Book> {
    let mut book = Book::new();
    for number in &found.generations {
        let header = found.headers.iter().find(|header| header.number == *number);
        let path = path(dir, *number);
        let file = open(disk, &path)?;
        let failed = |error| Error::environment("read", &path, error);
        let end = file.len().map_err(failed)?;
        let salt = header.map_or(salt, |header| header.salt);
        let mut walker = Walker::new(&*file, salt, HEADER_BYTES as u64, end, WINDOW_BYTES_MAX);
        while let Some(record) = walker.next(|envelope| envelope.class == LEDGER_CLASS).map_err(failed)? {
            if let Some(record) = Record::decode(record.envelope.meta.codec, &record.payload) {
                book.apply(record);
            }
        }
    }
    Ok(book)
}

fn open(disk: &dyn Disk, path: &Path) -> Result<Arc<dyn DiskFile>> {
    disk.open(path).map_err(|error| Error::environment("open", path, error))
}

/// The path of a generation.
pub(super) fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("ledger-{number:010}"))
}

/// The generation that a file name says; `None` if it is not a ledger's.
fn parse_name(name: &str) -> Option<u64> {
    let number = name.strip_prefix("ledger-")?.parse().ok()?;
    (number <= GENERATION_MAX && path(Path::new(""), number) == Path::new(name)).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_paths_and_back_and_a_copy_beside_them_is_none() {
        for number in [1, GENERATION_MAX] {
            let path = path(Path::new("d"), number);
            assert_eq!(path.file_name().and_then(|name| name.to_str()).and_then(parse_name), Some(number));
        }
        for wrong in ["ledger-1", "ledger-+000000001", "ledger-0000000001~", "ledger-18446744073709551615", "ledger-"] {
            assert_eq!(parse_name(wrong), None, "{wrong}");
        }
    }
}
