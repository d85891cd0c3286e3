//! Properties of MQTT 5 (2.2.2.2): a list of ids with values whose form the id decides.

/// The value of a property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Byte(u8),
    Two(u16),
    Four(u32),
    Variable(u32),
    Text(String),
    Binary(Vec<u8>),
    Pair(String, String),
}

/// The form of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Byte,
    Two,
    Four,
    Variable,
    Text,
    Binary,
    Pair,
}

/// All properties of a packet, in their order.
pub(super) type Properties = Vec<(u8, Value)>;

pub(super) const CONTENT_TYPE: u8 = 0x03;
pub(super) const SESSION_EXPIRY: u8 = 0x11;
pub(super) const ASSIGNED_CLIENT_ID: u8 = 0x12;
pub(super) const RECEIVE_MAXIMUM: u8 = 0x21;
pub(super) const TOPIC_ALIAS_MAXIMUM: u8 = 0x22;
pub(super) const TOPIC_ALIAS: u8 = 0x23;
pub(super) const USER_PROPERTY: u8 = 0x26;
pub(super) const PACKET_MAXIMUM: u8 = 0x27;
const SUBSCRIPTION_ID: u8 = 0x0B;

/// None for an id that the standard does not know.
pub(super) fn form(id: u8) -> Option<Form> {
    Some(match id {
        0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28..=0x2A => Form::Byte,
        0x13 | RECEIVE_MAXIMUM | TOPIC_ALIAS_MAXIMUM | TOPIC_ALIAS => Form::Two,
        0x02 | SESSION_EXPIRY | 0x18 | PACKET_MAXIMUM => Form::Four,
        SUBSCRIPTION_ID => Form::Variable,
        CONTENT_TYPE | 0x08 | ASSIGNED_CLIENT_ID | 0x15 | 0x1A | 0x1C | 0x1F => Form::Text,
        0x09 | 0x16 => Form::Binary,
        USER_PROPERTY => Form::Pair,
        _ => return None,
    })
}

/// The number that a property holds, of whatever width.
pub(super) fn number(properties: &[(u8, Value)], id: u8) -> Option<u32> {
    properties.iter().filter(|(found, _)| *found == id).find_map(|(_, value)| match value {
        Value::Byte(number) => Some(u32::from(*number)),
        Value::Two(number) => Some(u32::from(*number)),
        Value::Four(number) | Value::Variable(number) => Some(*number),
        Value::Text(_) | Value::Binary(_) | Value::Pair(..) => None,
    })
}
