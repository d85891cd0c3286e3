//! One request, one answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use tracing::warn;

use super::login::{Denied, bearer, owner};
use super::{Token, metrics, status};
use crate::pipeline::command::json::{COMMAND_BYTES_MAX, json_of, read};
use crate::pipeline::command::{Asked, CommandDoor, Origin, Outcome, RefusedFor};
use crate::pipeline::vitals::Vitals;

/// How long a client may take for the body of a request.
const BODY_WITHIN: Duration = Duration::from_secs(5);

/// How long the answer to a command is waited for; it comes sooner from every device, dead ones included.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// How long somebody waits who showed a token that is not known.
const DENIED_PAUSE: Duration = Duration::from_millis(500);

/// The key of a command may stand in this header instead of in the command.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

type Answer = Response<Full<Bytes>>;

/// Answers a request; the time for each part of it is bounded.
pub(super) async fn answer(
    request: Request<Incoming>,
    peer: SocketAddr,
    tokens: Arc<[Token]>,
    vitals: &Vitals,
) -> Answer {
    if !is_for_us(request.headers()) {
        return told(StatusCode::MISDIRECTED_REQUEST, "this server is asked by its address, or as localhost");
    }
    let path = request.uri().path().to_owned();
    match (request.method(), path.as_str()) {
        (&Method::GET | &Method::HEAD, "/healthz") => health(vitals),
        (&Method::GET | &Method::HEAD, "/readyz") => ready(vitals),
        (&Method::GET | &Method::HEAD, "/metrics") => {
            text(StatusCode::OK, "text/plain; version=0.0.4", metrics::text(vitals, &vitals.log_state().await))
        }
        (&Method::GET | &Method::HEAD, "/api/v1/status") => {
            json_answer(StatusCode::OK, &status::json(vitals, &vitals.log_state().await))
        }
        (&Method::POST, "/api/v1/commands") => command(request, peer, tokens, vitals).await,
        (_, "/healthz" | "/readyz" | "/metrics" | "/api/v1/status" | "/api/v1/commands") => {
            told(StatusCode::METHOD_NOT_ALLOWED, "this path is asked with another method")
        }
        _ => told(StatusCode::NOT_FOUND, "there is /healthz, /readyz, /metrics, /api/v1/status and /api/v1/commands"),
    }
}

/// A page of some site in a browser on this machine must not reach the gateway under a name of its own.
fn is_for_us(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST).and_then(|host| host.to_str().ok()) else { return true };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<std::net::IpAddr>().is_ok()
}

fn health(vitals: &Vitals) -> Answer {
    match vitals.stuck() {
        None => json_answer(StatusCode::OK, &json!({ "healthy": true })),
        Some(reason) => json_answer(StatusCode::SERVICE_UNAVAILABLE, &json!({ "healthy": false, "reasons": [reason] })),
    }
}

fn ready(vitals: &Vitals) -> Answer {
    let reasons = vitals.unready();
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json_answer(status, &json!({ "ready": reasons.is_empty(), "reasons": reasons }))
}

