//! Opens a connection to a broker and logs in.

use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};
use tokio::time::Instant;

use super::config::{Config, Login};
use super::error;
use super::link::{Broken, Link};
use super::login;
use super::wire::{
    ApiRange, ApiVersions, Fetch, InitProducerId, ListOffsets, Metadata, Produce, Request, SaslAuthenticate,
    SaslHandshake,
};
use crate::uplink::base64::base64;
use crate::uplink::stream::{self, Failure};

/// Random bytes of a login.
const NONCE_BYTES: usize = 18;

/// Opens a connection to a broker and logs in. The caller sets the deadline; dropping the future gives the attempt up.
///
/// # Errors
/// It cannot be reached, is no broker of Kafka 2.8 or newer, or does not let the gateway in.
pub(super) async fn dial(config: &Config, host: &str, port: u16) -> Result<Link, Failure> {
    let stream = stream::open(host, port, config.tls.as_ref()).await?;
    let mut link = Link::new(stream, &config.client_id);
    let (code, ranges) = link.call(&ApiVersions, config.answer_soon()).await.map_err(|broken| broken.failure())?;
    understands(code, &ranges)?;
    if let Some(login) = &config.login {
        log_in(&mut link, login, config.answer_soon()).await?;
    }
    Ok(link)
}

/// Whether the broker knows the one version in which each request is written.
fn understands(code: i16, ranges: &[ApiRange]) -> Result<(), Failure> {
    fn has<R: Request>(ranges: &[ApiRange]) -> bool {
        ranges.iter().any(|range| range.key == R::KEY && (range.min..=range.max).contains(&R::VERSION))
    }
    let all = has::<Metadata<'_>>(ranges)
        && has::<Produce<'_>>(ranges)
        && has::<InitProducerId>(ranges)
        && has::<ListOffsets<'_>>(ranges)
        && has::<Fetch<'_>>(ranges);
    if code == 0 && all {
        return Ok(());
    }
    Err(Failure {
        cause: "the broker's versions of the protocol are not those of Kafka 2.8 to 4.x".into(),
        advice: "Kafka 2.8 or newer is needed",
    })
}

async fn log_in(link: &mut Link, login: &Login, within: Duration) -> Result<(), Failure> {
    let password = password(login).await?;
    let broken = |broken: Broken| broken.failure();
    let refused = |code: i16, message: String| Failure { cause: message, advice: error::advice(code) };
    let mechanism = login.mechanism.name();
    let offered = link.call(&SaslHandshake { mechanism }, within).await.map_err(broken)?;
    if offered.error != 0 {
        let names = offered.offered.join(", ");
        return Err(refused(offered.error, format!("the broker offers no login by {mechanism}, but by {names}")));
    }
    let (mut message, mut dialogue) = login::begin(login.mechanism, &login.user, &password, &nonce()?);
    loop {
        let answer = link.call(&SaslAuthenticate { bytes: &message }, within).await.map_err(broken)?;
        if answer.error != 0 {
            let said = answer.message.unwrap_or_else(|| error::name(answer.error));
            return Err(refused(answer.error, format!("the login is refused: {said}")));
        }
        let said = dialogue
            .hear(&answer.bytes)
            .map_err(|cause| Failure { cause: cause.into(), advice: "Check that the URL leads to your broker" })?;
        if answer.lifetime_ms > 0 {
            // Before the broker ends it in the middle of something.
            link.expires_at(Instant::now() + Duration::from_millis(answer.lifetime_ms as u64) * 9 / 10);
        }
        match said {
            Some(next) => message = next,
            None if dialogue.is_over()
                && login.mechanism == login::Mechanism::OauthBearer
                && !answer.bytes.is_empty() =>
            {
                let said = String::from_utf8_lossy(&answer.bytes).into_owned();
                return Err(refused(58, format!("the token is refused: {said}")));
            }
            None => return Ok(()),
        }
    }
}

fn nonce() -> Result<String, Failure> {
    let mut bytes = [0; NONCE_BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Failure {
        cause: "the system gives no random numbers".into(),
        advice: "Look after /dev/urandom",
    })?;
    Ok(base64(&bytes))
}

/// Fetches the password, which may lie in a file.
async fn password(login: &Login) -> Result<Vec<u8>, Failure> {
    let password = login.password.clone();
    let advice = "Put right `password` of the uplink";
    match tokio::task::spawn_blocking(move || password()).await {
        Ok(Ok(password)) => Ok(password),
        Ok(Err(cause)) => Err(Failure { cause, advice }),
        Err(panic) => Err(Failure { cause: panic.to_string(), advice }),
    }
}
