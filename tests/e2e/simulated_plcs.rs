//! The simulated S7 PLC, asked by clients that we did not write: it and the driver are checked by different people.

use hardware_sim::s7::{Area, CpuState, Plc, PlcConfig};
use serde_json::{Value, json};
use tests::field::Field;
use tests::snap7::{self, Library};

fn plc(pdu_max: u16, tpdu_max: u16) -> Plc {
    let plc = Plc::new();
    plc.configure(PlcConfig { pdu_max, tpdu_max, tsap: Some(0x0102), ..PlcConfig::default() });
    plc.load(1, 1000);
    plc.write(Area::Block(1), 0, &[1, 2, 3, 4, 5, 6, 7, 8]);
    plc.write(Area::Block(2), 0, &[1; 3000]);
    plc.write(Area::Flags, 10, &[1, 2, 3, 4]);
    plc.write(Area::Inputs, 0, &[0x11, 0x22]);
    plc.write(Area::Outputs, 0, &[0x33, 0x44]);
    plc.write(Area::Timers, 2 * 5, &[0x21, 0x27]);
    plc.write(Area::Counters, 2 * 3, &[0x02, 0x34]);
    plc
}

/// Lets a client do its round, and looks at what it found and at what it left.
fn serves(library: Library, plc: &Plc, pdu: u16) {
    let field = Field::new();
    let server = field.s7(plc);
    let Some(found) = snap7::client(library, server.address().port()) else { return };
    for (name, value) in [
        ("pdu", json!(pdu)),
        ("block", json!("0102030405060708")),
        ("long", json!(3000)),
        ("flags", json!("01020304")),
        ("inputs", json!("1122")),
        ("outputs", json!("3344")),
        ("timers", json!([0x21, 0x27])),
        ("counters", json!([2, 0x34])),
        ("several", json!(["010203", "0102", "11"])),
        ("module", json!("CPU SIM")),
        ("serial", json!("S SIM-00000001")),
        ("station", json!("hardware-sim")),
        ("order", json!("FOREBAY SIM-0AB0")),
        ("state", json!("RUN")),
        ("stopped", json!("STOP")),
    ] {
        assert_eq!(found[name], value, "{name} of {found}");
    }
    let told = |name: &str| found[name].as_str().map(str::to_lowercase).unwrap_or_default();
    assert!(told("no_block").contains("not available") || told("no_block").contains("not exist"), "{found}");
    assert!(told("beyond").contains("address"), "{found}");
    let pattern: Vec<u8> = (0..3).flat_map(|_| 0..200).collect();
    assert_eq!(plc.read(Area::Block(1), 100, 600), pattern);
    assert_eq!(plc.read(Area::Flags, 20, 2), [0xAB, 0xCD]);
    assert_eq!(plc.read(Area::Block(1), 90, 1), [1]);
    assert_eq!(plc.cpu_state(), CpuState::Run);
    assert!(plc.counts().items_refused >= 2, "{:?}", plc.counts());
    assert_ne!(found["station"], Value::Null);
}

#[test]
fn the_pure_client_finds_and_leaves_what_it_should() {
    let plc = plc(480, 1024);
    serves(Library::Python, &plc, 480);
    assert_eq!(plc.counts().breaches, 0);
}

#[test]
fn the_c_library_finds_and_leaves_what_it_should() {
    let plc = plc(960, 1024);
    serves(Library::C, &plc, 480);
    assert_eq!(plc.counts().breaches, 0);
}

/// The library puts fragments together, but sends none itself, whatever was agreed.
#[test]
fn small_pdus_in_fragments_are_put_together_by_the_c_library() {
    serves(Library::C, &plc(240, 128), 240);
}
