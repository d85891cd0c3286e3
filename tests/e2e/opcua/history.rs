//! What happened while the server could not be reached, or the gateway did not run, is read from the server's history.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use hardware_sim::broker::Broker;
use hardware_sim::faults::{Framing, Link};
use serde_json::Value;
use tempfile::TempDir;
use tests::field::{Field, free_port};
use tests::http::get;
use tests::opcua::{Far, Server};
use tests::site::Site;
use tests::subscriber::{Received, Subscriber};
use tests::wait;

use super::{bad, counting_device, good};
use crate::rig::{COUNTER, PLC, embedded, file, nothing_is_missing};
use crate::types::folder;

/// Longer than readings stand in the log beside younger ones.
const OUTAGE: Duration = Duration::from_secs(12);
/// The server's queue is long: whatever is told now is told whole, and what is missing is missing.
const WHOLE: &str = "&sampling=50ms&queue=100";

/// A number of the counter, with its time.
type Count = (String, u64);

/// A gateway's file for a server that keeps its history, and where its readings arrive.
struct Historian {
    site: Site,
    far: Far,
    field: Field,
    recorder: Subscriber,
    uplink: String,
    http: SocketAddr,
    _broker: Broker,
    _folder: TempDir,
}

impl Historian {
    /// None where asyncua is not installed.
    fn start() -> Option<Historian> {
        let folder = folder();
        let far = Far::start(Server::Asyncua, folder.path(), &["--history"])?;
        let field = Field::new();
        let (broker, uplink, recorder) = embedded(&field);
        let http = SocketAddr::from(([127, 0, 0, 1], free_port()));
        Some(Historian { site: Site::new(""), far, field, recorder, uplink, http, _broker: broker, _folder: folder })
    }

    /// Writes the file for a server at `address`.
    fn write(&self, address: SocketAddr, options: &str) {
        let device = counting_device(&format!("opc.tcp://{address}?policy=none{options}"));
        // What is delivered would go from the log while it is looked for.
        let rest = format!("http: {{ listen: {} }}\nbuffer: {{ path: $BUFFER, keep: 64MiB }}\n", self.http);
        self.site.write(&(file(&device, &self.uplink) + &rest));
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.far.port()))
    }

    /// Runs a gateway through a cut of the network, until what was missed is there.
    fn through_an_outage(&self, options: &str, is_filled: fn(&[Count], &[Count]) -> bool) {
        let proxy = self.field.proxy(self.address(), Framing::Stream);
        self.write(proxy.address(), options);
        let gateway = self.site.start();
        good(&self.recorder);
        proxy.link(Link::Refuse);
        bad(&self.recorder, COUNTER);
        wait::pass(OUTAGE);
        proxy.link(Link::Up);
        good(&self.recorder);
        self.until(is_filled);
        self.is_marked_over_http();
        drop(gateway);
        nothing_is_missing(&self.recorder.readings());
    }

    /// Waits until the gap is filled, and a while for what should not come.
    fn until(&self, is_filled: fn(&[Count], &[Count]) -> bool) {
        wait::for_it("the gap is filled", wait::SOON * 4, || {
            let (live, past) = (self.counts(is_live), self.counts(is_past));
            !past.is_empty() && is_filled(&live, &past)
        });
        wait::pass(Duration::from_secs(3));
    }

    /// The counts of some kind, in the order of their coming.
    fn counts(&self, wanted: fn(&Received) -> bool) -> Vec<Count> {
        let readings = self.recorder.readings();
        let counts = readings.iter().filter(|reading| is_counter(reading) && wanted(reading));
        counts.map(|reading| (reading.time().to_owned(), number(reading))).collect()
    }

    /// What of the log's own history is marked is what was marked on its way.
    fn is_marked_over_http(&self) {
        let readings = self.logged("from=-600&limit=20000");
        let past = self.counts(is_past);
        assert_eq!(historical(&readings), past.iter().map(|(_, number)| *number).collect::<Vec<_>>(), "{readings:?}");
        assert!(readings.iter().any(|reading| reading[4].is_null() && reading[2] == "good"), "{readings:?}");
        // Of a time long gone too, though it stands in the log behind what was told since.
        let first = &past[..5];
        let readings = self.logged(&format!("from={}&to={}", first[0].0, first[4].0));
        assert_eq!(historical(&readings), first.iter().map(|(_, number)| *number).collect::<Vec<_>>());
    }

    /// What the log has of the counter, all of it.
    fn logged(&self, query: &str) -> Vec<Value> {
        let (status, body) = get(self.http, &format!("/api/v1/history?match=plc.n&{query}")).expect("an answer");
        let history: Value = serde_json::from_str(&body).unwrap_or_default();
        let complete = (&history["complete"], &history["historical_complete"]);
        assert_eq!((status, complete), (200, (&true.into(), &true.into())), "{body}");
        history["tags"][0]["readings"].as_array().cloned().unwrap_or_default()
    }
}

