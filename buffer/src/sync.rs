//! Group commit: the slow part of a sync, cut loose so that it can run on another thread.

use std::fmt;
use std::sync::Arc;

use crate::error::Result;

/// The slow part of a sync. Owns all it needs; dropping it unrun counts as a failed sync.
pub struct SyncJob {
    work: Box<dyn FnOnce() -> Result<()> + Send>,
    ticket: Arc<()>,
}

/// The outcome of a [`SyncJob`], for [`crate::Store::end_sync`].
#[derive(Debug)]
#[must_use = "hand it to the store's end_sync"]
pub struct Synced {
    pub(crate) result: Result<()>,
    /// Held by the job and then by its outcome, so that the store notices when both were dropped.
    _ticket: Arc<()>,
}

impl SyncJob {
    /// A job for `work`; the store keeps a weak reference to `ticket`.
    pub(crate) fn new(ticket: Arc<()>, work: impl FnOnce() -> Result<()> + Send + 'static) -> Self {
        Self { work: Box::new(work), ticket }
    }

    /// Waits for the disk; may take seconds.
    pub fn run(self) -> Synced {
        Synced { result: (self.work)(), _ticket: self.ticket }
    }
}

impl fmt::Debug for SyncJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SyncJob")
    }
}
