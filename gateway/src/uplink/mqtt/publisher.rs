//! The way to one broker: connects, moves bytes both ways, keeps the connection alive.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout;
use tracing::{debug, info, warn};

use super::commands::Replies;
use super::config::Config;
use super::dial::{NO_BROKER, Welcome, dial, unexpected};
use super::edge::{Edge, Taken};
use super::keep_alive::Silence;
use super::link::Link;
use super::packet::{
    self, Arrived, Connect, Delivered, INCOMING_BYTES_MAX, Incoming, Qos, Retain, Version, Wants, Will, read_delivered,
    write_connect, write_disconnect, write_puback, write_subscribe,
};
use super::reason;
use super::session::{Acknowledgement, Own, Session};
use super::transport::Failure;
use crate::pipeline::command::{Answer, ReplyTo};
use crate::uplink::sparkplug::node::{Frame, HandOver};
use crate::uplink::{BoxFuture, CONNECT_WITHIN, ConnectError, EndedBy, Event, Loss, Message, Publisher, Traffic};

/// How long taking leave may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// How long the primary host is waited for at one of several brokers.
const HOST_WITHIN: Duration = Duration::from_secs(20);

const HOST_ELSEWHERE: &str = "the primary host is not online at this broker; the next one is tried";

const HOST_OFFLINE: &str = "the primary host is offline. Readings are kept until it is online again";

/// A publisher to one broker.
pub(super) struct MqttPublisher {
    config: Config,
    session: Session,
    link: Option<Link>,
    /// The version that the broker was found to speak.
    version: Option<Version>,
    /// Bytes of connections that are over.
    traffic: Traffic,
    /// Whether the broker refused the gateway's state; it is not offered again.
    state_refused: bool,
    /// Answers to commands that wait to be sent.
    replies: Replies,
    /// Whether it was said that a password travels in the clear.
    clear_password_told: bool,
    /// The Sparkplug edge node, where readings go as Sparkplug.
    edge: Option<Edge>,
    /// How many pings of this connection were answered.
    pongs: u64,
    /// When the last connection was made.
    connected_at: Instant,
    /// The end of a connection that is being taken leave of, until it is told.
    ending: Option<Loss>,
    /// How much silence the way to the broker bears, and the period of this connection.
    silence: Silence,
    period: Duration,
}

impl MqttPublisher {
    pub(super) fn new(config: Config, edge: Option<Edge>) -> MqttPublisher {
        let session = Session::new(config.qos, config.window, &config.identity, config.keeping.clone());
        let version = config.version;
        MqttPublisher {
            config,
            session,
            link: None,
            version,
            traffic: Traffic::default(),
            state_refused: false,
            replies: Replies::default(),
            clear_password_told: false,
            edge,
            pongs: 0,
            connected_at: Instant::now(),
            ending: None,
            silence: Silence::default(),
            period: Duration::ZERO,
        }
    }

