//! Bosch BME280 (BST-BME280-DS002): one forced measurement a poll, each quantity sampled once.

use driver_core::{Reason, Value};
use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::I2c;

use super::{Fault, Sample};
use crate::address::Channel;
use crate::decode::bme280::{Calibration, Raw};

const ID: u8 = 0xD0;
const ID_BME280: u8 = 0x60;
const CALIBRATION_LOW: u8 = 0x88;
const CALIBRATION_HIGH: u8 = 0xE1;
const CONTROL_HUMIDITY: u8 = 0xF2;
const STATUS: u8 = 0xF3;
const CONTROL: u8 = 0xF4;
const DATA: u8 = 0xF7;
const ONCE: u8 = 1;
/// Temperature once, pressure once, forced mode.
const FORCED: u8 = 1 << 5 | 1 << 2 | 1;
const MEASURING: u8 = 1 << 3;
const STEP_US: u32 = 2_000;
/// 9.3 ms at the longest (9.1).
const STEPS_MAX: u32 = 10;

/// The chip's own constants; `None` when another chip answers under this address.
pub(crate) fn calibration<I: I2c>(bus: &mut I, unit: u8) -> Result<Option<Calibration>, I::Error> {
    let mut id = [0];
    bus.write_read(unit, &[ID], &mut id)?;
    if id != [ID_BME280] {
        return Ok(None);
    }
    let (mut low, mut high) = ([0; 26], [0; 7]);
    bus.write_read(unit, &[CALIBRATION_LOW], &mut low)?;
    bus.write_read(unit, &[CALIBRATION_HIGH], &mut high)?;
    Ok(Some(Calibration::new(&low, &high)))
}

/// Measures all three; `None` when the chip does not become ready.
pub(crate) fn measure<I: I2c>(bus: &mut I, delay: &mut impl DelayNs, unit: u8) -> Result<Option<Raw>, I::Error> {
    bus.write(unit, &[CONTROL_HUMIDITY, ONCE])?;
    bus.write(unit, &[CONTROL, FORCED])?;
    for _ in 0..STEPS_MAX {
        delay.delay_us(STEP_US);
        let mut status = [0];
        bus.write_read(unit, &[STATUS], &mut status)?;
        if status[0] & MEASURING == 0 {
            let mut data = [0; 8];
            bus.write_read(unit, &[DATA], &mut data)?;
            return Ok(Some(Raw::new(data)));
        }
    }
    Ok(None)
}

/// A channel of a measurement.
pub(crate) fn sample(calibration: &Calibration, raw: &Raw, channel: Channel) -> Sample {
    let value = match channel {
        Channel::Pressure => calibration.pressure(raw),
        Channel::Humidity => calibration.humidity(raw),
        _ => calibration.temperature(raw),
    };
    value.map(Value::LReal).ok_or(Fault::of(Reason::SensorFailure))
}

#[cfg(test)]
mod tests {
    use super::*;
    use embedded_hal_mock::eh1::delay::NoopDelay;
    use embedded_hal_mock::eh1::i2c::{Mock, Transaction};

    #[test]
    fn a_measurement_is_forced_awaited_and_read() {
        let mut bus = Mock::new(&[
            Transaction::write(0x76, vec![0xF2, 0x01]),
            Transaction::write(0x76, vec![0xF4, 0x25]),
            Transaction::write_read(0x76, vec![0xF3], vec![0x08]),
            Transaction::write_read(0x76, vec![0xF3], vec![0x00]),
            Transaction::write_read(0x76, vec![0xF7], vec![0x65, 0x5A, 0xC0, 0x7E, 0xED, 0x00, 0x6A, 0x2B]),
        ]);
        let raw = measure(&mut bus, &mut NoopDelay, 0x76).expect("the bus answers").expect("ready");
        assert_eq!((raw.pressure, raw.temperature, raw.humidity), (415_148, 519_888, 27_179));
        bus.done();
    }

    #[test]
    fn another_chip_under_the_address_is_noticed() {
        let mut bus = Mock::new(&[Transaction::write_read(0x76, vec![0xD0], vec![0x58])]);
        assert_eq!(calibration(&mut bus, 0x76).expect("the bus answers"), None);
        bus.done();
    }
}
