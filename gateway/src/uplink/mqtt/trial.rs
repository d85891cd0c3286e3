//! A connection that only looks whether the gateway could have one: under another client id, and without a trace.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use tokio::time::timeout;

use super::config::{self, Config};
use super::dial::{NO_BROKER, dial};
use super::packet::{Connect, INCOMING_BYTES_MAX, Session, Version, write_connect, write_disconnect};
use super::transport::Failure;
use crate::uplink::{CONNECT_WITHIN, ConnectError, Trial, UplinkError, UplinkSpec};

/// Connects, logs in and takes leave. No state is published and no session is left: a gateway that runs beside it and its
/// readers see nothing.
pub(super) fn trial(spec: &UplinkSpec) -> Result<Trial, Vec<UplinkError>> {
    let (mut config, _) = config::check(spec)?;
    config.client_id = format!("{}:check-{:08x}", config.client_id, RandomState::new().hash_one(0) as u32).into();
    Ok(Box::pin(async move {
        let failure = match timeout(CONNECT_WITHIN, look(&config)).await {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(failure)) => failure,
            Err(_) => Failure { cause: format!("no answer within {} s", CONNECT_WITHIN.as_secs()), advice: NO_BROKER },
        };
        let Failure { cause, advice } = failure;
        Err(ConnectError { endpoint: config.endpoint.to_string(), cause, advice })
    }))
}

async fn look(config: &Config) -> Result<String, Failure> {
    let mut welcome = dial(config, None, write_connect_of).await?;
    write_disconnect(&mut welcome.link.out);
    welcome.link.finish().await.map_err(|cause| Failure { cause: cause.to_string(), advice: NO_BROKER })?;
    let version = match welcome.version {
        Version::V311 => "3.1.1",
        Version::V5 => "5",
    };
    Ok(format!("a broker of MQTT {version} let the gateway in"))
}

fn write_connect_of(config: &Config, version: Version, password: Option<&[u8]>, out: &mut Vec<u8>) {
    let connect = Connect {
        client_id: &config.client_id,
        keep_alive_s: config.keep_alive_s,
        session: Session::Anew,
        session_expiry_s: 0,
        packet_bytes_max: INCOMING_BYTES_MAX as u32,
        user: config.user.as_deref(),
        password,
        will: None,
    };
    write_connect(version, &connect, out);
}
