//! The topic of commands: records as plain JSON in, their answers out. No I/O.
//!
//! A record keeps its place for ever, so that a command without an `id` gets one from it, and one that is read again after
//! a kill is recognised. It may also lie there for as long as the topic keeps it: the time of the record counts as the time
//! of sending, and what is older than its tag permits is refused.

use std::time::Instant;

use driver_core::Timestamp;

use super::batch::Record;
use super::wire::TopicId;
use crate::pipeline::command::{self, Asked, CommandDoor, Inbound, Origin, ReplyTo, Role};
use crate::uplink::topic::{Rules, Template};
use crate::uplink::{UplinkError, UplinkSpec};

/// What senders recognise their answers by; Spring's name for it.
pub(super) const CORRELATION: &str = "kafka_correlationId";

/// The longest that is sent back, bytes.
const CORRELATION_BYTES_MAX: usize = 1_024;

/// What was configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Door {
    /// The topic that is listened on.
    pub(super) topic: Box<str>,
    /// Where answers go.
    pub(super) answers: Box<str>,
    /// The gateway's name: the key of records that are for it.
    pub(super) gateway: Box<str>,
    /// What senders may do.
    pub(super) role: Role,
    /// The uplink's name.
    pub(super) uplink: Box<str>,
}

impl Door {
    /// The door of these topics.
    ///
    /// # Errors
    /// One of them is no topic, or both are one.
    pub(super) fn new(spec: &UplinkSpec, topic: &str, answers: Option<&str>, role: Role) -> Result<Door, UplinkError> {
        let topic = name(spec, "commands", topic)?;
        let answers = match answers {
            Some(answers) => name(spec, "answers", answers)?,
            None => name(spec, "answers", &format!("{topic}.answers"))?,
        };
        if topic == answers {
            let message = "`answers` is the topic of commands: each answer would be taken for a command".into();
            return Err(UplinkError { key: "url", message });
        }
        Ok(Door { topic, answers, gateway: spec.gateway.clone(), role, uplink: spec.name.clone() })
    }

    /// A record as a command; `None` of one that is for another gateway, or says nothing.
    pub(super) fn asked(&self, record: &Record, at: (TopicId, i32), received: Instant) -> Option<Asked> {
        let value = record.value.as_deref()?;
        let is_for_another = |key: &[u8]| !key.is_empty() && key != self.gateway.as_bytes();
        if record.key.as_deref().is_some_and(is_for_another) {
            return None;
        }
        let from = format!("{} {}", self.uplink, self.topic).into();
        let origin = Origin { door: CommandDoor::Kafka, from, who: "".into(), role: self.role };
        let mut asked = command::json::read(value, origin, received);
        if let Asked::Command(command) = &mut asked {
            command.key.get_or_insert_with(|| place(at, record.offset).into());
            match record.time_ms.checked_mul(1_000_000).filter(|_| record.time_ms >= 0) {
                Some(nanos) => {
                    command.sent = Some(command.sent.map_or(Timestamp(nanos), |sent| sent.min(Timestamp(nanos))))
                }
                None => {
                    let why =
                        "the record bears no time: how old the command is cannot be told. Send it with one".into();
                    asked = Asked::Unreadable { origin: command.origin.clone(), key: command.key.clone(), why };
                }
            }
        }
        Some(asked)
    }

    /// A command with the number under which its answer comes back.
    pub(super) fn inbound(&self, asked: Asked, record: &Record, number: u64) -> Inbound {
        let correlation = record.header(CORRELATION).filter(|bytes| bytes.len() <= CORRELATION_BYTES_MAX);
        let to = ReplyTo { topic: Some(self.answers.clone()), correlation: correlation.map(Into::into), place: number };
        Inbound { asked, to }
    }
}

