//! P2: processor time per register of our Modbus client, of libmodbus, of pymodbus, and of a bare loop.

use std::net::SocketAddr;
use std::process::Command;

use hardware_sim::modbus::Plant;
use tests::field::Field;
use tests::need;

use crate::Effort;
use crate::clients::{BLOCK, BLOCKS};
use crate::report::{median, row, spread};

const REQUESTS: usize = 24_000;
const REQUESTS_PYTHON: usize = 3_000;
const DEEP: usize = 8;

/// A program under comparison and what it took, nanoseconds per register, round by round.
struct Runner {
    name: &'static str,
    command: Vec<String>,
    ns: Vec<f64>,
}

impl Runner {
    fn new(name: &'static str, command: Vec<String>) -> Runner {
        Runner { name, command, ns: Vec::new() }
    }

    fn go(&mut self) {
        let run = Command::new(&self.command[0]).args(&self.command[1..]).output().expect("a program of this machine");
        let text = String::from_utf8_lossy(&run.stdout).into_owned();
        let fields: Vec<f64> = text.split_whitespace().filter_map(|field| field.parse().ok()).collect();
        let [registers, ns] = fields[..] else {
            panic!("{}: {text}{}", self.name, String::from_utf8_lossy(&run.stderr))
        };
        self.ns.push(ns / registers);
    }
}

fn runners(address: SocketAddr) -> Vec<Runner> {
    let own = std::env::current_exe().expect("a process knows its program").display().to_string();
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
    let (url, polls) = (format!("modbus-tcp://{address}?unit=1"), (REQUESTS / BLOCKS).to_string());
    let (one, deep) = (REQUESTS.to_string(), (REQUESTS / DEEP).to_string());
    let at = address.to_string();
    let mut all = vec![
        Runner::new("bare loop, one outstanding", words(&[&own, "raw", &at, "1", &one])),
        Runner::new("ours, one outstanding", words(&[&own, "client", &url, "1", &polls])),
        Runner::new("bare loop, eight outstanding", words(&[&own, "raw", &at, "8", &deep])),
        Runner::new("ours, eight outstanding", words(&[&own, "client", &url, "8", &polls])),
    ];
    let port = address.port().to_string();
    if let Ok(libmodbus) = std::env::var("BENCH_LIBMODBUS") {
        all.push(Runner::new("libmodbus", words(&[&libmodbus, "127.0.0.1", &port, &one])));
    }
    if let Some(python) = need::python() {
        let script = need::root().join("tests/bench/pymodbus_client.py").display().to_string();
        let requests = REQUESTS_PYTHON.to_string();
        all.push(Runner::new("pymodbus", words(&[&python.display().to_string(), &script, &port, &requests])));
    }
    all
}

/// Runs all programs in turn and prints a row for each.
pub(crate) fn run(effort: Effort) {
    let field = Field::new();
    let plant = Plant::new();
    let registers: Vec<u16> = (1..=(BLOCK * BLOCKS) as u16).collect();
    plant.write_holding(1, 0, &registers);
    let (_server, address) = field.tcp(&plant);
    let mut runners = runners(address);
    for _ in 0..effort.rounds {
        runners.iter_mut().for_each(Runner::go);
    }
    let of = |name: &str| runners.iter().find(|runner| runner.name == name).map(|runner| median(&runner.ns));
    let libmodbus = of("libmodbus");
    for runner in &runners {
        let ratio = libmodbus.map(|reference| format!("{:.2}× libmodbus", median(&runner.ns) / reference));
        let gate = match runner.name {
            "ours, one outstanding" => "≤ 1.0× / 0.75×",
            "ours, eight outstanding" => "≤ 0.2× / 0.11×",
            _ => "reference",
        };
        let measured = format!("{}; {}", spread(&runner.ns, "ns"), ratio.unwrap_or_default());
        row("P2", &format!("CPU per register, 125 a request: {}", runner.name), &measured, gate);
    }
}
