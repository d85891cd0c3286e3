//! F20: the configuration changes while the gateway runs. What changed begins anew, what did not goes on undisturbed, and
//! what is wrong changes nothing.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use hardware_sim::modbus::{ModbusServer, Oracle, Plant};
use serde_json::Value;
use tests::field::{Field, free_port};
use tests::gateway::Gateway;
use tests::http::get;
use tests::site::Site;
use tests::wait;

use crate::rig::{
    COUNTER, Counting, EVERY, PLC, counter, counting_device, embedded, file, lateness, nothing_is_missing, running, tcp,
};

const MANY: usize = 20;

/// Counting PLCs, each on a port of its own.
struct Many {
    oracles: Vec<Oracle>,
    devices: Vec<String>,
    _servers: Vec<ModbusServer>,
}

impl Many {
    fn new(field: &Field) -> Many {
        let plants: Vec<Plant> = (0..MANY).map(|_| Plant::new()).collect();
        let oracles = plants.iter().map(|plant| counter(plant, 1)).collect();
        let (servers, addresses): (Vec<_>, Vec<SocketAddr>) = plants.iter().map(|plant| field.tcp(plant)).unzip();
        let device = |(index, address): (usize, &SocketAddr)| counting_device(&format!("d{index}"), &tcp(*address));
        let devices = addresses.iter().enumerate().map(device).collect();
        Many { oracles, devices, _servers: servers }
    }
}

/// The file with a door for its figures.
fn with_http(text: &str, door: SocketAddr) -> String {
    format!("{text}http: {{ listen: {door} }}\n")
}

fn door() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], free_port()))
}

fn status(door: SocketAddr) -> Value {
    let (code, body) = get(door, "/api/v1/status").expect("the gateway answers");
    assert_eq!(code, 200, "{body}");
    serde_json::from_str(&body).expect("JSON")
}

fn changes(door: SocketAddr) -> u64 {
    status(door)["configuration"]["changes"].as_u64().expect("a number")
}

fn metric(door: SocketAddr, name: &str) -> f64 {
    let (_, body) = get(door, "/metrics").expect("the gateway answers");
    let line = body.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name} in {body}"));
    line.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a number")
}

fn changed(gateway: &Gateway, door: SocketAddr, count: u64) {
    gateway.signal("HUP");
    wait::for_it("the change is applied", wait::SOON, || changes(door) == count);
}

#[test]
fn under_load_only_what_changed_begins_anew() {
    let field = Field::new();
    let many = Many::new(&field);
    let (_broker, url, recorder) = embedded(&field);
    let door = door();
    let text = |devices: &[String]| with_http(&file(&devices.concat(), &url), door);
    let site = Site::new(&text(&many.devices[..MANY - 1]));
    let gateway = site.start();
    (0..MANY - 1).for_each(|index| drop(recorder.next_good(&format!("d{index}"), COUNTER)));

    // d0 gets a second tag, d1 goes, the last one comes, d2 is polled more slowly; all others stay.
    let from = SystemTime::now();
    let mut devices = many.devices.clone();
    devices[0].push_str("      other: \"hr:0:UDINT\"\n");
    devices[2].push_str("    every: 300ms\n");
    devices.remove(1);
    site.write(&text(&devices));
    changed(&gateway, door, 1);
    recorder.next_good("d0", "other");
    recorder.next_good(&format!("d{}", MANY - 1), COUNTER);
    let gone = many.oracles[1].last();
    // Back to the first file, by the change of the file alone.
    site.write(&text(&many.devices[..MANY - 1]));
    wait::for_it("the change is applied", wait::SOON, || changes(door) == 2);
    wait::for_it("d1 is polled again", wait::SOON, || many.oracles[1].last() > gone + 10);

    for index in 3..MANY - 1 {
        let late = lateness(&many.oracles[index], from, EVERY);
        assert!(late.last().is_some_and(|late| *late < EVERY * 2), "d{index} missed polls: {late:?}");
        let missed = metric(door, &format!("forebay_device_missed_cycles_total{{device=\"d{index}\""));
        let connects = metric(door, &format!("forebay_line_connects_total{{line=\"d{index}\"}}"));
        assert_eq!((missed, connects), (0.0, 1.0), "d{index}");
    }
    let pause = lateness(&many.oracles[0], from, EVERY);
    eprintln!("longest pause of what changed {:?}", pause.last());
    assert_eq!(metric(door, "forebay_uplink_connects_total"), 1.0, "the uplink keeps its connection");
    assert!(metric(door, "forebay_line_connects_total{line=\"d0\"}") >= 3.0, "what changed is connected anew");
    drop(gateway);
    let received = recorder.readings();
    nothing_is_missing(&received);
    for index in 3..MANY - 1 {
        tests::oracle::compare(&many.oracles[index].answered(), &received, &format!("d{index}"), COUNTER)
            .must_be_true();
    }
}

