//! The areas of a PLC's memory, and why an item of one is refused.

/// An area. Places in it are bytes; a timer or counter takes two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Area {
    /// A data block, by its number.
    Block(u16),
    /// Bit memory, M.
    Flags,
    /// The process image of inputs, I.
    Inputs,
    /// The process image of outputs, Q.
    Outputs,
    /// The periphery itself, past the process images.
    Periphery,
    /// Timers, T.
    Timers,
    /// Counters, C.
    Counters,
}

impl Area {
    /// The area of a code; `block` counts for data blocks alone.
    pub(super) fn from_wire(code: u8, block: u16) -> Option<Self> {
        Some(match code {
            0x80 => Self::Periphery,
            0x81 => Self::Inputs,
            0x82 => Self::Outputs,
            0x83 => Self::Flags,
            0x84 => Self::Block(block),
            0x1C => Self::Counters,
            0x1D => Self::Timers,
            _ => return None,
        })
    }
}

/// Why one item of a request is refused, as its return code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ItemError {
    /// 01: the hardware fails.
    Hardware,
    /// 03: access is not allowed.
    NotAllowed,
    /// 05: there is no such address in the area.
    OutOfRange,
    /// 06: the type is not supported there.
    TypeNotSupported,
    /// 07: type and length do not fit.
    TypeInconsistent,
    /// 0A: there is no such object: a block that is not loaded, or is optimised.
    NoObject,
}

impl ItemError {
    /// The return code.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Hardware => 0x01,
            Self::NotAllowed => 0x03,
            Self::OutOfRange => 0x05,
            Self::TypeNotSupported => 0x06,
            Self::TypeInconsistent => 0x07,
            Self::NoObject => 0x0A,
        }
    }
}
