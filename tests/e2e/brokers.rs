//! mosquitto in each of its guises: versions, QoS, TLS, certificates on both sides, logins, rules, WebSocket, bridges; and
//! nats-server, a broker of another make.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tests::broker::Broker;
use tests::certificates::Certificates;
use tests::dissector::{Dissection, Dissector};
use tests::field::{Field, free_port};
use tests::nats::Nats;
use tests::need;
use tests::site::Site;
use tests::subscriber::Subscriber;
use tests::wait;

use crate::rig::{Counting, PLC, answers, counting_device, file, nothing_is_missing, running, tcp};

/// What each broker of this file has beside its listener under test: a plain one for the recorder.
fn with_plain_side_door(port: u16, lines: &str) -> String {
    format!("{lines}listener {port} 127.0.0.1\nallow_anonymous true\n")
}

/// Polls for a while through the uplink and expects everything at the broker.
fn everything_arrives(broker_for_recorder: u16, uplink: &str) {
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let recorder = Subscriber::start(([127, 0, 0, 1], broker_for_recorder).into());
    let site = Site::new(&file(&counting_device(PLC, &tcp(plc.address)), uplink));
    let gateway = site.start();
    running(&recorder);
    answers(&plc.oracle, 20);
    plc.all_arrive(&recorder, wait::SOON);
    drop(gateway);
    let readings = recorder.readings();
    nothing_is_missing(&readings);
    plc.verdict(&readings).must_be_perfect();
}

#[test]
fn delivers_over_mqtt_5() {
    let Some(broker) = Broker::start() else { return };
    everything_arrives(broker.address().port(), &format!("{}?version=5", broker.url("mqtt")));
    assert!(broker.log().contains("p5"), "the connection was of version 5");
}

#[test]
fn delivers_over_mqtt_3_1_1() {
    let Some(broker) = Broker::start() else { return };
    everything_arrives(broker.address().port(), &format!("{}?version=3.1.1", broker.url("mqtt")));
    assert!(!broker.log().contains("p5"), "no connection was of version 5");
}

#[test]
fn goes_on_to_the_next_broker_when_one_is_dead() {
    let Some(broker) = Broker::start() else { return };
    let port = broker.address().port();
    everything_arrives(port, &format!("mqtt://127.0.0.1:{},127.0.0.1:{port}", free_port()));
}

#[test]
fn delivers_through_a_bridge_to_a_broker_beyond() {
    let Some(beyond) = Broker::start() else { return };
    let bridge = format!("allow_anonymous true\nconnection north\naddress {}\ntopic # out 1\n", beyond.address());
    let Some(near) = Broker::with(|_| bridge) else { return };
    everything_arrives(beyond.address().port(), &near.url("mqtt"));
}

#[test]
fn delivers_to_a_broker_of_another_make_through_its_restart() {
    let Some(mut broker) = Nats::start() else { return };
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let recorder = Subscriber::start(broker.address());
    let site = Site::new(&file(&counting_device(PLC, &tcp(plc.address)), &format!("mqtt://{}", broker.address())));
    let gateway = site.start();
    running(&recorder);
    answers(&plc.oracle, 10);
    broker.stop();
    answers(&plc.oracle, 20);
    broker.start_again();
    running(&recorder);
    plc.all_arrive(&recorder, wait::SOON);
    drop(gateway);
    let readings = recorder.readings();
    nothing_is_missing(&readings);
    plc.verdict(&readings).must_be_perfect();
}

/// What a message bears beside its payload, as mosquitto's own subscriber reads it from the wire.
#[test]
fn messages_bear_the_properties_of_version_5_and_expire_when_they_are_told_to() {
    let (Some(broker), Some(program)) = (Broker::start(), need::program("mosquitto_sub")) else { return };
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let uplink = format!("{}?expires=1h&state=off", broker.url("mqtt"));
    let site = Site::new(&file(&counting_device(PLC, &tcp(plc.address)), &uplink));
    let _gateway = site.start();
    let port = broker.address().port().to_string();
    let output = Command::new(program)
        .args(["-p", &port, "-V", "5", "-q", "1", "-t", "readings/#", "-C", "3", "-W", "30", "-F", "%E|%C|%P"])
        .output()
        .expect("mosquitto_sub can be started");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(said.lines().count(), 3, "{said}");
    for line in said.lines() {
        let [expires, content_type, properties] = line.split('|').collect::<Vec<_>>()[..] else { panic!("{line}") };
        assert!(expires.parse().is_ok_and(|left: u32| (3_590..=3_600).contains(&left)), "{line}");
        assert_eq!(content_type, "application/json");
        assert!(["gateway:", "epoch:", "seq:"].iter().all(|name| properties.contains(name)), "{line}");
    }
}

