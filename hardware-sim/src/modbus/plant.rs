//! The memory of all units of a simulated plant, shared between its servers and whoever looks at it or changes it.

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_modbus::ExceptionCode;

use super::unit::Unit;
use super::{Oracle, Table, UnitConfig};
use crate::point::Source;
use crate::signal::Signal;

/// The most requests that are remembered.
const SEEN_MAX: usize = 4096;

/// Units by their numbers. Clones share the same memory. A unit exists from the first time that it is named here.
#[derive(Debug, Clone)]
pub struct Plant {
    pub(super) state: Arc<Mutex<State>>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) started: Instant,
    pub(super) units: BTreeMap<u8, Unit>,
    pub(super) counts: PlantCounts,
    pub(super) seen: VecDeque<Seen>,
}

/// What the servers of a plant have done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PlantCounts {
    /// Requests that arrived whole.
    pub requests: u64,
    /// Requests answered with an exception.
    pub exceptions: u64,
    /// Requests not answered: broadcasts, and units that do not exist on a serial line.
    pub unanswered: u64,
    /// Registers and bits read.
    pub read: u64,
    /// Registers and bits written by clients.
    pub written: u64,
}

/// A request that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The unit asked.
    pub unit: u8,
    /// The function code.
    pub function: u8,
    /// The first cell, 0 where the function has none.
    pub offset: u16,
    /// How many cells, 0 where the function has none.
    pub count: u16,
}

impl Plant {
    /// A plant without units; its signals start now.
    pub fn new() -> Self {
        let counts = PlantCounts::default();
        let state = State { started: Instant::now(), units: BTreeMap::new(), counts, seen: VecDeque::new() };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Sets what a unit can do; its memory stays.
    pub fn configure(&self, unit: u8, config: UnitConfig) {
        self.with_unit(unit, |unit| unit.config = config);
    }

    /// Writes holding registers. Words beyond the last register are ignored, here and in the other writes.
    pub fn write_holding(&self, unit: u8, offset: u16, words: &[u16]) {
        self.write(unit, Table::HoldingRegisters, offset, words);
    }

    /// Writes input registers.
    pub fn write_input(&self, unit: u8, offset: u16, words: &[u16]) {
        self.write(unit, Table::InputRegisters, offset, words);
    }

    /// Writes coils.
    pub fn write_coils(&self, unit: u8, offset: u16, bits: &[bool]) {
        self.write(unit, Table::Coils, offset, &words_of(bits));
    }

    /// Writes discrete inputs.
    pub fn write_discrete(&self, unit: u8, offset: u16, bits: &[bool]) {
        self.write(unit, Table::DiscreteInputs, offset, &words_of(bits));
    }

    /// Writes any table; in a table of bits every word but 0 is a set bit.
    pub fn write(&self, unit: u8, table: Table, offset: u16, words: &[u16]) {
        self.with_unit(unit, |unit| unit.cells_mut(table).write(offset, words));
    }

    /// What the memory holds, up to its last cell. This counts no counter on and moves no signal.
    pub fn read(&self, unit: u8, table: Table, offset: u16, count: u16) -> Vec<u16> {
        self.with_unit(unit, |unit| unit.cells(table).read(offset, count))
    }

    /// Answers every request that touches the range with an exception.
    pub fn refuse(&self, unit: u8, table: Table, range: RangeInclusive<u16>, exception: ExceptionCode) {
        self.with_unit(unit, |unit| unit.refuse(table, range, exception));
    }

    /// Makes all but the ranges holes: requests that touch one get exception 02.
    pub fn allow_only(&self, unit: u8, table: Table, ranges: Vec<RangeInclusive<u16>>) {
        self.with_unit(unit, |unit| unit.allow_only(table, ranges));
    }

    /// Takes back every refusal and every hole of a unit.
    pub fn allow_all(&self, unit: u8) {
        self.with_unit(unit, Unit::allow_all);
    }

    /// Lets `len` cells show a signal: at each read `encode` turns the value into words, which still hold those of the
    /// last read. A client that writes there ends the signal.
    pub fn drive(
        &self,
        unit: u8,
        table: Table,
        offset: u16,
        len: u16,
        signal: Signal,
        encode: impl FnMut(f64, &mut [u16]) + Send + 'static,
    ) {
        let source = Source::Signal { signal, encode: Box::new(encode) };
        self.with_unit(unit, |unit| unit.points.insert(table, offset, len, source));
    }

    /// Lets `len` cells show a counter that grows by one with each answered read that shows it whole. `encode` is
    /// [`words_u32`](super::words_u32), [`words_u64`](super::words_u64) or the caller's.
    pub fn oracle(
        &self,
        unit: u8,
        table: Table,
        offset: u16,
        len: u16,
        encode: impl FnMut(u64, &mut [u16]) + Send + 'static,
    ) -> Oracle {
        let oracle = Oracle::default();
        let source = Source::Oracle { oracle: oracle.clone(), encode: Box::new(encode) };
        self.with_unit(unit, |unit| unit.points.insert(table, offset, len, source));
        oracle
    }

    /// What was done so far.
    pub fn counts(&self) -> PlantCounts {
        self.with(|state| state.counts)
    }

    /// The last requests, oldest first, at most 4096; they are taken out.
    pub fn take_seen(&self) -> Vec<Seen> {
        self.with(|state| state.seen.drain(..).collect())
    }

    pub(super) fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn with_unit<T>(&self, unit: u8, act: impl FnOnce(&mut Unit) -> T) -> T {
        self.with(|state| act(state.units.entry(unit).or_default()))
    }
}

impl Default for Plant {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    pub(super) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    pub(super) fn saw(&mut self, seen: Seen) {
        self.counts.requests += 1;
        if self.seen.len() == SEEN_MAX {
            self.seen.pop_front();
        }
        self.seen.push_back(seen);
    }
}

fn words_of(bits: &[bool]) -> Vec<u16> {
    bits.iter().map(|bit| u16::from(*bit)).collect()
}
