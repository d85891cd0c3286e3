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

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tracing::{error, info, warn};

use super::batch::{self, Builder, Compression, NO_STAMP, NewRecord};
use super::cluster::Cluster;
use super::commands::{CORRELATION, Door};
use super::config::Config;
use super::fleet::NodeId;
use super::offsets::{self, Found, Noticed, Offsets};
use super::topics::{self, Purpose};
use super::wire::{Fetch, FetchPart, Isolation, ListOffsets, OffsetAt, Produce, ProducePart, TopicId};
use super::{error, partition};
use crate::clock::WallClock;
use crate::pipeline::command::{Answer, Inbound, ReplyTo, json};
use crate::uplink::TopicsSpec;
use crate::uplink::stream::Failure;
use driver_core::Clock;

/// How many commands may be without an answer; more are left in the topic until then. A line takes twice as many, so that
/// none is refused because others of this topic wait.
const UNDER_WAY_MAX: usize = 8;

/// What is asked of a partition at once, bytes; one batch comes whole even if it is larger.
const FETCH_BYTES_MAX: i32 = 256 << 10;

/// How long a broker may wait for a command, where there is one to ask, and altogether where there are several.
const WAIT_ALONE: Duration = Duration::from_secs(5);
const WAIT_TOGETHER: Duration = Duration::from_millis(500);

/// How often it is looked whether the topic has changed.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// How soon it is tried again when it failed: doubled each time.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
const AGAIN_AFTER_MAX: Duration = Duration::from_secs(30);

/// How long writing answers may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// How long the last answers may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// What was read beyond other gateways' commands is kept on disk this often.
const KEEP_EVERY: Duration = Duration::from_secs(5);

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
    let mut reading = Reading { setup: setup.clone(), shared: shared.clone(), sender, failing: None };
    let mut answering = Answering { setup, shared, cluster: None, builder: Builder::default(), failing: None };
    // None of the arms is entered again once another one has ended.
    tokio::select! {
        _ = stop => {}
        () = reading.run() => {}
        () = answering.run() => {}
    }
    if timeout(CLOSE_WITHIN, answering.once()).await.is_err() {
        warn!(
            uplink = &*answering.setup.door.uplink,
            "answers to commands are left; they are given after the next start"
        );
    }
}

/// Reads commands.
struct Reading {
    setup: Setup,
    shared: Arc<Shared>,
    sender: mpsc::Sender<Inbound>,
    /// Why it cannot, so that this is said once.
    failing: Option<String>,
}

impl Reading {
    async fn run(&mut self) {
        let mut pause = AGAIN_AFTER;
        loop {
            let begun = Instant::now();
            let Failure { cause, advice } = self.listen().await;
            let Door { uplink, topic, .. } = &self.setup.door;
            if self.failing.as_ref() != Some(&cause) {
                warn!(
                    uplink = &**uplink,
                    topic = &**topic,
                    "no commands are taken: {cause}. {advice}. It is tried again"
                );
                self.failing = Some(cause);
            }
            pause = if begun.elapsed() > AGAIN_AFTER_MAX { AGAIN_AFTER } else { (pause * 2).min(AGAIN_AFTER_MAX) };
            sleep(pause).await;
        }
    }

    /// Takes commands until that fails.
    async fn listen(&mut self) -> Failure {
        match self.take().await {
            Ok(never) => match never {},
            Err(failure) => failure,
        }
    }

    async fn take(&mut self) -> Result<std::convert::Infallible, Failure> {
        self.load().await?;
        let mut cluster = open(&self.setup).await?;
        loop {
            let looked = Instant::now();
            let id = self.look(&mut cluster).await?;
            if self.failing.take().is_some() {
                info!(uplink = &*self.setup.door.uplink, topic = &*self.setup.door.topic, "commands are taken again");
            }
            while looked.elapsed() < LOOK_EVERY {
                self.fetch(&mut cluster, id).await?;
            }
            cluster.metadata(&[&self.setup.door.topic]).await?;
        }
    }

    /// Reads the file of the offsets, once.
    async fn load(&self) -> Result<(), Failure> {
        if self.shared.lock().offsets.is_some() {
            return Ok(());
        }
        let file = self.setup.file.clone();
        let loaded = tokio::task::spawn_blocking(move || offsets::load(&file)).await;
        let text = loaded.unwrap_or_else(|panic| Err(std::io::Error::other(panic))).map_err(|cause| Failure {
            cause: format!("what was read before cannot be looked up: {cause}"),
            advice: "Look after the disk and the rights of the buffer's folder",
        })?;
        self.shared.lock().offsets = Some(Offsets::read(&text, &self.setup.door.topic));
        Ok(())
    }

