//! The acquisition thread: one task a line.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use driver_core::Reading;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, spawn_blocking, spawn_local};
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::{debug, error, warn};

use super::crew::Crew;
use super::derive::{Plan, keep};
use super::poll::{Door, Lane, LineSetup, Performed, Shared, WRITES_WAITING_MAX, Write, supervise};
use super::store::Intake;
use super::tags::Tags;
use super::watched::Watched;

/// How long lines may take to end what they are at and to take leave; a poll that waits for a dead device is cut off.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// How long what is kept of derived tags may take to be saved at the end.
const KEEP_GRACE: Duration = Duration::from_secs(1);

/// How often what is kept of derived tags is saved.
const KEEP_EVERY: Duration = Duration::from_secs(10);

/// How long lines that a change ends may take for the same: less than a stop, as others wait to take their place.
const END_GRACE: Duration = Duration::from_millis(500);

impl Door for Intake {
    fn spare(&self) -> Vec<Reading> {
        Intake::spare(self)
    }

    fn offer(&self, readings: Vec<Reading>) -> bool {
        Intake::offer(self, readings)
    }
}

/// The running thread, and the way into its lines.
pub struct Acquisition {
    changes: mpsc::Sender<Change>,
    derived: mpsc::Sender<Write>,
    crew: Crew,
}

/// Lines that end, lines that begin, and the tags that all lines have from then on. Lines that are in neither go on: they
/// miss no poll.
pub struct Change {
    /// What is done with readings from here on.
    pub tags: Arc<Tags>,
    /// What is made of them.
    pub derived: Arc<Plan>,
    /// Whose last readings are noted.
    pub watched: Arc<Watched>,
    /// Names of lines that end.
    pub end: Vec<Box<str>>,
    /// Lines that begin; one that has the name of one that ends begins after it.
    pub begin: Vec<(LineSetup, Lane, watch::Sender<()>)>,
    /// Is told when all of it is done.
    pub done: oneshot::Sender<()>,
}

/// A line that is polled. It ends when `end` is dropped.
struct Running {
    end: watch::Sender<()>,
    task: Cut,
}

/// A task that is cut off when it is dropped.
struct Cut(JoinHandle<()>);

impl Drop for Cut {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Acquisition {
    /// Begins to poll all lines. What is kept of derived tags goes into `kept`.
    pub fn start(
        lines: Vec<(LineSetup, Lane, watch::Sender<()>)>,
        shared: Shared,
        kept: PathBuf,
    ) -> io::Result<Acquisition> {
        let (changes, received) = mpsc::channel(1);
        let (derived, writes) = mpsc::channel(WRITES_WAITING_MAX);
        let crew = Crew::start_in(shared.scheduling, "acquisition", STOP_GRACE + KEEP_GRACE, move |tasks| {
            let shared = Rc::new(shared);
            tasks.spawn_local(async move {
                let mut lead = Lead { running: HashMap::new(), shared, kept: Keeping { path: kept, saving: None } };
                lead.run(lines, received, writes).await;
            });
        })?;
        Ok(Acquisition { changes, derived, crew })
    }

    /// Where writes to derived tags go in.
    pub fn derived_lane(&self) -> &mpsc::Sender<Write> {
        &self.derived
    }

    /// Where changes go in while it runs.
    pub fn changes(&self) -> &mpsc::Sender<Change> {
        &self.changes
    }

    /// Raised every few seconds, for as long as no line keeps the thread to itself.
    pub fn rounds(&self) -> u64 {
        self.crew.rounds()
    }

