//! How far a value can be trusted, and why not further.

use std::fmt;

/// OPC UA's three levels (Part 8, 6.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Level {
    /// The device gave the value in answer to this poll.
    Good,
    /// The device gave a value that it, or we, have a doubt about.
    Uncertain,
    /// There is no value.
    Bad,
}

/// A level with its reason; `Good` has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quality {
    /// See [`Level::Good`].
    Good,
    /// See [`Level::Uncertain`].
    Uncertain(Reason),
    /// See [`Level::Bad`].
    Bad(Reason),
}

/// Why a value is not good. The names are part of the payload and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Reason {
    /// The device did not answer in time.
    Timeout = 1,
    /// There is no connection to the device.
    NotConnected = 2,
    /// The connection ended while the answer was awaited.
    Disconnected = 3,
    /// The device refused this address: it does not exist, or reading it is not permitted.
    AddressRefused = 4,
    /// The device answered that it cannot serve the request now (busy, failed, gateway path down).
    DeviceFailure = 5,
    /// The answer was whole, but its bytes are no value of the tag's type.
    NotDecodable = 6,
    /// The device says of its own value that it is bad.
    SensorFailure = 7,
    /// The value lies outside what the tag's scaling or limits allow.
    OutOfRange = 8,
    /// The answer did not belong to the request: wrong length, function or sender.
    ProtocolError = 9,
    /// The device is left alone for a while, because it has not answered several times.
    Suspended = 10,
}

impl Quality {
    /// The level without its reason.
    pub fn level(self) -> Level {
        match self {
            Quality::Good => Level::Good,
            Quality::Uncertain(_) => Level::Uncertain,
            Quality::Bad(_) => Level::Bad,
        }
    }

    /// The reason, where there is one.
    pub fn reason(self) -> Option<Reason> {
        match self {
            Quality::Good => None,
            Quality::Uncertain(reason) | Quality::Bad(reason) => Some(reason),
        }
    }
}

impl Level {
    /// The word of the payload: `good`, `uncertain`, `bad`.
    pub fn name(self) -> &'static str {
        match self {
            Level::Good => "good",
            Level::Uncertain => "uncertain",
            Level::Bad => "bad",
        }
    }
}

impl Reason {
    /// All reasons, in the order of their numbers.
    pub const ALL: [Reason; 10] = [
        Reason::Timeout,
        Reason::NotConnected,
        Reason::Disconnected,
        Reason::AddressRefused,
        Reason::DeviceFailure,
        Reason::NotDecodable,
        Reason::SensorFailure,
        Reason::OutOfRange,
        Reason::ProtocolError,
        Reason::Suspended,
    ];

    /// The word of the payload, such as `timeout`.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Timeout => "timeout",
            Reason::NotConnected => "not-connected",
            Reason::Disconnected => "disconnected",
            Reason::AddressRefused => "address-refused",
            Reason::DeviceFailure => "device-failure",
            Reason::NotDecodable => "not-decodable",
            Reason::SensorFailure => "sensor-failure",
            Reason::OutOfRange => "out-of-range",
            Reason::ProtocolError => "protocol-error",
            Reason::Suspended => "suspended",
        }
    }

    /// The reason that bears this number in a stored record.
    pub fn from_number(number: u8) -> Option<Reason> {
        Reason::ALL.into_iter().find(|reason| *reason as u8 == number)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_found_again_by_its_number() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_number(reason as u8), Some(reason));
        }
        assert_eq!(Reason::from_number(0), None);
        assert_eq!(Reason::from_number(11), None);
    }
}
