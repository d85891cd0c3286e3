//! Reads commands from their topic.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::{AGAIN_AFTER, AGAIN_AFTER_MAX, Setup, Shared, keep, open};
use crate::pipeline::command::Inbound;
use crate::uplink::kafka::batch;
use crate::uplink::kafka::cluster::Cluster;
use crate::uplink::kafka::commands::Door;
use crate::uplink::kafka::error::{self, code};
use crate::uplink::kafka::fleet::NodeId;
use crate::uplink::kafka::offsets::{self, Found, Noticed, Offsets};
use crate::uplink::kafka::wire::{
    Fetch, FetchPart, Isolation, ListOffsets, OffsetAt, PartitionMetadata, TopicId, TopicMetadata,
};
use crate::uplink::stream::Failure;

/// What is asked of a partition at once, bytes; one batch comes whole even if it is larger.
const FETCH_BYTES_MAX: i32 = 256 << 10;

/// How long a broker may wait for a command, where there is one to ask, and altogether where there are several.
const WAIT_ALONE: Duration = Duration::from_secs(5);
const WAIT_TOGETHER: Duration = Duration::from_millis(500);

/// How often it is looked whether the topic has changed.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Reads commands.
pub(super) struct Reading {
    setup: Setup,
    shared: Arc<Shared>,
    sender: mpsc::Sender<Inbound>,
    /// Why it cannot, so that this is said once.
    failing: Option<String>,
    /// How soon it is tried again when it fails.
    pause: Duration,
}

impl Reading {
    pub(super) fn new(setup: Setup, shared: Arc<Shared>, sender: mpsc::Sender<Inbound>) -> Reading {
        Reading { setup, shared, sender, failing: None, pause: AGAIN_AFTER }
    }

    /// For ever; what fails is said once and tried again.
    pub(super) async fn run(&mut self) {
        loop {
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
            sleep(self.pause).await;
            self.pause = (self.pause * 2).min(AGAIN_AFTER_MAX);
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
        let TopicMetadata { error, id, partitions, .. } = cluster.topic(&door.topic)?.clone();
        readable(&door.topic, error)?;
        let mut found = Vec::new();
        for PartitionMetadata { index: partition, .. } in partitions {
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
            let leader = cluster.leader(topic, partition)?;
            by_leader.entry(leader).or_default().push((partition, next));
        }
        if by_leader.is_empty() {
            // A broker that names no partition answers at once: it is not asked without a pause.
            sleep(WAIT_ALONE).await;
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
            readable(topic, code)?;
            for part in fetched {
                readable(topic, part.error)?;
                let read = batch::read(part.batches);
                let mut batches = read.map_err(|cause| Failure {
                    cause: format!("partition {} cannot be read at offset {}: {cause}", part.partition, part.start),
                    advice: "Look into the broker's log",
                })?;
                batch::committed(&mut batches, &part.aborted);
                self.hand_over(id, part.partition, batches).await;
            }
        }
        // What failed before is over: the next failure is a new one.
        self.pause = AGAIN_AFTER;
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

async fn offset_at(cluster: &mut Cluster, topic: &str, partition: i32, at: OffsetAt) -> Result<i64, Failure> {
    let leader = cluster.leader(topic, partition)?;
    let found = cluster.request(leader, &ListOffsets { parts: vec![(topic, partition, at)] }).await?;
    let found = found.first().ok_or_else(|| Failure {
        cause: format!("where partition {partition} of {topic} begins and ends was not answered"),
        advice: "Look into the broker's log",
    })?;
    readable(topic, found.error)?;
    Ok(found.offset)
}

/// A topic's code as what it means to who may not read it.
fn readable(topic: &str, code: i16) -> Result<(), Failure> {
    let advice = "Permit the gateway's user READ and DESCRIBE on the topic of commands";
    error::check(topic, code).map_err(|failure| match code {
        code::TOPIC_AUTHORIZATION_FAILED => Failure { advice, ..failure },
        _ => failure,
    })
}
