//! What is unusual, against real brokers: topics that are made anew and grow under way, producers that the broker has
//! forgotten.

use std::collections::HashSet;
use std::time::Duration;

use tests::field::{Field, free_port};
use tests::http::get;
use tests::kafka::{Cluster, Kafka};
use tests::oracle::holes;
use tests::site::Site;
use tests::subscriber::Received;
use tests::{need, wait};

use super::asks::Asks;
use super::crashes::{RECOVERS_WITHIN, exactly_once, received};
use crate::rig::{Counting, PLC, tcp};

/// All readings of some partitions of a topic.
pub(super) fn readings(asks: &mut Asks, topic: &str, partitions: i32) -> Vec<Received> {
    (0..partitions)
        .flat_map(|partition| asks.records(topic, partition))
        .filter_map(|record| received(&record))
        .collect()
}

pub(super) fn counted(readings: &[Received]) -> HashSet<u64> {
    readings.iter().filter(|one| one.tag == "n").filter_map(|one| one.value().as_u64()).collect()
}

/// Waits until the counter has come as far as the plant has.
pub(super) fn arrive(plc: &Counting, asks: &mut Asks, topic: &str, partitions: i32) -> Vec<Received> {
    let last = plc.oracle.last();
    wait::until("everything arrives", RECOVERS_WITHIN, || {
        let found = readings(asks, topic, partitions);
        counted(&found).contains(&last).then_some(found)
    })
}

#[test]
fn a_topic_that_is_made_anew_and_grows_while_it_is_written_to_goes_on_with_each_reading_once() {
    let Some(kafka) = Kafka::start() else { return };
    kafka.create("plant", 1, &[]);
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let http = format!("127.0.0.1:{}", free_port());
    let tags = ["b", "c", "d"].map(|tag| format!("      {tag}: \"hr:0:UDINT\"\n")).concat();
    let site = Site::new(&format!(
        "gateway: test/line\nevery: 50ms\nhttp: {{ listen: {http} }}\ndevices:\n  {PLC}:\n    url: {}\n    tags:\n      n: \
         \"hr:0:UDINT\"\n{tags}uplinks:\n  lake:\n    url: kafka://{}?request_timeout=2s&status=off\n    topic: plant\n",
        tcp(plc.address),
        kafka.bootstrap()
    ));
    let gateway = site.start();
    let mut asks = Asks::of(&kafka.bootstrap());
    wait::for_it("the plant is polled", wait::SOON, || plc.oracle.last() > 20);
    arrive(&plc, &mut asks, "plant", 1);
    let before = asks.topic_id("plant");
    kafka.delete("plant");
    wait::for_it("the topic is gone", wait::SOON, || asks.topic_id("plant") != before);
    kafka.create("plant", 1, &[]);
    let deleted_at = plc.oracle.last();
    wait::for_it("it is polled on", wait::SOON, || plc.oracle.last() > deleted_at + 20);
    arrive(&plc, &mut asks, "plant", 1);
    kafka.topics(&["--alter", "--topic", "plant", "--partitions", "4"]);
    let grown_at = plc.oracle.last();
    wait::for_it("it is polled on", wait::SOON, || plc.oracle.last() > grown_at + 20);
    // The gateway looks for new partitions every five minutes where nothing calls for it; this broker's pause does.
    kafka.signal(0, "STOP");
    wait::pass(Duration::from_secs(9));
    kafka.signal(0, "CONT");
    let mut asks = Asks::of(&kafka.bootstrap());
    wait::for_it("the new partitions are used", RECOVERS_WITHIN, || {
        (1..4).any(|partition| asks.end("plant", partition) > 0)
    });
    arrive(&plc, &mut asks, "plant", 4);
    let (_, metrics) = get(http.parse().expect("an address"), "/metrics").expect("an answer");
    assert!(gateway.log().contains("deleted and made anew"), "{}", gateway.log());
    assert!(gateway.terminate().success());
    let found = readings(&mut asks, "plant", 4);
    exactly_once(&found);
    let values = counted(&found);
    let (first, last) = (values.iter().min().expect("values"), values.iter().max().expect("values"));
    assert!(*first <= deleted_at, "what was not acknowledged when the topic went stands in the new one");
    assert_eq!(values.len() as u64, last - first + 1, "none is missing");
    assert!(metrics.contains("forebay_uplink_topics_made_anew_total{uplink=\"lake\"} "), "{metrics}");
    assert!(!metrics.contains("forebay_uplink_topics_made_anew_total{uplink=\"lake\"} 0"), "{metrics}");
}

/// What the default quota of producers is set to.
fn quota(kafka: &Kafka, setting: &[&str]) {
    kafka.configs(&[&["--alter", "--entity-type", "clients", "--entity-default"], setting].concat());
}

