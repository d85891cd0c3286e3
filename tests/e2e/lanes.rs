//! F3 as the default has it: after an outage what is new comes at once, and the backlog beside it.

use std::time::{Duration, SystemTime};

use hardware_sim::faults::{Framing, Link};
use tests::broker::Broker;
use tests::field::Field;
use tests::oracle::holes;
use tests::site::Site;
use tests::subscriber::{Received, Subscriber};
use tests::wait;

use crate::outages::wide_device;
use crate::rig::{Counting, PLC, answers, file, nothing_is_missing, running, tcp};

/// What is live may come so much later while the backlog drains; the other processes of the machine are in it, too.
const LATER_AT_MOST: Duration = Duration::from_millis(100);

#[test]
fn what_is_new_comes_at_once_after_an_outage_and_the_backlog_beside_it() {
    let Some(broker) = Broker::start() else { return };
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let proxy = field.proxy(broker.address(), Framing::Stream);
    let recorder = Subscriber::start(broker.address());
    let site = Site::new(&file(&wide_device(&tcp(plc.address)), &format!("mqtt://{}", proxy.address())));
    let gateway = site.start();
    running(&recorder);
    proxy.link(Link::Refuse);
    wait::pass(Duration::from_secs(10));
    let backlog_end = plc.oracle.last();
    proxy.link(Link::Up);
    recorder.until_counter(PLC, "n", backlog_end, wait::SOON * 2);
    wait::for_it("the backlog has drained", wait::SOON * 3, || recorder.with(|all| holes(&all.readings).is_empty()));
    answers(&plc.oracle, 30);
    plc.all_arrive(&recorder, wait::SOON);
    drop(gateway);
    let readings = recorder.readings();
    nothing_is_missing(&readings);
    plc.verdict(&readings).must_be_perfect();

    let of = |lane: &str| readings.iter().filter(|reading| reading.lane() == lane).collect::<Vec<&Received>>();
    let (live, history) = (of("live"), of("history"));
    let (first, last) = (history.first().expect("a backlog"), history.last().expect("a backlog"));
    let newest = history.iter().map(|reading| reading.seq).max().unwrap_or(0);
    assert!(
        live.iter().any(|reading| reading.seq > newest && reading.at < first.at),
        "history came before what is new"
    );

    let late = |from: SystemTime, to: SystemTime| {
        let within = live.iter().filter(|reading| (from..to).contains(&reading.at));
        let mut late: Vec<Duration> = within.map(|reading| lateness(reading)).collect();
        late.sort_unstable();
        late[late.len() * 9 / 10]
    };
    let (beside, after) = (late(first.at, last.at), late(last.at, SystemTime::now()));
    eprintln!("{} readings of history; live p90 {beside:?} beside it, {after:?} without", history.len());
    assert!(
        beside <= after.mul_f64(1.1) + LATER_AT_MOST,
        "live came {beside:?} late beside history, {after:?} without"
    );
}

/// From the time of a reading to its arrival.
fn lateness(reading: &Received) -> Duration {
    let time = reading.time();
    let seconds = time.get(17..26).and_then(|seconds| seconds.parse::<f64>().ok()).expect("seconds");
    let at = reading.at.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs_f64() % 60.0;
    Duration::from_secs_f64((at - seconds).rem_euclid(60.0))
}
