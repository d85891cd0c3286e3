//! The benchmark: processor time per value, beside reference programs, in one go. See `tests/bench/run`.
//!
//! Programs under comparison run one after the other, A B A B, each as a process of its own that measures its own
//! processor time; the medians of the rounds are told with their spread. What is claimed to have been sent is counted
//! where it arrived.

mod client_cpu;
mod clients;
mod lines;
mod pipeline;
mod report;

use std::process::ExitCode;

/// How thorough a run is.
#[derive(Clone, Copy)]
struct Effort {
    rounds: usize,
    seconds: u64,
}

const FULL: Effort = Effort { rounds: 7, seconds: 20 };
const QUICK: Effort = Effort { rounds: 2, seconds: 5 };

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["client", url, in_flight, polls] => clients::ours(url, number(in_flight), number(polls)),
        ["raw", address, in_flight, rounds] => clients::raw(address, number(in_flight), number(rounds)),
        _ => scenarios(&words),
    }
    ExitCode::SUCCESS
}

fn number(text: &str) -> usize {
    text.parse().unwrap_or_else(|_| panic!("`{text}` is no number"))
}

fn scenarios(words: &[&str]) {
    let effort = if words.contains(&"--quick") { QUICK } else { FULL };
    let named: Vec<&&str> = words.iter().filter(|word| !word.starts_with("--")).collect();
    let wanted = |name: &str| named.is_empty() || named.iter().any(|word| **word == name);
    report::heading(effort);
    if wanted("p2") {
        client_cpu::run(effort);
    }
    if wanted("p3") {
        lines::run(effort);
    }
    if wanted("p1") {
        pipeline::cpu_per_value(effort);
    }
    if wanted("p5") {
        pipeline::hundred_thousand_tags(effort);
    }
    if wanted("p6") {
        pipeline::memory(effort);
    }
    if wanted("p7") {
        pipeline::first_value(effort);
    }
}
