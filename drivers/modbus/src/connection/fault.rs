//! What ends a connection, in the words of the contract, and what silence means.

use std::collections::BTreeMap;
use std::time::Duration;

use driver_core::{Contact, LinkError};

use super::tally::Outcome;
use crate::config::ModbusEndpoint;
use crate::session;
use crate::transport::{ConnectError, Endpoint};

/// Polls in a row without any answer, after which a network connection on which no unit answers is held to be half open.
const SILENT_POLLS_MAX: u8 = 3;

const SILENT_ADVICE: &str = "Check power, cable, unit and firewall, and raise the timeout if the device is slow";

/// Which units of a connection are silent.
#[derive(Debug)]
pub(super) struct Silence {
    endpoint: String,
    is_network: bool,
    /// Each unit that was asked: whether it answered last time.
    answered: BTreeMap<u8, bool>,
    polls: u8,
}

impl Silence {
    pub(super) fn new(endpoint: &ModbusEndpoint) -> Silence {
        Silence {
            endpoint: endpoint.transport.to_string(),
            is_network: endpoint.is_network(),
            answered: BTreeMap::new(),
            polls: 0,
        }
    }

    /// Takes note of a poll. A unit that is silent among others leaves the connection alone; when none answers any more,
    /// a network connection is over, so that a new one is made.
    pub(super) fn note(&mut self, outcome: &Outcome, timeout: Duration) -> Result<Contact, LinkError> {
        self.answered.extend(outcome.silent.iter().map(|unit| (*unit, false)));
        self.answered.extend(outcome.heard.iter().map(|unit| (*unit, true)));
        if !outcome.heard.is_empty() {
            self.polls = 0;
        } else if !outcome.silent.is_empty() {
            self.polls = self.polls.saturating_add(1);
        }
        let nobody = self.answered.values().all(|answered| !answered);
        if self.is_network && self.polls >= SILENT_POLLS_MAX && nobody {
            return Err(self.timeout(timeout));
        }
        Ok(if outcome.answered { Contact::Answered } else { Contact::Silent })
    }

    fn timeout(&self, after: Duration) -> LinkError {
        LinkError::Timeout {
            endpoint: self.endpoint.clone(),
            after_ms: u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
            advice: SILENT_ADVICE,
        }
    }
}

/// The end of a session.
pub(super) fn link_error(over: session::LinkError, silence: &Silence, timeout: Duration) -> LinkError {
    match over {
        session::LinkError::Stuck | session::LinkError::LateAnswerPossible => silence.timeout(timeout),
        over => LinkError::Lost { endpoint: silence.endpoint.clone(), cause: over.to_string() },
    }
}

/// A connection that was not made.
pub(crate) fn cannot_connect(endpoint: &Endpoint, error: ConnectError) -> LinkError {
    let (cause, advice) = match error {
        ConnectError::Resolve { host, error } => (
            format!("the name {host} has no address ({error})"),
            "Check the name and the DNS server, or give the address",
        ),
        ConnectError::Tcp { error, .. } => {
            (error.to_string(), "Check that the device is on, the port, and that it has a free connection")
        }
        ConnectError::Silent { .. } => ("no answer".into(), "Check power, cable, address and firewall"),
        ConnectError::File { path, reason } => {
            (format!("{} cannot be used: {reason}", path.display()), "Check the file and who may read it")
        }
        ConnectError::TlsSettings { reason, .. } => (reason, "Check `ca`, `cert`, `key` and `server_name`"),
        ConnectError::Tls { error, .. } => (
            format!("TLS failed: {error}"),
            "Check `ca`, the name and dates in the device's certificate, and whether it wants one of ours",
        ),
        ConnectError::NoPort { present, .. } => {
            (format!("there is no such serial port; present: {present}"), "Plug the adapter in, or correct the path")
        }
        ConnectError::Port { reason, .. } => {
            (reason, "Check that no other program has the port, and that this user may open it (group dialout)")
        }
    };
    LinkError::Connect { endpoint: endpoint.to_string(), cause, advice }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silence(url: &str) -> Silence {
        Silence::new(&ModbusEndpoint::parse(&url.parse().expect("a URL"), None).expect("an endpoint"))
    }

    fn poll(silence: &mut Silence, unit: u8, contact: Contact) -> Result<Contact, LinkError> {
        let mut outcome = Outcome::default();
        outcome.answered = contact == Contact::Answered;
        if outcome.answered {
            outcome.heard.push(unit)
        } else {
            outcome.silent.push(unit)
        }
        silence.note(&outcome, Duration::from_millis(200))
    }

    #[test]
    fn a_silent_unit_among_others_does_not_cost_them_their_connection() {
        let mut silence = silence("modbus-tcp://gateway");
        assert!(matches!(poll(&mut silence, 1, Contact::Answered), Ok(Contact::Answered)));
        for _ in 0..10 {
            assert!(matches!(poll(&mut silence, 2, Contact::Silent), Ok(Contact::Silent)));
        }
        let over = poll(&mut silence, 1, Contact::Silent).expect_err("nobody answers any more");
        assert!(over.to_string().contains("did not answer within 200 ms"), "{over}");
    }

    #[test]
    fn a_network_connection_on_which_nobody_answers_is_over_and_a_serial_port_is_not() {
        let mut tcp = silence("modbus-tcp://plc");
        let polls: Vec<bool> = (0..3).map(|_| poll(&mut tcp, 1, Contact::Silent).is_ok()).collect();
        assert_eq!(polls, [true, true, false]);
        let mut serial = silence("modbus-rtu:///dev/ttyUSB0");
        assert!((0..9).all(|_| poll(&mut serial, 1, Contact::Silent).is_ok()));
    }
}
