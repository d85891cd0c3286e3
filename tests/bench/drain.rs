//! P10 and P11 at a broker: bytes a reading on the wire, and what one core makes of a backlog.

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::broker::Broker;
use tests::field::free_port;
use tests::gateway::{self, Running};
use tests::http::get;
use tests::need;
use tests::site::Site;
use tests::wait;

use crate::Effort;
use crate::clients::BLOCK;
use crate::device::Devices;
use crate::process;
use crate::report::{Row, Table, median};

const DEVICES: usize = 10;
const TAGS: usize = 1_000;

/// How many times longer a backlog is stored than others measure.
const STORED_LONGER: u64 = 4;

const DRAINS_WITHIN: Duration = Duration::from_secs(300);

/// Often enough to see the end, and rarely enough not to be what is measured.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// mosquitto counts once a second.
const COUNTED_AFTER: Duration = Duration::from_secs(3);

/// A format as an operator writes it, with gate and target of P10, bytes a reading.
struct Format {
    name: &'static str,
    lines: &'static str,
    bytes: (f64, f64),
}

const FORMATS: [Format; 2] = [
    Format { name: "JSON", lines: "    topic: \"bench/{device}\"\n", bytes: (90.0, 60.0) },
    Format { name: "Sparkplug", lines: "    format: sparkplug-b\n", bytes: (24.0, 22.0) },
];

/// What drains took, round by round.
#[derive(Default)]
struct Rounds {
    per_core_second: Vec<f64>,
    per_second: Vec<f64>,
    bytes_per_reading: Vec<f64>,
    readings: Vec<f64>,
    naive: Vec<f64>,
}

/// Adds the rows: for each format a backlog that leaves for mosquitto.
pub(crate) fn run(table: &mut Table, effort: Effort) {
    let (Some(look), Some(python)) = (need::program("mosquitto_sub"), need::python()) else { return };
    let devices = Devices::start(DEVICES);
    for format in &FORMATS {
        let mut rounds = Rounds::default();
        for _ in 0..effort.rounds_of_pipeline {
            let Some(broker) = Broker::quiet("allow_anonymous true\nsys_interval 1\n") else { return };
            round(&devices, format, effort, &broker, &look, &mut rounds);
            rounds.naive.push(naive(&python, &broker, effort));
        }
        let what = format!("a backlog of INT tags leaves for mosquitto as {}", format.name);
        let proof = format!(
            "{:.0} readings acknowledged a round, {:.0}/s by the clock",
            median(&rounds.readings),
            median(&rounds.per_second)
        );
        let row = Row::new("P11", &format!("{what}: readings a second of one core's time"));
        let row = row.parts("log read back, decoding, format, MQTT, acknowledgements, cursor");
        let row = row.measured("readings/s", &rounds.per_core_second);
        let row = row.against("blocks in SQLite, json, paho, QoS 1", &rounds.naive);
        table.add(row.gate_at_least(1_000_000.0, 5_000_000.0).proof(proof));
        let row = Row::new("P10", &format!("{what}: bytes a reading at the broker")).parts("the same");
        let row = row.measured("B", &rounds.bytes_per_reading).gate(format.bytes.0, format.bytes.1);
        table.add(row.proof("`$SYS/broker/bytes/received`: topics, births and acknowledgements with it".into()));
    }
}

