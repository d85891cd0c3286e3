//! Analog Devices MAX31865: one conversion a poll, the current through the thermometer off in between.

use driver_core::{Reason, Value};
use embedded_hal::delay::DelayNs;
use embedded_hal::spi::SpiDevice;

use super::{Fault, Sample};
use crate::address::{Channel, Settings};
use crate::decode::rtd;

const CONFIG_WRITE: u8 = 0x80;
const RESISTANCE: u8 = 0x01;
const FAULTS: u8 = 0x07;
const BIAS: u8 = 1 << 7;
const ONE_SHOT: u8 = 1 << 5;
const THREE_WIRES: u8 = 1 << 4;
const CLEAR_FAULTS: u8 = 1 << 1;
const FILTER_50_HZ: u8 = 1;
/// The input's filter settles within five time constants and a millisecond.
const SETTLE_US: u32 = 11_000;
/// 62.5 ms with the 50 Hz filter, at most 66 ms.
const CONVERT_US: u32 = 66_000;

/// Resistance or temperature.
pub(crate) fn read<S: SpiDevice>(
    spi: &mut S,
    delay: &mut impl DelayNs,
    channel: Channel,
    settings: &Settings,
) -> Result<Sample, S::Error> {
    let wiring =
        if settings.wires == 3 { THREE_WIRES } else { 0 } | if settings.mains == 50 { FILTER_50_HZ } else { 0 };
    spi.write(&[CONFIG_WRITE, BIAS | CLEAR_FAULTS | wiring])?;
    delay.delay_us(SETTLE_US);
    spi.write(&[CONFIG_WRITE, BIAS | ONE_SHOT | wiring])?;
    delay.delay_us(CONVERT_US);
    let raw = u16::from_be_bytes(registers(spi, RESISTANCE)?);
    let fault = if raw & 1 == 0 { 0 } else { registers::<S, 1>(spi, FAULTS)?[0] };
    spi.write(&[CONFIG_WRITE, wiring])?;
    if raw & 1 != 0 {
        return Ok(Err(Fault { reason: Reason::SensorFailure, status: u32::from(fault) }));
    }
    let ohms = f64::from(raw >> 1) * settings.reference / 32_768.0;
    if channel == Channel::Resistance {
        return Ok(Ok(Value::LReal(ohms)));
    }
    Ok(rtd::celsius(ohms, settings.rtd).map(Value::LReal).ok_or(Fault::of(Reason::OutOfRange)))
}

fn registers<S: SpiDevice, const N: usize>(spi: &mut S, first: u8) -> Result<[u8; N], S::Error> {
    let mut bytes = [0; 3];
    bytes[0] = first;
    let used = bytes.get_mut(..=N).unwrap_or_default();
    spi.transfer_in_place(used)?;
    let mut answer = [0; N];
    answer.copy_from_slice(&bytes[1..=N]);
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use embedded_hal_mock::eh1::delay::NoopDelay;
    use embedded_hal_mock::eh1::spi::{Mock, Transaction};

    fn exchange(out: Vec<u8>, back: Option<Vec<u8>>) -> Vec<Transaction<u8>> {
        let middle = match back {
            Some(back) => Transaction::transfer_in_place(out, back),
            None => Transaction::write_vec(out),
        };
        vec![Transaction::transaction_start(), middle, Transaction::transaction_end()]
    }

    fn run(raw: [u8; 2], fault: Option<u8>, channel: Channel) -> Sample {
        let settings = Settings { reference: 400.0, ..Settings::default() };
        let mut expected = exchange(vec![0x80, 0x83], None);
        expected.extend(exchange(vec![0x80, 0xA1], None));
        expected.extend(exchange(vec![0x01, 0, 0], Some(vec![0, raw[0], raw[1]])));
        if let Some(fault) = fault {
            expected.extend(exchange(vec![0x07, 0], Some(vec![0, fault])));
        }
        expected.extend(exchange(vec![0x80, 0x01], None));
        let mut spi = Mock::new(&expected);
        let sample = read(&mut spi, &mut NoopDelay, channel, &settings).expect("the bus answers");
        spi.done();
        sample
    }

    /// The data sheet's table for a Pt100 and a reference of 400 Ω: 4000h is 100 Ω, 0 °C.
    #[test]
    fn a_resistance_is_a_part_of_the_reference() {
        assert_eq!(run([0x40, 0x00], None, Channel::Resistance), Ok(Value::LReal(100.0)));
        assert_eq!(run([0x40, 0x00], None, Channel::Temperature), Ok(Value::LReal(0.0)));
    }

    #[test]
    fn a_broken_wire_is_a_failure_of_the_sensor_with_the_chips_own_word_for_it() {
        let fault = Fault { reason: Reason::SensorFailure, status: 0x80 };
        assert_eq!(run([0xFF, 0xFF], Some(0x80), Channel::Temperature), Err(fault));
    }
}
