//! A folder for one command, removed at its end.

use std::io;
use std::path::{Path, PathBuf};

/// It goes with its last user.
pub(super) struct Folder(PathBuf);

impl Folder {
    /// A new folder among the system's temporary ones; `what` and the process' number make its name.
    pub(super) fn make(what: &str) -> io::Result<Folder> {
        let path = std::env::temp_dir().join(format!("forebay-{what}-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Folder(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(cause) = std::fs::remove_dir_all(&self.0) {
            eprintln!("{} could not be removed: {cause}", self.0.display());
        }
    }
}
