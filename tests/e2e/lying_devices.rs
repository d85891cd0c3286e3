//! F9 to F11: slow, late, garbled and refusing PLCs. A value that arrives was held by the PLC, under that address.

use std::time::Duration;

use hardware_sim::faults::{Fault, FaultProxy, Framing};
use hardware_sim::modbus::{ExceptionCode, ModbusServer, Oracle, Plant, Table, words_u32};
use tests::field::Field;
use tests::oracle::compare;
use tests::site::Site;
use tests::subscriber::{Received, Subscriber};
use tests::wait;

use crate::rig::{
    COUNTER, OTHER_FROM, PLC, answers, counter, counting_device, embedded, file, running, tcp, through_faults, verdicts,
};

/// The second counter stands far from the first.
const OTHER_AT: u16 = 5_000;

/// A PLC with two counters that need a request each, behind a proxy.
struct Lying {
    field: Field,
    oracle: Oracle,
    other: Oracle,
    proxy: FaultProxy,
    framing: Framing,
    _server: ModbusServer,
}

impl Lying {
    fn new(framing: Framing) -> Lying {
        let field = Field::new();
        let plant = Plant::new();
        let oracle = counter(&plant, 1);
        let shifted = |number: u64, words: &mut [u16]| words_u32(number + OTHER_FROM, words);
        let other = plant.oracle(1, Table::HoldingRegisters, OTHER_AT, 2, shifted);
        let (server, address) =
            if framing == Framing::ModbusRtu { field.rtu_over_tcp(&plant) } else { field.tcp(&plant) };
        let proxy = field.proxy(address, framing);
        Lying { field, oracle, other, proxy, framing, _server: server }
    }

    fn file(&self, uplink: &str, timeout: &str) -> String {
        let scheme = if self.framing == Framing::ModbusRtu { "modbus-rtu-over-tcp" } else { "modbus-tcp" };
        let device = counting_device(PLC, &format!("{scheme}://{}?unit=1", self.proxy.address()));
        let device = device.replace("timeout: 500ms", &format!("timeout: {timeout}"));
        file(&format!("{device}      other: \"hr:{OTHER_AT}:UDINT\"\n"), uplink)
    }

    /// Polls through the faults that `arrange` makes and expects only true values, and good ones again afterwards.
    fn only_true_values(&self, timeout: &str, length: Duration, arrange: impl FnOnce(&FaultProxy)) -> Vec<Received> {
        let file = |uplink: &str| self.file(uplink, timeout);
        let received = through_faults(&self.field, &self.proxy, length, file, arrange);
        for verdict in verdicts(&self.oracle, &self.other, &received) {
            eprintln!("{verdict}");
            verdict.must_be_true();
        }
        received
    }
}

#[test]
fn a_reply_byte_by_byte_is_one_reply() {
    let lying = Lying::new(Framing::ModbusTcp);
    let received = lying.only_true_values("3s", Duration::from_secs(6), |proxy| {
        proxy.set(Fault::Drip(Duration::from_millis(50)));
    });
    assert!(received.iter().all(Received::is_good), "slow is not bad while it keeps the timeout");
}

#[test]
fn an_answer_after_the_timeout_is_never_taken_for_the_next_one_over_tcp() {
    let lying = Lying::new(Framing::ModbusTcp);
    lying.only_true_values("200ms", Duration::from_secs(8), |proxy| {
        proxy.replies().mix(9, 0.5, [Fault::Late(Duration::from_millis(250)), Fault::Late(Duration::from_millis(420))]);
    });
    assert!(lying.proxy.replies().counts().injected.get("late").is_some_and(|count| *count > 3));
}

#[test]
fn an_answer_after_the_timeout_is_never_taken_for_the_next_one_over_rtu() {
    let lying = Lying::new(Framing::ModbusRtu);
    lying.only_true_values("200ms", Duration::from_secs(8), |proxy| {
        // A unit on a line answers in the order in which it was asked: a late answer holds up those behind it.
        proxy.replies().mix(9, 0.2, [Duration::from_millis(250), Duration::from_millis(420)].map(Fault::Delay));
    });
    assert!(lying.proxy.replies().counts().injected.get("delay").is_some_and(|count| *count > 3));
}

