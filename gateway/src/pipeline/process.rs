//! What of a poll is worth storing: scaling, what is made of other tags, deadbands, report on change. Readings in, readings
//! out.
//!
//! No value is ever made up: a bad reading stays bad, a value that cannot be scaled becomes a bad reading with its reason,
//! and what passes the filter bears the time of its own poll.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use buffer::Class;
use driver_core::{ClockState, Quality, Reading, Reason, Scale, TagId, Tense, Timestamp, Value};

use super::derive::keep::{self, KeptState};
use super::derive::{Derived, Plan};
use super::swing::Swing;
use super::tags::Tags;
use super::watched::Watched;

/// What is done with the readings of a tag.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// Device value to engineering value.
    pub scale: Option<Scale>,
    /// Which readings go on.
    pub report: Report,
    /// How much its readings are worth when space runs out.
    pub class: Class,
}

impl Rule {
    /// Everything goes on as it is.
    pub const PLAIN: Rule = Rule { scale: None, report: Report::Always, class: Class::Normal };
}

/// Which readings of a tag go on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Report {
    /// Each one.
    Always,
    /// One whose value left the deadband around the last one that went on, or whose quality is another; and one each
    /// heartbeat, whatever it holds.
    OnChange {
        /// Changes up to this size stay.
        deadband: Deadband,
        /// The longest silence; `None` has no end.
        heartbeat: Option<Duration>,
    },
    /// The ends of straight lines, see [`Swing`].
    SwingingDoor {
        /// How far from a line what stays may lie, in units of the scaled value.
        width: f64,
        /// The longest silence; `None` has no end.
        heartbeat: Option<Duration>,
    },
}

/// How far a number may move before its change counts. Values that are no numbers count at each change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Deadband {
    /// Any change counts.
    None,
    /// In units of the scaled value.
    Absolute(f64),
    /// In percent of the last value that went on.
    Percent(f64),
}

/// The rules of all tags with what they need to remember.
pub struct Process {
    tags: Arc<Tags>,
    /// By tag id; empty when no tag reports on change.
    last: Vec<Last>,
    start: Instant,
    /// Is told of readings before they are filtered.
    watched: Arc<Watched>,
    derived: Derived,
    /// By tag; those that swing.
    swings: HashMap<TagId, Swing>,
    /// What is added to the readings of a poll; keeps its memory.
    added: Vec<Reading>,
}

/// What went on last of one tag: 16 bytes.
#[derive(Debug, Clone, Copy)]
struct Last {
    /// The number as `f64`, or a hash of the value.
    bits: u64,
    /// Milliseconds since the start, wrapping after 49 days.
    at_ms: u32,
    quality: u16,
}

/// The quality of a tag that has not been reported yet: equal to none.
const NEVER: u16 = u16::MAX;

impl Process {
    /// Nothing has been reported yet at `start`; `watched` is told of readings before they are filtered.
    pub fn new(tags: Arc<Tags>, watched: Arc<Watched>, start: Instant) -> Process {
        let none = Last::NONE;
        let remembered = if tags.reports_on_change() { tags.len() } else { 0 };
        let derived = Derived::new(Arc::default(), 0, &HashMap::new(), start);
        let (swings, added) = (HashMap::new(), Vec::new());
        Process { tags, last: vec![none; remembered], start, watched, derived, swings, added }
    }

    /// The same, with tags that are made of others; `kept` is what an earlier run knew of them.
    pub fn deriving(mut self, plan: Arc<Plan>, kept: &HashMap<TagId, KeptState>) -> Process {
        self.derived = Derived::new(plan, self.tags.len(), kept, self.start);
        self
    }

    /// What is kept of what is derived across restarts, as text, when it has changed since the last time.
    pub fn kept(&mut self) -> Option<String> {
        self.derived.kept().map(|kept| keep::text(&kept, self.tags.schema()))
    }

    /// Does what somebody wants of an alarm; see [`Derived::command`]. The reading that tells of it is added to `out`.
    ///
    /// # Errors
    /// It cannot be done; why.
    pub fn command(
        &mut self,
        tag: TagId,
        wanted: &Value,
        at: (Timestamp, ClockState),
        now: Instant,
        out: &mut Vec<Reading>,
    ) -> Result<Value, String> {
        let reading = self.derived.command(tag, wanted, at)?;
        if let Some(mut noting) = self.watched.noting(now) {
            noting.note(&reading);
        }
        let held = reading.value.clone();
        out.push(reading);
        Ok(held)
    }

