//! S7 communication on the wire: bytes to messages and back, without I/O, clock or allocation by outside lengths.
//!
//! ```text
//! packet       version 3 (1) | 0 (1) | length of all (2) | TPDU                                            tpkt
//! TPDU         length (1) | F0 | last of its message (1 bit), 0 (7) | a part of a message                  cotp
//! message      32 | kind (1) | 0 (2) | reference (2) | parameter length (2) | data length (2)
//!              [error class (1) | error (1)] | parameter | data                                            message
//! ```
//!
//! Sources: RFC 1006 (packets), ISO 8073 class 0 (TPDUs). Siemens publishes no description of its messages; theirs are
//! those that PLCs and the freely available dissectors and servers agree on.

pub mod area;
pub mod code;
pub mod cotp;
pub mod deframe;
pub mod item;
pub mod message;
pub mod read;
pub mod setup;
pub mod szl;
mod text;
pub mod tpkt;
pub mod write;

#[cfg(test)]
pub(crate) mod mirror;

pub use area::Area;
pub use code::{HeaderError, ReturnCode};
pub use cotp::Tpdu;
pub use deframe::{Broken, Deframer, Step};
pub use item::Item;
pub use message::{Kind, Message, Outgoing};
pub use read::ReadAnswer;
pub use setup::Setup;
pub(crate) use text::text;

/// The largest PDU that any PLC agrees to, in bytes.
pub const PDU_MAX: usize = 960;
/// The smallest with which anything can be read and written.
pub const PDU_MIN: usize = 64;
/// Most items of one read or write.
pub const ITEMS_MAX: usize = 20;

/// Why bytes that arrived whole are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// A 16-bit number at the beginning of `bytes`.
pub(crate) fn word(bytes: &[u8]) -> Option<u16> {
    bytes.first_chunk().copied().map(u16::from_be_bytes)
}

#[cfg(test)]
mod tests;
