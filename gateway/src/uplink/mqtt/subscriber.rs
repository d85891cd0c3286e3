//! The way from one broker, for commands that look at what has arrived there: subscribes, receives, acknowledges.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::timeout;

use super::config::{self, Config};
use super::dial::{NO_BROKER, Welcome, dial, unexpected};
use super::link::Link;
use super::packet::{
    Connect, Delivered, Incoming, MESSAGE_BYTES_MAX, Session, Version, Wants, read_delivered, write_connect,
    write_disconnect, write_puback, write_subscribe,
};
use super::reason;
use super::transport::Failure;
use crate::uplink::{CONNECT_WITHIN, ConnectError, EndedBy, Loss, UplinkError, UplinkSpec};

pub use super::packet::Arrived;

const CLOSE_WITHIN: Duration = Duration::from_secs(2);

const SUBSCRIBE_ID: u16 = 1;

/// How many messages may come before the subscription is answered.
const EARLY_MAX: usize = 1_024;

/// How long the broker remembers a session that is kept, seconds: a long weekend.
const KEPT_S: u32 = 7 * 24 * 3600;

/// Whether the broker collects messages while the subscriber is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// It forgets the subscriber with the connection.
    Connection,
    /// It collects until the subscriber comes again under the same client id, for a week where the version is 5.
    Kept,
}

/// Whether the broker has remembered an earlier subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It has: nothing since then is missed.
    Remembered,
    /// It has not: what was published before is not seen.
    Nothing,
}

/// A subscriber at one broker.
pub struct Subscriber {
    config: Config,
    filters: Vec<Box<str>>,
    memory: Memory,
    version: Option<Version>,
    link: Option<Link>,
    /// Messages that came before the subscription was answered; acknowledged when they are handed over.
    early: VecDeque<Arrived>,
}

impl Subscriber {
    /// For these topics, not yet connected; every wrong part of what was configured is reported.
    pub fn new(
        spec: &UplinkSpec,
        client_id: &str,
        filters: Vec<Box<str>>,
        memory: Memory,
    ) -> Result<Subscriber, Vec<UplinkError>> {
        let (mut config, _) = config::check(spec)?;
        config.client_id = client_id.into();
        let version = config.version;
        Ok(Subscriber { config, filters, memory, version, link: None, early: VecDeque::new() })
    }

    /// What is asked for messages: scheme, host and port.
    pub fn endpoint(&self) -> &str {
        &self.config.endpoint
    }

    /// Connects and subscribes. Bounded in time.
    pub async fn connect(&mut self) -> Result<Found, ConnectError> {
        self.link = None;
        let failure = match timeout(CONNECT_WITHIN, self.open()).await {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(failure)) => failure,
            Err(_) => Failure { cause: format!("no answer within {} s", CONNECT_WITHIN.as_secs()), advice: NO_BROKER },
        };
        self.link = None;
        Err(ConnectError { endpoint: self.endpoint().into(), cause: failure.cause, advice: failure.advice })
    }

    async fn open(&mut self) -> Result<Found, Failure> {
        let memory = self.memory;
        let connect = |config: &Config, version, password: Option<&[u8]>, out: &mut Vec<u8>| {
            write_connect_of(config, memory, version, password, out);
        };
        let Welcome { mut link, version, session_present, .. } = dial(&self.config, self.version, connect).await?;
        self.version = Some(version);
        // Also where a session is remembered: it may have been made for other topics.
        write_subscribe(
            version,
            SUBSCRIBE_ID,
            self.filters.iter().map(|filter| (&**filter, Wants::All)),
            &mut link.out,
        );
        self.early = granted(&mut link).await?;
        self.link = Some(link);
        Ok(if session_present { Found::Remembered } else { Found::Nothing })
    }

    /// The next message. It is acknowledged when the one after it is asked for. May be dropped and called again: all that
    /// moved is in the link. After an error, [`Subscriber::connect`] comes first.
    pub async fn next(&mut self) -> Result<Arrived, Loss> {
        let outcome = self.receive().await;
        if outcome.is_err() {
            self.link = None;
        }
        outcome
    }

    async fn receive(&mut self) -> Result<Arrived, Loss> {
        let not_connected = || Loss { reason: "there is no connection".into(), by: EndedBy::Network };
        let link = self.link.as_mut().ok_or_else(not_connected)?;
        loop {
            let arrived = match self.early.pop_front() {
                Some(arrived) => Some(arrived),
                None => next_message(link)?,
            };
            if let Some(arrived) = arrived {
                arrived.id.inspect(|id| write_puback(*id, &mut link.out));
                return Ok(arrived);
            }
            link.moved().await.map_err(|broken| broken.loss())?;
        }
    }

    /// Acknowledges what was received and takes leave. Bounded in time; an error means that the broker may deliver the last
    /// messages again to a session that it keeps.
    pub async fn close(&mut self) -> Result<(), Loss> {
        let Some(mut link) = self.link.take() else { return Ok(()) };
        write_disconnect(&mut link.out);
        let lost = |reason: String| Loss { reason, by: EndedBy::Network };
        match timeout(CLOSE_WITHIN, link.finish()).await {
            Ok(outcome) => outcome.map_err(|cause| lost(format!("the network failed at the end: {cause}"))),
            Err(_) => Err(lost("the broker did not take the farewell in time".into())),
        }
    }
}

