//! At which message the far side ends the connection. Pure: time and chance are passed in.
//!
//! ```text
//! in flight at several ends --> goes alone --ends--> accused: it waits, the rest flows
//!                                                        |  the connection has stood, others were delivered on it
//!                                                        v
//!         free <-- taken, and the connection stands -- on trial, alone --ends at once, again and again--> guilty
//! ```
//!
//! A network that flaps ends connections at any moment. So an end counts against a message only if it was alone, and the end
//! came at once, on a connection that had stood for much longer than that; one end at another moment sets all counts back.
//! Where connections do not stand for so long, trials come sooner and prove nothing but innocence.
//!
//! Where a topic takes nothing, its messages wait behind the accused one, and when two of them were guilty the topic is
//! shut: what goes there is set aside unsent, but for one message now and then that finds out whether it still is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::TRIES_MAX;
use crate::backoff::Jitter;
use crate::uplink::{EndedBy, Message, Token};

/// A connection has stood when it is this old, and up to twice this: by chance, so that a link that breaks in a rhythm does
/// not break at each trial.
pub(super) const STANDS_AFTER: Duration = Duration::from_secs(10);

/// An end comes at once within this time, or within [`ROUND_TRIPS_AT_ONCE`] where those take longer.
const AT_ONCE: Duration = Duration::from_millis(250);

const ROUND_TRIPS_AT_ONCE: u32 = 4;

/// How many times longer than "at once" a connection has to have stood before a trial, at least.
const STANDS_LONGER: u32 = 10;

/// So many messages that were found guilty on a topic on which none is taken shut it.
const SHUT_AFTER: u32 = 2;

/// A topic that is shut is tried again after this time.
pub(in crate::pipeline::forward) const SHUT_FOR: Duration = Duration::from_secs(600);

/// So many topics are shut at most.
const SHUT_MAX: usize = 256;

/// Who is accused, on trial, and shut out.
#[derive(Debug, Default)]
pub(super) struct Blame {
    connection: Option<Connection>,
    /// The quickest acknowledgement on the last connection on which there was one.
    round_trip: Duration,
    suspects: Vec<Suspect>,
    trial: Option<Trial>,
    /// Connections in a row that ended before a trial could be held on them.
    missed: u32,
    /// Topics that take nothing, and when each is tried again.
    shut: BTreeMap<Arc<str>, Instant>,
}

#[derive(Debug)]
struct Connection {
    since: Instant,
    /// By chance up to [`STANDS_AFTER`].
    longer: Duration,
    delivered: u64,
}

#[derive(Debug)]
struct Suspect {
    topic: Arc<str>,
    /// The accused message; `None`: the next of the topic.
    first: Option<Token>,
    /// Whether all messages of the topic wait with it.
    holds_topic: bool,
    /// Whether a message of the topic was delivered since.
    topic_takes: bool,
    /// Trials in a row at which the connection ended.
    ended: u32,
    /// What had been delivered when it was accused, and what of it was taken on trial since.
    delivered_before: u64,
    /// How many messages of the topic were set aside.
    set_aside: u32,
}

#[derive(Debug)]
struct Trial {
    token: Token,
    topic: Arc<str>,
    at: Instant,
    outcome: Outcome,
    /// Whether the connection had stood for long enough.
    counts: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Open,
    Taken,
    Refused,
}

impl Blame {
    /// A connection begins.
    pub(super) fn connected(&mut self, now: Instant, jitter: &mut Jitter) {
        self.trial = None;
        self.connection = Some(Connection { since: now, longer: jitter.up_to(STANDS_AFTER), delivered: 0 });
    }

    /// Whether nobody is accused and nothing shut.
    pub(super) fn is_idle(&self) -> bool {
        self.suspects.is_empty() && self.shut.is_empty()
    }

    /// Whether the message may only go as one on trial.
    pub(super) fn holds(&self, message: &Message) -> bool {
        self.suspects.iter().any(|suspect| suspect.covers(message))
    }

    /// Whether what goes to this topic is set aside unsent.
    pub(super) fn is_shut(&self, topic: &str) -> bool {
        self.shut.contains_key(topic)
    }

    /// The far side ended the connection when this message was alone on its way.
    pub(super) fn accuse(&mut self, message: &Message, delivered: u64) {
        self.suspect_topic_of(message);
        if !self.holds(message) {
            self.suspects.push(Suspect {
                topic: message.topic.clone(),
                first: Some(message.token),
                holds_topic: false,
                topic_takes: false,
                ended: 0,
                delivered_before: delivered,
                set_aside: 0,
            });
        }
    }

    /// The far side acknowledged a message that was alone on its way, and ended the connection at once: it may be the
    /// message's topic. MQTT 3.1.1 has no word for a refusal.
    pub(super) fn accuse_topic(&mut self, topic: &Arc<str>, delivered: u64) {
        if !self.suspects.iter().any(|suspect| suspect.topic == *topic) {
            self.suspects.push(Suspect {
                topic: topic.clone(),
                first: None,
                holds_topic: true,
                topic_takes: false,
                ended: 0,
                delivered_before: delivered,
                set_aside: 0,
            });
        }
    }

