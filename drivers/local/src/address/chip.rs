//! The chips that are known, and their channels.

use driver_core::{AddressError, nearest};

use crate::config::Bus;

/// A chip on I2C or SPI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Chip {
    /// Four analogue inputs of 16 bits (Texas Instruments SBAS444).
    Ads1115,
    /// Voltage, current and power (Texas Instruments SBOS448).
    Ina219,
    /// Voltage, current and power (Texas Instruments SBOS547).
    Ina226,
    /// Temperature, pressure and humidity (Bosch BST-BME280-DS002).
    Bme280,
    /// Eight inputs and outputs (NXP PCF8574).
    Pcf8574,
    /// Sixteen inputs and outputs (Microchip DS20001952).
    Mcp23017,
    /// Eight analogue inputs of 10 bits (Microchip DS21295).
    Mcp3008,
    /// A resistance thermometer (Analog Devices MAX31865).
    Max31865,
}

/// What of a chip is read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// A voltage between two inputs, or an input and ground, by the chip's own selection code.
    Voltage(u8),
    /// The voltage of the supply.
    BusVoltage,
    /// The voltage across the shunt.
    ShuntVoltage,
    /// The current through the shunt.
    Current,
    /// The power drawn.
    Power,
    /// Temperature.
    Temperature,
    /// Air pressure.
    Pressure,
    /// Relative humidity.
    Humidity,
    /// The resistance of the thermometer.
    Resistance,
    /// The level of a bit, as an input.
    Input(u8),
    /// The level of a bit, as an output.
    Output(u8),
}

const CHIPS: [(&str, Chip); 8] = [
    ("ads1115", Chip::Ads1115),
    ("ina219", Chip::Ina219),
    ("ina226", Chip::Ina226),
    ("bme280", Chip::Bme280),
    ("pcf8574", Chip::Pcf8574),
    ("mcp23017", Chip::Mcp23017),
    ("mcp3008", Chip::Mcp3008),
    ("max31865", Chip::Max31865),
];

/// The ADS1115's inputs by its code of the multiplexer (SBAS444, table of the Config register).
const ADS1115_INPUTS: [&str; 8] = ["0-1", "0-3", "1-3", "2-3", "0", "1", "2", "3"];
/// The MCP3008's inputs by the four bits SGL/DIFF, D2, D1, D0 (DS21295, table 5-2).
const MCP3008_INPUTS: [&str; 16] =
    ["0-1", "1-0", "2-3", "3-2", "4-5", "5-4", "6-7", "7-6", "0", "1", "2", "3", "4", "5", "6", "7"];

