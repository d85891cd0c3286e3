//! What a gateway is made of, and the order in which it begins: the log, the uplinks, the polls, the desk for commands.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use buffer::{Log, Options, Store, UplinkOptions};
use driver_core::TagId;
use tokio::sync::watch;
use tracing::error;

use super::north::North;
use super::{Gateway, RunningLine, RunningUplink, health_of, site, stop_store, with_lane};
use crate::clock::WallClock;
use crate::config::{CommandsConfig, UplinkConfig};
use crate::pipeline::acquire::Acquisition;
use crate::pipeline::command::desk::{Desk, DeskSetup, DeskThread, Plant, Queue};
use crate::pipeline::command::rule::Writables;
use crate::pipeline::command::trail;
use crate::pipeline::deliver::{Delivery, UplinkSetup};
use crate::pipeline::derive::Plan;
use crate::pipeline::derive::keep::{self, KeptState};
use crate::pipeline::forward::counters::Counters;
use crate::pipeline::health::ThreadWatch;
use crate::pipeline::learned::LearnedFolder;
use crate::pipeline::poll::{Lane, LineSetup, Shared};
use crate::pipeline::process::Process;
use crate::pipeline::recorder::Recorders;
use crate::pipeline::redate::Redate;
use crate::pipeline::scheduling::Scheduling;
use crate::pipeline::schema::Schemas;
use crate::pipeline::store::{Intake, Reopen, StoreHandle, StoreSetup, StoreThread, SyncPolicy};
use crate::pipeline::tags::Tags;
use crate::pipeline::vitals::{Present, Vitals};
use crate::pipeline::watched::Watched;
use crate::reload::Reload;
use crate::uplink::{TagType, UplinkError};

/// So much is held in memory while the buffer's folder cannot be written to.
const SHELTER_BYTES_MAX: u64 = 32 << 20;

/// What a gateway is made of.
pub struct Setup {
    /// Its name.
    pub gateway: Box<str>,
    /// Its tags.
    pub tags: Arc<Tags>,
    /// Its lines, in the order of their indices.
    pub lines: Vec<LineSetup>,
    /// Its log.
    pub buffer: BufferSetup,
    /// Where its readings go.
    pub uplinks: Vec<UplinkConfig>,
    /// The types of its tags, where a format announces them; else empty.
    pub types: Arc<[TagType]>,
    /// What commands may write.
    pub writables: Arc<Writables>,
    /// Tags that are read so rarely that who looks would wait for them.
    pub rare: Vec<TagId>,
    /// What is made of other tags.
    pub derived: Arc<Plan>,
    /// What is kept of commands.
    pub commands: CommandsConfig,
    /// The class of the thread that polls.
    pub scheduling: Scheduling,
    /// The way to a change of the configuration, where that is possible.
    pub reload: Option<Reload>,
    /// What is recorded of its lines, where it can be.
    pub recorders: Option<Arc<Recorders>>,
}

/// The log as it was configured.
pub struct BufferSetup {
    /// Its folder.
    pub path: PathBuf,
    /// Its bounds, and the uplinks that it keeps readings for.
    pub options: Options,
    /// When what was written is made durable.
    pub sync: SyncPolicy,
}

/// Why a gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The log cannot be opened.
    #[error("{0}")]
    Buffer(#[from] buffer::Error),
    /// An uplink cannot be opened.
    #[error("the uplink {uplink} is configured wrongly: {cause}")]
    Uplink {
        /// Its name.
        uplink: Box<str>,
        /// What is wrong, and what to write instead.
        cause: UplinkError,
    },
    /// The system gives no thread.
    #[error("cannot start a thread: {0}; the limits of the service or the memory are too small")]
    Thread(io::Error),
}

/// What all threads share.
struct Base {
    clock: Arc<WallClock>,
    begun: Instant,
    log: StoreHandle,
    redate: Arc<Redate>,
    watched: Arc<Watched>,
    desk: Desk,
}

/// The threads beside that of the store.
struct Threads {
    acquisition: Acquisition,
    delivery: Delivery,
    desk: DeskThread,
    counters: Vec<Arc<Counters>>,
}

/// A line, what commands reach it by, and its end.
type Polled = (LineSetup, Lane, watch::Sender<()>);

