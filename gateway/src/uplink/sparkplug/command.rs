//! What host applications ask for: a rebirth of the node, and writes to its devices. No I/O.

use std::time::Instant;

use driver_core::{Timestamp, Value};

use super::decode::{self, Wanted};
use super::{Names, REBIRTH, Shared};
use crate::pipeline::command::{
    Asked, Command, CommandDoor, Inbound, Origin, ReplyTo, Role, Target, Wanted as WantedValue,
};
use crate::uplink::UplinkSpec;

/// The door for NCMD and DCMD.
#[derive(Debug)]
pub(in crate::uplink) struct Door {
    node: String,
    /// The topics of commands to devices, up to the device's name.
    devices: String,
    shared: Shared,
    role: Role,
    uplink: Box<str>,
}

/// What a message asks for.
#[derive(Debug, PartialEq)]
pub(in crate::uplink) enum AskedFor {
    /// All births once more.
    Rebirth,
    /// Writes, each with an answer of its own.
    Writes(Vec<Inbound>),
    /// The message is for somebody else.
    Nothing,
}

/// A message as it came.
#[derive(Debug, Clone, Copy)]
pub(in crate::uplink) struct Came<'a> {
    /// Where.
    pub(in crate::uplink) topic: &'a str,
    /// What.
    pub(in crate::uplink) payload: &'a [u8],
    /// What of its delivery keeps it from being executed, where there is something.
    pub(in crate::uplink) doubt: Option<&'static str>,
}

impl Door {
    pub(super) fn new(names: Names, shared: Shared, spec: &UplinkSpec) -> Door {
        let role = spec.url.options().text("commands_role").and_then(Role::from_name).unwrap_or(Role::Operator);
        let devices = names.topic("DCMD", Some("+"));
        Door {
            node: names.topic("NCMD", None),
            devices: devices.trim_end_matches('+').into(),
            shared,
            role,
            uplink: spec.name.clone(),
        }
    }

    /// Whether a topic is one of a command to this node.
    pub(in crate::uplink) fn is_for(&self, topic: &str) -> bool {
        topic == self.node || topic.starts_with(&*self.devices)
    }

    /// Understands a message.
    pub(in crate::uplink) fn read(&self, came: Came<'_>, received: Instant) -> AskedFor {
        let device = came.topic.strip_prefix(&*self.devices);
        if device.is_none() && came.topic != self.node {
            return AskedFor::Nothing;
        }
        let commanded = match (decode::read(came.payload), came.doubt) {
            (Ok(commanded), None) => commanded,
            (Err(cause), _) => return self.unreadable(came.topic, cause.to_string()),
            (_, Some(doubt)) => return self.unreadable(came.topic, doubt.into()),
        };
        let is_rebirth = |wanted: &Wanted| wanted.name.as_deref() == Some(REBIRTH);
        match device {
            None if commanded.metrics.iter().any(is_rebirth) => {
                let yes = |wanted: &Wanted| is_rebirth(wanted) && wanted.value() == Some(Value::Bool(true));
                if commanded.metrics.iter().any(yes) { AskedFor::Rebirth } else { AskedFor::Nothing }
            }
            None => self.unreadable(came.topic, format!("the node has nothing to write but `{REBIRTH}`")),
            Some(device) => {
                let sent = commanded.time_ms;
                let write = |wanted: &Wanted| self.write(device, wanted, sent, came.topic, received);
                AskedFor::Writes(commanded.metrics.iter().map(write).collect())
            }
        }
    }

    fn write(&self, device: &str, wanted: &Wanted, sent_ms: Option<u64>, topic: &str, received: Instant) -> Inbound {
        let catalogue = self.shared.lock();
        let target = catalogue.target(device, wanted.name.as_deref(), wanted.alias);
        let named = wanted.name.clone().or(wanted.alias.map(|alias| format!("alias {alias}"))).unwrap_or_default();
        let why = |what: &str| Asked::Unreadable {
            origin: self.origin(topic),
            key: None,
            why: format!("{what}: device `{device}`, metric `{named}`"),
        };
        let asked = match (target, wanted.value()) {
            (None, _) => why("there is no such metric"),
            (Some(_), None) => why("the value is null, or of a kind that is not written"),
            (Some((device, tag)), Some(value)) => Asked::Command(Command {
                key: wanted.time_ms.or(sent_ms).map(|sent| key(sent, tag, &value)),
                target: Target { device: device.into(), tag: tag.into() },
                value: WantedValue::Value(value),
                sent: wanted.time_ms.or(sent_ms).and_then(timestamp),
                expires: None,
                lives_for: None,
                received,
                origin: self.origin(topic),
            }),
        };
        Inbound { asked, to: ReplyTo::default() }
    }

