//! The server is killed and started again, closes its sessions, closes its connections: every tag comes back, and each
//! gap shows as bad with its reason.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hardware_sim::opcua::{OpcUaPlc, UaType};
use hardware_sim::signal::Signal;
use tests::field::Field;
use tests::opcua::{Far, Server};
use tests::site::Site;
use tests::subscriber::{Received, Subscriber};
use tests::{need, wait};

use super::{counting, counting_device, good};
use crate::rig::{COUNTER, PLC, embedded, file, nothing_is_missing};
use crate::types::folder;

/// So many tags beside the counter and the one that stands still: more than a subscription's usual batch.
const ITEMS: usize = 120;

/// The gateway's longest pause between two tries to connect.
const BACK_OFF_MAX: Duration = Duration::from_secs(30);

/// How many tags are as wanted, by the last reading of each.
fn many(recorder: &Subscriber, is_as_wanted: impl Fn(&Received) -> bool) -> usize {
    recorder.with(|recorded| {
        let mut last = BTreeMap::new();
        let mut readings = recorded.readings.iter().rev().filter(|reading| reading.device == PLC);
        while last.len() < ITEMS + 2 {
            let Some(reading) = readings.next() else { break };
            last.entry(&reading.tag).or_insert(reading);
        }
        last.values().filter(|reading| is_as_wanted(reading)).count()
    })
}

/// Waits until all tags are as wanted, and gives how long that took.
fn all(recorder: &Subscriber, what: &str, is_as_wanted: impl Fn(&Received) -> bool) -> Duration {
    let begun = Instant::now();
    wait::for_it(what, super::COMES_BACK_WITHIN, || many(recorder, &is_as_wanted) == ITEMS + 2);
    begun.elapsed()
}

/// The server is killed again and again, and stays away now shorter, now longer.
fn survives(server: Server, times: u32) {
    let folder = folder();
    let Some(mut far) = Far::start(server, folder.path(), &["--items", &ITEMS.to_string()]) else { return };
    let field = Field::new();
    let (_broker, uplink, recorder) = embedded(&field);
    let items: String = (0..ITEMS).map(|n| format!("      t{n}: \"ns=2;s=item_{n}\"\n")).collect();
    let device = counting_device(&format!("{}?policy=none", far.url())) + &items;
    let site = Site::new(&file(&device, &uplink).replace("every: 100ms", "every: 500ms"));
    let mut gateway = site.start();
    all(&recorder, "all is good", Received::is_good);
    let mut slowest = Duration::ZERO;
    for round in 0..times {
        far.kill();
        all(&recorder, "all is bad", |reading| !reading.is_good());
        all(&recorder, "each says why", |reading| {
            reading.value().is_null() && !["", "not-decodable"].contains(&reading.reason())
        });
        wait::pass(Duration::from_millis(u64::from(round * 7_919 % 31) * 100));
        far.start_again();
        let back = all(&recorder, "all is good again", Received::is_good);
        eprintln!("{server:?}, round {round}: all {} tags are back {back:?} after it serves", ITEMS + 2);
        slowest = slowest.max(back);
    }
    assert!(slowest < BACK_OFF_MAX + wait::SOON, "{slowest:?}");
    assert!(gateway.ended().is_none(), "the gateway lives");
    drop(gateway);
    nothing_is_missing(&recorder.readings());
}

#[test]
fn every_tag_comes_back_when_asyncua_was_killed() {
    survives(Server::Asyncua, if need::long() { 50 } else { 2 });
}

#[test]
fn every_tag_comes_back_when_node_opcua_was_killed() {
    survives(Server::NodeOpcua, if need::long() { 50 } else { 1 });
}

#[test]
fn every_tag_comes_back_when_the_server_closed_sessions_and_connections() {
    let folder = folder();
    let Some(far) = counting(Server::Asyncua, folder.path()) else { return };
    let field = Field::new();
    let (_broker, uplink, recorder) = embedded(&field);
    let site = Site::new(&file(&counting_device(&format!("{}?policy=none", far.url())), &uplink));
    let gateway = site.start();
    good(&recorder);
    for signal in ["USR1", "USR2", "USR1"] {
        let before = recorder.count();
        far.signal(signal);
        // It counts on, whether or not a gap was seen.
        let last = recorder.last(PLC, COUNTER).and_then(|reading| reading.value().as_u64()).unwrap_or_default();
        wait::for_it(&format!("it counts on after SIG{signal}"), super::COMES_BACK_WITHIN, || {
            let now = recorder.last(PLC, COUNTER).filter(|reading| reading.is_good());
            now.and_then(|reading| reading.value().as_u64()).is_some_and(|now| now > last + 20)
        });
        good(&recorder);
        assert!(recorder.count() > before);
    }
    drop(gateway);
    nothing_is_missing(&recorder.readings());
}

#[test]
fn a_clock_of_the_server_that_is_wrong_stops_nothing() {
    let field = Field::new();
    let plc = OpcUaPlc::new();
    let seconds = Signal::Counter { from: 1.0, step: 1.0, every: Duration::from_millis(100) };
    plc.drive("ns=2;s=counter", UaType::UInt32, None, seconds).expect("a place");
    plc.drive("ns=2;s=float", UaType::Float, None, Signal::Constant(21.5)).expect("a place");
    let mut server = field.opcua(&plc);
    let (_broker, uplink, recorder) = embedded(&field);
    let url = format!("opc.tcp://{}?policy=none", server.address());
    let site = Site::new(&file(&counting_device(&url), &uplink));
    let gateway = site.start();
    good(&recorder);
    for hours in [-30_i64, 40] {
        plc.skew(hours * 3_600_000);
        server.restart().expect("the port is ours");
        let last = recorder.last(PLC, COUNTER).and_then(|reading| reading.value().as_u64()).unwrap_or_default();
        wait::for_it("it counts on", super::COMES_BACK_WITHIN, || {
            let now = recorder.last(PLC, COUNTER).filter(|reading| reading.is_good());
            now.and_then(|reading| reading.value().as_u64()).is_some_and(|now| now > last + 20)
        });
        good(&recorder);
    }
    drop(gateway);
    nothing_is_missing(&recorder.readings());
}
