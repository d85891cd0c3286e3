//! What does the whole job from PLC to broker: our gateway, or the loop that it is compared with.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tests::broker::Broker;
use tests::gateway;
use tests::need;
use tests::site::Site;

use crate::clients::BLOCK;
use crate::counter::{Counter, GOOD_BLOCK, GOOD_READING};
use crate::device::Devices;
use crate::process;

const ARRIVES_WITHIN: Duration = Duration::from_secs(60);

/// What is to be polled: so many connections, each with so many units, each with so many INT registers, all of them tags.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) connections: usize,
    pub(crate) units: usize,
    pub(crate) tags: usize,
    pub(crate) every: Duration,
    /// Requests outstanding a connection; of the gateway alone.
    pub(crate) in_flight: usize,
}

impl Load {
    pub(crate) fn tags_of_all(&self) -> usize {
        self.connections * self.units * self.tags
    }

    pub(crate) fn values_s(&self) -> f64 {
        self.tags_of_all() as f64 / self.every.as_secs_f64()
    }

    /// The gateway's file, each tag written out.
    fn file(&self, ports: &[u16], broker: &str) -> String {
        let mut text = format!("gateway: bench\nevery: {}ms\ndevices:\n", self.every.as_millis());
        for (connection, port) in ports.iter().enumerate() {
            for unit in 1..=self.units {
                let reached = match unit {
                    1 => format!("url: modbus-tcp://127.0.0.1:{port}"),
                    _ => format!("on: d{connection}-1"),
                };
                let in_flight = self.in_flight;
                text.push_str(&format!("  d{connection}-{unit}:\n    {reached}\n    unit: {unit}\n"));
                text.push_str(&format!("    max_in_flight: {in_flight}\n    tags:\n"));
                (0..self.tags).for_each(|tag| text.push_str(&format!("      t{tag}: \"hr:{tag}:INT\"\n")));
            }
        }
        text.push_str(&format!("uplinks:\n  cloud:\n    url: {broker}\n    topic: \"bench/{{device}}\"\n"));
        text
    }
}

/// The programs that can do it.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// `forebay run`: log on, JSON batches, MQTT QoS 1.
    Gateway,
    /// `naive_loop.py`: no log, JSON by block, MQTT QoS 1.
    Loop,
    /// Reads at the same pace and does nothing with it: the least that the kernel takes for it.
    Bare,
}

impl Kind {
    /// How many values a find of the counter stands for.
    fn values(self, load: &Load) -> f64 {
        match self {
            Kind::Gateway | Kind::Bare => 1.0,
            Kind::Loop => load.tags as f64 / load.tags.div_ceil(BLOCK) as f64,
        }
    }
}

/// PLCs, broker and a counter, ready for one of them to start.
pub(crate) struct Stage {
    load: Load,
    devices: Devices,
    broker: Broker,
}

impl Stage {
    /// `None` where mosquitto is not installed.
    pub(crate) fn new(load: Load) -> Option<Stage> {
        Some(Stage { load, devices: Devices::start(load.connections), broker: Broker::start()? })
    }

    /// Starts one of them with nothing kept from earlier runs.
    pub(crate) fn start(&self, kind: Kind) -> Contender {
        let key = if kind == Kind::Loop { GOOD_BLOCK } else { GOOD_READING };
        let counter = Counter::start(self.broker.address(), key);
        let site = Site::new(&self.load.file(&self.devices.ports, &self.broker.url("mqtt")));
        let mut command = match kind {
            Kind::Gateway => gateway(&site),
            Kind::Loop => self.naive_loop(),
            Kind::Bare => self.bare_loop(),
        };
        let output = std::fs::File::create(site.folder().join("output")).expect("the output can be written");
        let errors = output.try_clone().expect("a descriptor to spare");
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let started = Instant::now();
        let child = command.spawn().expect("a program of this machine");
        Contender { load: self.load, kind, child, started, counter, site }
    }

