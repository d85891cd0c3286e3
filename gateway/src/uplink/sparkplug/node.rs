//! The life of the edge node, without I/O: what is published when, and in which order.
//!
//! ```text
//! away --connected--> listening --host online, or none configured--> born --rebirth asked for--> born
//!                        ^                                             |
//!                        +-------------- the connection is lost -------+--host offline--> leaves
//! ```
//!
//! A device is born with its first data, and from then on behind each birth of the node; it dies when nothing of it can be
//! read. What was taken before the birth under
//! which it is sent, or was sent before on a connection that was lost, is marked as history: the birth holds what is newer.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use driver_core::{Timestamp, Value};
use tracing::{info, warn};

use super::catalogue::Topic;
use super::host::{self, Host, HostState};
use super::metric::MetricType;
use super::wire::{Heading, as_history, finish, write_metric};
use super::{GAP, Names, REBIRTH, Shared, time_ms};
use crate::uplink::{Lane, Message, Token};

/// How many tokens of earlier connections are remembered; they are those of one window.
const EARLIER_MAX: usize = 2 * crate::pipeline::forward::window::MESSAGES_MAX;

const BD_SEQ: &str = "bdSeq";

/// A message that is ready to be published, with QoS 0 and not retained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::uplink) struct Frame {
    /// Where.
    pub(in crate::uplink) topic: Arc<str>,
    /// What.
    pub(in crate::uplink) payload: Bytes,
}

/// What becomes of a message of the log's.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::uplink) enum HandOver {
    /// These are published, in this order; the message has arrived with the last of them.
    Publish(Vec<Frame>),
    /// It says nothing but that a device cannot be reached, and its death has said so already.
    SaidAlready,
}

/// What a state of the primary host asks for.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::uplink) enum Verdict {
    /// Nothing changes.
    Stay,
    /// It is there: the births are published.
    Born(Vec<Frame>),
    /// It is not: the death is published, and the connection ended (tck-id-operational-behavior-edge-node-termination-host-offline).
    Leave(Frame),
}

/// The edge node on its connection.
#[derive(Debug)]
pub(in crate::uplink) struct Node {
    names: Names,
    shared: Shared,
    /// The application that the readings are for, where one was configured.
    host_id: Option<Box<str>>,
    phase: Phase,
    bd_seq: u8,
    seq: u8,
    /// By the places of the catalogue.
    devices: Vec<Life>,
    /// What was handed over on this connection and has not been confirmed.
    handed_over: HashSet<Token>,
    /// What was so on earlier ones.
    earlier: HashSet<Token>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Away,
    Listening(Host),
    Born { host: Host, since: Timestamp },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Unborn,
    /// Born with this version of its metrics.
    Alive(u32),
    /// Born so that its history has a place, while it cannot be reached.
    OfThePast(u32),
    Dead,
}

impl Node {
    pub(super) fn new(names: Names, shared: Shared, host_id: Option<Box<str>>) -> Node {
        Node {
            names,
            shared,
            host_id,
            phase: Phase::Away,
            bd_seq: 0,
            seq: 0,
            devices: Vec::new(),
            handed_over: HashSet::new(),
            earlier: HashSet::new(),
        }
    }

    /// A connection is about to be made, under this number.
    pub(in crate::uplink) fn connecting(&mut self, bd_seq: u8) {
        self.bd_seq = bd_seq;
        self.phase = Phase::Away;
        if self.earlier.len() > EARLIER_MAX {
            self.earlier.clear();
        }
        self.earlier.extend(self.handed_over.drain());
    }

    /// The last will, and the farewell (tck-id-topics-ndeath-payload, tck-id-topics-ndeath-seq).
    pub(in crate::uplink) fn death(&self, now: Timestamp) -> Frame {
        let mut payload = Vec::new();
        self.write_bd_seq(now, &mut payload);
        finish(time_ms(now), None, &mut payload);
        Frame { topic: self.names.topic("NDEATH", None).into(), payload: payload.into() }
    }

