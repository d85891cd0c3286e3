//! What the producer wants to know of brokers, and what they answer.

use bytes::Bytes;

use crate::uplink::kafka::fleet::NodeId;
use crate::uplink::kafka::wire::{
    Fetched, FoundOffset, MetadataAnswer, PartitionProducers, ProduceAnswer, ProducerIdentity,
};

/// Whom to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Any broker.
    Any,
    /// The one that leads a partition.
    Node(NodeId),
}

/// What to ask.
#[derive(Debug)]
pub enum Ask {
    /// Brokers and topics.
    Metadata,
    /// A producer id.
    NewId {
        /// For this lane.
        lane: u8,
    },
    /// Where a stream's partition ends.
    End {
        /// The stream.
        stream: usize,
    },
    /// What a stream's partition remembers of producers.
    Describe {
        /// The stream.
        stream: usize,
    },
    /// Behind this record nothing of a lower epoch can land.
    Fence {
        /// The stream.
        stream: usize,
        /// The batch of one record.
        batch: Bytes,
    },
    /// What stands in a stream's partition.
    Read {
        /// The stream.
        stream: usize,
        /// From where on.
        offset: i64,
    },
    /// Batches for partitions that one broker leads.
    Produce {
        /// The broker.
        node: NodeId,
        /// One a stream.
        batches: Vec<Sent>,
    },
}

/// A batch on its way.
#[derive(Debug)]
pub struct Sent {
    /// Its stream.
    pub stream: usize,
    /// The intent's number.
    pub intent: u64,
    /// The bytes.
    pub batch: Bytes,
}

impl Ask {
    /// The one stream that it is about.
    pub fn stream(&self) -> Option<usize> {
        match self {
            Ask::End { stream } | Ask::Describe { stream } | Ask::Fence { stream, .. } | Ask::Read { stream, .. } => {
                Some(*stream)
            }
            Ask::Metadata | Ask::NewId { .. } | Ask::Produce { .. } => None,
        }
    }
}

/// What was answered.
#[derive(Debug)]
pub enum Answer {
    /// To [`Ask::Metadata`].
    Metadata(MetadataAnswer),
    /// To [`Ask::NewId`].
    NewId(ProducerIdentity),
    /// To [`Ask::End`].
    End(Vec<FoundOffset>),
    /// To [`Ask::Describe`].
    Described(Vec<PartitionProducers>),
    /// To [`Ask::Fence`] and [`Ask::Produce`].
    Produced(ProduceAnswer),
    /// To [`Ask::Read`].
    Read(i16, Vec<Fetched>),
}
