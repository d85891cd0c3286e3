//! F27 through every door: twice, stale, of the wrong type, not permitted, the PLC lost during the write. What reaches the
//! PLC is counted by the PLC.

use std::net::SocketAddr;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use hardware_sim::faults::{Fault, FaultProxy, Framing};
use hardware_sim::modbus::{ModbusServer, Plant, Table};
use serde_json::{Value, json};
use tests::broker::Broker;
use tests::field::{Field, free_port};
use tests::gateway::Gateway;
use tests::http::{get, post};
use tests::site::Site;
use tests::{need, wait};

const OPERATOR: &str = "the-operators-token";
const VIEWER: &str = "the-viewers-token!";

/// Where the setpoint, its interlock and another writable register lie.
const SETPOINT: u16 = 10;
const MODE: u16 = 11;
const SPEED: u16 = 12;

/// A press that is polled often, and a pump behind a proxy that is polled rarely, so that what is broken on its way is a
/// write.
pub(crate) struct Rig {
    pub(crate) site: Site,
    pub(crate) gateway: Option<Gateway>,
    press: Plant,
    pub(crate) pump: Plant,
    pub(crate) proxy: FaultProxy,
    http: SocketAddr,
    _servers: [ModbusServer; 2],
    _field: Field,
}

impl Rig {
    pub(crate) fn start(uplinks: &str) -> Rig {
        let field = Field::new();
        let (press, pump) = (Plant::new(), Plant::new());
        press.write_holding(1, SETPOINT, &[75, 2]);
        pump.write_holding(1, SPEED, &[7]);
        let (press_server, press_at) = field.tcp(&press);
        let (pump_server, pump_at) = field.tcp(&pump);
        let proxy = field.proxy(pump_at, Framing::ModbusTcp);
        let http = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let text = format!(
            "gateway: test/line\nevery: 100ms\ndevices:\n  press:\n    url: modbus-tcp://{press_at}?unit=1\n    tags:\n      \
             setpoint: {{ address: \"hr:{SETPOINT}:UINT\", write: {{ min: 10, max: 120, only_if: \"mode == 2\", expires: 5s, rate: 100/s }} }}\n      \
             mode: {{ address: \"hr:{MODE}:UINT\", write: {{ role: engineer }} }}\n  \
             pump:\n    url: modbus-tcp://{}?unit=1\n    every: 60s\n    timeout: 500ms\n    tags:\n      \
             speed: {{ address: \"hr:{SPEED}:UINT\", write: {{}} }}\n      fixed: \"hr:13:UINT\"\n\
             http:\n  listen: {http}\n  tokens:\n    anna: {{ secret: {{ literal: {OPERATOR} }} }}\n    \
             eve: {{ secret: {{ literal: {VIEWER} }}, role: viewer }}\n{uplinks}",
            proxy.address()
        );
        let site = Site::new(&text);
        let gateway = Some(site.start());
        let rig = Rig { site, gateway, press, pump, proxy, http, _servers: [press_server, pump_server], _field: field };
        rig.is_up();
        rig
    }

    /// Until both devices have been read once.
    fn is_up(&self) {
        wait::for_it("both devices are read", wait::SOON, || {
            let Ok((200, body)) = get(self.http, "/api/v1/status") else { return false };
            let status: Value = serde_json::from_str(&body).expect("JSON");
            let lines = status["lines"].as_array().expect("lines");
            lines.iter().all(|line| line["devices"][0]["polls"].as_u64() > Some(0))
        });
    }

    pub(crate) fn written(&self) -> u64 {
        self.press.counts().written
    }

    /// The records of the audit trail, after it was verified.
    pub(crate) fn audit(&self) -> Vec<Value> {
        let verified = self.site.forebay(&["commands", "verify"]);
        assert_eq!(verified.status.code(), Some(0), "{}", both(&verified));
        let log = self.site.forebay(&["commands", "log", "--json"]);
        assert_eq!(log.status.code(), Some(0), "{}", both(&log));
        let text = String::from_utf8(log.stdout).expect("UTF-8");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

fn both(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A way in for commands.
pub(crate) struct Door<'a> {
    /// Its name, with which the ids of its commands begin.
    pub(crate) name: &'a str,
    /// Sends a command and gives its answer; where the door gives none, the record of it in the audit trail.
    pub(crate) send: &'a dyn Fn(&Value) -> Value,
    /// Faults that cannot be said through this door.
    pub(crate) says_not: &'a [&'a str],
    /// Faults that it tells by another word.
    pub(crate) tells: &'a [(&'a str, &'a str)],
}

impl<'a> Door<'a> {
    /// One through which everything can be said.
    pub(crate) fn whole(name: &'a str, send: &'a dyn Fn(&Value) -> Value) -> Door<'a> {
        Door { name, send, says_not: &[], tells: &[] }
    }
}

