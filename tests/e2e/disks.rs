//! F14, F15, F17: the disk under the buffer is filled by others, refuses, or is slow.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use hardware_sim::faults::{Framing, Link};
use serde_json::Value;
use tests::disk::{FaultySyscalls, SmallDisk};
use tests::field::{self, Field};
use tests::http;
use tests::site::Site;
use tests::wait;

use crate::rig::{
    Counting, EVERY, PLC, answers, counting_device, embedded, file, lateness, nothing_is_missing, running, tcp,
};

/// An address of the loopback that was free just now.
fn free() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], field::free_port()))
}

/// Why the gateway says that it is not ready; empty when it is.
fn reasons(door: SocketAddr) -> String {
    let Ok((_, body)) = http::get(door, "/readyz") else { return "no answer".into() };
    let answer: Value = serde_json::from_str(&body).expect("JSON");
    answer["reasons"].to_string()
}

fn is_ready(door: SocketAddr) -> bool {
    http::get(door, "/readyz").is_ok_and(|(status, _)| status == 200)
}

/// So many numbers stand beside the counter, so that what is free is soon taken.
const NOISE_TAGS: u16 = 600;

/// The device of the counter, with noise.
fn noisy_device(plc: &Counting) -> String {
    let tag = |tag: u16| format!("      noise{tag}: \"hr:{}:LREAL\"\n", 100 + 4 * tag);
    format!("{}{}", counting_device(PLC, &tcp(plc.address)), (0..NOISE_TAGS).map(tag).collect::<String>())
}

/// What the gateway counts as lost, over all reasons.
fn counted_as_lost(door: SocketAddr) -> u64 {
    let (_, page) = http::get(door, "/metrics").expect("the gateway answers");
    let lines = page.lines().filter(|line| line.starts_with("forebay_buffer_lost_readings_total{"));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u64
}

#[test]
fn a_disk_that_others_fill_for_a_while_costs_no_reading() {
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let (_broker, uplink, recorder) = embedded(&field);
    let door = free();
    let yaml = format!(
        "{}http: {{ listen: {door} }}\nbuffer: {{ path: $BUFFER, max_size: 4MiB, ballast: 64KiB }}\n",
        file(&noisy_device(&plc), &uplink)
    );
    let site = Site::new(&yaml);
    let Some(disk) = SmallDisk::mount(&site.buffer(), 8 * 1024) else { return };
    let mut gateway = site.start();
    running(&recorder);
    wait::for_it("the gateway is well", wait::SOON, || is_ready(door));
    // What the gateway gives up, its ballast first, is taken at once.
    wait::for_it("nothing is left to give up", wait::SOON * 2, || {
        disk.fill();
        reasons(door).contains("takes no readings")
    });
    answers(&plc.oracle, 20);
    assert!(gateway.ended().is_none(), "it lives");
    disk.clear();
    wait::for_it("the gateway is well again", wait::SOON, || is_ready(door));
    answers(&plc.oracle, 10);
    plc.all_arrive(&recorder, wait::SOON);
    assert_eq!(counted_as_lost(door), 0);
    assert!(gateway.terminate().success());
    let readings = recorder.readings();
    nothing_is_missing(&readings);
    plc.verdict(&readings).must_be_perfect();
}