    async fn open(&mut self) -> Result<(), ConnectError> {
        self.drop_link();
        let dialled = timeout(CONNECT_WITHIN, self.dial_in_its_version()).await;
        let failure = match dialled {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(failure)) => failure,
            Err(_) => Failure { cause: format!("no answer within {} s", CONNECT_WITHIN.as_secs()), advice: NO_BROKER },
        };
        let endpoint = self.config.endpoint.to_string();
        self.config.next_broker();
        Err(ConnectError { endpoint, cause: failure.cause, advice: failure.advice })
    }

    /// Where no version is configured or known, 5 is tried first.
    async fn dial_in_its_version(&mut self) -> Result<(), Failure> {
        self.warn_of_a_clear_password();
        let death = match &mut self.edge {
            Some(edge) => Some(edge.connecting(&self.config.name).await),
            None => None,
        };
        let connect = |config: &Config, version, password: Option<&[u8]>, out: &mut Vec<u8>| {
            write_connect_of(config, death.as_ref(), version, password, out);
        };
        let Welcome { mut link, version, limits, .. } = dial(&self.config, self.version, connect).await?;
        self.session.connected(version, limits);
        self.version = Some(version);
        let now = tokio::time::Instant::now();
        self.period = self.silence.period(self.config.keep_alive(limits.keep_alive_s), now);
        link.keep_alive(self.period, now);
        (self.pongs, self.ending, self.connected_at) = (0, None, Instant::now());
        self.announce("online", &mut link.out);
        self.subscribe(version, &mut link.out);
        let births = self.edge.as_mut().map(Edge::connected).unwrap_or_default();
        births.iter().for_each(|frame| self.session.publish_frame(frame, &mut link.out));
        self.link = Some(link);
        Ok(())
    }

    /// Asks for what is taken from the broker: commands, and the state of a primary host.
    fn subscribe(&mut self, version: Version, out: &mut Vec<u8>) {
        let edge = self.edge.as_ref().map(Edge::subscriptions).unwrap_or_default();
        let commands = self.config.commands.iter().map(|door| (&*door.topic, Wants::Live));
        let topics: Vec<(&str, Wants)> =
            commands.chain(edge.iter().map(|topic| (topic.as_str(), Wants::All))).collect();
        if !topics.is_empty() {
            write_subscribe(version, self.session.subscribe(), topics.into_iter(), out);
        }
    }

    fn warn_of_a_clear_password(&mut self) {
        if self.config.password.is_some() && self.config.tls.is_none() && !self.clear_password_told {
            self.clear_password_told = true;
            warn!(uplink = &*self.config.name, "the password travels in the clear; use mqtts:// or wss://");
        }
    }

    /// Moves bytes until something has happened.
    async fn serve(&mut self, events: &mut Vec<Event>) {
        while !self.session.has_events() {
            self.send_replies();
            let Some(link) = &mut self.link else {
                return events.extend(self.ending.take().map(Event::Lost));
            };
            if self.session.wants_ping() {
                self.session.pinged(link.ping());
            }
            let waited = self.edge.as_ref().is_some_and(Edge::waits);
            // Dropping this future between two moves loses nothing: all that moved is in the link.
            let outcome = match link.moved().await {
                Ok(()) => self.take_in(),
                Err(broken) => Err(broken.loss()),
            };
            if let Err(loss) = outcome {
                self.learn_of_silence();
                self.session.take_events(events);
                self.drop_link();
                return events.push(Event::Lost(loss));
            }
            // There is room from here on, and whoever fills it asks again when this ends.
            if waited && self.edge.as_ref().is_some_and(Edge::is_born) {
                break;
            }
            self.give_up_waiting();
            if self.ending.is_some() {
                // tck-id-operational-behavior-edge-node-termination-host-offline-reconnect
                self.config.next_broker();
                self.finish_link().await;
                self.session.take_events(events);
                return events.extend(self.ending.take().map(Event::Lost));
            }
        }
        self.session.take_events(events);
    }

    fn learn_of_silence(&mut self) {
        if !self.link.as_ref().is_some_and(Link::broke_silence) {
            return;
        }
        let (lasted, now) = (self.period, tokio::time::Instant::now());
        let next = self.silence.was_too_long(lasted, now);
        if next < lasted {
            info!(
                uplink = &*self.config.name,
                "the connection did not bear {lasted:?} of silence: from now on it is probed after {next:?}"
            );
        }
    }

    fn take_in(&mut self) -> Result<(), Loss> {
        let Some(link) = &mut self.link else { return Ok(()) };
        self.session.left(link.traffic.sent_bytes);
        while let Some(packet) = link.next_as(read_delivered)? {
            let packet = match packet {
                Delivered::Packet(packet) => packet,
                Delivered::Suback { id, codes, text } => {
                    self.session.subscribed(id);
                    note_subscription(&self.config.name, &codes, &text);
                    continue;
                }
                Delivered::Message(arrived) => {
                    arrived.id.inspect(|id| write_puback(*id, &mut link.out));
                    match self.edge.as_mut().map_or(Taken::NotMine, |edge| edge.take(&arrived)) {
                        Taken::NotMine => take_message(&self.config, &mut self.session, arrived),
                        Taken::Publish(frames) => {
                            frames.iter().for_each(|frame| self.session.publish_frame(frame, &mut link.out));
                        }
                        Taken::Commands(commands) => {
                            commands
                                .into_iter()
                                .for_each(|command| self.session.happened(Event::Command(command.into())));
                        }
                        Taken::Leave(death) => {
                            self.session.publish_frame(&death, &mut link.out);
                            write_disconnect(&mut link.out);
                            self.ending = Some(Loss { reason: HOST_OFFLINE.into(), by: EndedBy::Network });
                            return Ok(());
                        }
                    }
                    continue;
                }
            };
            match packet {
                Incoming::Puback { id, code, text } => {
                    let acknowledgement = self.session.acknowledged(id, code, &text);
                    self.state_refused |= matches!(acknowledgement, Acknowledgement::OwnRefused(Own::State, _));
                    note(&self.config.name, &acknowledgement);
                }
                Incoming::Pong => {
                    self.pongs += 1;
                    let confirmed = self.session.ponged(self.pongs);
                    if let Some(edge) = &mut self.edge {
                        confirmed.into_iter().for_each(|token| edge.confirmed(token));
                    }
                }
                Incoming::Other => {}
                Incoming::Disconnect { code, text } => {
                    let (said, advice) = reason::explain(Version::V5, code, &text);
                    return Err(Loss { reason: format!("{said}. {advice}"), by: EndedBy::FarSide });
                }
                Incoming::Connack { .. } => return Err(unexpected(&packet)),
            }
        }
        Ok(())
    }

    /// Leaves a broker at which the primary host does not come, where there is another one.
    fn give_up_waiting(&mut self) {
        let waits = !self.config.also.is_empty() && self.edge.as_ref().is_some_and(Edge::waits);
        if waits && self.ending.is_none() && self.connected_at.elapsed() >= HOST_WITHIN {
            self.ending = Some(Loss { reason: HOST_ELSEWHERE.into(), by: EndedBy::Network });
        }
    }

    fn send_replies(&mut self) {
        let Some(link) = &mut self.link else { return };
        while self.session.room() > 0 {
            let Some(reply) = self.replies.pop() else { break };
            self.session.publish_answer(&reply, &mut link.out);
        }
    }

    /// The broker learns that this is no failure: the state is set, and the will is not published.
    async fn take_leave(&mut self) {
        let Some(link) = &mut self.link else { return };
        if let Some(edge) = &self.edge {
            self.session.publish_frame(&edge.death(), &mut link.out);
        }
        let mut out = std::mem::take(&mut link.out);
        self.announce("offline", &mut out);
        write_disconnect(&mut out);
        if let Some(link) = &mut self.link {
            link.out = out;
        }
        self.finish_link().await;
    }

    /// Sends what is left and ends the connection. Bounded in time.
    async fn finish_link(&mut self) {
        let Some(mut link) = self.link.take() else { return };
        if timeout(CLOSE_WITHIN, link.finish()).await.is_err() {
            warn!(uplink = &*self.config.name, "the broker did not take the farewell in time");
        }
        self.traffic = sum(self.traffic, link.traffic);
    }

    /// Some brokers end the connection when they refuse a message (mosquitto 2.0.11 with `max_queued_messages 0`), so a
    /// state that was refused once would keep the readings from being delivered.
    fn announce(&mut self, state: &str, out: &mut Vec<u8>) {
        let Some((topic, retain)) = &self.config.state else { return };
        if !self.state_refused {
            self.session.publish_own(topic, &self.config.state_payload(state), *retain, out);
        }
    }

    fn drop_link(&mut self) {
        if let Some(link) = self.link.take() {
            self.traffic = sum(self.traffic, link.traffic);
        }
    }
}

