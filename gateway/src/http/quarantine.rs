//! The messages that far sides refused for good, over HTTP.

use std::collections::BTreeSet;

use hyper::StatusCode;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;
use tracing::info;

use super::query::Query;
use super::reply::{Answer, json_answer, told};
use crate::pipeline::forward::quarantine::{Kept, Quarantine};
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
    let numbers: Option<BTreeSet<u64>> =
        body["numbers"].as_array().and_then(|numbers| numbers.iter().map(Value::as_u64).collect());
    let (Some(uplink), Some(numbers)) = (body["uplink"].as_str(), numbers.filter(|numbers| !numbers.is_empty())) else {
        return told(StatusCode::BAD_REQUEST, "send {\"uplink\": NAME, \"numbers\": [1, 2]}");
    };
    let Some(quarantine) = of(vitals, uplink) else { return no_uplink() };
    let wanted = numbers.clone();
    match spawn_blocking(move || quarantine.remove_beside(&wanted)).await {
        Ok(Ok(dropped)) => {
            info!(uplink, who, dropped, "messages were dropped from the quarantine");
            json_answer(StatusCode::OK, &json!({ "uplink": uplink, "dropped": dropped }))
        }
        Ok(Err(cause)) => unreadable(&cause),
        Err(panic) => told(StatusCode::INTERNAL_SERVER_ERROR, &panic.to_string()),
    }
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
