//! Requests to chips on a bus, and what is remembered of each chip while the connection lives.

use std::collections::BTreeMap;

use driver_core::{Reason, TagId, Value};
use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::{Error as _, ErrorKind, I2c};
use embedded_hal::spi::SpiDevice;

use crate::address::{Channel, Chip};
use crate::decode::bme280::{Calibration, Raw};
use crate::plan::{ChipRequest, Wanted};
use crate::wire::ina::Model;
use crate::wire::{Fault, Sample, ads1115, bme280, ina, max31865, mcp3008, mcp23017, pcf8574};

/// Why a request had no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The chip does not acknowledge, or the transfer was disturbed.
    Silent,
    /// The kernel's file fails.
    Gone(String),
}

/// A sample for each channel of the request, in its order.
pub(crate) type Answer = Result<Vec<(TagId, Sample)>, Trouble>;

/// An I2C bus with what is known of its chips, by address.
pub(crate) struct I2cBus<I> {
    bus: I,
    memories: BTreeMap<u8, Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    calibration: Option<Calibration>,
    latch: Option<u8>,
}

impl<I: I2c> I2cBus<I> {
    pub(crate) fn new(bus: I) -> I2cBus<I> {
        I2cBus { bus, memories: BTreeMap::new() }
    }

    /// Reads all channels of a request.
    pub(crate) fn read(&mut self, delay: &mut impl DelayNs, request: &ChipRequest) -> Answer {
        let memory = self.memories.entry(request.unit).or_default();
        let read = read(&mut self.bus, delay, request, memory);
        read.map_err(|error| self.trouble(request.unit, &error))
    }

    /// Sets an output and reads it back.
    pub(crate) fn write(&mut self, request: &ChipRequest, bit: u8, level: bool) -> Result<bool, Trouble> {
        let memory = self.memories.entry(request.unit).or_default();
        let written = match request.chip {
            Chip::Pcf8574 => {
                let outputs = low_byte(request.wiring.outputs);
                pcf8574::write(&mut self.bus, request.unit, outputs, &mut memory.latch, (bit, level))
            }
            _ => mcp23017::write(&mut self.bus, request.unit, request.wiring, (bit, level)),
        };
        written.map_err(|error| self.trouble(request.unit, &error))
    }

    /// A chip that was away may be another, or have lost what it was told.
    fn trouble(&mut self, unit: u8, error: &I::Error) -> Trouble {
        self.memories.remove(&unit);
        match error.kind() {
            ErrorKind::Other => Trouble::Gone(format!("{error:?}")),
            _ => Trouble::Silent,
        }
    }
}

fn read<I: I2c>(
    bus: &mut I,
    delay: &mut impl DelayNs,
    request: &ChipRequest,
    memory: &mut Memory,
) -> Result<Vec<(TagId, Sample)>, I::Error> {
    let unit = request.unit;
    match request.chip {
        Chip::Bme280 => {
            let measured = bme280_measured(bus, delay, unit, memory)?;
            Ok(each(request, |wanted| match &measured {
                Ok((calibration, raw)) => bme280::sample(calibration, raw, wanted.channel),
                Err(fault) => Err(*fault),
            }))
        }
        Chip::Pcf8574 => {
            let levels = pcf8574::read(bus, unit, low_byte(request.wiring.outputs), &mut memory.latch)?;
            Ok(each(request, |wanted| Ok(level(u16::from(levels), wanted.channel))))
        }
        Chip::Mcp23017 => {
            let levels = mcp23017::read(bus, unit, request.wiring)?;
            Ok(each(request, |wanted| Ok(level(levels, wanted.channel))))
        }
        _ => {
            let wanted = request.wanted.iter();
            wanted.map(|wanted| Ok((wanted.tag, converted(bus, delay, request, wanted)?))).collect()
        }
    }
}

/// The chips that are asked for one channel at a time.
fn converted<I: I2c>(
    bus: &mut I,
    delay: &mut impl DelayNs,
    request: &ChipRequest,
    wanted: &Wanted,
) -> Result<Sample, I::Error> {
    let settings = &wanted.settings;
    match (request.chip, wanted.channel) {
        (Chip::Ads1115, Channel::Voltage(input)) => {
            ads1115::read(bus, delay, request.unit, input, (settings.range, settings.full_scale()))
        }
        (Chip::Ina219, channel) => ina::read(bus, request.unit, Model::Ina219, channel, settings.shunt),
        (_, channel) => ina::read(bus, request.unit, Model::Ina226, channel, settings.shunt),
    }
}

type Measured = Result<(Calibration, Raw), Fault>;

fn bme280_measured<I: I2c>(
    bus: &mut I,
    delay: &mut impl DelayNs,
    unit: u8,
    memory: &mut Memory,
) -> Result<Measured, I::Error> {
    if memory.calibration.is_none() {
        memory.calibration = bme280::calibration(bus, unit)?;
    }
    let Some(calibration) = memory.calibration.clone() else {
        return Ok(Err(Fault::of(Reason::ProtocolError)));
    };
    let raw = bme280::measure(bus, delay, unit)?;
    Ok(raw.map(|raw| (calibration, raw)).ok_or(Fault::of(Reason::DeviceFailure)))
}

