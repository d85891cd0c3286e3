//! Sparkplug B as it stands on the wire of mosquitto, read by a decoder that is not ours.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use hardware_sim::faults::{Framing, Link};
use serde_json::Value;
use tests::broker::Broker;
use tests::decoders::{Encoded, decode};
use tests::field::Field;
use tests::need;
use tests::site::Site;
use tests::subscriber::Subscriber;
use tests::wait;

use crate::rig::{COUNTER, Counting, PLC, answers, counting_device, tcp};

/// A gateway file with one counting device and an edge node `line` of the group `test`.
fn file(plc: &Counting, url: &str, more: &str) -> String {
    format!(
        "gateway: test/line\nevery: 100ms\ndevices:\n{}uplinks:\n  scada:\n    url: {url}\n    format: sparkplug-b\n    \
         keep_alive: 2s\n{more}",
        counting_device(PLC, &tcp(plc.address))
    )
}

/// A message as another's decoder reads it.
struct Seen {
    kind: String,
    content: Value,
}

impl Seen {
    fn seq(&self) -> u64 {
        self.content["seq"].as_u64().unwrap_or(u64::MAX)
    }

    /// The metric of that name.
    fn metric(&self, name: &str) -> &Value {
        let metrics = self.content["metrics"].as_array().map(Vec::as_slice).unwrap_or_default();
        metrics.iter().find(|metric| metric["name"] == name).unwrap_or(&Value::Null)
    }
}

/// All Sparkplug messages so far; `None` where no decoder is installed.
fn seen(recorder: &Subscriber) -> Option<Vec<Seen>> {
    let others = recorder.with(|recorded| recorded.others.clone());
    let ours = others.iter().filter(|(topic, _)| topic.starts_with("spBv1.0/test/") && !topic.contains("CMD"));
    let decoded = decode(ours.map(|(topic, payload)| Encoded { topic, format: "sparkplug", payload }))?;
    let kind = |topic: &str| topic.split('/').nth(2).unwrap_or_default().to_owned();
    Some(decoded.into_iter().map(|(topic, content)| Seen { kind: kind(&topic), content }).collect())
}

fn messages(recorder: &Subscriber, kind: &str) -> usize {
    let infix = format!("/{kind}/");
    recorder.with(|recorded| recorded.others.iter().filter(|(topic, _)| topic.contains(&infix)).count())
}

/// The counter's values in births and data: those that are new, and all.
fn counted(seen: &[Seen]) -> (Vec<u64>, BTreeSet<u64>) {
    let metrics = seen
        .iter()
        .filter(|message| message.kind == "DDATA")
        .flat_map(|message| message.content["metrics"].as_array().map(Vec::as_slice).unwrap_or_default());
    let (mut live, mut all) = (Vec::new(), BTreeSet::new());
    for metric in metrics {
        let Some(value) = metric["value"].as_u64() else { continue };
        all.insert(value);
        if metric["past"] == false {
            live.push(value);
        }
    }
    (live, all)
}

/// Everything that the plant answered between the first and the last that arrived has arrived, and what is not of the past
/// is in its order.
fn has_no_hole(plc: &Counting, seen: &[Seen]) {
    let (live, all) = counted(seen);
    assert!(live.is_sorted(), "what is not of the past is in its order");
    let (first, last) = (all.first().copied().expect("something arrived"), all.last().copied().unwrap_or_default());
    let answered: BTreeSet<u64> = plc.oracle.answered().iter().map(|answer| answer.counter).collect();
    let missing: Vec<u64> = answered.range(first..=last).copied().filter(|value| !all.contains(value)).collect();
    assert!(missing.is_empty(), "{} of {} are missing: {missing:?}", missing.len(), answered.len());
    assert!(all.is_subset(&answered), "no value is made up");
}