impl Gateway {
    /// Opens the log, begins to poll and to forward.
    pub fn start(mut setup: Setup) -> Result<Gateway, StartError> {
        let (clock, begun) = (Arc::new(WallClock::new()), Instant::now());
        let (store, intake, log) = setup.start_store(&clock)?;
        let redate = Arc::new(Redate::within(&setup.buffer.path));
        let watched =
            Arc::new(Watched::new(setup.tags.len(), setup.writables.watched().chain(setup.rare.iter().copied())));
        let (desk, queue) = Desk::new();
        let base = Base { clock, begun, log, redate, watched, desk };
        let lines = std::mem::take(&mut setup.lines).into_iter();
        let (lines, polled): (Vec<_>, Vec<_>) =
            lines.map(|line| with_lane(tapped(line, setup.recorders.as_deref()))).unzip();
        match setup.start_threads(&base, &lines, polled, intake, queue) {
            Ok(threads) => Ok(setup.running(base, lines, store, threads)),
            Err(cause) => {
                stop_store(store);
                Err(cause)
            }
        }
    }
}

impl Setup {
    fn start_store(&self, clock: &Arc<WallClock>) -> Result<(StoreThread, Intake, StoreHandle), StartError> {
        let (store, reopen) = open_log(&self.buffer)?;
        let schemas = Schemas::open(&Schemas::folder_in(&self.buffer.path), self.tags.schema().clone());
        let (tags, policy, clock) = (self.tags.clone(), self.buffer.sync, clock.clone());
        StoreThread::start(StoreSetup { store, reopen, schemas, tags, policy, clock }).map_err(StartError::Thread)
    }

    /// The uplinks first: what is wrong with one of them is told before anything is polled.
    fn start_threads(
        &self,
        base: &Base,
        lines: &[RunningLine],
        polled: Vec<Polled>,
        intake: Intake,
        queue: Queue,
    ) -> Result<Threads, StartError> {
        let buffer = &*self.buffer.path;
        let site = site(&self.tags, self.types.clone(), buffer, &base.clock);
        let north = North {
            gateway: &self.gateway,
            buffer,
            site: &site,
            log: &base.log,
            redate: &base.redate,
            desk: &base.desk,
        };
        let uplinks = self.uplinks.iter().map(|uplink| north.setup(uplink, Arc::default()));
        let uplinks: Vec<UplinkSetup> = uplinks.collect::<Result<_, StartError>>()?;
        let counters: Vec<_> = uplinks.iter().map(|uplink| uplink.counters.clone()).collect();
        let delivery = Delivery::start(uplinks).map_err(StartError::Thread)?;
        let shared = self.shared(base, intake);
        let acquisition = Acquisition::start(polled, shared, keep::file_in(buffer)).map_err(StartError::Thread)?;
        let plant = Plant {
            tags: self.tags.clone(),
            writables: self.writables.clone(),
            watched: base.watched.clone(),
            derived: acquisition.derived_lane().clone(),
            lanes: lines.iter().map(|line| line.lane.clone()).collect(),
            uplinks: counters.clone(),
        };
        let desk = DeskThread::start(self.desk(base, plant), queue).map_err(StartError::Thread)?;
        Ok(Threads { acquisition, delivery, desk, counters })
    }

    fn shared(&self, base: &Base, intake: Intake) -> Shared {
        let process = Process::new(self.tags.clone(), base.watched.clone(), base.begun)
            .deriving(self.derived.clone(), &kept_of(&self.tags, &self.derived, &self.buffer.path));
        Shared {
            clock: base.clock.clone(),
            process: RefCell::new(process),
            door: Box::new(intake),
            learned: LearnedFolder::within(&self.buffer.path),
            finds: self.reload.as_ref().map(|reload| reload.finds().clone()),
            scheduling: self.scheduling,
        }
    }

    fn desk(&self, base: &Base, plant: Plant) -> DeskSetup {
        DeskSetup {
            plant,
            clock: base.clock.clone(),
            folder: trail::folder_in(&self.buffer.path),
            audit_bytes_max: self.commands.audit_bytes_max,
            when_audit_fails: self.commands.when_audit_fails,
        }
    }

