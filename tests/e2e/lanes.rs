//! F3 as the default has it: after an outage what is new comes at once, and the backlog beside it.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use hardware_sim::faults::{Framing, Link};
use serde_json::Value;
use tests::broker::Broker;
use tests::field::Field;
use tests::oracle::holes;
use tests::site::Site;
use tests::subscriber::{Received, Subscriber};
use tests::wait;

use crate::outages::wide_device;
use crate::rig::{Counting, PLC, answers, counting_device, embedded, file, nothing_is_missing, running, tcp};

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

#[test]
fn a_range_is_sent_once_more_beside_what_is_new_and_the_gateway_says_so() {
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let (_broker, url, recorder) = embedded(&field);
    let buffer = "buffer: { path: $BUFFER, keep: 64MiB }\n";
    let site = Site::new(&format!("{}\n{buffer}", file(&counting_device(PLC, &tcp(plc.address)), &url)));
    let gateway = site.start();
    running(&recorder);
    answers(&plc.oracle, 30);
    plc.all_arrive(&recorder, wait::SOON);
    let delivered: BTreeSet<(u64, u64)> = places(&recorder, "live");
    let replay = |more: &[&str]| {
        let asked = ["buffer", "replay", "--uplink", "cloud", "--from", "2020-01-01", "--json"];
        let output = site.forebay(&[&asked[..], more].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).expect("JSON")
    };
    let done = replay(&[]);
    assert_eq!((&done["state"], &done["job"]), (&"done".into(), &1.into()), "{done}");
    let sent = done["readings"].as_u64().expect("a number") as usize;
    assert!(sent >= delivered.len(), "{sent} of {} were sent once more", delivered.len());
    wait::for_it("they arrive", wait::SOON, || places(&recorder, "replay").is_superset(&delivered));
    assert_eq!(replay(&["--tag", "other.*"])["readings"], 0);
    let unknown = site.forebay(&["buffer", "replay", "--uplink", "cluod", "--from", "2020-01-01"]);
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("cloud"), "it says which uplinks there are");
    drop(gateway);
    let waiting = replay(&[]);
    assert_eq!(waiting["state"], "waiting", "no gateway runs, and the command does not wait for one: {waiting}");
    let gateway = site.start();
    wait::for_it("the replay that waited is done", wait::SOON, || {
        let listed = site.forebay(&["buffer", "replay", "--json"]);
        let listed: Value = serde_json::from_slice(&listed.stdout).unwrap_or_default();
        listed[2]["state"] == "done"
    });
    drop(gateway);
    plc.verdict(&recorder.readings()).must_be_true();
}

/// Epoch and seq of all readings that came in a lane.
fn places(recorder: &Subscriber, lane: &str) -> BTreeSet<(u64, u64)> {
    let of = |readings: &[Received]| {
        readings.iter().filter(|one| one.lane() == lane).map(|one| (one.epoch, one.seq)).collect::<BTreeSet<_>>()
    };
    recorder.with(|all| of(&all.readings))
}

/// From the time of a reading to its arrival.
fn lateness(reading: &Received) -> Duration {
    let time = reading.time();
    let seconds = time.get(17..26).and_then(|seconds| seconds.parse::<f64>().ok()).expect("seconds");
    let at = reading.at.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs_f64() % 60.0;
    Duration::from_secs_f64((at - seconds).rem_euclid(60.0))
}
