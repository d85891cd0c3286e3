//! MQTT 3.1.1 and 5 as bytes: what a client sends and what it receives. No I/O.
//!
//! ```text
//! type, flags | remaining length | variable header | payload
//!    1 byte   |   1 to 4 bytes   |  properties in 5 only
//! ```

mod property;
mod read;
mod subscribe;

pub use property::Limits;
pub use read::{Incoming, Malformed, read};
pub use subscribe::{Arrived, Delivered, MESSAGE_BYTES_MAX, read_delivered};
pub(super) use subscribe::{Wants, write_puback, write_subscribe};

/// The largest packet that a publishing client accepts, bytes; version 5 brokers are told so.
pub const INCOMING_BYTES_MAX: usize = 64 * 1024;

/// The largest remaining length that four bytes can tell (MQTT 5, 1.5.5).
pub(super) const REMAINING_MAX: usize = 268_435_455;

/// The version of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// MQTT 3.1.1, protocol level 4.
    V311,
    /// MQTT 5.0, protocol level 5.
    V5,
}

/// How delivery is assured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Qos {
    /// Sent once, and lost if the connection breaks.
    AtMostOnce,
    /// Sent until it is acknowledged.
    AtLeastOnce,
}

/// CONNECT (MQTT 5, 3.1).
pub(super) struct Connect<'a> {
    pub(super) client_id: &'a str,
    pub(super) keep_alive_s: u16,
    pub(super) session: Session,
    pub(super) session_expiry_s: u32,
    /// Version 5 only: the largest packet that the client takes, bytes.
    pub(super) packet_bytes_max: u32,
    pub(super) user: Option<&'a str>,
    pub(super) password: Option<&'a [u8]>,
    pub(super) will: Option<Will<'a>>,
}

/// What the broker does with what it remembers of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Session {
    /// It goes on with it.
    GoesOn,
    /// It forgets it; in version 3.1.1 also what comes from here on, when the connection ends.
    Anew,
}

/// The message that the broker publishes when the client is lost.
#[derive(Clone, Copy)]
pub(super) struct Will<'a> {
    pub(super) topic: &'a str,
    pub(super) payload: &'a [u8],
    pub(super) qos: Qos,
    pub(super) retain: Retain,
}

/// Whether the broker keeps a message for those who subscribe later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retain {
    /// It keeps the last one.
    Keep,
    /// It does not.
    Pass,
}

/// PUBLISH (MQTT 5, 3.3).
pub(super) struct Publish<'a> {
    pub(super) topic: &'a str,
    pub(super) payload: &'a [u8],
    pub(super) retain: Retain,
    pub(super) delivery: Delivery,
    /// Version 5 only: the number that stands for the topic on this connection; the topic may then be empty.
    pub(super) alias: Option<u16>,
    /// Version 5 only: how long the broker keeps it for who is away, seconds.
    pub(super) expires_s: Option<u32>,
    /// Version 5 only: the payload's media type.
    pub(super) content_type: &'a str,
    /// Version 5 only: what the sender of a command recognises this answer by.
    pub(super) correlation: Option<&'a [u8]>,
    /// Version 5 only: user properties.
    pub(super) user_properties: &'a [(&'a str, &'a str)],
}

/// QoS, packet identifier and the mark of a repeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    /// QoS 0.
    AtMostOnce,
    /// QoS 1, sent for the first time under this identifier.
    First(u16),
    /// QoS 1, sent before: DUP is set.
    Again(u16),
}

pub(super) fn write_connect(version: Version, connect: &Connect<'_>, out: &mut Vec<u8>) {
    let mut body = Vec::with_capacity(128);
    write_text("MQTT", &mut body);
    body.push(if version == Version::V5 { 5 } else { 4 });
    body.push(connect_flags(connect));
    body.extend_from_slice(&connect.keep_alive_s.to_be_bytes());
    if version == Version::V5 {
        body.push(10);
        body.push(property::SESSION_EXPIRY);
        body.extend_from_slice(&connect.session_expiry_s.to_be_bytes());
        body.push(property::MAXIMUM_PACKET_SIZE);
        body.extend_from_slice(&connect.packet_bytes_max.to_be_bytes());
    }
    write_text(connect.client_id, &mut body);
    if let Some(will) = &connect.will {
        if version == Version::V5 {
            body.push(0);
        }
        write_text(will.topic, &mut body);
        write_binary(will.payload, &mut body);
    }
    if let Some(user) = connect.user {
        write_text(user, &mut body);
    }
    if let Some(password) = connect.password {
        write_binary(password, &mut body);
    }
    out.push(0x10);
    write_length(body.len(), out);
    out.extend_from_slice(&body);
}

