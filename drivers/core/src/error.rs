//! The three ways in which a driver says no: the specification is wrong, the connection is over, a write was refused.

use std::ops::Range;

/// Something in a URL, an address or an option is wrong; found before anything touches the network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SpecError {
    /// Where it stands.
    pub place: Place,
    /// What is wrong, and what to write instead.
    pub message: String,
}

/// Where a [`SpecError`] stands; ranges are bytes within the text named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Within the line's URL.
    Url(Range<usize>),
    /// The device at this index of the line, as a whole.
    Device(usize),
    /// The address of a tag: device's index, tag's index within the device, range within the address.
    Address(usize, usize, Range<usize>),
    /// A pattern of a device: device's index, pattern's index, range within the pattern.
    Pattern(usize, usize, Range<usize>),
}

/// The connection cannot be made or is over. It is dropped and made anew, never repaired.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The far side refused or could not be reached.
    #[error("cannot connect to {endpoint}: {}. {advice}", without_stop(cause))]
    Connect {
        /// Host and port, or the serial port.
        endpoint: String,
        /// What the operating system or the far side said.
        cause: String,
        /// What the operator can do.
        advice: &'static str,
    },
    /// Nothing came back in time.
    #[error("{endpoint} did not answer within {after_ms} ms. {advice}")]
    Timeout {
        /// Host and port, or the serial port.
        endpoint: String,
        /// The deadline that passed.
        after_ms: u64,
        /// What the operator can do.
        advice: &'static str,
    },
    /// The connection broke.
    #[error("lost the connection to {endpoint}: {}", without_stop(cause))]
    Lost {
        /// Host and port, or the serial port.
        endpoint: String,
        /// What the operating system said.
        cause: String,
    },
    /// What came back is not this protocol.
    #[error("{endpoint} does not speak the protocol: {}. {advice}", without_stop(cause))]
    Protocol {
        /// Host and port, or the serial port.
        endpoint: String,
        /// What was received and what had been expected.
        cause: String,
        /// What the operator can do.
        advice: &'static str,
    },
}

impl LinkError {
    /// What the operator can do, where that is known; failures that need the same are of one kind.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            LinkError::Connect { advice, .. }
            | LinkError::Timeout { advice, .. }
            | LinkError::Protocol { advice, .. } => Some(advice),
            LinkError::Lost { .. } => None,
        }
    }
}

/// What others say may be a whole sentence; it stands within one of ours.
fn without_stop(cause: &str) -> &str {
    cause.trim_end_matches('.')
}

/// A write that did not happen; the connection is still good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The value is not one of the tag's type.
    #[error("the value does not fit {data_type}: {cause}")]
    Value {
        /// The tag's type.
        data_type: String,
        /// Why it does not fit.
        cause: String,
    },
    /// The address cannot be written in this protocol.
    #[error("this address is read-only: {0}")]
    ReadOnly(String),
    /// The device refused.
    #[error("the device refused the write: {0}")]
    Refused(String),
    /// The device did not answer; whether it wrote is not known.
    #[error("the device did not answer the write: whether it took it is not known")]
    Unknown,
}
