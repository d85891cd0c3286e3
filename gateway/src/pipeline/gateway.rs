//! The whole pipeline: what is started in which order, and how it ends.
//!
//! Three threads and the disk's: acquisition polls, the store writes, the uplinks forward. They end in the order of the
//! data, so that what was polled is stored, and what is stored has a moment to leave. What is changed while they run stands
//! in [`change`].

mod change;

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use buffer::{Log, Options, Store, UplinkOptions};
use driver_core::{Clock, ClockState, LineSpec, TagId};
use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};

use super::acquire::Acquisition;
use super::command::desk::{Desk, DeskSetup, DeskThread, Plant};
use super::command::rule::Writables;
use super::command::trail;
use super::deliver::{Delivery, UplinkSetup, way};
use super::derive::Plan;
use super::derive::keep::{self, KeptState};
use super::forward::backlog::{Backlog, Stored};
use super::forward::counters::Counters;
use super::forward::quarantine::Quarantine;
use super::forward::replay::Jobs;
use super::health::{Health, LineHealth, Stuck, ThreadWatch};
use super::learned::LearnedFolder;
use super::poll::{DeviceSetup, Lane, LineSetup, Shared, Write};
use super::process::Process;
use super::recorder::Recorders;
use super::redate::Redate;
use super::scheduling::Scheduling;
use super::schema::Schemas;
use super::store::{Reopen, StoreHandle, StoreSetup, StoreThread, SyncPolicy};
use super::tags::Tags;
use super::vitals::{LineNames, Present, UplinkVitals, Vitals};
use super::watched::Watched;
use crate::clock::{ClockEvent, WallClock};
use crate::config::{CommandsConfig, UplinkConfig};
use crate::reload::Reload;
use crate::uplink::{Delivered, Hold, Site, TagType, UplinkError, UplinkSpec};

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

/// The running pipeline.
pub struct Gateway {
    clock: Arc<WallClock>,
    begun: Instant,
    name: Box<str>,
    buffer: PathBuf,
    buffer_bytes_max: u64,
    tags: Arc<Tags>,
    types: Arc<[TagType]>,
    lines: Vec<RunningLine>,
    uplinks: Vec<RunningUplink>,
    health: Arc<Health>,
    acquisition: Acquisition,
    store: StoreThread,
    log: StoreHandle,
    redate: Arc<Redate>,
    delivery: Delivery,
    desk: Desk,
    desk_thread: DeskThread,
    reload: Option<Reload>,
    vitals: Present,
    watches: [ThreadWatch; 4],
}

/// A line that is polled.
#[derive(Clone)]
struct RunningLine {
    names: Arc<LineNames>,
    spec: Arc<LineSpec>,
    health: Arc<LineHealth>,
    lane: mpsc::Sender<Write>,
}

/// The name of a line that is polled, and what it was made from.
pub type RunningSpec = (Box<str>, Arc<LineSpec>);

/// An uplink that is forwarded to.
#[derive(Clone)]
struct RunningUplink {
    config: UplinkConfig,
    counters: Arc<Counters>,
}

pub use change::{ChangeError, Keep, Next, NextLine};

/// What a gateway says of itself in one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Lines that have a connection.
    pub connected: usize,
    /// All lines.
    pub lines: usize,
    /// Readings in the log since the start.
    pub stored: u64,
    /// Readings that could not be stored since the start.
    pub lost: u64,
    /// Whether the log takes readings.
    pub storing: bool,
    /// Uplinks that have a connection.
    pub uplinks_connected: usize,
    /// All uplinks.
    pub uplinks: usize,
    /// Readings in the log that the uplink furthest behind does not have yet.
    pub waiting: u64,
}