fn publish(broker: &Broker, topic: &str, payload: &[u8], more: &[&str]) {
    let Some(program) = need::program("mosquitto_pub") else { return };
    let file = broker.folder().join("payload");
    std::fs::write(&file, payload).expect("a file");
    let port = broker.address().port().to_string();
    let status = Command::new(program)
        .args(["-h", "127.0.0.1", "-p", &port, "-q", "1", "-t", topic, "-f"])
        .arg(&file)
        .args(more)
        .status();
    assert!(status.is_ok_and(|status| status.success()), "mosquitto_pub works");
}

/// The assertions of the specification 3.0, each with the test that shows it or the reason why it is none of the gateway's.
const ASSERTIONS: &str = include_str!("../cases/sparkplug-assertions.tsv");

#[test]
fn every_assertion_of_the_specification_has_a_test_or_a_reason() {
    let mut ids = BTreeSet::new();
    for line in ASSERTIONS.lines() {
        let (id, shown) = line.split_once('\t').unwrap_or_else(|| panic!("{line}"));
        assert!(id.starts_with("tck-id-") && ids.insert(id), "{id} stands twice, or is none");
        if let Some(reason) = shown.strip_prefix("- ") {
            assert!(reason.len() > 10, "{id} has no reason");
            continue;
        }
        let (file, test) = shown.split_once("::").unwrap_or_else(|| panic!("{line}"));
        let text = std::fs::read_to_string(need::root().join(file)).unwrap_or_else(|cause| panic!("{file}: {cause}"));
        assert!(
            text.contains(&format!("    fn {test}(")) || text.contains(&format!("\nfn {test}(")),
            "{id}: no {test} in {file}"
        );
    }
    assert_eq!(ids.len(), 299, "the specification has so many");
}

/// `Node Control/Rebirth` = true, as Eclipse Tahu writes it.
const REBIRTH: &[u8] = b"\x12\x1a\x0a\x14Node Control/Rebirth\x20\x0b\x70\x01";

#[test]
fn a_session_is_read_by_anothers_decoder_from_birth_to_death() {
    let Some(broker) = Broker::start() else { return };
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let recorder = Subscriber::start(broker.address());
    let site = Site::new(&file(&plc, &broker.url("mqtt"), ""));
    let gateway = site.start();
    wait::for_it("data arrive", wait::SOON, || messages(&recorder, "DDATA") > 5);
    publish(&broker, "spBv1.0/test/NCMD/line", REBIRTH, &[]);
    wait::for_it("the node is born again", wait::SOON, || messages(&recorder, "DBIRTH") == 2);
    answers(&plc.oracle, 5);
    gateway.kill();
    wait::for_it("the broker publishes the last will", wait::SOON, || messages(&recorder, "NDEATH") == 1);
    let gateway = site.start();
    wait::for_it("the node is born in its next life", wait::SOON, || messages(&recorder, "DBIRTH") == 3);
    answers(&plc.oracle, 5);
    assert!(gateway.terminate().success());
    wait::for_it("the node takes leave", wait::SOON, || messages(&recorder, "NDEATH") == 2);

    let Some(seen) = seen(&recorder) else { return };
    assert_eq!(seen[0].kind, "NBIRTH");
    let mut expected = 0;
    for message in seen.iter().filter(|message| message.kind != "NDEATH") {
        if message.kind == "NBIRTH" {
            expected = 0;
        }
        assert_eq!(message.seq(), expected % 256, "the seq of a {}", message.kind);
        expected += 1;
    }
    let bd_seqs = |kind: &str| -> Vec<Value> {
        let of_kind = seen.iter().filter(|message| message.kind == kind);
        of_kind.map(|message| message.metric("bdSeq")["value"].clone()).collect()
    };
    assert_eq!(bd_seqs("NBIRTH"), [0, 0, 1]);
    assert_eq!(bd_seqs("NDEATH"), [0, 1]);
    assert!(seen.iter().filter(|message| message.kind == "NDEATH").all(|death| death.content["seq"].is_null()));
    let births = seen.iter().filter(|message| message.kind == "NBIRTH");
    assert!(births.clone().all(|birth| birth.metric("Node Control/Rebirth")["value"] == false));
    let births: Vec<&Seen> = seen.iter().filter(|message| message.kind == "DBIRTH").collect();
    let counter = births[1].metric(COUNTER);
    assert_eq!((&counter["type"], &counter["alias"]), (&7.into(), &1.into()), "UDINT is UInt32");
    assert_eq!(counter["properties"]["Quality"], 192);
    let log = broker.log();
    assert!(log.contains("c1, k2"), "a clean session: {log}");
    assert!(log.contains("will_qos: 1") || log.contains("Will message specified"), "a last will");
    assert!(!log.contains("r1, m0, 'spBv1.0"), "nothing is retained");
}