    fn unreadable(&self, topic: &str, why: String) -> AskedFor {
        let asked = Asked::Unreadable { origin: self.origin(topic), key: None, why };
        AskedFor::Writes(vec![Inbound { asked, to: ReplyTo::default() }])
    }

    fn origin(&self, topic: &str) -> Origin {
        let from = format!("{} {topic}", self.uplink).into();
        Origin { door: CommandDoor::Sparkplug, from, who: "".into(), role: self.role }
    }
}

/// Sparkplug has no word for a command's id. What was sent for the same metric at the same millisecond with the same value
/// is the same command, however often it comes.
fn key(sent_ms: u64, tag: &str, value: &Value) -> Box<str> {
    let [tag, value] = [tag.to_owned(), format!("{value:?}")].map(|text| crc32c::crc32c(text.as_bytes()));
    format!("{sent_ms}/{tag:08x}/{value:08x}").into()
}

fn timestamp(ms: u64) -> Option<Timestamp> {
    i64::try_from(ms).ok()?.checked_mul(1_000_000).map(Timestamp)
}

#[cfg(test)]
mod tests {
    use driver_core::DataType;

    use super::super::catalogue::Catalogue;
    use super::super::testkit::{command, names, site};
    use super::*;

    fn door() -> Door {
        let site = site(&[("press/1", &[("setpoint", "", DataType::Real), ("mode", "", DataType::Int)])]);
        let spec = UplinkSpec::new("acme/line7", "cloud", "mqtt://h?commands_role=engineer".parse().expect("a URL"));
        Door::new(names(), Shared::new(Catalogue::new(names(), Some(&site))), &spec)
    }

    fn asked(topic: &str, payload: &[u8]) -> AskedFor {
        door().read(Came { topic, payload, doubt: None }, Instant::now())
    }

    #[test]
    fn a_rebirth_is_asked_for_by_its_name_and_only_with_true() {
        let node = "spBv1.0/acme/NCMD/line7";
        assert_eq!(asked(node, &command(&[(Some(REBIRTH), None, Value::Bool(true))])), AskedFor::Rebirth);
        assert_eq!(asked(node, &command(&[(Some(REBIRTH), None, Value::Bool(false))])), AskedFor::Nothing);
        assert_eq!(asked("spBv1.0/acme/NCMD/other", b""), AskedFor::Nothing);
        assert!(matches!(asked(node, b"\xff"), AskedFor::Writes(writes) if writes.len() == 1));
    }

    #[test]
    fn a_write_names_its_metric_or_its_alias() {
        let topic = "spBv1.0/acme/DCMD/line7/press%2F1";
        let payload = command(&[
            (Some("setpoint"), None, Value::Real(80.5)),
            (None, Some(2), Value::Int(-3)),
            (Some("nobody"), None, Value::Int(1)),
        ]);
        let AskedFor::Writes(writes) = asked(topic, &payload) else { panic!("writes") };
        let told: Vec<_> = writes
            .iter()
            .map(|inbound| match &inbound.asked {
                Asked::Command(command) => (command.target.to_string(), command.value.to_string()),
                Asked::Unreadable { why, .. } => (why.clone(), String::new()),
            })
            .collect();
        assert_eq!(told[0], ("press/1.setpoint".into(), "80.5".into()));
        assert_eq!(told[1], ("press/1.mode".into(), "-3".into()));
        assert!(told[2].0.contains("no such metric") && told[2].0.contains("nobody"), "{:?}", told[2]);
        let origin = writes[0].asked.origin();
        assert_eq!((origin.door, origin.role), (CommandDoor::Sparkplug, Role::Engineer));
    }

    #[test]
    fn the_same_command_is_known_by_its_time_its_metric_and_its_value() {
        let keys =
            [(7, "a", 1), (8, "a", 1), (7, "b", 1), (7, "a", 2)].map(|(ms, tag, v)| key(ms, tag, &Value::Int(v)));
        assert_eq!(keys.iter().collect::<std::collections::BTreeSet<_>>().len(), keys.len());
        assert_eq!(key(7, "a", &Value::Int(1)), keys[0]);
    }

    #[test]
    fn what_is_retained_or_delivered_twice_is_not_executed() {
        let payload = command(&[(Some("setpoint"), None, Value::Real(80.5))]);
        let came = Came { topic: "spBv1.0/acme/DCMD/line7/press%2F1", payload: &payload, doubt: Some("retained") };
        let AskedFor::Writes(writes) = door().read(came, Instant::now()) else { panic!("writes") };
        assert!(matches!(&writes[0].asked, Asked::Unreadable { why, .. } if why == "retained"));
    }
}
