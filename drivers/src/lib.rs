//! The list of drivers in this build, and one API to read any of them by URL.

use driver_core::AnyDriver;

pub use driver_modbus as modbus;

/// A driver is added by its folder and one line here.
static DRIVERS: &[&dyn AnyDriver] = &[&modbus::ModbusDriver];

/// All drivers of this build.
pub fn all() -> &'static [&'static dyn AnyDriver] {
    DRIVERS
}

/// The driver that serves a URL's scheme, such as `modbus-tcp`.
pub fn by_scheme(scheme: &str) -> Option<&'static dyn AnyDriver> {
    DRIVERS.iter().copied().find(|driver| driver.info().schemes.contains(&scheme))
}
