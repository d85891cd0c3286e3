//! Commands: writes that came from outside, on one path whatever the door they came through.
//!
//! ```text
//! uplink, HTTP, command line --Command--> desk -> guard -> the device's write lane -> read back
//!        ^                                  |
//!        +------------- Answer -------------+
//! ```
//!
//! Each command gets exactly one [`Answer`]. Nothing is writable unless the configuration says so with `write:` at the tag.

pub mod books;
pub mod desk;
pub mod fit;
pub mod guard;
pub mod json;
pub mod life;
mod memory;
mod record;
pub mod rule;
pub mod trail;
pub mod verify;

use std::fmt;
use std::time::{Duration, Instant};

use driver_core::{Timestamp, Value};

/// A write that came from outside.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// Which tag.
    pub target: Target,
    /// What it shall hold.
    pub value: Wanted,
    /// What tells this command from all others of its sender: a command that comes again under the same key is answered
    /// again, and not executed again.
    pub key: Option<Box<str>>,
    /// When the sender says that it was sent; `None` takes the time at which it came.
    pub sent: Option<Timestamp>,
    /// When the sender no longer wants it executed.
    pub expires: Option<Timestamp>,
    /// How much longer it may live from when it came, where the far side has counted that.
    pub lives_for: Option<Duration>,
    /// When it came.
    pub received: Instant,
    /// Where it came from.
    pub origin: Origin,
}

/// A tag by the names of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// The device's name.
    pub device: Box<str>,
    /// The tag's name.
    pub tag: Box<str>,
}

/// A value as it was asked for, in the unit of the tag's readings.
#[derive(Debug, Clone, PartialEq)]
pub enum Wanted {
    /// A value of the sender's type; the guard makes it one of the tag's, where that loses nothing.
    Value(Value),
    /// As a person types it, such as `80`, `true` or `1.5s`.
    Text(Box<str>),
}

/// Where a command came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Through which door.
    pub door: CommandDoor,
    /// Which uplink and topic, or which network address.
    pub from: Box<str>,
    /// Who sent it, as far as the door knows or the sender says.
    pub who: Box<str>,
    /// What the sender may do.
    pub role: Role,
}

/// The doors that commands come through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CommandDoor {
    /// The JSON topic of an MQTT uplink.
    Mqtt,
    /// NCMD and DCMD of Sparkplug.
    Sparkplug,
    /// A Kafka topic.
    Kafka,
    /// The HTTP server; the command line comes through it too.
    Http,
    /// The gateway's own, when its uplinks are lost.
    LinkLoss,
}

/// What a sender may do; each role may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Looks, and writes nothing.
    Viewer,
    /// Runs the machine.
    Operator,
    /// Sets it up.
    Engineer,
    /// Everything.
    Admin,
}

/// What a door has received.
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    /// A command.
    Command(Command),
    /// Something that is none. It is answered and told of in the audit trail all the same.
    Unreadable {
        /// Where it came from.
        origin: Origin,
        /// The key, where that much could be read.
        key: Option<Box<str>>,
        /// What is wrong with it, and what to send instead.
        why: String,
    },
}

/// A command as an uplink brings it.
#[derive(Debug, Clone, PartialEq)]
pub struct Inbound {
    /// What was asked.
    pub asked: Asked,
    /// Where the answer goes.
    pub to: ReplyTo,
}

/// Where an answer goes: what the publisher that brought the command needs to find its sender. Nobody else looks into it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplyTo {
    /// The topic of the answer; `None` where the sender wants none.
    pub topic: Option<Box<str>>,
    /// What the sender recognises its answer by.
    pub correlation: Option<Box<[u8]>>,
    /// The command's place at the far side, such as a packet identifier or an offset.
    pub place: u64,
}

/// What became of a command. Each gets exactly one, however often it came.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The command's key.
    pub key: Option<Box<str>>,
    /// Its tag, where that much could be read.
    pub target: Option<Target>,
    /// What became of it.
    pub outcome: Outcome,
    /// Why, for people; empty where there is nothing to say.
    pub reason: String,
    /// What the tag held before; [`Value::None`] where that is not known.
    pub old: Value,
    /// What was read back; [`Value::None`] where nothing was.
    pub held: Value,
    /// When.
    pub at: Timestamp,
    /// Whether this was said before.
    pub told: Told,
}

/// Whether an answer is given for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// The command has just come to its end.
    First,
    /// It had come before; this is what became of it then.
    Again,
}

