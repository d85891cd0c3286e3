//! Reading a trail: whether every line is what was written, and follows the one before it.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::chain::{Link, unsealed};
use super::{LINE_BYTES_MAX, numbers, path_of};

/// What a whole trail was found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// How many files it has.
    pub files: usize,
    /// How many records, those that begin files included.
    pub records: u64,
    /// The number of its first record; 1 unless older files have been dropped.
    pub first: u64,
    /// The hash at its end, as hexadecimal.
    pub head: String,
    /// Whether the chain value that was looked for stands in it.
    pub found: Found,
    /// Where it is broken.
    pub broken: Vec<Broken>,
}

/// Whether a chain value was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It stands there.
    There,
    /// It does not, or none was looked for.
    Nowhere,
}

/// A place where the chain is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: u64,
    /// What is wrong there.
    pub what: &'static str,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.what)
    }
}

/// How a file ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// Every line is what was written.
    Whole,
    /// The last one was cut short.
    CutShort,
    /// One is not what was written; the lines after it were not looked at.
    Broken,
}

/// Reads all files in their order; `each` is given every record that is what was written. `looked_for` is a chain value
/// that was kept elsewhere.
///
/// # Errors
/// The disk refuses.
pub fn verify(folder: &Path, looked_for: Option<&str>, each: &mut dyn FnMut(&Json)) -> io::Result<Verified> {
    let numbers = numbers(folder)?;
    let mut verified = Verified {
        files: numbers.len(),
        records: 0,
        first: 0,
        head: Link::default().hex(),
        found: Found::Nowhere,
        broken: Vec::new(),
    };
    let mut before: Option<(u32, Link)> = None;
    for number in numbers {
        let file = path_of(folder, number);
        let (mut lines_read, mut last, mut begins) = (0, None, None);
        let ended = lines(&file, &mut |_, link, record| {
            if lines_read == 0 {
                begins = Link::from_hex(link.n - 1, record["after"].as_str().unwrap_or_default());
                verified.first = if verified.records == 0 { link.n } else { verified.first };
            }
            lines_read += 1;
            verified.records += 1;
            if looked_for.is_some_and(|hex| hex.eq_ignore_ascii_case(&link.hex())) {
                verified.found = Found::There;
            }
            last = Some(link);
            each(record);
        })?;
        let broken = |line, what| Broken { file: file.clone(), line, what };
        if let (Some((number_before, link)), Some(begins)) = (before, begins)
            && (number_before + 1 != number || link != begins)
        {
            verified.broken.push(broken(1, "what came before this file is missing or was changed"));
        }
        match ended {
            Ended::Whole => {}
            Ended::CutShort => verified.broken.push(broken(lines_read + 1, "the line was cut short")),
            Ended::Broken => {
                verified
                    .broken
                    .push(broken(lines_read + 1, "the line is not what was written, or one before it is missing"));
            }
        }
        if let Some(link) = last {
            verified.head = link.hex();
            before = Some((number, link));
        }
    }
    Ok(verified)
}

/// Gives the lines of a file for as long as they follow each other, with their bytes, the link after each, and the record.
pub(super) fn lines(path: &Path, each: &mut dyn FnMut(u64, Link, &Json)) -> io::Result<Ended> {
    let mut reader = BufReader::new(File::open(path)?);
    let (mut line, mut before) = (Vec::new(), None);
    loop {
        line.clear();
        reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        let Some((end, text)) = line.split_last() else { return Ok(Ended::Whole) };
        if *end != b'\n' {
            return Ok(if line.len() as u64 == LINE_BYTES_MAX { Ended::Broken } else { Ended::CutShort });
        }
        let read = std::str::from_utf8(text).ok().and_then(|text| unsealed(text, before.as_ref()));
        let Some((record, link)) = read else { return Ok(Ended::Broken) };
        each(line.len() as u64, link, &record);
        before = Some(link);
    }
}
