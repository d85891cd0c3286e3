//! Where the live lane has leapt to, in a file beside the log: what it left out stays history after a restart.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use buffer::Seq;

use crate::uplink::file_of;

/// The file of one uplink.
#[derive(Debug, Clone)]
pub struct Leap {
    path: PathBuf,
}

impl Leap {
    /// That of an uplink in the folder of a buffer.
    pub fn beside(buffer: &Path, uplink: &str) -> Leap {
        Leap { path: file_of(&buffer.join("uplinks"), uplink, "leap") }
    }

    /// From which seq on the live lane went; 0 where it never leapt, or nobody can tell any more.
    pub(super) fn to(&self) -> Seq {
        fs::read_to_string(&self.path).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
    }

    /// Remembers a leap across a kill; it is not waited for the disk.
    ///
    /// # Errors
    /// The disk refuses.
    pub(super) fn keep(&self, to: Seq) -> io::Result<()> {
        fs::create_dir_all(self.path.parent().unwrap_or(Path::new(".")))?;
        let half = self.path.with_extension("leap-half");
        fs::write(&half, format!("{to}\n"))?;
        fs::rename(half, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leap_is_remembered_and_a_damaged_file_is_as_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let leap = Leap::beside(folder.path(), "la/ke");
        assert_eq!(leap.to(), 0);
        for seq in [7, 100_001] {
            leap.keep(seq).expect("kept");
            assert_eq!(Leap::beside(folder.path(), "la/ke").to(), seq);
        }
        fs::write(&leap.path, "ä").expect("written");
        assert_eq!(leap.to(), 0);
    }
}
