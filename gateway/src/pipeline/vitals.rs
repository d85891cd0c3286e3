//! A running gateway's figures together: handles to what the threads keep, for metrics and status.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use buffer::{Item, Stats};
use driver_core::Clock;

use super::command::desk::Desk;
use super::command::rule::Writables;
use super::forward::counters::Counters;
use super::health::{Health, Stuck};
use super::recorder::Recorders;
use super::redate::Redate;
use super::store::StoreHandle;
use super::tags::Tags;
use super::watched::Watched;
use crate::reload::Reload;

/// A running gateway's figures, and the way to its desk.
pub struct Vitals {
    /// The gateway's name.
    pub gateway: Box<str>,
    /// Since when it runs.
    pub since: Instant,
    /// Its lines, in the order of `health`.
    pub lines: Box<[Arc<LineNames>]>,
    /// Its tags.
    pub tags: Arc<Tags>,
    /// Their last readings.
    pub watched: Arc<Watched>,
    /// What the lines tell of themselves.
    pub health: Arc<Health>,
    /// The log.
    pub log: StoreHandle,
    /// Where the log lies.
    pub buffer: PathBuf,
    /// How large it may get, bytes.
    pub buffer_bytes_max: u64,
    /// What is known of readings that were stamped before the clock was set.
    pub redate: Arc<Redate>,
    /// Its uplinks.
    pub uplinks: Box<[UplinkVitals]>,
    /// What commands may write.
    pub writables: Arc<Writables>,
    /// Where commands are handed over.
    pub desk: Desk,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The way to its configuration, where that can be changed.
    pub reload: Option<Reload>,
    /// What is recorded of the lines, where it can be.
    pub recorders: Option<Arc<Recorders>>,
}

/// The vitals of the configuration of the moment: another one after each change of it.
#[derive(Clone)]
pub struct Present(Arc<RwLock<Arc<Vitals>>>);

impl Present {
    /// These, until they are replaced.
    pub fn new(vitals: Vitals) -> Present {
        Present(Arc::new(RwLock::new(Arc::new(vitals))))
    }

    /// Those of now. To be asked again with each request: what one holds on to may be of an earlier configuration.
    pub fn get(&self) -> Arc<Vitals> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Others take their place.
    pub fn replace(&self, vitals: Vitals) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(vitals);
    }
}

/// The names of a line and its devices.
#[derive(Debug, PartialEq, Eq)]
pub struct LineNames {
    /// The line's.
    pub name: Box<str>,
    /// Its devices', in the order of the line.
    pub devices: Box<[Box<str>]>,
    /// The intervals of each device's poll groups, in the order of its health.
    pub groups: Box<[Box<[Duration]>]>,
}

impl LineNames {
    /// How often a device is polled at most; zero for one that is not.
    pub fn every(&self, device: usize) -> Duration {
        let groups = self.groups.get(device).map(|groups| groups.iter().min().copied());
        groups.flatten().unwrap_or_default()
    }
}

/// One uplink.
pub struct UplinkVitals {
    /// Its name.
    pub name: Box<str>,
    /// Its figures.
    pub counters: Arc<Counters>,
}

/// The log's state in figures.
pub struct LogState {
    /// `None` while the store does not answer.
    pub stats: Option<Stats>,
    /// How old the oldest reading in it is, nanoseconds; `None` when it is empty.
    pub oldest_ns: Option<i64>,
}

impl Vitals {
    /// Why readings do not flow; empty when they do.
    pub fn unready(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if is(&self.log.progress().failing) {
            reasons.push("the buffer takes no readings".to_owned());
        }
        reasons.extend(self.log.progress().trouble().map(|why| format!("readings are kept in memory only: {why}")));
        if self.health.connected() == 0 {
            reasons.push("no line is connected".to_owned());
        }
        if !self.uplinks.is_empty() && !self.uplinks.iter().any(|uplink| is(&uplink.counters.connected)) {
            reasons.push("no uplink is connected".to_owned());
        }
        reasons.extend(self.stuck());
        reasons
    }

    /// What of the pipeline stands still.
    pub fn stuck(&self) -> Option<String> {
        let ended = self.log.is_over().then_some(Stuck::Ended("store"));
        ended.or_else(|| self.health.stuck(Instant::now())).map(|stuck| stuck.to_string())
    }

    /// Asks the store.
    pub async fn log_state(&self) -> LogState {
        let stats = self.log.stats().await.ok();
        let oldest = match &stats {
            Some(stats) => self.log.read(stats.first_seq, 1).await.ok(),
            None => None,
        };
        let oldest = oldest.and_then(|page| page.items.into_iter().next()).and_then(|item| match item {
            Item::Block(block) => Some(block.meta.t_min_ns),
            Item::Gap(_) => None,
        });
        LogState { stats, oldest_ns: oldest.map(|at| self.clock.now().0.0.saturating_sub(at).max(0)) }
    }
}

/// A figure that is yes or no.
pub fn is(flag: &AtomicBool) -> bool {
    flag.load(Ordering::Relaxed)
}

/// A figure that is a number.
pub fn count(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
