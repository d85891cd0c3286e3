//! A device read or browsed once, for those who set the plant up: what `forebay read` and `forebay browse` do, from the page.
//!
//! It is a connection of its own, so that what is tried here disturbs no poll but by the place that it takes at the device.
//! Only devices in the network can be asked, and no option may name a file: nothing from outside reaches the disk.

use std::time::Duration;

use driver_core::{
    BrowseError, DeviceSpec, EndpointUrl, Entry, EntryKind, GroupId, Line, LineSpec, LinkError, Reading, Readings,
    SystemClock, TagId, TagSpec,
};
use hyper::StatusCode;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::info;

use super::reply::{Answer, busy, json_answer, told};
use crate::pipeline::command::json::json_value;

/// Addresses of one request.
const ADDRESSES_MAX: usize = 64;

/// The longest URL, address or place, bytes.
const TEXT_BYTES_MAX: usize = 1024;

/// How long a device may take for all of it.
const WITHIN: Duration = Duration::from_secs(15);

/// Entries of one answer.
const ENTRIES_MAX: usize = 2000;

/// `POST /api/v1/read`: `{"url": …, "addresses": […]}`.
pub(super) async fn read(body: &Value, who: &str, places: &Semaphore) -> Answer {
    let addresses: Option<Vec<String>> = body["addresses"]
        .as_array()
        .and_then(|all| all.iter().map(|one| one.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>());
    let addresses = addresses.filter(|all| (1..=ADDRESSES_MAX).contains(&all.len()));
    let (Some(url), Some(addresses)) = (body["url"].as_str(), addresses) else {
        let what = format!("send {{\"url\": …, \"addresses\": […]}} with 1 to {ADDRESSES_MAX} addresses");
        return told(StatusCode::BAD_REQUEST, &what);
    };
    let mut line = match line(url, &addresses) {
        Ok(line) => line,
        Err(wrong) => return told(StatusCode::UNPROCESSABLE_ENTITY, &wrong),
    };
    let Ok(_place) = places.try_acquire() else { return busy("others ask a device just now") };
    info!(who, url = line.0, "a device is read from the page");
    let asked = async {
        line.1.connect().await?;
        let mut readings = Vec::new();
        line.1.poll(0, GroupId(0), &mut Readings::new(&mut readings, &SystemClock)).await?;
        line.1.close().await;
        Ok::<_, LinkError>(readings)
    };
    match timeout(WITHIN, asked).await {
        Ok(Ok(mut readings)) => {
            readings.sort_by_key(|reading| reading.tag);
            let readings: Vec<Value> = readings.iter().filter_map(|reading| one(reading, &addresses)).collect();
            json_answer(StatusCode::OK, &json!({ "readings": readings }))
        }
        Ok(Err(cause)) => told(StatusCode::FAILED_DEPENDENCY, &cause.to_string()),
        Err(_) => told(StatusCode::FAILED_DEPENDENCY, &format!("the device did not answer within {WITHIN:?}")),
    }
}

fn one(reading: &Reading, addresses: &[String]) -> Option<Value> {
    Some(json!({
        "address": addresses.get(reading.tag.index())?,
        "value": json_value(&reading.value),
        "text": reading.value.to_string(),
        "quality": reading.quality.level().name(),
        "reason": reading.quality.reason().map(|reason| reason.name()),
    }))
}

/// `POST /api/v1/browse`: `{"url": …, "place": …}`; without a place it begins at the root.
pub(super) async fn browse(body: &Value, who: &str, places: &Semaphore) -> Answer {
    let Some(url) = body["url"].as_str() else {
        return told(StatusCode::BAD_REQUEST, "send {\"url\": …, \"place\": …}");
    };
    let place = body["place"].as_str().unwrap_or_default();
    if place.len() > TEXT_BYTES_MAX {
        return told(StatusCode::BAD_REQUEST, "the place is too long");
    }
    let mut line = match line(url, &[]) {
        Ok(line) => line,
        Err(wrong) => return told(StatusCode::UNPROCESSABLE_ENTITY, &wrong),
    };
    let Ok(_place) = places.try_acquire() else { return busy("others ask a device just now") };
    info!(who, url = line.0, "a device is browsed from the page");
    let asked = async {
        line.1.connect().await?;
        let found = line.1.browse(0, place).await?;
        line.1.close().await;
        Ok::<Result<Vec<Entry>, BrowseError>, LinkError>(found)
    };
    match timeout(WITHIN, asked).await {
        Ok(Ok(Ok(entries))) => {
            let shown: Vec<Value> = entries.iter().take(ENTRIES_MAX).map(entry).collect();
            json_answer(StatusCode::OK, &json!({ "entries": shown, "complete": entries.len() <= ENTRIES_MAX }))
        }
        Ok(Ok(Err(cause))) => told(StatusCode::UNPROCESSABLE_ENTITY, &cause.to_string()),
        Ok(Err(cause)) => told(StatusCode::FAILED_DEPENDENCY, &cause.to_string()),
        Err(_) => told(StatusCode::FAILED_DEPENDENCY, &format!("the device did not answer within {WITHIN:?}")),
    }
}

fn entry(entry: &Entry) -> Value {
    let kind = match entry.kind {
        EntryKind::Folder => "folder",
        EntryKind::Variable => "variable",
        EntryKind::Method => "method",
    };
    json!({ "name": entry.name, "address": entry.address, "kind": kind, "type": entry.data_type, "writable": entry.writable })
}

/// A line to these addresses, with the URL as it may be logged; or what is wrong.
fn line(url: &str, addresses: &[String]) -> Result<(String, Box<dyn Line>), String> {
    if url.len() > TEXT_BYTES_MAX || addresses.iter().any(|address| address.len() > TEXT_BYTES_MAX) {
        return Err(format!("a URL and an address have at most {TEXT_BYTES_MAX} bytes"));
    }
    let parsed: EndpointUrl = url.parse().map_err(|wrong: driver_core::SpecError| wrong.message)?;
    let driver = drivers::by_scheme(parsed.scheme()).ok_or_else(|| {
        format!("this build has no driver for `{}`", parsed.scheme().chars().take(40).collect::<String>())
    })?;
    let names_a_file = url.split_once('?').is_some_and(|(_, options)| options.contains(['/', '%']));
    if parsed.host().is_empty() || names_a_file {
        return Err(
            "only a device in the network can be asked from here, without files; `forebay read` asks others".into()
        );
    }
    let shown = url.split_once('?').map_or(url, |(before, _)| before);
    let shown = shown.split_once('@').map_or(shown, |(_, after)| after).to_owned();
    let tags = addresses.iter().zip(0..);
    let tags = tags.map(|(address, id)| TagSpec { id: TagId(id), address, group: GroupId(0) });
    let device = DeviceSpec { groups: vec![Duration::from_secs(1)], tags: tags.collect(), ..DeviceSpec::default() };
    let line = driver.line(&LineSpec { url: parsed, timeout: None, devices: vec![device] });
    let line =
        line.map_err(|errors| errors.iter().map(|error| error.message.clone()).collect::<Vec<_>>().join("; "))?;
    Ok((shown, line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_devices_in_the_network_are_asked_and_no_file_is_named() {
        assert!(line("modbus-tcp://10.0.0.11?unit=1", &["hr:0:INT".into()]).is_ok());
        for wrong in [
            "modbus-rtu:///dev/ttyUSB0?unit=1",
            "modbus-tls://10.0.0.11?ca=/etc/passwd",
            "modbus-tls://10.0.0.11?ca=%2Fetc%2Fpasswd",
            "http://10.0.0.11/",
            "",
        ] {
            assert!(line(wrong, &["hr:0:INT".into()]).is_err(), "{wrong}");
        }
        assert!(line("modbus-tcp://10.0.0.11?unit=1", &["nonsense".into()]).is_err());
        assert!(line("modbus-tcp://10.0.0.11", &["x".repeat(TEXT_BYTES_MAX + 1)]).is_err());
    }
}
