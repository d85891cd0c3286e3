//! The seven scenarios that rivals publish, each with more and more of the gateway at work: reading alone, the log, MQTT,
//! Kafka.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use tests::broker::Broker;
use tests::field::free_port;
use tests::gateway::{Running, binary};
use tests::http::get;
use tests::kafka::Kafka;
use tests::need;
use tests::site::Site;
use tests::wait;

use crate::Effort;
use crate::counter::{Counter, GOOD_READING};
use crate::device::Devices;
use crate::process;
use crate::report::{Row, Table, median};
use crate::writes;

const ARRIVES_WITHIN: Duration = Duration::from_secs(60);
const SETTLES_WITHIN: Duration = Duration::from_secs(2);

/// Stretches of one run that are measured one after the other, and the length of one.
const STRETCHES: usize = 2;
const STRETCH: Duration = Duration::from_secs(2);

const WRITES: usize = 100;
const TOPIC: &str = "bench";

/// Wider than any value of the simulated PLCs: what is polled, decoded and compared goes no further.
const WIDE: &str = "1e9";

/// What is polled: REAL values, two registers each.
#[derive(Clone, Copy)]
struct Load {
    connections: usize,
    /// Of one connection, all of one group of tags.
    tags: usize,
    every: Duration,
}

const LOADS: [Load; 6] = [
    Load { connections: 1, tags: 10_000, every: Duration::from_secs(1) },
    Load { connections: 5, tags: 10_000, every: Duration::from_secs(1) },
    Load { connections: 10, tags: 10_000, every: Duration::from_secs(1) },
    Load { connections: 1, tags: 1_000, every: Duration::from_millis(100) },
    Load { connections: 5, tags: 1_000, every: Duration::from_millis(100) },
    Load { connections: 10, tags: 1_000, every: Duration::from_millis(100) },
];

impl Load {
    fn name(&self) -> String {
        let Load { connections, tags, every } = self;
        let tags = if *tags == 10_000 { "10 × 1000".to_owned() } else { tags.to_string() };
        format!("{connections} × {tags} REALs at {} ms", every.as_millis())
    }

    fn values_s(&self) -> f64 {
        (self.connections * self.tags) as f64 / self.every.as_secs_f64()
    }

    /// The seventh scenario: writes while this is polled.
    fn is_written_to(&self) -> bool {
        self.connections * self.tags == 100_000
    }
}

/// How much of the gateway is at work.
#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Southbound,
    Log,
    Mqtt,
    Kafka,
}

impl Stage {
    const ALL: [Stage; 4] = [Stage::Southbound, Stage::Log, Stage::Mqtt, Stage::Kafka];

    fn name(self) -> &'static str {
        match self {
            Stage::Southbound => "reading alone",
            Stage::Log => "with the log",
            Stage::Mqtt => "with MQTT",
            Stage::Kafka => "with Kafka",
        }
    }

    fn parts(self) -> &'static str {
        match self {
            Stage::Southbound => "Modbus TCP, decoding, change filter",
            Stage::Log => "Modbus TCP, log",
            Stage::Mqtt => "Modbus TCP, log, JSON batches, MQTT QoS 1",
            Stage::Kafka => "Modbus TCP, log, JSON records, Kafka acks=all",
        }
    }
}

/// What a gateway took in a stretch, and what it did.
struct Took {
    ns_per_value: f64,
    percent_of_core: f64,
    arrived_percent: f64,
    resident_mb: f64,
}

/// Adds a row for each scenario and stage.
pub(crate) fn run(table: &mut Table, _: Effort) {
    let Some(far) = Far::start() else { return };
    LOADS.into_iter().for_each(|load| scenario(table, &far, load));
}