    /// What is held back and will not be decided about any more.
    pub fn flush(&mut self, out: &mut Vec<Reading>) {
        out.extend(self.swings.values_mut().filter_map(Swing::flush));
    }

    /// Goes on with other tags. One whose rule is another is reported anew; what was held back of it is added to `out`.
    pub fn change(
        &mut self,
        (tags, plan): (Arc<Tags>, Arc<Plan>),
        watched: Arc<Watched>,
        now: Instant,
        out: &mut Vec<Reading>,
    ) {
        self.derived.change(plan, tags.len(), now);
        self.swings.retain(|tag, swing| {
            let stays = self.tags.rule(*tag) == tags.rule(*tag) && tags.is_live(*tag);
            if !stays {
                out.extend(swing.flush());
            }
            stays
        });
        watched.take_over(&self.watched);
        if tags.reports_on_change() {
            self.last.resize(tags.len(), Last::NONE);
            let same = |tag| self.tags.rule(tag) == tags.rule(tag);
            let changed = self.last.iter_mut().zip(0..).filter(|(_, id)| !same(TagId(*id)));
            changed.for_each(|(last, _)| *last = Last::NONE);
        } else {
            self.last = Vec::new();
        }
        (self.tags, self.watched) = (tags, watched);
    }

    /// These tags are as they were last seen, by the word of their device.
    pub fn confirm(&self, tags: &[TagId], now: Instant) {
        self.watched.confirm(tags, now);
    }

    /// Scales the readings of a poll and takes away those that need not go on.
    pub fn run(&mut self, readings: &mut Vec<Reading>, now: Instant) {
        let watched = self.watched.clone();
        let mut noting = watched.noting(now);
        let deriving = !self.derived.is_empty();
        if self.tags.all_plain() && !deriving {
            if let Some(noting) = &mut noting {
                readings.iter().filter(|reading| is_live(reading)).for_each(|reading| noting.note(reading));
            }
            return;
        }
        for reading in readings.iter_mut() {
            let rule = if self.tags.all_plain() { None } else { self.tags.rule(reading.tag) };
            if let Some(scale) = rule.and_then(|rule| rule.scale.as_ref()) {
                scale_reading(scale, reading);
            }
            if !is_live(reading) {
                continue;
            }
            if let Some(noting) = &mut noting {
                noting.note(reading);
            }
            if deriving {
                self.derived.observe(reading, now);
            }
        }
        let before = readings.len();
        self.derived.run(now, readings);
        if let Some(noting) = &mut noting {
            readings[before..].iter().for_each(|reading| noting.note(reading));
        }
        drop(noting);
        if !self.tags.all_plain() {
            self.filter(readings, now);
        }
    }

    fn filter(&mut self, readings: &mut Vec<Reading>, now: Instant) {
        let now_ms = now.saturating_duration_since(self.start).as_millis() as u32;
        let (tags, last, swings, added) = (&self.tags, &mut self.last, &mut self.swings, &mut self.added);
        readings.retain_mut(|reading| {
            let Some(rule) = tags.rule(reading.tag).filter(|_| is_live(reading)) else { return true };
            match (rule.report, last.get_mut(reading.tag.index())) {
                (Report::OnChange { deadband, heartbeat }, Some(last)) => {
                    last.passes(reading, deadband, heartbeat, now_ms)
                }
                (Report::SwingingDoor { width, heartbeat }, _) => {
                    let whole = std::mem::replace(&mut reading.value, Value::None);
                    let reading = Reading { value: whole, ..reading.clone() };
                    swings.entry(reading.tag).or_default().take(reading, width, heartbeat, now, added);
                    false
                }
                _ => true,
            }
        });
        readings.append(added);
    }
}

/// What a device's history says is no news: nothing is made of it, nothing waits for it, and all of it goes on.
fn is_live(reading: &Reading) -> bool {
    reading.tense == Tense::Present
}

/// A number that leaves the range of its type makes the reading bad.
fn scale_reading(scale: &Scale, reading: &mut Reading) {
    match scale.value(&reading.value) {
        Some(scaled) => reading.value = scaled,
        None => {
            reading.value = Value::None;
            reading.quality = Quality::Bad(Reason::OutOfRange);
        }
    }
}

impl Last {
    const NONE: Last = Last { bits: 0, at_ms: 0, quality: NEVER };