impl Chip {
    /// Its name as in catalogues.
    pub fn title(self) -> &'static str {
        match self {
            Chip::Ads1115 => "ADS1115",
            Chip::Ina219 => "INA219",
            Chip::Ina226 => "INA226",
            Chip::Bme280 => "BME280",
            Chip::Pcf8574 => "PCF8574",
            Chip::Mcp23017 => "MCP23017",
            Chip::Mcp3008 => "MCP3008",
            Chip::Max31865 => "MAX31865",
        }
    }

    /// The address that it has on I2C when its address pins are left low.
    pub fn unit(self) -> u8 {
        match self {
            Chip::Ads1115 => 0x48,
            Chip::Ina219 | Chip::Ina226 => 0x40,
            Chip::Bme280 => 0x76,
            Chip::Pcf8574 | Chip::Mcp23017 => 0x20,
            Chip::Mcp3008 | Chip::Max31865 => 0,
        }
    }

    fn bus(self) -> Bus {
        match self {
            Chip::Mcp3008 | Chip::Max31865 => Bus::Spi,
            _ => Bus::I2c,
        }
    }

    /// The settings that may stand behind an address.
    pub(super) fn settings(self, channel: Channel) -> &'static [&'static str] {
        match (self, channel) {
            (Chip::Ads1115, _) => &["range"],
            (Chip::Ina219 | Chip::Ina226, Channel::Current | Channel::Power) => &["shunt"],
            (Chip::Mcp23017, Channel::Input(_)) => &["pull"],
            (Chip::Mcp3008, _) => &["vref"],
            (Chip::Max31865, Channel::Resistance) => &["reference", "wires", "mains"],
            (Chip::Max31865, _) => &["reference", "wires", "mains", "rtd"],
            _ => &[],
        }
    }

    fn channels(self) -> &'static str {
        match self {
            Chip::Ads1115 => "0 to 3, or 0-1, 0-3, 1-3, 2-3",
            Chip::Ina219 | Chip::Ina226 => "voltage, shunt, current, power",
            Chip::Bme280 => "temperature, pressure, humidity",
            Chip::Pcf8574 => "in.0 to in.7, out.0 to out.7",
            Chip::Mcp23017 => "in.a0 to in.b7, out.a0 to out.b7",
            Chip::Mcp3008 => "0 to 7, or 0-1, 1-0, 2-3, …",
            Chip::Max31865 => "temperature, resistance",
        }
    }

    fn channel(self, text: &str) -> Option<Channel> {
        let code = |inputs: &[&str]| {
            inputs
                .iter()
                .position(|input| *input == text)
                .and_then(|code| u8::try_from(code).ok())
                .map(Channel::Voltage)
        };
        match self {
            Chip::Ads1115 => code(&ADS1115_INPUTS),
            Chip::Mcp3008 => code(&MCP3008_INPUTS),
            Chip::Ina219 | Chip::Ina226 => match text {
                "voltage" => Some(Channel::BusVoltage),
                "shunt" => Some(Channel::ShuntVoltage),
                "current" => Some(Channel::Current),
                "power" => Some(Channel::Power),
                _ => None,
            },
            Chip::Bme280 => match text {
                "temperature" => Some(Channel::Temperature),
                "pressure" => Some(Channel::Pressure),
                "humidity" => Some(Channel::Humidity),
                _ => None,
            },
            Chip::Max31865 => match text {
                "temperature" => Some(Channel::Temperature),
                "resistance" => Some(Channel::Resistance),
                _ => None,
            },
            Chip::Pcf8574 => directed(text, |bit| bit.parse().ok().filter(|bit| *bit < 8)),
            Chip::Mcp23017 => directed(text, |bit| {
                let (port, bit) = bit.split_at_checked(1)?;
                let base = match port {
                    "a" => 0,
                    "b" => 8,
                    _ => return None,
                };
                bit.parse().ok().filter(|bit| *bit < 8).map(|bit: u8| base + bit)
            }),
        }
    }
}

impl Channel {
    /// The unit, or what the level is of.
    pub(super) fn meaning(self) -> &'static str {
        match self {
            Channel::Voltage(_) | Channel::BusVoltage | Channel::ShuntVoltage => "V",
            Channel::Current => "A",
            Channel::Power => "W",
            Channel::Temperature => "°C",
            Channel::Pressure => "Pa",
            Channel::Humidity => "%",
            Channel::Resistance => "Ω",
            Channel::Input(_) => "input",
            Channel::Output(_) => "output",
        }
    }
}

fn directed(text: &str, bit: impl Fn(&str) -> Option<u8>) -> Option<Channel> {
    match text.split_once('.')? {
        ("in", name) => bit(name).map(Channel::Input),
        ("out", name) => bit(name).map(Channel::Output),
        _ => None,
    }
}

/// `chip.channel`, of a chip of this bus.
pub(super) fn parse(bus: Bus, location: &str) -> Result<(Chip, Channel), AddressError> {
    let lower = location.to_ascii_lowercase();
    let (name, channel) = lower.split_once('.').unwrap_or((&lower, ""));
    let known = || CHIPS.iter().filter(|(_, chip)| chip.bus() == bus).map(|(name, _)| *name);
    let Some((_, chip)) = CHIPS.iter().find(|(known, _)| *known == name) else {
        let near = match nearest(name, known()) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("known here are {}", known().collect::<Vec<_>>().join(", ")),
        };
        return Err(AddressError::new(0..name.len(), format!("no chip `{name}` is known; {near}")));
    };
    if chip.bus() != bus {
        let other = if bus == Bus::I2c { "SPI: spi:///dev/spidev0.0" } else { "I2C: i2c:///dev/i2c-1" };
        return Err(AddressError::new(0..name.len(), format!("the {} is a chip for {other}", chip.title())));
    }
    match chip.channel(channel) {
        Some(channel) => Ok((*chip, channel)),
        None => {
            let from = (name.len() + 1).min(location.len());
            let message = format!("the {} has {}, such as {name}.{}", chip.title(), chip.channels(), first(*chip));
            Err(AddressError::new(from..location.len(), message))
        }
    }
}

fn first(chip: Chip) -> &'static str {
    match chip {
        Chip::Ads1115 | Chip::Mcp3008 => "0",
        Chip::Ina219 | Chip::Ina226 => "voltage",
        Chip::Bme280 | Chip::Max31865 => "temperature",
        Chip::Pcf8574 => "in.0",
        Chip::Mcp23017 => "in.a0",
    }
}
