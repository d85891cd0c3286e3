//! Microchip MCP23017 (DS20001952), registers as after power-on (IOCON.BANK = 0): port A's and B's lie side by side.

use embedded_hal::i2c::I2c;

const DIRECTION: u8 = 0x00;
const PULL_UP: u8 = 0x0C;
const LEVEL: u8 = 0x12;
const LATCH: u8 = 0x14;

/// Which bits are outputs, and which inputs are pulled up; bit 0 is A0, bit 15 is B7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Wiring {
    pub(crate) outputs: u16,
    pub(crate) pull_ups: u16,
}

/// All levels. A chip that lost its directions, because it lost its power, is set up again: its outputs are then low.
pub(crate) fn read<I: I2c>(bus: &mut I, unit: u8, wiring: Wiring) -> Result<u16, I::Error> {
    set_up(bus, unit, wiring)?;
    pair(bus, unit, LEVEL)
}

/// Sets one bit and leaves the others; returns its level as read back.
pub(crate) fn write<I: I2c>(bus: &mut I, unit: u8, wiring: Wiring, (bit, level): (u8, bool)) -> Result<bool, I::Error> {
    set_up(bus, unit, wiring)?;
    let latch = pair(bus, unit, LATCH)?;
    let written = if level { latch | 1 << bit } else { latch & !(1 << bit) };
    set(bus, unit, LATCH, written)?;
    Ok(pair(bus, unit, LEVEL)? & 1 << bit != 0)
}

fn set_up<I: I2c>(bus: &mut I, unit: u8, wiring: Wiring) -> Result<(), I::Error> {
    if pair(bus, unit, DIRECTION)? == !wiring.outputs {
        return Ok(());
    }
    set(bus, unit, PULL_UP, wiring.pull_ups)?;
    set(bus, unit, DIRECTION, !wiring.outputs)
}

fn pair<I: I2c>(bus: &mut I, unit: u8, register: u8) -> Result<u16, I::Error> {
    let mut bytes = [0; 2];
    bus.write_read(unit, &[register], &mut bytes)?;
    Ok(u16::from_le_bytes(bytes))
}

fn set<I: I2c>(bus: &mut I, unit: u8, register: u8, value: u16) -> Result<(), I::Error> {
    let [a, b] = value.to_le_bytes();
    bus.write(unit, &[register, a, b])
}

#[cfg(test)]
mod tests {
    use super::*;
    use embedded_hal_mock::eh1::i2c::{Mock, Transaction};

    const WIRING: Wiring = Wiring { outputs: 1 << 8, pull_ups: 1 };

    #[test]
    fn a_chip_fresh_from_power_is_set_up_and_a_bit_is_written_alone() {
        let mut bus = Mock::new(&[
            Transaction::write_read(0x20, vec![0x00], vec![0xFF, 0xFF]),
            Transaction::write(0x20, vec![0x0C, 0x01, 0x00]),
            Transaction::write(0x20, vec![0x00, 0xFF, 0xFE]),
            Transaction::write_read(0x20, vec![0x12], vec![0x81, 0x00]),
            Transaction::write_read(0x20, vec![0x00], vec![0xFF, 0xFE]),
            Transaction::write_read(0x20, vec![0x14], vec![0x00, 0x40]),
            Transaction::write(0x20, vec![0x14, 0x00, 0x41]),
            Transaction::write_read(0x20, vec![0x12], vec![0x81, 0x01]),
        ]);
        assert_eq!(read(&mut bus, 0x20, WIRING).expect("the bus answers"), 0x0081);
        assert!(write(&mut bus, 0x20, WIRING, (8, true)).expect("the bus answers"));
        bus.done();
    }
}
