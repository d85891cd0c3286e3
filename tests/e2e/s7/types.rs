//! Every type in every area, from two servers that we did not write and from the simulator.

use hardware_sim::s7::{Area, Plc, PlcConfig};
use serde_json::json;
use tests::cases::{self, Case};
use tests::field::Field;
use tests::snap7::{Library, Snap7};

use super::url;
use crate::types::{every_value_arrives_from, folder};

fn far(library: Library, all: &[Case]) {
    let folder = folder();
    let Some(far) = Snap7::start(folder.path(), library) else { return };
    every_value_arrives_from(&format!("s7://127.0.0.1:{}", far.port()), all);
}

#[test]
fn every_type_and_area_arrives_from_the_pure_python_snap7() {
    far(Library::Python, &cases::s7::all());
}

/// The C library looks for timer n at byte n / 2, where a PLC has byte 2 n: only the first of them is where it belongs.
pub(super) fn of_the_c_library() -> Vec<Case> {
    let is_misplaced = |case: &Case| case.address[1..].parse::<u16>().is_ok_and(|number| number > 0);
    cases::s7::all().into_iter().filter(|case| !is_misplaced(case)).collect()
}

#[test]
fn every_type_and_area_arrives_from_the_c_library_snap7() {
    far(Library::C, &of_the_c_library());
}

/// From the simulator, which alone has the periphery.
fn simulated(config: PlcConfig) {
    let field = Field::new();
    let plc = Plc::new();
    plc.configure(config);
    cases::s7::fill(&plc);
    plc.write(Area::Periphery, 256, &[0x12, 0x34]);
    let server = field.s7(&plc);
    let periphery = Case { tag: "analog".into(), address: "PIW256:INT".into(), value: json!(0x1234) };
    let all: Vec<Case> = cases::s7::all().into_iter().chain([periphery]).collect();
    every_value_arrives_from(&url(server.address()), &all);
    assert_eq!(plc.counts().breaches, 0);
}

#[test]
fn every_type_and_area_arrives_from_the_simulator() {
    simulated(PlcConfig::default());
}

#[test]
fn every_type_and_area_arrives_from_the_simulator_in_small_pdus_and_fragments() {
    simulated(PlcConfig { pdu_max: 240, tpdu_max: 128, jobs_max: 1, ..PlcConfig::default() });
}
