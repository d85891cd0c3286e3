//! A buffer that was copied: two gateways with one identity.

use std::collections::HashSet;
use std::process::Command;

use tests::field::Field;
use tests::kafka::Kafka;
use tests::oracle::compare;
use tests::site::Site;
use tests::wait;

use super::asks::Asks;
use super::crashes::{PARTITIONS, RECOVERS_WITHIN, TOPIC, all, all_arrive, file};
use crate::rig::{COUNTER, Counting, PLC};

/// The device of the gateway that runs on the copy.
const COPY: &str = "copy";

#[test]
fn of_two_gateways_with_one_identity_one_stops_and_says_why_and_the_other_goes_on() {
    let Some(kafka) = Kafka::start() else { return };
    kafka.create(TOPIC, PARTITIONS as usize, &[]);
    let field = Field::new();
    let (plc, other) = (Counting::tcp(&field), Counting::tcp(&field));
    let site = Site::new(&file(&plc, &kafka.bootstrap()));
    let mut asks = Asks::of(&kafka.bootstrap());
    let gateway = site.start();
    wait::for_it("the plant is polled", wait::SOON, || plc.oracle.last() > 20);
    all_arrive(&plc, &mut asks);
    assert!(gateway.terminate().success(), "the gateway ends well after SIGTERM");
    let copy = Site::new(&file(&other, &kafka.bootstrap()).replace(&format!("  {PLC}:\n"), &format!("  {COPY}:\n")));
    let copied = Command::new("cp").arg("-a").arg(site.buffer()).arg(copy.folder()).status();
    assert!(copied.expect("cp").success());
    // The first goes on, for more batches than a partition recognises again.
    let gateway = site.start();
    let polled = plc.oracle.last();
    wait::for_it("the plant is polled on", wait::SOON, || plc.oracle.last() > polled + 40);
    all_arrive(&plc, &mut asks);

    let second = copy.start();
    wait::for_it("the first says that there is another", RECOVERS_WITHIN, || {
        gateway.log().contains("another gateway produces with this one's identity")
    });
    let polled = other.oracle.last();
    wait::for_it("the second is polled on", wait::SOON, || other.oracle.last() > polled + 20);
    let last = other.oracle.last();
    let readings = wait::until("what the second reads arrives", RECOVERS_WITHIN, || {
        let readings = all(&mut asks);
        let has_last = readings.iter().any(|one| {
            (one.device.as_str(), one.tag.as_str()) == (COPY, COUNTER) && one.value().as_u64() >= Some(last)
        });
        has_last.then_some(readings)
    });
    // Until they are told apart both count under the same numbers, partition by partition: what is missing is the copy's.
    compare(&other.oracle.answered(), &readings, COPY, COUNTER).must_be_true();
    let of_first: Vec<_> = readings.into_iter().filter(|one| one.device == PLC).collect();
    plc.verdict(&of_first).must_be_true();
    let places: HashSet<(u64, u64)> = of_first.iter().map(|reading| (reading.epoch, reading.seq)).collect();
    assert_eq!(places.len(), of_first.len(), "none stands twice");
    assert!(gateway.terminate().success() && second.terminate().success(), "both end well after SIGTERM");
}