impl Publisher for MqttPublisher {
    fn endpoint(&self) -> &str {
        &self.config.endpoint
    }

    fn connect(&mut self) -> BoxFuture<'_, Result<(), ConnectError>> {
        Box::pin(self.open())
    }

    fn room(&self) -> usize {
        let may_publish = self.link.is_some() && self.edge.as_ref().is_none_or(Edge::is_born);
        if may_publish { self.session.room() } else { 0 }
    }

    fn waits(&self) -> bool {
        self.link.is_some() && self.edge.as_ref().is_some_and(Edge::waits)
    }

    fn send(&mut self, message: &Arc<Message>) {
        let Some(link) = &mut self.link else { return };
        match &mut self.edge {
            None => {
                let written = link.written();
                self.session.publish(message, written, &mut link.out);
            }
            Some(edge) => match edge.hand_over(message) {
                HandOver::Publish(frames) => self.session.publish_as(message, &frames, &mut link.out),
                HandOver::SaidAlready => self.session.happened(Event::Acknowledged(message.token)),
            },
        }
    }

    fn events<'a>(&'a mut self, events: &'a mut Vec<Event>) -> BoxFuture<'a, ()> {
        Box::pin(self.serve(events))
    }

    fn close(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(self.take_leave())
    }

    fn answer(&mut self, to: ReplyTo, answer: &Answer) {
        self.replies.push(to, answer, &self.config.name);
    }

    fn traffic(&self) -> Traffic {
        self.link.as_ref().map_or(self.traffic, |link| sum(self.traffic, link.traffic))
    }
}

