//! The command topic: commands as plain JSON in, their answers out. No I/O.
//!
//! A connection that takes commands has no memory at the broker, so that nothing is delivered that was sent while the
//! gateway was away. What the broker has kept (a retained message) is older than anybody can tell, and refused.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tracing::warn;

use super::packet::Arrived;
use crate::pipeline::command::{self, Answer, Asked, CommandDoor, Inbound, Origin, ReplyTo, Role};

/// How many answers may wait for a connection or for room; the oldest goes for another.
const ANSWERS_WAITING_MAX: usize = 256;

/// The longest topic for an answer, bytes.
const ANSWER_TOPIC_BYTES_MAX: usize = 1_024;

/// What was configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Door {
    /// The topic that is listened on.
    pub(super) topic: Box<str>,
    /// Where answers go that nobody named a topic for.
    pub(super) answers: Box<str>,
    /// The root of the gateway's own topics.
    pub(super) root: Box<str>,
    /// What its senders may do.
    pub(super) role: Role,
    /// The uplink's name.
    pub(super) uplink: Box<str>,
}

/// A message to a sender.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) topic: Box<str>,
    pub(super) correlation: Option<Box<[u8]>>,
    pub(super) payload: Vec<u8>,
}

/// The answers that wait.
#[derive(Debug, Default)]
pub(super) struct Replies(VecDeque<Reply>);

impl Door {
    /// Whether a message on this topic is a command.
    pub(super) fn is_for(&self, topic: &str) -> bool {
        topic == &*self.topic
    }

    /// A message as a command.
    pub(super) fn inbound(&self, arrived: Arrived, received: Instant) -> Inbound {
        let from = format!("{} {}", self.uplink, arrived.topic).into();
        let origin = Origin { door: CommandDoor::Mqtt, from, who: "".into(), role: self.role };
        let mut asked = command::json::read(&arrived.payload, origin, received);
        if let Asked::Command(command) = &mut asked {
            command.lives_for = arrived.expires_after_s.map(|seconds| Duration::from_secs(seconds.into()));
            if let Some(why) = unsafe_delivery(&arrived, command.key.is_some()) {
                asked = Asked::Unreadable { origin: command.origin.clone(), key: command.key.clone(), why: why.into() };
            }
        }
        let topic = arrived.response_topic.filter(|topic| self.may_answer_on(topic)).map(Into::into);
        let to = ReplyTo {
            topic: Some(topic.unwrap_or_else(|| self.answers.clone())),
            correlation: arrived.correlation.map(Into::into),
            place: arrived.id.unwrap_or_default().into(),
        };
        Inbound { asked, to }
    }

    /// A sender must not make the gateway write into its own topics, nor into those of the broker.
    fn may_answer_on(&self, topic: &str) -> bool {
        let own = topic == &*self.root || topic.strip_prefix(&*self.root).is_some_and(|rest| rest.starts_with('/'));
        let below_commands = topic.strip_prefix(&*self.topic).is_some_and(|rest| rest.starts_with('/'));
        let plain = !topic.is_empty()
            && topic.len() <= ANSWER_TOPIC_BYTES_MAX
            && !topic.starts_with('$')
            && !topic.chars().any(|character| matches!(character, '+' | '#') || character.is_control());
        plain && topic != &*self.topic && (below_commands || !own)
    }
}

/// What of a delivery makes it unsafe to execute a command that came with it.
fn unsafe_delivery(arrived: &Arrived, has_key: bool) -> Option<&'static str> {
    if arrived.retained {
        return Some("the command is retained: nobody knows how old it is. Send it without the retain flag");
    }
    (arrived.again && !has_key).then_some(
        "the command was delivered again and has no `id`: whether it was executed before cannot be told. Send commands \
         with an `id`",
    )
}

impl Replies {
    /// An answer that is to be sent.
    pub(super) fn push(&mut self, to: ReplyTo, answer: &Answer, uplink: &str) {
        let Some(topic) = to.topic else { return };
        if self.0.len() >= ANSWERS_WAITING_MAX {
            warn!(uplink, "an answer to a command is lost: too many wait for the broker");
            self.0.pop_front();
        }
        self.0.push_back(Reply { topic, correlation: to.correlation, payload: command::json::write(answer) });
    }

