//! Who is alive, as records of a compacted topic: pure.
//!
//! ```text
//! acme/line7        {"gateway":"acme/line7","state":"online","time":"…","expires":"…","heartbeat_s":30,"uplink":"lake",
//!                    "epoch":7,"version":"0.1.0","log":"UUID"}
//! acme/line7/press  {"gateway":"acme/line7","device":"press","state":"offline","time":"…","epoch":7}
//! ```
//!
//! Kafka has no last will. So the gateway's record says until when it holds: a gateway whose record is `online` and has
//! expired is gone, and what it said of its devices holds no longer.
//!
//! | state | of the gateway | of a device |
//! |---|---|---|
//! | `online` | it runs, until `expires` | it answers |
//! | `offline` | it has taken leave | it does not answer |
//! | `stale` | | the gateway has taken leave: nobody looks |

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use driver_core::{Quality, Reading, Reason, Timestamp};
use serde_json::json;
use tokio::sync::Notify;

use crate::pipeline::schema::Schema;

/// A gateway is gone when so many heartbeats in a row have not come.
const MISSED_MAX: u32 = 3;

/// What is said of a gateway or a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It runs, or answers.
    Online,
    /// It has taken leave, or does not answer.
    Offline,
    /// Nobody looks after it any more.
    Stale,
}

impl State {
    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            State::Online => "online",
            State::Offline => "offline",
            State::Stale => "stale",
        }
    }
}

/// What is known of the devices, shared between who sees their readings and who tells of them.
#[derive(Debug, Clone, Default)]
pub struct Devices(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    states: Mutex<BTreeMap<Box<str>, Known>>,
    changed: Notify,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    state: State,
    /// Whether the topic has it.
    told: bool,
}

impl Devices {
    /// Looks at live readings: a device whose readings all fail for want of a connection does not answer.
    pub fn look(&self, readings: &[Reading], schema: &Schema) {
        let mut seen: Vec<(usize, State)> = Vec::new();
        for reading in readings {
            let Some(names) = schema.tag(reading.tag) else { continue };
            let state = if is_silent(reading.quality) { State::Offline } else { State::Online };
            match seen.iter_mut().rev().find(|(device, _)| *device == names.device_index) {
                Some((_, known)) if state == State::Online => *known = state,
                Some(_) => {}
                None => seen.push((names.device_index, state)),
            }
        }
        let mut states = self.states();
        let mut is_news = false;
        for (device, state) in seen {
            let Some(name) = schema.device(device) else { continue };
            if states.get(name).is_none_or(|known| known.state != state) {
                states.insert(name.into(), Known { state, told: false });
                is_news = true;
            }
        }
        drop(states);
        if is_news {
            self.0.changed.notify_one();
        }
    }

    /// Waits until something has changed. May be dropped and called again.
    pub async fn changed(&self) {
        self.0.changed.notified().await;
    }

    /// What the topic does not have yet; it is taken as told.
    pub fn take_news(&self) -> Vec<(Box<str>, State)> {
        let mut states = self.states();
        let news = states.iter_mut().filter(|(_, known)| !known.told);
        news.map(|(name, known)| {
            known.told = true;
            (name.clone(), known.state)
        })
        .collect()
    }

    /// Nothing is taken as told any more.
    pub fn tell_again(&self) {
        self.states().values_mut().for_each(|known| known.told = false);
    }

    /// All devices of which something is known.
    pub fn names(&self) -> Vec<Box<str>> {
        self.states().keys().cloned().collect()
    }

