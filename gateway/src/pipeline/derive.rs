//! Readings that no device gives: calculated from others, gathered over a time, totals, alarms.
//!
//! The moments are defined: a step is done once after each poll that brought one of its sources, in the order in which steps
//! need one another. Its reading bears the time of its newest source. The quality is that of the worst source, and a source
//! that is older than three of its intervals makes it uncertain; nothing is made of a source that was never read.
//! Nothing is allocated for a reading, unless a text changes.

pub mod alarm;
pub mod keep;
pub mod total;
pub mod window;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use driver_core::{ClockState, Level, Quality, Reading, Reason, TagId, Tense, Timestamp, Value};

use super::expression::Expression;
use alarm::{Alarm, AlarmRule};
use keep::{Kept, KeptState};
use total::Total;
use window::{Take, Window};

/// No place in a table.
const NOBODY: u32 = u32::MAX;

/// What is derived, in an order in which no step needs a later one.
#[derive(Debug, Default, PartialEq)]
pub struct Plan {
    /// The steps.
    pub steps: Box<[Step]>,
}

/// One tag that is derived.
#[derive(Debug, PartialEq)]
pub struct Step {
    /// The tag.
    pub tag: TagId,
    /// What it is made from: for a calculation the operands in their order, else one tag.
    pub sources: Box<[Source]>,
    /// How.
    pub work: Work,
}

/// A tag that something is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// Which.
    pub tag: TagId,
    /// How old its reading may be.
    pub fresh_for: Duration,
}

/// How a tag is derived.
#[derive(Debug, PartialEq)]
pub enum Work {
    /// From an expression.
    Calc(Expression),
    /// One value for all readings of a stretch of time.
    Window {
        /// How long it is.
        over: Duration,
        /// What is taken of it.
        take: Take,
    },
    /// A sum that goes on for ever.
    Total {
        /// The source is a rate in this time; `None` for a counter.
        per: Option<Duration>,
    },
    /// Whether the source is where it should be.
    Alarm(AlarmRule),
}

/// The steps with what they remember.
pub struct Derived {
    plan: Arc<Plan>,
    /// By tag id: its slot. Empty when nothing is derived.
    places: Box<[u32]>,
    slots: Vec<Option<Seen>>,
    /// By slot: the steps that need it.
    dependents: Box<[Box<[u32]>]>,
    /// By step: the slots of its sources.
    inputs: Box<[Box<[u32]>]>,
    states: Vec<State>,
    due: BinaryHeap<Reverse<u32>>,
    /// By step: whether it is due.
    is_due: Vec<bool>,
    /// Whether something changed that is kept.
    changed: bool,
}

/// The last reading of a source.
#[derive(Debug, Clone)]
struct Seen {
    value: Value,
    quality: Quality,
    timestamp: Timestamp,
    clock: ClockState,
    at: Instant,
}

/// What a step remembers.
#[derive(Debug, Clone)]
enum State {
    Nothing,
    Window(Window),
    Total(Total),
    Alarm(Box<Alarm>),
}

/// Why a command to a derived tag was not done; for who sent it.
pub type Refused = String;

impl Derived {
    /// Of so many tags; what was kept is taken up by its tags.
    pub fn new(plan: Arc<Plan>, tags: usize, kept: &HashMap<TagId, KeptState>, now: Instant) -> Derived {
        let mut places = if plan.steps.is_empty() { Vec::new() } else { vec![NOBODY; tags] };
        let (mut dependents, mut inputs): (Vec<Vec<u32>>, Vec<Box<[u32]>>) = (Vec::new(), Vec::new());
        for (step, number) in plan.steps.iter().zip(0..) {
            let slots = step.sources.iter().filter_map(|source| {
                let place = places.get_mut(source.tag.index())?;
                if *place == NOBODY {
                    *place = dependents.len() as u32;
                    dependents.push(Vec::new());
                }
                dependents[*place as usize].push(number);
                Some(*place)
            });
            inputs.push(slots.collect());
        }
        let states = plan.steps.iter().map(|step| State::new(step, kept.get(&step.tag), now)).collect();
        Derived {
            places: places.into(),
            slots: vec![None; dependents.len()],
            dependents: dependents.into_iter().map(Vec::into_boxed_slice).collect(),
            inputs: inputs.into(),
            states,
            due: BinaryHeap::with_capacity(plan.steps.len()),
            is_due: vec![false; plan.steps.len()],
            changed: false,
            plan,
        }
    }

