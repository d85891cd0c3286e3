//! The packets of a broker, and what of them a publishing client receives.

use super::property::{Limits, Properties, read_properties};
use super::{INCOMING_BYTES_MAX, Version};

/// A packet from the broker.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming {
    /// The answer to CONNECT.
    Connack {
        /// Whether the broker remembers an earlier connection.
        session_present: bool,
        /// The return or reason code; 0 is success.
        code: u8,
        /// What the broker adds in words.
        text: String,
        /// What it allows.
        limits: Limits,
    },
    /// A message has arrived, or is refused.
    Puback {
        /// Which.
        id: u16,
        /// The reason code; below 0x80 it has arrived.
        code: u8,
        /// What the broker adds in words.
        text: String,
    },
    /// The answer to a ping.
    Pong,
    /// The broker takes leave (version 5).
    Disconnect {
        /// Why.
        code: u8,
        /// What the broker adds in words.
        text: String,
    },
    /// A packet that a publishing client has no use for.
    Other,
}

/// Bytes that are no MQTT, or not what the protocol allows here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the far side sent {0}, which is not MQTT")]
pub struct Malformed(pub &'static str);

/// The packet at the head of `bytes` and its size; `None` until it is whole.
pub fn read(version: Version, bytes: &[u8]) -> Result<Option<(Incoming, usize)>, Malformed> {
    let too_large = Malformed("a packet larger than 64 KiB");
    let Some(Frame { first, body, size }) = frame(bytes, INCOMING_BYTES_MAX, too_large)? else { return Ok(None) };
    let mut input = Input::new(body);
    let packet = match first >> 4 {
        2 => connack(version, &mut input)?,
        4 => puback(version, &mut input)?,
        13 if body.is_empty() => Incoming::Pong,
        13 => return Err(Malformed("a ping response with content")),
        14 => disconnect(version, &mut input)?,
        0 | 1 | 8 | 10 | 12 => return Err(Malformed("a packet that only clients send")),
        _ => Incoming::Other,
    };
    Ok(Some((packet, size)))
}

/// A whole packet: its first byte, what follows its length, and how many bytes it takes altogether.
pub(super) struct Frame<'a> {
    pub(super) first: u8,
    pub(super) body: &'a [u8],
    pub(super) size: usize,
}

/// The packet at the head of `bytes`, not yet understood; `None` until it is whole.
pub(super) fn frame(bytes: &[u8], body_max: usize, too_large: Malformed) -> Result<Option<Frame<'_>>, Malformed> {
    let Some((first, length_and_body)) = bytes.split_first() else { return Ok(None) };
    let Some((length, length_size)) = remaining_length(length_and_body)? else { return Ok(None) };
    if length > body_max {
        return Err(too_large);
    }
    let body = length_and_body.get(length_size..length_size + length);
    Ok(body.map(|body| Frame { first: *first, body, size: 1 + length_size + length }))
}

fn connack(version: Version, input: &mut Input<'_>) -> Result<Incoming, Malformed> {
    let flags = input.byte()?;
    let code = input.byte()?;
    if flags > 1 {
        return Err(Malformed("a CONNACK with reserved flags"));
    }
    // A broker that knows only 3.1.1 answers in its own version, without properties.
    let Properties { limits, reason, .. } = properties_if_any(version, input)?;
    Ok(Incoming::Connack { session_present: flags == 1, code, text: reason, limits })
}

fn puback(version: Version, input: &mut Input<'_>) -> Result<Incoming, Malformed> {
    let id = input.short()?;
    let code = code_if_any(version, input)?;
    let text = properties_if_any(version, input)?.reason;
    Ok(Incoming::Puback { id, code, text })
}

fn disconnect(version: Version, input: &mut Input<'_>) -> Result<Incoming, Malformed> {
    let code = code_if_any(version, input)?;
    let text = properties_if_any(version, input)?.reason;
    Ok(Incoming::Disconnect { code, text })
}

/// Version 5 leaves the code out when it is 0 (3.4.2.1, 3.14.2.1).
fn code_if_any(version: Version, input: &mut Input<'_>) -> Result<u8, Malformed> {
    if version == Version::V5 && !input.is_empty() { input.byte() } else { Ok(0) }
}

fn properties_if_any(version: Version, input: &mut Input<'_>) -> Result<Properties, Malformed> {
    let properties =
        if version == Version::V5 && !input.is_empty() { read_properties(input)? } else { Properties::default() };
    if input.is_empty() { Ok(properties) } else { Err(Malformed("a packet with bytes left over")) }
}

/// Length and how many bytes tell it; `None` until they are there.
fn remaining_length(bytes: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
    let mut length = 0;
    for (index, byte) in bytes.iter().take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some((length, index + 1)));
        }
    }
    if bytes.len() < 4 { Ok(None) } else { Err(Malformed("a length of more than four bytes")) }
}

/// Bytes, read from the front; every read is checked.
pub(super) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(super) fn rest(self) -> &'a [u8] {
        self.0
    }

    pub(super) fn new(bytes: &'a [u8]) -> Input<'a> {
        Input(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (head, tail) = self.0.split_at_checked(count).ok_or(Malformed("a packet that ends too early"))?;
        self.0 = tail;
        Ok(head)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Malformed> {
        self.bytes(1).map(|bytes| bytes[0])
    }

    pub(super) fn short(&mut self) -> Result<u16, Malformed> {
        self.bytes(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    pub(super) fn long(&mut self) -> Result<u32, Malformed> {
        self.bytes(4).map(|bytes| u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    pub(super) fn binary(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.short()?;
        self.bytes(usize::from(length))
    }

    pub(super) fn length(&mut self) -> Result<usize, Malformed> {
        let (length, size) = remaining_length(self.0)?.ok_or(Malformed("a packet that ends too early"))?;
        self.bytes(size)?;
        Ok(length)
    }
}
