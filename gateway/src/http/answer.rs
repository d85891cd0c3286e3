//! One request, one answer.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{ALLOW, HOST, HeaderValue};
use hyper::{HeaderMap, Method, Request, StatusCode};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::access::{Access, Who, is_of_another_site};
use super::config::Change;
use super::query::Query;
use super::reply::{Answer, json_answer, told, whole};
use super::routes::{Needs, ROUTES, Route, methods};
use super::{
    body, command, config, devices, history, live, metrics, openapi, page, quarantine, recordings, status, values,
};
use crate::events::Events;
use crate::pipeline::command::Role;
use crate::pipeline::vitals::{Present, Vitals};

/// The longest body of a request that has no bound of its own, bytes.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// What answers are made from.
pub(super) struct Site {
    /// The gateway's figures.
    pub(super) vitals: Present,
    /// What it said lately.
    pub(super) events: Arc<Events>,
    /// Who may do what.
    pub(super) access: Access,
    /// Whether it is asked from this machine only.
    pub(super) local: bool,
    /// Places for those who watch.
    pub(super) watchers: Arc<Semaphore>,
    /// Places for those who read the log.
    pub(super) readers: Semaphore,
    /// Places for those who ask a device.
    pub(super) askers: Semaphore,
}

/// Answers a request; the time for each part of it is bounded.
pub(super) async fn answer(request: Request<Incoming>, peer: SocketAddr, site: &Site) -> Answer {
    if site.local && !is_for_us(request.headers()) {
        return told(StatusCode::MISDIRECTED_REQUEST, "this server is asked by its address, or as localhost");
    }
    let path = request.uri().path().to_owned();
    // HEAD is GET without what it shows.
    let method = if request.method() == Method::HEAD { Method::GET } else { request.method().clone() };
    if let Some(file) = page::file(&path) {
        return if method == Method::GET { file } else { other_method("GET, HEAD") };
    }
    let Some(route) = ROUTES.iter().find(|route| route.path == path && route.method == method) else {
        let known = methods(&path);
        return match known.is_empty() {
            true => told(StatusCode::NOT_FOUND, "there is / for people, and /api/v1/openapi.json says what else"),
            false => other_method(&known.join(", ")),
        };
    };
    match permitted(&request, route, peer, site).await {
        Ok(who) => perform(route, request, who, peer, site).await.unwrap_or_else(|answer| answer),
        Err(answer) => answer,
    }
}

fn other_method(known: &str) -> Answer {
    let mut answer = told(StatusCode::METHOD_NOT_ALLOWED, &format!("this path is asked with {known}"));
    if let Ok(known) = HeaderValue::from_str(known) {
        answer.headers_mut().insert(ALLOW, known);
    }
    answer
}

async fn permitted(request: &Request<Incoming>, route: &Route, peer: SocketAddr, site: &Site) -> Result<Who, Answer> {
    let headers = request.headers();
    if is_of_another_site(headers) {
        return Err(told(StatusCode::FORBIDDEN, "a page of another site may not ask here"));
    }
    let who = site.access.who(request.method(), headers, peer).await?;
    match route.needs {
        Needs::Nothing => {}
        Needs::Look => site.access.permit(&who, Role::Viewer).map_err(|answer| *answer)?,
        Needs::Name => site.access.known(&who).map_err(|answer| *answer)?,
        Needs::Role(role) => site.access.permit(&who, role).map_err(|answer| *answer)?,
    }
    Ok(who)
}

