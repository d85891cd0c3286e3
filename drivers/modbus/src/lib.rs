//! Modbus over TCP, RTU, RTU over TCP, ASCII and TLS.
//!
//! The way of a poll: [`address`] understands what the configuration says, `plan` makes requests of it, the [`session`]
//! puts them on the [`wire`], `decode` makes readings of the answers; `connection` joins them.

pub mod address;
pub mod config;

mod decode;
mod device;
mod driver;
mod plan;

mod connection;
pub mod session;
pub mod transport;
pub mod wire;

#[cfg(test)]
mod corpus;

pub use connection::ModbusConnection;
pub use device::ModbusDevice;
pub use driver::ModbusDriver;
