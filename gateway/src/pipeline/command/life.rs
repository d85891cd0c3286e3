//! The life of a command that the guard has let through, as one enum and one pure step.
//!
//! ```text
//! noted --HandedOver--> writing --Written--------------------------> end: done or differs
//!                          |   \--Refused, TooLate-----------------> end: failed or refused
//!                          +------Lost, Silent--> looking --Seen---> end: unknown, with what is held
//!                                                    \----Tick-----> end: unknown
//! ```
//! What became of a write that the device did not answer is never guessed: its outcome is `unknown`, and what the tag holds
//! by then is read, where it can be.

use std::time::{Duration, Instant};

use driver_core::Value;

use super::super::poll::Performed;
use super::rule::{TagForm, Verify};
use super::verify::{holds, holds_nearest};
use super::{Outcome, RefusedFor};

/// How long the next reading of a tag is waited for after a write that was not answered.
pub const LOOK_FOR: Duration = Duration::from_secs(10);

/// What a command is about.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// What the device is to hold, as it holds it.
    pub raw: Value,
    /// What a reading of the tag shows when it does.
    pub shown: Value,
    /// What the tag holds.
    pub form: TagForm,
    /// Whether that has to be read back.
    pub verify: Verify,
}

/// Where a command stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It stands in the audit trail that it is about to be handed over.
    Noted,
    /// The line has it.
    Writing {
        /// Since when.
        since: Instant,
    },
    /// It was not answered; the next reading of the tag is waited for.
    Looking {
        /// What was polled before is older than the write.
        since: Instant,
        /// How long.
        until: Instant,
        /// What is told if nothing is read.
        about: Doubt,
    },
    /// It has its outcome.
    Ended,
}

/// Why it is not known whether the device holds what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// The connection was lost during the write.
    Lost,
    /// The device did not answer.
    Silent,
    /// The device took it, and it could not be read back.
    NotReadBack,
}

/// What happens to a command.
#[derive(Debug)]
pub enum LifeEvent {
    /// The line has room for it.
    HandedOver,
    /// The line has as many as may wait.
    NoRoom,
    /// The line is done with it.
    Performed(Performed),
    /// A good reading of the tag, and when it was polled.
    Seen(Value, Instant),
    /// Time has passed.
    Tick,
    /// The gateway stops.
    Stop,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq)]
pub struct End {
    /// What became of it.
    pub outcome: Outcome,
    /// Why, for people.
    pub reason: String,
    /// What was read back.
    pub held: Held,
}

/// What a tag holds after the write.
#[derive(Debug, Clone, PartialEq)]
pub enum Held {
    /// It is not known.
    NotRead,
    /// As the device holds it.
    Raw(Value),
    /// In the unit of the tag's readings.
    Scaled(Value),
}

impl Life {
    /// What comes next, and the end when it is one.
    pub fn step(self, event: LifeEvent, task: &Task, now: Instant) -> (Life, Option<End>) {
        match (self, event) {
            (Life::Noted, LifeEvent::HandedOver) => (Life::Writing { since: now }, None),
            (Life::Noted, LifeEvent::NoRoom) => {
                end(Outcome::Refused(RefusedFor::Busy), "too many writes wait for this device; send it again later")
            }
            (Life::Writing { since }, LifeEvent::Performed(performed)) => performed_as(performed, task, since, now),
            (Life::Looking { since, about, .. }, LifeEvent::Seen(value, at)) if at > since => seen(value, task, about),
            (Life::Looking { until, about, .. }, LifeEvent::Tick) if now >= until => {
                end(Outcome::Unknown, about.reason())
            }
            (Life::Noted, LifeEvent::Stop) => end(Outcome::Refused(RefusedFor::Stopping), "the gateway is stopping"),
            (Life::Writing { .. }, LifeEvent::Stop) => {
                end(Outcome::Unknown, "the gateway stopped before the device had answered")
            }
            (Life::Looking { about, .. }, LifeEvent::Stop) => end(Outcome::Unknown, about.reason()),
            (
                life @ (Life::Noted | Life::Writing { .. } | Life::Looking { .. } | Life::Ended),
                LifeEvent::HandedOver
                | LifeEvent::NoRoom
                | LifeEvent::Performed(_)
                | LifeEvent::Seen(..)
                | LifeEvent::Tick
                | LifeEvent::Stop,
            ) => (life, None),
        }
    }
}

