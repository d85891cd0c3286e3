//! MQTT 3.1.1 and 5, over TCP, TLS and WebSockets. See `mqtt/README.md`.
//!
//! The client is our own: [`publisher`] brings readings, [`subscriber`] serves the commands that look at what has arrived.
//! [`packet`] and [`session`] are pure.

mod commands;
mod config;
mod dial;
mod edge;
mod keep_alive;
mod link;
pub mod packet;
mod publisher;
mod reason;
mod session;
pub mod subscriber;
mod transport;
mod trial;
mod websocket;

use self::config::Config;
use self::edge::Edge;
use self::publisher::MqttPublisher;
use super::format::Format;
use super::format::compressed::Compressed;
use super::sparkplug::{self, EdgeNode};
use super::topic::Rules;
use super::{ListsTags, Trial, Uplink, UplinkError, UplinkInfo, UplinkSpec, Way, format};

/// MQTT brokers.
#[derive(Debug)]
pub struct Mqtt;

static INFO: UplinkInfo = UplinkInfo {
    name: "mqtt",
    schemes: &["mqtt", "mqtts", "ws", "wss"],
    sample: include_str!("mqtt/sample.yaml"),
    options: config::OPTIONS,
    lists_tags: ListsTags::Formats,
};

impl Uplink for Mqtt {
    fn info(&self) -> &'static UplinkInfo {
        &INFO
    }

    fn open(&self, spec: &UplinkSpec) -> Result<Way, Vec<UplinkError>> {
        let chosen = format::choose(&INFO, spec);
        let (kind, (config, topic)) = match (chosen, config::check(spec)) {
            (Ok(kind), Ok(checked)) => (kind, checked),
            (kind, checked) => {
                let wrong = checked.err().unwrap_or_default();
                return Err(kind.err().into_iter().chain(wrong).collect());
            }
        };
        if kind.info().name == sparkplug::NAME {
            return edge_node(spec, config.for_sparkplug());
        }
        let format = kind.open(spec, topic, Rules::Mqtt)?;
        let format: Box<dyn Format> = match config.compression {
            Some(compression) => Box::new(Compressed::new(format, compression)),
            None => format,
        };
        Ok(Way { format, publisher: Box::new(MqttPublisher::new(config, None)) })
    }

    fn trial(&self, spec: &UplinkSpec) -> Result<Trial, Vec<UplinkError>> {
        trial::trial(spec)
    }
}

/// Readings as Sparkplug: format and publisher share what is known of each metric.
fn edge_node(spec: &UplinkSpec, config: Config) -> Result<Way, Vec<UplinkError>> {
    let EdgeNode { format, node, bd_seq, door } = EdgeNode::open(spec)?;
    let edge = Edge::new(node, bd_seq, door, spec);
    Ok(Way { format, publisher: Box::new(MqttPublisher::new(config, Some(edge))) })
}
