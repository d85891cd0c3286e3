//! The messages that far sides refused for good, over HTTP.

use std::collections::BTreeSet;

use hyper::StatusCode;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;
use tracing::info;

use super::query::Query;
use super::reply::{Answer, json_answer, told};
use crate::pipeline::forward::quarantine::{Kept, Quarantine};
use crate::pipeline::forward::retry::{self, NotAsked};
use crate::pipeline::vitals::Vitals;

/// What a request for the list may say.
pub(super) const PARAMETERS: [&str; 3] = ["uplink", "after", "limit"];

/// Messages of one list, at most, and where it does not say how many.
const MESSAGES_MAX: usize = 1000;
const MESSAGES_USUAL: usize = 100;

/// The longest payload that is shown, bytes; `forebay buffer quarantine export` gives it whole.
const PAYLOAD_BYTES_MAX: usize = 64 * 1024;

/// The messages of one uplink, without their payloads.
pub(super) async fn list(vitals: &Vitals, query: &Query) -> Result<Answer, String> {
    let limit = query.number("limit", MESSAGES_USUAL, MESSAGES_MAX)?;
    let after = match query.get("after") {
        None => 0,
        Some(text) => text.parse::<u64>().map_err(|_| "`after` is the number of a message".to_owned())?,
    };
    let name = query.get("uplink").ok_or("`uplink` is missing: write ?uplink=NAME")?.to_owned();
    let Some(quarantine) = of(vitals, &name) else { return Ok(no_uplink()) };
    let read = spawn_blocking(move || {
        let messages = quarantine.messages()?;
        messages
            .filter(|kept| kept.as_ref().map_or(true, |kept| kept.number > after))
            .take(limit)
            .collect::<Result<Vec<_>, _>>()
    });
    Ok(match read.await {
        Ok(Ok(kept)) => {
            let messages: Vec<Value> = kept.iter().map(head).collect();
            json_answer(StatusCode::OK, &json!({ "uplink": name, "messages": messages }))
        }
        Ok(Err(cause)) => unreadable(&cause),
        Err(panic) => told(StatusCode::INTERNAL_SERVER_ERROR, &panic.to_string()),
    })
}

/// One message, whole.
pub(super) async fn show(vitals: &Vitals, uplink: &str, number: u64) -> Answer {
    let Some(quarantine) = of(vitals, uplink) else { return no_uplink() };
    let found = spawn_blocking(move || {
        quarantine.messages()?.find(|kept| kept.as_ref().map_or(true, |kept| kept.number == number)).transpose()
    });
    match found.await {
        Ok(Ok(Some(kept))) => json_answer(StatusCode::OK, &whole(&kept)),
        Ok(Ok(None)) => told(StatusCode::NOT_FOUND, "there is no message of this number"),
        Ok(Err(cause)) => unreadable(&cause),
        Err(panic) => told(StatusCode::INTERNAL_SERVER_ERROR, &panic.to_string()),
    }
}

/// Removes messages for good. Their numbers and reasons are in the log.
pub(super) async fn drop_some(vitals: &Vitals, body: &Value, who: &str) -> Answer {
    let Some((uplink, numbers)) = chosen(body) else { return unchosen() };
    let Some(quarantine) = of(vitals, uplink) else { return no_uplink() };
    match spawn_blocking(move || quarantine.remove_beside(&numbers)).await {
        Ok(Ok(dropped)) => {
            info!(uplink, who, dropped, "messages were dropped from the quarantine");
            json_answer(StatusCode::OK, &json!({ "uplink": uplink, "dropped": dropped }))
        }
        Ok(Err(cause)) => unreadable(&cause),
        Err(panic) => told(StatusCode::INTERNAL_SERVER_ERROR, &panic.to_string()),
    }
}

/// Has messages offered once more: what the far side takes now leaves the quarantine, what it refuses stays.
pub(super) async fn retry_some(vitals: &Vitals, body: &Value, who: &str) -> Answer {
    let Some((uplink, numbers)) = chosen(body) else { return unchosen() };
    if of(vitals, uplink).is_none() {
        return no_uplink();
    }
    let (buffer, name) = (vitals.buffer.clone(), uplink.to_owned());
    match spawn_blocking(move || retry::ask(&buffer, &name, &numbers)).await {
        Ok(Ok(job)) => {
            info!(uplink, who, job, "messages of the quarantine are to be sent again");
            json_answer(StatusCode::OK, &json!({ "uplink": uplink, "job": job }))
        }
        Ok(Err(refused)) => {
            let status = match refused {
                NotAsked::Unknown(_) | NotAsked::Empty => StatusCode::NOT_FOUND,
                NotAsked::Disk(_) => StatusCode::INTERNAL_SERVER_ERROR,
            };
            told(status, &refused.to_string())
        }
        Err(panic) => told(StatusCode::INTERNAL_SERVER_ERROR, &panic.to_string()),
    }
}

/// The uplink and the numbers of a request.
fn chosen(body: &Value) -> Option<(&str, BTreeSet<u64>)> {
    let numbers: BTreeSet<u64> = body["numbers"].as_array()?.iter().map(Value::as_u64).collect::<Option<_>>()?;
    Some((body["uplink"].as_str()?, numbers)).filter(|(_, numbers)| !numbers.is_empty())
}

fn unchosen() -> Answer {
    told(StatusCode::BAD_REQUEST, "send {\"uplink\": NAME, \"numbers\": [1, 2]}")
}

/// Only uplinks of the configuration have one: a name from outside makes no path.
fn of(vitals: &Vitals, uplink: &str) -> Option<Quarantine> {
    let known = vitals.uplinks.iter().find(|known| &*known.name == uplink)?;
    Some(Quarantine::beside(&vitals.buffer, &known.name))
}

fn head(kept: &Kept) -> Value {
    let place = kept.place();
    json!({
        "number": kept.number,
        "topic": kept.topic(),
        "epoch": place.map(|(epoch, ..)| epoch),
        "first": place.map(|(_, first, _)| first),
        "last": place.map(|(_, _, last)| last),
        "reason": kept.reason(),
    })
}

fn whole(kept: &Kept) -> Value {
    let mut object = head(kept);
    let mut payload = kept.payload().unwrap_or_default();
    object["payload_bytes"] = payload.len().into();
    payload.truncate(PAYLOAD_BYTES_MAX);
    match String::from_utf8(payload) {
        Ok(text) => object["payload"] = text.into(),
        Err(bytes) => {
            object["payload_hex"] =
                bytes.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>().into();
        }
    }
    object
}

fn no_uplink() -> Answer {
    told(StatusCode::NOT_FOUND, "there is no uplink of this name")
}

fn unreadable(cause: &std::io::Error) -> Answer {
    told(StatusCode::INTERNAL_SERVER_ERROR, &format!("the quarantine cannot be used: {cause}"))
}
