//! Space held in reserve, and space left to others.
//!
//! The ballast is a file that holds nothing. When the disk is full it goes first, so that the ledger can say what is lost
//! and readings are taken while the rest gives way. It is taken again when there is space for it and as much beside it.

use super::Log;
use crate::error::Result;

/// The file's name.
pub(super) const FILE_NAME: &str = "ballast";

/// The ballast is taken when this many times its size is free.
const FREE_FOR_IT: u64 = 3;

impl Log {
    /// Takes the ballast, if there is to be one and there is space. That it cannot be taken is no trouble yet.
    pub(super) fn take_ballast(&mut self) {
        let bytes = self.limits.ballast_bytes;
        if self.has_ballast || bytes == 0 {
            return;
        }
        let needed = bytes.saturating_mul(FREE_FOR_IT).saturating_add(self.limits.free_min_bytes);
        if self.free_bytes().is_some_and(|free| free < needed) {
            return;
        }
        let path = self.dir.join(FILE_NAME);
        let file = self.disk.open_for_write(&path).or_else(|_| self.disk.create(&path));
        self.has_ballast = file.and_then(|file| file.allocate(bytes)).is_ok();
        if !self.has_ballast {
            drop(self.disk.remove(&path));
        }
    }

    /// Gives the ballast up. Returns whether there was one.
    pub(super) fn drop_ballast(&mut self) -> Result<bool> {
        if !self.has_ballast {
            return Ok(false);
        }
        self.remove_file(&self.dir.join(FILE_NAME))?;
        self.has_ballast = false;
        Ok(true)
    }

    /// What is free on the disk, if that can be known.
    pub(super) fn free_bytes(&self) -> Option<u64> {
        self.disk.free_bytes(&self.dir).ok().flatten()
    }

    /// Whether less would be free with `bytes` more than is to be left to others.
    pub(super) fn is_disk_short(&self, bytes: u64) -> bool {
        let least = self.limits.free_min_bytes;
        least > 0 && self.free_bytes().is_some_and(|free| free < least.saturating_add(bytes))
    }
}
