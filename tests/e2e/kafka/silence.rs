//! Connections that are half open: what is sent arrives, or does not, and no answer comes.

use hardware_sim::faults::{Fault, FaultProxy, Framing};
use tests::field::{Field, free};
use tests::kafka::{Cluster, Kafka};
use tests::site::Site;
use tests::{need, wait};

use super::asks::Asks;
use super::crashes::{PARTITIONS, TOPIC, all_arrive, ends_with_each_once, file, is_polled, the_audit_agrees};
use crate::rig::Counting;

/// Which way nothing passes.
const WAYS: [fn(&FaultProxy, Fault); 3] = [
    // The broker has what was sent, and its answer gets lost.
    |proxy, fault| proxy.replies().set(fault),
    |proxy, fault| proxy.requests().set(fault),
    |proxy, fault| {
        proxy.requests().set(fault);
        proxy.replies().set(fault);
    },
];

#[test]
fn each_reading_stands_there_once_though_connections_go_silent_in_one_direction_or_both() {
    let field = Field::new();
    let proxy = field.proxy(free(), Framing::Stream);
    let settings = format!("advertised.listeners=PLAIN://{}\n", proxy.address());
    let Some(kafka) = Kafka::of(&Cluster { settings: &settings, ..Cluster::default() }) else { return };
    proxy.retarget(kafka.address(0));
    kafka.create(TOPIC, PARTITIONS as usize, &[]);
    let plc = Counting::tcp(&field);
    // What is not answered within two seconds is given up with its connection.
    let site = Site::new(&file(&plc, &proxy.address().to_string()).replace("request_timeout=2s", "request_timeout=1s"));
    let gateway = site.start();
    let noticed = || gateway.log().matches("did not answer in time").count();
    for round in 0..if need::long() { 12 } else { WAYS.len() } {
        is_polled(&plc, 20);
        let before = noticed();
        let way = WAYS[round % WAYS.len()];
        way(&proxy, Fault::Silence);
        wait::for_it("the silence is noticed", wait::SOON, || noticed() > before);
        way(&proxy, Fault::Pass);
        all_arrive(&plc, &mut Asks::of(&kafka.bootstrap()));
    }
    let (readings, _) = ends_with_each_once(gateway, &mut Asks::of(&kafka.bootstrap()));
    plc.verdict(&readings).must_be_perfect();
    the_audit_agrees(&site, &kafka, &readings);
}