fn write_connect_of(
    config: &Config,
    death: Option<&Frame>,
    version: Version,
    password: Option<&[u8]>,
    out: &mut Vec<u8>,
) {
    let offline = config.state_payload("offline");
    let state = config.state.as_ref().map(|(topic, retain)| Will {
        topic,
        payload: &offline,
        qos: config.qos,
        retain: *retain,
    });
    // tck-id-message-flow-edge-node-birth-publish-will-message-qos, -will-message-will-retained
    let death =
        death.map(|Frame { topic, payload }| Will { topic, payload, qos: Qos::AtLeastOnce, retain: Retain::Pass });
    let will = death.or(state);
    let takes_commands = config.commands.is_some() || config.is_sparkplug;
    // Nothing waits at the broker for who takes commands: what was meant for an hour ago must not be done now.
    let (session, session_expiry_s) = match takes_commands {
        true => (packet::Session::Anew, 0),
        false => (packet::Session::GoesOn, config.session_expiry_s),
    };
    let connect = Connect {
        client_id: &config.client_id,
        keep_alive_s: config.keep_alive_s,
        session,
        session_expiry_s,
        packet_bytes_max: INCOMING_BYTES_MAX as u32,
        user: config.user.as_deref(),
        password,
        will,
    };
    write_connect(version, &connect, out);
}

fn take_message(config: &Config, session: &mut Session, arrived: Arrived) {
    match config.commands.as_ref().filter(|door| door.is_for(&arrived.topic)) {
        Some(door) => session.happened(Event::Command(door.inbound(arrived, Instant::now()).into())),
        None => debug!(uplink = &*config.name, topic = arrived.topic, "a message came that was not asked for"),
    }
}

fn note_subscription(uplink: &str, codes: &[u8], text: &str) {
    if let Some(code) = codes.iter().find(|code| **code >= 0x80) {
        warn!(
            uplink,
            "the broker lets no commands through: it refuses the subscription (code {code}) {text}. Give this user the right \
             to read the topic in the broker's access list"
        );
    }
}

fn sum(one: Traffic, two: Traffic) -> Traffic {
    Traffic { sent_bytes: one.sent_bytes + two.sent_bytes, received_bytes: one.received_bytes + two.received_bytes }
}

fn note(uplink: &str, acknowledgement: &Acknowledgement) {
    match acknowledgement {
        Acknowledgement::OwnRefused(Own::Answer, said) => {
            warn!(
                uplink,
                "the answer to a command is not published: {said}. Permit the topic that its sender waits on"
            );
        }
        Acknowledgement::OwnRefused(Own::State, said) => {
            warn!(
                uplink,
                "the gateway's state is not published: {said}. Permit the topic and restart, or set ?state=off"
            );
        }
        Acknowledgement::Unknown(1) => warn!(uplink, "the broker acknowledged a message that was not sent"),
        Acknowledgement::Message | Acknowledgement::Own | Acknowledgement::Unknown(_) => {}
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod mosquitto;
