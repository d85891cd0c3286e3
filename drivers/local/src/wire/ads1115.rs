//! Texas Instruments ADS1115 (data sheet SBAS444): single conversions.

use driver_core::{Reason, Value};
use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::I2c;

use super::{Fault, Sample, register};

const CONVERSION: u8 = 0;
const CONFIG: u8 = 1;
/// Start, which reads back as 1 when no conversion runs.
const START: u16 = 1 << 15;
const SINGLE: u16 = 1 << 8;
/// 128 conversions a second: 7.8 ms, within 10 %.
const RATE: u16 = 0b100 << 5;
const NO_COMPARATOR: u16 = 0b11;
const STEP_US: u32 = 1_000;
const STEPS_MAX: u32 = 20;

/// The voltage of an input, by the multiplexer's and the amplifier's codes.
pub(crate) fn read<I: I2c>(
    bus: &mut I,
    delay: &mut impl DelayNs,
    unit: u8,
    input: u8,
    (range, full_scale): (u8, f64),
) -> Result<Sample, I::Error> {
    let config = START | u16::from(input) << 12 | u16::from(range) << 9 | SINGLE | RATE | NO_COMPARATOR;
    let [high, low] = config.to_be_bytes();
    bus.write(unit, &[CONFIG, high, low])?;
    for _ in 0..STEPS_MAX {
        delay.delay_us(STEP_US);
        if register(bus, unit, CONFIG)? & START != 0 {
            let raw = register(bus, unit, CONVERSION)?.cast_signed();
            return Ok(volts(raw, full_scale));
        }
    }
    Ok(Err(Fault::of(Reason::DeviceFailure)))
}

/// At either end of the scale the true voltage lies beyond it.
fn volts(raw: i16, full_scale: f64) -> Sample {
    if matches!(raw, i16::MIN | i16::MAX) {
        return Err(Fault::of(Reason::OutOfRange));
    }
    Ok(Value::LReal(f64::from(raw) * full_scale / 32_768.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use embedded_hal_mock::eh1::delay::NoopDelay;
    use embedded_hal_mock::eh1::i2c::{Mock, Transaction};

    /// As the data sheet's quick start: address 48h, Config written, the Conversion register read. There the input is AIN0
    /// against AIN1 within ±2.048 V, which is codes 000 and 010: 8583h, in single conversions.
    #[test]
    fn a_conversion_is_started_awaited_and_read() {
        let mut bus = Mock::new(&[
            Transaction::write(0x48, vec![1, 0x85, 0x83]),
            Transaction::write_read(0x48, vec![1], vec![0x05, 0x83]),
            Transaction::write_read(0x48, vec![1], vec![0x85, 0x83]),
            Transaction::write_read(0x48, vec![0], vec![0x40, 0x00]),
        ]);
        let sample = read(&mut bus, &mut NoopDelay, 0x48, 0, (2, 2.048)).expect("the bus answers");
        assert_eq!(sample, Ok(Value::LReal(1.024)));
        bus.done();
    }

    /// Table "Input Signal Versus Ideal Output Code".
    #[test]
    fn codes_are_parts_of_the_full_scale() {
        assert_eq!(volts(1, 4.096), Ok(Value::LReal(0.000_125)));
        assert_eq!(volts(0, 4.096), Ok(Value::LReal(0.0)));
        assert_eq!(volts(-1, 4.096), Ok(Value::LReal(-0.000_125)));
        assert_eq!(volts(i16::MAX, 4.096), Err(Fault::of(Reason::OutOfRange)));
        assert_eq!(volts(i16::MIN, 4.096), Err(Fault::of(Reason::OutOfRange)));
    }

    #[test]
    fn a_chip_that_never_becomes_ready_has_failed() {
        let mut expected = vec![Transaction::write(0x48, vec![1, 0xC3, 0x83])];
        expected.extend((0..STEPS_MAX).map(|_| Transaction::write_read(0x48, vec![1], vec![0x43, 0x83])));
        let mut bus = Mock::new(&expected);
        let sample = read(&mut bus, &mut NoopDelay, 0x48, 4, (1, 4.096)).expect("the bus answers");
        assert_eq!(sample, Err(Fault::of(Reason::DeviceFailure)));
        bus.done();
    }
}