fn over_http(http: SocketAddr) -> impl Fn(&Value) -> Value {
    move |command| {
        let (_, body) = post(http, "/api/v1/commands", OPERATOR, &command.to_string()).expect("an answer");
        serde_json::from_str(&body).expect("JSON")
    }
}

/// What is refused without touching the device: the fault, what it changes in a good command, why.
fn refused_faults() -> [(&'static str, Value, &'static str); 9] {
    [
        ("stale", json!({ "time": "2026-01-01T00:00:00Z" }), "expired"),
        ("too-late", json!({ "expires": "2026-01-01T00:00:00Z" }), "expired"),
        ("type", json!({ "value": "eighty" }), "wrong-type"),
        ("fraction", json!({ "value": 80.5 }), "wrong-type"),
        ("range", json!({ "value": 121 }), "out-of-range"),
        ("role", json!({ "tag": "mode" }), "not-permitted"),
        ("read-only", json!({ "device": "pump", "tag": "fixed" }), "read-only"),
        ("unknown", json!({ "tag": "setpiont" }), "unknown-tag"),
        ("key", json!({ "valeu": 1 }), "unreadable"),
    ]
}

/// F27 for one door: twice, stale, wrong type, not permitted, the PLC lost during the write.
pub(crate) fn every_fault(rig: &Rig, door: &Door<'_>) {
    let (now, send, name) = (rig.written(), door.send, door.name);
    let command = |id: &str, more: Value| {
        let mut command = json!({ "id": format!("{name}-{id}"), "device": "press", "tag": "setpoint", "value": 80 });
        more.as_object().expect("keys").iter().for_each(|(key, value)| command[key] = value.clone());
        command
    };
    let result = |answer: &Value| {
        let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        (text("result"), text("refused"))
    };
    let refused = |why: &str| ("refused".to_owned(), why.to_owned());

    let first = send(&command("first", json!({})));
    assert_eq!((result(&first).0.as_str(), &first["held"]), ("done", &json!(80)), "{first}");
    assert_eq!(rig.press.read(1, Table::HoldingRegisters, SETPOINT, 1), [80]);
    let twice = send(&command("first", json!({})));
    assert_eq!((result(&twice).0.as_str(), &twice["repeated"]), ("done", &json!(true)), "{twice}");
    if !door.says_not.contains(&"id") {
        assert_eq!(result(&send(&command("first", json!({ "value": 81 })))), refused("repeated"));
    }
    assert_eq!(rig.written(), now + 1, "executed once");

    let faults = refused_faults().into_iter().filter(|(id, ..)| !door.says_not.contains(id));
    let faults = faults.map(|(id, more, why)| {
        let told = door.tells.iter().find(|(fault, _)| *fault == id).map_or(why, |(_, told)| told);
        (id, more, told)
    });
    let faults: Vec<(&str, Value, &str)> = faults.collect();
    for (id, more, why) in &faults {
        assert_eq!(result(&send(&command(id, more.clone()))), refused(why), "{name}: {id}");
    }
    assert_eq!(rig.written(), now + 1, "nothing of that reached the PLC");
    rig.press.write_holding(1, MODE, &[1]);
    let mut tries = 0;
    wait::for_it("the interlock holds it back", wait::SOON, || {
        tries += 1;
        result(&send(&command(&format!("lock-{tries}"), json!({ "value": 79 })))) == refused("interlock")
    });
    rig.press.write_holding(1, MODE, &[2]);
    let before = rig.pump.counts().written;

    rig.proxy.replies().script([Fault::Reset]);
    let speed = 20 + before;
    let lost = send(&command("lost", json!({ "device": "pump", "tag": "speed", "value": speed })));
    assert_eq!(result(&lost).0, "unknown", "{lost}");
    assert_eq!(lost["held"], json!(speed), "what the pump holds was read: {lost}");
    let again = send(&command("lost", json!({ "device": "pump", "tag": "speed", "value": speed })));
    assert_eq!(result(&again).0, "unknown");
    assert_eq!(rig.pump.counts().written, before + 1, "executed once");
    if !door.says_not.contains(&"id") {
        stands_in_the_audit_trail(rig, name, &faults);
    }
}

