//! The publishing side of an MQTT session, without I/O: identifiers, what is unacknowledged, what is sent again.
//!
//! The session outlives its connections. A message that was sent on an earlier connection and did not come back keeps its
//! identifier and is sent again under it, marked as a repeat (MQTT 5, 4.4), whether or not the broker remembers.

use std::collections::{HashMap, VecDeque};

use super::commands::Reply;
use super::packet::{Delivery, Limits, Publish, Qos, Retain, Version, publish_size, write_publish};
use super::reason;
use crate::uplink::sparkplug::node::Frame;
use crate::uplink::{Event, Lane, Lasting, Message, Refusal, Token};

/// How many messages of earlier connections are remembered; they are those of one window.
const EARLIER_MAX: usize = 2 * crate::pipeline::forward::window::MESSAGES_MAX;

/// A session and its connection's limits.
#[derive(Debug)]
pub(super) struct Session {
    qos: Qos,
    window_max: usize,
    /// The gateway's UUID, a user property of each message.
    identity: Box<str>,
    keeping: Keeping,
    version: Version,
    limits: Limits,
    in_flight: HashMap<u16, Sent>,
    /// Identifiers of messages that earlier connections did not acknowledge.
    earlier: HashMap<Token, u16>,
    last_id: u16,
    /// Messages of QoS 0 that are not out yet, with the count of bytes at which they are.
    leaving: VecDeque<(Token, u64)>,
    /// Messages of QoS 0 that count as delivered when a ping that was sent behind them is answered: brokers read in order.
    unconfirmed: VecDeque<Token>,
    /// Topics that have a number on this connection.
    aliases: HashMap<Box<str>, u16>,
    /// The ping that is awaited: its number on this connection, and how many of `unconfirmed` it confirms.
    awaited: Option<(u64, usize)>,
    /// What happened and was not taken yet.
    events: Vec<Event>,
    /// Acknowledgements that nobody waited for, on this connection.
    unknown: u64,
}

#[derive(Debug)]
enum Sent {
    /// A message of the log's.
    Message { token: Token, topic: std::sync::Arc<str> },
    /// One of the gateway's own.
    Own(Own),
    /// A subscription.
    Subscription,
}

/// What the broker does with a message of the log's beside passing it on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Keeping {
    /// Whether it keeps the last live one of each topic.
    pub(super) retain: Retain,
    /// The topic of which nothing is kept: it tells of losses.
    pub(super) passing: Box<str>,
    /// How long it keeps one for who is away, seconds; version 5 only.
    pub(super) expires_s: Option<u32>,
}

/// What confirms a message of QoS 0.
#[derive(Debug, Clone, Copy)]
enum Confirmed {
    /// That it has left, with so many bytes before it.
    ByLeaving(u64),
    /// The answer to a ping behind it.
    ByPing,
}

/// The gateway's own messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Own {
    /// That it is there, or is going.
    State,
    /// What became of a command.
    Answer,
}

/// What an acknowledgement was about.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Acknowledgement {
    /// A message of the log's; the event says what became of it.
    Message,
    /// The gateway's own message has arrived.
    Own,
    /// The gateway's own message is refused; in words.
    OwnRefused(Own, String),
    /// Nobody waits for this identifier; how many of those there were on this connection.
    Unknown(u64),
}

impl Session {
    pub(super) fn new(qos: Qos, window_max: usize, identity: &str, keeping: Keeping) -> Session {
        Session {
            qos,
            window_max,
            identity: identity.into(),
            keeping,
            version: Version::V5,
            limits: Limits::default(),
            in_flight: HashMap::new(),
            earlier: HashMap::new(),
            last_id: 0,
            leaving: VecDeque::new(),
            unconfirmed: VecDeque::new(),
            aliases: HashMap::new(),
            awaited: None,
            events: Vec::new(),
            unknown: 0,
        }
    }

    /// A connection begins: nothing is in flight, and everything that was is expected to be sent again.
    pub(super) fn connected(&mut self, version: Version, limits: Limits) {
        (self.version, self.limits, self.unknown) = (version, limits, 0);
        self.events.clear();
        self.leaving.clear();
        self.unconfirmed.clear();
        self.aliases.clear();
        self.awaited = None;
        if self.earlier.len() > EARLIER_MAX {
            self.earlier.clear();
        }
        for (id, sent) in self.in_flight.drain() {
            if let Sent::Message { token, .. } = sent {
                self.earlier.insert(token, id);
            }
        }
    }

    /// How many messages more may be sent.
    pub(super) fn room(&self) -> usize {
        let window = self.window_max.min(usize::from(self.limits.receive_max));
        window.saturating_sub(self.in_flight.len() + self.leaving.len() + self.unconfirmed.len())
    }

    /// Writes a message; `written` counts the bytes that have gone into `out` on this connection before.
    pub(super) fn publish(&mut self, message: &Message, written: u64, out: &mut Vec<u8>) {
        let delivery = self.delivery(message.token);
        self.publish_with(delivery, message, &message.topic, &message.payload, Confirmed::ByLeaving(written), out);
    }

