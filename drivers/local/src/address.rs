//! Addresses of local inputs and outputs.
//!
//! ```text
//! gpio   in:17   in:17?pull=up&active=low   in:GPIO17   out:27   count:22?debounce=5ms   edge:5
//! i2c    ads1115.0   ads1115.0-1?range=2.048   ina219.current?shunt=0.1   bme280.humidity   pcf8574.in.3   mcp23017.out.a5
//! spi    mcp3008.0   mcp3008.0-1   max31865.temperature?wires=3
//! w1     28-0316a2798aff
//! ```

mod chip;
mod settings;

use std::fmt;
use std::ops::Range;

use driver_core::{AddressError, DataType, nearest};

use crate::config::Bus;
pub use chip::{Channel, Chip};
pub use settings::{Pull, Settings};

/// Longest name of a GPIO line that the kernel keeps.
const LINE_NAME_MAX: usize = 31;
/// Most lines of a GPIO chip that can be meant by number.
const LINES_MAX: u32 = 4096;

/// An address, understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Address {
    /// What is meant.
    pub place: Place,
    /// How it is measured.
    pub settings: Settings,
    /// The text that gives this address again.
    canonical: Box<str>,
}

/// What an address means.
#[derive(Debug, Clone, PartialEq)]
pub enum Place {
    /// A GPIO line, and what it is used for.
    Line(LineName, Use),
    /// A channel of a chip on I2C or SPI.
    Chip(Chip, Channel),
    /// A thermometer on 1-wire, by its id.
    Thermometer(Box<str>),
}

/// Which line of a GPIO chip.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum LineName {
    /// By its offset within the chip.
    Offset(u32),
    /// By the name that the board's description gives it.
    Name(Box<str>),
}

/// What a GPIO line is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Its level, as an input.
    Input,
    /// Its level, as an output.
    Output,
    /// How often it rose since the gateway has watched it; the kernel counts, so that none is missed between two polls.
    Count,
    /// Each change of its level, as an input, when the kernel saw it.
    Edge,
}

impl Address {
    /// Understands an address of this kind of bus.
    ///
    /// # Errors
    /// What is wrong, where, and what to write instead.
    pub fn parse(bus: Bus, text: &str) -> Result<Address, AddressError> {
        let (location, query) = text.split_once('?').map_or((text, None), |(location, query)| (location, Some(query)));
        let range = 0..location.len();
        let place = match bus {
            Bus::Gpio => line(location)?,
            Bus::I2c | Bus::Spi => {
                let (chip, channel) = chip::parse(bus, location)?;
                Place::Chip(chip, channel)
            }
            Bus::OneWire => Place::Thermometer(thermometer(location, range.clone())?),
        };
        let allowed = match &place {
            Place::Line(_, Use::Input) => &["pull", "active"][..],
            Place::Line(_, Use::Output) => &["active"],
            Place::Line(_, Use::Count | Use::Edge) => &["pull", "active", "debounce"],
            Place::Chip(chip, channel) => chip.settings(*channel),
            Place::Thermometer(_) => &[],
        };
        let settings = Settings::parse(query, location.len() + 1, allowed)?;
        if matches!(&place, Place::Chip(Chip::Ina219 | Chip::Ina226, Channel::Current | Channel::Power))
            && settings.shunt.is_none()
        {
            return Err(AddressError::new(range, format!("say the shunt's resistance in ohms: {location}?shunt=0.1")));
        }
        let canonical = format!("{}{}", location.to_ascii_lowercase(), settings::text(query));
        let canonical = if bus == Bus::Gpio { text.to_owned() } else { canonical };
        Ok(Address { place, settings, canonical: canonical.into() })
    }

    /// The type of its value.
    pub fn data_type(&self) -> DataType {
        match &self.place {
            Place::Line(_, Use::Count) => DataType::Ulint,
            Place::Line(..) | Place::Chip(_, Channel::Input(_) | Channel::Output(_)) => DataType::Bool,
            Place::Chip(..) | Place::Thermometer(_) => DataType::Lreal,
        }
    }

    /// Whether it can be written.
    pub fn is_writable(&self) -> bool {
        matches!(self.place, Place::Line(_, Use::Output) | Place::Chip(_, Channel::Output(_)))
    }

    /// What the value means, for the operator.
    pub fn also(&self) -> String {
        match &self.place {
            Place::Line(_, Use::Input) => "level of an input".into(),
            Place::Line(_, Use::Output) => "level of an output".into(),
            Place::Line(_, Use::Count) => "rising edges".into(),
            Place::Line(_, Use::Edge) => "each change of an input, with the kernel's time".into(),
            Place::Chip(chip, channel) => format!("{} {}", chip.title(), channel.meaning()),
            Place::Thermometer(_) => "°C".into(),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.canonical)
    }
}

impl fmt::Display for LineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LineName::Offset(offset) => offset.fmt(f),
            LineName::Name(name) => f.write_str(name),
        }
    }
}

fn line(location: &str) -> Result<Place, AddressError> {
    let Some((use_of, name)) = location.split_once(':') else {
        return Err(AddressError::new(0..location.len(), "a line is in:17, out:27, count:22 or edge:5"));
    };
    let use_of = match use_of {
        "in" => Use::Input,
        "out" => Use::Output,
        "count" => Use::Count,
        "edge" => Use::Edge,
        other => {
            let near = nearest(other, ["in", "out", "count", "edge"]).unwrap_or("in");
            return Err(AddressError::new(
                0..other.len(),
                format!("a line is in:, out:, count: or edge:; did you mean {near}:?"),
            ));
        }
    };
    let range = location.len() - name.len()..location.len();
    if name.is_empty() || name.len() > LINE_NAME_MAX {
        return Err(AddressError::new(range, "name the line by its number, such as 17, or its name, such as GPIO17"));
    }
    if !name.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(Place::Line(LineName::Name(name.into()), use_of));
    }
    match name.parse() {
        Ok(offset) if offset < LINES_MAX => Ok(Place::Line(LineName::Offset(offset), use_of)),
        _ => Err(AddressError::new(range, "a GPIO chip has no line of such a number; `gpioinfo` lists them")),
    }
}

/// A family in two hexadecimal digits and a serial number in twelve, as the kernel names its folder.
fn thermometer(location: &str, range: Range<usize>) -> Result<Box<str>, AddressError> {
    let wrong = || {
        AddressError::new(
            range.clone(),
            "a thermometer is named as its folder under /sys/bus/w1/devices, such as 28-0316a2798aff",
        )
    };
    let (family, serial) = location.split_once('-').ok_or_else(wrong)?;
    let is_hex = |text: &str, len| text.len() == len && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_hex(family, 2) || !is_hex(serial, 12) {
        return Err(wrong());
    }
    Ok(location.to_ascii_lowercase().into())
}

#[cfg(test)]
mod tests;
