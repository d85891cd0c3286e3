//! What each chip wants to hear, over the traits of embedded-hal. No file of the kernel is opened here.
//!
//! Nothing here waits without bound: a chip that does not become ready within its own longest time has failed.

pub(crate) mod ads1115;
pub(crate) mod bme280;
pub(crate) mod ina;
pub(crate) mod max31865;
pub(crate) mod mcp23017;
pub(crate) mod mcp3008;
pub(crate) mod one_wire;
pub(crate) mod pcf8574;

use driver_core::{Reason, Value};
use embedded_hal::i2c::I2c;

/// A value, or why there is none.
pub(crate) type Sample = Result<Value, Fault>;

/// Why a channel has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) reason: Reason,
    /// The chip's own fault register, or 0.
    pub(crate) status: u32,
}

impl Fault {
    pub(crate) const fn of(reason: Reason) -> Fault {
        Fault { reason, status: 0 }
    }
}

/// A register of 16 bits, most significant byte first.
fn register<I: I2c>(bus: &mut I, unit: u8, register: u8) -> Result<u16, I::Error> {
    let mut bytes = [0; 2];
    bus.write_read(unit, &[register], &mut bytes)?;
    Ok(u16::from_be_bytes(bytes))
}