fn scenario(table: &mut Table, far: &Far, load: Load) {
    let mut devices = Devices::start(load.connections);
    let mut southbound = Vec::new();
    let mut written = Vec::new();
    for stage in Stage::ALL {
        let mut work = Work::start(stage, load, far, &mut devices);
        let took: Vec<Took> = (0..STRETCHES).map(|_| work.measure(&mut devices)).collect();
        if load.is_written_to() {
            written.push((stage, (0..WRITES).map(|number| writes::one(work.http, "d0", number)).collect()));
        }
        let ns: Vec<f64> = took.iter().map(|took| took.ns_per_value).collect();
        if stage == Stage::Southbound {
            southbound.clone_from(&ns);
        }
        let middle = |of: fn(&Took) -> f64| median(&took.iter().map(of).collect::<Vec<_>>());
        let arrived = format!("{:.1} % arrived", middle(|took| took.arrived_percent));
        let cost = format!("{:.2} % of one core", middle(|took| took.percent_of_core));
        let memory = format!("{:.1} MB", middle(|took| took.resident_mb));
        let row = Row::new("rivals", &format!("CPU per value: {}: {}", load.name(), stage.name())).measured("ns", &ns);
        let row = row.against("reading alone", &southbound).parts(stage.parts());
        table.add(row.proof(arrived).beside(cost).beside(memory));
    }
    written.into_iter().for_each(|(stage, ms)| commands(table, load, stage, ms));
}

fn commands(table: &mut Table, load: Load, stage: Stage, ms: Vec<f64>) {
    let what = format!("{WRITES} writes while {} are polled: {}", load.name(), stage.name());
    let mean = ms.iter().sum::<f64>() / ms.len() as f64;
    let longest = ms.iter().copied().fold(0.0, f64::max);
    let row = |which: &str, ms: f64| {
        Row::new("rivals", &format!("{what}: {which}")).measured("ms", &[ms]).parts(stage.parts())
    };
    table.add(row("mean", mean).gate(5.0, 2.0));
    table.add(row("longest", longest).gate(50.0, 10.0));
}

/// Where readings go.
struct Far {
    broker: Broker,
    kafka: Kafka,
}

impl Far {
    /// `None` where mosquitto or Kafka is not installed.
    fn start() -> Option<Far> {
        Some(Far { broker: Broker::start()?, kafka: Kafka::start()? })
    }
}

/// A gateway at work.
struct Work {
    load: Load,
    gateway: Running,
    _site: Site,
    http: SocketAddr,
    arrivals: Arrivals,
}

/// Who counts what came of it.
enum Arrivals {
    /// The PLCs count the registers that they were asked for.
    Plcs,
    /// The gateway says how many readings are in its log.
    Log(SocketAddr),
    Mqtt(Counter),
    Kafka(Ends),
}

impl Arrivals {
    fn count(&mut self, devices: &mut Devices) -> u64 {
        match self {
            Arrivals::Plcs => devices.registers() / 2,
            Arrivals::Log(http) => accepted(*http),
            Arrivals::Mqtt(counter) => counter.found(),
            Arrivals::Kafka(ends) => ends.total(),
        }
    }
}

fn accepted(http: SocketAddr) -> u64 {
    let (_, page) = get(http, "/metrics").expect("the gateway answers");
    let line = page.lines().find_map(|line| line.strip_prefix("forebay_buffer_accepted_readings_total "));
    line.and_then(|number| number.parse().ok()).expect("the figure is there")
}

impl Work {
    /// Starts it and waits until something arrives and it has settled.
    fn start(stage: Stage, load: Load, far: &Far, devices: &mut Devices) -> Work {
        let http = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let site = Site::new(&file(stage, load, far, &devices.ports, http));
        let output = std::fs::File::create(site.folder().join("output")).expect("the output can be written");
        let errors = output.try_clone().expect("a descriptor to spare");
        let mut command = Command::new(binary());
        command.arg("run").arg("-c").arg(site.file()).stdin(Stdio::null()).stdout(output).stderr(errors);
        let mut arrivals = match stage {
            Stage::Southbound => Arrivals::Plcs,
            Stage::Log => Arrivals::Log(http),
            Stage::Mqtt => Arrivals::Mqtt(Counter::start(far.broker.address(), GOOD_READING)),
            Stage::Kafka => Arrivals::Kafka(Ends::start(&far.kafka).expect("tests/bench/run installs librdkafka")),
        };
        let before = if stage == Stage::Log { 0 } else { arrivals.count(devices) };
        let gateway = Running(command.spawn().expect("the gateway can be started"));
        wait::for_it("the gateway answers", ARRIVES_WITHIN, || get(http, "/readyz").is_ok());
        wait::for_it("something arrives", ARRIVES_WITHIN, || arrivals.count(devices) > before);
        std::thread::sleep(SETTLES_WITHIN);
        Work { load, gateway, _site: site, http, arrivals }
    }