    /// Goes on with another plan. Steps that are the same remember what they knew.
    pub fn change(&mut self, plan: Arc<Plan>, tags: usize, now: Instant) {
        if plan == self.plan && tags == self.places.len() {
            return;
        }
        let mut next = Derived::new(plan, tags, &HashMap::new(), now);
        let known: HashMap<TagId, usize> = self.plan.steps.iter().zip(0..).map(|(step, at)| (step.tag, at)).collect();
        for (number, step) in next.plan.steps.iter().enumerate() {
            if let Some(at) = known.get(&step.tag).filter(|at| self.plan.steps[**at].remembers_for(step)) {
                next.states[number] = self.states[*at].clone();
            }
        }
        for (tag, place) in next.places.iter().enumerate().filter(|(_, place)| **place != NOBODY) {
            let before = self.places.get(tag).and_then(|before| self.slots.get(*before as usize));
            if let Some(Some(seen)) = before {
                next.slots[*place as usize] = Some(seen.clone());
            }
        }
        next.changed = true;
        *self = next;
    }

    /// Whether nothing is derived.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Takes a reading in; the steps that need it are due.
    #[inline]
    pub fn observe(&mut self, reading: &Reading, now: Instant) {
        let Some(place) = self.places.get(reading.tag.index()).copied().filter(|place| *place != NOBODY) else {
            return;
        };
        match &mut self.slots[place as usize] {
            Some(seen) => seen.update(reading, now),
            none => *none = Some(Seen::of(reading, now)),
        }
        for step in &*self.dependents[place as usize] {
            if !std::mem::replace(&mut self.is_due[*step as usize], true) {
                self.due.push(Reverse(*step));
            }
        }
    }

    /// Does all that is due. Readings are added to `out`.
    pub fn run(&mut self, now: Instant, out: &mut Vec<Reading>) {
        while let Some(Reverse(number)) = self.due.pop() {
            self.is_due[number as usize] = false;
            if let Some(reading) = self.step(number as usize, now) {
                self.observe(&reading, now);
                out.push(reading);
            }
        }
    }

    fn step(&mut self, number: usize, now: Instant) -> Option<Reading> {
        let step = &self.plan.steps[number];
        let (slots, inputs) = (&self.slots, &self.inputs[number]);
        let read = |place: usize| slots.get(*inputs.get(place)? as usize)?.as_ref();
        let source = || read(0);
        match (&step.work, &mut self.states[number]) {
            (Work::Calc(expression), _) => calculated(step, expression, read, now),
            (Work::Window { take, .. }, State::Window(window)) => {
                let seen = source()?;
                let closed = window.take_in(&seen.value, seen.quality, seen.timestamp, seen.clock, now)?;
                Some(closed.reading(step.tag, *take))
            }
            (Work::Total { .. }, State::Total(total)) => {
                let seen = source()?;
                let (value, quality) = total.take_in(&seen.value, seen.quality, now);
                self.changed = true;
                Some(seen.reading(step.tag, value, quality))
            }
            (Work::Alarm(rule), State::Alarm(alarm)) => {
                let seen = source()?;
                let told = alarm.take_in(rule, &seen.value, seen.quality, seen.timestamp, now);
                let (value, quality) = told?;
                self.changed = true;
                Some(seen.reading(step.tag, value, quality))
            }
            _ => None,
        }
    }

    /// Does what somebody wants of an alarm: `acknowledge`, `shelve 30m`, `unshelve`. Gives the reading that tells of it.
    ///
    /// # Errors
    /// It cannot be done; why.
    pub fn command(&mut self, tag: TagId, wanted: &Value, at: (Timestamp, ClockState)) -> Result<Reading, Refused> {
        let number = self.plan.steps.iter().position(|step| step.tag == tag);
        let Some(State::Alarm(alarm)) = number.map(|number| &mut self.states[number]) else {
            return Err("there is no alarm of this name any more".into());
        };
        let Value::Text(wanted) = wanted else { return Err(alarm::HELP.into()) };
        let value = alarm.command(wanted, at.0)?;
        self.changed = true;
        let reading = Reading {
            tag,
            value,
            quality: Quality::Good,
            status: 0,
            timestamp: at.0,
            clock: at.1,
            tense: Tense::Present,
        };
        Ok(reading)
    }

