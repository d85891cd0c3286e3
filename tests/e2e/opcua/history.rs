//! What happened while the server could not be reached is read from its history.

use std::net::SocketAddr;
use std::time::Duration;

use hardware_sim::faults::{Framing, Link};
use tests::field::Field;
use tests::opcua::{Far, Server};
use tests::site::Site;
use tests::subscriber::Received;
use tests::wait;

use super::{bad, counting_device, good};
use crate::rig::{COUNTER, PLC, embedded, file, nothing_is_missing};
use crate::types::folder;

/// The server's counter goes up ten times a second; asyncua looks at it at most that often.
const OUTAGE: Duration = Duration::from_secs(6);

#[test]
fn a_gap_is_filled_in_order_once_and_marked() {
    let folder = folder();
    let Some(far) = Far::start(Server::Asyncua, folder.path(), &["--history"]) else { return };
    let field = Field::new();
    let proxy = field.proxy(SocketAddr::from(([127, 0, 0, 1], far.port())), Framing::Stream);
    let (_broker, uplink, recorder) = embedded(&field);
    // The server's queue is long: whatever is told now is told whole, and what is missing is missing.
    let url = format!("opc.tcp://{}?policy=none&sampling=50ms&queue=100", proxy.address());
    let site = Site::new(&file(&counting_device(&url), &uplink));
    let gateway = site.start();
    good(&recorder);
    proxy.link(Link::Refuse);
    bad(&recorder, COUNTER);
    wait::pass(OUTAGE);
    proxy.link(Link::Up);
    good(&recorder);
    let past = |readings: &[Received]| readings.iter().filter(|reading| is_past(reading)).count();
    wait::for_it("the gap is filled", wait::SOON * 4, || {
        let numbers = numbers(&recorder.readings());
        past(&recorder.readings()) > 0 && numbers.windows(2).all(|pair| pair[1] - pair[0] == 1)
    });
    wait::pass(Duration::from_secs(3));
    let readings = recorder.readings();
    let all = numbers(&readings);
    let doubled = all.windows(2).filter(|pair| pair[0] == pair[1]).count();
    assert_eq!((doubled, all.windows(2).all(|pair| pair[1] - pair[0] == 1)), (0, true), "{all:?}");
    // Each by itself in order; and of what is past none is marked live, none is newer than what was live then.
    let of = |wanted: bool| -> Vec<(String, u64)> {
        let counters = readings.iter().filter(|reading| is_counter(reading) && is_past(reading) == wanted);
        counters.map(|reading| (reading.time().to_owned(), number(reading))).collect()
    };
    let (live, past) = (of(false), of(true));
    assert!(past.len() >= OUTAGE.as_secs() as usize * 5, "{} of the past", past.len());
    for lane in [&live, &past] {
        assert!(lane.windows(2).all(|pair| pair[0].1 < pair[1].1), "{lane:?}");
    }
    let newest = past.last().map(|(_, number)| *number);
    assert!(live.iter().any(|(_, number)| Some(*number) > newest), "{newest:?}");
    drop(gateway);
    nothing_is_missing(&recorder.readings());
}

fn is_counter(reading: &Received) -> bool {
    reading.tag == COUNTER && reading.device == PLC && reading.is_good()
}

fn is_past(reading: &Received) -> bool {
    reading.body["historical"] == true
}

fn number(reading: &Received) -> u64 {
    reading.value().as_u64().unwrap_or_default()
}

/// What the counter was, in the order of its numbers.
fn numbers(readings: &[Received]) -> Vec<u64> {
    let mut numbers: Vec<u64> = readings.iter().filter(|reading| is_counter(reading)).map(number).collect();
    numbers.sort_unstable();
    numbers
}
