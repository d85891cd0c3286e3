//! Modbus on the wire: bytes to messages and back, without I/O, clock or allocation by outside lengths.
//!
//! ```text
//! PDU          function (1) | data (0..=252)                                            request, response
//! TCP, TLS     transaction (2) | protocol 0 (2) | length (2) | unit (1) | PDU           mbap
//! RTU          unit (1) | PDU | CRC-16, low byte first (2)                              rtu
//! ASCII        ':' | hex of unit, PDU, LRC (2 characters a byte) | CR LF                ascii
//! ```
//!
//! Sources: "MODBUS Application Protocol Specification V1.1b3" (PDU), "MODBUS Messaging on TCP/IP Implementation
//! Guide V1.0b" (TCP), "MODBUS over Serial Line V1.02" (RTU, ASCII), "MODBUS/TCP Security" (TLS).

pub mod ascii;
pub mod crc;
pub mod deframe;
pub mod exception;
pub mod file;
pub mod function;
pub mod identification;
pub mod mbap;
pub mod mismatch;
pub mod request;
pub mod response;
pub mod rtu;
mod text;

#[cfg(test)]
pub(crate) mod mirror;

pub use deframe::{Awaited, Deframer, Echo, Framing, Step, TransactionIds};
pub use exception::Exception;
pub use file::{FileRecord, FileRecords, FileSpan};
pub use identification::{Identification, IdentificationLevel};
pub use mismatch::{Mismatch, MismatchCounts};
pub use request::{InvalidRequest, Request, Table};
pub use response::{Answer, Bits, Response};
pub(crate) use text::text;

/// The longest PDU, in bytes (Application Protocol, 4.1).
pub const PDU_MAX: usize = 253;
