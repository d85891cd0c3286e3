//! The soak: a gateway through random faults, and then the proof that it lost nothing and kept its size. See `run` here.
//!
//! In the first half the gateway itself is killed now and then; the second half is one life of it, so that what grows slowly
//! has the time to show.

mod faults;
mod size;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use hardware_sim::faults::{FaultProxy, Framing};
use hardware_sim::modbus::{ModbusServer, Oracle, Plant, Table, words_u32};
use tests::broker::Broker;
use tests::field::Field;
use tests::oracle::{compare, holes};
use tests::site::Site;
use tests::subscriber::Subscriber;
use tests::wait;

use faults::{Dice, Fault};
use size::Sizes;

const PLCS: usize = 3;
const SAMPLE_EVERY: Duration = Duration::from_secs(10);

/// What is on its way at the end has this long to arrive.
const DRAINED_WITHIN: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let numbers: Vec<Option<u64>> = words.iter().map(|word| word.parse().ok()).collect();
    let [Some(minutes @ 1..), Some(seed)] = numbers[..] else {
        eprintln!("soak MINUTES SEED; tests/soak/run has defaults");
        return ExitCode::from(2);
    };
    let Some(broker) = broker() else { return ExitCode::from(3) };
    println!("{minutes} minutes of faults, seed {seed}");
    if soak(Duration::from_secs(60 * minutes), seed, broker) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A broker that does not write all that waits for the audit to disk each second, but does when it ends.
fn broker() -> Option<Broker> {
    Broker::with(|_| "allow_anonymous true\nautosave_interval 86400\n".to_owned())
}

/// A PLC that counts what it is asked, behind a line that fails.
struct Device {
    oracle: Oracle,
    line: FaultProxy,
    _server: ModbusServer,
}

/// All that can fail, and what records it.
struct Bench {
    /// Where the simulators live.
    _field: Field,
    broker: Broker,
    uplink: FaultProxy,
    devices: Vec<Device>,
    recorder: Subscriber,
}

fn soak(length: Duration, seed: u64, broker: Broker) -> bool {
    let field = Field::new();
    let devices = (0..PLCS).map(|_| device(&field)).collect();
    let uplink = field.proxy(broker.address(), Framing::Stream);
    let recorder = Subscriber::start(broker.address());
    let mut bench = Bench { _field: field, broker, uplink, devices, recorder };
    let site = Site::new(&file(&bench));
    audit(&site, &bench, 0);
    let (mut dice, mut sizes) = (Dice::new(seed), Sizes::default());
    let (begun, mut gateway) = (Instant::now(), site.start());
    let (mut fault_at, mut sample_at) = (begun, begun + SAMPLE_EVERY);
    while begun.elapsed() < length {
        wait::pass(Duration::from_millis(100));
        if gateway.ended().is_some() {
            println!("the gateway has ended by itself:\n{}", gateway.log());
            return false;
        }
        if Instant::now() >= fault_at {
            let fault = dice.fault(PLCS, begun.elapsed() < length / 2);
            println!("{:7.1} s  {fault}", begun.elapsed().as_secs_f64());
            match fault {
                Fault::Kill { down } => {
                    gateway.kill();
                    wait::pass(down);
                    gateway = site.start();
                    sizes.begins();
                }
                other => other.happen(&mut bench),
            }
            fault_at = Instant::now() + dice.pause();
        }
        if Instant::now() >= sample_at {
            sample_at += SAMPLE_EVERY;
            sizes.add(begun.elapsed(), gateway.resident_kib(), gateway.descriptors());
            println!("{:7.1} s  {}, {} readings", begun.elapsed().as_secs_f64(), sizes, bench.recorder.count());
        }
    }
    println!("the faults are over: what waits arrives");
    for (index, device) in bench.devices.iter().enumerate() {
        // Not the last answer, which may still be under way, but one of now.
        bench.recorder.until_counter(&name(index), "n", device.oracle.last() + 1, DRAINED_WITHIN);
    }
    // What is new goes first; the backlog of the last outage comes after it.
    let until = Instant::now() + DRAINED_WITHIN;
    while !holes(&bench.recorder.readings()).is_empty() && Instant::now() < until {
        wait::pass(Duration::from_secs(1));
    }
    let ended_well = gateway.terminate().success();
    let audited = audit(&site, &bench, 30);
    let proven = proven(&bench);
    let flat = sizes.flat();
    println!("the gateway ended well: {ended_well}; the audit is clean: {audited}; values and order: {proven}; {flat}");
    ended_well && audited && proven && flat.is_flat()
}

fn device(field: &Field) -> Device {
    let plant = Plant::new();
    let oracle = plant.oracle(1, Table::HoldingRegisters, 0, 2, words_u32);
    let (server, address) = field.tcp(&plant);
    Device { oracle, line: field.proxy(address, Framing::ModbusTcp), _server: server }
}

fn name(index: usize) -> String {
    format!("plc{index}")
}

fn file(bench: &Bench) -> String {
    let mut text = "gateway: soak/line\nevery: 100ms\nhttp: { listen: off }\ndevices:\n".to_owned();
    for (index, device) in bench.devices.iter().enumerate() {
        text.push_str(&format!(
            "  {}:\n    url: modbus-tcp://{}?unit=1\n    timeout: 500ms\n    tags: {{ n: \"hr:0:UDINT\", a: \"hr:4:INT\", b: \"hr:9:INT\" }}\n",
            name(index),
            device.line.address()
        ));
    }
    text.push_str(&format!(
        "uplinks:\n  cloud: {{ url: \"mqtt://{}?keep_alive=5s\", topic: \"readings/{{gateway}}/{{device}}\" }}\n",
        bench.uplink.address()
    ));
    text
}

/// The product's own proof over all that the broker has kept since the audit before it.
fn audit(site: &Site, bench: &Bench, seconds: u32) -> bool {
    let url = bench.broker.url("mqtt");
    let seconds = seconds.to_string();
    let words = ["audit", &url, "--topic", "readings/#", "--gateway", "soak/line", "--client-id", "soak-auditor"];
    let output = site.forebay(&[words.as_slice(), &["--seconds", &seconds]].concat());
    if seconds != "0" {
        println!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    }
    output.status.success()
}

/// The simulators' proof: no place of the sequence is missing, and each good value was given by its PLC, once, in order.
fn proven(bench: &Bench) -> bool {
    let received = bench.recorder.readings();
    let missing = holes(&received).len();
    println!("{} readings arrived, {missing} places of the sequence are missing", received.len());
    let verdicts = bench.devices.iter().enumerate().map(|(index, device)| {
        let verdict = compare(&device.oracle.answered(), &received, &name(index), "n");
        println!("{}: {verdict}", name(index));
        verdict.wrong.is_empty() && verdict.doubled.is_empty() && verdict.disordered.is_empty() && verdict.arrived > 0
    });
    verdicts.collect::<Vec<_>>().into_iter().all(|is_right| is_right) && missing == 0
}