    /// What is listened to: commands to the node and to its devices, and the primary host's state.
    pub(in crate::uplink) fn subscriptions(&self) -> Vec<String> {
        let mut topics = vec![self.names.topic("NCMD", None), self.names.topic("DCMD", Some("+"))];
        if let Some(host) = &self.host_id {
            topics.extend([format!("spBv1.0/STATE/{host}"), format!("STATE/{host}")]);
        }
        topics
    }

    /// The connection is made and listened on. The births, unless the host has to be there first.
    pub(in crate::uplink) fn connected(&mut self, now: Timestamp) -> Vec<Frame> {
        self.phase = Phase::Listening(Host::Unknown);
        if self.host_id.is_some() { Vec::new() } else { self.births(now) }
    }

    /// Whether data may be published.
    pub(in crate::uplink) fn is_born(&self) -> bool {
        matches!(self.phase, Phase::Born { .. })
    }

    /// Whether there is a connection, and the primary host is waited for.
    pub(in crate::uplink) fn waits_for_host(&self) -> bool {
        matches!(self.phase, Phase::Listening(_))
    }

    /// The topic of a message is that of the primary host's state.
    pub(in crate::uplink) fn is_state(&self, topic: &str) -> bool {
        let host = self.host_id.as_deref();
        host.is_some_and(|host| topic.strip_prefix("spBv1.0/").unwrap_or(topic).strip_prefix("STATE/") == Some(host))
    }

    /// The primary host says that it is there, or not.
    pub(in crate::uplink) fn host_says(&mut self, payload: &[u8], now: Timestamp) -> Verdict {
        let Some(said) = host::read(payload) else {
            warn!(
                host = self.host_id.as_deref(),
                "the state of the primary host cannot be understood; it is passed over"
            );
            return Verdict::Stay;
        };
        match self.phase {
            Phase::Away => Verdict::Stay,
            Phase::Listening(host) => {
                self.phase = Phase::Listening(host.heard(said));
                if host.heard(said).is_online() {
                    info!(host = self.host_id.as_deref(), "the primary host is online");
                    return Verdict::Born(self.births(now));
                }
                Verdict::Stay
            }
            Phase::Born { host, since } => {
                let host = host.heard(said);
                self.phase = Phase::Born { host, since };
                match host {
                    Host::Known(HostState::Offline(_)) => {
                        self.phase = Phase::Away;
                        Verdict::Leave(self.death(now))
                    }
                    _ => Verdict::Stay,
                }
            }
        }
    }

    /// The births of the node and of all devices that live; asked for by a host, or by a connection that was made.
    pub(in crate::uplink) fn births(&mut self, now: Timestamp) -> Vec<Frame> {
        let host = match self.phase {
            Phase::Listening(host) | Phase::Born { host, .. } => host,
            Phase::Away => Host::Unknown,
        };
        self.phase = Phase::Born { host, since: now };
        self.seq = 0;
        let mut payload = Vec::new();
        self.write_bd_seq(now, &mut payload);
        self.write_own(REBIRTH, &Value::Bool(false), now, &mut payload);
        self.write_null_text(GAP, now, &mut payload);
        self.shared.lock().write_definitions(now, &mut payload);
        let birth = self.frame(self.names.topic("NBIRTH", None).into(), payload, now);
        let mut frames = vec![birth];
        let lives = std::mem::take(&mut self.devices);
        for (device, life) in lives.iter().enumerate() {
            // What has lived lives on until its silence is handed over; what was never heard is born with its first data.
            let next = match life {
                Life::Alive(_) | Life::OfThePast(_) => {
                    let (frame, version) = self.device_birth(device as u32, now);
                    frames.extend(frame);
                    if matches!(life, Life::Alive(_)) { Life::Alive(version) } else { Life::OfThePast(version) }
                }
                Life::Dead | Life::Unborn => *life,
            };
            self.devices.push(next);
        }
        frames
    }

