//! F9 to F11: slow, late, garbled and refusing PLCs. A value that arrives was held by the PLC, under that address.

use std::time::Duration;

use hardware_sim::faults::{Fault, FaultProxy, Framing};
use hardware_sim::s7::{Access, Area, ItemError, Oracle, Plc, PlcConfig, S7Server, bytes_u32};
use tests::field::Field;
use tests::oracle::compare;
use tests::site::Site;
use tests::subscriber::Received;
use tests::wait;

use super::{bad, counter, counting_device, good, url};
use crate::rig::{COUNTER, OTHER_FROM, PLC, embedded, file, running, through_faults, verdicts};

/// The second counter stands in another block.
const OTHER_AT: u16 = 5_000;

/// A PLC with two counters, of different intervals, so that they are read in requests of their own; and so many bytes
/// beside the first that its poll takes several requests at a time.
struct Lying {
    field: Field,
    oracle: Oracle,
    other: Oracle,
    proxy: FaultProxy,
    _server: S7Server,
}

impl Lying {
    fn new() -> Lying {
        let field = Field::new();
        let plc = Plc::new();
        plc.configure(PlcConfig { pdu_max: 240, jobs_max: 3, ..PlcConfig::default() });
        plc.load(3, 2000);
        let oracle = counter(&plc);
        let shifted = |number: u64, bytes: &mut [u8]| bytes_u32(number + OTHER_FROM, bytes);
        let other = plc.oracle(Area::Block(2), OTHER_AT, 4, shifted);
        let server = field.s7(&plc);
        let proxy = field.proxy(server.address(), Framing::S7);
        Lying { field, oracle, other, proxy, _server: server }
    }

    fn file(&self, uplink: &str, timeout: &str) -> String {
        let device =
            counting_device(PLC, self.proxy.address()).replace("timeout: 500ms", &format!("timeout: {timeout}"));
        let bytes = "      bytes: \"DB3.DBB0:BYTE[600]\"\n";
        let other = format!("      other: {{ address: \"DB2.DBD{OTHER_AT}:UDINT\", every: 130ms }}\n");
        file(&format!("{device}{bytes}{other}"), uplink)
    }

    /// Polls through the faults that `arrange` makes and expects only true values, and good ones again afterwards.
    fn only_true_values(&self, timeout: &str, length: Duration, arrange: impl FnOnce(&FaultProxy)) -> Vec<Received> {
        let file = |uplink: &str| self.file(uplink, timeout);
        let received = through_faults(&self.field, &self.proxy, length, file, arrange);
        for verdict in verdicts(&self.oracle, &self.other, &received) {
            eprintln!("{verdict}");
            verdict.must_be_true();
        }
        let zeros = |reading: &&Received| reading.tag == "bytes" && reading.is_good();
        assert!(received.iter().filter(zeros).all(|reading| is_zeros(reading.value())), "bytes that were never there");
        received
    }
}

fn is_zeros(value: &serde_json::Value) -> bool {
    value.as_array().is_some_and(|bytes| bytes.len() == 600 && bytes.iter().all(|byte| byte.as_u64() == Some(0)))
}

#[test]
fn a_reply_byte_by_byte_is_one_reply() {
    let lying = Lying::new();
    let received = lying.only_true_values("5s", Duration::from_secs(5), |proxy| {
        proxy.replies().script(vec![Fault::Drip(Duration::from_millis(5)); 9]);
    });
    assert!(received.iter().all(Received::is_good), "slow is not bad while it keeps the timeout");
}

#[test]
fn an_answer_after_the_timeout_is_never_taken_for_the_next_one() {
    let lying = Lying::new();
    lying.only_true_values("200ms", Duration::from_secs(8), |proxy| {
        proxy.replies().mix(9, 0.3, [Fault::Late(Duration::from_millis(250)), Fault::Late(Duration::from_millis(420))]);
    });
    assert!(lying.proxy.replies().counts().injected.get("late").is_some_and(|count| *count > 3));
}