    /// What is kept across restarts, when it has changed since the last time.
    pub fn kept(&mut self) -> Option<Vec<(TagId, Kept)>> {
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        let states = self.plan.steps.iter().zip(&self.states);
        let kept = states.filter_map(|(step, state)| match state {
            State::Total(total) => Some((step.tag, Kept::Total(total.kept()))),
            State::Alarm(alarm) => Some((step.tag, Kept::Alarm(alarm.kept()))),
            State::Nothing | State::Window(_) => None,
        });
        Some(kept.collect())
    }
}

/// What an expression gives for the last readings of its operands; nothing before all of them were read.
fn calculated<'a>(
    step: &'a Step,
    expression: &'a Expression,
    read: impl Fn(usize) -> Option<&'a Seen>,
    now: Instant,
) -> Option<Reading> {
    let (mut quality, mut timestamp, mut clock) = (Quality::Good, Timestamp(i64::MIN), ClockState::Synchronized);
    for (place, source) in step.sources.iter().enumerate() {
        let seen = read(place)?;
        quality = worse(quality, seen.aged(source.fresh_for, now));
        timestamp = timestamp.max(seen.timestamp);
        if seen.clock == ClockState::Unsynchronized {
            clock = seen.clock;
        }
    }
    let value = match quality.level() {
        Level::Bad => Value::None,
        _ => match expression.value(|place| read(place).map(|seen| &seen.value)) {
            Ok(value) => value,
            Err(_) => {
                quality = Quality::Bad(Reason::OutOfRange);
                Value::None
            }
        },
    };
    Some(Reading { tag: step.tag, value, quality, status: 0, timestamp, clock, tense: Tense::Present })
}

/// The worse of two; of equal ones the first.
fn worse(left: Quality, right: Quality) -> Quality {
    let rank = |quality: Quality| match quality.level() {
        Level::Good => 0,
        Level::Uncertain => 1,
        Level::Bad => 2,
    };
    if rank(right) > rank(left) { right } else { left }
}

impl Work {
    /// What it does, as it stands before the names of its sources.
    pub fn name(&self) -> &'static str {
        match self {
            Work::Calc(_) => "calculated from",
            Work::Window { .. } => "gathered from",
            Work::Total { .. } => "the total of",
            Work::Alarm(_) => "watches",
        }
    }
}

impl Step {
    /// Whether what this step remembers is of use for `other`, which takes its place.
    fn remembers_for(&self, other: &Step) -> bool {
        let same_sources =
            self.sources.iter().map(|source| source.tag).eq(other.sources.iter().map(|source| source.tag));
        same_sources
            && match (&self.work, &other.work) {
                (Work::Window { over, .. }, Work::Window { over: other, .. }) => over == other,
                (Work::Total { per }, Work::Total { per: other }) => per == other,
                (Work::Alarm(_), Work::Alarm(_)) => true,
                _ => false,
            }
    }
}

impl State {
    fn new(step: &Step, kept: Option<&KeptState>, now: Instant) -> State {
        match (&step.work, kept) {
            (Work::Calc(_), _) => State::Nothing,
            (Work::Window { over, .. }, _) => State::Window(Window::new(*over, now)),
            (Work::Total { per }, Some(KeptState(Kept::Total(kept)))) => State::Total(Total::resumed(*per, *kept)),
            (Work::Total { per }, _) => State::Total(Total::new(*per)),
            (Work::Alarm(_), Some(KeptState(Kept::Alarm(kept)))) => State::Alarm(Box::new(Alarm::resumed(*kept))),
            (Work::Alarm(_), _) => State::Alarm(Box::default()),
        }
    }
}

impl Seen {
    fn of(reading: &Reading, at: Instant) -> Seen {
        let Reading { value, quality, timestamp, clock, .. } = reading.clone();
        Seen { value, quality, timestamp, clock, at }
    }

    fn update(&mut self, reading: &Reading, at: Instant) {
        if self.value != reading.value {
            self.value.clone_from(&reading.value);
        }
        (self.quality, self.timestamp, self.clock, self.at) = (reading.quality, reading.timestamp, reading.clock, at);
    }

    /// Its quality, uncertain when it is too old.
    fn aged(&self, fresh_for: Duration, now: Instant) -> Quality {
        let old = now.saturating_duration_since(self.at) > fresh_for;
        if old { worse(self.quality, Quality::Uncertain(Reason::Timeout)) } else { self.quality }
    }

    fn reading(&self, tag: TagId, value: Value, quality: Quality) -> Reading {
        Reading { tag, value, quality, status: 0, timestamp: self.timestamp, clock: self.clock, tense: Tense::Present }
    }
}

#[cfg(test)]
mod tests;