    fn states(&self) -> MutexGuard<'_, BTreeMap<Box<str>, Known>> {
        self.0.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether nothing came from the device.
fn is_silent(quality: Quality) -> bool {
    matches!(quality.reason(), Some(Reason::Timeout | Reason::NotConnected | Reason::Disconnected | Reason::Suspended))
}

/// Who speaks.
#[derive(Debug, Clone)]
pub(super) struct Speaker {
    pub(super) gateway: Box<str>,
    pub(super) uplink: Box<str>,
    /// The UUID of the log.
    pub(super) log: Box<str>,
    /// 0 where it is not known.
    pub(super) epoch: u32,
    pub(super) heartbeat: Duration,
}

/// A record: key and value.
pub(super) type Said = (String, String);

impl Speaker {
    /// What the gateway says of itself at `now`.
    pub(super) fn gateway(&self, state: State, now: Timestamp) -> Said {
        let lease = self.heartbeat * MISSED_MAX;
        let expires = Timestamp(now.0.saturating_add(i64::try_from(lease.as_nanos()).unwrap_or(i64::MAX)));
        let mut value = json!({
            "gateway": self.gateway,
            "state": state.name(),
            "time": now.to_string(),
            "uplink": self.uplink,
            "epoch": self.epoch,
            "version": env!("CARGO_PKG_VERSION"),
            "log": self.log,
        });
        if state == State::Online {
            value["expires"] = json!(expires.to_string());
            value["heartbeat_s"] = json!(self.heartbeat.as_secs());
        }
        (self.gateway.to_string(), value.to_string())
    }

    /// What the gateway says of a device.
    pub(super) fn device(&self, device: &str, state: State, now: Timestamp) -> Said {
        let Speaker { gateway, epoch, .. } = self;
        let value = json!({
            "gateway": gateway, "device": device, "state": state.name(), "time": now.to_string(), "epoch": epoch,
        });
        (format!("{gateway}/{device}"), value.to_string())
    }
}

#[cfg(test)]
mod tests {
    use driver_core::{ClockState, TagId, Tense, Value};

    use super::*;
    use crate::pipeline::schema::SchemaBuilder;

    fn schema() -> Schema {
        let mut builder = SchemaBuilder::default();
        builder.device("press");
        builder.tag("a", "");
        builder.tag("b", "");
        builder.device("mixer");
        builder.tag("c", "");
        builder.build()
    }

    fn reading(tag: u32, quality: Quality) -> Reading {
        let (timestamp, clock) = (Timestamp(0), ClockState::Synchronized);
        Reading { tag: TagId(tag), value: Value::None, quality, status: 0, timestamp, clock, tense: Tense::Present }
    }

    #[test]
    fn a_device_is_offline_when_none_of_its_readings_came_from_it() {
        let (devices, schema) = (Devices::default(), schema());
        let silent = Quality::Bad(Reason::Timeout);
        devices.look(&[reading(0, silent), reading(1, Quality::Good), reading(2, silent)], &schema);
        let news = devices.take_news();
        assert_eq!(news, [("mixer".into(), State::Offline), ("press".into(), State::Online)]);
        // A refusal is an answer.
        devices.look(&[reading(2, Quality::Bad(Reason::AddressRefused))], &schema);
        assert_eq!(devices.take_news(), [("mixer".into(), State::Online)]);
        devices.look(&[reading(0, Quality::Good), reading(2, Quality::Good)], &schema);
        assert_eq!(devices.take_news(), [], "nothing has changed");
        devices.tell_again();
        assert_eq!(devices.take_news().len(), 2);
    }

    #[test]
    fn a_gateways_record_says_until_when_it_holds() {
        let speaker = Speaker {
            gateway: "acme/line7".into(),
            uplink: "lake".into(),
            log: "uuid".into(),
            epoch: 7,
            heartbeat: Duration::from_secs(10),
        };
        let (key, value) = speaker.gateway(State::Online, Timestamp(0));
        let value: serde_json::Value = serde_json::from_str(&value).expect("JSON");
        assert_eq!((&*key, &value["state"], &value["epoch"]), ("acme/line7", &"online".into(), &7.into()));
        assert!(value["expires"].as_str().is_some_and(|time| time.starts_with("1970-01-01T00:00:30")), "{value}");
        let (_, gone) = speaker.gateway(State::Offline, Timestamp(0));
        assert!(!gone.contains("expires"), "{gone}");
        let (key, value) = speaker.device("press", State::Stale, Timestamp(0));
        assert!(key == "acme/line7/press" && value.contains("\"stale\""), "{key} {value}");
    }
}