/// With `retain=values`, and as `raw` a value is a text and nothing else.
#[test]
fn the_last_value_is_there_for_who_comes_later() {
    let (Some(broker), Some(program)) = (Broker::start(), need::program("mosquitto_sub")) else { return };
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let text = file(&counting_device(PLC, &tcp(plc.address)), &format!("{}?retain=values", broker.url("mqtt")));
    let site = Site::new(&format!("{}    format: raw\n", text.replace("{gateway}/{device}", "{device}/{tag}")));
    let gateway = site.start();
    wait::for_it("it is connected", wait::SOON, || gateway.log().contains("connected uplink"));
    answers(&plc.oracle, 10);
    assert!(gateway.terminate().success());
    let port = broker.address().port().to_string();
    let output = Command::new(program)
        .args(["-p", &port, "-t", "readings/plc/n", "-C", "1", "-W", "30", "-F", "%r %p"])
        .output()
        .expect("mosquitto_sub can be started");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let value = said.trim().strip_prefix("1 ").and_then(|value| value.parse::<u64>().ok());
    assert!(value.is_some_and(|value| (1..=plc.oracle.last()).contains(&value)), "{said:?}");
}

/// The kinds of packets on a port and whatever is wrong with them, as tshark's dissector sees them.
#[test]
fn every_packet_is_well_formed_to_anothers_dissector() {
    let Some(broker) = Broker::start() else { return };
    let port = broker.address().port();
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let uplinks = [
        ("five", "version=5&expires=1h&commands={gateway}/commands", ""),
        ("three", "version=3.1.1", ""),
        ("scada", "keep_alive=2s", "    format: sparkplug-b\n"),
    ];
    let uplinks: String = uplinks
        .map(|(name, options, more)| format!("  {name}:\n    url: \"{}?{options}\"\n{more}", broker.url("mqtt")))
        .concat();
    let site = Site::new(&format!(
        "gateway: test/line\nevery: 100ms\ndevices:\n{}uplinks:\n{uplinks}",
        counting_device(PLC, &tcp(plc.address))
    ));
    let sparkplug = ["groupid", "messagetype", "edgenodeid", "deviceid"].map(|field| format!("sparkplugb.{field}"));
    let missing = ["groupid", "messagetype", "edgenodeid"].map(|field| format!("sparkplugb.missing_{field}"));
    let columns = ["mqtt.msgtype", "_ws.malformed"].into_iter();
    let columns: Vec<&str> = columns.chain(missing.iter().chain(&sparkplug).map(String::as_str)).collect();
    let what = Dissection { port, first: "mqtt", protocol: "mqtt", columns: &columns };
    let Some(dissector) = Dissector::start(what, site.folder()) else { return };
    let gateway = site.start();
    let kinds = || -> BTreeSet<String> {
        dissector.packets().iter().flat_map(|packet| packet[0].split(',')).map(str::to_owned).collect()
    };
    // CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, PINGREQ.
    wait::for_it("all kinds of packets", wait::SOON, || {
        let seen = kinds();
        ["1", "2", "3", "4", "8", "9", "12"].iter().all(|kind| seen.contains(*kind))
    });
    answers(&plc.oracle, 20);
    assert!(gateway.terminate().success());
    // DISCONNECT.
    wait::for_it("the leave is taken", wait::SOON, || kinds().contains("14"));
    let packets = dissector.packets();
    let malformed: Vec<_> =
        packets.iter().filter(|packet| packet[1..=4].iter().any(|wrong| !wrong.is_empty())).collect();
    assert!(malformed.is_empty(), "{malformed:?}");
    // And those of Sparkplug to its dissector of that: group, kind, node, device.
    let told =
        |kind: &str| packets.iter().find(|packet| packet[6].split(',').any(|seen| seen == kind)).map(|of| &of[5..]);
    for kind in ["NBIRTH", "DBIRTH", "DDATA", "NDEATH"] {
        let told = told(kind).unwrap_or_else(|| panic!("no {kind} in {packets:?}"));
        let first = |column: &str| column.split(',').next().unwrap_or_default().to_owned();
        assert_eq!([first(&told[0]), first(&told[2])], ["test", "line"], "{told:?}");
        assert!(!kind.starts_with('D') || first(&told[3]) == PLC, "{told:?}");
    }
}

#[test]
fn delivers_with_qos_0() {
    let Some(broker) = Broker::start() else { return };
    everything_arrives(broker.address().port(), &format!("{}?qos=0", broker.url("mqtt")));
}

#[test]
fn delivers_over_websocket() {
    let side = free_port();
    let lines = with_plain_side_door(side, "protocol websockets\nallow_anonymous true\n");
    let Some(broker) = Broker::with(|_| lines) else {
        return;
    };
    everything_arrives(side, &broker.url("ws"));
}

fn tls_lines(folder: &Path, more: &str) -> String {
    let place = folder.display();
    format!("cafile {place}/ca.pem\ncertfile {place}/server.pem\nkeyfile {place}/server.key\n{more}")
}

/// A broker with TLS and its certificates.
pub(crate) fn tls_broker(side: u16, more: &str) -> Option<(Broker, Certificates)> {
    need::program("mosquitto")?;
    let mut keys = None;
    let broker = Broker::with(|folder| {
        keys = Certificates::make(folder);
        with_plain_side_door(side, &tls_lines(folder, more))
    })?;
    Some((broker, keys?))
}

