//! The thread that waits for the disk.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use buffer::SyncJob;

use super::inbox::{Inbox, Request};

/// The thread that waits for the disk, so that the store's does not.
pub(super) struct Syncer {
    jobs: SyncSender<SyncJob>,
}

impl Syncer {
    pub(super) fn start(inbox: Arc<Inbox>) -> io::Result<Syncer> {
        let (jobs, waiting): (SyncSender<SyncJob>, Receiver<SyncJob>) = sync_channel(1);
        thread::Builder::new().name("sync".into()).spawn(move || {
            for job in waiting {
                inbox.request(Request::Synced(job.run()));
            }
        })?;
        Ok(Syncer { jobs })
    }

    /// Hands a sync over; `false` when the thread is gone.
    pub(super) fn begin(&self, job: SyncJob) -> bool {
        self.jobs.send(job).is_ok()
    }
}
