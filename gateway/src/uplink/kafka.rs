//! Apache Kafka 2.8 to 4.x, over TCP and TLS.
//!
//! Everything is our own: [`wire`] and [`batch`] are bytes, [`login`] is SASL, all three pure; [`link`], [`fleet`] and
//! [`cluster`] move them.

pub mod batch;
pub mod cluster;
pub mod config;
mod dial;
pub mod error;
pub mod fleet;
pub mod link;
pub mod login;
pub mod partition;
pub mod wire;