fn write_connect_of(config: &Config, memory: Memory, version: Version, password: Option<&[u8]>, out: &mut Vec<u8>) {
    let (session, session_expiry_s) = match memory {
        Memory::Connection => (Session::Anew, 0),
        Memory::Kept => (Session::GoesOn, KEPT_S),
    };
    let connect = Connect {
        client_id: &config.client_id,
        keep_alive_s: config.keep_alive_s,
        session,
        session_expiry_s,
        packet_bytes_max: MESSAGE_BYTES_MAX as u32,
        user: config.user.as_deref(),
        password,
        will: None,
    };
    write_connect(version, &connect, out);
}

/// Waits for the answer to SUBSCRIBE; gives the messages that came before it.
async fn granted(link: &mut Link) -> Result<VecDeque<Arrived>, Failure> {
    let lost = |loss: Loss| Failure { cause: loss.reason, advice: NO_BROKER };
    let mut early = VecDeque::new();
    loop {
        match link.next_as(read_delivered).map_err(lost)? {
            None => link.moved().await.map_err(|broken| broken.failure())?,
            Some(Delivered::Suback { codes, text, .. }) => return check_granted(&codes, &text).map(|()| early),
            Some(Delivered::Message(arrived)) if early.len() < EARLY_MAX => early.push_back(arrived),
            Some(Delivered::Message(_)) => {
                let cause = format!("the broker sent {EARLY_MAX} messages and did not answer the subscription");
                return Err(Failure { cause, advice: NO_BROKER });
            }
            Some(Delivered::Packet(packet)) => through(packet).map_err(lost)?,
        }
    }
}

fn check_granted(codes: &[u8], text: &str) -> Result<(), Failure> {
    match codes.iter().find(|code| **code != 1) {
        None => Ok(()),
        Some(0) => Err(Failure {
            cause: "the broker grants only QoS 0, with which messages can be lost on their way here".into(),
            advice: "Permit QoS 1 to this user in the broker",
        }),
        Some(code) => Err(Failure {
            cause: format!("the broker refuses the subscription (code {code}) {text}").trim_end().into(),
            advice: "Check the topic, and give this user the right to read there in the broker's access list",
        }),
    }
}

/// The next message that has come whole.
fn next_message(link: &mut Link) -> Result<Option<Arrived>, Loss> {
    while let Some(packet) = link.next_as(read_delivered)? {
        match packet {
            Delivered::Message(arrived) => return Ok(Some(arrived)),
            Delivered::Packet(packet) => through(packet)?,
            Delivered::Suback { .. } => {}
        }
    }
    Ok(None)
}

/// Lets a packet pass that ends nothing.
fn through(packet: Incoming) -> Result<(), Loss> {
    match packet {
        Incoming::Pong | Incoming::Other => Ok(()),
        Incoming::Disconnect { code, text } => {
            let (said, advice) = reason::explain(Version::V5, code, &text);
            Err(Loss { reason: format!("{said}. {advice}"), by: EndedBy::FarSide })
        }
        Incoming::Connack { .. } | Incoming::Puback { .. } => Err(unexpected(&packet)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_qos_1_for_every_topic_is_enough() {
        assert!(check_granted(&[1, 1], "").is_ok());
        for (codes, said) in [([1, 0], "QoS 0"), ([0x87, 1], "code 135"), ([1, 0x80], "refuses")] {
            let failure = check_granted(&codes, "").expect_err(said);
            assert!(failure.cause.contains(said), "{}", failure.cause);
        }
    }
}