    /// Writes a message of the log's as others, all with QoS 0; a ping behind them will confirm it.
    pub(super) fn publish_as(&mut self, message: &Message, frames: &[Frame], out: &mut Vec<u8>) {
        let Some((last, before)) = frames.split_last() else { return };
        before.iter().for_each(|frame| self.publish_frame(frame, out));
        self.publish_with(Delivery::AtMostOnce, message, &last.topic, &last.payload, Confirmed::ByPing, out);
    }

    /// Writes a message of the edge node's own.
    pub(super) fn publish_frame(&mut self, frame: &Frame, out: &mut Vec<u8>) {
        write_publish(
            self.version,
            &Publish { content_type: "", ..own(&frame.topic, &frame.payload, Delivery::AtMostOnce) },
            out,
        );
    }

    /// Whether a ping is to be sent, so that its answer confirms what was written before.
    pub(super) fn wants_ping(&self) -> bool {
        self.awaited.is_none() && !self.unconfirmed.is_empty()
    }

    /// The ping of that number on this connection was written.
    pub(super) fn pinged(&mut self, number: u64) {
        self.awaited = Some((number, self.unconfirmed.len()));
    }

    /// So many pings of this connection were answered; what they confirm.
    pub(super) fn ponged(&mut self, answered: u64) -> Vec<Token> {
        let Some((_, confirmed)) = self.awaited.filter(|(number, _)| *number <= answered) else { return Vec::new() };
        self.awaited = None;
        let tokens: Vec<Token> = self.unconfirmed.drain(..confirmed).collect();
        self.events.extend(tokens.iter().map(|token| Event::Acknowledged(*token)));
        tokens
    }

    fn publish_with(
        &mut self,
        delivery: Delivery,
        message: &Message,
        topic: &str,
        payload: &[u8],
        confirmed: Confirmed,
        out: &mut Vec<u8>,
    ) {
        let epoch = message.epoch.to_string();
        let seqs = if message.seqs.first == message.seqs.last {
            message.seqs.first.to_string()
        } else {
            format!("{}-{}", message.seqs.first, message.seqs.last)
        };
        let job = message.lane().job().map(|job| job.to_string());
        let mut properties = vec![("gateway", &*self.identity), ("epoch", &epoch), ("seq", &seqs)];
        if message.lane() != Lane::Live {
            properties.push(("lane", message.lane().name()));
        }
        properties.extend(job.as_deref().map(|job| ("job", job)));
        let kept = message.lane() == Lane::Live && *topic != *self.keeping.passing && self.limits.retains;
        let whole = Publish {
            topic,
            payload,
            retain: if kept { self.keeping.retain } else { Retain::Pass },
            delivery,
            alias: None,
            expires_s: self.keeping.expires_s,
            content_type: &message.content_type,
            correlation: None,
            user_properties: &properties,
        };
        // The largest that it may become: with its topic and the number of it.
        let size = publish_size(self.version, &Publish { alias: Some(0), ..whole });
        if let Some(refusal) = self.impossible(topic, size) {
            return self.events.push(Event::Refused(message.token, refusal));
        }
        let publish = match alias_of(topic, self.limits.topic_alias_max, &mut self.aliases) {
            None => whole,
            Some(Alias::New(alias)) => Publish { alias: Some(alias), ..whole },
            Some(Alias::Known(alias)) => Publish { topic: "", alias: Some(alias), ..whole },
        };
        let size = publish_size(self.version, &publish);
        write_publish(self.version, &publish, out);
        match delivery {
            Delivery::AtMostOnce => match confirmed {
                Confirmed::ByLeaving(written) => self.leaving.push_back((message.token, written + size as u64)),
                Confirmed::ByPing => self.unconfirmed.push_back(message.token),
            },
            Delivery::First(id) | Delivery::Again(id) => {
                let sent = Sent::Message { token: message.token, topic: message.topic.clone() };
                self.in_flight.insert(id, sent);
                self.earlier.remove(&message.token);
            }
        }
    }

    /// Writes a message of the gateway's own, such as its birth.
    pub(super) fn publish_own(&mut self, topic: &str, payload: &[u8], retain: Retain, out: &mut Vec<u8>) {
        let delivery = self.own_delivery();
        let retain = if self.limits.retains { retain } else { Retain::Pass };
        self.write_own(Own::State, &Publish { retain, ..own(topic, payload, delivery) }, out);
    }

    /// Writes the answer to a command.
    pub(super) fn publish_answer(&mut self, reply: &Reply, out: &mut Vec<u8>) {
        let delivery = self.own_delivery();
        let publish = own(&reply.topic, &reply.payload, delivery);
        self.write_own(Own::Answer, &Publish { correlation: reply.correlation.as_deref(), ..publish }, out);
    }

