//! The audit trail: an append-only file of JSON lines, each chained to the one before it by a hash.
//!
//! ```text
//! BUFFER/commands/000001.jsonl
//! {"n":1,"file":1,"after":"0000…","chain":"9f3c…"}                 begins a file: what the last one ended with
//! {"n":2,"time":"…","event":"begun",…,"chain":"51d0…"}             chain = SHA-256(chain before, line up to `,"chain"`)
//! ```
//! A file is begun when the last one is full; the oldest goes when there are too many. A line that a crash cut short is cut
//! off at the next start: nothing was done that only it tells of, because a command is executed when its line is on disk.
//! A line that was changed, or is missing between others, breaks the chain. That lines are missing at the end shows only
//! beside a chain value that was kept elsewhere, such as the one that `verify` prints.

mod chain;
mod verify;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Json, json};

use chain::{Link, sealed};
pub use verify::{Broken, Found, Verified, verify};

/// How many files the trail is kept in.
pub const FILES_MAX: u32 = 16;

/// The longest line, bytes: a command of the largest size, every character of it escaped, with all that is told of it.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// An audit trail that is written.
#[derive(Debug)]
pub struct Trail {
    folder: PathBuf,
    file_bytes_max: u64,
    open: Option<Open>,
    /// Where the chain stands.
    link: Link,
    /// The number of the last file; 0 before the first.
    number: u32,
}

#[derive(Debug)]
struct Open {
    file: File,
    size: u64,
}

impl Trail {
    /// The trail in a folder, which need not exist yet, of at most so many bytes. `each` is given the records of the last
    /// two files in their order.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn open(folder: &Path, bytes_max: u64, each: &mut dyn FnMut(&Json)) -> io::Result<Trail> {
        let numbers = numbers(folder)?;
        let recent = &numbers[numbers.len().saturating_sub(2)..];
        let mut trail = Trail {
            folder: folder.into(),
            file_bytes_max: bytes_max / u64::from(FILES_MAX),
            open: None,
            link: Link::default(),
            number: numbers.last().copied().unwrap_or(0),
        };
        for number in recent {
            trail.take_up(*number, each)?;
        }
        Ok(trail)
    }

    /// Reads a file and goes on after it, if it is whole but for a line that was cut short.
    fn take_up(&mut self, number: u32, each: &mut dyn FnMut(&Json)) -> io::Result<()> {
        let path = path_of(&self.folder, number);
        let mut whole_bytes = 0;
        let found = verify::lines(&path, &mut |line, link, record| {
            whole_bytes += line;
            self.link = link;
            each(record);
        })?;
        self.open = None;
        if number != self.number || found == verify::Ended::Broken {
            return Ok(());
        }
        let file = OpenOptions::new().append(true).open(&path)?;
        if found == verify::Ended::CutShort {
            file.set_len(whole_bytes)?;
            file.sync_all()?;
        }
        self.open = Some(Open { file, size: whole_bytes });
        Ok(())
    }

    /// Adds a record; it is on disk after [`Trail::sync`].
    ///
    /// # Errors
    /// The disk refuses. The trail has to be opened again: what was written of the line is cut off then.
    pub fn append(&mut self, record: &Map<String, Json>) -> io::Result<()> {
        if self.open.as_ref().is_none_or(|open| open.size >= self.file_bytes_max) {
            self.begin_file()?;
        }
        self.write(record)
    }

    /// Makes what was added durable.
    ///
    /// # Errors
    /// The disk refuses. The trail has to be opened again.
    pub fn sync(&mut self) -> io::Result<()> {
        self.open.as_ref().map_or(Ok(()), |open| open.file.sync_data())
    }

    fn write(&mut self, record: &Map<String, Json>) -> io::Result<()> {
        let (line, link) = sealed(record, &self.link);
        let Some(open) = &mut self.open else { return Err(io::Error::other("the audit trail has no file")) };
        open.file.write_all(line.as_bytes())?;
        open.size += line.len() as u64;
        self.link = link;
        Ok(())
    }

    fn begin_file(&mut self) -> io::Result<()> {
        self.sync()?;
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let number = self.number + 1;
        let path = path_of(&self.folder, number);
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)?;
        (self.open, self.number) = (Some(Open { file, size: 0 }), number);
        let mut header = Map::new();
        header.insert("file".into(), json!(number));
        header.insert("after".into(), json!(self.link.hex()));
        self.write(&header)?;
        self.sync()?;
        self.drop_oldest()?;
        File::open(&self.folder)?.sync_all()
    }

    fn drop_oldest(&self) -> io::Result<()> {
        let numbers = numbers(&self.folder)?;
        let too_many = numbers.len().saturating_sub(FILES_MAX as usize);
        numbers[..too_many].iter().try_for_each(|number| fs::remove_file(path_of(&self.folder, *number)))
    }
}

/// The folder of the trail in a buffer's folder.
pub fn folder_in(buffer: &Path) -> PathBuf {
    buffer.join("commands")
}

fn path_of(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("{number:06}.jsonl"))
}

/// The numbers of the files, sorted.
fn numbers(folder: &Path) -> io::Result<Vec<u32>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        numbers.extend(name.to_str().and_then(|name| name.strip_suffix(".jsonl")?.parse::<u32>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

#[cfg(test)]
mod tests;
