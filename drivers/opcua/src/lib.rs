//! OPC UA over opc.tcp, on the `async-opcua` library, with our own reconnect and our own subscriptions.
//!
//! The way of a value: [`address`] understands what the configuration says, `plan` makes batches and subscriptions of it,
//! the [`session`] asks the server, `decode` makes readings of what it says, structures by what is known of the server's own `types`;
//! `events` are told as JSON; `history` knows what was missed in between; `walk` looks for the variables where patterns point; [`wire`] knows OPC UA's node ids and status
//! codes, `certificate` whom to trust; `connection` joins them.

pub mod address;
pub mod config;
pub mod wire;

mod certificate;
mod decode;
mod device;
mod events;
mod history;
mod driver;
mod plan;
mod sequence;
mod subscription;
mod types;
mod walk;

mod connection;
pub mod session;

pub use connection::OpcUaConnection;
pub use device::OpcUaDevice;
pub use driver::OpcUaDriver;
