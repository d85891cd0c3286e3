//! The replay that an uplink works on: taken up from its file, kept in it, and put away when it is done.

use std::io;
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep_until};
use tracing::{error, info};

use super::replay::{Job, JobState, Jobs};

/// How often requests are looked for, and progress is kept.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Looks for requests, and keeps what became of one.
pub(super) struct Requests {
    jobs: Jobs,
    uplink: Box<str>,
    look_at: Instant,
    looking: Option<JoinHandle<io::Result<Option<Job>>>>,
    keeping: Option<JoinHandle<io::Result<()>>>,
    told: bool,
}

impl Requests {
    pub(super) fn new(jobs: Jobs, uplink: &str) -> Requests {
        let look_at = Instant::now();
        Requests { jobs, uplink: uplink.into(), look_at, looking: None, keeping: None, told: false }
    }

    /// The next job. May be dropped and called again.
    pub(super) async fn next(&mut self) -> Job {
        loop {
            if self.looking.is_none() {
                sleep_until(self.look_at).await;
                let (jobs, uplink) = (self.jobs.clone(), self.uplink.clone());
                self.looking = Some(spawn_blocking(move || jobs.next(&uplink)));
            }
            let Some(looking) = &mut self.looking else { continue };
            let found = looking.await.unwrap_or_else(|panic| Err(io::Error::other(panic)));
            self.looking = None;
            self.look_at = Instant::now() + LOOK_EVERY;
            if let Some(job) = self.noted(found).flatten() {
                info!(uplink = &*self.uplink, job = job.number, "a replay begins, as was asked for");
                return job;
            }
        }
    }

    /// Keeps how far a job is, now and then, and surely when it is done.
    pub(super) async fn keep(&mut self, job: &Job) {
        let is_over = job.state == JobState::Done;
        if self.keeping.as_ref().is_some_and(|keeping| !keeping.is_finished() && !is_over) {
            return;
        }
        if let Some(keeping) = self.keeping.take() {
            let kept = keeping.await.unwrap_or_else(|panic| Err(io::Error::other(panic)));
            self.noted(kept);
        }
        let (jobs, job) = (self.jobs.clone(), job.clone());
        let keeping = spawn_blocking(move || jobs.write(&job));
        if is_over {
            let kept = keeping.await.unwrap_or_else(|panic| Err(io::Error::other(panic)));
            self.noted(kept);
        } else {
            self.keeping = Some(keeping);
        }
    }

    /// Tells of a disk that refuses, once.
    fn noted<T>(&mut self, result: io::Result<T>) -> Option<T> {
        match result {
            Ok(done) => {
                self.told = false;
                Some(done)
            }
            Err(cause) => {
                if !self.told {
                    self.told = true;
                    error!(uplink = &*self.uplink, "the requests beside the buffer cannot be read or kept: {cause}");
                }
                None
            }
        }
    }
}
