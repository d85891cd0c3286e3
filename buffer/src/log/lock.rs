//! One process at a time writes in a buffer's folder.

use std::path::Path;

use crate::disk::{Disk, OsDisk};
use crate::error::{Error, Result};

const FILE_NAME: &str = "lock";

/// Holds a buffer's folder for this process alone until it is dropped. An open log has it; whoever changes something else
/// in the folder takes it, so that no log is open meanwhile.
pub struct Lock {
    _held: Box<dyn Send>,
}

impl Lock {
    /// Takes the folder `dir`, which must exist.
    ///
    /// # Errors
    /// Environment: another process has it (`ResourceBusy`), or the disk refuses.
    pub fn take(dir: &Path) -> Result<Self> {
        Self::take_on(&OsDisk, dir)
    }

    pub(super) fn take_on(disk: &dyn Disk, dir: &Path) -> Result<Self> {
        let path = dir.join(FILE_NAME);
        let held = disk.lock(&path).map_err(|error| Error::environment("lock", &path, error))?;
        Ok(Self { _held: held })
    }
}
