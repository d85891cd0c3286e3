//! `forebay audit`: what is complete is called complete, and what is missing is found.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tests::broker::Broker;
use tests::field::{Field, free_port};
use tests::gateway::{binary, signal};
use tests::need;
use tests::site::Site;
use tests::subscriber::Subscriber;
use tests::wait;

use crate::rig::{Counting, PLC, counting_device, file, running, tcp};

const COMPLETE: i32 = 0;
const INCOMPLETE: i32 = 1;
const USAGE: i32 = 2;
const FAILED: i32 = 3;

/// One audit as JSON; the broker keeps what comes until the next one.
fn audit(site: &Site, broker: &Broker, topic: &str, seconds: u32) -> (Option<i32>, Value, String) {
    audit_at(site, &broker.url("mqtt"), topic, seconds)
}

fn audit_at(site: &Site, url: &str, topic: &str, seconds: u32) -> (Option<i32>, Value, String) {
    let seconds = seconds.to_string();
    let gateway = ["--gateway", "test/line", "--client-id", "auditor", "--json"];
    let arguments = ["audit", url, "--topic", topic, "--seconds", &seconds];
    let output = site.forebay(&[arguments.as_slice(), &gateway].concat());
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let found = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("no JSON, {error}: {errors}"));
    (output.status.code(), found, errors)
}

fn site() -> Site {
    Site::new("gateway: test/line\n")
}

/// Publishes these messages in their order.
fn publish(program: &std::path::Path, broker: &Broker, topic: &str, messages: &[Value]) {
    for message in messages {
        let (port, payload) = (broker.address().port().to_string(), message.to_string());
        let arguments = ["-h", "127.0.0.1", "-p", &port, "-q", "1", "-t", topic, "-m", &payload];
        let sent: Output = Command::new(program).args(arguments).output().expect("mosquitto_pub can be started");
        assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    }
}

fn batch(epoch: u32, seqs: &[u64], value: u64) -> Value {
    let reading =
        |seq| json!({"time": "2026-11-23T02:28:33.123456Z", "tag": "n", "value": value, "quality": "good", "seq": seq});
    let readings: Vec<Value> = seqs.iter().map(reading).collect();
    json!({"gateway": "test/line", "device": "plc", "epoch": epoch, "readings": readings})
}

fn gap(first: u64, last: u64) -> Value {
    let gap = json!({"first": first, "last": last, "count": last - first + 1, "reason": "dropped-oldest"});
    json!({"gateway": "test/line", "gap": gap})
}

#[test]
fn a_gateway_that_was_killed_has_lost_nothing_that_it_numbered() {
    let Some(mut broker) = Broker::start() else { return };
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let recorder = Subscriber::start(broker.address());
    let site = Site::new(&file(&counting_device(PLC, &tcp(plc.address)), &broker.url("mqtt")));
    let (code, _, errors) = audit(&site, &broker, "readings/#", 0);
    assert_eq!(code, Some(INCOMPLETE), "nothing has come, nothing is proven: {errors}");
    for _ in 0..3 {
        let gateway = site.start();
        running(&recorder);
        gateway.kill();
    }
    broker.stop();
    let gateway = site.start();
    wait::pass(Duration::from_secs(1));
    broker.start_again();
    running(&recorder);
    plc.all_arrive(&recorder, wait::SOON);
    assert!(gateway.terminate().success(), "the gateway ends well after SIGTERM");
    let (code, found, errors) = audit(&site, &broker, "readings/#", 5);
    let account = &found["gateways"][0];
    assert_eq!((code, &account["lost"]), (Some(COMPLETE), &json!(0)), "{found:#}\n{errors}");
    assert_eq!((&account["gateway"], &account["doubled"]["different"]), (&json!("test/line"), &json!(0)));
    let epochs = |place: &str| account[place]["epoch"].as_u64().expect("an epoch");
    assert!(epochs("last") - epochs("first") >= 3, "each start is an epoch: {found:#}");
    assert!(account["latency_ms"]["p50"].as_f64().is_some_and(|ms| ms > 0.0), "{found:#}");
    let places = recorder
        .readings()
        .iter()
        .map(|reading| (reading.epoch, reading.seq))
        .collect::<std::collections::BTreeSet<_>>();
    let doubled = account["doubled"]["same"].as_u64().expect("a count");
    assert_eq!(account["readings"].as_u64().expect("a count") - doubled, places.len() as u64, "{found:#}");
}

#[test]
fn an_audit_with_a_name_of_its_own_outlives_the_brokers_restart_and_ends_on_ctrl_c() {
    let Some(mut broker) = Broker::start() else { return };
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let recorder = Subscriber::start(broker.address());
    let site = Site::new(&file(&counting_device(PLC, &tcp(plc.address)), &broker.url("mqtt")));
    let mut command = Command::new(binary());
    command.args(["audit", &broker.url("mqtt"), "--topic", "#", "--client-id", "auditor", "--json"]);
    let audit = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary can be started");
    wait::for_it("the audit has subscribed", wait::SOON, || broker.log().contains("Sending SUBACK to auditor"));
    let _gateway = site.start();
    running(&recorder);
    broker.stop();
    wait::pass(Duration::from_secs(1));
    broker.start_again();
    plc.all_arrive(&recorder, wait::SOON);
    wait::for_it("the audit has come back", wait::SOON, || broker.log().contains("Sending SUBACK to auditor"));
    running(&recorder);
    signal(audit.id(), "INT");
    let output = audit.wait_with_output().expect("the process is ours");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let found: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}"));
    assert_eq!(output.status.code(), Some(COMPLETE), "{found:#}\n{errors}");
    assert_eq!(found["gateways"][0]["lost"], 0, "{found:#}");
}

