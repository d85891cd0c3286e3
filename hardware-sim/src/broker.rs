//! A small MQTT broker, 3.1.1 and 5, which also knows how to misbehave.
//!
//! ```text
//! client ──> connection ── packets ──> core: sessions, retained messages, observers
//! client <── connection <── wake-up ── the session's queue
//! ```
//! It does what a demonstration and a fault test need: QoS 0, 1 and 2 inwards, 0 and 1 outwards, wildcards, retained
//! messages, last wills, sessions that outlive their connections (in memory). It has no TLS and no WebSocket: for those
//! there are real brokers.

mod acknowledge;
mod connection;
mod core;
mod decode;
mod encode;
mod misbehaviour;
mod packet;
mod property;
mod reader;
mod reason;
mod server;
mod session;
mod topic;
mod wire;

pub use core::{BrokerCounts, Message, Observer};
pub use misbehaviour::Misbehaviour;
pub use server::{Broker, BrokerConfig};

#[cfg(test)]
#[path = "../fuzz/mqtt.rs"]
mod fuzzed;

#[cfg(test)]
#[test]
fn the_corpus_of_the_fuzz_target_holds() {
    crate::corpus::inputs("mqtt").iter().for_each(|input| fuzzed::check(input));
}
