//! Which commands have come already: so that none is executed twice, however often it is sent, also across a restart.
//!
//! It is bounded: a key is forgotten when so many newer ones have come. What came again then would be judged anew, by its
//! age first.

use std::collections::{HashMap, VecDeque};

use serde_json::Value as Json;

use super::json::json_value;
use super::record::{self, Remembered};
use super::{Answer, Asked, Command, Outcome, RefusedFor, Told, Wanted};

/// How many keys are remembered.
pub(super) const KEYS_MAX: usize = 10_000;

/// The keys of the last commands.
#[derive(Debug, Default)]
pub(super) struct Memory {
    known: HashMap<String, Entry>,
    order: VecDeque<String>,
}

#[derive(Debug)]
struct Entry {
    wish: String,
    /// `None` while it is being executed.
    answer: Option<Answer>,
}

/// What is remembered of a command.
#[derive(Debug, PartialEq)]
pub(super) enum Recalled {
    /// It has not come before, or bears no key.
    New,
    /// It came before; this became of it.
    Ended(Box<Answer>),
    /// It is being executed.
    UnderWay,
    /// Its key was used for another command.
    KeyOfAnother,
}

impl Memory {
    /// Takes in a record of the trail.
    pub(super) fn take(&mut self, record: &Json) {
        let Some(Remembered { scope, wish, answer }) = record::remembered(record) else { return };
        match answer.as_ref().map_or(Kept::Yes, |answer| Kept::of(answer.outcome)) {
            Kept::Yes => self.insert(scope, Entry { wish, answer }),
            Kept::No => self.forget(&scope),
            Kept::AsItWas => {}
        }
    }

    /// The trail is read: what had begun and not ended by then has no known outcome.
    pub(super) fn settle(&mut self, unfinished: impl Fn(&str) -> Answer) {
        for (scope, entry) in &mut self.known {
            if entry.answer.is_none() {
                let key = scope.rsplit('\n').next().unwrap_or_default();
                entry.answer = Some(unfinished(key));
            }
        }
    }

    pub(super) fn recall(&self, command: &Command) -> Recalled {
        let Some(entry) = scope_of(command).and_then(|scope| self.known.get(&scope)) else { return Recalled::New };
        match &entry.answer {
            _ if entry.wish != wish_of(command) => Recalled::KeyOfAnother,
            None => Recalled::UnderWay,
            Some(answer) => Recalled::Ended(Box::new(Answer {
                told: Told::Again,
                target: Some(command.target.clone()),
                ..answer.clone()
            })),
        }
    }

    /// A command is about to be executed.
    pub(super) fn begin(&mut self, command: &Command) {
        if let Some(scope) = scope_of(command) {
            self.insert(scope, Entry { wish: wish_of(command), answer: None });
        }
    }

    /// A command has come to its end.
    pub(super) fn end(&mut self, asked: &Asked, answer: &Answer) {
        let Asked::Command(command) = asked else { return };
        let Some(scope) = scope_of(command) else { return };
        match Kept::of(answer.outcome) {
            Kept::Yes => self.insert(scope, Entry { wish: wish_of(command), answer: Some(answer.clone()) }),
            Kept::No => self.forget(&scope),
            Kept::AsItWas => {}
        }
    }

    fn forget(&mut self, scope: &str) {
        if self.known.remove(scope).is_some() {
            self.order.retain(|known| known != scope);
        }
    }

    fn insert(&mut self, scope: String, entry: Entry) {
        if self.known.insert(scope.clone(), entry).is_none() {
            self.order.push_back(scope);
        }
        while self.order.len() > KEYS_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.known.remove(&oldest);
            }
        }
    }
}

/// Whether the outcome of a command is what is said when it comes again.
enum Kept {
    Yes,
    /// It was refused for the moment, and may come again under its key.
    No,
    /// It was a repeat: what the first one became stands.
    AsItWas,
}

impl Kept {
    fn of(outcome: Outcome) -> Kept {
        match outcome {
            Outcome::Refused(RefusedFor::Busy | RefusedFor::Rate | RefusedFor::Audit | RefusedFor::Stopping) => {
                Kept::No
            }
            Outcome::Refused(RefusedFor::Repeated) => Kept::AsItWas,
            _ => Kept::Yes,
        }
    }
}

fn scope_of(command: &Command) -> Option<String> {
    let origin = &command.origin;
    let key = command.key.as_deref()?;
    Some(record::scope(origin.door.name(), &origin.from, &origin.who, key))
}

