//! F28: brokers that end the connection at a message instead of refusing it. The message is found and the rest flows; a link
//! that ends connections at any moment makes nothing poison.

use std::time::Duration;

use hardware_sim::broker::Misbehaviour;
use hardware_sim::modbus::Plant;
use serde_json::Value;
use tests::broker::Broker;
use tests::field::Field;
use tests::oracle::{compare, holes};
use tests::site::Site;
use tests::subscriber::Subscriber;
use tests::{need, wait};

use crate::rig::{
    COUNTER, Counting, PLC, answers, counter, counting_device, embedded, file, nothing_is_missing, running, tcp,
};

/// Two ends until a message goes alone, one of it alone, and the waits between: half a minute, and a machine that does much else.
const REST_FLOWS_WITHIN: Duration = Duration::from_secs(120);

/// A message is tried alone on connections that have stood for ten to twenty seconds, several times.
const SHUT_WITHIN: Duration = Duration::from_secs(480);

/// What the site's quarantine holds.
fn quarantine(site: &Site) -> Vec<Value> {
    let text = std::fs::read_to_string(site.buffer().join("quarantine/cloud.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// A device whose topic the broker bears nothing on, beside one that counts.
fn the_rest_flows(field: &Field, uplink: &str, recorder: &Subscriber) {
    let plant = Plant::new();
    let oracle = counter(&plant, 1);
    let (_server, address) = field.tcp(&plant);
    let poison = format!("  poison:\n    url: {}\n    every: 1s\n    tags: {{ c: \"co:0\" }}\n", tcp(address));
    let site = Site::new(&file(&format!("{}{poison}", counting_device(PLC, &tcp(address))), uplink));
    let gateway = site.start();
    wait::for_it("the broker closes", wait::SOON, || gateway.log().contains("the connection is lost"));
    answers(&oracle, 20);
    recorder.until_counter(PLC, COUNTER, oracle.last(), REST_FLOWS_WITHIN);
    if need::long() {
        is_shut(&site, || gateway.log());
        answers(&oracle, 100);
        recorder.until_counter(PLC, COUNTER, oracle.last(), wait::SOON);
    }
    drop(gateway);
    for message in &quarantine(&site) {
        assert_eq!(message["topic"], "readings/test/line/poison", "{message}");
        let reason = message["reason"].as_str().unwrap_or_default();
        assert!(reason.contains("ended the connection") || reason.contains("does not permit"), "{message}");
    }
    compare(&oracle.answered(), &recorder.readings(), PLC, COUNTER).must_be_perfect();
}

/// What goes to the topic is set aside, and the connection stands from then on.
fn is_shut(site: &Site, log: impl Fn() -> String) {
    wait::for_it("the topic is shut", SHUT_WITHIN, || quarantine(site).len() > 20);
    // The last trial has ended a connection.
    wait::pass(Duration::from_secs(25));
    let connects = || log().matches("connected uplink=").count();
    let before = connects();
    wait::pass(Duration::from_secs(30));
    assert_eq!(connects(), before, "{}", log());
}

/// mosquitto 2.0.11 as it comes to sites that want no queues: whoever publishes what its rules deny is thrown out.
#[test]
fn the_rest_flows_beside_a_topic_that_mosquitto_denies_by_closing() {
    let Some(broker) = Broker::with(|folder| {
        let rules = folder.join("rules");
        std::fs::write(&rules, "topic read #\ntopic write readings/test/line/plc\ntopic write test/line/$state\n")
            .expect("a file");
        format!("allow_anonymous true\nmax_queued_messages 0\nacl_file {}\n", rules.display())
    }) else {
        return;
    };
    let recorder = Subscriber::start(broker.address());
    the_rest_flows(&Field::new(), &format!("{}?version=5", broker.url("mqtt")), &recorder);
    assert!(broker.log().contains("Denied PUBLISH"), "the broker denied it");
}

/// MQTT 3.1.1 has no word for a refusal.
#[test]
fn the_rest_flows_beside_a_topic_that_a_broker_of_3_1_1_denies_by_closing() {
    let field = Field::new();
    let (broker, url, recorder) = embedded(&field);
    broker.misbehave(Misbehaviour::RefuseTopic("readings/test/line/poison".to_owned()));
    the_rest_flows(&field, &format!("{url}?version=3.1.1"), &recorder);
}

/// In 3.1.1 a broker cannot say how much it takes, and mosquitto closes the connection at more.
#[test]
fn messages_that_are_too_large_for_a_broker_that_closes_are_halved_and_nothing_is_lost() {
    let Some(broker) = Broker::with(|_| "allow_anonymous true\nmax_packet_size 2000\n".to_owned()) else { return };
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let recorder = Subscriber::start(broker.address());
    let wide: String = (1..100).map(|n| format!("      r{n}: \"hr:{}:UINT\"\n", n + 1)).collect();
    let wide = format!("  wide:\n    url: {}\n    every: 1s\n    tags:\n{wide}", tcp(plc.address));
    let devices = format!("{}{wide}", counting_device(PLC, &tcp(plc.address)));
    let site = Site::new(&file(&devices, &format!("{}?version=3.1.1", broker.url("mqtt"))));
    let gateway = site.start();
    recorder.next_good_within(PLC, COUNTER, REST_FLOWS_WITHIN);
    recorder.next_good_within("wide", "r99", REST_FLOWS_WITHIN);
    // What waited meanwhile is halved unsent.
    answers(&plc.oracle, 50);
    plc.all_arrive(&recorder, REST_FLOWS_WITHIN);
    wait::for_it("all readings have arrived", REST_FLOWS_WITHIN, || holes(&recorder.readings()).is_empty());
    let lost = gateway.log().matches("the connection is lost").count();
    assert!(lost <= 10, "each that is too large is found once: {}", gateway.log());
    drop(gateway);
    assert!(broker.log().contains("oversize packet"), "the broker closed at it");
    assert!(quarantine(&site).is_empty(), "nothing was set aside");
    let readings = recorder.readings();
    nothing_is_missing(&readings);
    plc.verdict(&readings).must_be_perfect();
}

#[test]
fn a_broker_that_flaps_sets_nothing_aside() {
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let (broker, url, recorder) = embedded(&field);
    let text = file(&counting_device(PLC, &tcp(plc.address)), &url).replace("every: 100ms", "every: 20ms");
    let site = Site::new(&text);
    let gateway = site.start();
    running(&recorder);
    for period_ms in [15, 40, 400, 2_000] {
        broker.misbehave(Misbehaviour::Flap(Duration::from_millis(period_ms)));
        wait::pass(Duration::from_secs(if need::long() { 20 } else { 5 }));
    }
    broker.misbehave(Misbehaviour::None);
    broker.disconnect_all();
    recorder.next_good_within(PLC, COUNTER, REST_FLOWS_WITHIN);
    plc.all_arrive(&recorder, REST_FLOWS_WITHIN);
    drop(gateway);
    assert!(quarantine(&site).is_empty(), "{:?}", quarantine(&site));
    let readings = recorder.readings();
    nothing_is_missing(&readings);
    plc.verdict(&readings).must_be_perfect();
}