/// Stores a backlog with no broker there, then lets it leave.
fn round(devices: &Devices, format: &Format, effort: Effort, broker: &Broker, look: &Path, rounds: &mut Rounds) {
    let http = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let nowhere = format!("mqtt://127.0.0.1:{}", free_port());
    let site = Site::new(&file(devices, format, http, &nowhere, "100ms"));
    let mut filling = start(&site);
    wait::for_it("the backlog grows", DRAINS_WITHIN, || uplink(http).is_some_and(|it| waiting(&it) > 0));
    sleep(Duration::from_secs(STORED_LONGER * effort.seconds));
    gateway::signal(filling.id(), "TERM");
    wait::for_it("the backlog is closed", DRAINS_WITHIN, || matches!(filling.0.try_wait(), Ok(Some(_))));
    site.write(&file(devices, format, http, &broker.url("mqtt"), "1h"));
    let before = received(broker, look);
    let gateway = start(&site);
    let begun = until(|| uplink(http).filter(|it| it["connected"] == true));
    let (from, cpu) = (Instant::now(), process::processor_time(gateway.id()));
    until(|| uplink(http).filter(|it| waiting(it) == 0));
    let (took, used) = (from.elapsed(), process::processor_time(gateway.id()) - cpu);
    sleep(COUNTED_AFTER);
    let delivered = uplink(http).and_then(|it| it["delivered_readings"].as_u64()).expect("a count");
    let readings = waiting(&begun) as f64;
    rounds.readings.push(readings);
    rounds.per_core_second.push(readings / used.as_secs_f64());
    rounds.per_second.push(readings / took.as_secs_f64());
    rounds.bytes_per_reading.push((received(broker, look) - before) as f64 / delivered as f64);
}

/// Values a second of one core's time of the loop that many write first.
fn naive(python: &Path, broker: &Broker, effort: Effort) -> f64 {
    let blocks = 2_000 * effort.seconds as usize;
    let mut command = process::on_core(process::CORE_OF_MEASURED, python);
    command.arg(need::root().join("tests/bench/drain_loop.py"));
    command.args([broker.address().port().to_string(), blocks.to_string()]);
    let output = command.output().expect("Python can be started");
    let seconds: f64 = String::from_utf8_lossy(&output.stdout).trim().parse().unwrap_or_else(|_| {
        panic!("{}", String::from_utf8_lossy(&output.stderr));
    });
    (blocks * BLOCK) as f64 / seconds
}

fn until(look: impl Fn() -> Option<Value>) -> Value {
    let begun = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(begun.elapsed() < DRAINS_WITHIN, "the backlog does not leave");
        sleep(LOOK_EVERY);
    }
}

/// Bytes that the broker has received so far, as it says itself.
fn received(broker: &Broker, look: &Path) -> u64 {
    let port = broker.address().port().to_string();
    let output = Command::new(look)
        .args(["-p", &port, "-t", "$SYS/broker/bytes/received", "-C", "1", "-W", "20"])
        .output()
        .expect("mosquitto_sub can be started");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number of bytes")
}

fn start(site: &Site) -> Running {
    let output = File::create(site.folder().join("output")).expect("the output can be written");
    let errors = output.try_clone().expect("a descriptor to spare");
    let mut command = process::on_core(process::CORE_OF_MEASURED, &gateway::binary());
    command.arg("run").arg("-c").arg(site.file()).stdin(Stdio::null()).stdout(output).stderr(errors);
    Running(command.spawn().expect("the gateway can be started"))
}

/// What the gateway says of its uplink.
fn uplink(http: SocketAddr) -> Option<Value> {
    let (_, body) = get(http, "/api/v1/status").ok()?;
    let status: Value = serde_json::from_str(&body).ok()?;
    Some(status["uplinks"][0].clone())
}

fn waiting(uplink: &Value) -> u64 {
    uplink["lag_readings"].as_u64().unwrap_or_default()
}

fn file(devices: &Devices, format: &Format, http: SocketAddr, broker: &str, every: &str) -> String {
    let mut text = format!("gateway: acme/bench\nevery: {every}\nhttp: {{ listen: {http} }}\ndevices:\n");
    for (index, port) in devices.ports.iter().enumerate() {
        text.push_str(&format!("  d{index}:\n    url: modbus-tcp://127.0.0.1:{port}?unit=1\n    tags:\n"));
        (0..TAGS).for_each(|tag| text.push_str(&format!("      t{tag}: \"hr:{tag}:INT\"\n")));
    }
    text.push_str(&format!("uplinks:\n  cloud:\n    url: {broker}\n    drain: oldest-first\n{}", format.lines));
    text
}
