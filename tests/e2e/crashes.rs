//! F1: killed at any moment, the gateway comes back with everything it had accepted.

use std::time::{Duration, SystemTime};

use tests::broker::Broker;
use tests::field::Field;
use tests::site::Site;
use tests::subscriber::Subscriber;
use tests::{need, wait};

use crate::rig::{Counting, PLC, counting_device, file, nothing_is_missing, running, tcp};

/// A reading is accepted when it is in the log; what was polled but not yet there may go with the process.
const ACCEPTED_WITHIN: Duration = Duration::from_millis(1_500);

/// Moments of a kill after a start, by a fixed sequence: some fall into the start itself, some into steady running.
fn moments(count: usize) -> impl Iterator<Item = Duration> {
    let mut state = 0x2545_f491_u32;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        Duration::from_millis(u64::from(state % 1_500))
    })
    .take(count)
}

#[test]
fn keeps_every_accepted_reading_when_killed_at_random_moments() {
    let Some(broker) = Broker::start() else { return };
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let recorder = Subscriber::start(broker.address());
    let site = Site::new(&file(&counting_device(PLC, &tcp(plc.address)), &broker.url("mqtt")));
    let mut kills = Vec::new();
    for moment in moments(if need::long() { 200 } else { 20 }) {
        let gateway = site.start();
        wait::pass(moment);
        gateway.kill();
        kills.push(SystemTime::now());
    }
    let gateway = site.start();
    running(&recorder);
    plc.all_arrive(&recorder, wait::SOON);
    assert!(gateway.terminate().success(), "the gateway ends well after SIGTERM");
    let received = recorder.readings();
    nothing_is_missing(&received);
    let verdict = plc.verdict(&received);
    verdict.must_have_lost_only_before(&kills, ACCEPTED_WITHIN);
    eprintln!("{} kills: {verdict}", kills.len());
}

#[test]
fn resumes_after_the_last_acknowledged_reading_when_killed_during_an_outage() {
    let Some(mut broker) = Broker::start() else { return };
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let recorder = Subscriber::start(broker.address());
    let site = Site::new(&file(&counting_device(PLC, &tcp(plc.address)), &broker.url("mqtt")));
    let gateway = site.start();
    running(&recorder);
    broker.stop();
    wait::pass(Duration::from_secs(3));
    gateway.kill();
    let killed = SystemTime::now();
    let gateway = site.start();
    wait::pass(Duration::from_secs(2));
    broker.start_again();
    running(&recorder);
    plc.all_arrive(&recorder, wait::SOON);
    drop(gateway);
    let received = recorder.readings();
    nothing_is_missing(&received);
    plc.verdict(&received).must_have_lost_only_before(&[killed], ACCEPTED_WITHIN);
}

#[test]
fn ends_in_order_and_starts_again_without_losing_or_repeating_a_poll() {
    let Some(broker) = Broker::start() else { return };
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let recorder = Subscriber::start(broker.address());
    let site = Site::new(&file(&counting_device(PLC, &tcp(plc.address)), &broker.url("mqtt")));
    for _ in 0..3 {
        let gateway = site.start();
        running(&recorder);
        assert!(gateway.terminate().success(), "the gateway ends well after SIGTERM");
    }
    let gateway = site.start();
    running(&recorder);
    plc.all_arrive(&recorder, wait::SOON);
    drop(gateway);
    let received = recorder.readings();
    nothing_is_missing(&received);
    plc.verdict(&received).must_be_perfect();
}
