//! F3 to F5: the network and the broker go away and come back.

use std::time::{Duration, Instant, SystemTime};

use hardware_sim::faults::{Framing, Link};
use hardware_sim::modbus::Plant;
use tests::broker::Broker;
use tests::field::Field;
use tests::oracle::compare;
use tests::site::Site;
use tests::subscriber::Subscriber;
use tests::{need, wait};

use crate::rig::{Counting, PLC, answers, counter, counting_device, file, nothing_is_missing, running, tcp};

const TAGS: usize = 100;
const MEMORY_GROWS_AT_MOST_KIB: u64 = 8 * 1024;

/// A device with the counter and constant registers beside it.
pub(crate) fn wide_device(url: &str) -> String {
    let more: Vec<String> = (1..TAGS).map(|n| format!("      r{n}: \"hr:{}:UINT\"\n", n + 1)).collect();
    format!("{}{}", counting_device(PLC, url), more.concat())
}

#[test]
fn stores_through_an_outage_and_drains_ten_times_faster_than_live() {
    let Some(broker) = Broker::start() else { return };
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let proxy = field.proxy(broker.address(), Framing::Stream);
    let recorder = Subscriber::start(broker.address());
    let file = file(&wide_device(&tcp(plc.address)), &format!("mqtt://{}", proxy.address()));
    let site = Site::new(&format!("{file}    drain: oldest-first\n"));
    let gateway = site.start();
    running(&recorder);
    answers(&plc.oracle, 20);
    let memory_before = gateway.resident_kib();
    proxy.link(Link::Refuse);
    let outage = Duration::from_secs(if need::long() { 600 } else { 20 });
    wait::pass(outage);
    let memory_after = gateway.resident_kib();
    let before = recorder.count();
    proxy.link(Link::Up);
    let backlog_end = plc.oracle.last();
    recorder.until_counter(PLC, "n", backlog_end, outage / 2 + wait::SOON);
    let readings = recorder.readings();
    let drained = &readings[before..];
    let took = drained.last().expect("it drained").at.duration_since(drained[0].at).unwrap_or_default();
    let live = TAGS as f64 * 10.0;
    let rate = drained.len() as f64 / took.as_secs_f64().max(0.001);
    eprintln!("{} readings drained in {took:?}: {rate:.0}/s, live {live:.0}/s", drained.len());
    assert!(rate >= 10.0 * live, "drained {rate:.0} readings a second, live are {live:.0}");
    let grown = memory_after.saturating_sub(memory_before);
    assert!(grown <= MEMORY_GROWS_AT_MOST_KIB, "memory grew by {grown} KiB while the broker was away");
    answers(&plc.oracle, 10);
    plc.all_arrive(&recorder, wait::SOON);
    drop(gateway);
    let readings = recorder.readings();
    nothing_is_missing(&readings);
    plc.verdict(&readings).must_be_perfect();
}

#[test]
fn loses_nothing_when_the_broker_restarts_again_and_again() {
    let Some(mut broker) = Broker::start() else { return };
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let recorder = Subscriber::start(broker.address());
    let site = Site::new(&file(&counting_device(PLC, &tcp(plc.address)), &broker.url("mqtt")));
    let gateway = site.start();
    for _ in 0..4 {
        running(&recorder);
        broker.stop();
        wait::pass(Duration::from_millis(700));
        broker.start_again();
    }
    running(&recorder);
    plc.all_arrive(&recorder, wait::SOON);
    drop(gateway);
    let readings = recorder.readings();
    nothing_is_missing(&readings);
    plc.verdict(&readings).must_be_perfect();
}

#[test]
fn connects_at_most_once_a_second_to_a_flapping_broker_and_loses_nothing() {
    let Some(broker) = Broker::start() else { return };
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let proxy = field.proxy(broker.address(), Framing::Stream);
    let recorder = Subscriber::start(broker.address());
    let site = Site::new(&file(&counting_device(PLC, &tcp(plc.address)), &format!("mqtt://{}", proxy.address())));
    let gateway = site.start();
    running(&recorder);
    let (start, accepted) = (Instant::now(), proxy.counts().accepted);
    for _ in 0..if need::long() { 120 } else { 12 } {
        proxy.reset_all();
        wait::pass(Duration::from_secs(1));
    }
    let connects = proxy.counts().accepted - accepted;
    let seconds = start.elapsed().as_secs_f64();
    running(&recorder);
    plc.all_arrive(&recorder, wait::SOON);
    drop(gateway);
    let readings = recorder.readings();
    nothing_is_missing(&readings);
    plc.verdict(&readings).must_be_perfect();
    eprintln!("{connects} connects in {seconds:.1} s");
    assert!(connects as f64 <= seconds + 1.0, "{connects} connects in {seconds:.1} s");
    assert!(connects > 0, "it came back");
}

#[test]
fn notices_a_half_open_connection_within_one_and_a_half_keep_alives() {
    let Some(broker) = Broker::start() else { return };
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let proxy = field.proxy(broker.address(), Framing::Stream);
    let recorder = Subscriber::start(broker.address());
    let keep_alive = Duration::from_secs(4);
    let url = format!("mqtt://{}?keep_alive=4s", proxy.address());
    let site = Site::new(&file(&counting_device(PLC, &tcp(plc.address)), &url));
    let gateway = site.start();
    running(&recorder);
    let accepted = proxy.counts().accepted;
    proxy.link(Link::BlackHole);
    let start = SystemTime::now();
    let limit = keep_alive * 3 / 2 + Duration::from_secs(2);
    wait::for_it("a new connection is tried", limit, || proxy.counts().accepted > accepted);
    eprintln!("noticed after {:?}", start.elapsed().unwrap_or_default());
    proxy.link(Link::Up);
    running(&recorder);
    plc.all_arrive(&recorder, wait::SOON);
    drop(gateway);
    let readings = recorder.readings();
    nothing_is_missing(&readings);
    plc.verdict(&readings).must_be_perfect();
}

#[test]
fn one_dead_uplink_never_delays_the_other() {
    let Some(broker) = Broker::start() else { return };
    let field = Field::new();
    let plant = Plant::new();
    let oracle = counter(&plant, 1);
    let (_server, address) = field.tcp(&plant);
    let proxy = field.proxy(broker.address(), Framing::Stream);
    proxy.link(Link::BlackHole);
    let recorder = Subscriber::start(broker.address());
    let text = file(&counting_device(PLC, &tcp(address)), &broker.url("mqtt"));
    let text = format!("{text}  dead:\n    url: mqtt://{}\n    topic: \"dead/{{device}}\"\n", proxy.address());
    let site = Site::new(&text);
    let gateway = site.start();
    running(&recorder);
    answers(&oracle, 50);
    recorder.until_counter(PLC, "n", oracle.last(), Duration::from_secs(3));
    drop(gateway);
    compare(&oracle.answered(), &recorder.readings(), PLC, "n").must_be_perfect();
}
