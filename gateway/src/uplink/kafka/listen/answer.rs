//! Writes the answers to commands into their topic, and then how far it is answered to the disk.

use std::sync::Arc;
use std::time::Duration;

use driver_core::Clock;
use tokio::time::{sleep, timeout};
use tracing::{error, info};

use super::{AGAIN_AFTER, AGAIN_AFTER_MAX, Setup, Shared, UNDER_WAY_MAX, keep, open};
use crate::clock::WallClock;
use crate::pipeline::command::ReplyTo;
use crate::uplink::kafka::batch::{Builder, Compression, Headers, NO_STAMP, NewRecord};
use crate::uplink::kafka::cluster::Cluster;
use crate::uplink::kafka::commands::{CORRELATION, Door};
use crate::uplink::kafka::{error, partition};
use crate::uplink::stream::Failure;

/// How long writing answers may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// What was read beyond other gateways' commands is kept on disk this often.
const KEEP_EVERY: Duration = Duration::from_secs(5);

/// Writes answers.
pub(super) struct Answering {
    setup: Setup,
    shared: Arc<Shared>,
    cluster: Option<Cluster>,
    builder: Builder,
    failing: Option<String>,
}

impl Answering {
    pub(super) fn new(setup: Setup, shared: Arc<Shared>) -> Answering {
        Answering { setup, shared, cluster: None, builder: Builder::default(), failing: None }
    }

    /// For ever; what fails is said once and tried again.
    pub(super) async fn run(&mut self) {
        let mut pause = AGAIN_AFTER;
        loop {
            if self.once().await {
                pause = AGAIN_AFTER;
                // An answer that came meanwhile has left its mark.
                tokio::select! {
                    () = self.shared.has_answers.notified() => {}
                    () = sleep(KEEP_EVERY) => {}
                }
            } else {
                sleep(pause).await;
                pause = (pause * 2).min(AGAIN_AFTER_MAX);
            }
        }
    }

    /// Writes all answers that are there, and then how far the topic is answered; whether that is done.
    pub(super) async fn once(&mut self) -> bool {
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
        let topic = cluster.topic(&door.answers)?;
        error::check(&door.answers, topic.error)?;
        let index = partition::of_key(door.gateway.as_bytes(), u32::try_from(topic.partitions.len()).unwrap_or(1));
        let time_ms = WallClock::new().now().0.0.div_euclid(1_000_000);
        for (to, text) in &answers {
            let fixed = [("content-type", &b"application/json"[..]), ("gateway", self.setup.identity.as_bytes())];
            let correlation = to.correlation.as_deref().map(|bytes| (CORRELATION, bytes));
            let headers: Vec<(&str, &[u8])> = fixed.into_iter().chain(correlation).collect();
            let (key, value) = (Some(door.gateway.as_bytes()), Some(&text[..]));
            self.builder.push(&NewRecord { time_ms, key, value, headers: &Headers::new(&headers) });
        }
        let out_of_memory = |cause: std::io::Error| Failure { cause: cause.to_string(), advice: "Free memory" };
        let batch = self.builder.finish(NO_STAMP, Compression::None).map_err(out_of_memory)?;
        cluster.write(&door.answers, index, &batch, ANSWER_WITHIN).await?;
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
