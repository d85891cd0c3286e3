//! The properties of MQTT 5 (2.2.2): a number and a value whose type the number tells.

use super::read::{Input, Malformed};

pub(super) const CONTENT_TYPE: u8 = 0x03;
pub(super) const SESSION_EXPIRY: u8 = 0x11;
pub(super) const MESSAGE_EXPIRY: u8 = 0x02;
pub(super) const RESPONSE_TOPIC: u8 = 0x08;
pub(super) const CORRELATION_DATA: u8 = 0x09;
pub(super) const USER_PROPERTY: u8 = 0x26;
pub(super) const MAXIMUM_PACKET_SIZE: u8 = 0x27;
pub(super) const TOPIC_ALIAS: u8 = 0x23;
const TOPIC_ALIAS_MAXIMUM: u8 = 0x22;
const SERVER_KEEP_ALIVE: u8 = 0x13;
const REASON_STRING: u8 = 0x1f;
const RECEIVE_MAXIMUM: u8 = 0x21;
const MAXIMUM_QOS: u8 = 0x24;
const RETAIN_AVAILABLE: u8 = 0x25;

/// What the broker allows on this connection; the defaults are those of a broker that says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How many QoS 1 messages may be unacknowledged.
    pub receive_max: u16,
    /// The largest packet, bytes.
    pub packet_bytes_max: usize,
    /// Whether QoS 1 is possible.
    pub takes_qos_1: bool,
    /// Whether messages are kept for later subscribers.
    pub retains: bool,
    /// The keep-alive that the broker wants instead of ours, seconds.
    pub keep_alive_s: Option<u16>,
    /// How many topics may have a number that stands for them.
    pub topic_alias_max: u16,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            receive_max: u16::MAX,
            packet_bytes_max: super::REMAINING_MAX,
            takes_qos_1: true,
            retains: true,
            keep_alive_s: None,
            topic_alias_max: 0,
        }
    }
}

/// The properties that matter here; the others are passed over.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Properties {
    pub(super) limits: Limits,
    pub(super) reason: String,
    /// The user property `gateway`: from whose log the message comes.
    pub(super) gateway: Option<String>,
    /// Where the sender of a message waits for an answer.
    pub(super) response_topic: Option<String>,
    /// What it recognises the answer by.
    pub(super) correlation: Option<Vec<u8>>,
    /// How much longer a message lives, seconds.
    pub(super) expires_after_s: Option<u32>,
}

/// Reads the length and then as many properties as it holds.
pub(super) fn read_properties(input: &mut Input<'_>) -> Result<Properties, Malformed> {
    let length = input.length()?;
    let mut input = Input::new(input.bytes(length)?);
    let mut properties = Properties::default();
    while !input.is_empty() {
        read_property(&mut input, &mut properties)?;
    }
    Ok(properties)
}

fn read_property(input: &mut Input<'_>, properties: &mut Properties) -> Result<(), Malformed> {
    let limits = &mut properties.limits;
    match input.byte()? {
        MAXIMUM_QOS => limits.takes_qos_1 = input.byte()? > 0,
        RETAIN_AVAILABLE => limits.retains = input.byte()? > 0,
        SERVER_KEEP_ALIVE => limits.keep_alive_s = Some(input.short()?),
        RECEIVE_MAXIMUM => match input.short()? {
            0 => return Err(Malformed("a receive maximum of 0")),
            receive_max => limits.receive_max = receive_max,
        },
        MAXIMUM_PACKET_SIZE => limits.packet_bytes_max = input.long()? as usize,
        REASON_STRING => properties.reason = String::from_utf8_lossy(input.binary()?).into_owned(),
        USER_PROPERTY => {
            let (name, value) = (input.binary()?, input.binary()?);
            if name == b"gateway" {
                properties.gateway = Some(String::from_utf8_lossy(value).into_owned());
            }
        }
        MESSAGE_EXPIRY => properties.expires_after_s = Some(input.long()?),
        RESPONSE_TOPIC => properties.response_topic = String::from_utf8(input.binary()?.to_vec()).ok(),
        CORRELATION_DATA => properties.correlation = Some(input.binary()?.to_vec()),
        // Bytes: payload format, request flags, and what else brokers say of themselves.
        0x01 | 0x17 | 0x19 | 0x28 | 0x29 | 0x2a => drop(input.byte()?),
        TOPIC_ALIAS_MAXIMUM => limits.topic_alias_max = input.short()?,
        TOPIC_ALIAS => drop(input.short()?),
        SESSION_EXPIRY | 0x18 => drop(input.long()?),
        0x0b => drop(input.length()?),
        // Texts and binary: content type, client id, authentication, server reference.
        CONTENT_TYPE | 0x12 | 0x15 | 0x16 | 0x1a | 0x1c => drop(input.binary()?),
        _ => return Err(Malformed("a property that MQTT 5 does not have")),
    }
    Ok(())
}
