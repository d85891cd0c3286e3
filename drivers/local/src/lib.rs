//! Local inputs and outputs of a Linux board, without a PLC: GPIO lines, chips on I2C and SPI, 1-wire thermometers.
//!
//! The way of a poll: [`address`] understands what the configuration says, `plan` makes one request a chip of it, the
//! `session` has the bus open and runs the request away from the polling thread, `wire` holds what each chip wants to hear
//! (over the traits of embedded-hal, so that every chip is tested without hardware), `decode` makes numbers of its answers.

pub mod address;
pub mod config;

mod decode;
mod device;
mod driver;
mod plan;

mod connection;
mod session;
mod wire;

pub use connection::LocalConnection;
pub use device::LocalDevice;
pub use driver::LocalDriver;
