//! The thread that saves recordings and answers requests: the only one here that touches the disk.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use tracing::{info, warn};

use super::folder::Folder;
use super::request::{Answer, Request, Wanted, answer, waiting};
use super::{Recorder, find};

/// How often requests are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// How many recordings may wait for the disk; each is as large as a ring.
const WAITING_MAX: usize = 8;

/// A recording to be saved; an empty one only wakes the thread.
struct Job {
    line: Box<str>,
    file: Vec<u8>,
}

/// Where recordings to be saved go in.
#[derive(Clone)]
pub(super) struct Jobs(SyncSender<Job>);

/// The thread, which ends with its last recorder or with this.
pub(super) struct Saver {
    jobs: Option<Jobs>,
    stop: Arc<std::sync::atomic::AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Jobs {
    /// Hands a recording over; `false` when the disk is behind.
    pub(super) fn save(&self, line: &str, file: Vec<u8>) -> bool {
        self.0.try_send(Job { line: line.into(), file }).is_ok()
    }
}

impl Saver {
    pub(super) fn start(folder: Arc<Folder>, lines: Arc<Mutex<Vec<Weak<Recorder>>>>) -> io::Result<Saver> {
        let (jobs, receiver) = sync_channel(WAITING_MAX);
        let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let is_over = stop.clone();
        let work = Work { folder, lines };
        let thread =
            std::thread::Builder::new().name("recorder".into()).spawn(move || work.run(&receiver, &is_over))?;
        Ok(Saver { jobs: Some(Jobs(jobs)), stop, thread: Some(thread) })
    }

    pub(super) fn jobs(&self) -> Jobs {
        // It is taken only when this is dropped.
        self.jobs.clone().unwrap_or_else(|| Jobs(sync_channel(0).0))
    }
}

impl Drop for Saver {
    fn drop(&mut self) {
        self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        // An empty job wakes the thread; it is no matter if it is awake.
        let woken = self.jobs.take().is_some_and(|jobs| jobs.save("", Vec::new()));
        tracing::trace!(woken, "the recorder ends");
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            warn!("the recorder's thread had panicked; please report this");
        }
    }
}

struct Work {
    folder: Arc<Folder>,
    lines: Arc<Mutex<Vec<Weak<Recorder>>>>,
}

impl Work {
    fn run(&self, jobs: &Receiver<Job>, is_over: &std::sync::atomic::AtomicBool) {
        loop {
            match jobs.recv_timeout(LOOK_EVERY) {
                Ok(job) => self.work(&job),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if is_over.load(std::sync::atomic::Ordering::Relaxed) {
                jobs.try_iter().for_each(|job| self.work(&job));
                return;
            }
            for (path, request) in waiting(self.folder.path()) {
                let said = self.answered(&request);
                if let Err(cause) = answer(&path, &said) {
                    warn!("a request for a recording cannot be answered: {cause}");
                }
            }
        }
    }

    fn work(&self, Job { line, file }: &Job) {
        if file.is_empty() {
            return;
        }
        match self.folder.save(line, file) {
            Ok(path) => info!(line = &**line, file = %path.display(), "the last frames before the loss are saved"),
            Err(error) => warn!(line = &**line, "{error}"),
        }
    }

    fn answered(&self, request: &Request) -> Answer {
        let recorder = find(&self.lines, &request.device).map_err(|error| error.to_string())?;
        match request.wanted {
            Wanted::Save => recorder.save(&request.device, &self.folder).map(Some).map_err(|error| error.to_string()),
            Wanted::Decode | Wanted::Quiet => {
                recorder.set_decoding(request.wanted == Wanted::Decode);
                Ok(None)
            }
        }
    }
}