/// The id of a command that bears none: its topic's id begins it, because offsets begin anew with a topic.
fn place((topic, partition): (TopicId, i32), offset: i64) -> String {
    let topic: String = topic[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{topic}/{partition}/{offset}")
}

fn name(spec: &UplinkSpec, option: &str, text: &str) -> Result<Box<str>, UplinkError> {
    let wrong = |message: String| UplinkError { key: "url", message };
    let template = Template::parse(text, &spec.gateway, Rules::Kafka)
        .map_err(|cause| wrong(format!("`{option}` is no topic: {}", cause.message)))?;
    if template.has_tag() || template.has_device() {
        return Err(wrong(format!(
            "`{option}` is one topic for all devices: of the names only {{gateway}} can stand in it"
        )));
    }
    Ok(template.render("", "").into())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const AT: (TopicId, i32) = ([0xab; 16], 2);

    fn spec() -> UplinkSpec {
        UplinkSpec::new("acme/line7", "lake", "kafka://h".parse().expect("a URL"))
    }

    fn door() -> Door {
        Door::new(&spec(), "plant.{gateway}", None, Role::Operator).expect("a door")
    }

    fn record(key: Option<&'static str>, value: &'static str) -> Record {
        let (key, value) =
            (key.map(|key| Bytes::from_static(key.as_bytes())), Some(Bytes::from_static(value.as_bytes())));
        Record { offset: 17, time_ms: 1_000, key, value, headers: vec![(CORRELATION.into(), Bytes::from_static(b"c"))] }
    }

    const COMMAND: &str = r#"{"id":"a","tag":"press.setpoint","value":80}"#;

    #[test]
    fn topics_bear_the_gateways_name_and_are_two() {
        assert_eq!((&*door().topic, &*door().answers), ("plant.acme.line7", "plant.acme.line7.answers"));
        for (topic, answers, said) in [
            ("a", Some("a"), "`answers`"),
            ("a b", None, "`commands`"),
            ("a.{tag}", None, "{gateway}"),
            ("a", Some("{device}"), "`answers`"),
        ] {
            let error = Door::new(&spec(), topic, answers, Role::Operator).expect_err("an error");
            assert!(error.message.contains(said), "{topic}: {error}");
        }
    }

    #[test]
    fn a_record_becomes_a_command_whose_age_is_that_of_the_record() {
        let asked = door().asked(&record(None, COMMAND), AT, Instant::now()).expect("it is for this gateway");
        let Asked::Command(command) = &asked else { panic!("{asked:?}") };
        assert_eq!((command.key.as_deref(), command.sent), (Some("a"), Some(Timestamp(1_000_000_000))));
        assert_eq!((command.origin.door, &*command.origin.from), (CommandDoor::Kafka, "lake plant.acme.line7"));
        let to = door().inbound(asked, &record(None, COMMAND), 5).to;
        assert_eq!((to.correlation.as_deref(), to.place), (Some(&b"c"[..]), 5));
        let later = r#"{"tag":"press.setpoint","value":80,"time":5000}"#;
        let earlier = r#"{"tag":"press.setpoint","value":80,"time":500}"#;
        for (text, sent) in [(later, 1_000_000_000), (earlier, 500_000_000)] {
            let Some(Asked::Command(command)) = door().asked(&record(None, text), AT, Instant::now()) else {
                panic!("a command")
            };
            assert_eq!((command.sent, command.key.as_deref()), (Some(Timestamp(sent)), Some("abababab/2/17")));
        }
    }

    #[test]
    fn what_is_for_another_gateway_or_says_nothing_is_passed_over_and_what_has_no_time_is_refused() {
        for (key, is_taken) in [(None, true), (Some(""), true), (Some("acme/line7"), true), (Some("acme/line8"), false)]
        {
            assert_eq!(door().asked(&record(key, COMMAND), AT, Instant::now()).is_some(), is_taken, "{key:?}");
        }
        let empty = Record { value: None, ..record(None, "") };
        assert_eq!(door().asked(&empty, AT, Instant::now()), None);
        let timeless = Record { time_ms: -1, ..record(None, COMMAND) };
        let asked = door().asked(&timeless, AT, Instant::now());
        assert!(matches!(asked, Some(Asked::Unreadable { why, .. }) if why.contains("no time")));
        assert!(matches!(door().asked(&record(None, "{"), AT, Instant::now()), Some(Asked::Unreadable { .. })));
    }
}
