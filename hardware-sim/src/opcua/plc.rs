//! The variables and the state of a simulated server, shared between its servers and whoever looks at it or changes it.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opcua::types::{DataValue, DateTime, NodeId, NumericRange, StatusCode, Variant};
use tokio::time::Instant;

use super::place::Place;
use super::{OpcUaConfig, Oracle, PlaceError, UaType};
use crate::signal::Signal;

/// 1601-01-01 to 1970-01-01 in ticks of 100 nanoseconds.
const EPOCH_TICKS: i64 = 116_444_736_000_000_000;

/// A server's variables. Clones share them.
#[derive(Debug, Clone)]
pub struct OpcUaPlc {
    state: Arc<Mutex<State>>,
}

pub(super) struct State {
    pub(super) config: OpcUaConfig,
    pub(super) namespaces: Vec<String>,
    pub(super) points: HashMap<NodeId, Point>,
    pub(super) counts: OpcUaCounts,
    /// Since when it is served, by its own clock.
    pub(super) served_since: DateTime,
    refusals: BTreeMap<String, u32>,
    started: Instant,
    /// What its clock shows beyond this machine's, milliseconds.
    skew_ms: i64,
}

/// A variable.
pub(super) struct Point {
    pub(super) place: Place,
    pub(super) data_type: UaType,
    pub(super) elements: Option<u16>,
    source: Source,
}

enum Source {
    Signal(Signal),
    Oracle(Oracle),
    /// What a client wrote.
    Held(Variant),
}

/// What the servers of a PLC have done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OpcUaCounts {
    /// Values that were shown, by reading or sampling.
    pub shown: u64,
    /// Values that were written.
    pub written: u64,
    /// Values and monitored items that were refused on request.
    pub refused: u64,
    /// Monitored items that were made.
    pub monitored: u64,
}

impl OpcUaPlc {
    /// A server without variables; its signals start now.
    pub fn new() -> Self {
        let state = State {
            config: OpcUaConfig::default(),
            namespaces: vec!["http://opcfoundation.org/UA/".into(), "urn:forebay:sim".into()],
            points: HashMap::new(),
            counts: OpcUaCounts::default(),
            served_since: DateTime::null(),
            refusals: BTreeMap::new(),
            started: Instant::now(),
            skew_ms: 0,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Sets its limits, which count from the next start of a server on.
    pub fn configure(&self, config: OpcUaConfig) {
        self.with(|state| state.config = config);
    }

    /// Lets a variable show a signal; `elements` makes it an array of equals. A client that writes ends the signal.
    ///
    /// # Errors
    /// The place is none.
    pub fn drive(
        &self,
        place: &str,
        data_type: UaType,
        elements: Option<u16>,
        signal: Signal,
    ) -> Result<(), PlaceError> {
        self.put(place, data_type, elements, Source::Signal(signal))
    }

    /// Lets a UInt32 show a counter that grows by one each time that it is shown.
    ///
    /// # Errors
    /// The place is none.
    pub fn oracle(&self, place: &str) -> Result<Oracle, PlaceError> {
        let oracle = Oracle::default();
        self.put(place, UaType::UInt32, None, Source::Oracle(oracle.clone()))?;
        Ok(oracle)
    }

    /// Refuses to read, monitor and write a variable, with this status code.
    ///
    /// # Errors
    /// The place is none.
    pub fn refuse(&self, place: &str, status: u32) -> Result<(), PlaceError> {
        self.with(|state| {
            let place = Place::parse(place, &mut state.namespaces)?;
            state.refusals.insert(place.id.to_string(), status);
            Ok(())
        })
    }

    /// Takes back every refusal.
    pub fn allow_all(&self) {
        self.with(|state| state.refusals.clear());
    }

    /// Sets its clock so many milliseconds ahead, or behind.
    pub fn skew(&self, milliseconds: i64) {
        self.with(|state| state.skew_ms = milliseconds);
    }

    /// What was done so far.
    pub fn counts(&self) -> OpcUaCounts {
        self.with(|state| state.counts)
    }

    pub(super) fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn put(&self, place: &str, data_type: UaType, elements: Option<u16>, source: Source) -> Result<(), PlaceError> {
        self.with(|state| {
            let place = Place::parse(place, &mut state.namespaces)?;
            state.points.insert(place.id.clone(), Point { place, data_type, elements, source });
            Ok(())
        })
    }
}

impl Default for OpcUaPlc {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    /// What its clock shows.
    pub(super) fn clock(&self) -> DateTime {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let ticks = i64::try_from(since.as_nanos() / 100).unwrap_or(i64::MAX - EPOCH_TICKS);
        DateTime::from(EPOCH_TICKS + ticks + self.skew_ms * 10_000)
    }

    /// Why a variable is refused.
    pub(super) fn refusal(&mut self, id: &NodeId) -> Option<StatusCode> {
        if self.refusals.is_empty() {
            return None;
        }
        let status = *self.refusals.get(&id.to_string())?;
        self.counts.refused += 1;
        Some(StatusCode::from(status))
    }

    /// A variable's value as it is now; none if it is not one of these variables.
    pub(super) fn value(&mut self, id: &NodeId, range: &NumericRange) -> Option<DataValue> {
        let (clock, elapsed) = (self.clock(), self.started.elapsed());
        if !self.points.contains_key(id) {
            return None;
        }
        if let Some(status) = self.refusal(id) {
            return Some(bad(status, clock));
        }
        let point = self.points.get_mut(id)?;
        self.counts.shown += 1;
        let value = match &mut point.source {
            Source::Signal(signal) => point.data_type.show(point.elements, signal.at(elapsed)),
            Source::Oracle(oracle) => Variant::UInt32(oracle.next() as u32),
            Source::Held(value) => value.clone(),
        };
        Some(match value.range_of(range) {
            Ok(value) => good(value, clock),
            Err(status) => bad(status, clock),
        })
    }

    /// Takes what a client writes, which the space has found to fit.
    pub(super) fn take(&mut self, id: &NodeId, range: &NumericRange, value: &Variant) -> StatusCode {
        if let Some(status) = self.refusal(id) {
            return status;
        }
        let Some(held) = self.value(id, &NumericRange::None).and_then(|value| value.value) else {
            return StatusCode::BadNotWritable;
        };
        let mut next = value.clone();
        if range.has_range() {
            next = held;
            if let Err(status) = next.set_range_of(range, value) {
                return status;
            }
        } else if next.type_id() != held.type_id() {
            return StatusCode::BadTypeMismatch;
        }
        self.counts.written += 1;
        if let Some(point) = self.points.get_mut(id) {
            point.source = Source::Held(next);
        }
        StatusCode::Good
    }
}

pub(super) fn good(value: Variant, at: DateTime) -> DataValue {
    DataValue {
        value: Some(value),
        status: Some(StatusCode::Good),
        source_timestamp: Some(at),
        server_timestamp: Some(at),
        ..DataValue::default()
    }
}

fn bad(status: StatusCode, at: DateTime) -> DataValue {
    DataValue { value: None, status: Some(status), server_timestamp: Some(at), ..DataValue::default() }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("namespaces", &self.namespaces).field("points", &self.points.len()).finish()
    }
}
