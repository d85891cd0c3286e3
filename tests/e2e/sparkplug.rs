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
use crate::writes::{Door, Rig, every_fault};

/// A gateway file with one counting device and an edge node `line` of the group `test`.
fn file(plc: &Counting, url: &str, more: &str) -> String {
    format!(
        "gateway: test/line\nevery: 100ms\ndevices:\n{}uplinks:\n  scada:\n    url: {url}\n    format: sparkplug-b\n    \
         keep_alive: 2s\n{more}",
        counting_device(PLC, &tcp(plc.address))
    )
}

/// A message as another's decoder reads it.
pub(crate) struct Seen {
    pub(crate) kind: String,
    pub(crate) content: Value,
}

impl Seen {
    fn seq(&self) -> u64 {
        self.content["seq"].as_u64().unwrap_or(u64::MAX)
    }

    /// The metric of that name.
    pub(crate) fn metric(&self, name: &str) -> &Value {
        let metrics = self.content["metrics"].as_array().map(Vec::as_slice).unwrap_or_default();
        metrics.iter().find(|metric| metric["name"] == name).unwrap_or(&Value::Null)
    }
}

/// All Sparkplug messages so far; `None` where no decoder is installed.
pub(crate) fn seen(recorder: &Subscriber) -> Option<Vec<Seen>> {
    let others = recorder.with(|recorded| recorded.others.clone());
    let ours = others.iter().filter(|(topic, _)| topic.starts_with("spBv1.0/test/") && !topic.contains("CMD"));
    let decoded = decode(ours.map(|(topic, payload)| Encoded { topic, format: "sparkplug", payload }))?;
    let kind = |topic: &str| topic.split('/').nth(2).unwrap_or_default().to_owned();
    Some(decoded.into_iter().map(|(topic, content)| Seen { kind: kind(&topic), content }).collect())
}

