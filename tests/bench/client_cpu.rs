//! P2: processor time per register of our Modbus client beside libmodbus, pymodbus and a bare loop.

use std::process::Command;

use tests::need;

use crate::Effort;
use crate::clients::{BLOCK, BLOCKS};
use crate::device::Devices;
use crate::process;
use crate::report::{Row, Table};

const POLLS: usize = 3_000;
const POLLS_PYTHON: usize = 300;

/// A program under comparison and what it took, nanoseconds per register, round by round.
struct Runner {
    name: &'static str,
    command: Command,
    ns: Vec<f64>,
}

impl Runner {
    fn new(name: &'static str, program: impl AsRef<std::path::Path>, arguments: &[&str]) -> Runner {
        let mut command = process::on_core(process::CORE_OF_MEASURED, program.as_ref());
        command.args(arguments);
        Runner { name, command, ns: Vec::new() }
    }

    fn go(&mut self) {
        let run = self.command.output().expect("a program of this machine");
        let text = String::from_utf8_lossy(&run.stdout).into_owned();
        let fields: Vec<f64> = text.split_whitespace().filter_map(|field| field.parse().ok()).collect();
        let [registers, ns] = fields[..] else {
            panic!("{}: {text}{}", self.name, String::from_utf8_lossy(&run.stderr))
        };
        self.ns.push(ns / registers);
    }
}

const LIBMODBUS: &str = "libmodbus";
const SESSION: &str = "ours, the session";
const SESSION_DEEP: &str = "ours, the session, eight outstanding";

fn runners(port: u16) -> Vec<Runner> {
    let own = process::own_program();
    let (port, polls) = (port.to_string(), POLLS.to_string());
    let ours = |name, kind, in_flight| Runner::new(name, &own, &[kind, &port, in_flight, &polls]);
    let mut all = vec![ours("a bare loop", "bare", "1"), ours(SESSION, "session", "1")];
    if let Ok(libmodbus) = std::env::var("BENCH_LIBMODBUS") {
        let requests = (POLLS * BLOCKS).to_string();
        all.push(Runner::new(LIBMODBUS, libmodbus, &["127.0.0.1", &port, &requests]));
    }
    all.push(ours("a bare loop, eight outstanding", "bare", "8"));
    all.push(ours(SESSION_DEEP, "session", "8"));
    all.push(ours("ours, the whole driver, one tag a register", "driver", "1"));
    all.push(ours("ours, the whole driver, eight outstanding", "driver", "8"));
    if let Some(python) = need::python() {
        let script = need::root().join("tests/bench/pymodbus_client.py").display().to_string();
        let requests = (POLLS_PYTHON * BLOCKS).to_string();
        all.push(Runner::new("pymodbus", python, &[&script, &port, &requests]));
    }
    all
}

/// Runs all programs in turn, round after round, and adds a row for each. Gates hold for the ratio.
pub(crate) fn run(table: &mut Table, effort: Effort) {
    let devices = Devices::start(1);
    let mut runners = runners(devices.ports[0]);
    for _ in 0..effort.rounds {
        runners.iter_mut().for_each(Runner::go);
    }
    let reference = runners.iter().find(|runner| runner.name == LIBMODBUS).map(|runner| runner.ns.clone());
    for runner in &runners {
        let what = format!("Modbus TCP client, {BLOCK} registers a request: {}", runner.name);
        let mut row =
            Row::new("P2", &what).parts("client alone, on a core of its own").measured("ns/register", &runner.ns);
        if let Some(reference) = &reference {
            row = row.against(LIBMODBUS, reference);
        }
        table.add(match runner.name {
            SESSION => row.gate_of_ratio(1.0, 0.75),
            SESSION_DEEP => row.gate_of_ratio(0.2, 0.11),
            _ => row,
        });
    }
}