fn connect_flags(connect: &Connect<'_>) -> u8 {
    let will = connect.will.map_or(0, |will| {
        let qos = if will.qos == Qos::AtLeastOnce { 0x08 } else { 0 };
        let retain = if will.retain == Retain::Keep { 0x20 } else { 0 };
        0x04 | qos | retain
    });
    let user = if connect.user.is_some() { 0x80 } else { 0 };
    let password = if connect.password.is_some() { 0x40 } else { 0 };
    let clean = if connect.session == Session::Anew { 0x02 } else { 0 };
    will | user | password | clean
}

/// How many bytes [`write_publish`] will write.
pub(super) fn publish_size(version: Version, publish: &Publish<'_>) -> usize {
    let remaining = publish_remaining(version, publish);
    1 + length_size(remaining) + remaining
}

/// The packet must be no larger than [`REMAINING_MAX`] and the broker's limit.
pub(super) fn write_publish(version: Version, publish: &Publish<'_>, out: &mut Vec<u8>) {
    let (qos, dup, id) = match publish.delivery {
        Delivery::AtMostOnce => (0, 0, None),
        Delivery::First(id) => (0x02, 0, Some(id)),
        Delivery::Again(id) => (0x02, 0x08, Some(id)),
    };
    let retain = if publish.retain == Retain::Keep { 0x01 } else { 0 };
    let remaining = publish_remaining(version, publish);
    out.reserve(remaining + 5);
    out.push(0x30 | qos | dup | retain);
    write_length(remaining, out);
    write_text(publish.topic, out);
    if let Some(id) = id {
        out.extend_from_slice(&id.to_be_bytes());
    }
    if version == Version::V5 {
        write_length(properties_size(publish), out);
        if let Some(expires_s) = publish.expires_s {
            out.push(property::MESSAGE_EXPIRY);
            out.extend_from_slice(&expires_s.to_be_bytes());
        }
        if let Some(alias) = publish.alias {
            out.push(property::TOPIC_ALIAS);
            out.extend_from_slice(&alias.to_be_bytes());
        }
        if !publish.content_type.is_empty() {
            out.push(property::CONTENT_TYPE);
            write_text(publish.content_type, out);
        }
        if let Some(correlation) = publish.correlation {
            out.push(property::CORRELATION_DATA);
            write_binary(correlation, out);
        }
        for (name, value) in publish.user_properties {
            out.push(property::USER_PROPERTY);
            write_text(name, out);
            write_text(value, out);
        }
    }
    out.extend_from_slice(publish.payload);
}

fn publish_remaining(version: Version, publish: &Publish<'_>) -> usize {
    let id = if publish.delivery == Delivery::AtMostOnce { 0 } else { 2 };
    let properties = match version {
        Version::V311 => 0,
        Version::V5 => {
            let size = properties_size(publish);
            length_size(size) + size
        }
    };
    2 + publish.topic.len() + id + properties + publish.payload.len()
}

fn properties_size(publish: &Publish<'_>) -> usize {
    let content_type = if publish.content_type.is_empty() { 0 } else { 3 + publish.content_type.len() };
    let correlation = publish.correlation.map_or(0, |correlation| 3 + correlation.len());
    let (expires, alias) = (publish.expires_s.map_or(0, |_| 5), publish.alias.map_or(0, |_| 3));
    publish
        .user_properties
        .iter()
        .fold(content_type + correlation + expires + alias, |size, (name, value)| size + 5 + name.len() + value.len())
}

pub(super) fn write_ping(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0xc0, 0]);
}

/// An ordinary end: the will is not published.
pub(super) fn write_disconnect(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0xe0, 0]);
}

/// Texts are at most 65,535 bytes (MQTT 5, 1.5.4); what makes them sees to that.
fn write_text(text: &str, out: &mut Vec<u8>) {
    write_binary(text.as_bytes(), out);
}

fn write_binary(bytes: &[u8], out: &mut Vec<u8>) {
    let length = bytes.len().min(usize::from(u16::MAX));
    out.extend_from_slice(&(length as u16).to_be_bytes());
    out.extend_from_slice(&bytes[..length]);
}

fn write_length(mut length: usize, out: &mut Vec<u8>) {
    while length > 0x7f {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}

fn length_size(length: usize) -> usize {
    match length {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 4,
    }
}

#[cfg(test)]
mod tests;