fn wish_of(command: &Command) -> String {
    let value = match &command.value {
        Wanted::Value(value) => json_value(value),
        Wanted::Text(text) => Json::from(&**text),
    };
    record::wish(&command.target, &value)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use driver_core::{Timestamp, Value};

    use super::super::{CommandDoor, Origin, Role, Target};
    use super::*;

    fn command(key: &str, value: i64) -> Command {
        Command {
            target: Target { device: "press".into(), tag: "setpoint".into() },
            value: Wanted::Value(Value::Int(value)),
            key: Some(key.into()),
            sent: None,
            expires: None,
            lives_for: None,
            received: Instant::now(),
            origin: Origin { door: CommandDoor::Mqtt, from: "cloud t".into(), who: "a".into(), role: Role::Admin },
        }
    }

    fn answer(asked: &Asked, outcome: Outcome) -> Answer {
        Answer { outcome, held: Value::Int(80), ..asked.refused(RefusedFor::Rate, "because", Timestamp(1_000)) }
    }

    #[test]
    fn a_key_is_executed_once_and_then_answered_again() {
        let mut memory = Memory::default();
        let first = command("a", 80);
        assert_eq!(memory.recall(&first), Recalled::New);
        memory.begin(&first);
        assert_eq!(memory.recall(&first), Recalled::UnderWay);
        let asked = Asked::Command(first.clone());
        memory.end(&asked, &answer(&asked, Outcome::Done));
        let Recalled::Ended(again) = memory.recall(&first) else { panic!("it is known") };
        assert_eq!((again.outcome, again.told, again.held), (Outcome::Done, Told::Again, Value::Int(80)));
        assert_eq!(memory.recall(&command("a", 81)), Recalled::KeyOfAnother);
        assert_eq!(memory.recall(&command("b", 80)), Recalled::New);
        assert_eq!(memory.recall(&Command { key: None, ..first }), Recalled::New);
    }

    #[test]
    fn what_was_refused_for_the_moment_may_come_again() {
        let mut memory = Memory::default();
        for (outcome, expected) in
            [(Outcome::Refused(RefusedFor::Rate), Recalled::New), (Outcome::Refused(RefusedFor::Audit), Recalled::New)]
        {
            let asked = Asked::Command(command("a", 80));
            memory.begin(&command("a", 80));
            memory.end(&asked, &answer(&asked, outcome));
            assert_eq!(memory.recall(&command("a", 80)), expected);
        }
        let asked = Asked::Command(command("a", 80));
        memory.end(&asked, &answer(&asked, Outcome::Refused(RefusedFor::OutOfRange)));
        assert!(matches!(memory.recall(&command("a", 80)), Recalled::Ended(_)));
    }

    #[test]
    fn the_trail_brings_it_back() {
        let (done, begun) = (command("done", 80), command("begun", 80));
        let asked = Asked::Command(done.clone());
        let records = [
            record::begun(&done, &Value::Int(75), Timestamp(0)),
            record::ended(&asked, &answer(&asked, Outcome::Differs)),
            record::begun(&begun, &Value::None, Timestamp(0)),
            record::lost(3, Timestamp(0)),
            record::ended(
                &Asked::Command(command("done", 99)),
                &answer(&asked, Outcome::Refused(RefusedFor::Repeated)),
            ),
            record::begun(&command("late", 1), &Value::None, Timestamp(0)),
            record::ended(&Asked::Command(command("late", 1)), &answer(&asked, Outcome::Refused(RefusedFor::Audit))),
        ];
        let mut memory = Memory::default();
        records.into_iter().for_each(|record| memory.take(&Json::Object(record)));
        memory.settle(|key| Answer { key: Some(key.into()), ..answer(&asked, Outcome::Unknown) });
        let Recalled::Ended(again) = memory.recall(&done) else { panic!("it is known") };
        assert_eq!((again.outcome, again.held, &*again.reason), (Outcome::Differs, Value::Int(80), "because"));
        assert_eq!(memory.recall(&command("late", 1)), Recalled::New);
        let Recalled::Ended(again) = memory.recall(&begun) else { panic!("it is known") };
        assert_eq!((again.outcome, again.key.as_deref()), (Outcome::Unknown, Some("begun")));
    }

    #[test]
    fn it_is_bounded() {
        let mut memory = Memory::default();
        (0..KEYS_MAX + 5).for_each(|number| memory.begin(&command(&number.to_string(), 1)));
        assert_eq!((memory.known.len(), memory.order.len()), (KEYS_MAX, KEYS_MAX));
        assert_eq!(memory.recall(&command("4", 1)), Recalled::New);
        assert_eq!(memory.recall(&command("5", 1)), Recalled::UnderWay);
    }
}
