//! The benchmark: processor time, memory and waiting, beside reference programs, in one go. See `README.md` here.
//!
//! Programs under comparison run one after the other, A B A B, each as a process of its own. What is claimed to have been
//! sent is counted where it arrived.

mod report;
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
mod s7_device;
mod s7_clients;
mod s7;

use std::process::ExitCode;
use std::time::Duration;

/// How thorough a run is.
#[derive(Clone, Copy)]
struct Effort {
    rounds: usize,
    rounds_of_pipeline: usize,
    seconds: u64,
}

const FULL: Effort = Effort { rounds: 7, rounds_of_pipeline: 3, seconds: 8 };
const QUICK: Effort = Effort { rounds: 2, rounds_of_pipeline: 1, seconds: 5 };

/// A name, and what measures and prints its rows.
type Scenario = (&'static str, fn(Effort));

/// In the order in which they run.
const SCENARIOS: [Scenario; 8] = [
    ("p1", pipeline::cpu_per_value),
    ("p2", client_cpu::run),
    ("p3", lines::run),
    ("p5", pipeline::hundred_thousand_tags),
    ("p6", pipeline::memory),
    ("p7", pipeline::first_value),
    ("p8", writes::run),
    ("p14", s7::run),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["device", count] => device::serve(number(count)),
        ["session", port, in_flight, polls] => clients::session(number(port), number(in_flight), number(polls)),
        ["driver", port, in_flight, polls] => clients::driver(number(port), number(in_flight), number(polls)),
        ["bare", port, in_flight, polls] => bare::fast(number(port), number(in_flight), number(polls)),
        ["s7-device", pdu] => s7_device::serve(number(pdu), s7_clients::Lie::BLOCKS),
        ["s7-bare", port, pdu, requests] => s7_clients::bare(number(port), number(pdu), number(requests)),
        ["s7-driver", port, in_flight, kind, values, polls] => {
            let lie = s7_clients::Lie::parse(kind, number(values));
            s7_clients::driver(number(port), number(in_flight), lie, number(polls));
        }
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
        eprintln!("there is no scenario `{unknown}`; there are p1 p2 p3 p5 p6 p7 p8 p14");
        return ExitCode::from(2);
    }
    report::heading(effort);
    for (_, run) in SCENARIOS.iter().filter(|(name, _)| named.is_empty() || named.contains(name)) {
        run(effort);
    }
    ExitCode::SUCCESS
}
