//! P14: processor time of our S7 driver beside a bare loop, values in a PDU beside the most that fit, and whole polls
//! beside python-snap7 and the C library.

use std::path::{Path, PathBuf};

use tests::need;

use crate::process;
use crate::report::{Row, Table, median};
use crate::s7_clients::Lie;
use crate::s7_device::S7Device;
use crate::{Breadth, Effort};

/// What PLCs agree to.
const PDUS: [u16; 3] = [240, 480, 960];

/// The PDU of the comparison with other programs, which ask for no more.
const PDU_OF_ALL: u16 = 480;

/// PDUs that one poll fills.
const PDUS_A_POLL: usize = 8;

const POLLS: usize = 1_000;
const PARTS: &str = "client alone, on a core of its own; the PLC is ours";

/// What a program took.
struct Took {
    values: f64,
    requests: f64,
    processor_ns: f64,
    wall_ns: f64,
}

fn run_one(device: &mut S7Device, program: &Path, arguments: &[&str]) -> Took {
    let before = device.reads();
    let mut command = process::on_core(process::CORE_OF_MEASURED, program);
    let run = command.args(arguments).output().expect("a program of this machine");
    // One request of each connection is the agreement.
    let requests = (device.reads() - before - 1) as f64;
    let text = String::from_utf8_lossy(&run.stdout).into_owned();
    let fields: Vec<f64> = text.split_whitespace().filter_map(|field| field.parse().ok()).collect();
    let [values, processor_ns, wall_ns] = fields[..] else {
        panic!("{arguments:?}: {text}{}", String::from_utf8_lossy(&run.stderr))
    };
    Took { values, requests, processor_ns, wall_ns }
}

fn driver(device: &mut S7Device, in_flight: usize, lie: Lie, polls: usize) -> Took {
    let words = [device.port.into(), in_flight, lie.values(), polls].map(|number: usize| number.to_string());
    let [port, in_flight, values, polls] = words.each_ref().map(String::as_str);
    run_one(device, &process::own_program(), &["s7-driver", port, in_flight, lie.name(), values, polls])
}

fn bare(device: &mut S7Device, pdu: u16, requests: usize) -> Took {
    let words = [device.port.into(), pdu.into(), requests].map(|number: usize| number.to_string());
    let [port, pdu, requests] = words.each_ref().map(String::as_str);
    run_one(device, &process::own_program(), &["s7-bare", port, pdu, requests])
}

/// REALs that one PDU holds in one piece.
fn neighbours_max(pdu: u16) -> usize {
    (usize::from(pdu) - 18) / 4
}

/// REALs that one PDU holds each by itself: 12 bytes out, 8 back, 20 at most.
fn scattered_max(pdu: u16) -> usize {
    let pdu = usize::from(pdu);
    ((pdu - 12) / 12).min((pdu - 14) / 8).min(20)
}

/// All rows.
pub(crate) fn run(table: &mut Table, effort: Effort) {
    for &pdu in if effort.breadth == Breadth::All { &PDUS[..] } else { &PDUS[..1] } {
        processor_time_of_a_pdu(table, effort, pdu);
        values_in_a_pdu(table, pdu);
    }
    for lie in [Lie::Scattered(1_000), Lie::Neighbours(10_000)] {
        polls_of_all(table, effort, lie);
    }
}

fn processor_time_of_a_pdu(table: &mut Table, effort: Effort, pdu: u16) {
    let mut device = S7Device::start(pdu);
    let lie = Lie::Neighbours(neighbours_max(pdu) * PDUS_A_POLL);
    let (mut loops, mut ours, mut deep) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..effort.rounds {
        let of = |took: Took| took.processor_ns / took.requests / 1e3;
        loops.push(of(bare(&mut device, pdu, POLLS * PDUS_A_POLL)));
        ours.push(of(driver(&mut device, 1, lie, POLLS)));
        deep.push(of(driver(&mut device, 8, lie, POLLS)));
    }
    let deep: Vec<f64> = deep.iter().zip(&loops).map(|(own, other)| own / other).collect();
    let each = neighbours_max(pdu);
    let what = format!("CPU per PDU of {pdu} bytes, {each} REAL tags in it, one job outstanding: the whole driver");
    let value = format!("{:.0} ns a value", median(&ours) * 1e3 / each as f64);
    let deep = format!("eight jobs: ratio {:.2}", median(&deep));
    let row = Row::new("P14", &what).measured("µs", &ours).against("a bare loop", &loops).gate_of_ratio(2.0, 1.3);
    table.add(row.proof(value).beside(deep).parts(PARTS));
}