    fn passes(&mut self, reading: &Reading, deadband: Deadband, heartbeat: Option<Duration>, now_ms: u32) -> bool {
        let quality = number_of(reading.quality);
        let silent_ms = now_ms.wrapping_sub(self.at_ms);
        let bits = bits_of(&reading.value, deadband);
        let passes = quality != self.quality
            || self.leaves(deadband, bits, &reading.value)
            || heartbeat.is_some_and(|heartbeat| u128::from(silent_ms) >= heartbeat.as_millis());
        if passes {
            *self = Last { bits, at_ms: now_ms, quality };
        }
        passes
    }

    /// Whether a value lies outside the deadband around the last one.
    fn leaves(&self, deadband: Deadband, bits: u64, value: &Value) -> bool {
        let Some(number) = value.as_f64().filter(|_| deadband != Deadband::None) else { return bits != self.bits };
        let last = f64::from_bits(self.bits);
        let width = match deadband {
            Deadband::None => 0.0,
            Deadband::Absolute(width) => width,
            Deadband::Percent(percent) => last.abs() * percent / 100.0,
        };
        match (number - last).abs() {
            distance if distance.is_nan() => bits != self.bits,
            distance => distance > width,
        }
    }
}

fn number_of(quality: Quality) -> u16 {
    match quality {
        Quality::Good => 0,
        Quality::Uncertain(reason) => 0x100 | reason as u16,
        Quality::Bad(reason) => 0x200 | reason as u16,
    }
}

/// A number that is equal for equal values; where a deadband is kept, the number itself.
fn bits_of(value: &Value, deadband: Deadband) -> u64 {
    match value {
        Value::None => 0,
        Value::Int(number) if deadband == Deadband::None => *number as u64,
        Value::UInt(number) if deadband == Deadband::None => *number,
        Value::Text(_) | Value::Array(_) => hash_of(value),
        number => number.as_f64().unwrap_or_default().to_bits(),
    }
}

fn hash_of(value: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    hash_into(value, &mut hasher);
    hasher.finish()
}