pub(crate) fn messages(recorder: &Subscriber, kind: &str) -> usize {
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

#[test]
fn a_changed_configuration_is_born_with_what_it_has_now() {
    let Some(broker) = Broker::start() else { return };
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let recorder = Subscriber::start(broker.address());
    let before = file(&plc, &broker.url("mqtt"), "");
    let site = Site::new(&before);
    let gateway = site.start();
    wait::for_it("data arrive", wait::SOON, || messages(&recorder, "DDATA") > 5);
    let born = |lives: usize| {
        wait::for_it("the node is born anew", wait::SOON, || messages(&recorder, "NBIRTH") == lives);
        let data = messages(&recorder, "DDATA");
        wait::for_it("data arrive", wait::SOON, || messages(&recorder, "DDATA") > data + 5);
    };
    let more = "hr:0:UDINT\"\n      second: { address: \"hr:0:UDINT\", unit: m }\n";
    site.write(&before.replace("hr:0:UDINT\"\n", more));
    gateway.signal("HUP");
    born(2);
    // The device goes, and another comes.
    site.write(&before.replace(&format!("  {PLC}:"), "  other:"));
    gateway.signal("HUP");
    born(3);
    drop(gateway);

    let Some(seen) = seen(&recorder) else { return };
    let lives: Vec<&[Seen]> = seen.split(|message| message.kind == "NBIRTH").skip(1).collect();
    let has = |life: &[Seen], name: &str| {
        let mut births = life.iter().filter(|message| message.kind == "DBIRTH").peekable();
        births.peek().is_some() && births.all(|birth| !birth.metric(name).is_null())
    };
    assert_eq!(lives.iter().map(|life| has(life, COUNTER)).collect::<Vec<_>>(), [true, true, true]);
    assert_eq!(lives.iter().map(|life| has(life, "second")).collect::<Vec<_>>(), [false, true, false]);
    let mut devices = recorder.with(|recorded| {
        let topics = recorded.others.iter().filter(|(topic, _)| topic.contains("/DBIRTH/"));
        topics.map(|(topic, _)| topic.rsplit('/').next().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    });
    devices.dedup();
    assert_eq!(devices, [PLC, "other"]);
    // Each list of metrics is a session of its own, that begins where the one before has died.
    let ends: Vec<&str> = seen.iter().map(|message| &*message.kind).filter(|kind| kind.starts_with('N')).collect();
    assert_eq!(ends[..5], ["NBIRTH", "NDEATH", "NBIRTH", "NDEATH", "NBIRTH"]);
    has_no_hole(&plc, &seen);
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
    has_lives(&recorder, 2);
    answers(&plc.oracle, 5);
    gateway.kill();
    wait::for_it("the broker publishes the last will", wait::SOON, || messages(&recorder, "NDEATH") == 1);
    site.write(&file(&plc, &format!("{}?version=3.1.1", broker.url("mqtt")), ""));
    let gateway = site.start();
    has_lives(&recorder, 3);
    answers(&plc.oracle, 5);
    assert!(gateway.terminate().success());
    wait::for_it("the node takes leave", wait::SOON, || messages(&recorder, "NDEATH") == 2);

    let Some(seen) = seen(&recorder) else { return };
    the_seq_counts_every_message_from_each_birth_on(&seen);
    births_and_deaths_bear_the_bd_seq_of_their_session(&seen);
    births_name_each_metric_with_its_type_and_alias(&seen);
    the_node_offers_its_rebirth_by_name(&seen);
    let log = broker.log();
    every_message_goes_with_qos_0_and_is_not_retained(&log);
    the_will_is_the_death_with_qos_1_and_is_not_retained(&log);
    sessions_are_clean_and_an_intended_end_is_a_death_and_a_disconnect(&log);
}

/// Waits until the node has been born so many times, and its device after it. A device is born twice where its first data
/// are older than the birth of its node.
fn has_lives(recorder: &Subscriber, lives: usize) {
    let is_so = || {
        recorder.with(|recorded| {
            let kinds = || recorded.others.iter().map(|(topic, _)| topic.split('/').nth(2).unwrap_or_default());
            let last = kinds().rev().position(|kind| kind == "NBIRTH").unwrap_or(0);
            kinds().filter(|kind| *kind == "NBIRTH").count() == lives
                && kinds().rev().take(last).any(|kind| kind == "DBIRTH")
        })
    };
    wait::for_it(&format!("life {lives} of the node and its device"), wait::SOON, is_so);
}

fn the_seq_counts_every_message_from_each_birth_on(seen: &[Seen]) {
    assert_eq!(seen[0].kind, "NBIRTH");
    let mut expected = 0;
    for message in seen.iter().filter(|message| message.kind != "NDEATH") {
        if message.kind == "NBIRTH" {
            expected = 0;
        }
        assert_eq!(message.seq(), expected % 256, "the seq of a {}", message.kind);
        expected += 1;
    }
    for kind in ["NBIRTH", "DBIRTH", "DDATA"] {
        assert!(seen.iter().any(|message| message.kind == kind), "{kind} was among them");
    }
}

fn births_and_deaths_bear_the_bd_seq_of_their_session(seen: &[Seen]) {
    let bd_seqs = |kind: &str| -> Vec<Value> {
        let of_kind = seen.iter().filter(|message| message.kind == kind);
        of_kind.map(|message| message.metric("bdSeq")["value"].clone()).collect()
    };
    assert_eq!(bd_seqs("NBIRTH"), [0, 0, 1], "the same through a rebirth, one more in the next session");
    assert_eq!(bd_seqs("NDEATH"), [0, 1]);
    for death in seen.iter().filter(|message| message.kind == "NDEATH") {
        assert!(death.content["seq"].is_null(), "a death has no seq");
        assert_eq!(death.content["metrics"].as_array().map(Vec::len), Some(1), "and nothing but bdSeq");
    }
}

fn births_name_each_metric_with_its_type_and_alias(seen: &[Seen]) {
    let births = seen.iter().filter(|message| message.kind.ends_with("BIRTH"));
    for metric in births.flat_map(|birth| birth.content["metrics"].as_array()).flatten() {
        assert!(metric["name"].is_string() && metric["type"].is_u64() && metric["time"].is_u64(), "{metric}");
    }
    let births: Vec<&Seen> = seen.iter().filter(|message| message.kind == "DBIRTH").collect();
    let counter = births[1].metric(COUNTER);
    assert_eq!((&counter["type"], &counter["alias"]), (&7.into(), &1.into()), "UDINT is UInt32");
    assert_eq!(counter["properties"]["Quality"], 192);
}

fn the_node_offers_its_rebirth_by_name(seen: &[Seen]) {
    const BOOLEAN: u64 = 11;
    for birth in seen.iter().filter(|message| message.kind == "NBIRTH") {
        let rebirth = birth.metric("Node Control/Rebirth");
        assert_eq!((&rebirth["value"], &rebirth["type"]), (&false.into(), &BOOLEAN.into()));
        assert!(rebirth["alias"].is_null(), "it goes by its name alone: {rebirth}");
    }
}

const CLIENT: &str = "test:line:scada";

fn every_message_goes_with_qos_0_and_is_not_retained(log: &str) {
    let sent: Vec<&str> =
        log.lines().filter(|line| line.contains(&format!("Received PUBLISH from {CLIENT}"))).collect();
    for kind in ["NBIRTH", "DBIRTH", "DDATA"] {
        assert!(sent.iter().any(|line| line.contains(&format!("/{kind}/line"))), "{kind} was among them");
    }
    assert!(sent.iter().all(|line| line.contains(", q0, r0, m0, 'spBv1.0/test/")), "{sent:#?}");
}

fn the_will_is_the_death_with_qos_1_and_is_not_retained(log: &str) {
    let lines: Vec<&str> = log.lines().collect();
    let wills = lines.windows(2).filter(|pair| pair[0].contains("Will message specified"));
    let wills: Vec<_> =
        wills.map(|pair| (pair[0].contains("(r0, q1)"), pair[1].ends_with("spBv1.0/test/NDEATH/line"))).collect();
    assert_eq!(wills, [(true, true); 2], "{log}");
}

/// The first life speaks version 5, the second 3.1.1.
fn sessions_are_clean_and_an_intended_end_is_a_death_and_a_disconnect(log: &str) {
    for version in ["p5", "p2"] {
        assert!(log.contains(&format!("as {CLIENT} ({version}, c1, k2)")), "{version}: {log}");
    }
    let leave = log.rfind(&format!("Received DISCONNECT from {CLIENT}")).expect("a disconnect");
    assert!(
        log[..leave]
            .rfind(&format!("Received PUBLISH from {CLIENT}"))
            .is_some_and(|sent| { log[sent..leave].lines().next().is_some_and(|line| line.contains("/NDEATH/line")) }),
        "the last that it sent before it left was its death: {log}"
    );
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
fn the_series_has_no_hole_after_rebirths_while_a_backlog_drains() {
    let Some(broker) = Broker::start() else { return };
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let proxy = field.proxy(broker.address(), Framing::Stream);
    let recorder = Subscriber::start(broker.address());
    let fast = file(&plc, &format!("mqtt://{}", proxy.address()), "").replace("every: 100ms", "every: 10ms");
    let site = Site::new(&fast);
    let gateway = site.start();
    wait::for_it("data arrive", wait::SOON, || messages(&recorder, "DDATA") > 5);
    proxy.link(Link::BlackHole);
    let from = plc.oracle.last();
    wait::for_it("a backlog waits", wait::SOON, || plc.oracle.last() > from + 800);
    let (births, data) = (messages(&recorder, "NBIRTH"), messages(&recorder, "DDATA"));
    proxy.link(Link::Up);
    wait::for_it("the node is born again", wait::SOON, || messages(&recorder, "NBIRTH") > births);
    for round in 1..=5 {
        publish(&broker, "spBv1.0/test/NCMD/line", REBIRTH, &[]);
        wait::for_it("the backlog goes on", wait::SOON, || messages(&recorder, "DDATA") > data + round);
    }
    let end = plc.oracle.last();
    wait::until("everything has arrived", wait::SOON * 2, || {
        let all = counted(&seen(&recorder)?).1;
        let first = all.first().copied().unwrap_or_default();
        (first..=end).all(|value| all.contains(&value)).then_some(())
    });
    drop(gateway);
    let Some(seen) = seen(&recorder) else { return };
    has_no_hole(&plc, &seen);
    let kinds: Vec<&str> = seen.iter().map(|message| message.kind.as_str()).collect();
    let past = |message: &Seen| {
        let metrics = message.content["metrics"].as_array().map(Vec::as_slice).unwrap_or_default();
        message.kind == "DDATA" && metrics.iter().any(|metric| metric["past"] == true)
    };
    let last_birth = kinds.iter().rposition(|kind| *kind == "NBIRTH").expect("a birth");
    assert!(kinds.iter().filter(|kind| **kind == "NBIRTH").count() > births + 1, "it was born again on demand");
    assert!(seen[..last_birth].iter().any(past), "the backlog had begun before the last birth");
}

/// A write to one metric, as the specification's protobuf has it.
fn write(metric: &str, data_type: u8, value: &[u8], sent_ms: u64) -> Vec<u8> {
    let varint = |mut number: u64| {
        let mut bytes = Vec::new();
        while number >= 0x80 {
            bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
        bytes
    };
    let head = [&[0x0a, metric.len() as u8][..], metric.as_bytes()].concat();
    let body = [head, [vec![0x18], varint(sent_ms)].concat(), vec![0x20, data_type], value.to_vec()].concat();
    [[vec![0x08], varint(sent_ms)].concat(), [vec![0x12], varint(body.len() as u64)].concat(), body].concat()
}

/// The metric of a command as a host application writes it.
fn payload_of(command: &Value, now_ms: u64) -> Vec<u8> {
    const UINT16: u8 = 6;
    const DOUBLE: u8 = 10;
    const STRING: u8 = 12;
    let sent_ms = if command["time"].is_string() { now_ms - 60_000 } else { now_ms };
    let (data_type, value) = match &command["value"] {
        Value::String(text) => (STRING, [&[0x7a, text.len() as u8], text.as_bytes()].concat()),
        Value::Number(number) => match number.as_u64() {
            Some(number) => (UINT16, vec![0x50, number as u8]),
            None => (DOUBLE, [vec![0x69], number.as_f64().expect("a number").to_le_bytes().to_vec()].concat()),
        },
        other => panic!("{other}"),
    };
    write(command["tag"].as_str().expect("a tag"), data_type, &value, sent_ms)
}

/// F27 through DCMD. Sparkplug has no answers: what became of a command stands in the audit trail, and in the data.
#[test]
fn commands_over_sparkplug_are_executed_once_or_refused_and_recorded() {
    let Some(broker) = Broker::start() else { return };
    let uplink =
        format!("uplinks:\n  scada:\n    url: {}\n    format: sparkplug-b\n    keep_alive: 2s\n", broker.url("mqtt"));
    let rig = Rig::start(&uplink);
    wait::for_it("the node listens", wait::SOON, || broker.log().contains("spBv1.0/test/DCMD/line"));
    let count = std::cell::Cell::new(0);
    let sent = |topic: &str, payload: &[u8], more: &[&str]| -> Value {
        publish(&broker, topic, payload, more);
        let all = wait::until("it is recorded", wait::SOON * 2, || {
            let ended = |one: &Value| one["event"] == "ended" && one["door"] == "sparkplug";
            let ended: Vec<Value> = rig.audit().into_iter().filter(ended).collect();
            (ended.len() > count.get()).then_some(ended)
        });
        count.set(all.len());
        all.last().expect("a record").clone()
    };
    let now_ms = || {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock after 1970");
        since.as_millis() as u64
    };
    // The same metric, value and time are the same command.
    let times = std::cell::RefCell::new(std::collections::BTreeMap::new());
    let send = |command: &Value| {
        let id = command["id"].to_string();
        let at = *times.borrow_mut().entry(id).or_insert_with(now_ms);
        let topic = format!("spBv1.0/test/DCMD/line/{}", command["device"].as_str().expect("a device"));
        sent(&topic, &payload_of(command, at), &[])
    };
    let door = Door {
        says_not: &["id", "too-late", "key"],
        tells: &[("unknown", "unreadable")],
        ..Door::whole("sparkplug", &send)
    };
    every_fault(&rig, &door);

    let refused = sent("spBv1.0/test/DCMD/line/press", b"\xff\xff", &[]);
    assert_eq!((&refused["result"], &refused["refused"]), (&"refused".into(), &"unreadable".into()), "{refused}");
    let before = rig.written();
    // The node itself holds nothing that could be written.
    let command = serde_json::json!({ "tag": "setpoint", "value": 83 });
    let refused = sent("spBv1.0/test/NCMD/line", &payload_of(&command, now_ms()), &[]);
    assert_eq!((&refused["result"], &refused["refused"]), (&"refused".into(), &"unreadable".into()), "{refused}");
    assert_eq!(rig.written(), before);
    // A retained message that arrives while the gateway listens is passed on without the flag: it is as fresh as any.
    let retained = sent("spBv1.0/test/DCMD/line/press", &payload_of(&command, now_ms()), &["-r"]);
    assert_eq!((&retained["result"], rig.written()), (&"done".into(), before + 1), "{retained}");
}

/// Nothing but a metric `Node Control/Rebirth` that is true, over NCMD, to this node, is a request for a rebirth.
#[test]
fn a_rebirth_is_obeyed_only_by_its_verb_its_name_and_its_value() {
    const BOOLEAN: u8 = 11;
    let Some(broker) = Broker::start() else { return };
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let recorder = Subscriber::start(broker.address());
    let site = Site::new(&file(&plc, &broker.url("mqtt"), ""));
    let gateway = site.start();
    wait::for_it("data arrive", wait::SOON, || messages(&recorder, "DDATA") > 5);
    let asked = |name: &str, value: u8| write(name, BOOLEAN, &[0x70, value], 1_764_300_000_000);
    let none = [
        ("another verb", "spBv1.0/test/DCMD/line/plc", asked("Node Control/Rebirth", 1)),
        ("another verb, to the node", "spBv1.0/test/NDATA/line", asked("Node Control/Rebirth", 1)),
        ("another name", "spBv1.0/test/NCMD/line", asked("Node Control/rebirth", 1)),
        ("another control", "spBv1.0/test/NCMD/line", asked("Node Control/Reboot", 1)),
        ("false", "spBv1.0/test/NCMD/line", asked("Node Control/Rebirth", 0)),
        ("another node", "spBv1.0/test/NCMD/line2", asked("Node Control/Rebirth", 1)),
        ("another group", "spBv1.0/test2/NCMD/line", asked("Node Control/Rebirth", 1)),
    ];
    for (what, topic, payload) in none {
        publish(&broker, topic, &payload, &[]);
        answers(&plc.oracle, 5);
        assert_eq!(messages(&recorder, "NBIRTH"), 1, "{what}");
    }
    publish(&broker, "spBv1.0/test/NCMD/line", &asked("Node Control/Rebirth", 1), &[]);
    has_lives(&recorder, 2);
    answers(&plc.oracle, 10);
    drop(gateway);
    let Some(seen) = seen(&recorder) else { return };
    let seen: Vec<Seen> = seen.into_iter().filter(|message| message.kind != "NDATA").collect();
    let again = seen.iter().rposition(|message| message.kind == "NBIRTH").expect("a birth");
    // No data stand between the births of one sequence.
    let kinds: Vec<&str> = seen[again..again + 3].iter().map(|message| message.kind.as_str()).collect();
    assert_eq!(kinds, ["NBIRTH", "DBIRTH", "DDATA"]);
    assert_eq!(seen[again].metric("bdSeq")["value"], seen[0].metric("bdSeq")["value"], "of the same session");
    has_no_hole(&plc, &seen);
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
    answers(&plc.oracle, if need::long() { 36_000 } else { 100 });
    assert_eq!(messages(&recorder, "DDATA"), before, "readings wait");
    state(r#"{"online":true,"timestamp":3000}"#);
    let end = plc.oracle.last();
    wait::until("everything has arrived", wait::SOON * 2 + Duration::from_secs(40), || {
        let seen = seen(&recorder)?;
        let all = counted(&seen).1;
        let first = all.first().copied().unwrap_or_default();
        (first..=end).all(|value| all.contains(&value)).then_some(())
    });
    drop(gateway);
    let Some(seen) = seen(&recorder) else { return };
    has_no_hole(&plc, &seen);
}