/// What a route does; both ends are answers.
async fn perform(
    route: &Route,
    request: Request<Incoming>,
    who: Who,
    peer: SocketAddr,
    site: &Site,
) -> Result<Answer, Answer> {
    let vitals = &*site.vitals.get();
    let ok = |value: &Value| json_answer(StatusCode::OK, value);
    let text = request.uri().query().map(str::to_owned);
    let query = |known: &[&str]| Query::parse(text.as_deref(), known);
    match route.path {
        "/healthz" => Ok(health(vitals)),
        "/readyz" => Ok(ready(vitals)),
        "/metrics" => {
            Ok(whole(StatusCode::OK, "text/plain; version=0.0.4", metrics::text(vitals, &vitals.log_state().await)))
        }
        "/api/v1/openapi.json" => Ok(whole(StatusCode::OK, "application/json", openapi::DOCUMENT)),
        "/api/v1/session" => Ok(ok(&site.access.session(&who))),
        "/api/v1/login" => {
            let headers = request.headers().clone();
            Ok(site.access.login(&body::object(request, BODY_BYTES_MAX).await?, &headers, peer).await)
        }
        "/api/v1/logout" => Ok(site.access.logout(request.headers())),
        "/api/v1/status" => Ok(ok(&status::json(vitals, &vitals.log_state().await))),
        "/api/v1/tags" => {
            values::names(vitals, &query(&values::PARAMETERS).map_err(wrong)?).map(|value| ok(&value)).map_err(wrong)
        }
        "/api/v1/values" => values::json(vitals, &query(&values::PARAMETERS).map_err(wrong)?)
            .await
            .map(|value| ok(&value))
            .map_err(wrong),
        "/api/v1/history" => {
            let query = query(&history::PARAMETERS).map_err(wrong)?;
            let Ok(_place) = site.readers.try_acquire() else { return Err(busy("others read the log just now")) };
            history::json(vitals, &query).await.map(|value| ok(&value)).map_err(wrong)
        }
        "/api/v1/events" => Ok(ok(&said(&site.events))),
        "/api/v1/live" => {
            live::answer(&site.vitals, &site.events, &site.watchers, &query(&live::PARAMETERS).map_err(wrong)?)
                .await
                .map_err(wrong)
        }
        "/api/v1/commands" => Ok(command::command(request, peer, who, vitals).await),
        "/api/v1/quarantine" => {
            quarantine::list(vitals, &query(&quarantine::PARAMETERS).map_err(wrong)?).await.map_err(wrong)
        }
        "/api/v1/quarantine/message" => {
            let query = query(&["uplink", "number"]).map_err(wrong)?;
            match (query.get("uplink"), query.get("number").and_then(|number| number.parse().ok())) {
                (Some(uplink), Some(number)) => Ok(quarantine::show(vitals, uplink, number).await),
                _ => Err(wrong("write ?uplink=NAME&number=1".into())),
            }
        }
        "/api/v1/quarantine/retry" => {
            Ok(quarantine::retry_some(vitals, &body::object(request, BODY_BYTES_MAX).await?, &who.name).await)
        }
        "/api/v1/quarantine/drop" => {
            Ok(quarantine::drop_some(vitals, &body::object(request, BODY_BYTES_MAX).await?, &who.name).await)
        }
        "/api/v1/recordings" => Ok(recordings::list(vitals).await),
        "/api/v1/recordings/now" => {
            let query = query(&["device"]).map_err(wrong)?;
            Ok(recordings::now(vitals, query.get("device").ok_or_else(|| wrong("write ?device=NAME".into()))?))
        }
        "/api/v1/recordings/file" => {
            let query = query(&["name"]).map_err(wrong)?;
            Ok(recordings::file(vitals, query.get("name").ok_or_else(|| wrong("write ?name=FILE".into()))?).await)
        }
        "/api/v1/recordings/save" => {
            Ok(recordings::save(vitals, &body::object(request, BODY_BYTES_MAX).await?, &who.name).await)
        }
        "/api/v1/recordings/decoding" => {
            Ok(recordings::decoding(vitals, &body::object(request, BODY_BYTES_MAX).await?, &who.name))
        }
        "/api/v1/read" => {
            Ok(devices::read(&body::object(request, BODY_BYTES_MAX).await?, &who.name, &site.askers).await)
        }
        "/api/v1/browse" => {
            Ok(devices::browse(&body::object(request, BODY_BYTES_MAX).await?, &who.name, &site.askers).await)
        }
        "/api/v1/config" => Ok(config::show(vitals)),
        "/api/v1/config/check" => Ok(config::check(vitals, &body::bytes(request, config::FILE_BYTES_MAX).await?).await),
        "/api/v1/config/apply" => {
            let query = query(&config::PARAMETERS).map_err(wrong)?;
            let text = body::bytes(request, config::FILE_BYTES_MAX).await?;
            Ok(config::change(vitals, Change::Apply(&text, query), &who.name).await)
        }
        "/api/v1/config/confirm" => Ok(config::change(vitals, Change::Confirm, &who.name).await),
        "/api/v1/config/roll-back" => Ok(config::change(vitals, Change::RollBack, &who.name).await),
        _ => Err(told(StatusCode::NOT_FOUND, "there is nothing at this path")),
    }
}

fn wrong(what: String) -> Answer {
    told(StatusCode::BAD_REQUEST, &what)
}

/// Too many do the same.
pub(super) fn busy(what: &str) -> Answer {
    told(StatusCode::TOO_MANY_REQUESTS, &format!("{what}: ask again in a few seconds"))
}

fn said(events: &Events) -> Value {
    json!({ "events": events.after(0).iter().map(live::event_json).collect::<Value>() })
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
