//! The state of the gateway as JSON. No I/O.

use serde_json::{Map, Value, json};

use crate::pipeline::command::Outcome;
use crate::pipeline::vitals::{LogState, Vitals, count, is};

/// All that is known, with names.
pub(super) fn json(vitals: &Vitals, log: &LogState) -> Value {
    let unready = vitals.unready();
    json!({
        "gateway": vitals.gateway,
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_s": vitals.since.elapsed().as_secs(),
        "ready": unready.is_empty(),
        "reasons": unready,
        "lines": lines(vitals),
        "buffer": buffer(vitals, log),
        "uplinks": uplinks(vitals),
        "commands": commands(vitals),
    })
}

fn lines(vitals: &Vitals) -> Value {
    let lines = vitals.lines.iter().zip(&vitals.health.lines).map(|(names, line)| {
        let connected = is(&line.connected);
        let devices = names.devices.iter().zip(&line.devices).map(|(name, device)| {
            json!({
                "name": name,
                "up": connected && !is(&device.suspended),
                "polls": count(&device.polls),
                "silent_polls": count(&device.silent),
                "missed_cycles": count(&device.missed),
            })
        });
        json!({ "name": names.name, "connected": connected, "devices": devices.collect::<Value>() })
    });
    lines.collect()
}

fn buffer(vitals: &Vitals, log: &LogState) -> Value {
    let progress = vitals.log.progress();
    json!({
        "writable": !is(&progress.failing),
        "accepted_readings": count(&progress.accepted),
        "lost_readings": count(&progress.lost),
        "disk_bytes": log.stats.as_ref().map(|stats| stats.disk_bytes),
        "next_seq": log.stats.as_ref().map(|stats| stats.next_seq),
        "oldest_age_s": log.oldest_ns.map(|ns| ns / 1_000_000_000),
    })
}

fn uplinks(vitals: &Vitals) -> Value {
    let uplinks = vitals.uplinks.iter().map(|uplink| {
        let counters = &uplink.counters;
        json!({
            "name": uplink.name,
            "connected": is(&counters.connected),
            "lag_readings": count(&counters.lag_records),
            "delivered_readings": count(&counters.delivered_records),
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
