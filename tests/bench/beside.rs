//! P11: what is live beside a backlog of 1 GiB that leaves.

use std::io::{self, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use forebay::clock::parse_time;
use tests::broker::Broker;
use tests::field::free_port;
use tests::http;
use tests::site::Site;
use tests::{backlog, gateway};

use crate::Effort;
use crate::counter;
use crate::device::Devices;
use crate::report::{Row, Table, median};

const BACKLOG_BYTES: u64 = 1 << 30;
/// So long a gateway without a broker writes what the backlog is grown out of.
const SEED: Duration = Duration::from_secs(3);
/// History begins within two seconds after the start, and finds its pace then.
const SETTLES_WITHIN: Duration = Duration::from_secs(6);
const LIVE_FOR: Duration = Duration::from_secs(15);
/// A backlog leaves at many times the pace at which it came, so that one of a month is gone within a day.
const DRAINS_TIMES: f64 = 10.0;
const DEVICES: usize = 10;
const TAGS: usize = 100;
const PARTS: &str = "Modbus TCP, log, JSON batches, MQTT QoS 1";

/// P11: how late what is live comes while a backlog leaves.
pub(crate) fn run(table: &mut Table, effort: Effort) {
    let devices = Devices::start(DEVICES);
    let Some(broker) = Broker::quiet("allow_anonymous true\n") else { return };
    let url = broker.url("mqtt");
    let door = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let empty = Site::new(&file("live", &devices.ports, &url, door));
    let full = Site::new(&file("old", &devices.ports, "mqtt://127.0.0.1:1", door));
    let seed = Running::start(&full);
    sleep(SEED);
    drop(seed);
    let waiting = backlog::grow(&full.buffer(), "cloud", BACKLOG_BYTES) as f64;
    full.write(&file("live", &devices.ports, &url, door));

    let (mut with, mut without): (Vec<Live>, Vec<Live>) = Default::default();
    for _ in 0..effort.rounds {
        without.push(live(&empty, &broker, door));
        with.push(live(&full, &broker, door));
    }
    let p99 = |rounds: &[Live]| -> Vec<f64> { rounds.iter().map(|round| round.p99_ms).collect() };
    let delivered = |rounds: &[Live]| -> Vec<f64> { rounds.iter().map(|round| round.delivered_per_s).collect() };
    let left = delivered(&with).into_iter().fold(f64::INFINITY, f64::min);
    let live_alone = median(&delivered(&without));
    assert!(
        left > DRAINS_TIMES * live_alone,
        "the backlog does not leave: {left} readings a second are delivered, {live_alone} are live"
    );
    let row = Row::new("P11", "live p99 beside a backlog of 1 GiB that leaves: from the poll to the subscriber");
    let row = row.parts(PARTS).measured("ms", &p99(&with)).against("no backlog", &p99(&without));
    let messages: usize = with.iter().map(|round| round.messages).sum();
    let row = row.gate_of_ratio(1.1, 1.0).proof(format!("{messages} live messages arrived beside it"));
    let leaves = format!("{left:.0} readings a second delivered at least, {live_alone:.0} without a backlog");
    table.add(row.beside(leaves).beside(format!("{:.0} M readings waited at the start", waiting / 1e6)));
}

fn file(name: &str, ports: &[u16], broker: &str, door: SocketAddr) -> String {
    let mut text = format!("gateway: bench\nevery: 100ms\nhttp: {{ listen: \"{door}\" }}\ndevices:\n");
    for (number, port) in ports.iter().enumerate() {
        text.push_str(&format!("  {name}{number}:\n    url: modbus-tcp://127.0.0.1:{port}\n    tags:\n"));
        (0..TAGS).for_each(|tag| text.push_str(&format!("      t{tag}: \"hr:{tag}:INT\"\n")));
    }
    text.push_str(&format!("uplinks:\n  cloud:\n    url: {broker}\n    topic: \"bench/{{device}}\"\n"));
    text
}

/// A gateway at work; killed when dropped.
struct Running(Child);

impl Running {
    fn start(site: &Site) -> Running {
        let output = std::fs::File::create(site.folder().join("output")).expect("the output can be written");
        let errors = output.try_clone().expect("a descriptor to spare");
        let mut command = Command::new(gateway::binary());
        command.arg("run").arg("-c").arg(site.file()).current_dir(site.folder());
        let child = command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn();
        Running(child.expect("the binary can be started"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // An error means that it had ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

struct Live {
    p99_ms: f64,
    messages: usize,
    /// By what the far side has acknowledged.
    delivered_per_s: f64,
}

/// How late the live devices' messages come, each at its subscriber.
fn live(site: &Site, broker: &Broker, door: SocketAddr) -> Live {
    let _running = Running::start(site);
    sleep(SETTLES_WITHIN);
    let (before, start) = (delivered_readings(door), Instant::now());
    let late = Lateness::start(broker.address());
    sleep(LIVE_FOR);
    let delivered_per_s = (delivered_readings(door) - before) as f64 / start.elapsed().as_secs_f64();
    let mut late = late.end();
    late.sort_unstable();
    let p99 = late.get(late.len() * 99 / 100).copied().expect("something arrived");
    Live { p99_ms: p99.as_secs_f64() * 1e3, messages: late.len(), delivered_per_s }
}

/// What the broker has acknowledged since the start, by the gateway's own metric.
fn delivered_readings(door: SocketAddr) -> u64 {
    let (_, page) = http::get(door, "/metrics").expect("the gateway answers");
    let mut values = page.lines().filter_map(|line| line.strip_prefix("forebay_uplink_delivered_readings_total{"));
    let (_, value) = values.next().and_then(|line| line.rsplit_once(' ')).expect("a line of the uplink");
    value.parse().expect("a number")
}

/// A subscriber to the live devices alone, so that nobody has to read the backlog on this machine.
struct Lateness {
    late: Arc<Mutex<Vec<Duration>>>,
    stream: TcpStream,
    thread: JoinHandle<io::Result<()>>,
}

impl Lateness {
    fn start(broker: SocketAddr) -> Lateness {
        let stream = TcpStream::connect(broker).expect("the broker listens");
        let late = Arc::new(Mutex::new(Vec::new()));
        let (reading, of_thread) = (stream.try_clone().expect("a descriptor to spare"), Arc::clone(&late));
        let thread = std::thread::spawn(move || listen(reading, &of_thread));
        Lateness { late, stream, thread }
    }

    fn end(self) -> Vec<Duration> {
        self.stream.shutdown(std::net::Shutdown::Both).expect("the broker is there");
        // It ends with an error when the connection is shut down, which is how it is stopped.
        drop(self.thread.join().expect("the listener does not panic"));
        std::mem::take(&mut *self.late.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn listen(mut sending: TcpStream, late: &Mutex<Vec<Duration>>) -> io::Result<()> {
    sending.write_all(&counter::connect("lateness"))?;
    for device in 0..DEVICES {
        sending.write_all(&counter::subscribe(&format!("bench/live{device}")))?;
    }
    let mut reading = BufReader::with_capacity(256 * 1024, sending.try_clone()?);
    let mut body = Vec::new();
    loop {
        let first = counter::packet(&mut reading, &mut body)?;
        if first >> 4 != counter::PUBLISH {
            continue;
        }
        let (id, payload) = counter::publish(first, &body).ok_or(io::ErrorKind::InvalidData)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let polled = polled_at(payload).ok_or(io::ErrorKind::InvalidData)?;
        late.lock().unwrap_or_else(PoisonError::into_inner).push(now.saturating_sub(polled));
        if let Some(id) = id {
            sending.write_all(&[0x40, 2, id[0], id[1]])?;
        }
    }
}

/// The time at the head of a batch.
fn polled_at(payload: &[u8]) -> Option<Duration> {
    let text = std::str::from_utf8(payload).ok()?;
    let (_, rest) = text.split_once("\"time\":\"")?;
    let ns = parse_time(rest.split('"').next()?)?;
    Some(Duration::from_nanos(u64::try_from(ns).ok()?))
}
