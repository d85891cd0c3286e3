//! The file system as the store sees it, small enough that one which fails on request can stand in for it.

mod fault;
mod none;
mod os;
mod overlay;

use std::io;
use std::path::Path;
use std::sync::Arc;

pub use fault::FaultDisk;
pub(crate) use none::NoDisk;
pub use os::OsDisk;
pub use overlay::OverlayDisk;

/// Directories and names.
pub trait Disk: Send + Sync {
    /// Makes a directory and those above it; one that exists is no error.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// The names of the files in a directory, in no order.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Opens an existing file for reading.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens an existing file for reading and writing.
    fn open_for_write(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Makes a new file for reading and writing; one that exists is an error.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Removes a file; its space is free when no handle is open.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable: those made and those removed.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Bytes that are free for this user on the file system of a directory; `None` where that is not known.
    fn free_bytes(&self, dir: &Path) -> io::Result<Option<u64>>;

    /// Whether files that are not written to any more are kept in another form.
    fn seals(&self) -> bool {
        false
    }

    /// Puts a file that is not written to any more, and is durable, into that form; for readers it stays the same. May take
    /// seconds; returns how many bytes were handled. A file that is in it already, or is gone, is no error.
    fn seal(&self, path: &Path) -> io::Result<u64> {
        debug_assert!(!self.seals(), "{} is kept in another form, which this does not make", path.display());
        Ok(0)
    }

    /// By how much more the sealed files take than their lengths say.
    fn extra_bytes(&self) -> u64 {
        0
    }

    /// Holds a file for this process alone until the result is dropped; `ResourceBusy` if another one has it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send>>;

    /// Why what is written here is held in memory and gone with the process, whatever was synced; `None` where it is not.
    fn trouble(&self) -> Option<String> {
        None
    }

    /// 128 random bits.
    fn random(&self) -> u128;
}

/// An open file, positioned by each call.
pub trait DiskFile: Send + Sync {
    /// Its length, bytes.
    fn len(&self) -> io::Result<u64>;

    /// Whether it holds nothing.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Reads as much as there is at `offset`, up to the length of `into`; returns how much.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`; after an error any part of it may be written.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts the file, or fills it with zeros, to `len` bytes.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Takes `bytes` of space for the file from its beginning on, so that they are there when they are needed.
    fn allocate(&self, bytes: u64) -> io::Result<()>;

    /// Makes the content durable (fdatasync). After an error this handle must not be trusted again.
    fn sync(&self) -> io::Result<()>;
}
