//! One request, one answer.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::HOST;
use hyper::{HeaderMap, Method, Request, StatusCode};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::query::Query;
use super::reply::{Answer, json_answer, told, whole};
use super::{Token, command, history, live, metrics, page, status, values};
use crate::events::Events;
use crate::pipeline::vitals::{Present, Vitals};

/// What answers are made from.
pub(super) struct Site {
    /// The gateway's figures.
    pub(super) vitals: Present,
    /// What it said lately.
    pub(super) events: Arc<Events>,
    /// Who may send commands.
    pub(super) tokens: Arc<[Token]>,
    /// Places for those who watch.
    pub(super) watchers: Arc<Semaphore>,
    /// Places for those who read the log.
    pub(super) readers: Semaphore,
}

/// What can be asked for with GET.
const READ: [&str; 8] = [
    "/healthz",
    "/readyz",
    "/metrics",
    "/api/v1/status",
    "/api/v1/values",
    "/api/v1/history",
    "/api/v1/events",
    "/api/v1/live",
];

const COMMANDS: &str = "/api/v1/commands";

/// Answers a request; the time for each part of it is bounded.
pub(super) async fn answer(request: Request<Incoming>, peer: SocketAddr, site: &Site) -> Answer {
    if !is_for_us(request.headers()) {
        return told(StatusCode::MISDIRECTED_REQUEST, "this server is asked by its address, or as localhost");
    }
    let path = request.uri().path().to_owned();
    match (request.method(), path.as_str()) {
        (&Method::GET | &Method::HEAD, path) => match page::file(path) {
            Some(file) => file,
            None => read(path, request.uri().query(), site).await.unwrap_or_else(|| missing(path)),
        },
        (&Method::POST, COMMANDS) => command::command(request, peer, site.tokens.clone(), &site.vitals.get()).await,
        (_, path) => missing(path),
    }
}

/// What a path shows; `None`: nothing.
async fn read(path: &str, query: Option<&str>, site: &Site) -> Option<Answer> {
    let vitals = &*site.vitals.get();
    let query = |known: &[&str]| Query::parse(query, known);
    let answer = match path {
        "/healthz" => Ok(health(vitals)),
        "/readyz" => Ok(ready(vitals)),
        "/metrics" => {
            Ok(whole(StatusCode::OK, "text/plain; version=0.0.4", metrics::text(vitals, &vitals.log_state().await)))
        }
        "/api/v1/status" => Ok(json_answer(StatusCode::OK, &status::json(vitals, &vitals.log_state().await))),
        "/api/v1/values" => match query(&values::PARAMETERS) {
            Ok(query) => values::json(vitals, &query).await.map(|value| json_answer(StatusCode::OK, &value)),
            Err(wrong) => Err(wrong),
        },
        "/api/v1/history" => match query(&history::PARAMETERS) {
            Ok(query) => past(site, &query).await,
            Err(wrong) => Err(wrong),
        },
        "/api/v1/events" => Ok(json_answer(StatusCode::OK, &said(&site.events))),
        "/api/v1/live" => match query(&live::PARAMETERS) {
            Ok(query) => live::answer(&site.vitals, &site.events, &site.watchers, &query).await,
            Err(wrong) => Err(wrong),
        },
        _ => return None,
    };
    Some(answer.unwrap_or_else(|wrong| told(StatusCode::BAD_REQUEST, &wrong)))
}

async fn past(site: &Site, query: &Query) -> Result<Answer, String> {
    let Ok(_place) = site.readers.try_acquire() else {
        return Ok(told(StatusCode::SERVICE_UNAVAILABLE, "others read the log just now: ask again in a few seconds"));
    };
    history::json(&site.vitals.get(), query).await.map(|value| json_answer(StatusCode::OK, &value))
}

fn said(events: &Events) -> Value {
    json!({ "events": events.after(0).iter().map(live::event_json).collect::<Value>() })
}

/// A path that is there is asked wrongly; another is not there.
fn missing(path: &str) -> Answer {
    if path == COMMANDS || READ.contains(&path) || page::file(path).is_some() {
        return told(StatusCode::METHOD_NOT_ALLOWED, "this path is asked with another method");
    }
    told(StatusCode::NOT_FOUND, &format!("there is / for people, {} and POST {COMMANDS}", READ.join(", ")))
}

/// A page of some site in a browser on this machine must not reach the gateway under a name of its own.
fn is_for_us(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST).and_then(|host| host.to_str().ok()) else { return true };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
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

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

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
