//! `forebay browse` against servers that we did not write and the simulator, and against a protocol that cannot tell.

use hardware_sim::opcua::{OpcUaConfig, OpcUaPlc, UaType};
use hardware_sim::s7::Plc;
use hardware_sim::signal::Signal;
use serde_json::Value;
use tests::field::Field;
use tests::opcua::{Far, Server};
use tests::site::Site;

use super::{complaint, json};
use crate::types::folder;

fn browsed(server: Server) {
    let folder = folder();
    let Some(far) = Far::start(server, folder.path(), &[]) else { return };
    let site = Site::new("");
    let url = format!("{}?policy=none", far.url());
    let found = json(&site.forebay(&["browse", &url, "/Objects/2:Far", "--json"]));
    let entries = found["entries"].as_array().expect("entries");
    let named = |name: &str| entries.iter().find(|entry| entry["name"] == name).unwrap_or_else(|| panic!("{found}"));
    assert_eq!(named("float")["kind"], "variable");
    assert_eq!(named("float")["type"], "Float");
    assert_eq!(named("float")["writable"], true);
    assert_eq!(named("float")["address"], "ns=2;s=float");
    assert!(named("int16_array")["type"].as_str().is_some_and(|kind| kind.starts_with("Int16[")), "{found}");

    // What `--yaml` prints is what a configuration takes.
    let yaml = site.forebay(&["browse", &url, "/Objects/2:Far", "--yaml"]);
    assert!(yaml.status.success(), "{}", complaint(&yaml));
    let tags = String::from_utf8_lossy(&yaml.stdout).into_owned();
    let head = format!("gateway: a/b\nevery: 1s\ndevices:\n  plc:\n    url: \"{url}\"\n");
    let tail = "uplinks:\n  cloud:\n    url: mqtt://broker\n    topic: \"t/{device}\"\n";
    site.write(&format!("{head}{tags}{tail}"));
    let checked = site.forebay(&["check", &site.file().to_string_lossy()]);
    assert!(checked.status.success(), "{}{tags}", complaint(&checked));
    assert!(tags.lines().count() > 30, "{tags}");

    let tree = site.forebay(&["browse", &url]);
    let text = String::from_utf8_lossy(&tree.stdout);
    assert!(tree.status.success() && text.lines().any(|line| line.starts_with("  float ")), "{text}");
    assert!(!text.contains("ServerDiagnostics"), "what the server tells of itself is left out: {text}");

    let nowhere = site.forebay(&["browse", &url, "ns=2;s=nothing"]);
    assert_eq!(nowhere.status.code(), Some(3), "{}", complaint(&nowhere));
    assert!(complaint(&nowhere).contains("ns=2;s=nothing"), "{}", complaint(&nowhere));
}

#[test]
fn asyncua_is_browsed() {
    browsed(Server::Asyncua);
}

#[test]
fn node_opcua_is_browsed() {
    browsed(Server::NodeOpcua);
}

#[test]
fn a_server_of_small_calls_is_browsed_to_its_end() {
    let field = Field::new();
    let plc = OpcUaPlc::new();
    plc.configure(OpcUaConfig { operations_max: 10, ..OpcUaConfig::default() });
    for number in 0..1500 {
        plc.drive(&format!("/Objects/2:Line{}/2:v{number}", number % 7), UaType::Int32, None, Signal::Constant(1.0))
            .expect("a place");
    }
    let server = field.opcua(&plc);
    let site = Site::new("");
    let found = json(&site.forebay(&["browse", &format!("opc.tcp://{}?policy=none", server.address()), "--json"]));
    let variables =
        found["entries"].as_array().map(|entries| entries.iter().filter(|e| e["kind"] == "variable").count());
    assert_eq!((variables, &found["complete"]), (Some(1500), &Value::Bool(true)));
}

#[test]
fn a_protocol_that_cannot_tell_says_so() {
    let field = Field::new();
    let server = field.s7(&Plc::new());
    let site = Site::new("");
    let output = site.forebay(&["browse", &format!("s7://{}", server.address())]);
    assert_eq!(output.status.code(), Some(3));
    assert!(complaint(&output).contains("cannot tell what a device holds"), "{}", complaint(&output));
    let output = site.forebay(&["trust", &format!("s7://{}", server.address())]);
    assert!(complaint(&output).contains("shows no certificate"), "{}", complaint(&output));
}
