//! Texas Instruments INA219 (SBOS448) and INA226 (SBOS547), which measure all the time. Current and power are reckoned
//! here from shunt and voltage, so that no calibration register has to be written, and none is lost when the chip restarts.

use driver_core::{Reason, Value};
use embedded_hal::i2c::I2c;

use super::{Fault, Sample, register};
use crate::address::Channel;

const SHUNT: u8 = 1;
const BUS: u8 = 2;
/// INA219: the bus voltage stands above three bits, of which the lowest says that the chip's reckoning overflowed.
const BUS_SHIFT: u32 = 3;

/// Which of the two it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Model {
    Ina219,
    Ina226,
}

impl Model {
    /// Volts of a step of the shunt register.
    fn shunt(self, raw: u16) -> f64 {
        let steps = f64::from(raw.cast_signed());
        match self {
            Model::Ina219 => steps / 100_000.0,
            Model::Ina226 => steps / 400_000.0,
        }
    }

    fn bus(self, raw: u16) -> f64 {
        match self {
            Model::Ina219 => f64::from(raw >> BUS_SHIFT) / 250.0,
            Model::Ina226 => f64::from(raw) / 800.0,
        }
    }
}

/// A quantity; `ohms` is the shunt's resistance.
pub(crate) fn read<I: I2c>(
    bus: &mut I,
    unit: u8,
    model: Model,
    channel: Channel,
    ohms: Option<f64>,
) -> Result<Sample, I::Error> {
    let ohms = ohms.unwrap_or(f64::NAN);
    let value = match channel {
        Channel::BusVoltage => model.bus(register(bus, unit, BUS)?),
        Channel::ShuntVoltage => model.shunt(register(bus, unit, SHUNT)?),
        Channel::Current => model.shunt(register(bus, unit, SHUNT)?) / ohms,
        _ => {
            let current = model.shunt(register(bus, unit, SHUNT)?) / ohms;
            current * model.bus(register(bus, unit, BUS)?)
        }
    };
    Ok(if value.is_finite() { Ok(Value::LReal(value)) } else { Err(Fault::of(Reason::OutOfRange)) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use embedded_hal_mock::eh1::i2c::{Mock, Transaction};

    fn value(model: Model, channel: Channel, answers: &[(u8, u16)]) -> f64 {
        let expected: Vec<Transaction> = answers
            .iter()
            .map(|(register, raw)| Transaction::write_read(0x40, vec![*register], raw.to_be_bytes().to_vec()))
            .collect();
        let mut bus = Mock::new(&expected);
        let sample = read(&mut bus, 0x40, model, channel, Some(0.002)).expect("the bus answers");
        bus.done();
        sample.ok().and_then(|value| value.as_f64()).expect("a value")
    }

    /// The data sheet's example: 10 A through 2 mΩ at 11.98 V; registers 07D0h and 5D98h.
    #[test]
    fn the_ina219_of_the_data_sheet() {
        assert_eq!(value(Model::Ina219, Channel::ShuntVoltage, &[(1, 0x07D0)]), 0.02);
        assert_eq!(value(Model::Ina219, Channel::BusVoltage, &[(2, 0x5D98)]), 11.98 - 11.98 % 0.004);
        assert!((value(Model::Ina219, Channel::Current, &[(1, 0x07D0)]) - 10.0).abs() < 1e-9);
        let power = value(Model::Ina219, Channel::Power, &[(1, 0x07D0), (2, 0x5D98)]);
        assert!((power - 119.8).abs() < 0.1, "{power}");
        assert_eq!(value(Model::Ina219, Channel::ShuntVoltage, &[(1, 0xF830)]), -0.02);
    }

    /// The data sheet's example: 10 A through 2 mΩ at 11.98 V; registers 1F40h and 2570h.
    #[test]
    fn the_ina226_of_the_data_sheet() {
        assert_eq!(value(Model::Ina226, Channel::ShuntVoltage, &[(1, 0x1F40)]), 0.02);
        assert_eq!(value(Model::Ina226, Channel::BusVoltage, &[(2, 0x2570)]), 11.98);
        let power = value(Model::Ina226, Channel::Power, &[(1, 0x1F40), (2, 0x2570)]);
        assert!((power - 119.8).abs() < 1e-6, "{power}");
    }
}
