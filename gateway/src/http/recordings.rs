//! The flight recorder over HTTP: what is recorded, saved and fetched, and whether the log tells the frames of a line.

use std::io;
use std::sync::Arc;

use driver_core::Timestamp;
use hyper::StatusCode;
use hyper::header::{CONTENT_DISPOSITION, HeaderValue};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;
use tracing::info;

use super::reply::{Answer, json_answer, told, whole};
use crate::pipeline::recorder::{RecordError, Recorded, Recorders, Saved};
use crate::pipeline::vitals::Vitals;

/// What IANA calls a capture.
const KIND: &str = "application/vnd.tcpdump.pcap";

/// `GET /api/v1/recordings`: what is recorded now, line by line, and what was saved.
pub(super) async fn list(vitals: &Vitals) -> Answer {
    let Some(recorders) = recorders(vitals) else { return off() };
    let lines: Vec<Value> = recorders.lines().iter().map(line).collect();
    match on_disk(move || recorders.saved()).await {
        Ok(saved) => {
            let saved: Vec<Value> = saved.iter().map(one).collect();
            json_answer(StatusCode::OK, &json!({ "lines": lines, "saved": saved }))
        }
        Err(answer) => *answer,
    }
}

/// `POST /api/v1/recordings/save`: `{"device": …}`.
pub(super) async fn save(vitals: &Vitals, body: &Value, who: &str) -> Answer {
    let Some(device) = body["device"].as_str().map(str::to_owned) else {
        return told(StatusCode::BAD_REQUEST, "send {\"device\": NAME}");
    };
    let Some(recorders) = recorders(vitals) else { return off() };
    info!(who, device, "a recording is saved from the page");
    match on_disk(move || Ok(recorders.save(&device))).await {
        Ok(Ok(path)) => {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            json_answer(StatusCode::OK, &json!({ "name": name }))
        }
        Ok(Err(refused)) => not_recorded(&refused),
        Err(answer) => *answer,
    }
}

/// `GET /api/v1/recordings/file?name=…`.
pub(super) async fn file(vitals: &Vitals, name: &str) -> Answer {
    let Some(recorders) = recorders(vitals) else { return off() };
    let wanted = name.to_owned();
    match on_disk(move || recorders.read(&wanted)).await {
        Ok(Some(bytes)) => pcapng(name, bytes),
        Ok(None) => told(StatusCode::NOT_FOUND, "there is no recording of this name; the oldest give way to new ones"),
        Err(answer) => *answer,
    }
}

/// `GET /api/v1/recordings/now?device=…`: what is recorded at the moment; nothing is saved.
pub(super) fn now(vitals: &Vitals, device: &str) -> Answer {
    let Some(recorders) = recorders(vitals) else { return off() };
    match recorders.pcapng(device) {
        Ok(bytes) => pcapng(&format!("{device}.pcapng"), bytes),
        Err(refused) => not_recorded(&refused),
    }
}

/// `POST /api/v1/recordings/decoding`: `{"device": …, "decoding": true}`.
pub(super) fn decoding(vitals: &Vitals, body: &Value, who: &str) -> Answer {
    let (Some(device), Some(is_on)) = (body["device"].as_str(), body["decoding"].as_bool()) else {
        return told(StatusCode::BAD_REQUEST, "send {\"device\": NAME, \"decoding\": true}");
    };
    let Some(recorders) = recorders(vitals) else { return off() };
    match recorders.set_decoding(device, is_on) {
        Ok(()) => {
            info!(who, device, is_on, "the frames of a device in the log, as the page wants it");
            json_answer(StatusCode::OK, &json!({ "device": device, "decoding": is_on }))
        }
        Err(refused) => not_recorded(&refused),
    }
}

fn recorders(vitals: &Vitals) -> Option<Arc<Recorders>> {
    vitals.recorders.clone()
}

fn line(recorded: &Recorded) -> Value {
    json!({
        "line": recorded.line,
        "devices": recorded.devices,
        "recorded_bytes": recorded.bytes,
        "decoding": recorded.is_decoding,
    })
}

fn one(saved: &Saved) -> Value {
    json!({ "name": saved.name, "bytes": saved.bytes, "time": Timestamp::from(saved.at).to_string() })
}

fn pcapng(name: &str, bytes: Vec<u8>) -> Answer {
    let mut answer = whole(StatusCode::OK, KIND, bytes);
    // A name in quotes has neither quotes nor anything beyond ASCII (RFC 6266).
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect();
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{plain}\"")) {
        answer.headers_mut().insert(CONTENT_DISPOSITION, value);
    }
    answer
}

async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, Box<Answer>> {
    let failed = |cause: &dyn std::fmt::Display| {
        let what = format!("the recordings cannot be used: {cause}");
        Box::new(told(StatusCode::INTERNAL_SERVER_ERROR, &what))
    };
    match spawn_blocking(work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(cause)) => Err(failed(&cause)),
        Err(panic) => Err(failed(&panic)),
    }
}

fn not_recorded(refused: &RecordError) -> Answer {
    let status = match refused {
        RecordError::Unknown(_) => StatusCode::NOT_FOUND,
        RecordError::Empty(_) => StatusCode::CONFLICT,
        RecordError::Disk { .. } => StatusCode::INTERNAL_SERVER_ERROR,
    };
    told(status, &refused.to_string())
}

fn off() -> Answer {
    told(StatusCode::CONFLICT, "the flight recorder does not run; the gateway's log says why")
}
