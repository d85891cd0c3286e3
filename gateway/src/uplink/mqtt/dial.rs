//! Opens a connection and logs in: the same for who publishes and who subscribes.

use tokio::time::Instant;

use super::config::Config;
use super::link::Link;
use super::packet::{Incoming, Limits, Qos, Version};
use super::reason;
use super::transport::{self, Failure};
use crate::uplink::{EndedBy, Loss};

/// The first byte of the only packet with which a broker may begin.
const CONNACK: u8 = 0x20;

pub(super) const NO_BROKER: &str =
    "Check that a broker for MQTT listens there: the port, and whether it wants TLS or a WebSocket";

/// A connection whose broker has let the client in.
pub(super) struct Welcome {
    pub(super) link: Link,
    pub(super) version: Version,
    pub(super) limits: Limits,
    /// Whether the broker remembers an earlier connection.
    pub(super) session_present: bool,
}

/// Why a connection was not made.
enum Refused {
    /// The broker does not know this version.
    Version(Failure),
    Otherwise(Failure),
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Refused {
        Refused::Otherwise(failure)
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Failure {
        match refused {
            Refused::Version(failure) | Refused::Otherwise(failure) => failure,
        }
    }
}

/// Connects in the configured version. Where none is, in the one that was spoken last, or 5, and then in the other: another
/// broker may have taken the place of the last one. `connect` writes the CONNECT for a version with the password. The
/// caller sets the deadline; dropping the future gives the attempt up.
pub(super) async fn dial(
    config: &Config,
    last: Option<Version>,
    connect: impl Fn(&Config, Version, Option<&[u8]>, &mut Vec<u8>),
) -> Result<Welcome, Failure> {
    let first = config.version.or(last).unwrap_or(Version::V5);
    match dial_in(config, first, &connect).await {
        Err(Refused::Version(_)) if config.version.is_none() => {
            let other = if first == Version::V5 { Version::V311 } else { Version::V5 };
            Ok(dial_in(config, other, &connect).await?)
        }
        outcome => Ok(outcome?),
    }
}

async fn dial_in(
    config: &Config,
    version: Version,
    connect: &impl Fn(&Config, Version, Option<&[u8]>, &mut Vec<u8>),
) -> Result<Welcome, Refused> {
    let password = password(config).await?;
    let stream = transport::open(config).await?;
    let mut link = Link::new(stream, version, config.keep_alive(None), Instant::now());
    connect(config, version, password.as_deref(), &mut link.out);
    let lost = |loss: Loss| Failure { cause: loss.reason, advice: NO_BROKER };
    let (session_present, code, text, limits) = loop {
        link.moved().await.map_err(|broken| broken.failure())?;
        if link.head().is_some_and(|head| head != CONNACK) {
            return Err(Failure { cause: "what answers is no MQTT broker".into(), advice: NO_BROKER }.into());
        }
        match link.next_packet().map_err(lost)? {
            None => {}
            Some(Incoming::Connack { session_present, code, text, limits }) => {
                break (session_present, code, text, limits);
            }
            Some(other) => return Err(lost(unexpected(&other)).into()),
        }
    };
    if code != 0 {
        let (cause, advice) = reason::explain_connack(version, code, &text);
        let failure = Failure { cause, advice };
        return Err(match reason::is_version_unknown(code) {
            true => Refused::Version(failure),
            false => Refused::Otherwise(failure),
        });
    }
    if !limits.takes_qos_1 && config.qos == Qos::AtLeastOnce {
        let (cause, advice) = reason::explain(version, 0x9b, "");
        return Err(Failure { cause, advice }.into());
    }
    link.keep_alive(config.keep_alive(limits.keep_alive_s), Instant::now());
    Ok(Welcome { link, version, limits, session_present })
}

/// Fetches the password, which may lie in a file.
async fn password(config: &Config) -> Result<Option<Vec<u8>>, Failure> {
    let Some(password) = config.password.clone() else { return Ok(None) };
    let advice = "Put right `password` of the uplink";
    match tokio::task::spawn_blocking(move || password()).await {
        Ok(Ok(password)) => Ok(Some(password)),
        Ok(Err(cause)) => Err(Failure { cause, advice }),
        Err(panic) => Err(Failure { cause: panic.to_string(), advice }),
    }
}

/// The end of a connection on which the broker sent what it must not.
pub(super) fn unexpected(packet: &Incoming) -> Loss {
    Loss { reason: format!("the broker sent a packet that does not belong here: {packet:?}"), by: EndedBy::FarSide }
}