#[test]
fn a_hole_is_found_with_its_range_until_it_is_filled_or_declared() {
    let (Some(broker), Some(program)) = (Broker::start(), need::program("mosquitto_pub")) else { return };
    let site = site();
    audit(&site, &broker, "readings/#", 0);
    publish(&program, &broker, "readings/plc", &[batch(1, &[10, 11], 0), batch(1, &[14, 16], 0), batch(2, &[17], 0)]);
    let (code, found, errors) = audit(&site, &broker, "readings/#", 2);
    let account = &found["gateways"][0];
    assert_eq!((code, &account["lost"]), (Some(INCOMPLETE), &json!(3)), "{found:#}\n{errors}");
    assert_eq!(account["lost_ranges"], json!([{"first": 12, "last": 13}, {"first": 15, "last": 15}]));
    publish(&program, &broker, "readings/plc", &[batch(2, &[20, 23], 0), batch(2, &[22], 0)]);
    publish(&program, &broker, "test/line/$gap", &[gap(21, 21)]);
    let (code, found, errors) = audit(&site, &broker, "readings/#", 2);
    assert_eq!(code, Some(COMPLETE), "{found:#}\n{errors}");
    assert_eq!(found["gateways"][0]["declared_gaps"][0]["reason"], "dropped-oldest");
}

#[test]
fn a_number_that_was_given_twice_is_told_from_a_repeat() {
    let (Some(broker), Some(program)) = (Broker::start(), need::program("mosquitto_pub")) else { return };
    let site = site();
    let older = format!("{}?version=3.1.1", broker.url("mqtt"));
    audit_at(&site, &older, "readings/#", 0);
    publish(&program, &broker, "readings/plc", &[batch(1, &[1, 2], 5), batch(1, &[1, 2], 5)]);
    let (code, found, errors) = audit_at(&site, &older, "readings/#", 2);
    assert_eq!((code, &found["gateways"][0]["doubled"]["same"]), (Some(COMPLETE), &json!(2)), "{errors}");
    publish(&program, &broker, "readings/plc", &[batch(1, &[3, 4], 5), batch(1, &[3], 6)]);
    let (code, found, errors) = audit_at(&site, &older, "readings/#", 2);
    assert_eq!((code, &found["gateways"][0]["lost"]), (Some(INCOMPLETE), &json!(0)), "{found:#}\n{errors}");
    assert_eq!(found["gateways"][0]["doubled"]["different_at"], json!([{"epoch": 1, "seq": 3}]));
}

#[test]
fn an_audit_of_a_running_gateway_begins_in_the_middle_and_prints_a_table() {
    let Some(broker) = Broker::start() else { return };
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let recorder = Subscriber::start(broker.address());
    let devices = ["plc", "press", "mixer"].map(|name| counting_device(name, &tcp(plc.address))).concat();
    let yaml = file(&devices, &broker.url("mqtt")).replace("{device}", "{device}/{tag}");
    let site = Site::new(&yaml);
    let gateway = site.start();
    running(&recorder);
    let url = broker.url("mqtt");
    let output = site.forebay(&["audit", &url, "--topic", "#", "--seconds", "3"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(COMPLETE), "{text}\n{errors}");
    assert!(text.contains("\ncomplete: ") && text.contains("p99"), "{text}");
    drop(gateway);
}

#[test]
fn logs_in_with_a_password_from_a_file_and_never_prints_it() {
    let Some(tool) = need::program("mosquitto_passwd") else { return };
    let Some(broker) = Broker::with(|folder| {
        let passwords = folder.join("passwords");
        let made = Command::new(&tool).args(["-b", "-c"]).arg(&passwords).args(["auditor", "s3cret-word"]).status();
        assert!(made.is_ok_and(|status| status.success()), "mosquitto_passwd works");
        format!("allow_anonymous false\npassword_file {}\n", passwords.display())
    }) else {
        return;
    };
    let site = site();
    let url = broker.url("mqtt");
    for (password, code, said) in
        [("s3cret-word\n", INCOMPLETE, "travels in the clear"), ("s3cret-wrod", FAILED, "list of users")]
    {
        std::fs::write(site.folder().join("password"), password).expect("a file");
        let login = ["--user", "auditor", "--password-file", "password"];
        let output = site.forebay(&[["audit", &url, "--topic", "#", "--seconds", "0"].as_slice(), &login].concat());
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{errors}");
        assert!(errors.contains(said) && !errors.contains("s3cret"), "{errors}");
    }
}

#[test]
fn a_wrong_url_and_a_broker_that_is_not_there_have_exit_codes_of_their_own() {
    let site = site();
    let nobody = format!("mqtt://127.0.0.1:{}", free_port());
    let cases: [(&[&str], i32, &str); 4] = [
        (&["audit", &nobody, "--topic", "#"], FAILED, "nothing listens"),
        (&["audit", "http://127.0.0.1", "--topic", "#"], USAGE, "mqtt://"),
        (&["audit", "mqtt://127.0.0.1?qso=1", "--topic", "#"], USAGE, "qos"),
        (&["audit", &nobody], USAGE, "--topic"),
    ];
    for (arguments, code, said) in cases {
        let output = site.forebay(arguments);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
        assert!(errors.contains(said), "{arguments:?}: {errors}");
    }
}
