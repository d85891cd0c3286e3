//! Where readings go: the list of uplinks in this build, and what an uplink has to be able to do.
//!
//! An [`Uplink`] is a kind of destination: one static value that checks what was configured, without I/O. A
//! [`Publisher`] is the open way to one destination; [`crate::pipeline::forward`] owns it, hands it messages with
//! tokens, and moves the cursor when tokens come back. Delivered means acknowledged by the far side, nothing else.

pub mod base64;
pub mod format;
pub mod kafka;
pub mod mqtt;
pub mod registry;
mod spec;
pub mod sparkplug;
pub mod stream;
pub mod structure;
pub mod topic;
pub mod validity;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use buffer::Seq;
pub use buffer::SeqRange;
use bytes::Bytes;
use driver_core::Timestamp;

pub use self::spec::{
    Delivered, Hold, Password, Site, TagType, TlsFiles, TopicsSpec, UplinkError, UplinkSpec, file_of,
};
use crate::pipeline::command::{Answer, Inbound, ReplyTo};

/// All uplinks of this build. A new one is a folder and a line here.
pub const UPLINKS: &[&dyn Uplink] = &[&mqtt::Mqtt, &kafka::Kafka];

/// The uplink that serves a URL's scheme.
pub fn find(scheme: &str) -> Option<&'static dyn Uplink> {
    UPLINKS.iter().copied().find(|uplink| uplink.info().schemes.contains(&scheme))
}

/// A kind of destination: one static value that checks, and does no I/O.
pub trait Uplink: Send + Sync + 'static {
    /// What it is called and how it is described.
    fn info(&self) -> &'static UplinkInfo;

    /// The way to one destination, not yet connected; every wrong part of what was configured is reported.
    fn open(&self, spec: &UplinkSpec) -> Result<Way, Vec<UplinkError>>;

    /// Looks whether the way could be opened, beside a gateway that may have it open: changes nothing at the far side.
    fn trial(&self, spec: &UplinkSpec) -> Result<Trial, Vec<UplinkError>>;
}

/// What a look at the far side found, in a few words. Bounded in time.
pub type Trial = BoxFuture<'static, Result<String, ConnectError>>;

/// What it takes to bring readings to one destination.
pub struct Way {
    /// Makes messages of blocks.
    pub format: Box<dyn format::Format>,
    /// Brings messages to the far side.
    pub publisher: Box<dyn Publisher>,
}

/// What an uplink is called and how it is described.
#[derive(Debug)]
pub struct UplinkInfo {
    /// Its short name, such as `mqtt`.
    pub name: &'static str,
    /// The URL schemes that it serves.
    pub schemes: &'static [&'static str],
    /// A commented gateway file that shows it.
    pub sample: &'static str,
    /// The options that may stand in the URL's query, with one line of help each.
    pub options: &'static [(&'static str, &'static str)],
    /// Who of it looks at the list of all tags, so that it begins anew when that changes.
    pub lists_tags: ListsTags,
}

/// Who looks at the list of all tags, see [`Site`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListsTags {
    /// The uplink itself, and formats that announce them.
    Uplink,
    /// Only formats that announce them.
    Formats,
}

/// A future behind a pointer, so that publishers of all kinds look alike.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The way to one destination, in whatever state: it is connected, loses the connection and is connected again.
///
/// Whoever owns it keeps each message until its token comes back. After [`Event::Lost`] no token is outstanding: all
/// that had not come back are sent again, in their order, once it is connected. A publisher may remember tokens, so as to
/// mark what is sent again.
pub trait Publisher: Send {
    /// What answers there, for logs: scheme, host and port.
    fn endpoint(&self) -> &str;

    /// Opens the way and announces the gateway. Bounded in time.
    fn connect(&mut self) -> BoxFuture<'_, Result<(), ConnectError>>;

    /// How many messages more the far side takes now; 0 while there is no connection.
    fn room(&self) -> usize;

    /// Hands one message over; only called while there is room. It leaves with the next [`Publisher::events`].
    fn send(&mut self, message: &Arc<Message>);

    /// Whether there is a connection and the far side wants nothing for now, such as while the application behind it is
    /// away: then nothing is overdue.
    fn waits(&self) -> bool {
        false
    }

    /// Moves bytes until at least one event has happened, and appends all that have. May be dropped at any time and
    /// called again. Ends at once while there is no connection.
    fn events<'a>(&'a mut self, events: &'a mut Vec<Event>) -> BoxFuture<'a, ()>;

    /// Takes leave, so that the far side knows that this is no failure. Bounded in time.
    fn close(&mut self) -> BoxFuture<'_, ()>;

    /// Sends the answer to a command that came with [`Event::Command`]; it leaves with the next [`Publisher::events`], or
    /// after the next connect. Publishers that bring no commands are given no answers.
    fn answer(&mut self, _to: ReplyTo, _answer: &Answer) {}

