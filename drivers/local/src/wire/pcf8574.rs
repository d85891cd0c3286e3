//! NXP PCF8574: eight quasi-bidirectional bits. A bit that is written 1 can be read as an input; the chip has no register
//! that tells what was written, so that is kept here.

use embedded_hal::i2c::I2c;

/// All levels; bits that are no outputs are let go first, when this is the first contact.
pub(crate) fn read<I: I2c>(bus: &mut I, unit: u8, outputs: u8, latch: &mut Option<u8>) -> Result<u8, I::Error> {
    let mut levels = [0];
    bus.read(unit, &mut levels)?;
    if latch.is_none() {
        let written = levels[0] & outputs | !outputs;
        bus.write(unit, &[written])?;
        *latch = Some(written);
        bus.read(unit, &mut levels)?;
    }
    Ok(levels[0])
}

/// Sets one bit and leaves the others; returns its level as read back.
pub(crate) fn write<I: I2c>(
    bus: &mut I,
    unit: u8,
    outputs: u8,
    latch: &mut Option<u8>,
    (bit, level): (u8, bool),
) -> Result<bool, I::Error> {
    let known = match *latch {
        Some(known) => known,
        None => read(bus, unit, outputs, latch)? & outputs | !outputs,
    };
    let written = if level { known | 1 << bit } else { known & !(1 << bit) };
    bus.write(unit, &[written])?;
    *latch = Some(written);
    Ok(read(bus, unit, outputs, latch)? & 1 << bit != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use embedded_hal_mock::eh1::i2c::{Mock, Transaction};

    #[test]
    fn outputs_keep_their_level_and_inputs_are_let_go() {
        let mut bus = Mock::new(&[
            Transaction::read(0x20, vec![0b0000_0110]),
            Transaction::write(0x20, vec![0b1111_1110]),
            Transaction::read(0x20, vec![0b0000_1010]),
            Transaction::write(0x20, vec![0b1111_1111]),
            Transaction::read(0x20, vec![0b0000_1011]),
        ]);
        let mut latch = None;
        assert_eq!(read(&mut bus, 0x20, 0b0000_0011, &mut latch).expect("the bus answers"), 0b1010);
        assert_eq!(latch, Some(0b1111_1110));
        assert!(write(&mut bus, 0x20, 0b0000_0011, &mut latch, (0, true)).expect("the bus answers"));
        bus.done();
    }
}
