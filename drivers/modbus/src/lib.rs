//! Modbus over TCP, RTU, RTU over TCP, ASCII and TLS.

pub mod address;
pub mod config;

pub mod session;
pub mod transport;
pub mod wire;
