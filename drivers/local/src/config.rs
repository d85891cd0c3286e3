//! The URL of a bus, understood: which file of the kernel it is, and how it is driven.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use driver_core::{EndpointUrl, SpecError};

/// The URL schemes of this driver, one a bus.
pub const SCHEMES: &[&str] = &["gpio", "i2c", "spi", "w1"];

/// The options of the URL's query.
pub const OPTIONS: &[(&str, &str)] = &[
    ("unit", "I2C: the chip's address on the bus, such as 0x48; without it the one that the chip has from the factory"),
    ("timeout", "how long one measurement may take, such as 1s; 3s on 1-wire"),
    ("speed", "SPI: the clock in Hz, up to 10000000; 1000000 without it"),
];

const TIMEOUT_DEFAULT: Duration = Duration::from_secs(1);
/// A DS18B20 converts for 750 ms.
const TIMEOUT_ONE_WIRE: Duration = Duration::from_secs(3);
const SPEED_DEFAULT: u32 = 1_000_000;
const SPEED_MAX: u32 = 10_000_000;
/// Where the kernel shows 1-wire devices.
const ONE_WIRE_FOLDER: &str = "/sys/bus/w1/devices";
/// Addresses of 7 bits that I2C does not reserve (UM10204, 3.1.12).
const UNITS: std::ops::RangeInclusive<u16> = 0x08..=0x77;

/// Which kind of bus it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bus {
    /// Lines of a GPIO chip.
    Gpio,
    /// Chips on an I2C bus.
    I2c,
    /// One chip behind an SPI chip select.
    Spi,
    /// Thermometers on a 1-wire bus that the kernel drives.
    OneWire,
}

/// A bus: what its URL says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalEndpoint {
    /// Its kind.
    pub bus: Bus,
    /// The kernel's file, or folder for 1-wire.
    pub path: PathBuf,
    /// I2C address of the chip, where the URL names one.
    pub unit: Option<u8>,
    /// How long one measurement may take.
    pub timeout: Duration,
    /// Clock of SPI, in Hz.
    pub speed: u32,
}

impl LocalEndpoint {
    /// Understands a URL. `timeout` overrides the URL's.
    ///
    /// # Errors
    /// Every wrong part of the URL.
    pub fn parse(url: &EndpointUrl, timeout: Option<Duration>) -> Result<LocalEndpoint, Vec<SpecError>> {
        let (bus, example) = match url.scheme() {
            "gpio" => (Bus::Gpio, "gpio:///dev/gpiochip0"),
            "i2c" => (Bus::I2c, "i2c:///dev/i2c-1"),
            "spi" => (Bus::Spi, "spi:///dev/spidev0.0"),
            _ => (Bus::OneWire, "w1:///"),
        };
        let mut errors = Vec::new();
        if !url.host().is_empty() {
            errors.push(url.host_error(format!("a bus of this machine has no host: three slashes, such as {example}")));
        }
        let path = match url.path() {
            "" | "/" if bus == Bus::OneWire => PathBuf::from(ONE_WIRE_FOLDER),
            "" | "/" => {
                errors.push(url.path_error(format!("name the kernel's file, such as {example}")));
                PathBuf::new()
            }
            path => PathBuf::from(path),
        };
        let mut options = url.options();
        let unit = options.parse("unit", "an I2C address from 0x08 to 0x77, such as 0x48", unit_number);
        if unit.is_some() && bus != Bus::I2c {
            options.error("unit", "only chips on I2C have an address on the bus");
        }
        let speed = options.parse("speed", "a clock in Hz from 1 to 10000000", |text| {
            text.parse().ok().filter(|speed| (1..=SPEED_MAX).contains(speed))
        });
        if speed.is_some() && bus != Bus::Spi {
            options.error("speed", "only SPI has a clock that is set here");
        }
        let own_timeout = options.duration("timeout");
        if let Err(more) = options.finish(OPTIONS) {
            errors.extend(more);
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let default = if bus == Bus::OneWire { TIMEOUT_ONE_WIRE } else { TIMEOUT_DEFAULT };
        Ok(LocalEndpoint {
            bus,
            path,
            unit,
            timeout: timeout.or(own_timeout).unwrap_or(default),
            speed: speed.unwrap_or(SPEED_DEFAULT),
        })
    }
}

impl fmt::Display for LocalEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}

/// A number of the bus from a device's `unit:`, if it can be one.
pub(crate) fn unit(number: u16) -> Option<u8> {
    u8::try_from(number).ok().filter(|_| UNITS.contains(&number))
}

fn unit_number(text: &str) -> Option<u8> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u16::from_str_radix(digits, 16).ok()?,
        None => text.parse().ok()?,
    };
    unit(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<LocalEndpoint, Vec<SpecError>> {
        LocalEndpoint::parse(&text.parse().expect("a URL"), None)
    }

    #[test]
    fn a_bus_is_a_file_of_the_kernel() {
        let i2c = parse("i2c:///dev/i2c-1?unit=0x76&timeout=200ms").expect("a bus");
        assert_eq!((i2c.bus, i2c.unit, i2c.timeout.as_millis()), (Bus::I2c, Some(0x76), 200));
        assert_eq!(i2c.to_string(), "/dev/i2c-1");
        assert_eq!(parse("i2c:///dev/i2c-1?unit=72").map(|bus| bus.unit), Ok(Some(0x48)));
        assert_eq!(parse("spi:///dev/spidev0.0?speed=500000").map(|bus| bus.speed), Ok(500_000));
        assert_eq!(parse("w1:///").map(|bus| bus.path), Ok(PathBuf::from("/sys/bus/w1/devices")));
        assert_eq!(parse("gpio:///dev/gpiochip0").map(|bus| bus.bus), Ok(Bus::Gpio));
    }

    #[test]
    fn every_wrong_part_is_reported() {
        for (text, expected) in [
            ("gpio://pi/dev/gpiochip0", "three slashes"),
            ("gpio:///", "/dev/gpiochip0"),
            ("i2c:///dev/i2c-1?unit=0x03", "from 0x08 to 0x77"),
            ("spi:///dev/spidev0.0?unit=0x48", "only chips on I2C"),
            ("i2c:///dev/i2c-1?speed=5", "only SPI"),
            ("spi:///dev/spidev0.0?speed=0", "a clock in Hz"),
            ("i2c:///dev/i2c-1?unti=1", "unit"),
        ] {
            let errors = parse(text).expect_err(text);
            assert!(errors.iter().any(|error| error.message.contains(expected)), "{text}: {errors:?}");
        }
    }
}
