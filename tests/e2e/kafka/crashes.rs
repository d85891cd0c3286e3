//! F7 and F1 with Kafka as the far side: killed gateways, killed and silent brokers, leaders that move. What is counted is
//! the topic itself, without any deduplication: lost 0, doubled 0, each key in its order.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, SystemTime};

use forebay::uplink::kafka::batch::Record;
use serde_json::{Value, json};
use tests::field::Field;
use tests::gateway::Gateway;
use tests::kafka::{Cluster, Kafka};
use tests::oracle::holes;
use tests::site::Site;
use tests::subscriber::Received;
use tests::{need, wait};

use super::asks::Asks;
use crate::rig::{COUNTER, Counting, PLC, nothing_is_missing, tcp};

pub(super) const TOPIC: &str = "plant.test.line";
pub(super) const PARTITIONS: i32 = 3;

/// A reading is accepted when it is in the log; what was polled but not yet there may go with the process.
pub(super) const ACCEPTED_WITHIN: Duration = Duration::from_millis(1_500);

/// A cluster may need as long as this to find new leaders on a busy machine.
pub(super) const RECOVERS_WITHIN: Duration = Duration::from_secs(120);

/// Polls of six tags that make a backlog of which not all goes as live.
const WAITING_POLLS: u64 = 800;

/// Six tags that show one counter, spread over the partitions by their keys.
pub(super) fn file(plc: &Counting, bootstrap: &str) -> String {
    let tags = ["größe", "b", "c", "d", "e"].map(|tag| format!("      {tag}: \"hr:0:UDINT\"\n")).concat();
    format!(
        "gateway: test/line\nevery: 50ms\ndevices:\n  {PLC}:\n    url: {}\n    timeout: 500ms\n    tags:\n      \
         {COUNTER}: \"hr:0:UDINT\"\n{tags}uplinks:\n  lake:\n    url: kafka://{bootstrap}?request_timeout=2s\n    \
         topic: plant.{{gateway}}\n",
        tcp(plc.address)
    )
}

/// The reading that a record tells; `None` for one that tells of readings which will never come.
pub(super) fn received(record: &Record) -> Option<Received> {
    let body: Value = serde_json::from_slice(record.value.as_deref()?).expect("JSON");
    body.get("gap").is_none().then(|| of_flat(TOPIC, body))
}

/// A flat record.
pub(super) fn of_flat(topic: &str, body: Value) -> Received {
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let number = |name: &str| body[name].as_u64().expect("a number");
    Received {
        at: SystemTime::now(),
        topic: topic.into(),
        epoch: number("epoch"),
        seq: number("seq"),
        device: text("device"),
        tag: text("tag"),
        body,
    }
}

/// All readings of the topic, partition by partition; the same key never in two.
pub(super) fn all(asks: &mut Asks) -> Vec<Received> {
    let mut partition_of = BTreeMap::new();
    let mut readings = Vec::new();
    for partition in 0..PARTITIONS {
        for record in asks.records(TOPIC, partition) {
            let Some(reading) = received(&record) else { continue };
            assert_eq!(record.key.as_deref(), Some(format!("{}/{}", reading.device, reading.tag).as_bytes()));
            assert_eq!(record.header("seq"), Some(reading.seq.to_string().as_bytes()));
            let of_key = *partition_of.entry((reading.device.clone(), reading.tag.clone())).or_insert(partition);
            assert_eq!(of_key, partition);
            readings.push(reading);
        }
    }
    readings
}

/// Whether the counter has come to this number, and everything before it is there. What is behind it comes while the
/// partitions are read one after the other.
fn is_whole(readings: &[Received], counter: u64) -> bool {
    let beyond = readings.iter().filter(|r| r.tag == COUNTER && r.value().as_u64() >= Some(counter));
    let Some(end) = beyond.map(|r| r.seq).min() else { return false };
    let before: Vec<Received> = readings.iter().filter(|r| r.seq <= end).cloned().collect();
    holes(&before).is_empty()
}

/// Waits until everything that was answered up to now is there, and what is behind it, too.
pub(super) fn all_arrive(plc: &Counting, asks: &mut Asks) -> Vec<Received> {
    let last = plc.oracle.last();
    wait::until("everything arrives", RECOVERS_WITHIN, || Some(all(asks)).filter(|readings| is_whole(readings, last)))
}

