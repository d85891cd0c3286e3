//! The oldest level that the gateway speaks with: what it relies on, and each reading once across kills on either side.

use std::time::{Duration, SystemTime};

use tests::field::Field;
use tests::kafka::{Cluster, Kafka, OLDEST};
use tests::site::Site;
use tests::wait;

use super::asks::Asks;
use super::crashes::{
    ACCEPTED_WITHIN, PARTITIONS, TOPIC, all, all_arrive, exactly_once, file, strangers_read_the_same, the_audit_agrees,
};
use crate::rig::Counting;

const KILLS: usize = 3;

#[test]
fn the_oldest_broker_has_each_reading_once_though_gateway_and_broker_are_killed() {
    let Some(mut kafka) = Kafka::of(&Cluster { version: OLDEST, ..Cluster::default() }) else { return };
    kafka.create(TOPIC, PARTITIONS as usize, &[]);
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let site = Site::new(&file(&plc, &kafka.bootstrap()));
    let mut kills = Vec::new();
    for kill in 0..KILLS {
        let gateway = site.start();
        let polled = plc.oracle.last();
        wait::for_it("the plant is polled", wait::SOON, || plc.oracle.last() > polled + 30);
        if kill == 1 {
            kafka.kill(0);
            wait::pass(Duration::from_millis(500));
            kafka.start_again(0);
        }
        gateway.kill();
        kills.push(SystemTime::now());
    }
    let gateway = site.start();
    let polled = plc.oracle.last();
    wait::for_it("the plant is polled", wait::SOON, || plc.oracle.last() > polled + 20);
    let mut asks = Asks::of(&kafka.bootstrap());
    all_arrive(&plc, &mut asks);
    let log = gateway.log();
    assert!(gateway.terminate().success(), "the gateway ends well after SIGTERM");
    let readings = all(&mut asks);
    exactly_once(&readings);
    plc.verdict(&readings).must_have_lost_only_before(&kills, ACCEPTED_WITHIN);
    assert!(!log.contains("at least once"), "nothing was degraded: {log}");
    the_audit_agrees(&site, &kafka, &readings);
    strangers_read_the_same(&kafka, &readings);
}
