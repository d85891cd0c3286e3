//! What a day's readings take in the log and on the way to each uplink: one cycle of made-up values is encoded and
//! formatted by the very code that will do it, and multiplied.

use std::fmt;

use driver_core::{ClockState, DataType, Quality, Reading, Tense, Timestamp, Value};
use serde_json::json;

use super::wear::Wear;
use super::{LinePlan, cycles_a_day};
use crate::config::Config;
use crate::pipeline::deliver::way;
use crate::pipeline::encode::Encoder;
use crate::uplink::Lane;
use crate::uplink::format::Records;

/// A day in figures, before deadbands and report on change take their part.
pub(super) struct Volume {
    readings: f64,
    log_bytes: Option<f64>,
    wear: Option<Wear>,
    /// By the uplink's name: messages and bytes, topic and payload, without compression.
    uplinks: Vec<(String, f64, f64)>,
}

/// One cycle of a poll group, as it would be stored.
struct Cycle {
    readings: Vec<Reading>,
    a_day: f64,
}

impl Volume {
    pub(super) fn of(config: &Config, lines: &[LinePlan]) -> Volume {
        let cycles = cycles(config, lines);
        let uplinks = config.uplinks.iter().filter_map(|uplink| {
            let mut way = way(&uplink.spec(&config.gateway, "00000000-0000-0000-0000-000000000000")).ok()?;
            let (mut messages, mut bytes) = (0.0, 0.0);
            for cycle in &cycles {
                let schema = Some(config.tags.schema().clone());
                way.format.begin(Records {
                    lane: Lane::Live,
                    epoch: 1,
                    first: 1_000_000,
                    readings: cycle.readings.clone(),
                    offsets: None,
                    schema,
                });
                while let Some(message) = way.format.next() {
                    messages += cycle.a_day;
                    bytes += message.size_bytes() as f64 * cycle.a_day;
                }
            }
            Some((uplink.name.to_string(), messages, bytes))
        });
        let readings = cycles.iter().map(|cycle| cycle.readings.len() as f64 * cycle.a_day).sum();
        let log_bytes = log_bytes(&cycles);
        let appends = cycles.iter().map(|cycle| cycle.a_day).sum();
        let wear = log_bytes.map(|bytes| Wear::of(bytes, appends, config.buffer.sync));
        Volume { readings, uplinks: uplinks.collect(), log_bytes, wear }
    }

    pub(super) fn json(&self) -> serde_json::Value {
        let uplink = |(name, messages, bytes): &(String, f64, f64)| json!({ "uplink": name, "messages": messages, "bytes": bytes });
        json!({
            "readings": self.readings,
            "log_bytes": self.log_bytes,
            "disk": self.wear.map(Wear::json),
            "uplinks": self.uplinks.iter().map(uplink).collect::<Vec<_>>(),
        })
    }
}

fn log_bytes(cycles: &[Cycle]) -> Option<f64> {
    let mut encoder = Encoder::new().ok()?;
    let encoded = cycles.iter().map(|cycle| {
        let mut bytes = Vec::new();
        encoder.encode(&cycle.readings, &mut bytes);
        (bytes.len() + buffer::BLOCK_ENVELOPE_BYTES) as f64 * cycle.a_day
    });
    Some(encoded.sum())
}

fn cycles(config: &Config, lines: &[LinePlan]) -> Vec<Cycle> {
    let mut cycles = Vec::new();
    for (plan, line) in lines.iter().zip(&config.lines) {
        for (index, (device, spec)) in plan.devices.iter().zip(&line.spec.devices).enumerate() {
            for (number, group) in device.groups.iter().enumerate() {
                let tags = spec.tags.iter().enumerate().filter(|(_, tag)| tag.group.index() == number);
                let readings = tags.map(|(place, tag)| Reading {
                    tag: tag.id,
                    value: made_up(plan.line.tag_text(index, place).data_type, tag.id.0),
                    quality: Quality::Good,
                    status: 0,
                    timestamp: Timestamp(1_795_400_913_123_456_000),
                    clock: ClockState::Synchronized,
                    tense: Tense::Present,
                });
                cycles.push(Cycle { readings: readings.collect(), a_day: cycles_a_day(group) });
            }
        }
    }
    cycles
}

/// A value of ordinary length; neighbours differ.
fn made_up(data_type: DataType, number: u32) -> Value {
    let number = number.wrapping_mul(2_654_435_761) >> 16;
    match data_type {
        DataType::Bool => Value::Bool(number & 1 == 1),
        DataType::Half | DataType::Real => Value::Real(number as f32 / 100.0),
        DataType::Lreal => Value::LReal(f64::from(number) / 100.0),
        DataType::String(length) | DataType::Wstring(length) => Value::Text("x".repeat(usize::from(length) / 2).into()),
        _ => Value::Int(i64::from(number % 10_000)),
    }
}

impl fmt::Display for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "a day, before deadbands and report on change: {:.0} readings", self.readings)?;
        if let Some(bytes) = self.log_bytes {
            writeln!(f, "  log: about {}", size(bytes))?;
        }
        if let Some(wear) = &self.wear {
            wear.fmt(f)?;
        }
        for (name, messages, bytes) in &self.uplinks {
            writeln!(f, "  {name}: about {} in {messages:.0} messages", size(*bytes))?;
        }
        Ok(())
    }
}

/// Bytes for a person.
pub(super) fn size(bytes: f64) -> String {
    match bytes {
        _ if bytes >= 1e9 => format!("{:.1} GB", bytes / 1e9),
        _ if bytes >= 1e6 => format!("{:.1} MB", bytes / 1e6),
        _ => format!("{:.0} kB", (bytes / 1e3).ceil()),
    }
}
