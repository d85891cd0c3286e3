//! The list of drivers in this build, and one API to read any of them by URL.
//!
//! ```no_run
//! # async fn example() -> Result<(), drivers::OpenError> {
//! let mut plc = drivers::open("modbus-tcp://10.0.0.11?unit=1", &["hr:0:INT", "hr:1:REAL@CDAB"]).await?;
//! for reading in plc.read().await? {
//!     println!("{:?} {:?}", reading.value, reading.quality);
//! }
//! # Ok(())
//! # }
//! ```

mod open;

use driver_core::AnyDriver;

#[cfg(target_os = "linux")]
pub use driver_local as local;
pub use driver_modbus as modbus;
#[cfg(feature = "opcua")]
pub use driver_opcua as opcua;
pub use driver_s7 as s7;
pub use open::{OpenError, Plc, open};

/// A driver is added by its folder and one line here.
static DRIVERS: &[&dyn AnyDriver] = &[
    &modbus::ModbusDriver,
    &s7::S7Driver,
    #[cfg(target_os = "linux")]
    &local::LocalDriver,
    #[cfg(feature = "opcua")]
    &opcua::OpcUaDriver,
];

/// All drivers of this build.
pub fn all() -> &'static [&'static dyn AnyDriver] {
    DRIVERS
}

/// The driver that serves a URL's scheme, such as `modbus-tcp`.
pub fn by_scheme(scheme: &str) -> Option<&'static dyn AnyDriver> {
    DRIVERS.iter().copied().find(|driver| driver.info().schemes.contains(&scheme))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_scheme_has_one_driver() {
        let mut schemes = BTreeSet::new();
        for driver in all() {
            for scheme in driver.info().schemes {
                assert!(schemes.insert(*scheme), "{scheme} has two drivers");
                assert_eq!(by_scheme(scheme).map(|found| found.info().name), Some(driver.info().name));
            }
        }
        assert!(by_scheme("http").is_none());
    }

    #[test]
    fn every_driver_tells_its_options_and_shows_a_sample() {
        for driver in all() {
            let info = driver.info();
            let named = info.schemes.iter().any(|scheme| info.sample.contains(&format!("{scheme}:")));
            assert!(
                named && info.options.iter().all(|(name, help)| !name.is_empty() && !help.is_empty()),
                "{}",
                info.name
            );
        }
    }
}