/// What became of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The device took it and holds it.
    Done,
    /// The device took it, and holds something else.
    Differs,
    /// The gateway did not hand it to the device.
    Refused(RefusedFor),
    /// The device did not take it.
    Failed,
    /// Whether the device took it is not known.
    Unknown,
}

/// Why the gateway did not hand a command to the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusedFor {
    /// It cannot be read.
    Unreadable,
    /// There is no such tag.
    UnknownTag,
    /// The tag has no `write:`.
    ReadOnly,
    /// The sender's role does not suffice.
    NotPermitted,
    /// The value is none of the tag's type.
    WrongType,
    /// The value lies outside of `min`, `max` or `step`.
    OutOfRange,
    /// The interlock of `only_if` does not hold.
    Interlock,
    /// Its time has passed.
    Expired,
    /// The same key is being executed, or was used for another command.
    Repeated,
    /// More than `rate` allows.
    Rate,
    /// As many commands wait as may.
    Busy,
    /// The audit trail cannot be written.
    Audit,
    /// The gateway is stopping.
    Stopping,
}

impl Role {
    /// The word of the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Engineer => "engineer",
            Role::Admin => "admin",
        }
    }

    /// The role of a name.
    pub fn from_name(name: &str) -> Option<Role> {
        [Role::Viewer, Role::Operator, Role::Engineer, Role::Admin].into_iter().find(|role| role.name() == name)
    }
}

impl CommandDoor {
    /// The word of the audit trail.
    pub fn name(self) -> &'static str {
        match self {
            CommandDoor::Mqtt => "mqtt",
            CommandDoor::Sparkplug => "sparkplug",
            CommandDoor::Kafka => "kafka",
            CommandDoor::Http => "http",
            CommandDoor::LinkLoss => "link-loss",
        }
    }
}

impl Outcome {
    /// The word of the answer: `done`, `differs`, `refused`, `failed` or `unknown`.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Done => "done",
            Outcome::Differs => "differs",
            Outcome::Refused(_) => "refused",
            Outcome::Failed => "failed",
            Outcome::Unknown => "unknown",
        }
    }
}

impl RefusedFor {
    /// All of them.
    pub const ALL: [RefusedFor; 13] = [
        RefusedFor::Unreadable,
        RefusedFor::UnknownTag,
        RefusedFor::ReadOnly,
        RefusedFor::NotPermitted,
        RefusedFor::WrongType,
        RefusedFor::OutOfRange,
        RefusedFor::Interlock,
        RefusedFor::Expired,
        RefusedFor::Repeated,
        RefusedFor::Rate,
        RefusedFor::Busy,
        RefusedFor::Audit,
        RefusedFor::Stopping,
    ];

    /// The word of the answer and of the metrics, such as `out-of-range`.
    pub fn name(self) -> &'static str {
        match self {
            RefusedFor::Unreadable => "unreadable",
            RefusedFor::UnknownTag => "unknown-tag",
            RefusedFor::ReadOnly => "read-only",
            RefusedFor::NotPermitted => "not-permitted",
            RefusedFor::WrongType => "wrong-type",
            RefusedFor::OutOfRange => "out-of-range",
            RefusedFor::Interlock => "interlock",
            RefusedFor::Expired => "expired",
            RefusedFor::Repeated => "repeated",
            RefusedFor::Rate => "rate",
            RefusedFor::Busy => "busy",
            RefusedFor::Audit => "audit",
            RefusedFor::Stopping => "stopping",
        }
    }
}

impl Asked {
    /// Where it came from.
    pub fn origin(&self) -> &Origin {
        match self {
            Asked::Command(command) => &command.origin,
            Asked::Unreadable { origin, .. } => origin,
        }
    }

    /// The answer that says that it is refused.
    pub fn refused(&self, why: RefusedFor, reason: impl Into<String>, at: Timestamp) -> Answer {
        let (key, target) = match self {
            Asked::Command(command) => (command.key.clone(), Some(command.target.clone())),
            Asked::Unreadable { key, .. } => (key.clone(), None),
        };
        Answer {
            key,
            target,
            outcome: Outcome::Refused(why),
            reason: reason.into(),
            old: Value::None,
            held: Value::None,
            at,
            told: Told::First,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.device, self.tag)
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wanted::Value(value) => value.fmt(f),
            Wanted::Text(text) => f.write_str(text),
        }
    }
}
