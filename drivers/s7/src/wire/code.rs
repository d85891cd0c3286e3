//! What a PLC says when it refuses, in words, with the next step.

use std::fmt;

/// What became of one item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReturnCode(pub u8);

/// Why a request was refused as a whole: class in the high byte, error in the low one. Never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderError(u16);

/// The item was served.
pub const SERVED: u8 = 0xFF;

/// A module that is not plugged, as well as one that fails: of several addresses only its own are refused.
const NO_MODULE: u8 = 0x01;
const NOT_PERMITTED: u8 = 0x03;
const TYPE_INCONSISTENT: u8 = 0x07;
const NO_SUCH_OBJECT: u8 = 0x0A;

const FUNCTION_NOT_PERMITTED: u16 = 0x8104;

impl ReturnCode {
    /// Whether it is the address that the PLC does not have or does not give.
    pub fn blames_the_address(self) -> bool {
        (NOT_PERMITTED..=TYPE_INCONSISTENT).contains(&self.0) || matches!(self.0, NO_MODULE | NO_SUCH_OBJECT)
    }

    /// Whether the data block does not exist for us: every address of it is refused.
    pub fn blames_the_block(self) -> bool {
        self.0 == NO_SUCH_OBJECT
    }
}

impl HeaderError {
    /// `None` where there is no error.
    pub fn new(error: u16) -> Option<HeaderError> {
        (error != 0).then_some(HeaderError(error))
    }

    /// Class and error.
    pub fn code(self) -> u16 {
        self.0
    }

    /// Whether the PLC does not let us read and write at all.
    pub fn is_not_permitted(self) -> bool {
        self.0 == FUNCTION_NOT_PERMITTED || self.0 >> 8 == 0xD6
    }
}

/// The words for a status of a reading: an item's return code, or a header's class and error.
pub fn explain(status: u32) -> Option<&'static str> {
    Some(match status {
        0x01 => "no module is at that address, or it reports a fault: look at the CPU's diagnostic buffer",
        0x03 => {
            "access is not permitted: permit PUT/GET (TIA Portal: CPU properties, Protection & Security, Connection \
             mechanisms), switch `optimized block access` off in the block's attributes, and look at the CPU's access level"
        }
        0x05 => "the address lies beyond the end of the block or area: check the offset and the length of the block",
        0x06 => "the PLC does not read or write this type there",
        0x07 => "the PLC finds that type and length of the address do not agree",
        0x0A => {
            "the block does not exist, or it is optimised: check its number, switch `optimized block access` off in its \
             attributes (TIA Portal) and load the program anew"
        }
        0x8104 => {
            "PUT/GET is not permitted: enable it under CPU properties, Protection & Security, Connection mechanisms (TIA \
             Portal), and load the hardware configuration"
        }
        0x8500 => "the PLC finds the message too long: give a smaller `pdu` in the URL, such as pdu=240",
        0xD600..=0xD6FF => "the CPU's access level forbids it: lower it, or permit access without a password",
        0x8100..=0x81FF => "the PLC refuses the request: application error",
        0x8200..=0x82FF => "the PLC refuses the request: the object is not as it should be",
        0x8300..=0x83FF => "the PLC is short of resources: give it fewer connections or slower polls",
        0x8400..=0x84FF => "the PLC refuses the request in its present state",
        0x8501..=0x87FF => "the PLC refuses the request: it does not understand or permit it",
        _ => return None,
    })
}

impl fmt::Display for ReturnCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match explain(u32::from(self.0)) {
            Some(words) => f.write_str(words),
            None => write!(f, "return code 0x{:02X}", self.0),
        }
    }
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match explain(u32::from(self.0)) {
            Some(words) => write!(f, "{words} (error 0x{:04X})", self.0),
            None => write!(f, "the PLC refuses the request with error 0x{:04X}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_tell_the_next_step() {
        assert!(HeaderError(0x8104).to_string().contains("PUT/GET is not permitted: enable it under"));
        assert!(ReturnCode(0x0A).to_string().contains("optimised"));
        assert!(ReturnCode(0x03).to_string().contains("PUT/GET"));
        assert_eq!(ReturnCode(0x42).to_string(), "return code 0x42");
        assert_eq!(HeaderError(0x9999).to_string(), "the PLC refuses the request with error 0x9999");
        assert_eq!(HeaderError::new(0), None);
    }

    #[test]
    fn what_the_address_is_to_blame_for_is_told_from_what_it_is_not() {
        for (code, address, block) in
            [(1, true, false), (3, true, false), (5, true, false), (10, true, true), (9, false, false)]
        {
            assert_eq!((ReturnCode(code).blames_the_address(), ReturnCode(code).blames_the_block()), (address, block));
        }
        assert!(HeaderError(0x8104).is_not_permitted() && HeaderError(0xD602).is_not_permitted());
        assert!(!HeaderError(0x8500).is_not_permitted());
    }
}