    fn running(self, base: Base, lines: Vec<RunningLine>, store: StoreThread, threads: Threads) -> Gateway {
        let watches = ["store", "acquisition", "uplinks", "commands"].map(|name| ThreadWatch::new(name, base.begun));
        let uplinks = self.uplinks.into_iter().zip(threads.counters);
        let uplinks: Vec<_> = uplinks.map(|(config, counters)| RunningUplink { config, counters }).collect();
        let health = health_of(&lines);
        let buffer_bytes_max = self.buffer.options.size_max_bytes;
        let vitals = Vitals {
            gateway: self.gateway.clone(),
            since: base.begun,
            lines: lines.iter().map(|line| line.names.clone()).collect(),
            tags: self.tags.clone(),
            watched: base.watched,
            health: health.clone(),
            log: base.log.clone(),
            buffer: self.buffer.path.clone(),
            buffer_bytes_max,
            redate: base.redate.clone(),
            uplinks: uplinks.iter().map(RunningUplink::vitals).collect(),
            writables: self.writables,
            desk: base.desk.clone(),
            clock: base.clock.clone(),
            reload: self.reload.clone(),
            recorders: self.recorders,
        };
        Gateway {
            clock: base.clock,
            begun: base.begun,
            name: self.gateway,
            buffer: self.buffer.path,
            buffer_bytes_max,
            tags: self.tags,
            types: self.types,
            lines,
            uplinks,
            health,
            acquisition: threads.acquisition,
            store,
            log: base.log,
            redate: base.redate,
            delivery: threads.delivery,
            desk: base.desk,
            desk_thread: threads.desk,
            reload: self.reload,
            vitals: Present::new(vitals),
            watches,
        }
    }
}

/// The log, and how to open it again. A folder that cannot be used stops no polls: the log begins in memory then.
fn open_log(buffer: &BufferSetup) -> Result<(Box<dyn Store>, Reopen), buffer::Error> {
    let (path, options) = (buffer.path.clone(), buffer.options.clone());
    match Log::open(&path, &options) {
        Ok(log) => {
            let reopen: Reopen =
                Box::new(move |declared| Ok(Box::new(Log::open(&path, &declared_in(&options, declared))?)));
            Ok((Box::new(log), reopen))
        }
        Err(cause) => {
            let (log, disk) = Log::open_sheltered(&path, &options, SHELTER_BYTES_MAX, cause)?;
            let why = log.stats().trouble.unwrap_or_default();
            error!(
                "{why}. Readings are kept in memory, {} MiB at most, and are lost at an end",
                SHELTER_BYTES_MAX >> 20
            );
            let reopen: Reopen = Box::new(move |declared| {
                Ok(Box::new(Log::open_on(disk.clone(), &path, &declared_in(&options, declared))?))
            });
            Ok((Box::new(log), reopen))
        }
    }
}

/// The options for the uplinks that were declared last, where that was after the start.
fn declared_in(options: &Options, declared: Option<&[UplinkOptions]>) -> Options {
    let uplinks = declared.map_or_else(|| options.uplinks.clone(), <[_]>::to_vec);
    Options { uplinks, ..options.clone() }
}

/// The line shows its bytes to its recorder, each time that it is made.
pub(super) fn tapped(mut setup: LineSetup, recorders: Option<&Recorders>) -> LineSetup {
    let Some(recorders) = recorders else { return setup };
    let (tap, make) = (recorders.tap(&setup.name, &setup.spec), setup.make);
    setup.make = Box::new(move || {
        let mut line = make()?;
        line.set_tap(tap.clone());
        Ok(line)
    });
    setup
}

/// What an earlier run knew of the tags that are derived. One that cannot be read costs totals and alarms, and no start.
fn kept_of(tags: &Tags, plan: &Plan, buffer: &Path) -> HashMap<TagId, KeptState> {
    if plan.steps.is_empty() {
        return HashMap::new();
    }
    let path = keep::file_in(buffer);
    let kept = keep::load(&path).unwrap_or_else(|cause| {
        error!("{} cannot be read, so that totals begin at 0 and alarms anew: {cause}", path.display());
        HashMap::new()
    });
    let found = plan.steps.iter().filter_map(|step| {
        let names = tags.schema().tag(step.tag)?;
        Some((step.tag, *kept.get(&(names.device.into(), names.tag.into()))?))
    });
    found.collect()
}