#[test]
fn garbage_over_tcp_yields_no_wrong_value_and_no_end() {
    let lying = Lying::new(Framing::ModbusTcp);
    lying.only_true_values("200ms", Duration::from_secs(12), |proxy| {
        proxy.replies().mix(
            10,
            0.4,
            [
                Fault::WrongLength(3),
                Fault::WrongLength(-2),
                Fault::WrongProtocol,
                Fault::WrongTransaction,
                Fault::WrongUnit,
                Fault::WrongFunction,
                Fault::WrongByteCount,
                Fault::Shorter,
                Fault::Garbage(40),
                Fault::Noise(7),
                Fault::Cut(5),
                Fault::Twice,
                Fault::Yesterday,
                Fault::Echo,
                Fault::EchoBefore,
                Fault::Collision,
                Fault::Reset,
            ],
        );
    });
    assert!(lying.proxy.replies().counts().injected.len() > 6, "many kinds of garbage were sent");
}

#[test]
fn garbage_over_rtu_yields_no_wrong_value_and_no_end() {
    let lying = Lying::new(Framing::ModbusRtu);
    lying.only_true_values("200ms", Duration::from_secs(12), |proxy| {
        proxy.replies().mix(
            11,
            0.4,
            [
                Fault::WrongCrc,
                Fault::WrongUnit,
                Fault::WrongFunction,
                Fault::WrongByteCount,
                Fault::Shorter,
                Fault::Garbage(40),
                Fault::Noise(7),
                Fault::Cut(5),
                Fault::Twice,
                Fault::Echo,
                Fault::Collision,
            ],
        );
    });
    assert!(lying.proxy.replies().counts().injected.len() > 4, "many kinds of garbage were sent");
}

/// The codes by which devices answer for one address that they do not like (Modbus Application Protocol V1.1b3, clause 7).
const OF_AN_ADDRESS: [ExceptionCode; 5] = [
    ExceptionCode::IllegalFunction,
    ExceptionCode::IllegalDataAddress,
    ExceptionCode::IllegalDataValue,
    ExceptionCode::ServerDeviceFailure,
    ExceptionCode::MemoryParityError,
];

/// The codes by which a device speaks of the moment: a smaller request would be answered alike.
const OF_THE_MOMENT: [ExceptionCode; 2] = [ExceptionCode::Acknowledge, ExceptionCode::ServerDeviceBusy];

#[test]
fn a_refused_address_is_bad_alone() {
    let field = Field::new();
    let plant = Plant::new();
    let mut devices = String::new();
    let (_server, address) = field.tcp(&plant);
    for (unit, exception) in (1..).zip(OF_AN_ADDRESS) {
        let words: Vec<u16> = (0..20).map(|n| 100 * u16::from(unit) + n).collect();
        plant.write_holding(unit, 0, &words);
        plant.refuse(unit, Table::HoldingRegisters, 7..=7, exception);
        devices.push_str(&format!("  u{unit}:\n    url: modbus-tcp://{address}?unit={unit}\n    tags:\n"));
        (0..20).for_each(|n| devices.push_str(&format!("      t{n}: \"hr:{n}:UINT\"\n")));
    }
    let (_broker, url, recorder) = embedded(&field);
    let site = Site::new(&file(&devices, &url));
    let gateway = site.start();
    for (unit, exception) in (1..).zip(OF_AN_ADDRESS) {
        let device = format!("u{unit}");
        for n in (0..20_u64).filter(|n| *n != 7) {
            let tag = format!("t{n}");
            let what = format!("{exception:?}: {tag} goes on");
            let good = wait::until(&what, wait::SOON, || recorder.last(&device, &tag).filter(Received::is_good));
            assert_eq!(good.value().as_u64(), Some(100 * unit + n), "{what}");
        }
        let bad = wait::until("the refused address is reported", wait::SOON, || recorder.last(&device, "t7"));
        assert!(!bad.is_good() && !bad.reason().is_empty(), "{exception:?}: {:?}", bad.body);
    }
    drop(gateway);
    no_tag_was_wrong(&recorder);
}