#[test]
fn a_broker_that_throttles_is_left_alone_and_gets_each_reading_once() {
    let settings = "quota.window.num=2\nquota.window.size.seconds=1\n";
    let Some(kafka) = Kafka::of(&Cluster { settings, ..Cluster::default() }) else { return };
    kafka.create("plant", 1, &[]);
    quota(&kafka, &["--add-config", "producer_byte_rate=10000"]);
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let tags = ["b", "c", "d"].map(|tag| format!("      {tag}: \"hr:0:UDINT\"\n")).concat();
    let site = Site::new(&format!(
        "gateway: test/line\nevery: 50ms\ndevices:\n  {PLC}:\n    url: {}\n    tags:\n      n: \"hr:0:UDINT\"\n{tags}\
         uplinks:\n  lake:\n    url: kafka://{}?request_timeout=1s&compression=none&status=off\n    topic: plant\n",
        tcp(plc.address),
        kafka.bootstrap()
    ));
    let gateway = site.start();
    // Twice of what is let through: the broker keeps quiet for longer than an answer may take, which is two seconds.
    let mut asks = Asks::of(&kafka.bootstrap());
    wait::for_it("readings are held back for three seconds", wait::SOON * 2, || {
        let last = plc.oracle.last();
        last > counted(&readings(&mut asks, "plant", 1)).into_iter().max().unwrap_or(last) + 60
    });
    quota(&kafka, &["--delete-config", "producer_byte_rate"]);
    arrive(&plc, &mut asks, "plant", 1);
    let log = gateway.log();
    assert!(gateway.terminate().success());
    assert!(!log.contains("lost") && !log.contains("in time"), "nothing was sent that the broker let lie: {log}");
    let found = readings(&mut asks, "plant", 1);
    exactly_once(&found);
    plc.verdict(&found).must_be_perfect();
}

#[test]
fn each_reading_stands_there_once_though_the_broker_forgets_the_producer_and_the_backlog_is_older_than_that() {
    let settings = "producer.id.expiration.ms=2000\nproducer.id.expiration.check.interval.ms=200\n\
                    transaction.remove.expired.transaction.cleanup.interval.ms=1000\n";
    let Some(mut kafka) = Kafka::of(&Cluster { settings, ..Cluster::default() }) else { return };
    kafka.create("plant", 1, &[]);
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let tags = ["b", "c", "d"].map(|tag| format!("      {tag}: \"hr:0:UDINT\"\n")).concat();
    let site = Site::new(&format!(
        "gateway: test/line\nevery: 50ms\ndevices:\n  {PLC}:\n    url: {}\n    tags:\n      n: \"hr:0:UDINT\"\n{tags}\
         uplinks:\n  lake:\n    url: kafka://{}?request_timeout=2s&status=off\n    topic: plant\n",
        tcp(plc.address),
        kafka.bootstrap()
    ));
    let mut gateway = site.start();
    wait::for_it("the plant is polled", wait::SOON, || plc.oracle.last() > 20);
    // Silent for longer than it is remembered.
    gateway.signal("STOP");
    wait::pass(Duration::from_secs(4));
    gateway.signal("CONT");
    let polled = plc.oracle.last();
    wait::for_it("it is polled on", wait::SOON, || plc.oracle.last() > polled + 20);
    // Killed, and away for longer than that; then an outage whose readings are older than that, with kills while they drain.
    let mut kills = Vec::new();
    for _ in 0..if need::long() { 20 } else { 3 } {
        kafka.kill(0);
        let polled = plc.oracle.last();
        wait::for_it("a backlog waits", wait::SOON, || plc.oracle.last() > polled + 80);
        kafka.start_again(0);
        wait::pass(Duration::from_millis(700));
        gateway.kill();
        kills.push(std::time::SystemTime::now());
        wait::pass(Duration::from_millis(2_500));
        gateway = site.start();
    }
    let polled = plc.oracle.last();
    wait::for_it("it is polled on", wait::SOON, || plc.oracle.last() > polled + 20);
    let mut asks = Asks::of(&kafka.bootstrap());
    arrive(&plc, &mut asks, "plant", 1);
    // What is live comes first, the backlog behind it.
    wait::for_it("the backlog arrives", RECOVERS_WITHIN, || holes(&readings(&mut asks, "plant", 1)).is_empty());
    let log = gateway.log();
    assert!(gateway.terminate().success());
    let found = readings(&mut asks, "plant", 1);
    exactly_once(&found);
    plc.verdict(&found).must_have_lost_only_before(&kills, Duration::from_millis(1_500));
    assert!(!log.contains("at least once"), "nothing was degraded: {log}");
}
