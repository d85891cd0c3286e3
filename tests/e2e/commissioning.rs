//! From another program's files and an unknown network to a configuration: import, discover, probe, record, as they are
//! called.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use hardware_sim::modbus::Plant;
use serde_json::Value;
use tests::field::Field;
use tests::opcua::{Far, Server};
use tests::site::Site;
use tests::snap7::{Library, Snap7};
use tests::{need, wait};

use crate::rig::{Counting, PLC, counting_device, tcp};

const NOWHERE: &str =
    "gateway: g\ndevices: { a: { url: \"modbus-tcp://127.0.0.1:1?unit=1\", tags: { b: \"hr:0\" } } }\n";

fn told(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// The exports that lie beside the importer, see their README for where each is from.
fn exports() -> Vec<PathBuf> {
    let folder = need::root().join("gateway/src/command/import/samples");
    let files = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|kind| kind != "md")).collect();
    files.sort();
    files
}

#[test]
fn what_is_imported_passes_the_check() {
    let site = Site::new(NOWHERE);
    let exports = exports();
    assert!(exports.len() >= 17, "{exports:?}");
    for export in exports {
        let path = export.display().to_string();
        let imported = site.forebay(&["import", &path]);
        // A file whose devices no driver reads gives a text of comments, and says so.
        let is_empty = path.ends_with("plc4x_source.properties");
        assert_eq!(imported.status.code(), Some(i32::from(is_empty)), "{path}: {}", told(&imported));
        if is_empty {
            continue;
        }
        site.write(&String::from_utf8(imported.stdout).expect("UTF-8"));
        let checked = site.forebay(&["check", "gateway.yaml"]);
        assert_eq!(checked.status.code(), Some(0), "{path}: {}", told(&checked));
        let planned = site.forebay(&["plan", "gateway.yaml"]);
        assert_eq!(planned.status.code(), Some(0), "{path}: {}", told(&planned));
    }
}

#[test]
fn what_answers_is_found_and_nothing_else() {
    let field = Field::new();
    let plant = Plant::new();
    [1, 7].iter().for_each(|unit| plant.write_holding(*unit, 0, &[1]));
    let (_server, modbus) = field.tcp(&plant);
    let site = Site::new(NOWHERE);
    let discover = |arguments: &[&str]| {
        let output = site.forebay(&[&["discover", "127.0.0.1", "--json", "--timeout", "2000"], arguments].concat());
        let found: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", told(&output)));
        (output.status.code(), found)
    };
    let (code, found) = discover(&["--only", "modbus", "--modbus-port", &modbus.port().to_string(), "--units", "1-8"]);
    let urls: Vec<&str> = found.as_array().into_iter().flatten().filter_map(|one| one["url"].as_str()).collect();
    let unit = |unit: u16| format!("modbus-tcp://{modbus}?unit={unit}");
    assert_eq!((code, urls), (Some(0), vec![&*unit(1), &*unit(7)]), "{found}");

    let closed = SocketAddr::from(([127, 0, 0, 1], tests::field::free_port()));
    assert_eq!(discover(&["--only", "s7", "--s7-port", &closed.port().to_string()]).0, Some(1));

    if let Some(snap7) = Snap7::start(site.folder(), Library::C) {
        let (code, found) = discover(&["--only", "s7", "--s7-port", &snap7.port().to_string()]);
        assert!(
            code == Some(0) && found[0]["url"].as_str().is_some_and(|url| url.starts_with("s7://127.0.0.1:")),
            "{found}"
        );
    }
    if let Some(server) = Far::start(Server::Asyncua, site.folder(), &[]) {
        let (code, found) = discover(&["--only", "opcua", "--opcua-port", &server.port().to_string()]);
        assert!(code == Some(0) && found.to_string().contains("opc.tcp://"), "{found}");
    }
}

#[test]
fn what_a_display_shows_is_found_under_its_type_and_order() {
    let field = Field::new();
    let plant = Plant::new();
    // 229.01 as a REAL whose words stand the other way round, one register behind the one in the table of the device.
    let [high, low] = [(229.01_f32.to_bits() >> 16) as u16, 229.01_f32.to_bits() as u16];
    plant.write_holding(1, 100, &[0, low, high, 0]);
    let (_server, address) = field.tcp(&plant);
    let site = Site::new(NOWHERE);
    let probe = |expected: &str| site.forebay(&["probe", &tcp(address), "hr:100", "--expect", expected]);
    let found = probe("229.01");
    let text = told(&found);
    assert!(found.status.code() == Some(0) && text.contains("hr:101:REAL@CDAB"), "{text}");
    assert_eq!(probe("17.5").status.code(), Some(1));
    // The line that it prints is one for the file.
    let device = format!("  a:\n    url: {}\n    tags: {{ volts: \"hr:101:REAL@CDAB\" }}\n", tcp(address));
    site.write(&format!("gateway: g\ndevices:\n{device}"));
    let checked = site.forebay(&["check", "gateway.yaml", "--connect"]);
    assert!(checked.status.success(), "{}", told(&checked));
    let read = site.forebay(&["read", &tcp(address), "hr:101:REAL@CDAB"]);
    assert!(read.status.success() && told(&read).contains("229.01"), "{}", told(&read));
}

#[test]
fn a_running_gateway_gives_its_recording_and_tells_its_frames() {
    let Some(tshark) = need::program("tshark") else { return };
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let site = Site::new(&format!("gateway: g\nevery: 200ms\ndevices:\n{}", counting_device(PLC, &tcp(plc.address))));
    let gateway = site.start();
    wait::for_it("it is polled", wait::SOON, || plc.oracle.last() > 5);
    let recorded = site.forebay(&["record", PLC, "-c", "gateway.yaml"]);
    assert!(recorded.status.success(), "{}", told(&recorded));
    let file = String::from_utf8(recorded.stdout).expect("a path");
    let output = Command::new(tshark).args(["-r", file.trim(), "-Y", "modbus"]).output().expect("tshark");
    let text = told(&output);
    assert!(text.lines().count() >= 10 && text.contains("Response") && !text.contains("alformed"), "{text}");
    let frames = || gateway.log().matches("unit 1").count();
    let decode = |state: &str| site.forebay(&["record", PLC, "-c", "gateway.yaml", "--decode", state]).status.code();
    assert_eq!((frames(), decode("on")), (0, Some(0)));
    wait::for_it("frames are told", wait::SOON, || frames() > 4);
    assert_eq!(decode("off"), Some(0));
    assert_eq!(site.forebay(&["record", "oven", "-c", "gateway.yaml"]).status.code(), Some(1));
}