fn performed_as(performed: Performed, task: &Task, since: Instant, now: Instant) -> (Life, Option<End>) {
    let look = |about| (Life::Looking { since, until: now + LOOK_FOR, about }, None);
    match performed {
        Performed::Written(Value::None) if task.verify == Verify::Taken => end(Outcome::Done, ""),
        Performed::Written(Value::None) => look(Doubt::NotReadBack),
        Performed::Written(held) => {
            let (outcome, reason) = match task.verify {
                Verify::Equal if !task.is_held_as(&held) => (
                    Outcome::Differs,
                    "the device took it, but holds something else: something else writes there, or limits it",
                ),
                Verify::Equal | Verify::Taken => (Outcome::Done, ""),
            };
            (Life::Ended, Some(End { outcome, reason: reason.into(), held: Held::Raw(held) }))
        }
        Performed::Refused(cause) => {
            (Life::Ended, Some(End { outcome: Outcome::Failed, reason: cause, held: Held::NotRead }))
        }
        Performed::TooLate => {
            end(Outcome::Refused(RefusedFor::Expired), "its time had passed before the device was free for it")
        }
        Performed::Silent => look(Doubt::Silent),
        Performed::Lost(_) => look(Doubt::Lost),
        Performed::Gone => end(Outcome::Unknown, "the line ended before the device had answered"),
    }
}

fn seen(value: Value, task: &Task, about: Doubt) -> (Life, Option<End>) {
    let outcome = match about {
        Doubt::Lost | Doubt::Silent => Outcome::Unknown,
        Doubt::NotReadBack if holds(&value, &task.shown) => Outcome::Done,
        Doubt::NotReadBack => Outcome::Differs,
    };
    let reason = if outcome == Outcome::Done { String::new() } else { about.reason().into() };
    (Life::Ended, Some(End { outcome, reason, held: Held::Scaled(value) }))
}

impl Task {
    fn is_held_as(&self, held: &Value) -> bool {
        holds(held, &self.raw) || holds_nearest(held, &self.raw, self.form.data_type, self.form.elements)
    }
}

fn end(outcome: Outcome, reason: &str) -> (Life, Option<End>) {
    (Life::Ended, Some(End { outcome, reason: reason.into(), held: Held::NotRead }))
}

impl Doubt {
    fn reason(self) -> &'static str {
        match self {
            Doubt::Lost => "the connection was lost during the write: whether the device took it is not known",
            Doubt::Silent => "the device did not answer the write: whether it took it is not known",
            Doubt::NotReadBack => "the device took it, and it could not be read back",
        }
    }
}

#[cfg(test)]
mod tests {
    use driver_core::{DataType, Scale};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn task(verify: Verify) -> Task {
        let form = TagForm { data_type: DataType::Int, elements: 1, scale: Scale::new(0.1, 0.0) };
        Task { raw: Value::Int(800), shown: Value::LReal(80.0), form, verify }
    }

    fn written(value: i64) -> Performed {
        Performed::Written(Value::Int(value))
    }

    /// The outcome of what happens after the line has the command, each event a second after the one before.
    fn outcome(verify: Verify, events: Vec<LifeEvent>) -> (Option<&'static str>, Held) {
        let start = Instant::now();
        let (mut life, none) = Life::Noted.step(LifeEvent::HandedOver, &task(verify), start);
        assert_eq!(none, None);
        for (event, seconds) in events.into_iter().zip(1..) {
            let event = match event {
                // Polled at the time at which it is told.
                LifeEvent::Seen(value, _) => LifeEvent::Seen(value, start + seconds * SECOND),
                other => other,
            };
            let end;
            (life, end) = life.step(event, &task(verify), start + seconds * SECOND);
            if let Some(end) = end {
                assert_eq!(life, Life::Ended);
                return (Some(end.outcome.name()), end.held);
            }
        }
        (None, Held::NotRead)
    }

