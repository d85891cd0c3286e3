//! Tells beside the readings who is alive, in a task and on a connection of its own.
//!
//! What is told here is told as well as can be: a topic of states that cannot be written to keeps no reading from being
//! delivered. It is warned of once, and tried again.

use std::sync::Arc;
use std::time::Duration;

use driver_core::Clock;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{info, warn};

use super::batch::{Builder, Compression, Headers, NO_STAMP, NewRecord};
use super::cluster::Cluster;
use super::config::Config;
use super::partition;
use super::status::{Devices, Said, Speaker, State};
use super::topics::{self, Purpose};
use crate::clock::WallClock;
use crate::uplink::TopicsSpec;
use crate::uplink::stream::Failure;

/// How long telling may take.
const TELL_WITHIN: Duration = Duration::from_secs(10);

/// How soon it is tried again when it failed.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// How long the farewell may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// How long a topic that was just made may have no leader.
const LEADER_WITHIN: Duration = Duration::from_secs(5);
const LEADER_EVERY: Duration = Duration::from_millis(100);

/// What it takes to tell of a gateway and its devices.
#[derive(Clone)]
pub(super) struct Announcement {
    pub(super) config: Arc<Config>,
    pub(super) topic: Box<str>,
    /// How the topic is made, where that is asked for.
    pub(super) create: Option<TopicsSpec>,
    pub(super) speaker: Speaker,
    pub(super) devices: Devices,
}

/// The running task. It ends when this is dropped.
pub(super) struct Teller {
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Teller {
    /// Begins to tell. To be called on a runtime.
    pub(super) fn start(announcement: Announcement) -> Teller {
        let (stop, stopped) = oneshot::channel();
        let task = Telling { announcement, cluster: None, builder: Builder::default(), failing: None };
        Teller { stop: Some(stop), task: tokio::spawn(task.run(stopped)) }
    }

    /// Tells that the gateway takes leave. Bounded in time.
    pub(super) async fn close(mut self) {
        drop(self.stop.take());
        if timeout(CLOSE_WITHIN, &mut self.task).await.is_err() {
            warn!("the farewell was not told in time");
        }
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Telling {
    announcement: Announcement,
    cluster: Option<Cluster>,
    builder: Builder,
    /// Why it could not be told, so that this is said once.
    failing: Option<String>,
}

impl Telling {
    /// Until `stop` is sent or dropped.
    async fn run(mut self, mut stop: oneshot::Receiver<()>) {
        loop {
            let told = self.tell(State::Online).await;
            let pause = self.announcement.speaker.heartbeat;
            let next = Instant::now() + if told { pause } else { pause.min(AGAIN_AFTER) };
            // Each arm may be cancelled: nothing is taken before it is told.
            tokio::select! {
                _ = &mut stop => break,
                () = sleep_until(next) => {}
                () = self.announcement.devices.changed(), if told => {}
            }
        }
        self.tell(State::Offline).await;
    }

    /// The gateway's record, and those of devices that are not told of yet; whether they are there.
    async fn tell(&mut self, state: State) -> bool {
        let Announcement { speaker, devices, .. } = &self.announcement;
        let (now, _) = WallClock::new().now();
        let mut said = vec![speaker.gateway(state, now)];
        match state {
            State::Online => {
                let news = devices.take_news();
                said.extend(news.iter().map(|(device, state)| speaker.device(device, *state, now)));
            }
            State::Offline | State::Stale => {
                said.extend(devices.names().iter().map(|device| speaker.device(device, State::Stale, now)));
            }
        }
        let outcome = match timeout(TELL_WITHIN, self.write(&said)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failure { cause: "the brokers do not answer in time".into(), advice: "It is tried again" }),
        };
        self.note(outcome)
    }

    fn note(&mut self, outcome: Result<(), Failure>) -> bool {
        let Announcement { speaker, topic, devices, .. } = &self.announcement;
        let (uplink, topic) = (&*speaker.uplink, &**topic);
        match outcome {
            Ok(()) => {
                if self.failing.take().is_some() {
                    info!(uplink, topic, "it is told again who is alive");
                }
                true
            }
            Err(Failure { cause, advice }) => {
                devices.tell_again();
                self.cluster = None;
                if self.failing.as_ref() != Some(&cause) {
                    warn!(
                        uplink,
                        topic, "it cannot be told who is alive: {cause}. {advice}. Readings are not affected"
                    );
                    self.failing = Some(cause);
                }
                false
            }
        }
    }

    async fn write(&mut self, said: &[Said]) -> Result<(), Failure> {
        let mut cluster = match self.cluster.take() {
            Some(cluster) => cluster,
            None => open(&self.announcement).await?,
        };
        let topic = &*self.announcement.topic;
        let partitions = cluster.topic(topic)?.partitions.len();
        let of_key = |key: &str| partition::of_key(key.as_bytes(), u32::try_from(partitions).unwrap_or(1));
        let mut by_partition: Vec<(i32, &Said)> = said.iter().map(|one| (of_key(&one.0), one)).collect();
        by_partition.sort_by_key(|(partition, _)| *partition);
        for records in by_partition.chunk_by(|one, two| one.0 == two.0) {
            let Some((index, _)) = records.first() else { continue };
            let time_ms = WallClock::new().now().0.0.div_euclid(1_000_000);
            let headers = Headers::new(&[("content-type", b"application/json")]);
            for (_, (key, value)) in records {
                let (key, value) = (Some(key.as_bytes()), Some(value.as_bytes()));
                self.builder.push(&NewRecord { time_ms, key, value, headers: &headers });
            }
            let out_of_memory = |cause: std::io::Error| Failure { cause: cause.to_string(), advice: "Free memory" };
            let batch = self.builder.finish(NO_STAMP, Compression::None).map_err(out_of_memory)?;
            cluster.write(topic, *index, &batch, TELL_WITHIN).await?;
        }
        self.cluster = Some(cluster);
        Ok(())
    }
}

/// A connection, to a cluster that has the topic.
async fn open(announcement: &Announcement) -> Result<Cluster, Failure> {
    let Announcement { config, topic, create, .. } = announcement;
    let connected = Cluster::connect(config.clone()).await;
    let mut cluster = connected.map_err(|error| Failure { cause: error.cause, advice: error.advice })?;
    if !topics::missing(&mut cluster, &[topic]).await?.is_empty() {
        let Some(create) = create else {
            return Err(Failure {
                cause: "the topic is not there".into(),
                advice: "Make it with cleanup.policy=compact, write `create_topics:`, or `status: off`",
            });
        };
        topics::make(&mut cluster, create, &[topic], Purpose::Status).await?;
    }
    let until = Instant::now() + LEADER_WITHIN;
    while cluster.leader(topic, 0).is_err() && Instant::now() < until {
        sleep(LEADER_EVERY).await;
        cluster.metadata(&[topic]).await?;
    }
    Ok(cluster)
}
