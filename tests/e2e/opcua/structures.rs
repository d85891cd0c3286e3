//! Structures of the servers' own types, told as JSON by what each server says of them.

use serde_json::{Value, json};
use tests::field::Field;
use tests::opcua::{Far, Server};
use tests::site::Site;
use tests::wait;

use crate::rig::{embedded, file};
use crate::types::folder;

/// What arrives of these nodes, as JSON, once each of them has a good value.
fn told(server: Server, read: &str, nodes: &[&str]) -> Option<Vec<Value>> {
    let folder = folder();
    let far = Far::start(server, folder.path(), &["--structures"])?;
    let field = Field::new();
    let (_broker, uplink, recorder) = embedded(&field);
    let tags: String = nodes.iter().map(|node| format!("      {node}: \"ns=2;s={node}\"\n")).collect();
    let device = format!("  far:\n    url: {}?policy=none&read={read}\n    tags:\n{tags}", far.url());
    let site = Site::new(&file(&device, &uplink));
    let gateway = site.start();
    let last = |node: &&str| recorder.last("far", node).filter(|reading| reading.is_good());
    wait::for_it("a value of each", wait::SOON, || nodes.iter().all(|node| last(node).is_some()));
    let found = nodes.iter().filter_map(last).map(|reading| parsed(reading.value())).collect();
    assert!(gateway.terminate().success());
    Some(found)
}

/// The JSON in a text, or in each text of a list.
fn parsed(value: &Value) -> Value {
    match value {
        Value::Array(values) => values.iter().map(parsed).collect(),
        Value::String(text) => serde_json::from_str(text).expect("it is JSON"),
        other => panic!("no structure: {other}"),
    }
}

fn asyncuas(read: &str) {
    let Some(found) = told(Server::Asyncua, read, &["machine", "axes", "either"]) else { return };
    let (left, right) =
        (json!({"name": "left", "position": 1.5, "mode": 1}), json!({"name": "rechts", "position": "NaN", "mode": 0}));
    let id = found[0]["id"].as_u64().expect("it counts");
    let machine = json!({
        "id": id, "main": left, "axes": [left, right], "since": "2026-11-23T02:28:33.123",
        "speeds": [0.1, -2.5], "any": 7,
    });
    assert_eq!(found[0], machine, "what is optional and absent is not there");
    assert_eq!(found[1], json!([left, right]));
    assert_eq!(found[2], json!({"text": "this one"}));
}

#[test]
fn structures_of_asyncua_arrive_as_json() {
    asyncuas("subscribe");
}

#[test]
fn structures_of_asyncua_are_polled_as_json() {
    asyncuas("poll");
}

#[test]
fn a_structure_of_the_standard_arrives_from_node_opcua_as_json() {
    let Some(found) = told(Server::NodeOpcua, "subscribe", &["scale"]) else { return };
    let unit = json!({
        "NamespaceUri": "http://www.opcfoundation.org/UA/units/un/cefact", "UnitId": 4_408_652,
        "DisplayName": "°C", "Description": "degree Celsius",
    });
    let scale = json!({
        "EngineeringUnits": unit, "EURange": {"Low": -40.0, "High": 120.5}, "Title": "Temperatur",
        "AxisScaleType": 1, "AxisSteps": [0.5, 1.0, 2.0],
    });
    assert_eq!(found, [scale]);
}
