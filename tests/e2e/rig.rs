//! A counting PLC, a broker, a recorder: what most fault tests stand on.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use hardware_sim::broker::Broker;
use hardware_sim::faults::{Fault, FaultProxy};
use hardware_sim::modbus::{Answered, ModbusServer, Oracle, Plant, Table, words_u32};
use tests::field::Field;
use tests::oracle::{Verdict, compare, holes};
use tests::site::Site;
use tests::subscriber::{Received, Subscriber};
use tests::{need, wait};

/// The name of the counting device of most tests, and of its tag.
pub(crate) const PLC: &str = "plc";
pub(crate) const COUNTER: &str = "n";

/// How often the counting tags are polled.
pub(crate) const EVERY: Duration = Duration::from_millis(100);

/// A gateway file with these devices, indented by two, and one uplink; a message is a batch of one device.
pub(crate) fn file(devices: &str, uplink: &str) -> String {
    format!(
        "gateway: test/line\nevery: 100ms\ndevices:\n{devices}uplinks:\n  cloud:\n    url: {uplink}\n    \
         topic: \"readings/{{gateway}}/{{device}}\"\n"
    )
}

/// A device whose tag `n` shows the counter at `hr:0`.
pub(crate) fn counting_device(name: &str, url: &str) -> String {
    format!("  {name}:\n    url: {url}\n    timeout: 500ms\n    tags:\n      {COUNTER}: \"hr:0:UDINT\"\n")
}

/// A Modbus TCP URL of unit 1.
pub(crate) fn tcp(address: SocketAddr) -> String {
    format!("modbus-tcp://{address}?unit=1")
}

/// A plant whose unit 1 counts at `hr:0`.
pub(crate) struct Counting {
    pub(crate) plant: Plant,
    pub(crate) oracle: Oracle,
    pub(crate) address: SocketAddr,
    _server: ModbusServer,
}

impl Counting {
    /// Over Modbus TCP.
    pub(crate) fn tcp(field: &Field) -> Counting {
        let plant = Plant::new();
        let oracle = counter(&plant, 1);
        let (server, address) = field.tcp(&plant);
        Counting { plant, oracle, address, _server: server }
    }

    /// The verdict on `plc/n`.
    pub(crate) fn verdict(&self, received: &[Received]) -> Verdict {
        compare(&self.oracle.answered(), received, PLC, COUNTER)
    }

    /// Waits until everything answered up to now has arrived.
    pub(crate) fn all_arrive(&self, recorder: &Subscriber, limit: Duration) {
        recorder.until_counter(PLC, COUNTER, self.oracle.last(), limit);
    }
}

/// Lets a unit count at `hr:0`.
pub(crate) fn counter(plant: &Plant, unit: u8) -> Oracle {
    plant.oracle(unit, Table::HoldingRegisters, 0, 2, words_u32)
}

/// The embedded broker and its recorder.
pub(crate) fn embedded(field: &Field) -> (Broker, String, Subscriber) {
    let broker = field.broker();
    let url = format!("mqtt://{}", broker.address());
    let recorder = Subscriber::start(broker.address());
    (broker, url, recorder)
}

/// A second counter counts from here, so that one can never pass for the other.
pub(crate) const OTHER_FROM: u64 = 1_000_000;

/// The verdicts on `plc/n` and on `plc/other`, the second counter.
pub(crate) fn verdicts(oracle: &Oracle, other: &Oracle, received: &[Received]) -> [Verdict; 2] {
    let shift = |answer: Answered| Answered { counter: answer.counter + OTHER_FROM, ..answer };
    let other: Vec<Answered> = other.answered().into_iter().map(shift).collect();
    [compare(&oracle.answered(), received, PLC, COUNTER), compare(&other, received, PLC, "other")]
}

/// The longest that the gateway leaves a line alone between two tries to connect: when the last fault ended a connection, it
/// may have just begun.
const RECONNECT_MAX: Duration = Duration::from_secs(30);

/// Polls through the faults that `arrange` makes, and on until good readings come again; gives all that arrived. `file`
/// makes the gateway's file for an uplink.
pub(crate) fn through_faults(
    field: &Field,
    proxy: &FaultProxy,
    length: Duration,
    file: impl FnOnce(&str) -> String,
    arrange: impl FnOnce(&FaultProxy),
) -> Vec<Received> {
    let (_broker, uplink, recorder) = embedded(field);
    let site = Site::new(&file(&uplink));
    let mut gateway = site.start();
    running(&recorder);
    arrange(proxy);
    wait::pass(if need::long() { length * 10 } else { length });
    proxy.set(Fault::Pass);
    assert!(gateway.ended().is_none(), "the gateway lives");
    recorder.next_good_within(PLC, COUNTER, RECONNECT_MAX + wait::SOON);
    drop(gateway);
    eprintln!("{:?}", proxy.replies().counts().injected);
    recorder.readings()
}

/// No place of the sequence is missing.
pub(crate) fn nothing_is_missing(received: &[Received]) {
    let missing = holes(received);
    assert!(missing.is_empty(), "{} places of the sequence are missing: {missing:?}", missing.len());
}

/// How many answers an oracle gave between two moments.
pub(crate) fn answers_between(oracle: &Oracle, from: SystemTime, to: SystemTime) -> usize {
    oracle.answered().iter().filter(|answer| (from..to).contains(&answer.at)).count()
}

/// How late each answer came after the one before it, beyond the interval; sorted.
pub(crate) fn lateness(oracle: &Oracle, from: SystemTime, every: Duration) -> Vec<Duration> {
    let moments: Vec<SystemTime> = oracle.answered().iter().map(|a| a.at).filter(|at| *at >= from).collect();
    let gap = |pair: &[SystemTime]| pair[1].duration_since(pair[0]).unwrap_or_default().saturating_sub(every);
    let mut late: Vec<Duration> = moments.windows(2).map(gap).collect();
    late.sort_unstable();
    late
}

/// Waits for the first good reading of `plc/n`.
pub(crate) fn running(recorder: &Subscriber) {
    recorder.next_good(PLC, COUNTER);
}

/// Lets good times pass until so many more answers were given.
pub(crate) fn answers(oracle: &Oracle, more: u64) {
    let until = oracle.last() + more;
    wait::for_it("the plant is polled", wait::SOON + EVERY * 10 * more as u32, || oracle.last() >= until);
}
