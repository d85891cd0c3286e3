//! The thread that waits for the disk.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use buffer::SyncJob;

use super::inbox::{Inbox, Request};
use crate::pipeline::panic::message;

/// The thread that waits for the disk, so that the store's does not.
pub(super) struct Syncer {
    jobs: SyncSender<SyncJob>,
}

impl Syncer {
    pub(super) fn start(inbox: Arc<Inbox>) -> io::Result<Syncer> {
        let (jobs, waiting): (SyncSender<SyncJob>, Receiver<SyncJob>) = sync_channel(1);
        thread::Builder::new().name("sync".into()).spawn(move || {
            for job in waiting {
                // A panic in the disk's code must not end the thread: nothing would be made durable any more.
                let synced = catch_unwind(AssertUnwindSafe(|| job.run()));
                inbox.request(synced.map_or_else(|panic| Request::SyncPanicked(message(&*panic)), Request::Synced));
            }
        })?;
        Ok(Syncer { jobs })
    }

    /// Hands a sync over; `false` when the thread is gone.
    pub(super) fn begin(&self, job: SyncJob) -> bool {
        self.jobs.send(job).is_ok()
    }
}
