//! What one poll says of one tag.

use crate::{Clock, ClockState, Quality, Reason, TagId, Timestamp, Value};

/// One tag's value, quality and time.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Which tag.
    pub tag: TagId,
    /// What it holds; [`Value::None`] when the quality is bad.
    pub value: Value,
    /// How far to trust it.
    pub quality: Quality,
    /// The protocol's own status (Modbus exception code, S7 return code, OPC UA StatusCode); 0 when it gave none.
    pub status: u32,
    /// When the answer arrived, or when the device says that it took the value.
    pub timestamp: Timestamp,
    /// Whether the clock behind the timestamp was synchronized.
    pub clock: ClockState,
    /// Whether it tells what the tag holds, or what it held.
    pub tense: Tense,
}

/// Whether a reading is news.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tense {
    /// It tells what the tag holds at its time, and comes after all that the tag held before.
    #[default]
    Present,
    /// The device's own history told it afterwards; what is newer may be known already.
    Past,
}

impl Reading {
    /// Whether there is nothing to say of it but its value and its time.
    #[inline]
    pub fn is_plain(&self) -> bool {
        (self.quality, self.status, self.clock, self.tense)
            == (Quality::Good, 0, ClockState::Synchronized, Tense::Present)
    }
}

/// Where a driver puts the readings of a poll; it stamps each with the time at which its answer arrived.
pub struct Readings<'a> {
    out: &'a mut Vec<Reading>,
    clock: &'a dyn Clock,
    timestamp: Timestamp,
    state: ClockState,
    /// Whether something waits that may overtake the rest of the poll.
    waits: Option<&'a (dyn Fn() -> bool + Sync)>,
    goes_on: bool,
    has_paused: bool,
}

impl<'a> Readings<'a> {
    /// Readings are appended to `out`, stamped by `clock`.
    pub fn new(out: &'a mut Vec<Reading>, clock: &'a dyn Clock) -> Readings<'a> {
        let (timestamp, state) = clock.now();
        Readings { out, clock, timestamp, state, waits: None, goes_on: false, has_paused: false }
    }

    /// Of a poll that may pause between two requests while `waits` says so.
    pub fn pausing(self, waits: &'a (dyn Fn() -> bool + Sync)) -> Readings<'a> {
        Readings { waits: Some(waits), ..self }
    }

    /// Of the rest of a poll that has paused; the vector is that of its first part.
    pub fn going_on(self) -> Readings<'a> {
        Readings { goes_on: true, ..self }
    }

    /// Whether something waits that may overtake the rest of the poll.
    pub fn must_pause(&self) -> bool {
        self.waits.is_some_and(|waits| waits())
    }

    /// Says that the poll stands between two requests; it is called again for the rest.
    pub fn pause(&mut self) {
        self.has_paused = true;
    }

    /// Whether the poll stands between two requests.
    pub fn has_paused(&self) -> bool {
        self.has_paused
    }

    /// Whether this is the rest of the poll that has paused last.
    pub fn goes_on(&self) -> bool {
        self.goes_on
    }

    /// To be called when an answer has arrived: what is pushed from here on bears this time.
    pub fn answered(&mut self) {
        (self.timestamp, self.state) = self.clock.now();
    }

    /// A good value.
    #[inline]
    pub fn good(&mut self, tag: TagId, value: Value) {
        self.push(tag, value, Quality::Good, 0);
    }

    /// No value, and why; `status` is the protocol's own code or 0.
    pub fn bad(&mut self, tag: TagId, reason: Reason, status: u32) {
        self.push(tag, Value::None, Quality::Bad(reason), status);
    }

    /// Any reading.
    #[inline]
    pub fn push(&mut self, tag: TagId, value: Value, quality: Quality, status: u32) {
        self.out.push(Reading {
            tag,
            value,
            quality,
            status,
            timestamp: self.timestamp,
            clock: self.state,
            tense: Tense::Present,
        });
    }

    /// Any reading, with the time at which the device took the value where it says so.
    pub fn push_at(&mut self, tag: TagId, value: Value, quality: Quality, status: u32, taken: Option<Timestamp>) {
        let timestamp = taken.unwrap_or(self.timestamp);
        self.out.push(Reading { tag, value, quality, status, timestamp, clock: self.state, tense: Tense::Present });
    }

    /// What the device's history says of `taken`.
    pub fn push_past(&mut self, tag: TagId, value: Value, quality: Quality, status: u32, taken: Timestamp) {
        let (clock, tense) = (self.state, Tense::Past);
        self.out.push(Reading { tag, value, quality, status, timestamp: taken, clock, tense });
    }

    /// How many readings there are so far, those of earlier polls into the same vector included.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// The readings from index `from` on.
    pub fn since(&self, from: usize) -> &[Reading] {
        self.out.get(from..).unwrap_or_default()
    }

    pub(crate) fn since_mut(&mut self, from: usize) -> &mut Vec<Reading> {
        debug_assert!(from <= self.out.len());
        self.out
    }
}
