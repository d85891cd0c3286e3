//! Where values lie in a PLC.

use std::fmt;

/// A memory area; a data block is one of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Area {
    /// A data block by its number; S7-200 and LOGO! hold their variable memory (V) in block 1.
    Block(u16),
    /// Flags, also called markers and bit memory (M).
    Flags,
    /// The process image of the inputs (I; E in German).
    Inputs,
    /// The process image of the outputs (Q; A in German).
    Outputs,
    /// Timers (T), two bytes each.
    Timers,
    /// Counters (C; Z in German), two bytes each.
    Counters,
    /// The inputs themselves, past the process image (PI).
    PeripheralInputs,
    /// The outputs themselves, past the process image (PQ).
    PeripheralOutputs,
}

impl Area {
    /// The wire's code.
    pub fn code(self) -> u8 {
        match self {
            Area::Block(_) => 0x84,
            Area::Flags => 0x83,
            Area::Inputs => 0x81,
            Area::Outputs => 0x82,
            Area::Timers => 0x1D,
            Area::Counters => 0x1C,
            Area::PeripheralInputs | Area::PeripheralOutputs => 0x80,
        }
    }

    /// The number of the data block; 0 for the other areas.
    pub fn block(self) -> u16 {
        if let Area::Block(number) = self { number } else { 0 }
    }

    /// Whether it is counted in elements of two bytes, not in bytes.
    pub fn is_elements(self) -> bool {
        matches!(self, Area::Timers | Area::Counters)
    }
}

impl fmt::Display for Area {
    /// The mnemonic in English, such as `DB7`, `M` or `PI`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Area::Block(number) => write!(f, "DB{number}"),
            Area::Flags => f.write_str("M"),
            Area::Inputs => f.write_str("I"),
            Area::Outputs => f.write_str("Q"),
            Area::Timers => f.write_str("T"),
            Area::Counters => f.write_str("C"),
            Area::PeripheralInputs => f.write_str("PI"),
            Area::PeripheralOutputs => f.write_str("PQ"),
        }
    }
}
