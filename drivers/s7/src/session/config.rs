//! What a session asks for, and what the PLC agrees to.

use crate::config::S7Endpoint;

/// Who calls whom, and what is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calling {
    /// Our TSAP.
    pub local_tsap: u16,
    /// Its TSAP.
    pub remote_tsap: u16,
    /// The largest message, in bytes.
    pub pdu: u16,
    /// How many jobs under way at once.
    pub jobs: u16,
}

/// What was agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agreed {
    /// The largest message, in bytes.
    pub pdu: u16,
    /// How many jobs may be under way at once, 1 or more.
    pub jobs: u16,
    /// The longest TPDU that the PLC takes, in bytes.
    pub tpdu_max: usize,
    /// The PLC's reference of the connection.
    pub far_reference: u16,
}

impl From<&S7Endpoint> for Calling {
    fn from(endpoint: &S7Endpoint) -> Calling {
        let &S7Endpoint { local_tsap, remote_tsap, pdu, jobs, .. } = endpoint;
        Calling { local_tsap, remote_tsap, pdu, jobs }
    }
}
