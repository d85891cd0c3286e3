//! Modbus over TCP, RTU, RTU over TCP, ASCII and TLS.

pub mod session;
pub mod transport;
pub mod wire;