/// Every good value of the devices `u1`… is the one that its register holds.
fn no_tag_was_wrong(recorder: &Subscriber) {
    for reading in recorder.readings().iter().filter(|reading| reading.is_good()) {
        let number = |text: &str| text[1..].parse::<u64>().expect("named by its number");
        assert_eq!(reading.value().as_u64(), Some(100 * number(&reading.device) + number(&reading.tag)));
    }
}

#[test]
fn what_a_device_says_of_the_moment_makes_the_request_bad_and_no_other() {
    let field = Field::new();
    let plant = Plant::new();
    let (_server, address) = field.tcp(&plant);
    let mut devices = String::new();
    for (unit, exception) in (1..).zip(OF_THE_MOMENT) {
        plant.write_holding(unit, 0, &[100 * u16::from(unit)]);
        plant.write_input(unit, 1, &[100 * u16::from(unit) + 1]);
        plant.refuse(unit, Table::HoldingRegisters, 0..=0, exception);
        let tags = "{ t0: \"hr:0:UINT\", t1: \"ir:1:UINT\" }";
        devices.push_str(&format!("  u{unit}:\n    url: modbus-tcp://{address}?unit={unit}\n    tags: {tags}\n"));
    }
    let (_broker, url, recorder) = embedded(&field);
    let site = Site::new(&file(&devices, &url));
    let gateway = site.start();
    for (unit, exception) in (1..).zip(OF_THE_MOMENT) {
        let device = format!("u{unit}");
        recorder.next_good(&device, "t1");
        let bad = wait::until("the refusal is reported", wait::SOON, || recorder.last(&device, "t0"));
        assert!(!bad.is_good() && !bad.reason().is_empty(), "{exception:?}: {:?}", bad.body);
    }
    drop(gateway);
    no_tag_was_wrong(&recorder);
}

/// Codes 0A and 0B come from a gateway on the way: the unit behind it is not there.
#[test]
fn a_unit_that_its_gateway_cannot_reach_is_bad_whole_and_the_other_units_go_on() {
    let field = Field::new();
    let plant = Plant::new();
    let oracle = counter(&plant, 1);
    let (_server, address) = field.tcp(&plant);
    let mut devices = counting_device(PLC, &tcp(address));
    for (unit, exception) in [(2, ExceptionCode::GatewayPathUnavailable), (3, ExceptionCode::GatewayTargetDevice)] {
        plant.refuse(unit, Table::HoldingRegisters, 0..=u16::MAX, exception);
        devices.push_str(&format!("  u{unit}:\n    on: {PLC}\n    unit: {unit}\n    tags: {{ a: \"hr:0:UINT\" }}\n"));
    }
    let (_broker, url, recorder) = embedded(&field);
    let site = Site::new(&file(&devices, &url));
    let gateway = site.start();
    running(&recorder);
    answers(&oracle, 20);
    for device in ["u2", "u3"] {
        let bad = recorder.last(device, "a").expect("a reading, though a bad one");
        assert!(!bad.is_good() && !bad.reason().is_empty(), "{:?}", bad.body);
    }
    wait::for_it("all arrive", wait::SOON, || {
        recorder.last(PLC, COUNTER).and_then(|r| r.value().as_u64()).is_some_and(|n| n + 5 > oracle.last())
    });
    drop(gateway);
    compare(&oracle.answered(), &recorder.readings(), PLC, COUNTER).must_be_perfect();
}

#[test]
fn an_address_that_is_no_longer_refused_comes_back() {
    let field = Field::new();
    let plant = Plant::new();
    let oracle = counter(&plant, 1);
    plant.refuse(1, Table::HoldingRegisters, 0..=0, ExceptionCode::ServerDeviceBusy);
    let (_server, address) = field.tcp(&plant);
    let (_broker, url, recorder) = embedded(&field);
    let site = Site::new(&file(&counting_device(PLC, &tcp(address)), &url));
    let gateway = site.start();
    wait::until("the refusal is reported", wait::SOON, || recorder.last(PLC, COUNTER));
    plant.allow_all(1);
    let limit = Duration::from_secs(90);
    wait::for_it("it is read again", limit, || recorder.last(PLC, COUNTER).is_some_and(|reading| reading.is_good()));
    answers(&oracle, 5);
    drop(gateway);
    compare(&oracle.answered(), &recorder.readings(), PLC, COUNTER).must_be_true();
}
