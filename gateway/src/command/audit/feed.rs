//! Where the audited messages come from: a broker of MQTT as they arrive, or the topics of Kafka as they stand.

mod broker;
mod kafka;
mod marks;

use crate::uplink::ConnectError;
use crate::uplink::mqtt::subscriber::Arrived;

pub(super) use broker::Broker;
pub(super) use kafka::{Follow, From, Kafka};
pub(super) use marks::{Marked, Marks};

use super::latency::Arrival;
use super::ledger::Ledger;

/// The messages of one audit.
pub(super) enum Feed {
    /// Of a broker of MQTT.
    Broker(Box<Broker>),
    /// Of topics of Kafka.
    Kafka(Box<Kafka>),
}

/// A message as the ledger takes it.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) message: Arrived,
    pub(super) arrival: Arrival,
    /// What its headers say, where it has some.
    pub(super) marks: Option<Marks>,
}

impl Feed {
    /// Scheme and hosts.
    pub(super) fn endpoint(&self) -> &str {
        match self {
            Feed::Broker(feed) => feed.subscriber.endpoint(),
            Feed::Kafka(feed) => feed.endpoint(),
        }
    }

    /// Connects. Bounded in time.
    pub(super) async fn connect(&mut self) -> Result<(), ConnectError> {
        match self {
            Feed::Broker(feed) => feed.subscriber.connect().await.map(drop),
            Feed::Kafka(feed) => feed.connect().await,
        }
    }

    /// The next message; `None` when all that was asked for has been seen. The error says why no more can come of which it
    /// is known that none is missing before it.
    pub(super) async fn next(&mut self) -> Result<Option<Heard>, String> {
        match self {
            Feed::Broker(feed) => feed.next().await.map(Some),
            Feed::Kafka(feed) => feed.next().await,
        }
    }

    /// Takes leave. Bounded in time; an error is for the operator and changes nothing.
    pub(super) async fn close(&mut self) -> Result<(), String> {
        match self {
            Feed::Broker(feed) => feed.subscriber.close().await.map_err(|loss| loss.reason),
            Feed::Kafka(_) => Ok(()),
        }
    }

    /// What is not yet seen of what was there at the start, as far as it is known.
    pub(super) fn left(&self) -> Option<Left> {
        match self {
            Feed::Broker(_) => None,
            Feed::Kafka(feed) => Some(feed.left()),
        }
    }

    /// Tells the ledger from where on a hole is a loss, where the topics do not begin with the first reading.
    pub(super) fn settle(&self, ledger: &mut Ledger) {
        if let Feed::Kafka(feed) = self {
            feed.begin().into_iter().for_each(|(log, seq)| ledger.count_from(log, seq));
        }
    }
}

/// Records that are still to be read, counted while they are.
pub(super) type Left = std::sync::Arc<std::sync::atomic::AtomicU64>;
