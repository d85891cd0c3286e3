//! The benchmark: processor time, memory and waiting, beside reference programs, in one go. See `README.md` here.
//!
//! Programs under comparison run one after the other, A B A B, each as a process of its own. What is claimed to have been
//! sent is counted where it arrived.

mod report;
mod compare;
mod plot;
mod process;
mod device;
mod clients;
mod bare;
mod client_cpu;
mod lines;
mod counter;
mod contender;
mod pipeline;
mod writes;
mod drain;
mod beside;
mod plans;
mod scenarios;
mod scale;
mod realtime;
mod s7_device;
mod s7_clients;
mod s7;
mod opcua_device;
mod opcua_clients;
mod opcua;
mod kafka;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use compare::Results;
use report::Table;

/// How thorough a run is.
#[derive(Clone, Copy)]
struct Effort {
    rounds: usize,
    rounds_of_pipeline: usize,
    seconds: u64,
    breadth: Breadth,
}

/// What is measured of loads that differ in size alone.
#[derive(Clone, Copy, PartialEq)]
enum Breadth {
    All,
    First,
}

const FULL: Effort = Effort { rounds: 5, rounds_of_pipeline: 3, seconds: 3, breadth: Breadth::All };
const QUICK: Effort = Effort { rounds: 3, rounds_of_pipeline: 2, seconds: 3, breadth: Breadth::First };

/// What `--quick` runs when no scenario is named: those whose ratios are steady within a few seconds.
const IN_QUICK: [&str; 4] = ["p1", "p2", "p4", "p14"];

/// A name, and what measures its rows and adds them to the table.
type Scenario = (&'static str, fn(&mut Table, Effort));

/// In the order in which they run.
const SCENARIOS: &[Scenario] = &[
    ("p1", pipeline::cpu_per_value),
    ("p2", client_cpu::run),
    ("p3", lines::run),
    ("p4", plans::run),
    ("p5", pipeline::hundred_thousand_tags),
    ("p6", pipeline::memory),
    ("p7", pipeline::first_value),
    ("p8", writes::run),
    ("p9", realtime::run),
    ("p11", drain::run),
    ("p13", opcua::run),
    ("p14", s7::run),
    ("p15", kafka::run),
    ("scenarios", scenarios::run),
    ("scale", scale::run),
    ("p11-live", beside::run),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["device", count] => device::serve(number(count)),
        ["spin"] => realtime::spin(),
        ["session", port, in_flight, polls] => clients::session(number(port), number(in_flight), number(polls)),
        ["driver", port, in_flight, polls] => clients::driver(number(port), number(in_flight), number(polls)),
        ["bare", port, in_flight, polls] => bare::fast(number(port), number(in_flight), number(polls)),
        ["s7-device", pdu] => s7_device::serve(number(pdu), s7_clients::Lie::BLOCKS),
        ["s7-bare", port, pdu, requests] => s7_clients::bare(number(port), number(pdu), number(requests)),
        ["s7-driver", port, in_flight, kind, values, polls] => {
            let lie = s7_clients::Lie::parse(kind, number(values));
            s7_clients::driver(number(port), number(in_flight), lie, number(polls));
        }
        ["opcua-device", items] => opcua_device::serve(number(items)),
        ["opcua-bare", port, items, seconds] => opcua_clients::bare(number(port), number(items), number(seconds)),
        ["opcua-driver", port, items, seconds] => opcua_clients::driver(number(port), number(items), number(seconds)),
        ["kafka-publisher", bootstrap, topic, batches] => kafka::publisher(bootstrap, topic, number(batches)),
        ["kafka-wire", bootstrap, topic, batches] => kafka::wire(bootstrap, topic, number(batches)),
        ["paced", every_ms, units, tags, ports @ ..] => {
            let ports: Vec<u16> = ports.iter().map(|port| number(port)).collect();
            bare::paced(Duration::from_millis(number(every_ms)), number(units), number(tags), &ports);
        }
        _ => return scenarios(&words),
    }
    ExitCode::SUCCESS
}

fn number<T: std::str::FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("`{text}` is no number that fits"))
}

fn scenarios(words: &[&str]) -> ExitCode {
    let effort = if words.contains(&"--quick") { QUICK } else { FULL };
    let named: Vec<&str> = words.iter().copied().filter(|word| *word != "--quick").collect();
    if let Some(unknown) = named.iter().find(|name| !SCENARIOS.iter().any(|(known, _)| known == *name)) {
        let names: Vec<&str> = SCENARIOS.iter().map(|(name, _)| *name).collect();
        eprintln!("there is no scenario `{unknown}`; there are {}", names.join(" "));
        return ExitCode::from(2);
    }
    let wanted: &[&str] = match (named.as_slice(), words.contains(&"--quick")) {
        ([], true) => &IN_QUICK,
        (named, _) => named,
    };
    report::heading(effort);
    let mut table = Table::default();
    for (_, run) in SCENARIOS.iter().filter(|(name, _)| wanted.is_empty() || wanted.contains(name)) {
        run(&mut table, effort);
    }
    let is_quick = words.contains(&"--quick");
    let results = if is_quick { Results::of_quick_runs() } else { Results::committed() };
    results.print(&table.rows);
    if let Ok(folder) = std::env::var("BENCH_PLOTS") {
        std::fs::write(Path::new(&folder).join("gates.svg"), plot::svg(&table.rows)).expect("the plot can be written");
    }
    let regressions = if is_quick { results.regressions(&table.rows) } else { Vec::new() };
    regressions.iter().for_each(|regression| eprintln!("{regression}"));
    if regressions.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
