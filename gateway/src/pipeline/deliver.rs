//! The uplink thread: one task an uplink.

use std::collections::HashMap;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{sleep, timeout_at};
use tracing::{debug, error, warn};

use super::command::desk::Desk;
use super::crew::Crew;
use super::forward::backlog::Stored;
use super::forward::counters::Counters;
use super::forward::leap::Leap;
use super::forward::quarantine::Quarantine;
use super::forward::replay::Jobs;
use super::forward::route::Drain;
use super::forward::{self, RECONNECT};
use super::panic::caught;
use super::redate::Redate;
use crate::backoff::Jitter;
use crate::uplink::{UplinkError, UplinkSpec, Way};

/// How long uplinks may take to hear what is on its way and to take leave.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// An uplink as the configuration describes it.
pub struct UplinkSetup {
    /// What it is given.
    pub spec: UplinkSpec,
    /// In which order a backlog leaves.
    pub drain: Drain,
    /// The log as it sees it.
    pub log: Stored,
    /// Where messages go that the far side will not take.
    pub quarantine: Quarantine,
    /// Where it is kept how far its live lane has leapt.
    pub leap: Leap,
    /// Where replays are asked for.
    pub jobs: Jobs,
    /// What is known of the clock's steps.
    pub redate: Arc<Redate>,
    /// What is counted.
    pub counters: Arc<Counters>,
    /// Where commands go that it brings.
    pub desk: Desk,
}

/// The running thread.
pub struct Delivery {
    changes: mpsc::Sender<Change>,
    crew: Crew,
}

/// Uplinks that end and uplinks that begin. One that is in neither keeps its connection.
pub enum Change {
    /// These take leave, in the time of a stop.
    End {
        /// Their names.
        names: Vec<Box<str>>,
        /// Is told when they are gone.
        done: oneshot::Sender<()>,
    },
    /// These are forwarded to from here on.
    Begin(Vec<UplinkSetup>),
}

/// An uplink that is forwarded to. It ends when `stop` is dropped.
struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Delivery {
    /// Begins to forward to all uplinks.
    pub fn start(uplinks: Vec<UplinkSetup>) -> io::Result<Delivery> {
        let (changes, received) = mpsc::channel(1);
        let crew = Crew::start("uplinks", STOP_GRACE, move |tasks| {
            tasks.spawn_local(lead(uplinks, received));
        })?;
        Ok(Delivery { changes, crew })
    }

    /// Where changes go in while it runs.
    pub fn changes(&self) -> &mpsc::Sender<Change> {
        &self.changes
    }

    /// Raised every few seconds, for as long as no uplink keeps the thread to itself.
    pub fn rounds(&self) -> u64 {
        self.crew.rounds()
    }

    /// Waits a little for what is on its way, and takes leave. `false`: the thread had panicked.
    pub fn stop(self) -> bool {
        drop(self.changes);
        self.crew.stop()
    }
}

/// Begins and ends uplinks until nobody can ask for changes any more; then ends all of them. When it is cut off, so are they:
/// the thread's runtime ends.
async fn lead(uplinks: Vec<UplinkSetup>, mut changes: mpsc::Receiver<Change>) {
    let mut running = HashMap::new();
    uplinks.into_iter().for_each(|setup| begin(setup, &mut running));
    while let Some(change) = changes.recv().await {
        match change {
            Change::Begin(uplinks) => uplinks.into_iter().for_each(|setup| begin(setup, &mut running)),
            Change::End { names, done } => {
                end_all(names.iter().filter_map(|name| running.remove(name)).collect()).await;
                if done.send(()).is_err() {
                    debug!("nobody waits for the end of the uplinks any more");
                }
            }
        }
    }
    end_all(running.into_values().collect()).await;
}

fn begin(setup: UplinkSetup, running: &mut HashMap<Box<str>, Running>) {
    let (stop, stopped) = oneshot::channel();
    let name = setup.spec.name.clone();
    running.insert(name, Running { stop, task: spawn_local(supervise(setup, stopped)) });
}

/// All at once, each with the grace of a stop; then they are cut off.
async fn end_all(uplinks: Vec<Running>) {
    let deadline = tokio::time::Instant::now() + STOP_GRACE;
    let stopped = uplinks.into_iter().map(|Running { stop, task }| {
        drop(stop);
        task
    });
    let tasks: Vec<JoinHandle<()>> = stopped.collect();
    for mut task in tasks {
        match timeout_at(deadline, &mut task).await {
            Ok(Ok(())) => {}
            Ok(Err(cause)) => error!("the task of an uplink failed, please report this: {cause}"),
            Err(_) => {
                task.abort();
                let cut = task.await.is_err();
                warn!(cut, "an uplink did not take leave in time and was cut off; what it had not heard of goes again");
            }
        }
    }
}

/// The open way to an uplink's destination, not yet connected.
pub fn way(spec: &UplinkSpec) -> Result<Way, Vec<UplinkError>> {
    match crate::uplink::find(spec.url.scheme()) {
        Some(uplink) => uplink.open(spec),
        None => {
            let message = format!("there is no uplink for `{}` in this build", spec.url.scheme());
            Err(vec![UplinkError { key: "url", message }])
        }
    }
}

/// Forwards until `stop` is sent or dropped; what panics is made anew.
async fn supervise(setup: UplinkSetup, mut stop: oneshot::Receiver<()>) {
    let (mut jitter, mut failures) = (Jitter::random(), 0);
    loop {
        let begun = Instant::now();
        let (end, ended) = oneshot::channel();
        let mut life = pin!(caught(once(&setup, ended)));
        let failure = tokio::select! {
            outcome = &mut life => match outcome {
                Ok(Ok(())) => return,
                Ok(Err(failure)) | Err(failure) => failure,
            },
            _ = &mut stop => {
                drop(end);
                if let Err(failure) | Ok(Err(failure)) = life.await {
                    error!(uplink = &*setup.spec.name, "the uplink did not end in order: {failure}; please report this");
                }
                return;
            }
        };
        failures = if begun.elapsed() >= RECONNECT.steady { 0 } else { failures + 1 };
        let after = RECONNECT.wait(failures, &mut jitter);
        error!(
            uplink = &*setup.spec.name,
            "the uplink failed: {failure}. It begins anew in {after:?} with what was not acknowledged; please report this"
        );
        tokio::select! {
            () = sleep(after) => {}
            _ = &mut stop => return,
        }
    }
}

/// One life of an uplink, from its opening to the stop or to a panic.
async fn once(setup: &UplinkSetup, stop: oneshot::Receiver<()>) -> Result<(), String> {
    let way =
        way(&setup.spec).map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    let forward = forward::Setup {
        name: setup.spec.name.clone(),
        way,
        drain: setup.drain,
        quarantine: setup.quarantine.clone(),
        leap: setup.leap.clone(),
        jobs: setup.jobs.clone(),
        redate: setup.redate.clone(),
        counters: setup.counters.clone(),
        desk: setup.desk.clone(),
    };
    forward::run(forward, setup.log.clone(), stop).await;
    Ok(())
}