impl Gateway {
    /// Opens the log, begins to poll and to forward.
    pub fn start(setup: Setup) -> Result<Gateway, StartError> {
        let Setup {
            gateway: name,
            tags,
            lines,
            buffer,
            uplinks,
            types,
            writables,
            derived,
            commands,
            scheduling,
            reload,
            recorders,
        } = setup;
        let (clock, begun) = (Arc::new(WallClock::new()), Instant::now());
        let (store, reopen) = open_log(&buffer)?;
        let schemas = Schemas::open(&Schemas::folder_in(&buffer.path), tags.schema().clone());
        let (store, intake, log) = StoreThread::start(StoreSetup {
            store,
            reopen,
            schemas,
            tags: tags.clone(),
            policy: buffer.sync,
            clock: clock.clone(),
        })
        .map_err(StartError::Thread)?;
        let redate = Arc::new(Redate::within(&buffer.path));
        let (desk, queue) = Desk::new();
        let watched = Arc::new(Watched::new(tags.len(), writables.watched()));
        let (looked_at, buffer_bytes_max) = (watched.clone(), buffer.options.size_max_bytes);
        let shared = Shared {
            clock: clock.clone(),
            process: RefCell::new(
                Process::new(tags.clone(), watched.clone(), begun)
                    .deriving(derived.clone(), &kept_of(&tags, &derived, &buffer.path)),
            ),
            door: Box::new(intake),
            learned: LearnedFolder::within(&buffer.path),
            scheduling,
        };
        let (running, lines): (Vec<_>, Vec<_>) =
            lines.into_iter().map(|line| with_lane(tapped(line, recorders.as_deref()))).unzip();
        let site = site(&tags, types.clone(), &buffer.path, &clock);
        let north =
            North { gateway: &name, buffer: &buffer.path, site: &site, log: &log, redate: &redate, desk: &desk };
        let setups = uplinks.iter().map(|uplink| north.setup(uplink, Arc::default())).collect();
        let started = Result::<Vec<UplinkSetup>, StartError>::and_then(setups, |setups| {
            let counters = setups.iter().map(|setup| setup.counters.clone()).collect::<Vec<_>>();
            let delivery = Delivery::start(setups).map_err(StartError::Thread)?;
            let acquisition =
                Acquisition::start(lines, shared, keep::file_in(&buffer.path)).map_err(StartError::Thread)?;
            let plant = Plant {
                tags: tags.clone(),
                writables: writables.clone(),
                watched,
                derived: acquisition.derived_lane().clone(),
                lanes: running.iter().map(|line| line.lane.clone()).collect(),
                uplinks: counters.clone(),
            };
            let setup = DeskSetup {
                plant,
                clock: clock.clone(),
                folder: trail::folder_in(&buffer.path),
                audit_bytes_max: commands.audit_bytes_max,
                when_audit_fails: commands.when_audit_fails,
            };
            let desk_thread = DeskThread::start(setup, queue).map_err(StartError::Thread)?;
            Ok((acquisition, delivery, desk_thread, counters))
        });
        let (acquisition, delivery, desk_thread, counters) = match started {
            Ok(started) => started,
            Err(cause) => {
                stop_store(store);
                return Err(cause);
            }
        };
        let watches = ["store", "acquisition", "uplinks", "commands"].map(|name| ThreadWatch::new(name, begun));
        let uplinks = uplinks.into_iter().zip(counters);
        let uplinks: Vec<_> = uplinks.map(|(config, counters)| RunningUplink { config, counters }).collect();
        let health = health_of(&running);
        let vitals = Vitals {
            gateway: name.clone(),
            since: begun,
            lines: running.iter().map(|line| line.names.clone()).collect(),
            tags: tags.clone(),
            watched: looked_at.clone(),
            health: health.clone(),
            log: log.clone(),
            buffer: buffer.path.clone(),
            buffer_bytes_max,
            redate: redate.clone(),
            uplinks: uplinks.iter().map(RunningUplink::vitals).collect(),
            writables,
            desk: desk.clone(),
            clock: clock.clone(),
            reload: reload.clone(),
            recorders,
        };
        Ok(Gateway {
            clock,
            begun,
            name,
            buffer: buffer.path,
            buffer_bytes_max,
            tags,
            types,
            lines: running,
            uplinks,
            health,
            acquisition,
            store,
            log,
            redate,
            delivery,
            desk,
            desk_thread,
            reload,
            vitals: Present::new(vitals),
            watches,
        })
    }

    /// The certificates that the uplinks show and trust.
    pub fn certificates(&self) -> Vec<PathBuf> {
        let files = self.uplinks.iter().map(|uplink| &uplink.config.tls);
        files.flat_map(|tls| [tls.cert.clone(), tls.ca.clone()]).flatten().collect()
    }

    /// The way to the log, for whoever forwards what is in it.
    pub fn log(&self) -> &StoreHandle {
        &self.log
    }

    /// What it says of itself.
    pub fn status(&self) -> Status {
        let (progress, uplinks) = (self.log.progress(), &self.uplinks);
        let uplinks: Vec<&Counters> = uplinks.iter().map(|uplink| &*uplink.counters).collect();
        Status {
            connected: self.health.connected(),
            lines: self.health.lines.len(),
            stored: progress.accepted.load(Ordering::Relaxed),
            lost: progress.lost.load(Ordering::Relaxed),
            storing: !progress.failing.load(Ordering::Relaxed),
            uplinks_connected: uplinks.iter().filter(|uplink| uplink.connected.load(Ordering::Relaxed)).count(),
            uplinks: uplinks.len(),
            waiting: uplinks.iter().map(|uplink| uplink.lag_records.load(Ordering::Relaxed)).max().unwrap_or(0),
        }
    }