#[test]
fn the_series_has_no_hole_after_a_line_that_swallowed_what_was_sent() {
    let Some(broker) = Broker::start() else { return };
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let proxy = field.proxy(broker.address(), Framing::Stream);
    let recorder = Subscriber::start(broker.address());
    let site = Site::new(&file(&plc, &format!("mqtt://{}", proxy.address()), ""));
    let gateway = site.start();
    for born in 1..=2 {
        wait::for_it("the node is born", wait::SOON, || messages(&recorder, "NBIRTH") >= born);
        answers(&plc.oracle, 10);
        proxy.link(Link::BlackHole);
        answers(&plc.oracle, 15);
        proxy.link(Link::Up);
    }
    wait::for_it("the node is born again", wait::SOON, || messages(&recorder, "NBIRTH") >= 3);
    let end = plc.oracle.last();
    wait::until("everything has arrived", wait::SOON * 2, || {
        let seen = seen(&recorder)?;
        counted(&seen).1.last().filter(|last| **last > end).map(|_| ())
    });
    wait::for_it("the backlog has drained", wait::SOON, || {
        seen(&recorder).is_none_or(|seen| {
            let all = counted(&seen).1;
            (all.first().copied().unwrap_or_default()..=end).all(|value| all.contains(&value))
        })
    });
    drop(gateway);
    let Some(seen) = seen(&recorder) else { return };
    has_no_hole(&plc, &seen);
    let past =
        seen.iter().filter(|message| message.kind == "DDATA").flat_map(|message| message.content["metrics"].as_array());
    assert!(past.flatten().any(|metric| metric["past"] == true), "what was kept meanwhile is of the past");
}

#[test]
fn readings_wait_for_the_primary_host_and_the_node_leaves_when_it_goes() {
    let Some(broker) = Broker::start() else { return };
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let recorder = Subscriber::start(broker.address());
    let site = Site::new(&file(&plc, &broker.url("mqtt"), "    primary_host: office\n"));
    let gateway = site.start();
    wait::for_it("the node listens", wait::SOON, || broker.log().contains("STATE/office"));
    answers(&plc.oracle, 10);
    assert_eq!(messages(&recorder, "NBIRTH"), 0, "nobody is there to be born for");
    let state = |payload: &str| publish(&broker, "spBv1.0/STATE/office", payload.as_bytes(), &["-r"]);
    state(r#"{"online":true,"timestamp":1000}"#);
    wait::for_it("data arrive", wait::SOON, || messages(&recorder, "DDATA") > 5);
    state(r#"{"online":false,"timestamp":2000}"#);
    wait::for_it("the node takes leave", wait::SOON, || messages(&recorder, "NDEATH") == 1);
    let before = messages(&recorder, "DDATA");
    answers(&plc.oracle, 20);
    assert_eq!(messages(&recorder, "DDATA"), before, "readings wait");
    state(r#"{"online":true,"timestamp":3000}"#);
    let end = plc.oracle.last();
    wait::until("everything has arrived", wait::SOON * 2 + Duration::from_secs(20), || {
        let seen = seen(&recorder)?;
        let all = counted(&seen).1;
        let first = all.first().copied().unwrap_or_default();
        (first..=end).all(|value| all.contains(&value)).then_some(())
    });
    drop(gateway);
    let Some(seen) = seen(&recorder) else { return };
    has_no_hole(&plc, &seen);
}
