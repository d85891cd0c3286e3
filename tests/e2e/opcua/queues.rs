//! What a server keeps for us arrives whole: what it saw between two messages, a message that was lost, and what happened
//! while there was no session.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use hardware_sim::faults::{Framing, Link};
use tests::field::Field;
use tests::opcua::{Far, Server};
use tests::site::Site;
use tests::subscriber::{Received, Subscriber};
use tests::wait;

use super::{bad, counting_device, good};
use crate::rig::{COUNTER, PLC, embedded, file};
use crate::types::folder;

/// The counter goes up ten times a second; the server sees each step, and keeps as many as a long outage has.
const WHOLE: &str = "&sampling=50ms&queue=1000";

/// Where node-opcua says what it sampled, in its folder.
const SAMPLED: &str = "sampled";

/// So many counts are read and told before the first that is only told.
const BEGIN: usize = 3;

/// The good counts that have arrived, in the order of their coming.
fn counts(recorder: &Subscriber) -> Vec<u64> {
    let is_count = |reading: &&Received| reading.tag == COUNTER && reading.device == PLC && reading.is_good();
    recorder.readings().iter().filter(is_count).filter_map(|reading| reading.value().as_u64()).collect()
}

/// None of those that the server took for us is missing, each comes in its order. What was read at the begin of a session may
/// be told once more.
fn are_whole(counts: &[u64], taken: &Taken) {
    let told = &counts[BEGIN..];
    assert!(told.is_sorted(), "{counts:?}");
    let [first, .., last] = told else { panic!("{counts:?}") };
    let distinct = |counts: &[u64]| counts.iter().copied().collect::<BTreeSet<u64>>();
    let wanted: BTreeSet<u64> = match taken {
        Taken::Each => (*first..=*last).collect(),
        Taken::These(sampled) => distinct(sampled).range(first..=last).copied().collect(),
    };
    let missing = &wanted - &distinct(told);
    assert!(missing.is_empty(), "missing: {missing:?}, {counts:?}");
}

/// Which counts a server takes for a subscriber.
enum Taken {
    /// All: it is woken by each.
    Each,
    /// It looks every 50 ms, or later where the machine is busy, and says what it saw.
    These(Vec<u64>),
}

/// Starts a server; where it is not woken by each count, with what tells which it took.
fn server(server: Server, folder: &Path, arguments: &[&str]) -> Option<Far> {
    let file = folder.join(SAMPLED);
    let sampled = ["--sampled", &file.to_string_lossy()];
    Far::start(server, folder, if server == Server::NodeOpcua { &sampled } else { arguments })
}

fn taken(folder: &Path) -> Taken {
    match fs::read_to_string(folder.join(SAMPLED)) {
        Ok(lines) => Taken::These(lines.lines().map(|line| line.parse().expect("a count")).collect()),
        Err(_) => Taken::Each,
    }
}

struct Told {
    counts: Vec<u64>,
    taken: Taken,
    log: String,
}

/// What arrives of this server in some seconds.
fn told(server: Server, arguments: &[&str]) -> Option<Told> {
    let folder = folder();
    let far = self::server(server, folder.path(), arguments)?;
    let field = Field::new();
    let (_broker, uplink, recorder) = embedded(&field);
    let device = counting_device(&format!("{}?policy=none{WHOLE}", far.url()));
    let site = Site::new(&file(&device, &uplink).replace("every: 100ms", "every: 1s"));
    let gateway = site.start();
    good(&recorder);
    wait::for_it("fifty counts", wait::SOON * 4, || counts(&recorder).len() >= 50);
    let log = gateway.log();
    drop(gateway);
    Some(Told { counts: counts(&recorder), taken: taken(folder.path()), log })
}

#[test]
fn what_asyncua_saw_between_two_messages_arrives() {
    let Some(Told { counts, taken, .. }) = told(Server::Asyncua, &[]) else { return };
    are_whole(&counts, &taken);
}

#[test]
fn what_node_opcua_saw_between_two_messages_arrives() {
    let Some(Told { counts, taken, .. }) = told(Server::NodeOpcua, &[]) else { return };
    are_whole(&counts, &taken);
}

#[test]
fn a_message_that_was_lost_is_asked_for_again() {
    let Some(Told { counts, taken, log }) = told(Server::Asyncua, &["--lossy"]) else { return };
    are_whole(&counts, &taken);
    assert!(!log.contains("a message of the server is lost"), "{log}");
}

#[test]
fn a_subscription_goes_on_in_the_next_session_with_what_was_queued() {
    let folder = folder();
    let Some(far) = server(Server::NodeOpcua, folder.path(), &[]) else { return };
    let field = Field::new();
    let proxy = field.proxy(SocketAddr::from(([127, 0, 0, 1], far.port())), Framing::Stream);
    let (_broker, uplink, recorder) = embedded(&field);
    let url = format!("opc.tcp://{}?policy=none&history=off{WHOLE}", proxy.address());
    let site = Site::new(&file(&counting_device(&url), &uplink));
    let gateway = site.start();
    good(&recorder);
    proxy.link(Link::Refuse);
    bad(&recorder, COUNTER);
    wait::pass(Duration::from_secs(2));
    proxy.link(Link::Up);
    good(&recorder);
    let last = counts(&recorder).len();
    wait::for_it("it counts on", wait::SOON * 4, || counts(&recorder).len() > last + 20);
    let log = gateway.log();
    drop(gateway);
    assert!(log.contains("a subscription goes on where it was") && !log.contains("is lost"), "{log}");
    are_whole(&counts(&recorder), &taken(folder.path()));
}

/// Behind NAT, or without a name server: the session goes where the URL leads, whatever the server calls itself.
#[test]
fn a_server_that_calls_itself_otherwise_is_reached_where_the_url_leads() {
    let Some(Told { counts, .. }) = told(Server::Asyncua, &["--known-as", "opc.tcp://plc-7.plant.invalid:4840/"])
    else {
        return;
    };
    assert!(counts.len() >= 50, "{counts:?}");
}