    /// The next that is to be sent.
    pub(super) fn pop(&mut self) -> Option<Reply> {
        self.0.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use driver_core::Timestamp;

    use super::*;
    use crate::pipeline::command::RefusedFor;

    fn door() -> Door {
        Door {
            topic: "acme/line7/commands".into(),
            answers: "acme/line7/commands/answers".into(),
            root: "acme/line7".into(),
            role: Role::Operator,
            uplink: "cloud".into(),
        }
    }

    fn arrived(payload: &str) -> Arrived {
        Arrived { topic: "acme/line7/commands".into(), payload: payload.into(), id: Some(7), ..Arrived::default() }
    }

    const COMMAND: &str = r#"{"id":"a","tag":"press.setpoint","value":80}"#;
    const WITHOUT_ID: &str = r#"{"tag":"press.setpoint","value":80}"#;

    #[test]
    fn a_message_becomes_a_command_of_the_doors_role() {
        let arrived = Arrived { expires_after_s: Some(3), ..arrived(COMMAND) };
        let Inbound { asked: Asked::Command(command), to } = door().inbound(arrived, Instant::now()) else {
            panic!("a command")
        };
        assert_eq!((command.origin.door, command.origin.role), (CommandDoor::Mqtt, Role::Operator));
        assert_eq!(&*command.origin.from, "cloud acme/line7/commands");
        assert_eq!(command.lives_for, Some(Duration::from_secs(3)));
        assert_eq!((to.topic.as_deref(), to.place), (Some("acme/line7/commands/answers"), 7));
    }

    #[test]
    fn what_may_have_been_executed_already_or_is_of_any_age_is_refused() {
        let again = |payload| Arrived { again: true, ..arrived(payload) };
        let cases = [
            (arrived(COMMAND), None),
            (again(COMMAND), None),
            (arrived(WITHOUT_ID), None),
            (again(WITHOUT_ID), Some("delivered again")),
            (Arrived { retained: true, ..arrived(COMMAND) }, Some("retained")),
            (arrived("{"), Some("no JSON")),
        ];
        for (arrived, refused) in cases {
            let shown = format!("{arrived:?}");
            match (door().inbound(arrived, Instant::now()).asked, refused) {
                (Asked::Command(_), None) => {}
                (Asked::Unreadable { why, .. }, Some(said)) => assert!(why.contains(said), "{shown}: {why}"),
                (asked, _) => panic!("{shown}: {asked:?}"),
            }
        }
    }

    #[test]
    fn a_sender_names_the_topic_of_its_answer_but_none_of_the_gateways() {
        let cases = [
            ("office/answers", true),
            ("acme/line77", true),
            ("acme/line7/commands/anna", true),
            ("acme/line7/commands", false),
            ("acme/line7/press", false),
            ("acme/line7", false),
            ("$SYS/x", false),
            ("a/#", false),
            ("", false),
        ];
        for (topic, taken) in cases {
            let arrived =
                Arrived { response_topic: Some(topic.into()), correlation: Some(vec![1, 2]), ..arrived(COMMAND) };
            let to = door().inbound(arrived, Instant::now()).to;
            let expected = if taken { topic } else { "acme/line7/commands/answers" };
            assert_eq!(to.topic.as_deref(), Some(expected));
            assert_eq!(to.correlation.as_deref(), Some(&[1, 2][..]));
        }
    }

    #[test]
    fn answers_wait_in_bounds() {
        let inbound = door().inbound(arrived(COMMAND), Instant::now());
        let answer = inbound.asked.refused(RefusedFor::ReadOnly, "read-only", Timestamp(0));
        let mut replies = Replies::default();
        (0..2 * ANSWERS_WAITING_MAX).for_each(|_| replies.push(inbound.to.clone(), &answer, "cloud"));
        let sent: Vec<Reply> = std::iter::from_fn(|| replies.pop()).collect();
        assert_eq!(sent.len(), ANSWERS_WAITING_MAX);
        assert!(String::from_utf8_lossy(&sent[0].payload).contains("\"result\":\"refused\""));
    }
}
