//! Structures of the servers' own types, told as JSON by what each server says of them.

use serde_json::{Value, json};
use tests::field::Field;
use tests::opcua::{Far, Server};
use tests::site::Site;
use tests::wait;

use crate::rig::{embedded, file};
use crate::sparkplug::{Seen, messages, seen};
use crate::types::folder;

/// What arrives of these nodes, as JSON, once each of them has a good value.
fn told(server: Server, read: &str, nodes: &[&str]) -> Option<Vec<Value>> {
    told_by(server, "--structures", read, nodes)
}

fn told_by(server: Server, types: &str, read: &str, nodes: &[&str]) -> Option<Vec<Value>> {
    let folder = folder();
    let far = Far::start(server, folder.path(), &[types])?;
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
fn structures_that_only_a_type_dictionary_tells_of_arrive_as_json() {
    let Some(found) = told_by(Server::Asyncua, "--dictionary", "subscribe", &["pump"]) else { return };
    let (front, back) = (json!({"name": "front", "wear": 0.25}), json!({"name": "hinten", "wear": "NaN"}));
    let pump = json!({
        "id": 7, "main": front, "bearings": [front, back], "since": "2026-11-23T02:28:33.123", "speeds": [0.1, -2.5],
    });
    assert_eq!(found, [pump]);
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

/// What is declared of a structure is a template of Sparkplug, of an array of them a data set, as another's decoder reads them.
#[test]
fn declared_structures_of_asyncua_are_templates_and_data_sets() {
    let (folder, field) = (folder(), Field::new());
    let Some(far) = Far::start(Server::Asyncua, folder.path(), &["--structures"]) else { return };
    let (_broker, url, recorder) = embedded(&field);
    let site = Site::new(&format!(
        "gateway: test/line\nevery: 100ms\ndevices:\n  far:\n    url: {}?policy=none\n    tags:\n      \
         machine: {{ address: \"ns=2;s=machine\", fields: \"id UDINT, main STRING, axes STRING, since LDT, speeds STRING, any LREAL, note STRING\" }}\n      \
         axes: {{ address: \"ns=2;s=axes\", columns: \"name STRING, position LREAL, mode DINT\" }}\n\
         uplinks:\n  scada:\n    url: {url}\n    format: sparkplug-b\n",
        far.url()
    ));
    let gateway = site.start();
    wait::for_it("data arrive", wait::SOON * 2, || messages(&recorder, "DDATA") > 5);
    assert!(gateway.terminate().success());
    let Some(seen) = seen(&recorder) else { return };
    let of = |kind: &str| seen.iter().filter(|message| message.kind == kind).collect::<Vec<&Seen>>();

    let definition = &of("NBIRTH")[0].metric("_types_/far.machine")["value"];
    assert_eq!((&definition["definition"], &definition["ref"]), (&json!(true), &json!("")));
    let types = [("id", 7), ("main", 12), ("axes", 12), ("since", 13), ("speeds", 12), ("any", 10), ("note", 12)];
    for (name, number) in types {
        assert_eq!(definition["members"][name], json!({ "type": number, "value": null }), "{name}");
    }
    let birth = of("DBIRTH").pop().expect("a birth");
    let born = [birth.metric("machine"), birth.metric("axes")];
    assert_eq!(born.map(|metric| &metric["type"]), [&json!(19), &json!(16)]);
    let alias = |metric: &Value| metric["alias"].clone();
    let data: Vec<&Value> = of("DDATA").iter().flat_map(|one| one.content["metrics"].as_array()).flatten().collect();
    let instances: Vec<&Value> =
        data.iter().filter(|metric| metric["alias"] == alias(born[0])).map(|metric| &metric["value"]).collect();
    let instance = instances.last().expect("the machine counts");
    assert_eq!((&instance["definition"], &instance["ref"]), (&json!(false), &json!("far.machine")));
    let member = |name: &str| &instance["members"][name]["value"];
    assert!(member("id").as_u64() > instances[0]["members"]["id"]["value"].as_u64(), "it counts: {instances:?}");
    assert_eq!(
        (member("since"), member("any"), member("note")),
        (&json!(1_795_400_913_123_u64), &json!(7.0), &json!(null))
    );
    assert_eq!(member("speeds"), "[0.1,-2.5]", "what is no plain value is JSON");
    assert_eq!(parsed(member("main")), json!({"name": "left", "position": 1.5, "mode": 1}));

    let tables = [born[1]].into_iter().chain(data).filter(|metric| alias(metric) == alias(born[1]));
    let tables: Vec<&Value> = tables.map(|metric| &metric["value"]).filter(|value| !value.is_null()).collect();
    let table = tables.last().expect("the axes were read");
    assert_eq!((&table["columns"], &table["types"]), (&json!(["name", "position", "mode"]), &json!([12, 10, 3])));
    assert_eq!(table["rows"][0], json!(["left", 1.5, 1]));
    assert_eq!(table["rows"][1], json!(["rechts", "nan", 0]));
}
