//! P9: how late polls of 10 ms begin while every core is busy, in the real-time class and without it.

use std::fs::File;
use std::hint::black_box;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread::{available_parallelism, sleep};
use std::time::Duration;

use tests::field::free_port;
use tests::gateway::{Running, binary};
use tests::http::get;
use tests::site::Site;
use tests::wait;

use crate::Effort;
use crate::process;
use crate::report::{Row, Table};

const DEVICES: usize = 4;
const TAGS: usize = 100;
const UP_WITHIN: Duration = Duration::from_secs(30);

/// Above the gateway's: the PLCs stand for other machines, which the load of this one does not delay.
const PRIORITY_OF_DEVICES: &str = "20";

/// The 99th percentile of each round, in the class and beside it without.
pub(crate) fn run(table: &mut Table, effort: Effort) {
    let devices = Devices::start();
    let _busy: Vec<Running> = (0..available_parallelism().map_or(2, usize::from))
        .map(|core| {
            let mut spin = process::on_core(&core.to_string(), &process::own_program());
            Running(spin.arg("spin").spawn().expect("taskset and this program can be started"))
        })
        .collect();
    let (mut realtime, mut normal, mut polls) = (Vec::new(), Vec::new(), 0);
    for _ in 0..effort.rounds_of_pipeline {
        for (class, into) in [("normal", &mut normal), ("realtime", &mut realtime)] {
            let late = round(&devices, class, effort.seconds);
            polls += late.last().map_or(0, |(_, polls)| *polls);
            into.push(percentile_99_ms(&late));
        }
    }
    table.add(
        Row::new("P9", "10 ms polls while a program spins on each core: p99 of how late they begin")
            .parts("4 Modbus TCP connections of 100 tags; log on, no uplink; real-time class")
            .measured("ms", &realtime)
            .against("the same without the class", &normal)
            .gate(1.0, 0.3)
            .proof(format!("{polls} polls of both, as the gateway's histogram counted them")),
    );
}

/// What spins until it is killed.
pub(crate) fn spin() {
    let mut number = 0_u64;
    loop {
        number = black_box(number.wrapping_mul(0x9e37_79b9).wrapping_add(1));
    }
}

/// Bounds in seconds, each with the polls that were later by no more.
type Late = Vec<(f64, u64)>;

fn round(devices: &Devices, class: &str, seconds: u64) -> Late {
    let http = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let site = Site::new(&file(&devices.ports, http, class));
    let log = site.folder().join("output");
    let output = File::create(&log).expect("the output can be written");
    let errors = output.try_clone().expect("a descriptor to spare");
    let mut command = Command::new(binary());
    command.arg("run").arg("-c").arg(site.file()).stdin(Stdio::null()).stdout(output).stderr(errors);
    let _gateway = Running(command.spawn().expect("the gateway can be started"));
    wait::for_it("all devices are polled", UP_WITHIN, || {
        get(http, "/api/v1/status").is_ok_and(|(_, body)| !body.contains("\"polls\":0"))
    });
    let said = std::fs::read_to_string(&log).expect("the output is there");
    assert_eq!(said.contains("polls are in the real-time class"), class == "realtime", "run this as root\n{said}");
    let before = lateness(http);
    sleep(Duration::from_secs(seconds));
    let after = lateness(http);
    after.iter().zip(&before).map(|((bound, after), (_, before))| (*bound, after - before)).collect()
}

/// The gateway's own histogram.
fn lateness(http: SocketAddr) -> Late {
    let (_, page) = get(http, "/metrics").expect("metrics");
    let buckets = page.lines().filter_map(|line| line.strip_prefix("forebay_poll_late_seconds_bucket{le=\""));
    let bucket = |line: &str| {
        let (bound, polls) = line.split_once("\"} ").expect("a bucket");
        (bound.parse().unwrap_or(f64::INFINITY), polls.parse().expect("a count"))
    };
    buckets.map(bucket).collect()
}

/// Milliseconds, by a straight line within the bucket that it lies in.
fn percentile_99_ms(late: &Late) -> f64 {
    let wanted = late.last().map_or(0.0, |(_, polls)| *polls as f64 * 0.99);
    let at = late.iter().position(|(_, polls)| *polls as f64 >= wanted).expect("some bucket holds it");
    let (from, below) = if at == 0 { (0.0, 0) } else { late[at - 1] };
    let (to, up_to) = late[at];
    let to = if to.is_finite() { to } else { 10.0 * from };
    (from + (to - from) * (wanted - below as f64) / (up_to - below).max(1) as f64) * 1e3
}

struct Devices {
    _process: Running,
    ports: Vec<u16>,
}

impl Devices {
    fn start() -> Devices {
        let mut command = Command::new("chrt");
        command.args(["-f", PRIORITY_OF_DEVICES]).arg(process::own_program()).args(["device", &DEVICES.to_string()]);
        let mut process: Child = command.stdout(Stdio::piped()).spawn().expect("chrt and this program can be started");
        let output = process.stdout.take().expect("it is piped");
        let port = |line: std::io::Result<String>| line.ok().and_then(|line| line.parse().ok()).expect("a port");
        let ports = BufReader::new(output).lines().take(DEVICES).map(port).collect();
        Devices { _process: Running(process), ports }
    }
}

fn file(ports: &[u16], http: SocketAddr, class: &str) -> String {
    let mut text = format!("gateway: bench\nevery: 10ms\nscheduling: {class}\nhttp: {{ listen: {http} }}\ndevices:\n");
    for (index, port) in ports.iter().enumerate() {
        text.push_str(&format!("  d{index}:\n    url: modbus-tcp://127.0.0.1:{port}?unit=1\n    tags:\n"));
        (0..TAGS).for_each(|tag| text.push_str(&format!("      t{tag}: \"hr:{tag}:INT\"\n")));
    }
    text
}
