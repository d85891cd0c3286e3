//! Listens on the topic of commands and writes their answers, in a task and on connections of its own.
//!
//! ```text
//! topic of commands --fetch--> Door --Inbound--> uplink -> desk
//!                                                   |
//! topic of answers <--produce-- answers <-----------+     then the offset goes to the disk
//! ```
//!
//! A command's offset is kept on disk once its answer stands in the topic of answers. After a kill in between the command
//! is read again, recognised, and answered again: an answer may stand twice, nothing is executed twice.

mod read;
mod answer;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::warn;

use self::answer::Answering;
use self::read::Reading;
use super::cluster::Cluster;
use super::commands::Door;
use super::config::Config;
use super::offsets::{self, Offsets};
use super::topics::{self, Purpose};
use crate::pipeline::command::{Answer, Inbound, ReplyTo, json};
use crate::uplink::TopicsSpec;
use crate::uplink::stream::Failure;

/// How many commands may be without an answer; more are left in the topic until then. A line takes twice as many, so that
/// none is refused because others of this topic wait.
const UNDER_WAY_MAX: usize = 8;

/// How soon it is tried again when it failed: doubled each time.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
const AGAIN_AFTER_MAX: Duration = Duration::from_secs(30);

/// How long the last answers may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// What it takes to listen.
#[derive(Clone)]
pub(super) struct Setup {
    pub(super) config: Arc<Config>,
    pub(super) door: Door,
    /// How topics are made, where that is asked for.
    pub(super) create: Option<TopicsSpec>,
    /// Where the offsets are kept.
    pub(super) file: PathBuf,
    /// The gateway's UUID.
    pub(super) identity: Box<str>,
}

/// The commands of one uplink, from the start of the process to its end.
pub(super) struct Listener {
    setup: Setup,
    shared: Arc<Shared>,
    inbound: mpsc::Receiver<Inbound>,
    sender: mpsc::Sender<Inbound>,
    running: Option<Running>,
}

struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// What those that read and those that answer have in common.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// An answer is there to be written.
    has_answers: Notify,
    /// A command has been answered and its offset is on disk.
    has_room: Notify,
}

#[derive(Default)]
struct State {
    offsets: Option<Offsets>,
    answers: VecDeque<(ReplyTo, Vec<u8>)>,
}

impl Listener {
    pub(super) fn new(setup: Setup) -> Listener {
        let (sender, inbound) = mpsc::channel(UNDER_WAY_MAX);
        Listener { setup, shared: Arc::default(), inbound, sender, running: None }
    }

    /// Begins to listen, where it does not yet. To be called on a runtime.
    pub(super) fn start(&mut self) {
        if self.running.as_ref().is_some_and(|running| !running.task.is_finished()) {
            return;
        }
        let (stop, stopped) = oneshot::channel();
        let (setup, shared, sender) = (self.setup.clone(), self.shared.clone(), self.sender.clone());
        self.running = Some(Running { stop, task: tokio::spawn(run(setup, shared, sender, stopped)) });
    }

    /// The next command. May be dropped and called again.
    pub(super) async fn next(&mut self) -> Inbound {
        match self.inbound.recv().await {
            Some(inbound) => inbound,
            None => unreachable!("a sender is kept here"),
        }
    }

    /// Takes an answer; it is written soon. There are never more than commands that were handed over.
    pub(super) fn answer(&self, to: ReplyTo, answer: &Answer) {
        self.shared.lock().answers.push_back((to, json::write(answer)));
        self.shared.has_answers.notify_one();
    }

    /// Writes the answers that are there, and listens no more. Bounded in time.
    pub(super) async fn close(&mut self) {
        let Some(Running { stop, mut task }) = self.running.take() else { return };
        drop(stop);
        if timeout(CLOSE_WITHIN, &mut task).await.is_err() {
            task.abort();
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.task.abort();
        }
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something of the offsets; nothing while the file was not read.
    fn offsets<T: Default>(&self, look: impl FnOnce(&mut Offsets) -> T) -> T {
        self.lock().offsets.as_mut().map(look).unwrap_or_default()
    }

    /// Waits until one command more may be handed over.
    async fn room(&self) {
        while self.offsets(|offsets| offsets.under_way()) >= UNDER_WAY_MAX {
            self.has_room.notified().await;
        }
    }
}

/// Until `stop` is sent or dropped.
async fn run(setup: Setup, shared: Arc<Shared>, sender: mpsc::Sender<Inbound>, stop: oneshot::Receiver<()>) {
    let uplink = setup.door.uplink.clone();
    let mut reading = Reading::new(setup.clone(), shared.clone(), sender);
    let mut answering = Answering::new(setup, shared);
    // None of the arms is entered again once another one has ended.
    tokio::select! {
        _ = stop => {}
        () = reading.run() => {}
        () = answering.run() => {}
    }
    if timeout(CLOSE_WITHIN, answering.once()).await.is_err() {
        warn!(uplink = &*uplink, "answers to commands are left; they are given after the next start");
    }
}

/// Brings the file of the offsets up to date. Waits for the disk, on a thread for that.
async fn keep(setup: &Setup, shared: &Shared) -> Result<(), Failure> {
    let text = shared.offsets(|offsets| std::mem::take(&mut offsets.has_news).then(|| offsets.text()));
    let Some(text) = text else { return Ok(()) };
    let file = setup.file.clone();
    let stored = tokio::task::spawn_blocking(move || offsets::store(&file, &text)).await;
    stored.unwrap_or_else(|panic| Err(std::io::Error::other(panic))).map_err(|cause| {
        shared.offsets(|offsets| offsets.has_news = true);
        Failure {
            cause: format!("it cannot be kept on disk how far commands have been answered: {cause}"),
            advice: "Look after the disk and the rights of the buffer's folder",
        }
    })
}

/// A connection, to a cluster that has both topics.
async fn open(setup: &Setup) -> Result<Cluster, Failure> {
    let Setup { config, door, create, .. } = setup;
    let connected = Cluster::connect(config.clone()).await;
    let mut cluster = connected.map_err(|error| Failure { cause: error.cause, advice: error.advice })?;
    let names = [&*door.topic, &*door.answers];
    let missing = topics::missing(&mut cluster, &names).await?;
    match (missing.first(), create) {
        (None, _) => {}
        (Some(_), Some(create)) => {
            topics::make(&mut cluster, create, &missing, Purpose::Commands).await?;
            cluster.metadata(&names).await?;
        }
        (Some(missing), None) => {
            return Err(Failure {
                cause: format!("the topic {missing} is not there"),
                advice: "Make it, or let the gateway make it with `create_topics:`",
            });
        }
    }
    Ok(cluster)
}
