//! A log whose folder cannot be used now: it begins in memory.

use std::path::Path;
use std::sync::Arc;

use super::Log;
use crate::disk::{Disk, NoDisk, OsDisk, OverlayDisk};
use crate::error::{Error, Result};
use crate::options::{Engine, Options};

impl Log {
    /// Opens the log though [`Log::open`] failed because of `cause`: up to `bytes_max` of what is appended is held in
    /// memory, and goes to the folder once that can be written to; [`crate::Stats::trouble`] says why it cannot. What lies
    /// there is read. If it cannot be read either, or is an engine's that needs to write, the log is empty, has an
    /// identity of its own, and ends with the process. Returns the disk beside it, to open the same log anew after a panic.
    ///
    /// # Errors
    /// `cause` itself, where another process has the log open, or where it does not lie with the folder.
    pub fn open_sheltered(
        dir: &Path,
        options: &Options,
        bytes_max: u64,
        cause: Error,
    ) -> Result<(Self, Arc<dyn Disk>)> {
        if !matches!(cause, Error::Environment { .. }) || cause.is_in_use() {
            return Err(cause);
        }
        let needs_writing = needs_writing(dir, options);
        let options = Options { engine: Engine::Log, ballast_bytes: 0, ..options.clone() };
        if !needs_writing {
            let disk: Arc<dyn Disk> = Arc::new(OverlayDisk::over(Arc::new(OsDisk), bytes_max, cause.to_string()));
            if let Ok(log) = Self::open_on(Arc::clone(&disk), dir, &options) {
                return Ok((log, disk));
            }
        }
        let why = format!("{cause}. Nothing in the folder can be used until the gateway is started again");
        let none = NoDisk { random: Arc::new(OsDisk), why: why.clone() };
        let disk: Arc<dyn Disk> = Arc::new(OverlayDisk::over(Arc::new(none), bytes_max, why));
        Ok((Self::open_on(Arc::clone(&disk), dir, &options)?, disk))
    }
}

/// Whether what lies in the folder cannot be opened without writing.
#[cfg(feature = "sled")]
fn needs_writing(dir: &Path, options: &Options) -> bool {
    options.engine == Engine::Sled || crate::generations::Generations::are_in(dir)
}

/// Whether what lies in the folder cannot be opened without writing.
#[cfg(not(feature = "sled"))]
fn needs_writing(_: &Path, options: &Options) -> bool {
    options.engine == Engine::Sled
}