#[test]
fn what_is_wrong_half_written_or_gone_changes_nothing_and_is_told() {
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let (_broker, url, recorder) = embedded(&field);
    let door = door();
    let right = with_http(&file(&counting_device(PLC, &tcp(plc.address)), &url), door);
    let site = Site::new(&right);
    let mut gateway = site.start();
    running(&recorder);
    let error = || status(door)["configuration"]["error"].as_str().unwrap_or_default().to_owned();

    let wrong = right.replace("hr:0", "hx:0").replace("timeout: 500ms", "timeout: soon");
    site.write(&wrong);
    wait::for_it("the fault is told", wait::SOON, || !error().is_empty());
    let told = error();
    assert!(told.contains("gateway.yaml:") && told.contains("hx:0") && told.contains("soon"), "all faults: {told}");
    assert_eq!(metric(door, "forebay_configuration_valid"), 0.0);
    assert!(gateway.log().contains("hx:0"), "the log tells it too");

    // Half of it, as a copy leaves it that stands still: no file that is whole.
    let whole = std::fs::read_to_string(site.file()).expect("a file").replace("hx:0", "hr:0").replace("soon", "500ms");
    std::fs::write(site.file(), &whole[..whole.find("uplinks").expect("a key") + 4]).expect("writes");
    wait::for_it("the half is told", wait::SOON, || error() != told);
    std::fs::remove_file(site.file()).expect("it is there");
    gateway.signal("HUP");
    wait::for_it("that it is gone is told", wait::SOON, || error().contains("there is no file"));
    running(&recorder);
    assert_eq!((changes(door), gateway.ended()), (0, None));

    std::fs::write(site.file(), whole).expect("writes");
    wait::for_it("all is well again", wait::SOON, || error().is_empty());
    assert_eq!((changes(door), metric(door, "forebay_configuration_valid")), (0, 1.0));
    drop(gateway);
    let received = recorder.readings();
    nothing_is_missing(&received);
    plc.verdict(&received).must_be_true();
}

#[test]
fn a_storm_of_signals_does_no_harm() {
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let (_broker, url, recorder) = embedded(&field);
    let door = door();
    let right = with_http(&file(&counting_device(PLC, &tcp(plc.address)), &url), door);
    let site = Site::new(&right);
    let gateway = site.start();
    running(&recorder);
    let from = SystemTime::now();
    site.write(&right.replace("hr:0:UDINT\"\n", "hr:0:UDINT\"\n      second: \"hr:0:UDINT\"\n"));
    let storm = std::process::Command::new("sh")
        .args(["-c", &format!("for i in $(seq 2000); do kill -HUP {}; done", gateway.id())])
        .status();
    assert!(storm.expect("a shell").success());
    recorder.next_good(PLC, "second");
    wait::pass(Duration::from_secs(2));
    assert_eq!(changes(door), 1);
    let late = lateness(&plc.oracle, from, EVERY);
    assert!(late.last().is_some_and(|late| *late < wait::SOON), "{late:?}");
    drop(gateway);
    nothing_is_missing(&recorder.readings());
}

#[test]
fn what_waits_in_the_log_keeps_its_names_and_units_through_changes() {
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let (broker, url, recorder) = embedded(&field);
    let nobody = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let door = door();
    let text = |uplink: &str, tags: &str| {
        let device = format!("  {PLC}:\n    url: {}\n    timeout: 500ms\n    tags:\n{tags}", tcp(plc.address));
        with_http(&file(&device, uplink), door)
    };
    // The broker is somewhere else at first, so that all of it waits in the log.
    let elsewhere = format!("mqtt://{nobody}");
    let tag = |name: &str, unit: &str| format!("      {name}: {{ address: \"hr:0:UDINT\", unit: {unit} }}\n");
    let stages = [tag("n", "m"), tag("n", "km"), tag("moved", "m"), tag("n", "m") + &tag("late", "s")];
    let site = Site::new(&text(&elsewhere, &stages[0]));
    let gateway = site.start();
    let mut edges = vec![0];
    for (stage, tags) in stages.iter().enumerate() {
        if stage > 0 {
            edges.push(plc.oracle.last());
            site.write(&text(&elsewhere, tags));
            changed(&gateway, door, stage as u64);
        }
        let until = plc.oracle.last() + 5;
        wait::for_it("it is polled", wait::SOON, || plc.oracle.last() >= until);
    }
    site.write(&text(&url, &stages[3]));
    changed(&gateway, door, 4);
    recorder.next_good(PLC, "late");
    plc.all_arrive(&recorder, wait::SOON);
    drop(gateway);
    drop(broker);
    let received = recorder.readings();
    nothing_is_missing(&received);
    let named = |reading: &tests::subscriber::Received| {
        (reading.tag.clone(), reading.body["unit"].as_str().unwrap_or_default().to_owned())
    };
    let name = |tag: &str, unit: &str| (tag.to_owned(), unit.to_owned());
    let expected = [vec![name("n", "m")], vec![name("n", "km")], vec![name("moved", "m")]];
    let mut seen = [0; 4];
    for reading in received.iter().filter(|reading| reading.is_good()) {
        let counter = reading.value().as_u64().expect("a number");
        // The poll at the edge itself may be of either side.
        let Some(stage) = edges.iter().rposition(|edge| counter > edge + 1) else { continue };
        let is_edge = edges.get(stage + 1).is_some_and(|next| counter >= *next);
        if is_edge {
            continue;
        }
        seen[stage] += 1;
        match expected.get(stage) {
            Some(names) => assert!(names.contains(&named(reading)), "{counter}: {:?} in stage {stage}", named(reading)),
            None => assert!([name("n", "m"), name("late", "s")].contains(&named(reading)), "{:?}", named(reading)),
        }
    }
    assert!(seen.iter().all(|count| *count >= 2), "each configuration has left readings: {seen:?}");
}