fn hash_into(value: &Value, hasher: &mut DefaultHasher) {
    match value {
        Value::Text(text) => text.hash(hasher),
        Value::Array(elements) => elements.iter().for_each(|element| hash_into(element, hasher)),
        other => bits_of(other, Deadband::None).hash(hasher),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(rule: Rule) -> Process {
        Process::new(Arc::new(Tags::of_rules(&[rule])), Arc::default(), Instant::now())
    }

    fn reading(value: Value, quality: Quality) -> Reading {
        Reading {
            tag: TagId(0),
            value,
            quality,
            status: 0,
            timestamp: Timestamp(7),
            clock: ClockState::Synchronized,
            tense: Tense::Present,
        }
    }

    fn good(value: Value) -> Reading {
        reading(value, Quality::Good)
    }

    /// What is left of readings that come a second apart, by their places.
    fn kept(rule: Rule, readings: &[Reading]) -> Vec<usize> {
        let mut process = process(rule);
        let start = process.start;
        let left = readings.iter().enumerate().filter(|(second, reading)| {
            let mut one = vec![(*reading).clone()];
            process.run(&mut one, start + Duration::from_secs(*second as u64));
            !one.is_empty()
        });
        left.map(|(index, _)| index).collect()
    }

    fn on_change(deadband: Deadband, heartbeat_s: Option<u64>) -> Rule {
        Rule { report: Report::OnChange { deadband, heartbeat: heartbeat_s.map(Duration::from_secs) }, ..Rule::PLAIN }
    }

    #[test]
    fn changes_and_heartbeats_go_on() {
        let lreals = |values: &[f64]| values.iter().map(|value| good(Value::LReal(*value))).collect::<Vec<_>>();
        let nan = f64::NAN;
        let cases = [
            ("always", Rule::PLAIN, lreals(&[1.0, 1.0, 1.0]), vec![0, 1, 2]),
            ("any change", on_change(Deadband::None, None), lreals(&[1.0, 1.0, 1.1, 1.1]), vec![0, 2]),
            ("heartbeat", on_change(Deadband::None, Some(3)), lreals(&[1.0; 8]), vec![0, 3, 6]),
            ("absolute", on_change(Deadband::Absolute(0.5), None), lreals(&[1.0, 1.5, 0.5, 1.6, 2.0]), vec![0, 3]),
            ("slow drift adds up", on_change(Deadband::Absolute(0.5), None), lreals(&[1.0, 1.4, 1.8, 2.2]), vec![0, 2]),
            (
                "percent",
                on_change(Deadband::Percent(10.0), None),
                lreals(&[100.0, 109.0, 111.0, -111.0]),
                vec![0, 2, 3],
            ),
            ("percent of zero", on_change(Deadband::Percent(10.0), None), lreals(&[0.0, 0.0, 0.001]), vec![0, 2]),
            ("not a number", on_change(Deadband::Absolute(1.0), None), lreals(&[nan, nan, 1.0, nan]), vec![0, 2, 3]),
            (
                "64 bits",
                on_change(Deadband::None, None),
                vec![good(Value::UInt(u64::MAX)), good(Value::UInt(u64::MAX - 1)), good(Value::UInt(u64::MAX - 1))],
                vec![0, 1],
            ),
            (
                "text",
                on_change(Deadband::Absolute(1.0), None),
                ["a", "a", "b"].map(|text| good(Value::Text(text.into()))).to_vec(),
                vec![0, 2],
            ),
            (
                "arrays",
                on_change(Deadband::None, None),
                [1, 1, 2].map(|last| good(Value::Array([Value::Int(7), Value::Int(last)].into()))).to_vec(),
                vec![0, 2],
            ),
        ];
        for (name, rule, readings, expected) in cases {
            assert_eq!(kept(rule, &readings), expected, "{name}");
        }
    }

    #[test]
    fn a_change_of_quality_goes_on_whatever_the_deadband() {
        let bad = |reason| reading(Value::None, Quality::Bad(reason));
        let readings = [
            good(Value::Int(5)),
            bad(Reason::Timeout),
            bad(Reason::Timeout),
            bad(Reason::Suspended),
            good(Value::Int(5)),
            reading(Value::Int(5), Quality::Uncertain(Reason::SensorFailure)),
        ];
        assert_eq!(kept(on_change(Deadband::Absolute(100.0), None), &readings), [0, 1, 3, 4, 5]);
    }

    #[test]
    fn numbers_are_scaled_and_nothing_else() {
        let scale = Scale::new(0.1, -40.0);
        let cases = [
            (Value::Int(615), Value::LReal(21.5)),
            (Value::UInt(0), Value::LReal(-40.0)),
            (Value::Bool(true), Value::Bool(true)),
            (Value::Text("615".into()), Value::Text("615".into())),
            (Value::LReal(f64::INFINITY), Value::LReal(f64::INFINITY)),
            (Value::Array([Value::Int(10), Value::Int(20)].into()), {
                Value::Array([Value::LReal(-39.0), Value::LReal(-38.0)].into())
            }),
        ];
        for (value, expected) in cases {
            let mut readings = vec![good(value)];
            process(Rule { scale, ..Rule::PLAIN }).run(&mut readings, Instant::now());
            assert_eq!(readings, [good(expected)]);
        }
    }

    #[test]
    fn a_value_that_cannot_be_scaled_is_bad_and_a_bad_one_stays_bad() {
        let rule = Rule { scale: Scale::new(f64::MAX, 0.0), ..Rule::PLAIN };
        let mut readings = vec![good(Value::Int(10)), reading(Value::None, Quality::Bad(Reason::Timeout))];
        process(rule).run(&mut readings, Instant::now());
        assert_eq!(readings[0], reading(Value::None, Quality::Bad(Reason::OutOfRange)));
        assert_eq!(readings[1], reading(Value::None, Quality::Bad(Reason::Timeout)));
    }

    #[test]
    fn the_past_is_scaled_and_goes_on_whole_and_nothing_is_compared_with_it() {
        let report = Report::OnChange { deadband: Deadband::None, heartbeat: None };
        let past = |value| Reading { tense: Tense::Past, ..good(Value::Int(value)) };
        let readings = [good(Value::Int(5)), past(4), past(4), good(Value::Int(5)), good(Value::Int(4)), past(5)];
        assert_eq!(kept(Rule { report, ..Rule::PLAIN }, &readings), [0, 1, 2, 4, 5]);
        let width = Report::SwingingDoor { width: 1.0, heartbeat: None };
        assert_eq!(kept(Rule { report: width, ..Rule::PLAIN }, &[past(4), past(5)]), [0, 1]);
        let scale = Scale::new(0.5, 0.0).expect("a scale");
        let mut process = process(Rule { scale: Some(scale), ..Rule::PLAIN });
        let mut readings = vec![past(3)];
        process.run(&mut readings, Instant::now());
        assert_eq!((&readings[0].value, readings[0].tense), (&Value::LReal(1.5), Tense::Past));
    }

    #[test]
    fn memory_per_tag_is_sixteen_bytes_and_nothing_where_nothing_is_remembered() {
        assert_eq!(size_of::<Last>(), 16);
        assert!(process(Rule::PLAIN).last.is_empty());
    }
}