    /// What could not be kept of what this kind of destination promises, counted since the start.
    fn degraded(&self) -> Degraded {
        Degraded::default()
    }

    /// Bytes that went out and came in since the start, as the protocol counts them: without TLS and TCP.
    fn traffic(&self) -> Traffic;
}

/// What could not be kept, where the far side is promised each record exactly once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Degraded {
    /// Messages that may stand there twice, because it could not be asked or read: at least once instead of exactly once.
    pub perhaps_doubled: u64,
    /// How often it had to be read what has arrived.
    pub tails_read: u64,
    /// How often what is written to was found to have been made anew.
    pub made_anew: u64,
}

/// Bytes that were moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes to the far side.
    pub sent_bytes: u64,
    /// Bytes from the far side.
    pub received_bytes: u64,
}

/// The way that a message takes to the far side. The order is that of precedence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Readings as they are stored.
    #[default]
    Live,
    /// Readings that were stored while the far side could not be reached, behind those that are new.
    History,
    /// Readings that are sent once more, on behalf of the replay job of this number.
    Replay(u32),
}

impl Ord for Lane {
    /// By one number: each message on its way is looked up by its lane first, several times.
    fn cmp(&self, other: &Lane) -> Ordering {
        self.precedence().cmp(&other.precedence())
    }
}

impl PartialOrd for Lane {
    fn partial_cmp(&self, other: &Lane) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Lane {
    fn precedence(self) -> u64 {
        match self {
            Lane::Live => 0,
            Lane::History => 1,
            Lane::Replay(job) => 2 + u64::from(job),
        }
    }

    /// Its name in payloads and properties.
    pub fn name(self) -> &'static str {
        match self {
            Lane::Live => "live",
            Lane::History => "history",
            Lane::Replay(_) => "replay",
        }
    }

    /// The replay's job.
    pub fn job(self) -> Option<u32> {
        match self {
            Lane::Live | Lane::History => None,
            Lane::Replay(job) => Some(job),
        }
    }
}

/// A message by its place: the same after a reconnect. After a restart the place is the same, and what was live may be
/// history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token {
    /// The lane in which it goes; the same seq may be on its way in a replay, too.
    pub lane: Lane,
    /// The first seq of the block or gap that the message was made from.
    pub seq: Seq,
    /// Which of the messages made from it, counted from 0.
    pub part: u32,
}

/// What is handed to the far side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its place.
    pub token: Token,
    /// Where it goes.
    pub topic: Arc<str>,
    /// What destinations that keep an order by key go by; `None` where the format makes none.
    pub key: Option<Bytes>,
    /// What it says, in the uplink's format.
    pub payload: Bytes,
    /// The time of its newest reading; `None` where it tells of none.
    pub time: Option<Timestamp>,
    /// What the payload is, as a media type.
    pub content_type: Cow<'static, str>,
    /// The epoch of its records.
    pub epoch: u32,
    /// The lowest and the highest seq among its records; others between them may lie in other messages.
    pub seqs: SeqRange,
    /// How many readings it tells; 0 where it declares that some will never come.
    pub readings: u32,
}

impl Message {
    /// The lane in which it goes.
    pub fn lane(&self) -> Lane {
        self.token.lane
    }

    /// What the message takes of memory and of a window, bytes.
    pub fn size_bytes(&self) -> usize {
        self.topic.len() + self.key.as_ref().map_or(0, Bytes::len) + self.payload.len()
    }
}

/// What happened at the far side.
#[derive(Debug, PartialEq)]
pub enum Event {
    /// It has the message.
    Acknowledged(Token),
    /// It does not want the message.
    Refused(Token, Refusal),
    /// The connection is over; it may be made again.
    Lost(Loss),
    /// A command came.
    Command(Box<Inbound>),
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// What was seen, and what the operator can do where there is something.
    pub reason: String,
    /// Who ended it.
    pub by: EndedBy,
}

/// Who ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBy {
    /// The far side closed it: perhaps it could not bear what was sent.
    FarSide,
    /// It went silent, or the network broke.
    Network,
}

/// Why the far side does not want a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What it said, and what the operator can do.
    pub reason: String,
    /// Whether to try again makes sense.
    pub lasting: Lasting,
}

/// How long a refusal holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasting {
    /// It is about this message: sent again it will be refused again, unless rights are changed meanwhile.
    ForThisMessage,
    /// It is about the size of this message: its parts may be taken.
    ForThisSize,
    /// It is about the far side's state (quota, load): the message is sent again until it is taken.
    ForNow,
}

/// A connection that could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot connect to {endpoint}: {cause}. {advice}")]
pub struct ConnectError {
    /// Scheme, host and port.
    pub endpoint: String,
    /// What the operating system or the far side said.
    pub cause: String,
    /// What the operator can do.
    pub advice: &'static str,
}

/// The longest time that any publisher takes to connect or to take leave.
pub const CONNECT_WITHIN: Duration = Duration::from_secs(10);
