//! The simulated OPC UA server, asked by a client that we did not write, asyncua's: it and the driver are checked by
//! different people.

use hardware_sim::opcua::{OpcUaConfig, OpcUaPlc, UaType};
use hardware_sim::signal::{Signal, Wave};
use serde_json::json;
use tests::field::Field;
use tests::opcua;

/// `BadNotReadable`.
const NOT_READABLE: u32 = 0x803A_0000;

fn ramp() -> Signal {
    Signal::Ramp(Wave { min: 0.0, max: 1000.0, period: std::time::Duration::from_secs(100) })
}

#[test]
fn asyncua_finds_and_leaves_what_it_should() {
    let field = Field::new();
    let plc = OpcUaPlc::new();
    plc.configure(OpcUaConfig { operations_max: 50, ..OpcUaConfig::default() });
    plc.drive("ns=2;s=Tank.Level", UaType::Double, None, ramp()).expect("a place");
    plc.drive("/Objects/2:Line/2:Speeds", UaType::Int16, Some(3), Signal::Constant(7.0)).expect("a place");
    plc.drive("nsu=urn:plant;i=5", UaType::Boolean, None, Signal::Constant(1.0)).expect("a place");
    plc.drive("ns=2;s=Secret", UaType::Float, None, Signal::Constant(1.0)).expect("a place");
    plc.refuse("ns=2;s=Secret", NOT_READABLE).expect("a place");
    let oracle = plc.oracle("ns=2;s=n").expect("a place");
    let server = field.opcua(&plc);
    let url = format!("opc.tcp://{}", server.address());
    let nodes = ["ns=2;s=Tank.Level", "ns=2;s=Line.Speeds", "ns=3;i=5", "ns=2;s=n"];
    let Some(found) = opcua::client(&url, &nodes) else { return };
    let namespaces = ["http://opcfoundation.org/UA/", "urn:forebay:sim", "urn:forebay:sim:2", "urn:plant"];
    for (name, value) in [
        ("namespaces", json!(namespaces)),
        ("state", json!(0)),
        ("limit", json!(50)),
        ("types", json!(["Double", "Int16", "Boolean", "UInt32"])),
        ("many", json!("BadTooManyOperations")),
        ("unknown", json!("BadNodeIdUnknown")),
        ("written", json!(42.5)),
        ("notified", json!(42.5)),
        ("wrong_type", json!("BadTypeMismatch")),
    ] {
        assert_eq!(found[name], value, "{name} of {found}");
    }
    assert_eq!(found["values"][1], json!([7, 7, 7]), "{found}");
    assert_eq!(found["values"][2], json!(true), "{found}");
    let folder = |name: &str| found["tree"][name].as_object().map(|below| below.keys().cloned().collect::<Vec<_>>());
    assert_eq!(folder("2:Line"), Some(vec!["2:Speeds".to_owned()]), "{found}");
    assert_eq!(folder("2:Namespace2").map(|names| names.len()), Some(3), "{found}");
    assert!(folder("0:Server").is_some_and(|names| names.contains(&"0:ServerStatus".to_owned())), "{found}");
    // Ten samples a second: a signal changes, a constant does not.
    let changes = |node: &str| found["changes"][node].as_u64().unwrap_or_default();
    assert!(changes("ns=2;s=Tank.Level") >= 5 && changes("ns=2;s=n") >= 5, "{found}");
    assert_eq!((changes("ns=2;s=Line.Speeds"), changes("ns=3;i=5")), (1, 1), "{found}");
    assert!(oracle.last() >= changes("ns=2;s=n"), "{found}");
    let counts = plc.counts();
    assert_eq!((counts.monitored, counts.written, counts.refused), (4, 1, 0), "{counts:?}");
}

#[test]
fn what_is_refused_is_refused_and_a_restart_takes_every_session() {
    let field = Field::new();
    let plc = OpcUaPlc::new();
    plc.drive("ns=2;s=a", UaType::Double, None, ramp()).expect("a place");
    let mut server = field.opcua(&plc);
    let url = format!("opc.tcp://{}", server.address());
    let Some(_) = opcua::client(&url, &["ns=2;s=a"]) else { return };
    server.restart().expect("the port is ours");
    // What it wrote last time is there still: the PLC outlives its server.
    let found = opcua::client(&url, &["ns=2;s=a"]).expect("it was installed a moment ago");
    assert_eq!(found["values"][0], json!(42.5), "{found}");
    plc.refuse("ns=2;s=a", NOT_READABLE).expect("a place");
    let refused = std::panic::catch_unwind(|| opcua::client(&url, &["ns=2;s=a"]));
    let words = refused.expect_err("it is refused").downcast::<String>().map(|words| *words).unwrap_or_default();
    assert!(words.contains("BadNotReadable"), "{words}");
    assert!(plc.counts().refused > 0);
}