    fn measure(&mut self, devices: &mut Devices) -> Took {
        let id = self.gateway.id();
        let mut look = || (Instant::now(), process::processor_time(id), self.arrivals.count(devices));
        let (start, cpu, arrived) = look();
        std::thread::sleep(STRETCH);
        let (end, cpu_after, arrived_after) = look();
        let (seconds, cpu) = ((end - start).as_secs_f64(), cpu_after - cpu);
        let arrived = (arrived_after - arrived) as f64;
        Took {
            ns_per_value: cpu.as_nanos() as f64 / arrived,
            percent_of_core: 100.0 * cpu.as_secs_f64() / seconds,
            arrived_percent: 100.0 * arrived / seconds / self.load.values_s(),
            resident_mb: process::resident(id).all_mb,
        }
    }
}

/// The gateway's file, each tag written out.
fn file(stage: Stage, load: Load, far: &Far, ports: &[u16], http: SocketAddr) -> String {
    let mut text = format!(
        "gateway: bench\nevery: {}ms\nhttp: {{ listen: {http}, {} }}\ndevices:\n",
        load.every.as_millis(),
        writes::TOKENS
    );
    for (index, port) in ports.iter().enumerate() {
        write!(text, "  d{index}:\n    url: modbus-tcp://127.0.0.1:{port}?unit=1\n    tags:\n").expect("a string");
        if index == 0 {
            text.push_str(writes::SET);
        }
        for tag in 0..load.tags {
            let address = 2 * tag;
            match stage {
                Stage::Southbound => {
                    writeln!(text, "      t{tag}: {{ address: \"ir:{address}:REAL\", deadband: {WIDE} }}")
                }
                _ => writeln!(text, "      t{tag}: \"ir:{address}:REAL\""),
            }
            .expect("a string");
        }
    }
    match stage {
        Stage::Southbound | Stage::Log => {}
        Stage::Mqtt => {
            write!(text, "uplinks:\n  cloud:\n    url: {}\n    topic: \"{TOPIC}/{{device}}\"\n", far.broker.url("mqtt"))
                .expect("a string")
        }
        Stage::Kafka => write!(
            text,
            "uplinks:\n  lake:\n    url: kafka://{}\n    topic: {TOPIC}\n    create_topics: {{}}\n",
            far.kafka.bootstrap()
        )
        .expect("a string"),
    }
    text
}

/// librdkafka, asked how many records a topic has.
struct Ends {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Ends {
    /// `None` where librdkafka's Python client is not installed.
    fn start(kafka: &Kafka) -> Option<Ends> {
        let mut command = process::on_core(process::CORE_OF_THE_REST, &need::python_kafka()?);
        command.arg(need::root().join("tests/bench/kafka_ends.py")).args([&kafka.bootstrap(), TOPIC]);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("Python can be started");
        let (input, output) = (process.stdin.take().expect("it is piped"), process.stdout.take().expect("it is piped"));
        Some(Ends { process, input, output: BufReader::new(output) })
    }

    fn total(&mut self) -> u64 {
        self.input.write_all(b"\n").expect("it lives");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it lives");
        line.trim().parse().unwrap_or_else(|_| panic!("`{line}` is no number"))
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        // An error means that it had ended by itself, which is as good.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
