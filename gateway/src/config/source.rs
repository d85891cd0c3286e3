//! The text of a configuration file, and places in it.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;

/// The largest file that is read, bytes: a million tags, generously written.
const FILE_BYTES_MAX: u64 = 128 << 20;

const BYTE_ORDER_MARK: char = '\u{feff}';

/// A part of the source by its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span {
    /// The first byte.
    pub start: u32,
    /// The byte after the last one.
    pub end: u32,
}

/// A value and where it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spanned<T> {
    /// What was understood.
    pub(super) value: T,
    /// Where it stands.
    pub(super) span: Span,
}

/// A place as editors count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The character within the line, from 1.
    pub column: usize,
}

/// The text of a file with its name; copies share it.
#[derive(Debug, Clone)]
pub struct Source {
    name: Arc<str>,
    /// As it was read: a text of a hundred thousand tags is not copied.
    text: Arc<String>,
    line_starts: Arc<[u32]>,
}

impl Source {
    /// A text that bears this name in messages.
    pub fn new(name: &str, text: &str) -> Source {
        Source::owning(name, text.into())
    }

    fn owning(name: &str, mut text: String) -> Source {
        if text.starts_with(BYTE_ORDER_MARK) {
            text.remove(0);
        }
        let ends = text.bytes().zip(1..).filter(|(byte, _)| *byte == b'\n').map(|(_, next)| next);
        let line_starts = std::iter::once(0).chain(ends).collect();
        Source { name: name.into(), text: text.into(), line_starts }
    }

    /// Reads a file. The error is for the operator.
    pub fn read(path: &Path) -> Result<Source, String> {
        let shown = path.display();
        let failed = |cause: std::io::Error| match cause.kind() {
            ErrorKind::NotFound => format!("there is no file {shown}; `forebay sample` prints one to begin with"),
            _ => format!("cannot read {shown}: {cause}"),
        };
        let mut bytes = Vec::new();
        File::open(path).map_err(failed)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(format!("{shown} is longer than {} MiB; is it a configuration?", FILE_BYTES_MAX >> 20));
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Source::owning(&shown.to_string(), text)),
            Err(error) => {
                let until = error.utf8_error().valid_up_to();
                let line = 1 + error.as_bytes()[..until].iter().filter(|byte| **byte == b'\n').count();
                Err(format!("{shown}:{line}: the file is not UTF-8; save it as UTF-8 and try again"))
            }
        }
    }

    /// The file's name as it was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole text, without a byte order mark.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text of a part; empty where there is none.
    pub fn part(&self, span: Span) -> &str {
        self.text.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// The line of a byte, counted from 0, and where it starts.
    pub(super) fn line_of(&self, offset: u32) -> (usize, u32) {
        let index = self.line_starts.partition_point(|start| *start <= offset).saturating_sub(1);
        (index, self.line_starts[index])
    }

    /// The part that a line takes, without its end.
    pub(super) fn line_span(&self, index: usize) -> Span {
        let start = self.line_starts[index];
        let end = self.line_starts.get(index + 1).copied().unwrap_or(self.text.len() as u32);
        let trimmed = self.part(Span { start, end }).trim_end_matches(['\n', '\r']).len() as u32;
        Span { start, end: start + trimmed }
    }

    /// Where a byte stands, as editors count.
    pub fn position(&self, offset: u32) -> Position {
        let (index, start) = self.line_of(offset);
        let column = self.part(Span { start, end: offset }).chars().count() + 1;
        Position { line: index + 1, column }
    }
}

impl Span {
    /// The part of this text between two of its bytes.
    pub(super) fn within(self, range: std::ops::Range<usize>) -> Span {
        let clamp =
            |offset: usize| u32::try_from(offset).map_or(self.end, |offset| (self.start + offset).min(self.end));
        Span { start: clamp(range.start), end: clamp(range.end) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_characters() {
        let source = Source::new("x", "\u{feff}a: °C\r\nbb: x\n");
        assert_eq!(source.position(0), Position { line: 1, column: 1 });
        assert_eq!(source.position(5), Position { line: 1, column: 5 });
        assert_eq!(source.position(8), Position { line: 2, column: 1 });
        assert_eq!(source.part(source.line_span(0)), "a: °C");
        assert_eq!(source.position(99), Position { line: 3, column: 1 });
    }

    #[test]
    fn a_file_that_is_not_utf_8_is_refused_with_its_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("gateway.yaml");
        std::fs::write(&path, b"gateway: a\nunit: \xb0C\n").expect("writes");
        let error = Source::read(&path).expect_err("Latin-1");
        assert!(error.contains("gateway.yaml:2: the file is not UTF-8"), "{error}");
    }
}