#[test]
fn delivers_over_tls_and_websocket_over_tls() {
    let side = free_port();
    let Some((broker, keys)) = tls_broker(side, "allow_anonymous true\n") else { return };
    let tls = format!("\n    tls: {{ ca: {} }}", keys.file("ca.pem"));
    everything_arrives(side, &format!("{}{tls}", broker.url("mqtts")));
    drop(broker);
    let side = free_port();
    let Some((broker, keys)) = tls_broker(side, "protocol websockets\nallow_anonymous true\n") else { return };
    let tls = format!("\n    tls: {{ ca: {} }}", keys.file("ca.pem"));
    everything_arrives(side, &format!("{}{tls}", broker.url("wss")));
}

/// A broker that asks for certificates, the plain port beside it, and an uplink that shows the certificate `name`.
fn mutual(name: &str) -> Option<(Broker, u16, String)> {
    let side = free_port();
    let (broker, keys) = tls_broker(side, "require_certificate true\nallow_anonymous true\n")?;
    let (cert, key) = (keys.file(&format!("{name}.pem")), keys.file(&format!("{name}.key")));
    let tls = format!("tls: {{ ca: {}, cert: {cert}, key: {key} }}", keys.file("ca.pem"));
    let uplink = format!("{}\n    {tls}", broker.url("mqtts"));
    Some((broker, side, uplink))
}

#[test]
fn delivers_with_certificates_on_both_sides() {
    let Some((_broker, side, uplink)) = mutual("client") else { return };
    everything_arrives(side, &uplink);
}

#[test]
fn a_strangers_certificate_opens_nothing() {
    let Some((_broker, side, uplink)) = mutual("stranger") else { return };
    nothing_arrives(side, &uplink);
}

#[test]
fn never_talks_to_a_broker_whose_certificate_another_authority_signed() {
    let side = free_port();
    let Some((broker, keys)) = tls_broker(side, "allow_anonymous true\n") else { return };
    nothing_arrives(side, &format!("{}\n    tls: {{ ca: {} }}", broker.url("mqtts"), keys.file("other.pem")));
}

/// Runs for a while and expects that nothing comes through, that the gateway lives and says why.
fn nothing_arrives(side: u16, uplink: &str) {
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let recorder = Subscriber::start(([127, 0, 0, 1], side).into());
    let before = recorder.with(|recorded| recorded.messages);
    let site = Site::new(&file(&counting_device(PLC, &tcp(plc.address)), uplink));
    let mut gateway = site.start();
    answers(&plc.oracle, 20);
    assert!(gateway.ended().is_none(), "it goes on polling: {}", gateway.log());
    assert_eq!(recorder.with(|recorded| recorded.messages), before, "nothing may arrive");
    assert!(gateway.log().contains("cloud"), "the log names the uplink: {}", gateway.log());
}

#[test]
fn logs_in_with_a_password_from_a_file_and_never_prints_it() {
    let Some(tool) = need::program("mosquitto_passwd") else { return };
    let side = free_port();
    let Some(broker) = Broker::with(|folder| {
        let passwords = folder.join("passwords");
        let made = Command::new(&tool).args(["-b", "-c"]).arg(&passwords).args(["line7", "s3cret-word"]).status();
        assert!(made.is_ok_and(|status| status.success()), "mosquitto_passwd works");
        let rules = folder.join("rules");
        std::fs::write(&rules, "topic read #\nuser line7\ntopic write readings/#\n").expect("a file");
        format!(
            "allow_anonymous true\npassword_file {}\nacl_file {}\nlistener {side} 127.0.0.1\n",
            passwords.display(),
            rules.display()
        )
    }) else {
        return;
    };
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let recorder = Subscriber::start(([127, 0, 0, 1], side).into());
    let uplink = format!("{}\n    user: line7\n    password: {{ file: ./password }}", broker.url("mqtt"));
    let site = Site::new(&file(&counting_device(PLC, &tcp(plc.address)), &uplink));
    std::fs::write(site.folder().join("password"), "s3cret-word\n").expect("a file");
    let gateway = site.start();
    running(&recorder);
    plc.all_arrive(&recorder, wait::SOON);
    assert!(!gateway.log().contains("s3cret-word"), "a password is never printed");
    drop(gateway);
    let readings = recorder.readings();
    nothing_is_missing(&readings);
    plc.verdict(&readings).must_be_perfect();
}

#[test]
fn the_last_will_says_that_the_gateway_is_gone() {
    let Some(broker) = Broker::start() else { return };
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let recorder = Subscriber::start(broker.address());
    let site = Site::new(&file(&counting_device(PLC, &tcp(plc.address)), &broker.url("mqtt")));
    let gateway = site.start();
    running(&recorder);
    let before = recorder.with(|recorded| recorded.others.len());
    gateway.kill();
    wait::for_it("the will is published", Duration::from_secs(10), || {
        recorder.with(|recorded| recorded.others.len() > before)
    });
}