#[test]
fn a_gap_is_filled_in_order_once_and_marked() {
    let Some(historian) = Historian::start() else { return };
    historian.through_an_outage(WHOLE, is_whole);
    let (live, past) = (historian.counts(is_live), historian.counts(is_past));
    is_filled_once(&live, &past, OUTAGE);
    // What is read when a session begins may be told once more.
    assert!(live.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{live:?}");
}

#[test]
fn a_gap_between_polls_is_filled_too() {
    let Some(historian) = Historian::start() else { return };
    // A poll sees what is there, and may miss a count or see it twice: what is whole is the gap.
    historian.through_an_outage("&read=poll", is_closed);
    let (live, past) = (historian.counts(is_live), historian.counts(is_past));
    is_filled_once(&live, &past, OUTAGE);
    assert!(past.windows(2).all(|pair| pair[0].1 + 1 == pair[1].1), "{past:?}");
}

#[test]
fn what_a_gateway_missed_that_was_stopped_is_filled_once() {
    let Some(historian) = Historian::start() else { return };
    historian.write(historian.address(), WHOLE);
    let gateway = historian.site.start();
    good(&historian.recorder);
    assert!(gateway.terminate().success(), "it ends in good order");
    wait::pass(OUTAGE);
    let gateway = historian.site.start();
    historian.until(is_whole);
    drop(gateway);
    is_filled_once(&historian.counts(is_live), &historian.counts(is_past), OUTAGE);
}

/// Up to when values were told is kept now and then only: some are told a second time.
#[test]
fn what_a_gateway_missed_that_was_killed_is_filled() {
    let Some(historian) = Historian::start() else { return };
    historian.write(historian.address(), WHOLE);
    let gateway = historian.site.start();
    good(&historian.recorder);
    let kept = historian.site.buffer().join("learned/plc.txt");
    wait::for_it("it is kept up to when values were told", wait::SOON * 4, || kept.exists());
    wait::pass(Duration::from_secs(1));
    gateway.kill();
    wait::pass(OUTAGE);
    let gateway = historian.site.start();
    historian.until(is_whole);
    drop(gateway);
    is_long_and_in_order(&historian.counts(is_past), OUTAGE);
}

/// The numbers that are marked.
fn historical(readings: &[Value]) -> Vec<u64> {
    let marked = readings.iter().filter(|reading| reading[4] == "historical");
    marked.filter_map(|reading| reading[1].as_u64()).collect()
}

/// No number is missing.
fn is_whole(live: &[Count], past: &[Count]) -> bool {
    let all: BTreeSet<u64> = live.iter().chain(past).map(|(_, number)| *number).collect();
    all.first().zip(all.last()).is_some_and(|(first, last)| last - first + 1 == all.len() as u64)
}

/// The past begins and ends beside what was live.
fn is_closed(live: &[Count], past: &[Count]) -> bool {
    let is_live = |wanted: u64| live.iter().any(|(_, number)| *number == wanted);
    past.first().zip(past.last()).is_some_and(|(first, last)| is_live(first.1 - 1) && is_live(last.1 + 1))
}

/// What is past fills an outage, in its order; nothing of it was live, or is newer than what was live then.
fn is_filled_once(live: &[Count], past: &[Count], outage: Duration) {
    is_long_and_in_order(past, outage);
    let of = |all: &[Count]| -> BTreeSet<u64> { all.iter().map(|(_, number)| *number).collect() };
    let both: Vec<u64> = of(live).intersection(&of(past)).copied().collect();
    assert_eq!(both, [0_u64; 0], "told twice");
    assert!(of(live).last() > of(past).last(), "{past:?}");
}

fn is_long_and_in_order(past: &[Count], outage: Duration) {
    assert!(past.len() >= outage.as_secs() as usize * 5, "{} of the past", past.len());
    assert!(past.windows(2).all(|pair| pair[0].1 < pair[1].1 && pair[0].0 <= pair[1].0), "{past:?}");
}

fn is_counter(reading: &Received) -> bool {
    reading.tag == COUNTER && reading.device == PLC && reading.is_good()
}

fn is_past(reading: &Received) -> bool {
    reading.body["historical"] == true
}

fn is_live(reading: &Received) -> bool {
    !is_past(reading)
}

fn number(reading: &Received) -> u64 {
    reading.value().as_u64().unwrap_or_default()
}
