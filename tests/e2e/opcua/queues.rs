//! What a server keeps for us arrives whole: what it saw between two messages, a message that was lost, and what happened
//! while there was no session.

use std::net::SocketAddr;
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

/// So many counts are read and told before the first that is only told.
const BEGIN: usize = 3;

/// The good counts that have arrived, in the order of their coming.
fn counts(recorder: &Subscriber) -> Vec<u64> {
    let is_count = |reading: &&Received| reading.tag == COUNTER && reading.device == PLC && reading.is_good();
    recorder.readings().iter().filter(is_count).filter_map(|reading| reading.value().as_u64()).collect()
}

/// None is missing, each comes in its order. What was read at the begin of a session may be told once more.
fn are_whole(counts: &[u64]) -> bool {
    counts[BEGIN..].windows(2).all(|pair| pair[1] == pair[0] || pair[1] == pair[0] + 1)
}

/// What arrives of this server in some seconds.
fn told(server: Server, arguments: &[&str]) -> Option<(Vec<u64>, String)> {
    let folder = folder();
    let far = Far::start(server, folder.path(), arguments)?;
    let field = Field::new();
    let (_broker, uplink, recorder) = embedded(&field);
    let device = counting_device(&format!("{}?policy=none{WHOLE}", far.url()));
    let site = Site::new(&file(&device, &uplink).replace("every: 100ms", "every: 1s"));
    let gateway = site.start();
    good(&recorder);
    wait::for_it("fifty counts", wait::SOON * 4, || counts(&recorder).len() >= 50);
    let log = gateway.log();
    drop(gateway);
    Some((counts(&recorder), log))
}

#[test]
fn what_asyncua_saw_between_two_messages_arrives() {
    let Some((counts, _)) = told(Server::Asyncua, &[]) else { return };
    assert!(are_whole(&counts), "{counts:?}");
}

#[test]
fn what_node_opcua_saw_between_two_messages_arrives() {
    let Some((counts, _)) = told(Server::NodeOpcua, &[]) else { return };
    assert!(are_whole(&counts), "{counts:?}");
}

#[test]
fn a_message_that_was_lost_is_asked_for_again() {
    let Some((counts, log)) = told(Server::Asyncua, &["--lossy"]) else { return };
    assert!(are_whole(&counts), "{counts:?}");
    assert!(!log.contains("a message of the server is lost"), "{log}");
}

#[test]
fn a_subscription_goes_on_in_the_next_session_with_what_was_queued() {
    let folder = folder();
    let Some(far) = Far::start(Server::NodeOpcua, folder.path(), &[]) else { return };
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
    assert!(log.contains("a subscription goes on where it was"), "{log}");
    let counts = counts(&recorder);
    assert!(are_whole(&counts), "{counts:?}");
}

/// Behind NAT, or without a name server: the session goes where the URL leads, whatever the server calls itself.
#[test]
fn a_server_that_calls_itself_otherwise_is_reached_where_the_url_leads() {
    let Some((counts, _)) = told(Server::Asyncua, &["--known-as", "opc.tcp://plc-7.plant.invalid:4840/"]) else {
        return;
    };
    assert!(counts.len() >= 50, "{counts:?}");
}
