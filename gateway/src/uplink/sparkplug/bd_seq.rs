//! The number of the edge node's session, kept on disk: a death bears the number of the birth that it ends.
//!
//! ```text
//! UPLINK.bdseq    the number of the last session, in decimal, and a line's end
//! ```

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::uplink::file_of;

/// Where the number is kept; nowhere while there is no gateway around.
#[derive(Debug, Clone)]
pub(in crate::uplink) struct BdSeq {
    path: Option<PathBuf>,
    last: Option<u8>,
}

impl BdSeq {
    /// The number of the uplink `uplink` in this folder.
    pub(super) fn within(folder: Option<&Path>, uplink: &str) -> BdSeq {
        BdSeq { path: folder.map(|folder| file_of(folder, uplink, "bdseq")), last: None }
    }

    /// The number of the next session, written down before it is used. Waits for the disk.
    ///
    /// # Errors
    /// The disk refuses; the number goes on all the same, from the last that is known.
    pub(in crate::uplink) fn next(&mut self) -> (u8, io::Result<()>) {
        let last = self.last.or_else(|| self.path.as_deref().and_then(read));
        let next = last.map_or(0, |last| last.wrapping_add(1));
        self.last = Some(next);
        (next, self.path.as_deref().map_or(Ok(()), |path| write(path, next)))
    }
}

/// A damaged file is as none: the next birth begins a new row of numbers.
fn read(path: &Path) -> Option<u8> {
    fs::read_to_string(path).ok()?.trim_end().parse().ok()
}

/// The whole file or none of it, whatever happens meanwhile.
fn write(path: &Path, number: u8) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let half = path.with_extension("half");
    let mut file = File::create(&half)?;
    writeln!(file, "{number}")?;
    file.sync_all()?;
    fs::rename(&half, path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_goes_on_across_restarts_and_begins_anew_after_255() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = || BdSeq::within(Some(folder.path()), "cl/oud");
        let mut first = at();
        assert_eq!([first.next().0, first.next().0], [0, 1]);
        let mut second = at();
        assert_eq!(second.next().0, 2);
        let file = file_of(folder.path(), "cl/oud", "bdseq");
        fs::write(&file, "255\n").expect("writes");
        assert_eq!(at().next().0, 0);
        fs::write(&file, "nonsense").expect("writes");
        assert_eq!(at().next().0, 0);
    }

    #[test]
    fn a_disk_that_refuses_is_told_and_stops_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        fs::write(&file, "").expect("writes");
        let mut number = BdSeq::within(Some(&file), "cloud");
        let (first, outcome) = number.next();
        assert!(first == 0 && outcome.is_err());
        assert_eq!(number.next().0, 1);
        assert_eq!(BdSeq::within(None, "cloud").next().0, 0);
    }
}
