//! The acquisition thread: one task a line.

use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use driver_core::Reading;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, timeout_at};
use tracing::{debug, error};

use super::crew::Crew;
use super::poll::{Door, Lane, LineSetup, Shared, supervise};
use super::store::Intake;
use super::tags::Tags;
use super::watched::Watched;

/// How long lines may take to end what they are at and to take leave; a poll that waits for a dead device is cut off.
const STOP_GRACE: Duration = Duration::from_secs(1);

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
    crew: Crew,
}

/// Lines that end, lines that begin, and the tags that all lines have from then on. Lines that are in neither go on: they
/// miss no poll.
pub struct Change {
    /// What is done with readings from here on.
    pub tags: Arc<Tags>,
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
    /// Begins to poll all lines.
    pub fn start(lines: Vec<(LineSetup, Lane, watch::Sender<()>)>, shared: Shared) -> io::Result<Acquisition> {
        let (changes, received) = mpsc::channel(1);
        let crew = Crew::start("acquisition", STOP_GRACE, move |tasks| {
            tasks.spawn_local(lead(lines, Rc::new(shared), received));
        })?;
        Ok(Acquisition { changes, crew })
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

/// Begins and ends lines until nobody can ask for changes any more; then ends all of them. What is dropped is cut off.
async fn lead(
    lines: Vec<(LineSetup, Lane, watch::Sender<()>)>,
    shared: Rc<Shared>,
    mut changes: mpsc::Receiver<Change>,
) {
    let mut running = HashMap::new();
    lines.into_iter().for_each(|line| begin(line, &shared, &mut running));
    while let Some(Change { tags, watched, end, begin: lines, done }) = changes.recv().await {
        let ended: Vec<(Box<str>, Running)> = end.iter().filter_map(|name| running.remove_entry(name)).collect();
        end_all(ended, END_GRACE).await;
        shared.process.borrow_mut().change(tags, watched);
        lines.into_iter().for_each(|line| begin(line, &shared, &mut running));
        if done.send(()).is_err() {
            debug!("nobody waits for the change of the lines any more");
        }
    }
    end_all(running.into_iter().collect(), STOP_GRACE).await;
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
