//! F25: noise, cut frames, colliding units, and an adapter that is pulled out.

use std::time::{Duration, SystemTime};

use hardware_sim::faults::{Fault, LineSpeed, Link, SerialJoint};
use hardware_sim::modbus::{ModbusServer, Oracle, Plant};
use tempfile::TempDir;
use tests::field::Field;
use tests::oracle::compare;
use tests::site::Site;
use tests::subscriber::Subscriber;
use tests::{need, wait};

use crate::rig::{COUNTER, answers, answers_between, counter, embedded, file};

const SPEED: LineSpeed = LineSpeed { baud: 19_200, bits_per_character: 11 };

/// Two counting units on one line.
struct Bus {
    field: Field,
    joint: SerialJoint,
    oracles: [Oracle; 2],
    _server: ModbusServer,
    _folder: TempDir,
}

impl Bus {
    fn new() -> Bus {
        let field = Field::new();
        let folder = TempDir::with_prefix("forebay-line-").expect("a temporary directory");
        let joint = field.enter(|| SerialJoint::open(folder.path(), Some(SPEED))).expect("pseudo-terminals");
        let plant = Plant::new();
        let oracles = [counter(&plant, 1), counter(&plant, 2)];
        let port = joint.server().display().to_string();
        let server = field.enter(|| ModbusServer::rtu_at(&port, SPEED.baud, plant.clone())).expect("the port opens");
        Bus { field, joint, oracles, _server: server, _folder: folder }
    }

    fn devices(&self) -> String {
        let port = self.joint.client().display();
        let unit =
            |n: u8| format!("  meter{n}:\n    on: bus\n    unit: {n}\n    tags: {{ {COUNTER}: \"hr:0:UDINT\" }}\n");
        format!("  bus:\n    url: \"modbus-rtu://{port}?baud=19200&parity=even&timeout=300ms\"\n{}{}", unit(1), unit(2))
    }

    fn true_values(&self, recorder: &Subscriber) {
        let received = recorder.readings();
        for (oracle, device) in self.oracles.iter().zip(["meter1", "meter2"]) {
            let verdict = compare(&oracle.answered(), &received, device, COUNTER);
            eprintln!("{device}: {verdict}");
            verdict.must_be_true();
        }
        eprintln!("{:?}", self.joint.replies().counts().injected);
    }
}

fn both_run(recorder: &Subscriber) {
    recorder.next_good("meter1", COUNTER);
    recorder.next_good("meter2", COUNTER);
}

#[test]
fn noise_cut_frames_and_collisions_yield_no_wrong_value() {
    let bus = Bus::new();
    let (_broker, url, recorder) = embedded(&bus.field);
    let site = Site::new(&file(&bus.devices(), &url));
    let gateway = site.start();
    both_run(&recorder);
    let faults = [Fault::Noise(3), Fault::Cut(4), Fault::Collision, Fault::WrongCrc, Fault::Garbage(9), Fault::Silence];
    bus.joint.replies().mix(25, 0.3, faults);
    wait::pass(Duration::from_secs(if need::long() { 120 } else { 12 }));
    bus.joint.set(Fault::Pass);
    both_run(&recorder);
    drop(gateway);
    bus.true_values(&recorder);
}

#[test]
fn a_dead_unit_leaves_the_other_nine_tenths_of_its_rate() {
    let bus = Bus::new();
    let (_broker, url, recorder) = embedded(&bus.field);
    let site = Site::new(&file(&bus.devices(), &url));
    let gateway = site.start();
    both_run(&recorder);
    let rate = |length: Duration| {
        let from = SystemTime::now();
        wait::pass(length);
        answers_between(&bus.oracles[0], from, SystemTime::now()) as f64 / length.as_secs_f64()
    };
    let healthy = rate(Duration::from_secs(5));
    bus.joint.replies().only_unit(Some(2));
    bus.joint.set(Fault::Silence);
    wait::for_it("the dead unit is reported", wait::SOON, || {
        recorder.last("meter2", COUNTER).is_some_and(|reading| !reading.is_good())
    });
    // The breaker needs some failures to open.
    wait::pass(Duration::from_secs(4));
    let beside_a_dead_one = rate(Duration::from_secs(10));
    eprintln!("{healthy:.1} -> {beside_a_dead_one:.1} polls a second");
    assert!(beside_a_dead_one >= 0.9 * healthy, "{healthy:.1} fell to {beside_a_dead_one:.1} polls a second");
    bus.joint.set(Fault::Pass);
    let limit = Duration::from_secs(60);
    wait::for_it("the unit comes back", limit, || {
        recorder.last("meter2", COUNTER).is_some_and(|reading| reading.is_good())
    });
    drop(gateway);
    bus.true_values(&recorder);
}

#[test]
fn an_unplugged_adapter_is_opened_again_when_it_is_back() {
    let bus = Bus::new();
    let (_broker, url, recorder) = embedded(&bus.field);
    let site = Site::new(&file(&bus.devices(), &url));
    let gateway = site.start();
    both_run(&recorder);
    for _ in 0..2 {
        bus.joint.link(Link::Refuse);
        wait::for_it("both units are reported", wait::SOON, || {
            ["meter1", "meter2"].iter().all(|unit| recorder.last(unit, COUNTER).is_some_and(|r| !r.is_good()))
        });
        bus.joint.link(Link::Up);
        both_run(&recorder);
    }
    answers(&bus.oracles[1], 5);
    drop(gateway);
    bus.true_values(&recorder);
}
