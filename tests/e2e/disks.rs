//! F14, F15, F17: the disk under the buffer is full, refuses, or is slow.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use hardware_sim::faults::{Framing, Link};
use serde_json::Value;
use tests::disk::{FaultySyscalls, SmallDisk};
use tests::field::{self, Field};
use tests::http;
use tests::oracle::holes;
use tests::site::Site;
use tests::subscriber::{Received, Subscriber};
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

/// So many numbers of which no bit can be foreseen stand beside the counter, so that a small disk fills within seconds.
const NOISE_TAGS: u16 = 600;

/// The device of the counter, with noise.
fn noisy_device(plc: &Counting) -> String {
    let tag = |tag: u16| format!("      noise{tag}: \"hr:{}:LREAL\"\n", 100 + 4 * tag);
    format!("{}{}", counting_device(PLC, &tcp(plc.address)), (0..NOISE_TAGS).map(tag).collect::<String>())
}

/// Gives each of them another value.
fn make_noise(plc: &Counting, state: &mut u64) {
    let mut word = || {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        // No infinity and no NaN.
        (*state >> 32) as u16 & 0x7fef
    };
    let words: Vec<u16> = (0..4 * NOISE_TAGS).map(|_| word()).collect();
    plc.plant.write_holding(1, 100, &words);
}

/// Every seq that was declared lost so far.
fn declared(recorder: &Subscriber) -> BTreeSet<u64> {
    let range = |gap: &Value| {
        let number = |name: &str| gap["gap"][name].as_u64().expect("a number");
        assert_eq!(number("count"), number("last") - number("first") + 1, "all of one class: {gap}");
        number("first")..=number("last")
    };
    recorder.with(|all| all.gaps.iter().flat_map(range).collect())
}

/// Every seq that is missing at the broker so far.
fn missing(recorder: &Subscriber) -> BTreeSet<u64> {
    recorder.with(|all| holes(&all.readings)).into_iter().collect()
}

/// What the gateway counts as lost, over all reasons.
fn counted_as_lost(door: SocketAddr) -> u64 {
    let (_, page) = http::get(door, "/metrics").expect("the gateway answers");
    let lines = page.lines().filter(|line| line.starts_with("forebay_buffer_lost_readings_total{"));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u64
}

/// Readings that came once the link was up again. Those that were on their way when the log gave them up are among them: it
/// counts them as lost, for it cannot know that they have arrived.
fn came_late(recorder: &Subscriber, up: SystemTime) -> u64 {
    let is_late = |reading: &&Received| reading.at >= up;
    let late =
        recorder.with(|all| all.readings.iter().filter(is_late).map(|reading| reading.seq).collect::<BTreeSet<u64>>());
    late.len() as u64
}

#[test]
fn a_full_disk_costs_what_the_gateway_declares_and_no_reading_more() {
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let (broker, _, recorder) = embedded(&field);
    let proxy = field.proxy(broker.address(), Framing::Stream);
    let door = free();
    // The disk is full long before the buffer has its size.
    let yaml = format!(
        "{}http: {{ listen: {door} }}\nbuffer: {{ path: $BUFFER, max_size: 1MiB, ballast: 64KiB }}\n",
        file(&noisy_device(&plc), &format!("mqtt://{}", proxy.address()))
    );
    let site = Site::new(&yaml);
    let Some(_disk) = SmallDisk::mount(&site.buffer(), 400) else { return };
    let mut gateway = site.start();
    running(&recorder);
    proxy.link(Link::Refuse);
    let mut noise = 0x9e37_79b9_7f4a_7c15;
    wait::for_it("the disk is full", wait::SOON * 6, || {
        make_noise(&plc, &mut noise);
        counted_as_lost(door) > 0
    });
    answers(&plc.oracle, 10);
    assert!(gateway.ended().is_none(), "it lives");
    let up = SystemTime::now();
    proxy.link(Link::Up);
    wait::for_it("what is missing is declared", wait::SOON * 6, || missing(&recorder) == declared(&recorder));
    wait::for_it("the gateway is well", wait::SOON, || is_ready(door));
    // While the backlog leaves, the disk may still be too small for what comes meanwhile.
    plc.all_arrive(&recorder, wait::SOON * 6);
    wait::for_it("all has come", wait::SOON * 6, || missing(&recorder) == declared(&recorder));
    // It goes on by itself, and loses nothing more.
    let lost = counted_as_lost(door);
    answers(&plc.oracle, 10);
    plc.all_arrive(&recorder, wait::SOON * 2);
    assert_eq!(missing(&recorder), declared(&recorder));
    assert_eq!(counted_as_lost(door), lost);
    assert!(gateway.terminate().success());
    let (missing, late) = (missing(&recorder).len() as u64, came_late(&recorder, up));
    eprintln!("{missing} readings are missing, {lost} are counted as lost, {late} came late");
    assert!(missing > 0 && (missing..=missing + late).contains(&lost), "{missing} missing, {lost} lost, {late} late");
    plc.verdict(&recorder.readings()).must_be_true();
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