async fn command(request: Request<Incoming>, peer: SocketAddr, tokens: Arc<[Token]>, vitals: &Vitals) -> Answer {
    let received = Instant::now();
    let shown = header(request.headers(), &AUTHORIZATION).and_then(|header| bearer(&header).map(str::to_owned));
    let found = spawn_blocking(move || owner(shown.as_deref(), &tokens).cloned()).await;
    let token = match found {
        Ok(Ok(token)) => token,
        Ok(Err(denied)) => return refuse(denied, peer).await,
        Err(panic) => return told(StatusCode::INTERNAL_SERVER_ERROR, &panic.to_string()),
    };
    let agent = header(request.headers(), &hyper::header::USER_AGENT).unwrap_or_default();
    let key = header(request.headers(), &IDEMPOTENCY_KEY);
    let origin = Origin {
        door: CommandDoor::Http,
        from: format!("{peer} {}", shown_agent(&agent)).trim_end().into(),
        who: token.name,
        role: token.role,
    };
    let body = match timeout(BODY_WITHIN, Limited::new(request.into_body(), COMMAND_BYTES_MAX).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => return told(StatusCode::PAYLOAD_TOO_LARGE, "a command has at most 64 KiB"),
        Err(_) => return told(StatusCode::REQUEST_TIMEOUT, "the command did not come whole in time"),
    };
    let mut asked = read(&body, origin, received);
    if let (Asked::Command(command), Some(key)) = (&mut asked, key.filter(|key| key.len() <= 128)) {
        command.key.get_or_insert_with(|| key.into());
    }
    let (sender, answered) = oneshot::channel();
    // The client may have gone when the answer comes.
    vitals.desk.submit(asked, Box::new(move |answer| drop(sender.send(answer))));
    match timeout(ANSWER_WITHIN, answered).await {
        Ok(Ok(answer)) => json_answer(status_of(answer.outcome), &json_of(&answer)),
        Ok(Err(_)) | Err(_) => {
            told(StatusCode::GATEWAY_TIMEOUT, "the command has no answer yet; ask again with its id")
        }
    }
}

async fn refuse(denied: Denied, peer: SocketAddr) -> Answer {
    match denied {
        Denied::NoTokens => {
            told(StatusCode::FORBIDDEN, "nobody may send commands: the configuration has no `http: { tokens: … }`")
        }
        Denied::Unknown => {
            warn!(%peer, "a command was sent with no token, or with one that is not known");
            sleep(DENIED_PAUSE).await;
            let mut answer =
                told(StatusCode::UNAUTHORIZED, "send `Authorization: Bearer TOKEN` with a token that is known");
            answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            answer
        }
        Denied::Unusable(cause) => {
            warn!(%peer, "commands over HTTP cannot be permitted: {cause}");
            sleep(DENIED_PAUSE).await;
            told(StatusCode::SERVICE_UNAVAILABLE, "a token of the gateway cannot be used; its log says which")
        }
    }
}

/// What an outcome is in HTTP: what the sender can put right is a 4xx, what the plant has to is a 5xx.
fn status_of(outcome: Outcome) -> StatusCode {
    match outcome {
        Outcome::Done | Outcome::Differs => StatusCode::OK,
        Outcome::Failed | Outcome::Unknown => StatusCode::BAD_GATEWAY,
        Outcome::Refused(why) => match why {
            RefusedFor::Unreadable => StatusCode::BAD_REQUEST,
            RefusedFor::UnknownTag => StatusCode::NOT_FOUND,
            RefusedFor::ReadOnly | RefusedFor::NotPermitted => StatusCode::FORBIDDEN,
            RefusedFor::WrongType | RefusedFor::OutOfRange | RefusedFor::Expired => StatusCode::UNPROCESSABLE_ENTITY,
            RefusedFor::Interlock | RefusedFor::Repeated => StatusCode::CONFLICT,
            RefusedFor::Rate => StatusCode::TOO_MANY_REQUESTS,
            RefusedFor::Busy | RefusedFor::Audit | RefusedFor::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        },
    }
}

fn header(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

fn shown_agent(agent: &str) -> String {
    agent.chars().filter(|character| !character.is_control()).take(60).collect()
}

fn told(status: StatusCode, what: &str) -> Answer {
    json_answer(status, &json!({ "error": what }))
}

fn json_answer(status: StatusCode, value: &Value) -> Answer {
    text(status, "application/json", format!("{value}\n"))
}

fn text(status: StatusCode, kind: &'static str, body: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_and_localhost_are_names_of_ours() {
        let is_for_us = |host: &'static str| is_for_us(&HeaderMap::from_iter([(HOST, HeaderValue::from_static(host))]));
        for host in ["localhost", "LOCALHOST:9470", "127.0.0.1:9470", "[::1]:9470", "[::1]"] {
            assert!(is_for_us(host), "{host}");
        }
        for host in ["evil.example", "evil.example:9470", "localhost.evil.example", "", "[evil]"] {
            assert!(!is_for_us(host), "{host}");
        }
    }
}
