//! What the end-to-end tests and the benchmark stand on: the real binary as a process, the far sides it talks to, and the
//! comparison of what was answered with what arrived.
//!
//! [`need`] says what is installed, [`site`] is a gateway file with its directory, [`gateway`] the process,
//! [`field`] the simulated PLCs, [`pymodbus`], [`snap7`], [`opcua`], [`broker`], [`nats`], [`kafka`] and [`registry`] the
//! real far sides, [`disk`], [`memory`] and [`backlog`] what the gateway has to live with, [`dissector`] what looks at the
//! wire, [`subscriber`] what records at the broker, [`oracle`] the comparison, [`wait`] the only place where a test waits.

pub mod need;
pub mod wait;
pub mod site;
pub mod gateway;
pub mod decoders;
pub mod disk;
pub mod memory;
pub mod backlog;
pub mod field;
pub mod pymodbus;
pub mod snap7;
pub mod opcua;
pub mod certificates;
pub mod broker;
pub mod nats;
pub mod kafka;
pub mod registry;
pub mod dissector;
pub mod subscriber;
pub mod oracle;
pub mod http;
pub mod cases;