#[test]
fn a_read_only_disk_at_the_start_stops_no_readings_and_gets_them_when_it_can_be_written_to() {
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let (broker, _, recorder) = embedded(&field);
    let proxy = field.proxy(broker.address(), Framing::Stream);
    let door = free();
    let device = counting_device(PLC, &tcp(plc.address));
    let yaml = format!("{}http: {{ listen: {door} }}\n", file(&device, &format!("mqtt://{}", proxy.address())));
    let site = Site::new(&yaml);
    let Some(disk) = SmallDisk::mount(&site.buffer(), 16 * 1024) else { return };
    let first = site.start();
    running(&recorder);
    assert!(first.terminate().success());
    disk.remount("ro");
    let mut gateway = site.start();
    let before = recorder.count();
    wait::for_it("readings flow", wait::SOON, || recorder.count() > before + 10);
    assert!(gateway.ended().is_none());
    assert!(reasons(door).contains("Read-only file system"), "{}", reasons(door));
    assert!(gateway.log().contains("kept in memory"), "the operator is told");
    proxy.link(Link::Refuse);
    answers(&plc.oracle, 10);
    disk.remount("rw");
    wait::for_it("the folder takes what was held", wait::SOON, || !reasons(door).contains("memory"));
    // What was held lies there now: it survives a kill.
    gateway.kill();
    proxy.link(Link::Up);
    let gateway = site.start();
    answers(&plc.oracle, 10);
    plc.all_arrive(&recorder, wait::SOON);
    wait::for_it("the gateway is well", wait::SOON, || is_ready(door));
    assert!(gateway.terminate().success());
    let readings = recorder.readings();
    nothing_is_missing(&readings);
    plc.verdict(&readings).must_have_lost_only_before(&[], Duration::ZERO);
}

/// A gateway over a disk that can be made slow and broken.
fn faulty(plc: &Counting, uplink: &str) -> Option<(Site, FaultySyscalls, SocketAddr)> {
    let door = free();
    let device = counting_device(PLC, &tcp(plc.address));
    let site = Site::new(&format!("{}http: {{ listen: {door} }}\n", file(&device, uplink)));
    let disk = FaultySyscalls::build(site.folder(), &site.buffer())?;
    Some((site, disk, door))
}

fn start(site: &Site, disk: &FaultySyscalls) -> tests::gateway::Gateway {
    let environment = disk.environment();
    let environment: Vec<(&str, &str)> =
        environment.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    site.start_with(&environment)
}

#[test]
fn a_disk_that_fails_for_a_while_costs_no_reading() {
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let (_broker, uplink, recorder) = embedded(&field);
    let Some((site, disk, door)) = faulty(&plc, &uplink) else { return };
    let mut gateway = start(&site, &disk);
    running(&recorder);
    wait::for_it("the gateway is well", wait::SOON, || is_ready(door));
    disk.broken();
    wait::for_it("it says so", wait::SOON, || reasons(door).contains("takes no readings"));
    answers(&plc.oracle, 30);
    assert!(gateway.ended().is_none());
    disk.well();
    wait::for_it("the gateway is well again", wait::SOON, || is_ready(door));
    answers(&plc.oracle, 10);
    plc.all_arrive(&recorder, wait::SOON);
    drop(gateway);
    let readings = recorder.readings();
    nothing_is_missing(&readings);
    plc.verdict(&readings).must_be_perfect();
}

#[test]
fn a_disk_whose_syncs_take_two_seconds_delays_no_poll() {
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let (_broker, uplink, recorder) = embedded(&field);
    let uplink = format!("{uplink}\n  # What is not delivered has to be synced.\n  other:\n    url: mqtt://{}", free());
    let Some((site, disk, _)) = faulty(&plc, &uplink) else { return };
    let site_yaml = fs::read_to_string(site.file()).expect("the file");
    assert!(site_yaml.contains("other:"));
    let gateway = start(&site, &disk);
    running(&recorder);
    answers(&plc.oracle, 20);
    let from = SystemTime::now();
    answers(&plc.oracle, 60);
    let slow_from = SystemTime::now();
    disk.slow();
    answers(&plc.oracle, 60);
    let p99 = |late: &[Duration]| late[late.len() * 99 / 100];
    let slow = lateness(&plc.oracle, slow_from, EVERY);
    let all = lateness(&plc.oracle, from, EVERY);
    let quick = &all[..];
    let (quick, slow) = (p99(&quick[..quick.len() / 2]), p99(&slow));
    eprintln!("p99 lateness {quick:?} on a quick disk, {slow:?} on one whose syncs take 2 s");
    assert!(slow < quick + Duration::from_millis(100), "{quick:?}, {slow:?}");
    plc.all_arrive(&recorder, wait::SOON);
    drop(gateway);
    let readings = recorder.readings();
    nothing_is_missing(&readings);
    plc.verdict(&readings).must_be_perfect();
}