    /// Looks after the clock, and whether the pipeline moves; to be called every few seconds.
    pub fn look(&mut self, now: Instant) -> Option<Stuck> {
        self.look_at_the_clock();
        let store_rounds = self.log.progress().rounds.load(Ordering::Relaxed);
        let rounds = [store_rounds, self.acquisition.rounds(), self.delivery.rounds(), self.desk_thread.rounds()];
        if self.store.is_over() {
            return Some(Stuck::Ended("store"));
        }
        let threads = self.watches.iter_mut().zip(rounds).filter_map(|(watch, rounds)| watch.stuck(rounds, now));
        threads.fold(None, |first, stuck| first.or(Some(stuck))).or_else(|| self.health.stuck(now))
    }

    fn look_at_the_clock(&self) {
        let epoch = self.log.identity().epoch;
        match self.clock.check() {
            None => {}
            Some(ClockEvent::Locked { by_ns }) => {
                info!(by_ns, "the clock is synchronized: readings of this run that still wait are re-dated");
                if let Err(cause) = self.redate.locked(epoch, self.clock.now().0, by_ns) {
                    warn!(
                        "by how much the clock was set could not be kept: {cause}; after a restart readings of this run keep the time at which they were stamped"
                    );
                }
            }
            Some(ClockEvent::Unlocked) => warn!("the clock is not synchronized: readings are marked so"),
            Some(ClockEvent::Stepped { by_ns }) => {
                warn!(by_ns, "the clock was set; polls go on in their intervals");
                let (now, state) = self.clock.now();
                if state == ClockState::Unsynchronized {
                    self.redate.stepped(epoch, now, by_ns);
                }
            }
        }
    }

    /// Its figures, and the way to its desk for commands.
    pub fn vitals(&self) -> &Present {
        &self.vitals
    }

    /// Ends commands and polls, gives the uplinks a moment for what is on its way, writes what waits, and makes it durable.
    pub fn stop(self) {
        if !self.desk_thread.stop() {
            error!("the thread for commands had panicked; please report this");
        }
        if !self.acquisition.stop() {
            error!("the acquisition thread had panicked; please report this");
        }
        if !self.delivery.stop() {
            error!("the uplink thread had panicked; please report this");
        }
        stop_store(self.store);
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

/// What all uplinks are given.
struct North<'a> {
    gateway: &'a str,
    buffer: &'a Path,
    site: &'a Site,
    log: &'a StoreHandle,
    redate: &'a Arc<Redate>,
    desk: &'a Desk,
}

impl North<'_> {
    fn setup(&self, uplink: &UplinkConfig, counters: Arc<Counters>) -> Result<UplinkSetup, StartError> {
        let identity = self.log.identity();
        let log = Stored { store: self.log.clone(), uplink: (&*uplink.name).into() };
        let (delivered, hold): (Delivered, Hold) = (delivered_of(&log), hold_of(&log));
        let spec = uplink.spec(self.gateway, &identity.gateway_text());
        let spec = UplinkSpec {
            site: Some(self.site.clone()),
            epoch: identity.epoch,
            delivered: Some(delivered),
            hold: Some(hold),
            ..spec
        };
        if let Some(cause) = way(&spec).err().and_then(|errors| errors.into_iter().next()) {
            return Err(StartError::Uplink { uplink: uplink.name.clone(), cause });
        }
        Ok(UplinkSetup {
            spec,
            drain: uplink.drain,
            log,
            quarantine: Quarantine::beside(self.buffer, &uplink.name),
            jobs: Jobs::beside(self.buffer),
            redate: self.redate.clone(),
            counters,
            desk: self.desk.clone(),
        })
    }
}

impl RunningUplink {
    fn vitals(&self) -> UplinkVitals {
        UplinkVitals { name: self.config.name.clone(), counters: self.counters.clone() }
    }
}

/// The line shows its bytes to its recorder, each time that it is made.
fn tapped(mut setup: LineSetup, recorders: Option<&Recorders>) -> LineSetup {
    let Some(recorders) = recorders else { return setup };
    let (tap, make) = (recorders.tap(&setup.name, &setup.spec), setup.make);
    setup.make = Box::new(move || {
        let mut line = make()?;
        line.set_tap(tap.clone());
        Ok(line)
    });
    setup
}