    /// A message of the log's is about to be published.
    pub(in crate::uplink) fn hand_over(&mut self, message: &Message, now: Timestamp) -> HandOver {
        let Phase::Born { since, .. } = self.phase else { return HandOver::Publish(Vec::new()) };
        let older = message.time.is_some_and(|time| time_ms(time) < time_ms(since));
        let is_again = self.earlier.contains(&message.token);
        let past = message.lane() != Lane::Live || older || is_again;
        let topic = self.shared.lock().topic(&message.topic);
        let (device, silent) = match topic {
            Some(Topic::Data(device)) => (device, false),
            Some(Topic::Silence(device)) => (device, true),
            None => {
                self.handed_over.insert(message.token);
                return HandOver::Publish(vec![self.frame(message.topic.clone(), message.payload.to_vec(), now)]);
            }
        };
        let life = self.devices.get(device as usize).copied().unwrap_or(Life::Unborn);
        if silent && !matches!(life, Life::Alive(_)) {
            self.earlier.remove(&message.token);
            return HandOver::SaidAlready;
        }
        self.handed_over.insert(message.token);
        let mut frames = Vec::new();
        let version = self.shared.lock().devices().get(device as usize).map_or(0, |device| device.version);
        // What is live was read lately, also where it is older than the birth of the node.
        let lives = matches!(life, Life::Alive(_)) || (message.lane() == Lane::Live && !is_again && !silent);
        let next = match life {
            Life::OfThePast(born) if !lives && born == version => life,
            _ if lives => Life::Alive(version),
            _ => Life::OfThePast(version),
        };
        if next != life {
            frames.extend(self.device_birth(device, now).0);
        }
        let (data, death) = {
            let catalogue = self.shared.lock();
            let topics = catalogue.devices().get(device as usize);
            topics.map_or_else(Default::default, |device| (device.data.clone(), device.death.clone()))
        };
        let payload = if past { as_history(&message.payload) } else { message.payload.to_vec() };
        frames.push(self.frame(data, payload, now));
        let dies = silent && !past;
        if dies {
            frames.push(self.frame(death, Vec::new(), now));
        }
        self.set_life(device, if dies { Life::Dead } else { next });
        HandOver::Publish(frames)
    }

    /// The broker has a message.
    pub(in crate::uplink) fn confirmed(&mut self, token: Token) {
        self.handed_over.remove(&token);
        self.earlier.remove(&token);
    }

    fn set_life(&mut self, device: u32, life: Life) {
        let needed = device as usize + 1;
        if self.devices.len() < needed {
            self.devices.resize(needed, Life::Unborn);
        }
        self.devices[device as usize] = life;
    }

    fn device_birth(&mut self, device: u32, now: Timestamp) -> (Option<Frame>, u32) {
        let mut payload = Vec::new();
        let catalogue = self.shared.lock();
        catalogue.write_birth(device, now, &mut payload);
        let Some((topic, version)) =
            catalogue.devices().get(device as usize).map(|device| (device.birth.clone(), device.version))
        else {
            return (None, 0);
        };
        drop(catalogue);
        (Some(self.frame(topic, payload, now)), version)
    }

    fn frame(&mut self, topic: Arc<str>, mut payload: Vec<u8>, now: Timestamp) -> Frame {
        finish(time_ms(now), Some(self.seq), &mut payload);
        self.seq = self.seq.wrapping_add(1);
        Frame { topic, payload: payload.into() }
    }

    fn write_bd_seq(&self, now: Timestamp, out: &mut Vec<u8>) {
        self.write_own(BD_SEQ, &Value::Int(self.bd_seq.into()), now, out);
    }

    /// A metric of the node itself: without an alias (tck-id-operational-behavior-data-commands-rebirth-name-aliases).
    fn write_own(&self, name: &str, value: &Value, now: Timestamp, out: &mut Vec<u8>) {
        let kind = MetricType::of_value(value);
        let heading = Heading { name: Some(name), alias: None, time_ms: time_ms(now), announced: Some(kind.code()) };
        write_metric(&heading, Some((kind, value)), &[], out);
    }

    fn write_null_text(&self, name: &str, now: Timestamp, out: &mut Vec<u8>) {
        let kind = MetricType::of_value(&Value::Text("".into()));
        let heading = Heading { name: Some(name), alias: None, time_ms: time_ms(now), announced: Some(kind.code()) };
        write_metric(&heading, None, &[], out);
    }
}

#[cfg(test)]
mod tests;