/// Ends a gateway of which everything has arrived: each reading stands there once, and nothing was degraded. Returns the
/// readings, and what the gateway wrote.
pub(super) fn ends_with_each_once(gateway: Gateway, asks: &mut Asks) -> (Vec<Received>, String) {
    let log = gateway.log();
    assert!(gateway.terminate().success(), "the gateway ends well after SIGTERM");
    assert!(!log.contains("at least once"), "nothing was degraded: {log}");
    let readings = all(asks);
    exactly_once(&readings);
    (readings, log)
}

/// As [`ends_with_each_once`], of a gateway that was started after the last crash, once it has polled for a while.
pub(super) fn starts_and_ends_with_each_once(
    gateway: Gateway,
    plc: &Counting,
    kafka: &Kafka,
) -> (Vec<Received>, String) {
    is_polled(plc, 20);
    let mut asks = Asks::of(&kafka.bootstrap());
    all_arrive(plc, &mut asks);
    ends_with_each_once(gateway, &mut asks)
}

/// Waits until the plant has been polled so many times more.
pub(super) fn is_polled(plc: &Counting, times: u64) {
    let before = plc.oracle.last();
    wait::for_it("the plant is polled", wait::SOON, || plc.oracle.last() > before + times);
}

pub(super) fn exactly_once(readings: &[Received]) {
    nothing_is_missing(readings);
    let places: HashSet<(u64, u64)> = readings.iter().map(|reading| (reading.epoch, reading.seq)).collect();
    assert_eq!(places.len(), readings.len(), "{} records stand twice", readings.len() - places.len());
    assert!(holes(readings).is_empty());
}

/// `forebay audit` counts the same: nothing lost, nothing doubled, each key in its order.
pub(super) fn the_audit_agrees(site: &Site, kafka: &Kafka, readings: &[Received]) {
    let audit = site.forebay(&["audit", &format!("kafka://{}", kafka.bootstrap()), "--topic", TOPIC, "--json"]);
    let said = String::from_utf8_lossy(&audit.stderr);
    let found: Value = serde_json::from_slice(&audit.stdout).unwrap_or_else(|cause| panic!("{cause}: {said}"));
    let of = &found["gateways"][0];
    assert_eq!((audit.status.code(), &found["complete"], &of["lost"]), (Some(0), &json!(true), &json!(0)), "{found:#}");
    assert_eq!(of["readings"], json!(readings.len()), "{found:#}");
    assert_eq!((&of["doubled"]["same"], &of["doubled"]["different"]), (&json!(0), &json!(0)), "{found:#}");
    assert_eq!(of["out_of_order"]["seq"], json!(0), "{found:#}");
}

/// Kafka's own consumer and rskafka read what we read: each reading, under the same key, with the same words.
pub(super) fn strangers_read_the_same(kafka: &Kafka, readings: &[Received]) {
    let sorted = |mut lines: Vec<(String, Value)>| {
        lines.sort_by_key(|(_, body)| (body["epoch"].as_u64(), body["seq"].as_u64()));
        lines
    };
    let key = |one: &Received| format!("{}/{}", one.device, one.tag);
    let ours = sorted(readings.iter().map(|one| (key(one), one.body.clone())).collect());
    // Fences, which have no value, are in its count; there are none of other topics.
    let records: u64 = (0..PARTITIONS as usize).map(|partition| kafka.end(TOPIC, partition)).sum();
    let lines = kafka.console(TOPIC, records as usize);
    let pair = |line: &str| {
        let (key, value) = line.split_once('\t')?;
        Some((key.to_owned(), serde_json::from_str(value).ok().filter(Value::is_object)?))
    };
    let console = sorted(lines.iter().filter_map(|line| pair(line)).collect());
    assert!(console == ours, "the console consumer reads {} readings of {}", console.len(), ours.len());
    let Some(records) = kafka.rskafka(TOPIC, PARTITIONS as usize) else { return };
    let pair = |record: &Value| {
        let body: Value = serde_json::from_str(record["value"].as_str()?).expect("JSON");
        assert_eq!(record["headers"]["seq"].as_str(), Some(&*body["seq"].to_string()));
        Some((record["key"].as_str()?.to_owned(), body))
    };
    let rskafka = sorted(records.iter().filter_map(pair).collect());
    assert!(rskafka == ours, "rskafka reads {} readings of {}", rskafka.len(), ours.len());
}

