//! The oldest level that the gateway speaks with: what it relies on, and each reading once across kills on either side.

use std::time::{Duration, SystemTime};

use tests::field::Field;
use tests::kafka::{Cluster, Kafka, OLDEST};
use tests::site::Site;
use tests::wait;

use super::crashes::{
    ACCEPTED_WITHIN, PARTITIONS, TOPIC, file, is_polled, starts_and_ends_with_each_once, strangers_read_the_same,
    the_audit_agrees,
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
        is_polled(&plc, 30);
        if kill == 1 {
            kafka.kill(0);
            wait::pass(Duration::from_millis(500));
            kafka.start_again(0);
        }
        gateway.kill();
        kills.push(SystemTime::now());
    }
    let (readings, _) = starts_and_ends_with_each_once(site.start(), &plc, &kafka);
    plc.verdict(&readings).must_have_lost_only_before(&kills, ACCEPTED_WITHIN);
    the_audit_agrees(&site, &kafka, &readings);
    strangers_read_the_same(&kafka, &readings);
}
