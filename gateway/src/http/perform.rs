//! What stands behind each path: the query or the body is read, and the part that knows the answer asked.
//!
//! Both ends are answers here: a wrong query or a body that does not come ends with one.

use std::net::SocketAddr;

use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use serde_json::{Value, json};

use super::access::Who;
use super::answer::Site;
use super::config::Change;
use super::query::Query;
use super::reply::{Answer, busy, json_answer, told, whole};
use super::routes::Route;
use super::{body, command, config, devices, history, live, metrics, openapi, quarantine, recordings, status, values};
use crate::events::Events;
use crate::pipeline::vitals::Vitals;

/// The longest body of a request that has no bound of its own, bytes.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// A request that its sender may make.
pub(super) struct Permitted {
    pub(super) route: &'static Route,
    pub(super) request: Request<Incoming>,
    pub(super) who: Who,
    pub(super) peer: SocketAddr,
}

/// What the path is for.
pub(super) async fn perform(asked: Permitted, site: &Site) -> Result<Answer, Answer> {
    match asked.route.method == Method::GET {
        true => tell(asked.route.path, asked.request.uri().query(), &asked.who, site).await,
        false => act(asked, site).await,
    }
}

/// What only looks.
async fn tell(path: &str, text: Option<&str>, who: &Who, site: &Site) -> Result<Answer, Answer> {
    let vitals = &*site.vitals.get();
    let query = |known: &[&str]| Query::parse(text, known);
    let value = match path {
        "/healthz" => return Ok(health(vitals)),
        "/readyz" => return Ok(ready(vitals)),
        "/metrics" => {
            let figures = metrics::text(vitals, &vitals.log_state().await);
            return Ok(whole(StatusCode::OK, "text/plain; version=0.0.4", figures));
        }
        "/api/v1/openapi.json" => return Ok(whole(StatusCode::OK, "application/json", openapi::DOCUMENT)),
        "/api/v1/live" => {
            let query = query(&live::PARAMETERS).map_err(wrong)?;
            return live::answer(&site.vitals, &site.events, &site.watchers, &query).await.map_err(wrong);
        }
        "/api/v1/session" => Ok(site.access.session(who)),
        "/api/v1/status" => Ok(status::json(vitals, &vitals.log_state().await)),
        "/api/v1/events" => Ok(said(&site.events)),
        "/api/v1/tags" => values::names(vitals, &query(&values::PARAMETERS).map_err(wrong)?),
        "/api/v1/values" => values::json(vitals, &query(&values::PARAMETERS).map_err(wrong)?).await,
        "/api/v1/history" => {
            let query = query(&history::PARAMETERS).map_err(wrong)?;
            let Ok(_place) = site.readers.try_acquire() else { return Err(busy("others read the log just now")) };
            history::json(vitals, &query).await
        }
        _ => return tell_engineer(path, text, vitals).await,
    };
    value.map(|value| json_answer(StatusCode::OK, &value)).map_err(wrong)
}

/// What only looks, at what is not for everybody.
async fn tell_engineer(path: &str, text: Option<&str>, vitals: &Vitals) -> Result<Answer, Answer> {
    let query = |known: &[&str]| Query::parse(text, known);
    let missing = |what: &str| wrong(format!("write {what}"));
    Ok(match path {
        "/api/v1/quarantine" => {
            quarantine::list(vitals, &query(&quarantine::PARAMETERS).map_err(wrong)?).await.map_err(wrong)?
        }
        "/api/v1/quarantine/message" => {
            let query = query(&["uplink", "number"]).map_err(wrong)?;
            let number = query.get("number").and_then(|number| number.parse().ok());
            let place = query.get("uplink").zip(number).ok_or_else(|| missing("?uplink=NAME&number=1"))?;
            quarantine::show(vitals, place.0, place.1).await
        }
        "/api/v1/recordings" => recordings::list(vitals).await,
        "/api/v1/recordings/now" => {
            let query = query(&["device"]).map_err(wrong)?;
            recordings::now(vitals, query.get("device").ok_or_else(|| missing("?device=NAME"))?)
        }
        "/api/v1/recordings/file" => {
            let query = query(&["name"]).map_err(wrong)?;
            recordings::file(vitals, query.get("name").ok_or_else(|| missing("?name=FILE"))?).await
        }
        "/api/v1/config" => config::show(vitals),
        _ => return Err(nothing()),
    })
}

/// What does something.
async fn act(asked: Permitted, site: &Site) -> Result<Answer, Answer> {
    let Permitted { route, request, who, peer } = asked;
    let vitals = &*site.vitals.get();
    Ok(match route.path {
        "/api/v1/commands" => command::command(request, peer, who, vitals).await,
        "/api/v1/logout" => site.access.logout(request.headers()),
        "/api/v1/login" => {
            let headers = request.headers().clone();
            site.access.login(&body::object(request, BODY_BYTES_MAX).await?, &headers, peer).await
        }
        "/api/v1/config/check" => config::check(vitals, &body::bytes(request, config::FILE_BYTES_MAX).await?).await,
        "/api/v1/config/apply" => {
            let query = Query::parse(request.uri().query(), &config::PARAMETERS).map_err(wrong)?;
            let text = body::bytes(request, config::FILE_BYTES_MAX).await?;
            config::change(vitals, Change::Apply(&text, query), &who.name).await
        }
        "/api/v1/config/confirm" => config::change(vitals, Change::Confirm, &who.name).await,
        "/api/v1/config/roll-back" => config::change(vitals, Change::RollBack, &who.name).await,
        path => act_on(path, &body::object(request, BODY_BYTES_MAX).await?, &who.name, site).await?,
    })
}

/// What does something to what an object names.
async fn act_on(path: &str, object: &Value, who: &str, site: &Site) -> Result<Answer, Answer> {
    let vitals = &*site.vitals.get();
    Ok(match path {
        "/api/v1/quarantine/retry" => quarantine::retry_some(vitals, object, who).await,
        "/api/v1/quarantine/drop" => quarantine::drop_some(vitals, object, who).await,
        "/api/v1/recordings/save" => recordings::save(vitals, object, who).await,
        "/api/v1/recordings/decoding" => recordings::decoding(vitals, object, who),
        "/api/v1/read" => devices::read(object, who, &site.askers).await,
        "/api/v1/browse" => devices::browse(object, who, &site.askers).await,
        _ => return Err(nothing()),
    })
}

fn nothing() -> Answer {
    told(StatusCode::NOT_FOUND, "there is nothing at this path")
}

fn wrong(what: String) -> Answer {
    told(StatusCode::BAD_REQUEST, &what)
}

fn said(events: &Events) -> Value {
    json!({ "events": events.after(0).iter().map(live::event_json).collect::<Value>() })
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