    /// The topic as it is now; what that changes is on disk before anything is read.
    async fn look(&mut self, cluster: &mut Cluster) -> Result<TopicId, Failure> {
        let door = &self.setup.door;
        let (id, partitions) = partitions(cluster, &door.topic)?;
        let mut found = Vec::new();
        for partition in partitions {
            let start = offset_at(cluster, &door.topic, partition, OffsetAt::Start).await?;
            let end = offset_at(cluster, &door.topic, partition, OffsetAt::End).await?;
            found.push(Found { partition, start, end });
        }
        for noticed in self.shared.offsets(|offsets| offsets.saw(id, &found)) {
            self.tell(noticed);
        }
        keep(&self.setup, &self.shared).await?;
        Ok(id)
    }

    fn tell(&self, noticed: Noticed) {
        let Door { uplink, topic, .. } = &self.setup.door;
        let (uplink, topic) = (&**uplink, &**topic);
        match noticed {
            Noticed::Gone(partition, records) => warn!(
                uplink,
                topic,
                "{records} records of partition {partition} were gone before they were read, commands among them \
                 were not executed: raise `retention.ms` of the topic"
            ),
            Noticed::Shorter(partition) => {
                warn!(uplink, topic, "partition {partition} ends before what was read of it: its brokers lost records");
            }
            Noticed::MadeAnew => warn!(uplink, topic, "the topic was made anew and is read from its start"),
        }
    }

    /// One look into all partitions.
    async fn fetch(&mut self, cluster: &mut Cluster, id: TopicId) -> Result<(), Failure> {
        self.shared.room().await;
        let topic = &*self.setup.door.topic;
        let mut by_leader: BTreeMap<NodeId, Vec<(i32, i64)>> = BTreeMap::new();
        for (partition, next) in self.shared.offsets(|offsets| offsets.wanted()) {
            let leader = cluster.seen().leader(topic, partition).ok_or_else(|| no_leader(topic, partition))?;
            by_leader.entry(leader).or_default().push((partition, next));
        }
        let several = u32::try_from(by_leader.len()).unwrap_or(u32::MAX);
        let wait = if several <= 1 { WAIT_ALONE } else { WAIT_TOGETHER / several };
        for (leader, parts) in by_leader {
            let part = |(partition, offset)| FetchPart { topic, partition, offset };
            let request = Fetch {
                wait_ms: wait.as_millis() as i32,
                bytes_max: FETCH_BYTES_MAX,
                level: Isolation::Committed,
                parts: parts.into_iter().map(part).collect(),
            };
            let (code, fetched) = cluster.request(leader, &request).await?;
            refused(topic, code)?;
            for part in fetched {
                refused(topic, part.error)?;
                let read = batch::read(part.batches);
                let mut batches = read.map_err(|cause| Failure {
                    cause: format!("partition {} cannot be read at offset {}: {cause}", part.partition, part.start),
                    advice: "Look into the broker's log",
                })?;
                batch::committed(&mut batches, &part.aborted);
                self.hand_over(id, part.partition, batches).await;
            }
        }
        Ok(())
    }

    async fn hand_over(&self, id: TopicId, partition: i32, batches: Vec<batch::Batch>) {
        for batch in batches {
            for record in &batch.records {
                // The batch that holds the first offset comes whole.
                let next =
                    self.shared.offsets(|offsets| offsets.wanted().iter().find(|at| at.0 == partition).map(|at| at.1));
                if next.is_none_or(|next| record.offset < next) {
                    continue;
                }
                self.shared.room().await;
                let received = Instant::now().into_std();
                let Some(asked) = self.setup.door.asked(record, (id, partition), received) else { continue };
                let number = self.shared.offsets(|offsets| offsets.begun(partition, record.offset));
                if self.sender.send(self.setup.door.inbound(asked, record, number)).await.is_err() {
                    return;
                }
            }
            self.shared.offsets(|offsets| offsets.read_to(partition, batch.next_offset));
        }
    }
}

/// Writes answers.
struct Answering {
    setup: Setup,
    shared: Arc<Shared>,
    cluster: Option<Cluster>,
    builder: Builder,
    failing: Option<String>,
}

impl Answering {
    async fn run(&mut self) {
        let mut pause = AGAIN_AFTER;
        loop {
            if self.once().await {
                pause = AGAIN_AFTER;
                // An answer that came meanwhile has left its mark.
                let _ = timeout(KEEP_EVERY, self.shared.has_answers.notified()).await;
            } else {
                sleep(pause).await;
                pause = (pause * 2).min(AGAIN_AFTER_MAX);
            }
        }
    }