fn stands_in_the_audit_trail(rig: &Rig, name: &str, faults: &[(&str, Value, &str)]) {
    let audit = rig.audit();
    let records = |id: &str, event: &str| {
        let id = format!("{name}-{id}");
        audit.iter().filter(|record| record["id"] == id && record["event"] == event).cloned().collect::<Vec<Value>>()
    };
    assert_eq!((records("first", "begun").len(), records("lost", "begun").len()), (1, 1));
    let done = &records("first", "ended")[0];
    assert_eq!((&done["result"], &done["held"]), (&json!("done"), &json!(80)));
    // The command line sends what was typed.
    assert!([json!(80), json!("80")].contains(&done["value"]), "{done}");
    assert!(done["from"].is_string() && done["door"].is_string() && done["time"].is_string(), "{done}");
    assert_eq!(records("lost", "ended")[0]["result"], "unknown");
    for (id, _, why) in faults {
        assert_eq!(records(id, "ended")[0]["refused"], *why, "{id}");
    }
}

#[test]
fn commands_over_http_are_executed_once_or_refused_answered_and_recorded() {
    let rig = Rig::start("");
    every_fault(&rig, &Door::whole("http", &over_http(rig.http)));
}

#[test]
fn commands_over_mqtt_are_executed_once_or_refused_answered_and_recorded() {
    let (Some(broker), Some(client)) = (Broker::start(), need::program("mosquitto_rr")) else { return };
    let Some(plain) = need::program("mosquitto_pub") else { return };
    let uplink =
        format!("uplinks:\n  cloud:\n    url: {}\n    commands: \"{{gateway}}/commands\"\n", broker.url("mqtt"));
    let rig = Rig::start(&uplink);
    wait::for_it("the uplink is connected", wait::SOON, || {
        get(rig.http, "/api/v1/status").is_ok_and(|(_, body)| body.contains("\"connected\":true,\"lag_readings\""))
    });
    let port = broker.address().port().to_string();
    let send = |command: &Value| {
        let mut rr = Command::new(&client);
        rr.args(["-p", &port, "-V", "5", "-q", "1", "-W", "30", "-e", "office/answers", "-t", "test/line/commands"]);
        rr.args(["-D", "publish", "correlation-data", "x1", "-m", &command.to_string()]);
        let output = rr.output().expect("mosquitto_rr");
        serde_json::from_slice::<Value>(&output.stdout).unwrap_or_else(|_| panic!("no answer: {}", both(&output)))
    };
    every_fault(&rig, &Door::whole("mqtt", &send));
    let retained = json!({ "id": "retained", "device": "press", "tag": "setpoint", "value": 90 }).to_string();
    let before = rig.written();
    let mut publish = Command::new(&plain);
    publish.args(["-p", &port, "-V", "5", "-q", "1", "-r", "-t", "test/line/commands", "-m", &retained]);
    assert!(publish.status().expect("mosquitto_pub").success());
    let refused = wait::until("it is refused and recorded", wait::SOON, || {
        rig.audit().into_iter().find(|record| record["id"] == "retained")
    });
    assert_eq!(refused["result"], "refused", "{refused}");
    assert!(refused["reason"].as_str().is_some_and(|reason| reason.contains("retained")), "{refused}");
    assert_eq!(rig.written(), before);
}

#[test]
fn a_command_that_waited_at_the_broker_while_the_gateway_was_away_is_not_executed() {
    let (Some(broker), Some(client)) = (Broker::start(), need::program("mosquitto_pub")) else { return };
    for version in ["5", "3.1.1"] {
        let uplink = format!(
            "uplinks:\n  cloud:\n    url: {}?version={version}\n    commands: \"{{gateway}}/commands\"\n",
            broker.url("mqtt")
        );
        let mut rig = Rig::start(&uplink);
        let connected = |rig: &Rig| {
            wait::for_it("the uplink is connected", wait::SOON, || {
                get(rig.http, "/api/v1/status")
                    .is_ok_and(|(_, body)| body.contains("\"connected\":true,\"lag_readings\""))
            });
        };
        connected(&rig);
        rig.gateway.take().expect("it runs").kill();
        let publish = |retain: &[&str]| {
            let text = json!({ "id": "late", "device": "press", "tag": "setpoint", "value": 99 }).to_string();
            let mut command = Command::new(&client);
            command.args([
                "-p",
                &broker.address().port().to_string(),
                "-q",
                "1",
                "-t",
                "test/line/commands",
                "-m",
                &text,
            ]);
            assert!(command.args(retain).status().expect("mosquitto_pub").success());
        };
        publish(&[]);
        publish(&["-r"]);
        rig.gateway = Some(rig.site.start());
        rig.is_up();
        connected(&rig);
        // A command that is executed shows that the topic is served; what came before it was not.
        let fresh = over_http(rig.http)(&json!({ "id": "fresh", "device": "press", "tag": "setpoint", "value": 81 }));
        assert_eq!(fresh["result"], "done", "{fresh}");
        assert_eq!(rig.written(), 1, "version {version}");
    }
}