    fn write_own(&mut self, what: Own, publish: &Publish<'_>, out: &mut Vec<u8>) {
        write_publish(self.version, publish, out);
        if let Delivery::First(id) = publish.delivery {
            self.in_flight.insert(id, Sent::Own(what));
        }
    }

    fn own_delivery(&mut self) -> Delivery {
        match self.qos {
            Qos::AtMostOnce => Delivery::AtMostOnce,
            Qos::AtLeastOnce => Delivery::First(self.free_id()),
        }
    }

    /// An identifier for a subscription; it is free again when the subscription is answered.
    pub(super) fn subscribe(&mut self) -> u16 {
        let id = self.free_id();
        self.in_flight.insert(id, Sent::Subscription);
        id
    }

    /// A subscription was answered.
    pub(super) fn subscribed(&mut self, id: u16) {
        if matches!(self.in_flight.get(&id), Some(Sent::Subscription)) {
            self.in_flight.remove(&id);
        }
    }

    /// Something has come that is no acknowledgement.
    pub(super) fn happened(&mut self, event: Event) {
        self.events.push(event);
    }

    fn delivery(&mut self, token: Token) -> Delivery {
        match (self.qos, self.earlier.get(&token)) {
            (Qos::AtMostOnce, _) => Delivery::AtMostOnce,
            // An own message may have taken the identifier meanwhile.
            (Qos::AtLeastOnce, Some(id)) if !self.in_flight.contains_key(id) => Delivery::Again(*id),
            (Qos::AtLeastOnce, Some(_)) => Delivery::Again(self.free_id()),
            (Qos::AtLeastOnce, None) => Delivery::First(self.free_id()),
        }
    }

    /// An identifier that is not in use; there are more of them than messages may be in flight.
    fn free_id(&mut self) -> u16 {
        loop {
            self.last_id = if self.last_id == u16::MAX { 1 } else { self.last_id + 1 };
            if !self.in_flight.contains_key(&self.last_id) {
                return self.last_id;
            }
        }
    }

    fn impossible(&self, topic: &str, size: usize) -> Option<Refusal> {
        let limit = self.limits.packet_bytes_max;
        if size <= limit {
            return None;
        }
        let reason = format!(
            "the broker takes packets of at most {limit} bytes; one for topic {topic} has {size}. Raise the broker's limit \
             on packets, or publish fewer readings in one message with {{tag}} in `topic`"
        );
        Some(Refusal { reason, lasting: Lasting::ForThisSize })
    }

    /// Takes in a PUBACK.
    pub(super) fn acknowledged(&mut self, id: u16, code: u8, text: &str) -> Acknowledgement {
        match self.in_flight.remove(&id) {
            Some(Sent::Message { token, topic }) => {
                self.events.push(match reason::refusal(&topic, code, text) {
                    None => Event::Acknowledged(token),
                    Some(refusal) => Event::Refused(token, refusal),
                });
                Acknowledgement::Message
            }
            Some(Sent::Own(_)) if code < 0x80 => Acknowledgement::Own,
            Some(Sent::Own(what)) => Acknowledgement::OwnRefused(what, reason::explain(Version::V5, code, text).0),
            Some(Sent::Subscription) | None => {
                self.unknown += 1;
                Acknowledgement::Unknown(self.unknown)
            }
        }
    }

    /// So many bytes of this connection are out: the messages of QoS 0 among them count as delivered.
    pub(super) fn left(&mut self, bytes: u64) {
        while let Some((token, _)) = self.leaving.front().copied().filter(|(_, at)| *at <= bytes) {
            self.leaving.pop_front();
            self.events.push(Event::Acknowledged(token));
        }
    }

    /// Whether something has happened.
    pub(super) fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// Moves what has happened to `events`.
    pub(super) fn take_events(&mut self, events: &mut Vec<Event>) {
        events.append(&mut self.events);
    }
}

/// A topic's number.
enum Alias {
    New(u16),
    Known(u16),
}

/// The number of a topic, for as many as the broker takes; the first topics of a connection have one (MQTT 5, 3.3.2.3.4).
fn alias_of(topic: &str, most: u16, aliases: &mut HashMap<Box<str>, u16>) -> Option<Alias> {
    if let Some(alias) = aliases.get(topic) {
        return Some(Alias::Known(*alias));
    }
    let next = u16::try_from(aliases.len()).ok()?.checked_add(1).filter(|next| *next <= most)?;
    aliases.insert(topic.into(), next);
    Some(Alias::New(next))
}

/// A message of the gateway's own that the broker does not keep.
fn own<'a>(topic: &'a str, payload: &'a [u8], delivery: Delivery) -> Publish<'a> {
    Publish {
        topic,
        payload,
        retain: Retain::Pass,
        delivery,
        content_type: "application/json",
        alias: None,
        expires_s: None,
        correlation: None,
        user_properties: &[],
    }
}

#[cfg(test)]
mod tests;
