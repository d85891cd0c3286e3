//! The whole pipeline: what is started in which order, and how it ends.
//!
//! Three threads and the disk's: acquisition polls, the store writes, the uplinks forward. They end in the order of the
//! data, so that what was polled is stored, and what is stored has a moment to leave. What is changed while they run stands
//! in [`change`].

mod change;
mod north;
mod start;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use driver_core::{Clock, ClockState, LineSpec};
use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};

use super::acquire::Acquisition;
use super::command::desk::{Desk, DeskThread};
use super::deliver::Delivery;
use super::forward::counters::Counters;
use super::health::{Health, LineHealth, Stuck, ThreadWatch};
use super::poll::{DeviceSetup, Lane, LineSetup, Write};
use super::redate::Redate;
use super::store::{StoreHandle, StoreThread};
use super::tags::Tags;
use super::vitals::{LineNames, Present, UplinkVitals};
use crate::clock::{ClockEvent, WallClock};
use crate::config::UplinkConfig;
use crate::reload::Reload;
use crate::uplink::{Site, TagType};

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
pub use start::{BufferSetup, Setup, StartError};

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

impl RunningUplink {
    fn vitals(&self) -> UplinkVitals {
        UplinkVitals { name: self.config.name.clone(), counters: self.counters.clone() }
    }
}

/// What is kept of a line, and what its task is given.
fn with_lane(setup: LineSetup) -> (RunningLine, (LineSetup, Lane, watch::Sender<()>)) {
    let (lane, end, way_in) = Lane::new();
    let names = Arc::new(names_of(&setup));
    let running = RunningLine { names, spec: setup.spec.clone(), health: setup.health.clone(), lane };
    (running, (setup, way_in, end))
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

fn stop_store(store: StoreThread) {
    if !store.stop() {
        error!("the store thread had panicked: the last readings may not be in the buffer; please report this");
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

    use buffer::{Log, Options, Store};
    use driver_core::{DataType, TagId};

    use super::super::command::books::WhenAuditFails;
    use super::super::command::rule::{TagForm, Writable, Writables, WriteRule};
    use super::super::command::{CommandDoor, Origin, Outcome, RefusedFor, Role, Target, json};
    use super::super::poll::DeviceSetup;
    use super::super::poll::scripted::{Act, Scripted, World, no_spec, tag_of};
    use super::super::process::Rule;
    use super::super::scheduling::Scheduling;
    use super::super::store::SyncPolicy;
    use super::super::tags::DevicePlace;
    use super::*;
    use crate::config::CommandsConfig;

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
            rare: Vec::new(),
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
