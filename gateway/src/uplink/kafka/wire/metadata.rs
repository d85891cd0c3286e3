//! Metadata (3), version 10: the brokers, and the topics with their ids and leaders.

use super::{Encoding, Malformed, Reader, Request, TopicId, Writer};

/// Asks for these topics; none are made by asking.
#[derive(Debug)]
pub struct Metadata<'a> {
    /// Names of topics.
    pub topics: Vec<&'a str>,
}

/// A cluster as one of its brokers sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetadataAnswer {
    /// How long the broker asks to wait, milliseconds.
    pub throttle_ms: i32,
    /// All brokers that live.
    pub brokers: Vec<Broker>,
    /// The cluster's id.
    pub cluster: Option<String>,
    /// The node that controls, or -1.
    pub controller: i32,
    /// The topics asked for.
    pub topics: Vec<TopicMetadata>,
}

/// Where a broker is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// Its node id.
    pub node: i32,
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// A topic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicMetadata {
    /// What is wrong with it, or 0.
    pub error: i16,
    /// Its name.
    pub name: String,
    /// Its id; another one after it was deleted and made anew.
    pub id: TopicId,
    /// Its partitions, in any order.
    pub partitions: Vec<PartitionMetadata>,
}

/// A partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionMetadata {
    /// What is wrong with it, or 0.
    pub error: i16,
    /// Its number.
    pub index: i32,
    /// The node that leads it, or -1.
    pub leader: i32,
}

impl Request for Metadata<'_> {
    const KEY: i16 = 3;
    const VERSION: i16 = 10;
    const ENCODING: Encoding = Encoding::Flexible;
    type Answer = MetadataAnswer;

    fn write(&self, out: &mut Writer) {
        out.compact_array(self.topics.len());
        for topic in &self.topics {
            out.raw(&[0; 16]);
            out.compact_string(topic);
            out.no_tags();
        }
        // No topic is made, and no list of what is permitted is wanted.
        out.raw(&[0, 0, 0]);
        out.no_tags();
    }

    fn read(answer: &mut Reader) -> Result<MetadataAnswer, Malformed> {
        let throttle_ms = answer.i32()?;
        let brokers = answer.compact_array(broker)?;
        let cluster = answer.compact_string()?;
        let controller = answer.i32()?;
        let topics = answer.compact_array(topic)?;
        Ok(MetadataAnswer { throttle_ms, brokers, cluster, controller, topics })
    }
}

fn broker(answer: &mut Reader) -> Result<Broker, Malformed> {
    let node = answer.i32()?;
    let host = answer.compact_string()?.unwrap_or_default();
    let port = u16::try_from(answer.i32()?).map_err(|_| Malformed { what: "a port" })?;
    answer.compact_string()?;
    answer.tags()?;
    Ok(Broker { node, host, port })
}

fn topic(answer: &mut Reader) -> Result<TopicMetadata, Malformed> {
    let error = answer.i16()?;
    let name = answer.compact_string()?.unwrap_or_default();
    let id = answer.topic_id()?;
    answer.i8()?;
    let partitions = answer.compact_array(partition)?;
    answer.i32()?;
    answer.tags()?;
    Ok(TopicMetadata { error, name, id, partitions })
}

fn partition(answer: &mut Reader) -> Result<PartitionMetadata, Malformed> {
    let error = answer.i16()?;
    let index = answer.i32()?;
    let leader = answer.i32()?;
    answer.i32()?;
    for _ in 0..3 {
        answer.compact_array(Reader::i32)?;
    }
    answer.tags()?;
    Ok(PartitionMetadata { error, index, leader })
}
