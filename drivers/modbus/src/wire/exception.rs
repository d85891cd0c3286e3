//! Exception codes (Application Protocol, clause 7): what a device says when it refuses.

use std::fmt;

/// Why a device refused a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exception {
    /// 01: the device does not know the function.
    IllegalFunction,
    /// 02: the device has no such address.
    IllegalDataAddress,
    /// 03: the device does not accept the value or the number of items.
    IllegalDataValue,
    /// 04: the device failed while it did what was asked.
    ServerDeviceFailure,
    /// 05: accepted, but it takes long.
    Acknowledge,
    /// 06: busy with a long command.
    ServerDeviceBusy,
    /// 07: cannot do the programming function (older editions of the protocol).
    NegativeAcknowledge,
    /// 08: the extended memory failed its parity check.
    MemoryParityError,
    /// 0A: the gateway has no path to the unit.
    GatewayPathUnavailable,
    /// 0B: the unit behind the gateway did not answer.
    GatewayTargetFailedToRespond,
    /// A code that the specification does not define.
    Other(u8),
}

impl Exception {
    /// The exception of a code.
    pub fn from_code(code: u8) -> Self {
        match code {
            0x01 => Self::IllegalFunction,
            0x02 => Self::IllegalDataAddress,
            0x03 => Self::IllegalDataValue,
            0x04 => Self::ServerDeviceFailure,
            0x05 => Self::Acknowledge,
            0x06 => Self::ServerDeviceBusy,
            0x07 => Self::NegativeAcknowledge,
            0x08 => Self::MemoryParityError,
            0x0A => Self::GatewayPathUnavailable,
            0x0B => Self::GatewayTargetFailedToRespond,
            other => Self::Other(other),
        }
    }

    /// The code of the exception.
    pub fn code(self) -> u8 {
        match self {
            Self::IllegalFunction => 0x01,
            Self::IllegalDataAddress => 0x02,
            Self::IllegalDataValue => 0x03,
            Self::ServerDeviceFailure => 0x04,
            Self::Acknowledge => 0x05,
            Self::ServerDeviceBusy => 0x06,
            Self::NegativeAcknowledge => 0x07,
            Self::MemoryParityError => 0x08,
            Self::GatewayPathUnavailable => 0x0A,
            Self::GatewayTargetFailedToRespond => 0x0B,
            Self::Other(code) => code,
        }
    }

    /// Whether the refusal may be due to one address within the request, so that a smaller request can succeed. Devices
    /// answer an address that they do not like with any of these; the others speak of the moment, or of the way.
    pub fn blames_the_request(self) -> bool {
        !matches!(
            self,
            Self::Acknowledge
                | Self::ServerDeviceBusy
                | Self::GatewayPathUnavailable
                | Self::GatewayTargetFailedToRespond
        )
    }

    /// Whether the device says that the request is wrong, and not that it has failed itself.
    pub fn blames_the_address(self) -> bool {
        matches!(self, Self::IllegalFunction | Self::IllegalDataAddress | Self::IllegalDataValue)
    }

    fn words(self) -> &'static str {
        match self {
            Self::IllegalFunction => "illegal function",
            Self::IllegalDataAddress => "illegal data address",
            Self::IllegalDataValue => "illegal data value",
            Self::ServerDeviceFailure => "server device failure",
            Self::Acknowledge => "acknowledge",
            Self::ServerDeviceBusy => "server device busy",
            Self::NegativeAcknowledge => "negative acknowledge",
            Self::MemoryParityError => "memory parity error",
            Self::GatewayPathUnavailable => "gateway path unavailable",
            Self::GatewayTargetFailedToRespond => "gateway target failed to respond",
            Self::Other(_) => "not in the specification",
        }
    }

    fn next_step(self) -> &'static str {
        match self {
            Self::IllegalFunction => {
                "the device does not know this function; use another table or another write function"
            }
            Self::IllegalDataAddress => {
                "the device has no such address; check it, and whether its manual counts from 1"
            }
            Self::IllegalDataValue => "the device does not take this value or this many items; ask for fewer at once",
            Self::ServerDeviceFailure => "the device failed inside; look at its own diagnostics",
            Self::Acknowledge => "the device needs longer for it; read the result later",
            Self::ServerDeviceBusy => "the device is busy; poll it less often",
            Self::NegativeAcknowledge => "the device cannot do this now; see its manual",
            Self::MemoryParityError => "the device's extended memory is damaged; have it serviced",
            Self::GatewayPathUnavailable => {
                "the gateway has no path to this unit; check the unit and the gateway's routes"
            }
            Self::GatewayTargetFailedToRespond => {
                "the unit behind the gateway is silent; check its power, wiring and address"
            }
            Self::Other(_) => "see the device's manual for this code",
        }
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exception {:02X} ({}): {}", self.code(), self.words(), self.next_step())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_comes_back_as_itself() {
        for code in 0..=u8::MAX {
            assert_eq!(Exception::from_code(code).code(), code);
        }
    }

    #[test]
    fn an_exception_tells_its_code_its_name_and_the_next_step() {
        let text = Exception::IllegalDataAddress.to_string();
        assert!(text.starts_with("exception 02 (illegal data address): "), "{text}");
        assert!(text.contains("check"), "{text}");
    }
}
