//! Every data type in every byte order, against pymodbus over each transport and against tokio-modbus.

use std::process::Command;
use std::time::Duration;

use hardware_sim::modbus::Plant;
use tests::cases::{self, Case};
use tests::certificates::Certificates;
use tests::field::Field;
use tests::gateway::Running;
use tests::pymodbus::Pymodbus;
use tests::site::Site;
use tests::subscriber::Received;
use tests::{need, wait};

use crate::rig::{embedded, file};

/// Why there is no reading while the far side is not there.
const AWAY: [&str; 3] = ["not-connected", "disconnected", "timeout"];

/// Every case of Modbus.
fn all() -> Vec<Case> {
    cases::modbus::registers().into_iter().chain(cases::modbus::bits()).collect()
}

/// Starts the gateway on a device of this URL and compares every case.
pub(crate) fn every_value_arrives_from(url: &str, all: &[Case]) {
    let field = Field::new();
    let (_broker, uplink, recorder) = embedded(&field);
    let device = format!("  plc:\n    url: \"{url}\"\n    every: 1s\n    timeout: 2s\n    tags:\n{}", cases::tags(all));
    let site = Site::new(&file(&device, &uplink));
    let gateway = site.start();
    // A far side that is slow to begin is no answer yet.
    let answer = |case: &Case| recorder.last("plc", &case.tag).filter(|reading| !AWAY.contains(&reading.reason()));
    let readings = wait::until("an answer for each case", wait::SOON * 2, || {
        all.iter().map(answer).collect::<Option<Vec<Received>>>()
    });
    let wrong: Vec<String> = all
        .iter()
        .zip(&readings)
        .filter(|(case, reading)| !cases::holds(case, reading))
        .map(|(case, reading)| format!("{} is {}, arrived as {}", case.address, case.value, reading.body))
        .collect();
    assert!(wrong.is_empty(), "{} of {} values are wrong:\n{}", wrong.len(), all.len(), wrong.join("\n"));
    drop(gateway);
}

pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::TempDir::with_prefix("forebay-far-").expect("a temporary directory")
}

#[test]
fn every_type_and_order_arrives_from_pymodbus_over_tcp() {
    let folder = folder();
    let Some(far) = Pymodbus::start(folder.path(), &["tcp"]) else { return };
    every_value_arrives_from(&format!("modbus-tcp://127.0.0.1:{}?unit=1", far.port()), &all());
}

#[test]
fn every_type_and_order_arrives_from_pymodbus_over_rtu_in_tcp() {
    let folder = folder();
    let Some(far) = Pymodbus::start(folder.path(), &["rtu-over-tcp"]) else { return };
    every_value_arrives_from(&format!("modbus-rtu-over-tcp://127.0.0.1:{}?unit=1", far.port()), &all());
}

#[test]
fn every_type_and_order_arrives_from_pymodbus_over_tls() {
    let folder = folder();
    let Some(keys) = Certificates::make(folder.path()) else { return };
    let (cert, key, ca) = (keys.file("server.pem"), keys.file("server.key"), keys.file("ca.pem"));
    let arguments = ["tls", "--cert", &cert, "--key", &key, "--ca", &ca];
    let Some(far) = Pymodbus::start(folder.path(), &arguments) else { return };
    let (own, own_key) = (keys.file("client.pem"), keys.file("client.key"));
    let url = format!("modbus-tls://127.0.0.1:{}?unit=1&ca={ca}&cert={own}&key={own_key}", far.port());
    every_value_arrives_from(&url, &all());
}

#[test]
fn every_type_and_order_arrives_from_pymodbus_over_a_serial_line() {
    let folder = folder();
    let Some(socat) = need::program("socat") else { return };
    let (ours, theirs) = (folder.path().join("ours"), folder.path().join("theirs"));
    let end = |path: &std::path::Path| format!("pty,raw,echo=0,link={}", path.display());
    let mut command = Command::new(socat);
    let _line = Running::start(command.arg(end(&ours)).arg(end(&theirs)), &folder.path().join("socat.log"));
    wait::for_it("the line is there", Duration::from_secs(5), || ours.exists() && theirs.exists());
    let device = theirs.display().to_string();
    let Some(_far) = Pymodbus::start(folder.path(), &["rtu", "--device", &device]) else { return };
    every_value_arrives_from(&format!("modbus-rtu://{}?unit=1&baud=19200", ours.display()), &all());
}

#[test]
fn every_type_and_order_arrives_from_tokio_modbus_over_tcp() {
    let field = Field::new();
    let plant = Plant::new();
    cases::modbus::fill(&plant, 1);
    let (_server, address) = field.tcp(&plant);
    every_value_arrives_from(&format!("modbus-tcp://{address}?unit=1"), &all());
}

#[test]
fn every_type_and_order_arrives_from_tokio_modbus_over_rtu_in_tcp() {
    let field = Field::new();
    let plant = Plant::new();
    cases::modbus::fill(&plant, 1);
    let (_server, address) = field.rtu_over_tcp(&plant);
    every_value_arrives_from(&format!("modbus-rtu-over-tcp://{address}?unit=1"), &all());
}
