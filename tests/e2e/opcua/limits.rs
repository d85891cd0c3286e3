//! 2,000 items at servers that take 100 in a call, and items that a server refuses.

use std::time::Duration;

use hardware_sim::opcua::{OpcUaConfig, OpcUaPlc, UaType};
use hardware_sim::signal::Signal;
use tests::field::Field;
use tests::opcua::{Far, Server};
use tests::site::Site;
use tests::subscriber::Subscriber;
use tests::wait;

use super::bad;
use crate::rig::{PLC, embedded, file};
use crate::types::folder;

const ITEMS: usize = 2000;

/// `BadNotReadable`.
const NOT_READABLE: u32 = 0x803A_0000;

fn device(url: &str, address: impl Fn(usize) -> String) -> String {
    let tags: String = (0..ITEMS).map(|n| format!("      t{n}: \"{}\"\n", address(n))).collect();
    format!("  {PLC}:\n    url: \"{url}\"\n    every: 1s\n    timeout: 5s\n    tags:\n{tags}")
}

/// Waits until each tag is good with a number above this one.
fn all_above(recorder: &Subscriber, number: u64) {
    let missing = || {
        let is_there = |n: &usize| {
            recorder
                .last(PLC, &format!("t{n}"))
                .is_some_and(|reading| reading.is_good() && reading.value().as_u64().is_some_and(|v| v > number))
        };
        (0..ITEMS).filter(|n| !is_there(n)).count()
    };
    let deadline = Duration::from_secs(60);
    wait::until("every item has arrived", deadline, || (missing() == 0).then_some(()));
}

fn through(options: &str) {
    let folder = folder();
    let arguments = ["--limit", "100", "--items", &ITEMS.to_string()];
    let Some(far) = Far::start(Server::NodeOpcua, folder.path(), &arguments) else { return };
    let field = Field::new();
    let (_broker, uplink, recorder) = embedded(&field);
    let url = format!("{}?policy=none&{options}", far.url());
    let site = Site::new(&file(&device(&url, |n| format!("ns=2;s=item_{n}")), &uplink));
    let gateway = site.start();
    all_above(&recorder, 0);
    // And they go on.
    all_above(&recorder, 4);
    drop(gateway);
}

#[test]
fn two_thousand_items_are_subscribed_to_where_a_call_takes_a_hundred() {
    through("read=subscribe");
}

#[test]
fn two_thousand_items_are_polled_where_a_call_takes_a_hundred() {
    through("read=poll");
}

#[test]
fn an_item_that_is_refused_is_bad_alone_and_comes_back_when_it_is_allowed() {
    let field = Field::new();
    let plc = OpcUaPlc::new();
    plc.configure(OpcUaConfig { operations_max: 100, ..OpcUaConfig::default() });
    let seconds = || Signal::Counter { from: 1.0, step: 1.0, every: Duration::from_secs(1) };
    for n in 0..ITEMS {
        plc.drive(&format!("ns=2;s=item_{n}"), UaType::UInt32, None, seconds()).expect("a place");
    }
    plc.refuse("ns=2;s=item_1234", NOT_READABLE).expect("a place");
    let server = field.opcua(&plc);
    let (_broker, uplink, recorder) = embedded(&field);
    let url = format!("opc.tcp://{}?policy=none", server.address());
    let site = Site::new(&file(&device(&url, |n| format!("ns=2;s=item_{n}")), &uplink));
    let gateway = site.start();
    wait::for_it("the others are good", Duration::from_secs(60), || {
        (0..ITEMS).filter(|n| *n != 1234).all(|n| recorder.last(PLC, &format!("t{n}")).is_some_and(|r| r.is_good()))
    });
    let reason = bad(&recorder, "t1234");
    assert!(!reason.is_empty());
    plc.allow_all();
    all_above(&recorder, 1);
    drop(gateway);
}