/// How many values a PDU carries, as the PLC has counted them; this does not vary from round to round.
fn values_in_a_pdu(table: &mut Table, pdu: u16) {
    const POLLS: usize = 20;
    let mut device = S7Device::start(pdu);
    let (merged_max, scattered_max) = (neighbours_max(pdu), scattered_max(pdu));
    let mut carried = |lie| {
        let took = driver(&mut device, 8, lie, POLLS);
        took.values / took.requests
    };
    let merged = carried(Lie::Neighbours(merged_max * 40));
    let scattered = carried(Lie::Scattered(scattered_max * 50));
    let mut row = |what: &str, carried: f64, max: usize| {
        let what = format!("{what} REALs in a PDU of {pdu} bytes, of the most that fit");
        let beside = format!("{carried:.1} of {max}");
        let share = [carried / max as f64];
        let row = Row::new("P14", &what).measured("of them", &share).gate_at_least(0.95, 1.0);
        table.add(row.proof(beside).parts(PARTS));
    };
    row("neighbouring", merged, merged_max);
    row("scattered", scattered, scattered_max);
    let best = merged_max as f64 / scattered_max as f64;
    let what = format!("merged against scattered: values a PDU of {pdu} bytes");
    let beside = format!("{merged_max} whole REALs against {scattered_max}: {best:.2}");
    let ratio = [merged / scattered];
    let (gate, target) = (round(0.95 * best), round(best - 0.005));
    let row = Row::new("P14", &what).measured("×", &ratio).gate_at_least(gate, target);
    table.add(row.beside(beside).parts(PARTS));
}

fn round(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

/// A program that polls, and how often it does so in a round.
struct Contender {
    name: &'static str,
    python: Option<PathBuf>,
    polls: usize,
    took: Vec<Took>,
}

fn polls_of_all(table: &mut Table, effort: Effort, lie: Lie) {
    let mut device = S7Device::start(PDU_OF_ALL);
    let contender = |name, python, polls| Contender { name, python, polls, took: Vec::new() };
    let mut all = vec![contender("ours, the whole driver", None, 100)];
    all.extend(need::python().map(|python| contender("python-snap7 3.3.0", Some(python), 5)));
    all.extend(need::python_snap7().map(|python| contender("the C library, by python-snap7 2.1.0", Some(python), 20)));
    for _ in 0..effort.rounds {
        for contender in &mut all {
            let took = match &contender.python {
                None => driver(&mut device, 8, lie, contender.polls),
                Some(python) => {
                    let script = need::root().join("tests/bench/snap7_client.py").display().to_string();
                    let words = [device.port.into(), lie.values(), contender.polls].map(|n: usize| n.to_string());
                    let [port, values, polls] = words.each_ref().map(String::as_str);
                    run_one(&mut device, python, &[&script, port, lie.name(), values, polls])
                }
            };
            contender.took.push(took);
        }
    }
    let per_poll = |contender: &Contender, of: fn(&Took) -> f64| -> Vec<f64> {
        contender.took.iter().map(|took| of(took) / contender.polls as f64).collect()
    };
    let ours = per_poll(&all[0], |took| took.processor_ns / 1e3);
    for contender in &all {
        let requests = median(&per_poll(contender, |took| took.requests));
        let wall_ms = median(&per_poll(contender, |took| took.wall_ns / 1e6));
        let lying = if matches!(lie, Lie::Neighbours(_)) { "neighbouring" } else { "scattered" };
        let what = format!("one poll of {} {lying} REALs: {}", lie.values(), contender.name);
        let processor = per_poll(contender, |took| took.processor_ns / 1e3);
        let row = Row::new("P14", &what).measured("µs of CPU", &processor).against("ours", &ours);
        table.add(row.proof(format!("{requests:.0} requests, {wall_ms:.2} ms")).parts(PARTS));
    }
}
