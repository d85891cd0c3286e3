//! The simulators over real sockets and pseudo-terminals, asked by clients of a few lines.

mod broker;
mod faults;
mod modbus;
mod modbus_client;
mod s7;
mod mqtt_client;
mod serial;
mod wait;