    /// Writes all answers that are there, and then how far the topic is answered; whether that is done.
    async fn once(&mut self) -> bool {
        let written = match timeout(ANSWER_WITHIN, self.write()).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failure { cause: "the brokers do not answer in time".into(), advice: "It is tried again" }),
        };
        let outcome = match written {
            Ok(()) => keep(&self.setup, &self.shared).await,
            Err(failure) => Err(failure),
        };
        let Door { uplink, answers, .. } = &self.setup.door;
        match outcome {
            Ok(()) => {
                if self.failing.take().is_some() {
                    info!(uplink = &**uplink, topic = &**answers, "commands are answered again");
                }
                self.shared.has_room.notify_one();
                true
            }
            Err(Failure { cause, advice }) => {
                self.cluster = None;
                if self.failing.as_ref() != Some(&cause) {
                    error!(
                        uplink = &**uplink,
                        topic = &**answers,
                        "commands cannot be answered: {cause}. {advice}. No more than {UNDER_WAY_MAX} are taken until then"
                    );
                    self.failing = Some(cause);
                }
                false
            }
        }
    }

    async fn write(&mut self) -> Result<(), Failure> {
        let answers: Vec<(ReplyTo, Vec<u8>)> = self.shared.lock().answers.iter().cloned().collect();
        if answers.is_empty() {
            return Ok(());
        }
        let mut cluster = match self.cluster.take() {
            Some(cluster) => cluster,
            None => open(&self.setup).await?,
        };
        let door = &self.setup.door;
        cluster.metadata(&[&door.answers]).await?;
        let (_, partitions) = partitions(&cluster, &door.answers)?;
        let index = partition::of_key(door.gateway.as_bytes(), u32::try_from(partitions.len()).unwrap_or(1));
        let leader = cluster.seen().leader(&door.answers, index).ok_or_else(|| no_leader(&door.answers, index))?;
        let time_ms = WallClock::new().now().0.0.div_euclid(1_000_000);
        for (to, text) in &answers {
            let fixed = [("content-type", &b"application/json"[..]), ("gateway", self.setup.identity.as_bytes())];
            let correlation = to.correlation.as_deref().map(|bytes| (CORRELATION, bytes));
            let headers: Vec<(&str, &[u8])> = fixed.into_iter().chain(correlation).collect();
            let (key, value) = (Some(door.gateway.as_bytes()), Some(&text[..]));
            self.builder.push(&NewRecord { time_ms, key, value, headers: &headers });
        }
        let out_of_memory = |cause: std::io::Error| Failure { cause: cause.to_string(), advice: "Free memory" };
        let batch = self.builder.finish(NO_STAMP, Compression::None).map_err(out_of_memory)?;
        let parts = vec![ProducePart { topic: &door.answers, partition: index, batch: &batch }];
        let timeout_ms = ANSWER_WITHIN.as_millis() as i32;
        let written = cluster.request(leader, &Produce { timeout_ms, parts }).await?;
        refused(&door.answers, written.parts.first().map_or(0, |part| part.error))?;
        self.cluster = Some(cluster);
        let mut state = self.shared.lock();
        state.answers.drain(..answers.len());
        for (to, _) in &answers {
            if let Some(offsets) = &mut state.offsets {
                offsets.answered(to.place);
            }
        }
        Ok(())
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

/// The id and the partitions of a topic, as they were seen last.
fn partitions(cluster: &Cluster, topic: &str) -> Result<(TopicId, Vec<i32>), Failure> {
    let seen = cluster.seen().topics.iter().find(|known| known.name == topic);
    let seen = seen.ok_or_else(|| Failure {
        cause: format!("nothing is known of the topic {topic}"),
        advice: "Look into the broker's log",
    })?;
    refused(topic, seen.error)?;
    Ok((seen.id, seen.partitions.iter().map(|partition| partition.index).collect()))
}

async fn offset_at(cluster: &mut Cluster, topic: &str, partition: i32, at: OffsetAt) -> Result<i64, Failure> {
    let leader = cluster.seen().leader(topic, partition).ok_or_else(|| no_leader(topic, partition))?;
    let found = cluster.request(leader, &ListOffsets { parts: vec![(topic, partition, at)] }).await?;
    let found = found.first().ok_or_else(|| no_leader(topic, partition))?;
    refused(topic, found.error)?;
    Ok(found.offset)
}

fn no_leader(topic: &str, partition: i32) -> Failure {
    Failure { cause: format!("partition {partition} of {topic} has no leader"), advice: "Look after the brokers" }
}

fn refused(topic: &str, code: i16) -> Result<(), Failure> {
    match code {
        0 => Ok(()),
        error::TOPIC_AUTHORIZATION_FAILED => Err(Failure {
            cause: format!("{topic}: {}", error::name(code)),
            advice: "Permit the gateway's user READ and DESCRIBE on the topic of commands, WRITE on that of answers",
        }),
        code => Err(Failure { cause: format!("{topic}: {}", error::name(code)), advice: error::advice(code) }),
    }
}