    fn naive_loop(&self) -> Command {
        let mut command = Command::new(need::python().expect("tests/bench/run installs it"));
        let Load { units, tags, every, .. } = self.load;
        command.arg(need::root().join("tests/bench/naive_loop.py"));
        command.args([self.broker.address().port().to_string(), every.as_secs_f64().to_string()]);
        command.args([units.to_string(), tags.to_string()]);
        command.args(self.devices.ports.iter().map(u16::to_string));
        command
    }

    fn bare_loop(&self) -> Command {
        let mut command = Command::new(process::own_program());
        let Load { units, tags, every, .. } = self.load;
        command.args(["paced".to_owned(), every.as_millis().to_string(), units.to_string(), tags.to_string()]);
        command.args(self.devices.ports.iter().map(u16::to_string));
        command
    }
}

fn gateway(site: &Site) -> Command {
    let mut command = Command::new(gateway::binary());
    command.arg("run").arg("-c").arg(site.file()).current_dir::<&Path>(site.folder());
    command
}

/// One of them at work; killed when dropped.
pub(crate) struct Contender {
    load: Load,
    kind: Kind,
    child: Child,
    started: Instant,
    counter: Counter,
    site: Site,
}

/// What a contender took in a while, and what arrived in it.
pub(crate) struct Measured {
    pub(crate) ns_per_value: f64,
    pub(crate) percent_of_core: f64,
    /// Of what was to be polled, percent.
    pub(crate) arrived_percent: f64,
    pub(crate) bytes_per_value: f64,
    pub(crate) resident_mb: f64,
    pub(crate) resident_own_mb: f64,
    pub(crate) resident_most_mb: f64,
    /// Times that a thread was woken, for each device that was polled once.
    pub(crate) wake_ups_per_poll: f64,
}

impl Contender {
    /// From the start of the process to the first good value at the broker, and to as many values as there are tags.
    pub(crate) fn first_values(&self, limit: Duration) -> (Duration, Duration) {
        let first = self.counter.first(limit) - self.started;
        let all = self.load.tags_of_all() as f64 / self.kind.values(&self.load);
        self.counter.until(all as u64, limit);
        (first, self.started.elapsed())
    }

    /// Lets it settle, then measures it.
    pub(crate) fn measure(&self, settling: Duration, length: Duration) -> Measured {
        if self.kind != Kind::Bare {
            self.counter.first(ARRIVES_WITHIN);
        }
        std::thread::sleep(settling);
        let id = self.child.id();
        let look = || (self.counter.found(), self.counter.bytes(), process::processor_time(id), Instant::now());
        let waits = process::waits(id);
        let (found, bytes, cpu, start) = look();
        std::thread::sleep(length);
        let (found_after, bytes_after, cpu_after, end) = look();
        let waits = process::waits(id) - waits;
        let (seconds, cpu) = ((end - start).as_secs_f64(), cpu_after - cpu);
        let values = match self.kind {
            // It says nothing; it fails when an answer is missing, and keeps the pace or does less than is assumed here.
            Kind::Bare => self.load.values_s() * seconds,
            kind => (found_after - found) as f64 * kind.values(&self.load),
        };
        let polls = (self.load.connections * self.load.units) as f64 * seconds / self.load.every.as_secs_f64();
        let resident = process::resident(id);
        Measured {
            ns_per_value: cpu.as_nanos() as f64 / values,
            percent_of_core: 100.0 * cpu.as_secs_f64() / seconds,
            arrived_percent: 100.0 * values / seconds / self.load.values_s(),
            bytes_per_value: (bytes_after - bytes) as f64 / values,
            resident_mb: resident.all_mb,
            resident_own_mb: resident.own_mb,
            resident_most_mb: resident.most_mb,
            wake_ups_per_poll: waits as f64 / polls,
        }
    }
}

impl Drop for Contender {
    fn drop(&mut self) {
        // An error means that it had ended by itself; what it said is then shown.
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            let said = std::fs::read_to_string(self.site.folder().join("output")).unwrap_or_default();
            eprintln!("---- the contender's last words\n{}\n----", said.chars().take(6_000).collect::<String>());
        }
    }
}
