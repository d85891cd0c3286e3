//! Siemens S7 communication over RFC 1006, of our own.
//!
//! The way of a poll: [`address`] understands what the configuration says, [`form`] how values lie in bytes, `plan` makes
//! requests of it, the [`session`] puts them on the [`wire`], `decode` makes readings of the answers; `connection` joins
//! them.

pub mod address;
pub mod config;
pub mod form;

mod decode;
mod device;
mod driver;
mod plan;

mod connection;
pub mod session;
pub mod wire;

#[cfg(test)]
mod corpus;

pub use connection::S7Connection;
pub use device::S7Device;
pub use driver::S7Driver;
