//! The three kinds of trouble, told apart because the caller must act differently on each.

use std::io;
use std::path::{Path, PathBuf};

/// The result of a store's operation.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an operation did not happen. The store is consistent after each of them, and the operation may be repeated.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The machine refuses: disk full, read-only, I/O error, too many files. Retry; it is never taken for damage.
    #[error("the buffer cannot {doing} {path}: {source}; {}", advice(.source))]
    Environment {
        /// What was being done: a verb such as "write".
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What lies on disk cannot be used. Damaged blocks are not reported so, but as gaps.
    #[error("the buffer's file {path} cannot be used: {what}; move it away, and what it held is reported as a gap")]
    Damage {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The caller broke the contract: an unknown uplink, a payload that is too large. Repeating it does not help.
    #[error("the buffer was used wrongly: {0}; please report this as a bug")]
    Bug(String),
}

impl Error {
    /// An error of the kind "environment".
    pub(crate) fn environment(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Environment { doing, path: path.to_owned(), source }
    }

    /// Whether the disk, or the quota of the user, is full: `Store::make_room` may help.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::Environment { source, .. } if is_full(source))
    }

    /// Whether nothing is wrong with a file but that it cannot grow.
    pub(crate) fn is_for_want_of_room(&self) -> bool {
        let is_memory_full = |source: &io::Error| source.kind() == io::ErrorKind::OutOfMemory;
        self.is_disk_full() || matches!(self, Self::Environment { source, .. } if is_memory_full(source))
    }

    /// Whether a file or a folder is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Environment { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// Whether another process has the buffer.
    pub fn is_in_use(&self) -> bool {
        matches!(self, Self::Environment { source, .. } if source.kind() == io::ErrorKind::ResourceBusy)
    }

    /// Whether an operation waits for a sync that is under way: finish that one first.
    pub fn is_behind(&self) -> bool {
        matches!(self, Self::Environment { source, .. } if source.kind() == io::ErrorKind::WouldBlock)
    }
}

/// Whether the system says that there is no space.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free space on that file system",
        io::ErrorKind::PermissionDenied => "give the gateway's user the right to write there",
        io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only: look into the kernel's log for disk errors",
        io::ErrorKind::OutOfMemory => "put the buffer's folder right: it takes what is held once it can be written to",
        io::ErrorKind::WouldBlock => "the disk is slower than the data: the store goes on when the sync is done",
        io::ErrorKind::ResourceBusy => "another gateway uses this buffer: stop it, or give this one its own path",
        io::ErrorKind::NotFound => "it is not there: check the path",
        _ => "check the disk and the system's log; it is tried again",
    }
}