    /// A message was the first on its way when the far side ended the connection. With that of one that is accused already,
    /// and nothing taken between, it is the topic; whether that is news.
    pub(super) fn suspect_topic_of(&mut self, message: &Message) -> bool {
        let same = |suspect: &&mut Suspect| suspect.topic == message.topic && !suspect.topic_takes;
        let Some(suspect) = self.suspects.iter_mut().find(same) else { return false };
        let is_news = !suspect.holds_topic && suspect.first != Some(message.token);
        suspect.holds_topic |= is_news;
        is_news
    }

    /// Parts of a guilty message take its place; one trial each decides.
    pub(super) fn accuse_parts(&mut self, whole: &Message, parts: &[Message]) {
        let Some(at) = self.suspects.iter().position(|suspect| suspect.first == Some(whole.token)) else { return };
        if self.suspects[at].holds_topic {
            return self.suspects[at].accuse_the_next();
        }
        let whole = self.suspects.remove(at);
        let (ended, delivered_before) = (TRIES_MAX - 1, whole.delivered_before);
        self.suspects.extend(parts.iter().map(|part| Suspect {
            topic: part.topic.clone(),
            first: Some(part.token),
            holds_topic: false,
            topic_takes: whole.topic_takes,
            ended,
            delivered_before,
            set_aside: 0,
        }));
    }

    /// When a message may go on trial on this connection; `None` where nobody is accused or one is on trial.
    pub(super) fn trial_at(&self) -> Option<Instant> {
        let connection = self.connection.as_ref().filter(|_| !self.suspects.is_empty() && self.trial.is_none())?;
        Some(connection.since + self.stands_after(connection) / 2_u32.saturating_pow(self.missed))
    }

    fn stands_after(&self, connection: &Connection) -> Duration {
        STANDS_AFTER.max(self.at_once() * STANDS_LONGER) + connection.longer
    }

