//! One request, one answer: whether it is for us, whether there is such a path, and who may ask.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{ALLOW, HOST, HeaderValue};
use hyper::{HeaderMap, Method, Request, StatusCode};
use tokio::sync::Semaphore;

use super::access::{Access, Who, is_of_another_site};
use super::page;
use super::perform::{Permitted, perform};
use super::reply::{Answer, told};
use super::routes::{Needs, ROUTES, Route, methods};
use crate::events::Events;
use crate::pipeline::command::Role;
use crate::pipeline::vitals::Present;

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
        Ok(who) => perform(Permitted { route, request, who, peer }, site).await.unwrap_or_else(|answer| answer),
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

/// A page of some site in a browser on this machine must not reach the gateway under a name of its own.
fn is_for_us(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST).and_then(|host| host.to_str().ok()) else { return true };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
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
