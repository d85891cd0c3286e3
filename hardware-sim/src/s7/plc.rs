//! The memory and state of a simulated PLC, shared between its servers and whoever looks at it or changes it.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::memory::Memory;
use super::{Area, CpuState, Item, ItemError, Oracle, PlcConfig};
use crate::point::{Points, Source};
use crate::signal::Signal;

/// The most requests that are remembered.
const SEEN_MAX: usize = 4096;

/// A PLC. Clones share the same memory.
#[derive(Debug, Clone)]
pub struct Plc {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) config: PlcConfig,
    pub(super) memory: Memory,
    pub(super) points: Points<Area, u8>,
    pub(super) counts: PlcCounts,
    started: Instant,
    /// How far the signals had come when the CPU was stopped.
    stopped: Option<Duration>,
    refusals: Vec<Refusal>,
    seen: VecDeque<Seen>,
}

/// Bytes of an area that are refused.
#[derive(Debug)]
struct Refusal {
    area: Area,
    range: RangeInclusive<u16>,
    error: ItemError,
}

/// What the servers of a PLC have done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PlcCounts {
    /// Requests that arrived whole.
    pub requests: u64,
    /// Requests that were refused as a whole.
    pub requests_refused: u64,
    /// Items that were read.
    pub items_read: u64,
    /// Items that were written.
    pub items_written: u64,
    /// Items that were refused.
    pub items_refused: u64,
    /// Times that a client broke what was agreed: a PDU or TPDU too long, in either direction, too many items or jobs, a
    /// request before the agreement.
    pub breaches: u64,
}

/// A request that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The function code: 4 reads, 5 writes.
    pub function: u8,
    /// How long the PDU was.
    pub bytes: usize,
    /// The items that were understood.
    pub items: Vec<Item>,
}

impl Plc {
    /// A PLC without data blocks that runs; its signals start now.
    pub fn new() -> Self {
        let state = State {
            config: PlcConfig::default(),
            memory: Memory::default(),
            points: Points::default(),
            counts: PlcCounts::default(),
            started: Instant::now(),
            stopped: None,
            refusals: Vec::new(),
            seen: VecDeque::new(),
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Sets what it can do; its memory stays. Connections keep what they agreed on.
    pub fn configure(&self, config: PlcConfig) {
        self.with(|state| state.config = config);
    }

    /// Makes a data block of at least so many bytes.
    pub fn load(&self, block: u16, bytes: u16) {
        self.with(|state| state.memory.load(block, bytes.into()));
    }

    /// Takes a data block away.
    pub fn unload(&self, block: u16) {
        self.with(|state| state.memory.unload(block));
    }

    /// Writes bytes; a data block is made, and made large enough. What lies beyond an area's end is ignored.
    pub fn write(&self, area: Area, offset: u16, bytes: &[u8]) {
        self.with(|state| state.memory.write(area, offset.into(), bytes));
    }

    /// What the memory holds. This counts no counter on and moves no signal.
    pub fn read(&self, area: Area, offset: u16, count: u16) -> Vec<u8> {
        let start = usize::from(offset);
        self.with(|state| state.memory.read(area, start..start + usize::from(count)))
    }

    /// Refuses every item that touches these bytes.
    pub fn refuse(&self, area: Area, range: RangeInclusive<u16>, error: ItemError) {
        self.with(|state| state.refusals.push(Refusal { area, range, error }));
    }

    /// Takes back every refusal.
    pub fn allow_all(&self) {
        self.with(|state| state.refusals.clear());
    }

    /// Lets `len` bytes show a signal: at each read `encode` turns the value into bytes, which still hold those of the
    /// last read. A client that writes there ends the signal.
    pub fn drive(
        &self,
        area: Area,
        offset: u16,
        len: u16,
        signal: Signal,
        encode: impl FnMut(f64, &mut [u8]) + Send + 'static,
    ) {
        self.put(area, offset, len, Source::Signal { signal, encode: Box::new(encode) });
    }

    /// Lets `len` bytes show a counter that grows by one with each answered read that shows it whole. `encode` is
    /// [`bytes_u32`](super::bytes_u32) or the caller's.
    pub fn oracle(
        &self,
        area: Area,
        offset: u16,
        len: u16,
        encode: impl FnMut(u64, &mut [u8]) + Send + 'static,
    ) -> Oracle {
        let oracle = Oracle::default();
        self.put(area, offset, len, Source::Oracle { oracle: oracle.clone(), encode: Box::new(encode) });
        oracle
    }

    /// Stops or starts the CPU: signals stand still while it is stopped.
    pub fn switch(&self, to: CpuState) {
        self.with(|state| state.switch(to));
    }

    /// Whether the CPU runs.
    pub fn cpu_state(&self) -> CpuState {
        self.with(|state| state.cpu_state())
    }

    /// What was done so far.
    pub fn counts(&self) -> PlcCounts {
        self.with(|state| state.counts)
    }

    /// The last requests, oldest first, at most 4096; they are taken out.
    pub fn take_seen(&self) -> Vec<Seen> {
        self.with(|state| state.seen.drain(..).collect())
    }

    pub(super) fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn put(&self, area: Area, offset: u16, len: u16, source: Source<u8>) {
        self.with(|state| {
            if let Area::Block(number) = area {
                state.memory.load(number, usize::from(offset) + usize::from(len));
            }
            state.points.insert(area, offset, len, source);
        });
    }
}

impl Default for Plc {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    /// How far the signals have come.
    pub(super) fn now(&self) -> Duration {
        self.stopped.unwrap_or_else(|| self.started.elapsed())
    }

    pub(super) fn cpu_state(&self) -> CpuState {
        if self.stopped.is_some() { CpuState::Stop } else { CpuState::Run }
    }

    pub(super) fn switch(&mut self, to: CpuState) {
        self.stopped = match to {
            CpuState::Run => None,
            CpuState::Stop => Some(self.now()),
        };
    }

    pub(super) fn saw(&mut self, function: u8, bytes: usize, items: Vec<Item>) {
        if self.seen.len() == SEEN_MAX {
            self.seen.pop_front();
        }
        self.seen.push_back(Seen { function, bytes, items });
    }

    /// The bytes of an item, if it can be had.
    pub(super) fn allowed(&self, item: &Item) -> Result<std::ops::Range<usize>, ItemError> {
        let range = item.range()?;
        self.memory.check(item.area, range.clone())?;
        let refused = |refusal: &&Refusal| {
            refusal.area == item.area
                && usize::from(*refusal.range.start()) < range.end
                && range.start <= usize::from(*refusal.range.end())
        };
        match self.refusals.iter().find(refused) {
            Some(refusal) => Err(refusal.error),
            None => Ok(range),
        }
    }
}
