//! What stands where no folder is.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::{Disk, DiskFile};

/// A folder that cannot even be looked into: there is nothing, and nothing is taken.
pub(crate) struct NoDisk {
    /// What gives random numbers.
    pub(crate) random: Arc<dyn Disk>,
    /// What the folder said.
    pub(crate) why: String,
}

impl NoDisk {
    fn refuse<T>(&self) -> io::Result<T> {
        Err(io::Error::other(self.why.clone()))
    }
}

impl Disk for NoDisk {
    fn create_dir(&self, _: &Path) -> io::Result<()> {
        self.refuse()
    }

    fn list(&self, _: &Path) -> io::Result<Vec<String>> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn open(&self, _: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn open_for_write(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.open(path)
    }

    fn create(&self, _: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.refuse()
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        self.refuse()
    }

    fn free_bytes(&self, _: &Path) -> io::Result<Option<u64>> {
        Ok(None)
    }

    fn lock(&self, _: &Path) -> io::Result<Box<dyn Send>> {
        self.refuse()
    }

    fn random(&self) -> u128 {
        self.random.random()
    }
}