    /// Whether something was delivered on this connection, so that it is known to be good.
    pub(super) fn is_proven(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| connection.delivered > 0)
    }

    /// Whom to try next: the first accused one that `finds` a message. It takes a message's token and topic, and whether
    /// any of the topic will do.
    pub(super) fn next_on_trial(
        &self,
        finds: impl Fn(Option<Token>, Option<&Arc<str>>) -> Option<Token>,
    ) -> Option<Token> {
        let of_topic = |suspect: &Suspect| finds(None, suspect.holds_topic.then_some(&suspect.topic));
        self.suspects
            .iter()
            .find_map(|suspect| suspect.first.and_then(|first| finds(Some(first), None)).or_else(|| of_topic(suspect)))
    }

    /// A message goes on trial.
    pub(super) fn try_alone(&mut self, message: &Message, now: Instant) {
        let Some(at) = self.suspects.iter().position(|suspect| suspect.covers(message)) else { return };
        let mut suspect = self.suspects.remove(at);
        suspect.first = Some(message.token);
        // The others have their turn first when this one comes back.
        self.suspects.push(suspect);
        let counts = self.connection.as_ref().is_some_and(|connection| self.has_stood(connection, now));
        let (token, topic) = (message.token, message.topic.clone());
        self.trial = Some(Trial { token, topic, at: now, outcome: Outcome::Open, counts });
    }

    fn has_stood(&self, connection: &Connection, now: Instant) -> bool {
        now.saturating_duration_since(connection.since) >= self.stands_after(connection)
    }

    /// Whether a message is on trial and has not come back.
    pub(super) fn is_trying(&self) -> bool {
        self.trial.as_ref().is_some_and(|trial| trial.outcome == Outcome::Open)
    }

    /// The far side has a message, so long after it was sent.
    pub(super) fn acknowledged(&mut self, message: &Message, took: Duration) {
        if let Some(connection) = &mut self.connection {
            let quickest = if connection.delivered == 0 { took } else { self.round_trip.min(took) };
            (self.round_trip, connection.delivered) = (quickest, connection.delivered + 1);
        }
        match self.trial.as_mut().filter(|trial| trial.token == message.token) {
            Some(trial) => {
                trial.outcome = Outcome::Taken;
                if let Some(tried) = self.suspects.iter_mut().find(|suspect| suspect.first == Some(message.token)) {
                    tried.delivered_before += 1;
                }
            }
            None => {
                let of_topic = self.suspects.iter_mut().filter(|suspect| suspect.topic == message.topic);
                of_topic.for_each(|suspect| suspect.topic_takes = true);
            }
        }
    }

    /// The far side refused a message; whether it was on trial often enough.
    pub(super) fn refused(&mut self, token: Token) -> bool {
        let Some(trial) = self.trial.as_mut().filter(|trial| trial.token == token) else { return false };
        trial.outcome = Outcome::Refused;
        self.suspects.iter_mut().find(|suspect| suspect.first == Some(token)).is_some_and(|suspect| {
            suspect.ended += 1;
            suspect.ended >= TRIES_MAX
        })
    }

    /// A trial is over when the connection stands after it: who was taken is free. And topics that were shut for long are
    /// tried again.
    pub(super) fn settle(&mut self, now: Instant, delivered: u64) {
        let at_once = self.at_once();
        if let Some(trial) = self.trial.take_if(|trial| trial.outcome != Outcome::Open && trial.at + at_once <= now)
            && trial.outcome == Outcome::Taken
        {
            self.suspects.retain(|suspect| suspect.first != Some(trial.token));
        }
        while let Some(topic) = self.shut.iter().find(|(_, until)| **until <= now).map(|(topic, _)| topic.clone()) {
            self.shut.remove(&topic);
            self.suspects.push(Suspect {
                topic,
                first: None,
                holds_topic: true,
                topic_takes: false,
                ended: TRIES_MAX - 1,
                delivered_before: delivered,
                set_aside: SHUT_AFTER - 1,
            });
        }
    }

    /// When [`Blame::settle`] has something to do.
    pub(super) fn settles_at(&self) -> Option<Instant> {
        let trial = self.trial.as_ref().filter(|trial| trial.outcome != Outcome::Open);
        let trial = trial.map(|trial| trial.at + self.at_once());
        trial.into_iter().chain(self.shut.values().min().copied()).min()
    }

    /// The connection is over. Whether that was the doing of the message on trial, and whether it was so often enough.
    pub(super) fn lost(&mut self, by: EndedBy, now: Instant, delivered: u64) -> Lost {
        let (connection, trial) = (self.connection.take(), self.trial.take());
        let has_stood = connection.is_some_and(|connection| self.has_stood(&connection, now));
        // A trial that came sooner has ended the connection perhaps: the next one stands for as long as it should.
        let is_missed = !has_stood && trial.is_none() && !self.suspects.is_empty();
        self.missed = if is_missed { self.missed + 1 } else { 0 };
        if by == EndedBy::Network {
            return Lost::ByOthers;
        }
        let Some(trial) = trial.filter(|trial| now.saturating_duration_since(trial.at) <= self.at_once()) else {
            self.suspects.iter_mut().for_each(|suspect| suspect.ended = 0);
            return Lost::ByOthers;
        };
        if !trial.counts {
            if trial.outcome == Outcome::Taken {
                self.suspects.retain(|suspect| suspect.first != Some(trial.token));
            }
            return Lost::ByTheTried(None);
        }
        let Some(suspect) = self.suspects.iter_mut().find(|suspect| suspect.first == Some(trial.token)) else {
            return Lost::ByTheTried(None);
        };
        if trial.outcome != Outcome::Refused {
            suspect.ended += 1;
        }
        let (often, others) = (suspect.ended >= TRIES_MAX, delivered > suspect.delivered_before);
        match trial.outcome {
            Outcome::Open if often && others => return Lost::ByTheTried(Some(trial.token)),
            Outcome::Taken => {
                (suspect.first, suspect.holds_topic) = (None, true);
                if often && others {
                    self.shut(&trial.topic, now);
                }
            }
            Outcome::Open | Outcome::Refused => {}
        }
        Lost::ByTheTried(None)
    }

    /// A message is in quarantine; whether its topic is shut from here on.
    pub(super) fn set_aside(&mut self, token: Token, now: Instant) -> bool {
        let Some(at) = self.suspects.iter().position(|suspect| suspect.first == Some(token)) else { return false };
        let suspect = &mut self.suspects[at];
        if !suspect.holds_topic {
            self.suspects.remove(at);
            return false;
        }
        suspect.accuse_the_next();
        suspect.set_aside += 1;
        let shuts = suspect.set_aside >= SHUT_AFTER && !suspect.topic_takes;
        if shuts {
            let topic = suspect.topic.clone();
            self.shut(&topic, now);
        }
        shuts
    }

    fn shut(&mut self, topic: &Arc<str>, now: Instant) {
        if self.shut.len() < SHUT_MAX {
            self.suspects.retain(|suspect| suspect.topic != *topic);
            self.shut.insert(topic.clone(), now + SHUT_FOR);
        }
    }

    /// How soon after a message an end counts as its doing.
    pub(super) fn at_once(&self) -> Duration {
        AT_ONCE.max(self.round_trip * ROUND_TRIPS_AT_ONCE)
    }
}

/// What the end of a connection tells.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// Nothing about who is on trial.
    ByOthers,
    /// It was the message on trial; the message, when it has been so often enough, and others were taken since it was
    /// accused: a far side that bears nothing at all makes nobody guilty.
    ByTheTried(Option<Token>),
}

impl Suspect {
    fn covers(&self, message: &Message) -> bool {
        self.first == Some(message.token) || (self.holds_topic && self.topic == message.topic)
    }

    /// The message is gone; the next of its topic has one trial.
    fn accuse_the_next(&mut self) {
        (self.first, self.ended) = (None, TRIES_MAX - 1);
        self.holds_topic = true;
    }
}