/// The chip behind one chip select.
pub(crate) struct SpiBus<S> {
    device: S,
}

impl<S: SpiDevice> SpiBus<S> {
    pub(crate) fn new(device: S) -> SpiBus<S> {
        SpiBus { device }
    }

    /// Reads all channels of a request.
    pub(crate) fn read(&mut self, delay: &mut impl DelayNs, request: &ChipRequest) -> Answer {
        let wanted = request.wanted.iter();
        let samples: Result<Vec<_>, S::Error> = wanted
            .map(|wanted| {
                let sample = match wanted.channel {
                    Channel::Voltage(input) => mcp3008::read(&mut self.device, input, wanted.settings.vref),
                    channel => max31865::read(&mut self.device, delay, channel, &wanted.settings),
                };
                Ok((wanted.tag, sample?))
            })
            .collect();
        samples.map_err(|error| Trouble::Gone(format!("{error:?}")))
    }
}

fn each(request: &ChipRequest, sample: impl Fn(&Wanted) -> Sample) -> Vec<(TagId, Sample)> {
    request.wanted.iter().map(|wanted| (wanted.tag, sample(wanted))).collect()
}

fn level(levels: u16, channel: Channel) -> Value {
    let (Channel::Input(bit) | Channel::Output(bit)) = channel else { return Value::None };
    Value::Bool(levels & 1 << bit != 0)
}

fn low_byte(bits: u16) -> u8 {
    bits.to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Settings;
    use crate::wire::mcp23017::Wiring;
    use embedded_hal::i2c::NoAcknowledgeSource;
    use embedded_hal_mock::eh1::delay::NoopDelay;
    use embedded_hal_mock::eh1::i2c::{Mock, Transaction};

    fn request(chip: Chip, unit: u8, channels: &[Channel], outputs: u16) -> ChipRequest {
        let wanted = (0..).zip(channels);
        let wanted =
            wanted.map(|(id, channel)| Wanted { tag: TagId(id), channel: *channel, settings: Settings::default() });
        ChipRequest { chip, unit, wiring: Wiring { outputs, pull_ups: 0 }, wanted: wanted.collect() }
    }

    #[test]
    fn bits_of_one_chip_are_read_together() {
        let mut bus = I2cBus::new(Mock::new(&[
            Transaction::read(0x20, vec![0x81]),
            Transaction::write(0x20, vec![0xFF]),
            Transaction::read(0x20, vec![0x81]),
        ]));
        let request = request(Chip::Pcf8574, 0x20, &[Channel::Input(0), Channel::Input(1), Channel::Output(7)], 0x80);
        let expected = [(0, true), (1, false), (7, true)];
        let samples = bus.read(&mut NoopDelay, &request).expect("an answer");
        let levels: Vec<Sample> = samples.into_iter().map(|(_, sample)| sample).collect();
        assert_eq!(levels, expected.map(|(_, level)| Ok(Value::Bool(level))));
        bus.bus.done();
    }

    #[test]
    fn a_chip_that_does_not_acknowledge_is_silent_and_forgotten() {
        let nobody = ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address);
        let mut bus = I2cBus::new(Mock::new(&[
            Transaction::read(0x20, vec![0xFF]),
            Transaction::write(0x20, vec![0xFF]),
            Transaction::read(0x20, vec![0xFF]),
            Transaction::read(0x20, vec![0xFF]).with_error(nobody),
            Transaction::read(0x20, vec![0xFF]),
            Transaction::write(0x20, vec![0xFF]),
            Transaction::read(0x20, vec![0xFF]).with_error(ErrorKind::Other),
        ]));
        let request = request(Chip::Pcf8574, 0x20, &[Channel::Input(0)], 0);
        assert!(bus.read(&mut NoopDelay, &request).is_ok());
        assert_eq!(bus.read(&mut NoopDelay, &request), Err(Trouble::Silent));
        assert!(matches!(bus.read(&mut NoopDelay, &request), Err(Trouble::Gone(_))));
        bus.bus.done();
    }

    #[test]
    fn another_chip_where_a_bme280_is_expected_gives_no_value() {
        let mut bus = I2cBus::new(Mock::new(&[Transaction::write_read(0x76, vec![0xD0], vec![0x58])]));
        let request = request(Chip::Bme280, 0x76, &[Channel::Temperature, Channel::Humidity], 0);
        let fault = Err(Fault::of(Reason::ProtocolError));
        let expected = vec![(TagId(0), fault.clone()), (TagId(1), fault)];
        assert_eq!(bus.read(&mut NoopDelay, &request), Ok(expected));
        bus.bus.done();
    }
}
