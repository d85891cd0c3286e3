//! Modbus over TCP, RTU, RTU over TCP, ASCII and TLS.
