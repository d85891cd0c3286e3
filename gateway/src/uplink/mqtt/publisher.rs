//! The way to one broker: connects, moves bytes both ways, keeps the connection alive.

use std::time::{Duration, Instant};

use tokio::time::timeout;
use tracing::{debug, warn};

use super::commands::Replies;
use super::config::Config;
use super::dial::{NO_BROKER, Welcome, dial, unexpected};
use super::link::Link;
use super::packet::{
    self, Arrived, Connect, Delivered, INCOMING_BYTES_MAX, Incoming, Version, Wants, Will, read_delivered,
    write_connect, write_disconnect, write_puback, write_subscribe,
};
use super::reason;
use super::session::{Acknowledgement, Own, Session};
use super::transport::Failure;
use crate::pipeline::command::{Answer, ReplyTo};
use crate::uplink::{BoxFuture, CONNECT_WITHIN, ConnectError, EndedBy, Event, Loss, Message, Publisher, Traffic};

/// How long taking leave may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

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
}

impl MqttPublisher {
    pub(super) fn new(config: Config) -> MqttPublisher {
        let session = Session::new(config.qos, config.window, &config.identity);
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
        Err(ConnectError { endpoint: self.config.endpoint.to_string(), cause: failure.cause, advice: failure.advice })
    }

    /// Where no version is configured or known, 5 is tried first.
    async fn dial_in_its_version(&mut self) -> Result<(), Failure> {
        self.warn_of_a_clear_password();
        let Welcome { mut link, version, limits, .. } = dial(&self.config, self.version, write_connect_of).await?;
        self.session.connected(version, limits);
        self.version = Some(version);
        self.announce("online", &mut link.out);
        self.subscribe(version, &mut link.out);
        self.link = Some(link);
        Ok(())
    }

    /// Asks for what is taken from the broker: commands.
    fn subscribe(&mut self, version: Version, out: &mut Vec<u8>) {
        let topics: Vec<(&str, Wants)> = self.config.commands.iter().map(|door| (&*door.topic, Wants::Live)).collect();
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
            let Some(link) = &mut self.link else { return };
            // Dropping this future between two moves loses nothing: all that moved is in the link.
            let outcome = match link.moved().await {
                Ok(()) => self.take_in(),
                Err(broken) => Err(broken.loss()),
            };
            if let Err(loss) = outcome {
                self.session.take_events(events);
                self.drop_link();
                return events.push(Event::Lost(loss));
            }
        }
        self.session.take_events(events);
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
                    take_message(&self.config, &mut self.session, arrived);
                    continue;
                }
            };
            match packet {
                Incoming::Puback { id, code, text } => {
                    let acknowledgement = self.session.acknowledged(id, code, &text);
                    self.state_refused |= matches!(acknowledgement, Acknowledgement::OwnRefused(Own::State, _));
                    note(&self.config.name, &acknowledgement);
                }
                Incoming::Pong | Incoming::Other => {}
                Incoming::Disconnect { code, text } => {
                    let (said, advice) = reason::explain(Version::V5, code, &text);
                    return Err(Loss { reason: format!("{said}. {advice}"), by: EndedBy::FarSide });
                }
                Incoming::Connack { .. } => return Err(unexpected(&packet)),
            }
        }
        Ok(())
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
        let Some(mut link) = self.link.take() else { return };
        self.announce("offline", &mut link.out);
        write_disconnect(&mut link.out);
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
        if self.link.is_some() { self.session.room() } else { 0 }
    }

    fn send(&mut self, message: &Message) {
        if let Some(link) = &mut self.link {
            let written = link.written();
            self.session.publish(message, written, &mut link.out);
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

fn write_connect_of(config: &Config, version: Version, password: Option<&[u8]>, out: &mut Vec<u8>) {
    let offline = config.state_payload("offline");
    let will = config.state.as_ref().map(|(topic, retain)| Will {
        topic,
        payload: &offline,
        qos: config.qos,
        retain: *retain,
    });
    // Nothing waits at the broker for who takes commands: what was meant for an hour ago must not be done now.
    let (session, session_expiry_s) = match config.commands {
        Some(_) => (packet::Session::Anew, 0),
        None => (packet::Session::GoesOn, config.session_expiry_s),
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
        Some(door) => session.happened(Event::Command(door.inbound(arrived, Instant::now()))),
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