    #[test]
    fn what_the_line_says_becomes_an_outcome() {
        let raw = |value| Held::Raw(Value::Int(value));
        let cases = [
            (Verify::Equal, written(800), "done", raw(800)),
            (Verify::Equal, written(799), "differs", raw(799)),
            (Verify::Taken, written(799), "done", raw(799)),
            (Verify::Taken, Performed::Written(Value::None), "done", Held::NotRead),
            (Verify::Equal, Performed::Refused("no".into()), "failed", Held::NotRead),
            (Verify::Equal, Performed::TooLate, "refused", Held::NotRead),
            (Verify::Equal, Performed::Gone, "unknown", Held::NotRead),
        ];
        for (verify, performed, expected, held) in cases {
            let shown = format!("{verify:?} {performed:?}");
            assert_eq!(outcome(verify, vec![LifeEvent::Performed(performed)]), (Some(expected), held), "{shown}");
        }
    }

    #[test]
    fn what_was_not_answered_stays_unknown_and_the_next_reading_is_told() {
        let seen = |number| LifeEvent::Seen(Value::LReal(number), Instant::now());
        for performed in [Performed::Silent, Performed::Lost("cut".into())] {
            let shown = format!("{performed:?}");
            let held = outcome(Verify::Equal, vec![LifeEvent::Performed(performed), LifeEvent::Tick, seen(80.0)]);
            assert_eq!(held, (Some("unknown"), Held::Scaled(Value::LReal(80.0))), "{shown}");
        }
        let not_read = || LifeEvent::Performed(Performed::Written(Value::None));
        assert_eq!(outcome(Verify::Equal, vec![not_read(), seen(80.0)]).0, Some("done"));
        assert_eq!(outcome(Verify::Equal, vec![not_read(), seen(79.0)]).0, Some("differs"));
        let ticks = |count| {
            let mut events = vec![LifeEvent::Performed(Performed::Silent)];
            events.extend((0..count).map(|_| LifeEvent::Tick));
            outcome(Verify::Equal, events).0
        };
        assert_eq!((ticks(9), ticks(10)), (None, Some("unknown")));
    }

    #[test]
    fn a_reading_from_before_the_write_says_nothing() {
        let start = Instant::now();
        let looking = Life::Looking { since: start, until: start + SECOND, about: Doubt::Lost };
        let (life, end) = looking.step(LifeEvent::Seen(Value::LReal(80.0), start), &task(Verify::Equal), start);
        assert_eq!((life, end), (looking, None));
    }

    #[test]
    fn each_command_ends_once_whatever_comes_after() {
        let events = || {
            vec![
                LifeEvent::HandedOver,
                LifeEvent::NoRoom,
                LifeEvent::Performed(written(800)),
                LifeEvent::Seen(Value::Int(1), Instant::now()),
                LifeEvent::Tick,
                LifeEvent::Stop,
            ]
        };
        for event in events() {
            assert_eq!(Life::Ended.step(event, &task(Verify::Equal), Instant::now()), (Life::Ended, None));
        }
        let mut life = Life::Noted;
        let mut ends = 0;
        for event in events().into_iter().chain(events()) {
            let end;
            (life, end) = life.step(event, &task(Verify::Equal), Instant::now());
            ends += usize::from(end.is_some());
        }
        assert_eq!(ends, 1);
        for (life, expected) in [(Life::Noted, "refused"), (Life::Writing { since: Instant::now() }, "unknown")] {
            let (_, end) = life.step(LifeEvent::Stop, &task(Verify::Equal), Instant::now());
            assert_eq!(end.map(|end| end.outcome.name()), Some(expected));
        }
    }
}
