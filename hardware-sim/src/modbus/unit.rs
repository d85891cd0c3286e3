//! One device: its memory, what it refuses, and how slow it is.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use tokio_modbus::ExceptionCode;

use super::Table;
use super::memory::Cells;
use crate::point::Points;

/// What a simulated device can do.
#[derive(Debug, Clone)]
pub struct UnitConfig {
    /// The most registers in one read; more gets exception 03.
    pub read_registers_max: u16,
    /// The most registers in one write; more gets exception 03.
    pub write_registers_max: u16,
    /// The most bits in one read or write; more gets exception 03.
    pub bits_max: u16,
    /// How long it thinks about a request, rounded up to milliseconds. The requests of one connection wait for each
    /// other.
    pub latency: Duration,
    /// How much longer for each register or bit.
    pub latency_per_register: Duration,
    /// Function codes that it does not know, answered with exception 01.
    pub functions_refused: BTreeSet<u8>,
    /// What function 43/14 says, as object ids and texts of at most 200 bytes; with none it gets exception 01.
    pub identification: Vec<(u8, String)>,
}

impl Default for UnitConfig {
    /// All that the specification allows, at once.
    fn default() -> Self {
        let identification = [(0, "Forebay"), (1, "hardware-sim"), (2, env!("CARGO_PKG_VERSION"))];
        Self {
            read_registers_max: 125,
            write_registers_max: 123,
            bits_max: 2000,
            latency: Duration::ZERO,
            latency_per_register: Duration::ZERO,
            functions_refused: BTreeSet::new(),
            identification: identification.map(|(id, text)| (id, text.to_owned())).to_vec(),
        }
    }
}

/// A device's state.
#[derive(Debug, Default)]
pub(super) struct Unit {
    pub(super) config: UnitConfig,
    pub(super) points: Points<Table, u16>,
    coils: Cells,
    discrete_inputs: Cells,
    input_registers: Cells,
    holding_registers: Cells,
    refusals: Vec<Refusal>,
    holes: Vec<Holes>,
}

/// A range that is answered with an exception.
#[derive(Debug)]
struct Refusal {
    table: Table,
    range: RangeInclusive<u16>,
    exception: ExceptionCode,
}

/// A table of which only some ranges exist.
#[derive(Debug)]
struct Holes {
    table: Table,
    legal: Vec<RangeInclusive<u16>>,
}

impl Unit {
    pub(super) fn cells(&self, table: Table) -> &Cells {
        match table {
            Table::Coils => &self.coils,
            Table::DiscreteInputs => &self.discrete_inputs,
            Table::InputRegisters => &self.input_registers,
            Table::HoldingRegisters => &self.holding_registers,
        }
    }

    pub(super) fn cells_mut(&mut self, table: Table) -> &mut Cells {
        match table {
            Table::Coils => &mut self.coils,
            Table::DiscreteInputs => &mut self.discrete_inputs,
            Table::InputRegisters => &mut self.input_registers,
            Table::HoldingRegisters => &mut self.holding_registers,
        }
    }

    pub(super) fn refuse(&mut self, table: Table, range: RangeInclusive<u16>, exception: ExceptionCode) {
        self.refusals.push(Refusal { table, range, exception });
    }

    pub(super) fn allow_only(&mut self, table: Table, legal: Vec<RangeInclusive<u16>>) {
        self.holes.retain(|holes| holes.table != table);
        self.holes.push(Holes { table, legal });
    }

    pub(super) fn allow_all(&mut self) {
        self.refusals.clear();
        self.holes.clear();
    }

    /// Whether `count` cells can be had; a request for none or for more than `max` gets exception 03.
    pub(super) fn check(&self, table: Table, offset: u16, count: usize, max: u16) -> Result<(), ExceptionCode> {
        if count == 0 || count > usize::from(max) {
            return Err(ExceptionCode::IllegalDataValue);
        }
        let last = u16::try_from(usize::from(offset) + count - 1).map_err(|_| ExceptionCode::IllegalDataAddress)?;
        let refusals = self.refusals.iter().filter(|refusal| refusal.table == table);
        for refusal in refusals {
            if *refusal.range.start() <= last && offset <= *refusal.range.end() {
                return Err(refusal.exception);
            }
        }
        let exists = |cell: u16| {
            self.holes.iter().all(|holes| holes.table != table || holes.legal.iter().any(|range| range.contains(&cell)))
        };
        if (offset..=last).all(exists) { Ok(()) } else { Err(ExceptionCode::IllegalDataAddress) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: Table = Table::InputRegisters;

    #[test]
    fn limits_come_before_addresses() {
        let unit = Unit::default();
        assert_eq!(unit.check(TABLE, 0, 125, 125), Ok(()));
        assert_eq!(unit.check(TABLE, 0, 126, 125), Err(ExceptionCode::IllegalDataValue));
        assert_eq!(unit.check(TABLE, 0, 0, 125), Err(ExceptionCode::IllegalDataValue));
        assert_eq!(unit.check(TABLE, 65_535, 1, 125), Ok(()));
        assert_eq!(unit.check(TABLE, 65_535, 2, 125), Err(ExceptionCode::IllegalDataAddress));
    }

    #[test]
    fn a_refused_cell_refuses_every_request_over_it() {
        let mut unit = Unit::default();
        unit.refuse(TABLE, 10..=11, ExceptionCode::ServerDeviceFailure);
        for (offset, count, expected) in [
            (0, 10, Ok(())),
            (0, 11, Err(ExceptionCode::ServerDeviceFailure)),
            (11, 1, Err(ExceptionCode::ServerDeviceFailure)),
            (12, 5, Ok(())),
        ] {
            assert_eq!(unit.check(TABLE, offset, count, 125), expected, "{offset}+{count}");
        }
        assert_eq!(unit.check(Table::Coils, 10, 1, 125), Ok(()));
        unit.allow_all();
        assert_eq!(unit.check(TABLE, 10, 1, 125), Ok(()));
    }

    #[test]
    fn holes_refuse_what_reaches_into_them() {
        let mut unit = Unit::default();
        unit.allow_only(TABLE, vec![0..=9, 20..=29]);
        assert_eq!(unit.check(TABLE, 0, 10, 125), Ok(()));
        assert_eq!(unit.check(TABLE, 0, 11, 125), Err(ExceptionCode::IllegalDataAddress));
        assert_eq!(unit.check(TABLE, 5, 20, 125), Err(ExceptionCode::IllegalDataAddress));
        assert_eq!(unit.check(TABLE, 20, 10, 125), Ok(()));
    }
}
