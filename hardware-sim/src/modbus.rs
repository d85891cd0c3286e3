//! Simulated Modbus devices, served by tokio-modbus.
//!
//! A [`Plant`] is the memory of one or more units. A [`ModbusServer`] answers from it over TCP, RTU over TCP or a serial
//! line. Several servers may share a plant, and a plant may be written while it is served.
//!
//! Functions 1 to 6, 15, 16, 22, 23 and 43/14 are answered; every other one gets exception 01 on TCP and silence on RTU,
//! where tokio-modbus cannot tell how long it is.

mod answer;
mod memory;
mod plant;
mod rtu;
mod server;
mod service;
mod unit;

pub use plant::{Plant, PlantCounts, Seen};
pub use server::ModbusServer;
pub use tokio_modbus::ExceptionCode;
pub use unit::UnitConfig;

pub use crate::oracle::{Answered, Oracle, words_u32, words_u64};

/// One of the four tables of a Modbus device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Bits that can be read and written.
    Coils,
    /// Bits that can be read.
    DiscreteInputs,
    /// Words that can be read.
    InputRegisters,
    /// Words that can be read and written.
    HoldingRegisters,
}
