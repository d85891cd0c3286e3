//! What ends a connection, in the words of the contract, and what silence means.

use std::time::Duration;

use driver_core::{Contact, LinkError};

use crate::config::S7Endpoint;
use crate::session::{self, ConnectError};
use crate::wire::Broken;

/// Polls in a row without any answer, after which a connection is held to be half open.
const SILENT_POLLS_MAX: u8 = 3;

const SILENT_ADVICE: &str = "Check power, cable and firewall, and raise the timeout if the PLC is slow";
const CALL_ADVICE: &str = "Check rack and slot (slot=1 for S7-1200 and S7-1500, slot=2 for S7-300, plc=logo or plc=s7-200 for those), and that the \
     PLC has a free connection";
const OTHER_ADVICE: &str = "Check host and port: this is not a PLC that speaks S7, or not at this port";

/// How long a PLC has been silent.
#[derive(Debug)]
pub(super) struct Silence {
    endpoint: String,
    polls: u8,
}

impl Silence {
    pub(super) fn new(endpoint: &S7Endpoint) -> Silence {
        Silence { endpoint: endpoint.to_string(), polls: 0 }
    }

    /// Takes note of a poll. When none is answered any more the connection is over, so that a new one is made.
    pub(super) fn note(&mut self, contact: Contact, timeout: Duration) -> Result<Contact, LinkError> {
        self.polls = if contact == Contact::Answered { 0 } else { self.polls.saturating_add(1) };
        if self.polls >= SILENT_POLLS_MAX { Err(self.timeout(timeout)) } else { Ok(contact) }
    }

    /// The end of a session.
    pub(super) fn over(&self, over: session::LinkError, timeout: Duration) -> LinkError {
        let endpoint = self.endpoint.clone();
        match over {
            session::LinkError::Stuck => self.timeout(timeout),
            session::LinkError::Broken(Broken::Malformed(malformed)) => {
                LinkError::Protocol { endpoint, cause: malformed.to_string(), advice: OTHER_ADVICE }
            }
            over => LinkError::Lost { endpoint, cause: over.to_string() },
        }
    }

    fn timeout(&self, after: Duration) -> LinkError {
        LinkError::Timeout {
            endpoint: self.endpoint.clone(),
            after_ms: u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
            advice: SILENT_ADVICE,
        }
    }
}

/// A connection that was not made.
pub(crate) fn cannot_connect(endpoint: &S7Endpoint, error: ConnectError) -> LinkError {
    let advice = match &error {
        ConnectError::Resolve { .. } => "Check the name and the DNS server, or give the address",
        ConnectError::Tcp(_) => "Check that the PLC is on, the port, and that it has a free connection",
        ConnectError::Silent(session::OpenStep::Tcp) => "Check power, cable, address and firewall",
        ConnectError::Malformed(_) => OTHER_ADVICE,
        ConnectError::Silent(_) | ConnectError::Closed(_) | ConnectError::Refused(_) | ConnectError::Setup(_) => {
            CALL_ADVICE
        }
    };
    LinkError::Connect { endpoint: endpoint.to_string(), cause: error.to_string(), advice }
}
