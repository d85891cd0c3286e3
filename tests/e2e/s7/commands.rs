//! Commands through the guard to S7 PLCs that we did not write: from the command line, and from the broker's command topic.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tests::broker::Broker;
use tests::field::free_port;
use tests::gateway::Gateway;
use tests::http::get;
use tests::site::Site;
use tests::snap7::{Library, Snap7};
use tests::{need, wait};

use crate::types::folder;

/// A REAL and a BOOL of the far side's first block, beyond all its cases, and a number that nobody may write.
const FLOW: &str = "DB1.DBD2000:REAL";
const VALVE: &str = "DB1.DBX2004.3";
const FIXED: &str = "DB1.DBW2010:INT";

/// A gateway beside such a PLC, which both live as long as this.
struct Rig {
    site: Site,
    _gateway: Gateway,
    plc: Snap7,
    http: SocketAddr,
}

impl Rig {
    /// `None` where the library is not installed.
    fn start(folder: &Path, library: Library, uplinks: &str) -> Option<Rig> {
        let plc = Snap7::start(folder, library)?;
        let http = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let site = Site::new(&format!(
            "gateway: test/line\nevery: 100ms\nhttp:\n  listen: {http}\n  \
             tokens:\n    anna: {{ secret: {{ literal: the-operators-token }} }}\ndevices:\n  filler:\n    \
             url: s7://127.0.0.1:{}\n    tags:\n      \
             flow: {{ address: \"{FLOW}\", write: {{ min: 0, max: 20 }} }}\n      \
             valve: {{ address: \"{VALVE}\", write: {{}} }}\n      fixed: \"{FIXED}\"\n{uplinks}",
            plc.port()
        ));
        let rig = Rig { _gateway: site.start(), site, plc, http };
        wait::for_it("the PLC is read", wait::SOON, || {
            let Ok((200, body)) = get(rig.http, "/api/v1/status") else { return false };
            let status: Value = serde_json::from_str(&body).expect("JSON");
            status["lines"][0]["devices"][0]["polls"].as_u64() > Some(0)
        });
        Some(rig)
    }

    /// What the PLC holds now, over a connection that is not the gateway's.
    fn held(&self, address: &str) -> String {
        let url = format!("s7://127.0.0.1:{}", self.plc.port());
        let read = self.site.forebay(&["read", &url, address, "--json"]);
        assert_eq!(read.status.code(), Some(0), "{}", both(&read));
        let read: Value = serde_json::from_slice(&read.stdout).expect("JSON");
        read["readings"][0]["value"].to_string()
    }

    /// The events of a command in the audit trail, after it was verified.
    fn events(&self, id: &str) -> Vec<String> {
        let verified = self.site.forebay(&["commands", "verify"]);
        assert_eq!(verified.status.code(), Some(0), "{}", both(&verified));
        let log = self.site.forebay(&["commands", "log", "--json"]);
        let text = String::from_utf8(log.stdout).expect("UTF-8");
        let records = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let of_it = records.filter(|record| record["id"] == id);
        of_it.map(|record| record["event"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

fn both(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn from_the_command_line(library: Library) {
    let folder = folder();
    let Some(rig) = Rig::start(folder.path(), library, "") else { return };
    let send = |arguments: &[&str]| {
        let output = rig.site.forebay(&[&["command"], arguments].concat());
        (output.status.code(), both(&output))
    };
    assert_eq!((rig.held(FLOW).as_str(), rig.held(FIXED).as_str()), ("0", "0"));
    let (code, said) = send(&["filler.flow", "12.5", "--id", "flow-1"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("done") && said.contains("it holds 12.5"), "{said}");
    assert_eq!(rig.held(FLOW), "12.5");
    for (arguments, part) in [
        (["filler.flow", "20.5"], "more than 20"),
        (["filler.flow", "warm"], "no REAL"),
        (["filler.fixed", "1"], "read-only"),
    ] {
        let (code, said) = send(&arguments);
        assert_eq!(code, Some(1), "{arguments:?}: {said}");
        assert!(said.contains(part), "{arguments:?}: {said}");
    }
    assert_eq!([FLOW, FIXED].map(|address| rig.held(address)), ["12.5", "0"]);
    assert_eq!(rig.events("flow-1"), ["begun", "ended"]);
    // The pure library writes a whole byte for a bit.
    if library == Library::C {
        let (code, said) = send(&["filler.valve", "true", "--id", "valve-1"]);
        assert_eq!(code, Some(0), "{said}");
        assert_eq!([FLOW, VALVE, FIXED].map(|address| rig.held(address)), ["12.5", "true", "0"]);
        assert_eq!(rig.events("valve-1"), ["begun", "ended"]);
    }
}

#[test]
fn the_command_line_writes_to_the_pure_python_snap7_through_the_guard() {
    from_the_command_line(Library::Python);
}

#[test]
fn the_command_line_writes_to_the_c_library_snap7_through_the_guard() {
    from_the_command_line(Library::C);
}

#[test]
fn the_command_topic_writes_to_the_pure_python_snap7_through_the_guard() {
    let (Some(broker), Some(client)) = (Broker::start(), need::program("mosquitto_rr")) else { return };
    let folder = folder();
    let uplinks =
        format!("uplinks:\n  cloud:\n    url: {}\n    commands: \"{{gateway}}/commands\"\n", broker.url("mqtt"));
    let Some(rig) = Rig::start(folder.path(), Library::Python, &uplinks) else { return };
    wait::for_it("the uplink is connected", wait::SOON, || {
        get(rig.http, "/api/v1/status").is_ok_and(|(_, body)| body.contains("\"connected\":true,\"lag_readings\""))
    });
    let port = broker.address().port().to_string();
    let send = |id: &str, tag: &str, value: Value| {
        let command = json!({ "id": id, "device": "filler", "tag": tag, "value": value }).to_string();
        let mut rr = Command::new(&client);
        rr.args(["-p", &port, "-V", "5", "-q", "1", "-W", "30", "-e", "office/answers", "-t", "test/line/commands"]);
        rr.args(["-D", "publish", "correlation-data", "x1", "-m", &command]);
        let output = rr.output().expect("mosquitto_rr");
        serde_json::from_slice::<Value>(&output.stdout).unwrap_or_else(|_| panic!("no answer: {}", both(&output)))
    };
    let done = send("flow-1", "flow", json!(7.25));
    assert_eq!((&done["result"], &done["held"]), (&json!("done"), &json!(7.25)), "{done}");
    let twice = send("flow-1", "flow", json!(7.25));
    assert_eq!((&twice["result"], &twice["repeated"]), (&json!("done"), &json!(true)), "{twice}");
    for (id, tag, value, why) in [
        ("range", "flow", json!(-0.5), "out-of-range"),
        ("type", "flow", json!("warm"), "wrong-type"),
        ("read-only", "fixed", json!(1), "read-only"),
    ] {
        let answer = send(id, tag, value);
        assert_eq!((&answer["result"], &answer["refused"]), (&json!("refused"), &json!(why)), "{answer}");
    }
    assert_eq!([FLOW, FIXED].map(|address| rig.held(address)), ["7.25", "0"]);
    assert_eq!((rig.events("flow-1").len() >= 2, rig.events("range")), (true, vec!["ended".to_owned()]));
}
