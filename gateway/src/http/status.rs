//! The state of the gateway as JSON. No I/O.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use buffer::GapReason;
use driver_core::Level;
use serde_json::{Map, Value, json};

use crate::pipeline::command::Outcome;
use crate::pipeline::health::{DeviceHealth, LineHealth};
use crate::pipeline::tags::DevicePlace;
use crate::pipeline::vitals::{LogState, Vitals, count, is};

/// All that is known, with names.
pub(super) fn json(vitals: &Vitals, log: &LogState) -> Value {
    let unready = vitals.unready();
    json!({
        "gateway": vitals.gateway,
        "time": vitals.clock.now().0.to_string(),
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_s": vitals.since.elapsed().as_secs(),
        "ready": unready.is_empty(),
        "reasons": unready,
        "configuration": vitals.reload.as_ref().map(|reload| reload.state().json()),
        "lines": lines(vitals),
        "buffer": buffer(vitals, log),
        "uplinks": uplinks(vitals),
        "commands": commands(vitals),
    })
}

fn lines(vitals: &Vitals) -> Value {
    let bad = bad_tags(vitals);
    let lines = vitals.lines.iter().zip(&vitals.health.lines).enumerate().map(|(line_index, (names, line))| {
        let connected = is(&line.connected);
        let devices = names.devices.iter().zip(&line.devices).enumerate();
        let devices = devices.map(|(index, (name, device))| {
            let (state, reason) = state(line, device);
            let place = DevicePlace { line: line_index as u32, device: index as u32 };
            json!({
                "name": name,
                "up": connected && !is(&device.suspended),
                "state": state,
                "reason": reason,
                "every_ms": millis(names.every(index)),
                "last_poll_ms": count(&device.last_poll_us) as f64 / 1000.0,
                "answered_ago_ms": line.since_answer(device, Instant::now()).map(millis),
                "polls": device.sum(|group| &group.polls),
                "poll_ms_total": device.sum(|group| &group.poll_us) / 1000,
                "silent_polls": count(&device.silent),
                "missed_cycles": device.sum(|group| &group.missed),
                "bad_tags": bad.as_ref().map(|bad| bad.get(&place).copied().unwrap_or(0)),
            })
        });
        json!({
            "name": names.name,
            "connected": connected,
            "connects": count(&line.connects),
            "panics": count(&line.panics),
            "devices": devices.collect::<Value>(),
        })
    });
    lines.collect()
}

/// What a device is, and why, in words.
fn state(line: &LineHealth, device: &DeviceHealth) -> (&'static str, Option<String>) {
    if !is(&line.connected) {
        let cause = line.cause();
        return match cause.is_empty() {
            true => ("connecting", None),
            false => ("not connected", Some(cause)),
        };
    }
    match (is(&device.suspended), is(&device.unanswered)) {
        (true, _) => ("suspended", Some(SUSPENDED.into())),
        (false, true) => ("silent", Some("its last poll had no answer in time".into())),
        (false, false) => ("up", None),
    }
}

const SUSPENDED: &str = "it does not answer and is left alone but for a touch now and then: check its power, its unit \
                         number and its wiring";

/// How many tags of each device are bad, while somebody looks.
fn bad_tags(vitals: &Vitals) -> Option<HashMap<DevicePlace, u64>> {
    vitals.watched.latest.is_wanted().then(|| {
        let mut bad = HashMap::new();
        vitals.watched.latest.each(|tag, last| {
            if let Some(place) = vitals.tags.place(tag).filter(|_| last.quality.level() == Level::Bad) {
                *bad.entry(place).or_default() += 1;
            }
        });
        bad
    })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn buffer(vitals: &Vitals, log: &LogState) -> Value {
    let progress = vitals.log.progress();
    let mut object = json!({
        "writable": !is(&progress.failing),
        "accepted_readings": count(&progress.accepted),
        "lost_readings": count(&progress.lost),
        "size_max_bytes": vitals.buffer_bytes_max,
        "disk_bytes": log.stats.as_ref().map(|stats| stats.disk_bytes),
        "next_seq": log.stats.as_ref().map(|stats| stats.next_seq),
        "oldest_age_s": log.oldest_ns.map(|ns| ns / 1_000_000_000),
    });
    if let Some(stats) = &log.stats {
        object["written_bytes"] = stats.written_bytes_total.into();
        object["device_bytes"] = stats.device_bytes_total.into();
        object["unsynced_bytes"] = stats.unsynced_bytes.into();
        object["syncs"] = stats.syncs_total.into();
        object["sync_failures"] = stats.sync_failures_total.into();
    }
    object["losses"] = losses(vitals, log);
    object
}

/// Readings that were lost, by reason; only reasons that were met.
fn losses(vitals: &Vitals, log: &LogState) -> Value {
    let stored =
        log.stats.iter().flat_map(|stats| GapReason::ALL.map(|reason| (reason.name(), stats.lost_records(reason))));
    let never = [("not-stored", count(&vitals.log.progress().lost))];
    let met = never.into_iter().chain(stored).filter(|(_, lost)| *lost > 0);
    Value::Object(met.map(|(reason, lost)| (reason.to_owned(), json!(lost))).collect())
}

fn uplinks(vitals: &Vitals) -> Value {
    let uplinks = vitals.uplinks.iter().map(|uplink| {
        let counters = &uplink.counters;
        json!({
            "name": uplink.name,
            "connected": is(&counters.connected),
            "lag_readings": count(&counters.lag_records),
            "delivered_readings": count(&counters.delivered_records),
            "in_flight_messages": count(&counters.in_flight),
            "sent_bytes": count(&counters.sent_bytes),
            "connects": count(&counters.connects),
            "connection_losses": count(&counters.losses),
            "history_share_percent": count(&counters.history_share_percent),
            "refused_messages": count(&counters.refused),
            "quarantined_messages": count(&counters.set_aside),
        })
    });
    uplinks.collect()
}

fn commands(vitals: &Vitals) -> Value {
    let mut counts = Map::new();
    for counted in vitals.desk.tally().counts().filter(|counted| counted.count > 0) {
        let name = match counted.outcome {
            Outcome::Refused(why) => format!("refused {}", why.name()),
            outcome => outcome.name().to_owned(),
        };
        counts.insert(name, json!(counted.count));
    }
    Value::Object(counts)
}