#[test]
fn every_accepted_reading_stands_there_once_though_the_gateway_is_killed_again_and_again() {
    let Some(kafka) = Kafka::start() else { return };
    kafka.create(TOPIC, PARTITIONS as usize, &[]);
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let site = Site::new(&file(&plc, &kafka.bootstrap()));
    let mut kills = Vec::new();
    let mut state = 0x2545_f491_u32;
    for _ in 0..if need::long() { 100 } else { 10 } {
        let gateway = site.start();
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        wait::pass(Duration::from_millis(u64::from(state >> 16) % 2_500));
        gateway.kill();
        kills.push(SystemTime::now());
    }
    let gateway = site.start();
    let (readings, _) = starts_and_ends_with_each_once(gateway, &plc, &kafka);
    let verdict = plc.verdict(&readings);
    verdict.must_have_lost_only_before(&kills, ACCEPTED_WITHIN);
    the_audit_agrees(&site, &kafka, &readings);
    strangers_read_the_same(&kafka, &readings);
    eprintln!("{} kills: {} records, each once; {verdict}", kills.len(), readings.len());
}

#[test]
fn every_reading_stands_there_once_though_leaders_are_killed_stopped_and_silent() {
    let settings = "unclean.leader.election.enable=false\n";
    let Some(mut kafka) = Kafka::of(&Cluster { brokers: 3, settings, ..Cluster::default() }) else { return };
    kafka.create(TOPIC, PARTITIONS as usize, &["min.insync.replicas=2"]);
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let site = Site::new(&file(&plc, &kafka.bootstrap()));
    let gateway = site.start();
    let mut asks = Asks::of(&kafka.bootstrap());
    wait::for_it("the plant is polled", wait::SOON, || plc.oracle.last() > 20);
    for round in 0..if need::long() { 20 } else { 3 } {
        let before = all_arrive(&plc, &mut asks).len();
        assert!(before > 0);
        let leader = asks.leader(TOPIC, 0) as usize - 1;
        match round % 3 {
            0 => kafka.kill(leader),
            1 => kafka.signal(leader, "STOP"),
            _ => kafka.stop(leader),
        }
        is_polled(&plc, 20);
        if round % 3 == 1 {
            wait::pass(Duration::from_secs(8));
            kafka.signal(leader, "CONT");
        } else {
            // The two that are left take over.
            asks = Asks::of(&kafka.bootstrap());
            all_arrive(&plc, &mut asks);
            kafka.start_again(leader);
        }
        asks = Asks::of(&kafka.bootstrap());
    }
    all_arrive(&plc, &mut asks);
    let (readings, _) = ends_with_each_once(gateway, &mut asks);
    plc.verdict(&readings).must_be_perfect();
    the_audit_agrees(&site, &kafka, &readings);
    eprintln!("{} records, each once", readings.len());
}

#[test]
fn what_waited_for_a_broker_that_came_late_stands_there_once_beside_what_is_new() {
    let Some(mut kafka) = Kafka::start() else { return };
    kafka.create(TOPIC, PARTITIONS as usize, &[]);
    kafka.kill(0);
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let site = Site::new(&file(&plc, &kafka.bootstrap()).replace("every: 50ms", "every: 20ms"));
    let gateway = site.start();
    wait::for_it("a backlog waits", wait::SOON * 2, || plc.oracle.last() > WAITING_POLLS);
    kafka.start_again(0);
    let mut asks = Asks::of(&kafka.bootstrap());
    wait::for_it("the backlog begins to leave", RECOVERS_WITHIN, || gateway.log().contains("follows as history"));
    let last = plc.oracle.last();
    wait::until("the backlog arrives beside what is new", RECOVERS_WITHIN, || {
        let readings = all(&mut asks);
        let values = readings.iter().filter(|one| one.tag == COUNTER).filter_map(|one| one.value().as_u64());
        let values: HashSet<u64> = values.collect();
        (1..=last).all(|value| values.contains(&value)).then_some(())
    });
    let (readings, log) = ends_with_each_once(gateway, &mut asks);
    plc.verdict(&readings).must_be_perfect();
    let history = readings.iter().filter(|reading| reading.body["lane"] == "history").count();
    assert!(history > 0, "of {} readings none was a backlog: {log}", readings.len());
}
