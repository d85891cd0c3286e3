//! Microchip MCP3008 (DS21295): a conversion in three bytes, as figure 6-1 aligns it.

use driver_core::{Reason, Value};
use embedded_hal::spi::SpiDevice;

use super::{Fault, Sample};

const START: u8 = 1;
/// The chip pulls the line low before its first bit; nobody there leaves it high.
const NULL_BIT: u8 = 1 << 2;

/// The voltage of an input, by the bits SGL/DIFF, D2, D1, D0.
pub(crate) fn read<S: SpiDevice>(spi: &mut S, input: u8, vref: f64) -> Result<Sample, S::Error> {
    let mut bytes = [START, input << 4, 0];
    spi.transfer_in_place(&mut bytes)?;
    if bytes[1] & NULL_BIT != 0 {
        return Ok(Err(Fault::of(Reason::ProtocolError)));
    }
    let code = u16::from_be_bytes([bytes[1] & 0b11, bytes[2]]);
    Ok(Ok(Value::LReal(f64::from(code) * vref / 1024.0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use embedded_hal_mock::eh1::spi::{Mock, Transaction};

    #[test]
    fn a_conversion_takes_three_bytes() {
        let mut spi = Mock::new(&[
            Transaction::transaction_start(),
            Transaction::transfer_in_place(vec![0x01, 0xD0, 0x00], vec![0xFF, 0xFA, 0x00]),
            Transaction::transaction_end(),
        ]);
        assert_eq!(read(&mut spi, 0b1101, 5.0).expect("the bus answers"), Ok(Value::LReal(2.5)));
        spi.done();
    }

    #[test]
    fn a_line_that_nobody_drives_is_no_voltage() {
        let mut spi = Mock::new(&[
            Transaction::transaction_start(),
            Transaction::transfer_in_place(vec![0x01, 0x80, 0x00], vec![0xFF, 0xFF, 0xFF]),
            Transaction::transaction_end(),
        ]);
        let fault = Fault::of(Reason::ProtocolError);
        assert_eq!(read(&mut spi, 0b1000, 5.0).expect("the bus answers"), Err(fault));
        spi.done();
    }
}