/// What is kept of a line, and what its task is given.
fn with_lane(setup: LineSetup) -> (RunningLine, (LineSetup, Lane, watch::Sender<()>)) {
    let (lane, end, way_in) = Lane::new();
    let names = Arc::new(names_of(&setup));
    let running = RunningLine { names, spec: setup.spec.clone(), health: setup.health.clone(), lane };
    (running, (setup, way_in, end))
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

fn health_of(lines: &[RunningLine]) -> Arc<Health> {
    Arc::new(Health { lines: lines.iter().map(|line| line.health.clone()).collect() })
}

fn site(tags: &Tags, types: Arc<[TagType]>, buffer: &Path, clock: &Arc<WallClock>) -> Site {
    Site { schema: tags.live_schema().clone(), types, folder: buffer.join("uplinks"), clock: clock.clone() }
}

fn names_of(line: &LineSetup) -> LineNames {
    let groups = |device: &DeviceSetup| device.groups.iter().map(|(every, _)| *every).collect();
    LineNames {
        name: line.name.clone(),
        devices: line.devices.iter().map(|device| device.name.clone()).collect(),
        groups: line.devices.iter().map(groups).collect(),
    }
}

/// What an uplink may ask of its log at any time.
fn delivered_of(log: &Stored) -> Delivered {
    let log = log.clone();
    Arc::new(move || {
        let log = log.clone();
        Box::pin(async move { log.cursor().await.unwrap_or_default() })
    })
}

fn hold_of(log: &Stored) -> Hold {
    let log = log.clone();
    Arc::new(move |seqs| log.store.hold(&log.uplink, seqs))
}

fn stop_store(store: StoreThread) {
    if !store.stop() {
        error!("the store thread had panicked: the last readings may not be in the buffer; please report this");
    }
}

impl fmt::Display for Setup {
    /// What is begun, in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let devices: usize = self.lines.iter().map(|line| line.devices.len()).sum();
        let (tags, lines, uplinks) = (self.tags.len(), self.lines.len(), self.uplinks.len());
        write!(f, "{tags} tags of {devices} devices on {lines} lines, {uplinks} uplinks, ")?;
        write!(f, "buffer in {}", self.buffer.path.display())
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} lines connected, {} readings stored", self.connected, self.lines, self.stored)?;
        write!(f, ", {} of {} uplinks connected", self.uplinks_connected, self.uplinks)?;
        if self.waiting > 0 {
            write!(f, ", {} readings wait for them", self.waiting)?;
        }
        if self.lost > 0 {
            write!(f, ", {} lost", self.lost)?;
        }
        if !self.storing {
            f.write_str(", the buffer takes no readings")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use driver_core::{DataType, TagId};

    use super::super::command::books::WhenAuditFails;
    use super::super::command::rule::{TagForm, Writable, WriteRule};
    use super::super::command::{CommandDoor, Origin, Outcome, RefusedFor, Role, Target, json};
    use super::super::poll::DeviceSetup;
    use super::super::poll::scripted::{Act, Scripted, World, no_spec, tag_of};
    use super::super::process::Rule;
    use super::super::tags::DevicePlace;
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const PATIENCE: Duration = Duration::from_secs(20);

    fn setup(folder: &std::path::Path, acts: &[Act]) -> Setup {
        let world = World::new(Act::Answers(MS), acts);
        let device = |device| DeviceSetup {
            name: format!("device{device}").into(),
            address: "scripted".into(),
            groups: vec![(10 * MS, [tag_of(device)].into())],
        };
        let line = LineSetup {
            health: Arc::new(LineHealth::new(acts.iter().map(|_| 1), Instant::now())),
            name: "line".into(),
            spec: no_spec(),
            devices: (0..acts.len()).map(device).collect(),
            stagger: Duration::ZERO,
            make: Box::new(move || Ok(Box::new(Scripted::make(&world, tokio::time::Instant::now())))),
        };
        Setup {
            gateway: "plant".into(),
            tags: Arc::new(Tags::of_rules(&vec![Rule::PLAIN; acts.len()])),
            lines: vec![line],
            buffer: BufferSetup {
                path: folder.into(),
                options: Options::new(["broker"]),
                sync: SyncPolicy::Every(100 * MS),
            },
            uplinks: Vec::new(),
            types: Arc::default(),
            writables: Arc::default(),
            commands: CommandsConfig { audit_bytes_max: 1 << 20, when_audit_fails: WhenAuditFails::Refuse },
            derived: Arc::default(),
            scheduling: Scheduling::Normal,
            reload: None,
            recorders: None,
        }
    }

    fn wait_for(gateway: &Gateway, stored: u64) {
        let deadline = Instant::now() + PATIENCE;
        while gateway.status().stored < stored {
            assert!(Instant::now() < deadline, "{}", gateway.status());
            std::thread::sleep(MS);
        }
    }

    #[test]
    fn what_is_polled_is_in_the_log_after_the_stop() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut gateway =
            Gateway::start(setup(folder.path(), &[Act::Answers(MS), Act::Answers(MS)])).expect("it starts");
        wait_for(&gateway, 20);
        assert_eq!(gateway.look(Instant::now()), None);
        let stored = gateway.status();
        gateway.stop();

        let log = Log::open(folder.path(), &Options::new(["broker"])).expect("it opens again");
        assert!(log.stats().next_seq > stored.stored, "all that was stored is there");
    }

    #[test]
    fn a_line_that_hangs_is_cut_off_at_the_stop() {
        let folder = tempfile::tempdir().expect("a folder");
        let gateway = Gateway::start(setup(folder.path(), &[Act::Answers(MS), Act::Silent(3_600_000 * MS)]));
        let gateway = gateway.expect("it starts");
        wait_for(&gateway, 1);
        let begun = Instant::now();
        gateway.stop();
        assert!(begun.elapsed() < PATIENCE);
    }

    #[test]
    fn a_driver_that_keeps_the_thread_to_itself_is_stuck_and_a_device_that_is_silent_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let (release, released) = std::sync::mpsc::channel::<()>();
        let mut setup = setup(folder.path(), &[Act::Silent(MS)]);
        let begin = std::mem::replace(&mut setup.lines[0].make, Box::new(|| Err(Vec::new())));
        // Comes back when the test lets go; then, and at each further call, at once.
        setup.lines[0].make = Box::new(move || released.recv().map_or_else(|_| begin(), |()| begin()));
        let mut gateway = Gateway::start(setup).expect("it starts");
        let begun = Instant::now();
        let rounds = |gateway: &Gateway| {
            let store = gateway.log.progress().rounds.load(Ordering::Relaxed);
            [store, gateway.delivery.rounds(), gateway.desk_thread.rounds()]
        };
        let before = rounds(&gateway);
        assert_eq!(gateway.look(begun), None);
        while rounds(&gateway).iter().zip(before).any(|(now, before)| *now <= before) {
            assert!(begun.elapsed() < PATIENCE, "the other threads come round");
            std::thread::sleep(MS);
        }
        assert_eq!(gateway.look(begun + 61_000 * MS), Some(Stuck::Thread("acquisition")));
        drop(release);
        while gateway.acquisition.rounds() == 0 {
            assert!(begun.elapsed() < PATIENCE, "it comes round again");
            std::thread::sleep(MS);
        }
        assert_eq!(gateway.look(begun + 62_000 * MS), None);
        gateway.stop();
    }

    #[test]
    fn commands_reach_the_device_and_are_answered() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = Target { device: "device".into(), tag: "t0".into() };
        let writable = Writable {
            tag: TagId(0),
            target: target.clone(),
            place: DevicePlace { line: 0, device: 0 },
            form: TagForm { data_type: DataType::Int, elements: 1, scale: None },
            rule: WriteRule::default(),
        };
        let setup = setup(folder.path(), &[Act::Answers(MS)]);
        let gateway = Gateway::start(Setup { writables: Arc::new(Writables::new(vec![writable])), ..setup });
        let gateway = gateway.expect("it starts");
        wait_for(&gateway, 1);
        let asked = |tag: &str| {
            let origin = Origin { door: CommandDoor::Http, from: "x".into(), who: "x".into(), role: Role::Operator };
            let text = format!(r#"{{"device":"device","tag":"{tag}","value":8}}"#);
            json::read(text.as_bytes(), origin, Instant::now())
        };
        for (tag, expected) in [("t0", Outcome::Done), ("t9", Outcome::Refused(RefusedFor::UnknownTag))] {
            let (sender, answer) = std::sync::mpsc::channel();
            gateway
                .vitals()
                .get()
                .desk
                .submit(asked(tag), Box::new(move |answer| sender.send(answer).expect("the test waits")));
            assert_eq!(answer.recv_timeout(PATIENCE).map(|answer| answer.outcome), Ok(expected));
        }
        gateway.stop();
    }
}