#[test]
fn garbage_yields_no_wrong_value_and_no_end() {
    let lying = Lying::new();
    lying.only_true_values("200ms", Duration::from_secs(12), |proxy| {
        proxy.replies().mix(
            10,
            0.15,
            [
                Fault::WrongTransaction,
                Fault::WrongProtocol,
                Fault::WrongFunction,
                Fault::WrongByteCount,
                Fault::Shorter,
                Fault::Longer,
                Fault::WrongLength(3),
                Fault::WrongLength(-2),
                Fault::Exception(0),
                Fault::Garbage(40),
                Fault::Noise(7),
                Fault::Cut(9),
                Fault::Twice,
                Fault::Yesterday,
                Fault::Echo,
                Fault::EchoBefore,
                Fault::Collision,
                Fault::Silence,
                Fault::Reset,
                Fault::Close,
            ],
        );
    });
    assert!(lying.proxy.replies().counts().injected.len() > 6, "many kinds of garbage were sent");
}

const REFUSALS: [ItemError; 6] = [
    ItemError::Hardware,
    ItemError::NotAllowed,
    ItemError::OutOfRange,
    ItemError::TypeNotSupported,
    ItemError::TypeInconsistent,
    ItemError::NoObject,
];

#[test]
fn a_refused_address_is_bad_alone() {
    let field = Field::new();
    let mut devices = String::new();
    let mut servers = Vec::new();
    for (number, error) in REFUSALS.iter().enumerate() {
        let plc = Plc::new();
        let words: Vec<u8> = (0..20).flat_map(|n: u16| (100 * number as u16 + n).to_be_bytes()).collect();
        plc.write(Area::Block(1), 0, &words);
        plc.refuse(Area::Block(1), 14..=15, *error);
        let server = field.s7(&plc);
        devices.push_str(&format!("  p{number}:\n    url: {}\n    tags:\n", url(server.address())));
        (0..20).for_each(|n| devices.push_str(&format!("      t{n}: DB1.DBW{}:UINT\n", 2 * n)));
        servers.push(server);
    }
    let (_broker, uplink, recorder) = embedded(&field);
    let site = Site::new(&file(&devices, &uplink));
    let gateway = site.start();
    for (number, error) in REFUSALS.iter().enumerate() {
        let device = format!("p{number}");
        for n in (0..20_u64).filter(|n| *n != 7) {
            let what = format!("{error:?}: t{n} goes on");
            let last = || recorder.last(&device, &format!("t{n}")).filter(Received::is_good);
            let reading = wait::until(&what, wait::SOON, last);
            assert_eq!(reading.value().as_u64(), Some(100 * number as u64 + n), "{what}");
        }
        eprintln!("{error:?}: {}", bad(&recorder, &device, "t7"));
    }
    drop(gateway);
    for reading in recorder.readings().iter().filter(|reading| reading.is_good()) {
        let number = |text: &str| text[1..].parse::<u64>().expect("named by its number");
        assert_eq!(reading.value().as_u64(), Some(100 * number(&reading.device) + number(&reading.tag)));
    }
}

#[test]
fn a_block_that_is_not_there_is_bad_and_comes_back_when_it_is_loaded() {
    let field = Field::new();
    let plc = Plc::new();
    let oracle = counter(&plc);
    let server = field.s7(&plc);
    let (_broker, uplink, recorder) = embedded(&field);
    let device = counting_device(PLC, server.address());
    let site = Site::new(&file(&format!("{device}      absent: DB9.DBW0:UINT\n"), &uplink));
    let gateway = site.start();
    running(&recorder);
    bad(&recorder, PLC, "absent");
    plc.write(Area::Block(9), 0, &[0, 7]);
    good(&recorder, PLC, "absent");
    drop(gateway);
    compare(&oracle.answered(), &recorder.readings(), PLC, COUNTER).must_be_perfect();
}

#[test]
fn a_plc_that_does_not_permit_put_and_get_is_bad_until_it_does() {
    let field = Field::new();
    let plc = Plc::new();
    let oracle = counter(&plc);
    plc.configure(PlcConfig { access: Access::Refused, ..PlcConfig::default() });
    let server = field.s7(&plc);
    let (_broker, uplink, recorder) = embedded(&field);
    let site = Site::new(&file(&counting_device(PLC, server.address()), &uplink));
    let gateway = site.start();
    eprintln!("reason: {}", bad(&recorder, PLC, COUNTER));
    plc.configure(PlcConfig::default());
    good(&recorder, PLC, COUNTER);
    let log = gateway.log();
    drop(gateway);
    assert!(log.contains("PUT/GET"), "the log says what to do: {log}");
    compare(&oracle.answered(), &recorder.readings(), PLC, COUNTER).must_be_true();
}
