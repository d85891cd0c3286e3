//! F29: a log that another version has left is read and delivered. `cases/buffer-0.1` was written by version 0.1 in two
//! starts, each ended by a kill, with `sync: always` and a broker that was never there.

use std::env;
use std::fs;
use std::path::Path;

use hardware_sim::faults::{Framing, Link};
use hardware_sim::modbus::Plant;
use tests::field::Field;
use tests::gateway;
use tests::need;
use tests::oracle::holes;
use tests::site::Site;
use tests::wait;

use crate::rig::{Counting, PLC, answers, counting_device, embedded, file, nothing_is_missing, running, tcp};

/// Names the program of an earlier version. Without it this version stands for it: none was released before this one.
const EARLIER: &str = "FOREBAY_TEST_EARLIER";

/// What `forebay buffer dump` of that version printed.
const READINGS: usize = 120;
const OF_THE_FIRST_START: usize = 75;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("the fixture is committed") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        match path.is_dir() {
            true => copy(&path, &target),
            false => drop(fs::copy(&path, &target).expect("a copy")),
        }
    }
}

#[test]
fn what_an_earlier_version_left_is_delivered_with_its_names_and_nothing_is_lost() {
    let field = Field::new();
    let plant = Plant::new();
    let (_server, address) = field.tcp(&plant);
    let (_broker, uplink, recorder) = embedded(&field);
    // Another configuration than that of the readings in the log.
    let device = format!("  other:\n    url: {}\n    tags:\n      x: \"hr:0:UINT\"\n", tcp(address));
    let site = Site::new(&format!("{}buffer: {{ path: $BUFFER, max_age: 3650d }}\n", file(&device, &uplink)));
    copy(&need::root().join("tests/cases/buffer-0.1"), &site.buffer());
    let gateway = site.start();
    let is_old = |epoch: u64| epoch <= 2;
    wait::for_it("all of it has come", wait::SOON, || {
        recorder.with(|all| all.readings.iter().filter(|reading| is_old(reading.epoch)).count() >= READINGS)
    });
    wait::for_it("new ones follow", wait::SOON, || recorder.last("other", "x").is_some());
    assert!(gateway.terminate().success());
    let readings = recorder.readings();
    assert!(holes(&readings).is_empty() && readings.iter().any(|reading| reading.seq == 1));
    assert!(recorder.with(|all| all.gaps.is_empty()), "nothing was lost");
    let old: Vec<_> = readings.iter().filter(|reading| is_old(reading.epoch)).collect();
    assert_eq!(old.len(), READINGS, "each once");
    assert_eq!(old.iter().filter(|reading| reading.epoch == 1).count(), OF_THE_FIRST_START);
    for tag in ["count", "level", "name"] {
        let of_tag = old.iter().filter(|reading| (&*reading.device, &*reading.tag) == ("press", tag));
        assert_eq!(of_tag.count(), READINGS / 3, "{tag}");
    }
    let unit = |reading: &&&tests::subscriber::Received| reading.body["unit"] == "m";
    assert_eq!(old.iter().filter(unit).count(), READINGS / 3);
}

#[test]
fn the_way_back_to_an_earlier_version_and_forth_again_costs_no_reading() {
    let earlier = env::var_os(EARLIER).map_or_else(gateway::binary, Into::into);
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let (broker, _, recorder) = embedded(&field);
    let proxy = field.proxy(broker.address(), Framing::Stream);
    let bulk = "      many: { address: \"hr:10\", class: bulk }\n";
    let device = format!("{}{bulk}", counting_device(PLC, &tcp(plc.address)));
    let site = Site::new(&file(&device, &format!("mqtt://{}", proxy.address())));
    proxy.link(Link::Refuse);
    let this = site.start();
    answers(&plc.oracle, 30);
    assert!(this.terminate().success());
    let before = site.start_program(&earlier);
    answers(&plc.oracle, 10);
    proxy.link(Link::Up);
    running(&recorder);
    plc.all_arrive(&recorder, wait::SOON);
    proxy.link(Link::Refuse);
    answers(&plc.oracle, 10);
    assert!(before.terminate().success());
    let this = site.start();
    proxy.link(Link::Up);
    answers(&plc.oracle, 10);
    plc.all_arrive(&recorder, wait::SOON);
    assert!(this.terminate().success());
    let readings = recorder.readings();
    nothing_is_missing(&readings);
    assert!(recorder.with(|all| all.gaps.is_empty()), "nothing was lost");
    plc.verdict(&readings).must_be_perfect();
}
