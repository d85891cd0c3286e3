//! Reasons of MQTT 5 (2.4). 3.1.1 knows those of the CONNACK and of the SUBACK by other numbers (`V311_…`).

pub(super) const SUCCESS: u8 = 0x00;
pub(super) const WILL: u8 = 0x04;
pub(super) const NO_SUBSCRIPTION: u8 = 0x11;
pub(super) const MALFORMED: u8 = 0x81;
pub(super) const PROTOCOL_ERROR: u8 = 0x82;
pub(super) const VERSION: u8 = 0x84;
pub(super) const LOGIN: u8 = 0x86;
pub(super) const NOT_AUTHORIZED: u8 = 0x87;
pub(super) const UNAVAILABLE: u8 = 0x88;
pub(super) const FILTER: u8 = 0x8F;
pub(super) const NO_PACKET: u8 = 0x92;
pub(super) const RECEIVE_MAXIMUM: u8 = 0x93;
pub(super) const TOO_LARGE: u8 = 0x95;
pub(super) const QUOTA_EXCEEDED: u8 = 0x97;
pub(super) const V311_UNAVAILABLE: u8 = 3;
pub(super) const V311_LOGIN: u8 = 4;
pub(super) const V311_REFUSED: u8 = 0x80;
