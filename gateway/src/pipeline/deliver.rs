//! The uplink thread: one task an uplink.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::sleep;
use tracing::error;

use super::command::desk::Desk;
use super::crew::Crew;
use super::forward::backlog::Stored;
use super::forward::counters::Counters;
use super::forward::quarantine::Quarantine;
use super::forward::replay::Jobs;
use super::forward::route::Drain;
use super::forward::{self, RECONNECT};
use super::link::Jitter;
use super::panic::caught;
use super::redate::Redate;
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
    stops: Vec<oneshot::Sender<()>>,
    counters: Vec<Arc<Counters>>,
    crew: Crew,
}

impl Delivery {
    /// Begins to forward to all uplinks.
    pub fn start(uplinks: Vec<UplinkSetup>) -> io::Result<Delivery> {
        let counters = uplinks.iter().map(|uplink| uplink.counters.clone()).collect();
        let (stops, ends): (Vec<_>, Vec<_>) = uplinks.iter().map(|_| oneshot::channel()).unzip();
        let crew = Crew::start("uplinks", STOP_GRACE, move |tasks| {
            for (setup, stop) in uplinks.into_iter().zip(ends) {
                tasks.spawn_local(supervise(setup, stop));
            }
        })?;
        Ok(Delivery { stops, counters, crew })
    }

    /// The figures of the uplinks, in their order.
    pub fn counters(&self) -> &[Arc<Counters>] {
        &self.counters
    }

    /// Raised every few seconds, for as long as no uplink keeps the thread to itself.
    pub fn rounds(&self) -> u64 {
        self.crew.rounds()
    }

    /// Waits a little for what is on its way, and takes leave. `false`: the thread had panicked.
    pub fn stop(self) -> bool {
        drop(self.stops);
        self.crew.stop()
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
        jobs: setup.jobs.clone(),
        redate: setup.redate.clone(),
        counters: setup.counters.clone(),
        desk: setup.desk.clone(),
    };
    forward::run(forward, setup.log.clone(), stop).await;
    Ok(())
}