#[test]
fn the_command_line_goes_through_the_same_guard() {
    let rig = Rig::start("");
    let send = |arguments: &[&str]| {
        let output = rig.site.forebay(&[&["command"], arguments].concat());
        (output.status.code(), both(&output))
    };
    let (code, said) = send(&["press.setpoint", "80", "--id", "cli-1"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("done") && said.contains("it holds 80"), "{said}");
    let (code, said) = send(&["press.setpoint", "80", "--id", "cli-1"]);
    assert_eq!((code, said.contains("as was said before")), (Some(0), true), "{said}");
    assert_eq!(rig.written(), 1);
    for (arguments, part) in [
        (&["press.setpoint", "121"][..], "more than 120"),
        (&["press.setpoint", "warm"], "no UINT"),
        (&["press.mode", "1"], "engineer"),
        (&["pump.fixed", "1"], "read-only"),
        (&["press.setpiont", "1"], "did you mean press.setpoint"),
        (&["press.setpoint", "80", "--as", "eve"], "viewer"),
        (&["press.setpoint", "80", "--as", "bob"], "bob"),
    ] {
        let (code, said) = send(arguments);
        assert_eq!(code, Some(1), "{arguments:?}: {said}");
        assert!(said.contains(part), "{arguments:?}: {said}");
    }
    assert_eq!(rig.written(), 1);
    let log = both(&rig.site.forebay(&["commands", "log"]));
    assert!(log.contains("press.setpoint") && log.contains("refused (not-permitted)") && log.contains("anna"), "{log}");
}

/// What `forebay command --json` prints is the answer.
#[test]
fn commands_of_the_command_line_are_executed_once_or_refused_answered_and_recorded() {
    let rig = Rig::start("");
    let send = |command: &Value| {
        let text = |name: &str| command[name].as_str().map(str::to_owned);
        let tag = format!("{}.{}", text("device").expect("a device"), text("tag").expect("a tag"));
        let value = text("value").unwrap_or_else(|| command["value"].to_string());
        let id = text("id").expect("an id");
        let mut arguments = vec!["command", &tag, &value, "--id", &id, "--json"];
        let expires = text("expires");
        arguments.extend(expires.iter().flat_map(|expires| ["--expires", expires.as_str()]));
        let output = rig.site.forebay(&arguments);
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", both(&output)));
        let exits = match answer["result"].as_str() {
            Some("done") => 0,
            Some("refused") => 1,
            _ => 3,
        };
        assert_eq!(output.status.code(), Some(exits), "{answer}");
        answer
    };
    // When it was sent is now, and it has no keys.
    every_fault(&rig, &Door { says_not: &["stale", "key"], ..Door::whole("cli", &send) });
}

#[test]
fn what_was_executed_before_a_kill_is_not_executed_after_it() {
    let mut rig = Rig::start("");
    let command = json!({ "id": "once", "device": "press", "tag": "setpoint", "value": 80 });
    assert_eq!(over_http(rig.http)(&command)["result"], "done");
    rig.gateway.take().expect("it runs").kill();
    rig.gateway = Some(rig.site.start());
    rig.is_up();
    let again = over_http(rig.http)(&command);
    assert_eq!((&again["result"], &again["repeated"], &again["held"]), (&json!("done"), &json!(true), &json!(80)));
    assert_eq!(rig.written(), 1);
    let file = rig.site.buffer().join("commands/000001.jsonl");
    let text = std::fs::read_to_string(&file).expect("the trail");
    std::fs::write(&file, text.replacen("\"value\":80", "\"value\":81", 1)).expect("writes");
    let verified = rig.site.forebay(&["commands", "verify"]);
    assert_eq!(verified.status.code(), Some(1), "{}", both(&verified));
    assert!(both(&verified).contains("000001.jsonl:2"), "{}", both(&verified));
}

#[test]
fn when_the_broker_is_lost_the_defined_output_is_written_and_recorded() {
    let Some(mut broker) = Broker::start() else { return };
    let field = Field::new();
    let plant = Plant::new();
    let (_server, address) = field.tcp(&plant);
    let site = Site::new(&format!(
        "gateway: g\nevery: 100ms\nhttp: {{ listen: off }}\ndevices:\n  press:\n    url: modbus-tcp://{address}?unit=1\n    tags:\n      \
         valve: {{ address: \"hr:5:INT\", scale: 0.1, write: {{ max: 50, on_link_loss: {{ value: 12.5, after: 500ms }} }} }}\n\
         uplinks: {{ cloud: {{ url: \"{}\" }} }}\n",
        broker.url("mqtt")
    ));
    let _gateway = site.start();
    wait::for_it("the state is announced", wait::SOON, || broker.log().contains("g:cloud"));
    assert_eq!(plant.read(1, Table::HoldingRegisters, 5, 1), [0]);
    broker.stop();
    wait::for_it("the valve is at 12.5", wait::SOON, || plant.read(1, Table::HoldingRegisters, 5, 1) == [125]);
    let log = wait::until("it is recorded", wait::SOON, || {
        let log = both(&site.forebay(&["commands", "log"]));
        log.contains("done").then_some(log)
    });
    assert!(log.contains("link-loss") && log.contains("12.5"), "{log}");
    assert_eq!(plant.counts().written, 1);
}

#[test]
fn the_http_server_is_bounded_and_lets_only_known_tokens_in() {
    let rig = Rig::start("");
    let status = |token: &str, body: &str| post(rig.http, "/api/v1/commands", token, body).map(|(status, _)| status);
    let command = r#"{"device":"press","tag":"setpoint","value":80}"#;
    assert_eq!(status("", command).expect("an answer"), 401);
    assert_eq!(status("the-operators-tokem", command).expect("an answer"), 401);
    assert_eq!(status(VIEWER, command).expect("an answer"), 403);
    assert_eq!(status(OPERATOR, "{").expect("an answer"), 400);
    // The server may close before all of it was sent.
    let large = status(OPERATOR, &"x".repeat(100_000));
    assert!(large.as_ref().map_or(true, |status| *status == 413), "{large:?}");
    for (path, expected) in [("/healthz", 200), ("/nowhere", 404), ("/api/v1/commands", 405)] {
        assert_eq!(get(rig.http, path).expect("an answer").0, expected, "{path}");
    }
    let request = b"GET /api/v1/status HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    assert_eq!(tests::http::ask(rig.http, request).expect("an answer").0, 421);
    let silent: Vec<_> = (0..100).filter_map(|_| std::net::TcpStream::connect(rig.http).ok()).collect();
    assert_eq!(silent.len(), 100);
    assert_eq!(get(rig.http, "/healthz").expect("after the silent ones were left").0, 200);
    assert_eq!(rig.written(), 0);
}

/// What rules and dashboard ask for is what the gateway tells.
fn every_metric_is_there(text: &str) {
    let asked = [
        include_str!("../../systemd/prometheus/forebay.rules.yaml"),
        include_str!("../../systemd/prometheus/grafana-dashboard.json"),
    ];
    let words = asked.iter().flat_map(|file| file.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
    for name in words.filter(|word| word.starts_with("forebay_")) {
        assert!(text.contains(&format!("# TYPE {name} ")), "{name} is not told");
    }
}

/// What the dashboard asks, as rules that promtool parses.
fn rules_of_the_dashboard() -> String {
    let dashboard = include_str!("../../systemd/prometheus/grafana-dashboard.json");
    let dashboard: serde_json::Value = serde_json::from_str(dashboard).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let rules: Vec<_> = targets.map(|target| json!({ "record": "asked:by:a_panel", "expr": target["expr"] })).collect();
    assert!(rules.len() >= 14, "{} questions", rules.len());
    let groups: Vec<_> =
        (0..).zip(rules).map(|(at, rule)| json!({ "name": format!("panel {at}"), "rules": [rule] })).collect();
    json!({ "groups": groups }).to_string()
}

#[test]
fn readiness_says_why_not_and_metrics_are_what_prometheus_reads() {
    let broker = format!("uplinks: {{ cloud: {{ url: \"mqtt://127.0.0.1:{}\" }} }}\n", free_port());
    let rig = Rig::start(&broker);
    let (status, body) = get(rig.http, "/readyz").expect("an answer");
    assert_eq!((status, body.contains("no uplink is connected")), (503, true), "{body}");
    over_http(rig.http)(&json!({ "device": "press", "tag": "setpoint", "value": 80 }));
    let (status, text) = get(rig.http, "/metrics").expect("an answer");
    assert_eq!(status, 200);
    for line in [
        "forebay_device_up{device=\"press\"} 1",
        "forebay_uplink_replay_left_readings{uplink=\"cloud\"} 0",
        "forebay_uplink_connected{uplink=\"cloud\"} 0",
        "forebay_commands_total{result=\"done\"} 1",
        "forebay_buffer_lost_readings_total{reason=\"not-stored\"} 0",
        "forebay_buffer_writable 1",
    ] {
        assert!(text.lines().any(|known| known == line), "{line} is missing in\n{text}");
    }
    let polls = text.lines().find(|line| line.starts_with("forebay_device_polls_total{device=\"press\",group=\""));
    assert!(polls.is_some_and(|polls| !polls.ends_with(" 0")), "polls are counted by group: {polls:?}");
    let Some(promtool) = need::promtool() else { return };
    let folder = need::root().join("systemd/prometheus");
    for arguments in [["check", "rules", "forebay.rules.yaml"], ["test", "rules", "forebay.rules.test.yaml"]] {
        let checked = Command::new(&promtool).args(arguments).current_dir(&folder).output().expect("promtool");
        assert!(checked.status.success(), "{}", both(&checked));
    }
    let asked = rig.site.folder().join("dashboard.rules.yaml");
    std::fs::write(&asked, rules_of_the_dashboard()).expect("writes");
    let checked = Command::new(&promtool).args(["check", "rules"]).arg(&asked).output().expect("promtool");
    assert!(checked.status.success(), "{}", both(&checked));
    every_metric_is_there(&text);
    let file = rig.site.folder().join("metrics.txt");
    std::fs::write(&file, text).expect("writes");
    let checked = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(std::fs::File::open(&file).expect("a file"))
        .output()
        .expect("promtool");
    assert!(checked.status.success() && both(&checked).is_empty(), "{}", both(&checked));
}

/// P8 with a gate that a build without optimisation keeps on a machine that does much else; the benchmark has the figures.
#[test]
fn writes_overtake_the_polls_of_many_tags() {
    const DEVICES: u16 = 20;
    const WRITES: u32 = 50;
    let field = Field::new();
    let plants: Vec<Plant> = (0..DEVICES).map(|_| Plant::new()).collect();
    plants.iter().for_each(|plant| plant.write_holding(1, 0, &[1]));
    let servers: Vec<(ModbusServer, SocketAddr)> = plants.iter().map(|plant| field.tcp(plant)).collect();
    let http = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut text = format!(
        "gateway: g\nevery: 1s\nhttp: {{ listen: {http}, tokens: {{ anna: {{ secret: {{ literal: {OPERATOR} }} }} }} }}\ndevices:\n"
    );
    for (index, (_, address)) in servers.iter().enumerate() {
        text.push_str(&format!("  d{index}:\n    url: modbus-tcp://{address}?unit=1\n    tags:\n"));
        text.push_str("      set: { address: \"hr:2000:UINT\", write: { rate: 1000/s } }\n");
        (0..500).for_each(|tag| text.push_str(&format!("      t{tag}: \"hr:{}:REAL\"\n", tag * 2)));
    }
    let site = Site::new(&text);
    let _gateway = site.start();
    wait::for_it("it is up", wait::SOON, || get(http, "/readyz").is_ok_and(|(status, _)| status == 200));
    let mut took: Vec<Duration> = (0..WRITES)
        .map(|number| {
            let device = number % u32::from(DEVICES);
            let command = json!({ "device": format!("d{device}"), "tag": "set", "value": number + 1 }).to_string();
            let begun = Instant::now();
            let (status, body) = post(http, "/api/v1/commands", OPERATOR, &command).expect("an answer");
            assert_eq!(status, 200, "{body}");
            begun.elapsed()
        })
        .collect();
    took.sort_unstable();
    let mean = took.iter().sum::<Duration>() / WRITES;
    let max = took.last().copied().unwrap_or_default();
    eprintln!("{WRITES} writes while 10,000 tags are polled: mean {mean:?}, max {max:?}");
    assert!(mean < Duration::from_millis(500) && max < Duration::from_secs(3), "mean {mean:?}, max {max:?}");
}