    /// Ends all polls; in good order where a device answers. `false`: the thread had panicked.
    pub fn stop(self) -> bool {
        drop(self.changes);
        self.crew.stop()
    }
}

/// Begins and ends lines, and looks after what is derived.
struct Lead {
    running: HashMap<Box<str>, Running>,
    shared: Rc<Shared>,
    kept: Keeping,
}

/// What is kept of derived tags, on its way to the disk.
struct Keeping {
    path: PathBuf,
    saving: Option<JoinHandle<io::Result<()>>>,
}

impl Lead {
    /// Until nobody can ask for changes any more; then ends all lines. What is dropped is cut off.
    async fn run(
        &mut self,
        lines: Vec<(LineSetup, Lane, watch::Sender<()>)>,
        mut changes: mpsc::Receiver<Change>,
        mut writes: mpsc::Receiver<Write>,
    ) {
        lines.into_iter().for_each(|line| begin(line, &self.shared, &mut self.running));
        let mut keep_at = Instant::now() + KEEP_EVERY;
        loop {
            // All arms lose nothing when cancelled.
            tokio::select! {
                biased;
                change = changes.recv() => match change {
                    Some(change) => self.change(change).await,
                    None => break,
                },
                Some(write) = writes.recv() => self.write(write),
                () = sleep_until(keep_at) => {
                    keep_at = Instant::now() + KEEP_EVERY;
                    self.keep();
                }
            }
        }
        end_all(std::mem::take(&mut self.running).into_iter().collect(), STOP_GRACE).await;
        let mut held = self.shared.door.spare();
        self.shared.process.borrow_mut().flush(&mut held);
        self.offer(held);
        self.saved().await;
        self.keep();
        self.saved().await;
    }

    async fn change(&mut self, change: Change) {
        let Change { tags, derived, watched, end, begin: lines, done } = change;
        let ended: Vec<(Box<str>, Running)> = end.iter().filter_map(|name| self.running.remove_entry(name)).collect();
        end_all(ended, END_GRACE).await;
        let mut held = self.shared.door.spare();
        self.shared.process.borrow_mut().change((tags, derived), watched, Instant::now().into_std(), &mut held);
        self.offer(held);
        lines.into_iter().for_each(|line| begin(line, &self.shared, &mut self.running));
        if done.send(()).is_err() {
            debug!("nobody waits for the change of the lines any more");
        }
    }

    /// A command to an alarm: there is no device to wait for.
    fn write(&mut self, write: Write) {
        let Write { tag, value, until, reply, .. } = write;
        let now = Instant::now().into_std();
        let performed = if now >= until {
            Performed::TooLate
        } else {
            let (mut told, at) = (self.shared.door.spare(), self.shared.clock.now());
            let done = self.shared.process.borrow_mut().command(tag, &value, at, now, &mut told);
            self.offer(told);
            done.map_or_else(Performed::Refused, Performed::Written)
        };
        // Whoever asked may have gone meanwhile.
        drop(reply.send(performed));
        self.keep();
    }

    fn offer(&self, readings: Vec<Reading>) {
        if !self.shared.door.offer(readings) {
            debug!("the store has no room: readings were lost and are counted there");
        }
    }

    /// Saves what has changed on a thread of its own; while an earlier save is under way, the next time.
    fn keep(&mut self) {
        if self.kept.saving.as_ref().is_some_and(|saving| !saving.is_finished()) {
            return;
        }
        let Some(text) = self.shared.process.borrow_mut().kept() else { return };
        let path = self.kept.path.clone();
        self.kept.saving = Some(spawn_blocking(move || {
            let saved = keep::save(&path, &text);
            if let Err(cause) = &saved {
                warn!("totals and alarms are not on disk, and a restart begins with what is: {cause}");
            }
            saved
        }));
    }

    async fn saved(&mut self) {
        let Some(saving) = self.kept.saving.take() else { return };
        if let Err(cause) = saving.await {
            error!("saving totals and alarms failed, please report this: {cause}");
        }
    }
}

fn begin(
    (setup, lane, end): (LineSetup, Lane, watch::Sender<()>),
    shared: &Rc<Shared>,
    running: &mut HashMap<Box<str>, Running>,
) {
    let (name, shared) = (setup.name.clone(), shared.clone());
    let task = Cut(spawn_local(async move { supervise(setup, &shared, lane).await }));
    running.insert(name, Running { end, task });
}

/// All at once, each with the same grace: what a device does not answer in it is cut off.
async fn end_all(lines: Vec<(Box<str>, Running)>, grace: Duration) {
    let deadline = Instant::now() + grace;
    let tasks: Vec<(Box<str>, Cut)> = lines
        .into_iter()
        .map(|(name, Running { end, task })| {
            drop(end);
            (name, task)
        })
        .collect();
    for (line, mut task) in tasks {
        match timeout_at(deadline, &mut task.0).await {
            Ok(Ok(())) => {}
            Ok(Err(cause)) => error!(%line, "the task of a line failed, please report this: {cause}"),
            Err(_) => {
                task.0.abort();
                let cut = (&mut task.0).await.is_err();
                debug!(%line, cut, "the line did not end in time");
            }
        }
    }
}
