//! F18, F19 and F21: little memory, no descriptors left, and very many devices at once.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use hardware_sim::faults::{Framing, Link};
use tests::backlog;
use tests::field::{Field, free_port};
use tests::http::get;
use tests::memory::MemoryBound;
use tests::need;
use tests::site::Site;
use tests::subscriber::Subscriber;
use tests::wait;

use crate::rig::{
    COUNTER, Counting, PLC, answers, counting_device, embedded, file, lateness, nothing_is_missing, running, tcp,
};

/// Sets how many descriptors a process may have from here on.
fn descriptors_max(id: u32, count: u32) {
    let set = Command::new("prlimit").args(["--pid", &id.to_string(), &format!("--nofile={count}:")]).status();
    assert!(set.expect("prlimit is part of util-linux").success());
}

#[test]
fn without_a_free_descriptor_it_fails_softly_and_recovers_by_itself() {
    if need::program("prlimit").is_none() {
        return;
    }
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let proxy = field.proxy(plc.address, Framing::ModbusTcp);
    let (_broker, url, recorder) = embedded(&field);
    let right = file(&counting_device(PLC, &tcp(proxy.address())), &url);
    let site = Site::new(&right);
    let mut gateway = site.start();
    running(&recorder);

    // What is open stays open, and nothing can be opened.
    descriptors_max(gateway.id(), 3);
    proxy.link(Link::Refuse);
    wait::for_it("the PLC is reported as bad", wait::SOON, || {
        recorder.last(PLC, COUNTER).is_some_and(|reading| !reading.is_good())
    });
    proxy.link(Link::Up);
    site.write(&right.replace("hr:0:UDINT\"\n", "hr:0:UDINT\"\n      second: \"hr:0:UDINT\"\n"));
    gateway.signal("HUP");
    wait::for_it("that the file cannot be read is told", wait::SOON, || {
        gateway.log().contains("the configuration file was not applied")
    });
    wait::pass(Duration::from_secs(3));
    assert!(gateway.ended().is_none(), "it lives");
    assert!(recorder.last(PLC, COUNTER).is_some_and(|reading| !reading.is_good()), "nothing can connect");
    assert!(recorder.last(PLC, "second").is_none(), "what ran goes on");

    descriptors_max(gateway.id(), 1024);
    recorder.next_good_within(PLC, COUNTER, Duration::from_secs(60));
    gateway.signal("HUP");
    recorder.next_good(PLC, "second");
    drop(gateway);
    let received = recorder.readings();
    nothing_is_missing(&received);
    plc.verdict(&received).must_be_true();
}

/// Times in the gateway's log at which something was said.
fn said(log: &str, what: &str) -> Vec<Duration> {
    let time = |line: &str| {
        let clock = line.split('T').nth(1)?.split(['Z', ' ']).next()?;
        let mut parts = clock.split(':').map(|part| part.parse::<f64>().unwrap_or_default());
        Some(Duration::from_secs_f64(parts.next()? * 3600.0 + parts.next()? * 60.0 + parts.next()?))
    };
    log.lines().filter(|line| line.contains(what)).filter_map(time).collect()
}

#[test]
fn very_many_devices_connect_one_after_another_and_a_change_of_one_stops_no_other() {
    const TAGS: usize = 100;
    const CHANGED: usize = 7;
    const SAME: usize = 8;
    const SECOND: Duration = Duration::from_secs(1);
    let devices_count: usize = if need::long() { 1_000 } else { 200 };
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let (_broker, url, recorder) = embedded(&field);
    let door = SocketAddr::from(([127, 0, 0, 1], free_port()));
    // One that changes and one that does not have PLCs of their own, which know when they were asked.
    let (changed, same) = (Counting::tcp(&field), Counting::tcp(&field));
    let address = |index: usize| match index {
        CHANGED => changed.address,
        SAME => same.address,
        _ => plc.address,
    };
    let device = |index: usize, more: &str| {
        let tags: String = (1..TAGS).map(|tag| format!("      t{tag}: \"hr:{}\"\n", tag + 10)).collect();
        let url = tcp(address(index));
        format!(
            "  d{index}:\n    url: {url}\n    every: 1s\n    timeout: 5s\n    tags:\n      n: \"hr:0:UDINT\"\n{tags}{more}"
        )
    };
    let text = |more: &str| {
        let devices: String =
            (0..devices_count).map(|index| device(index, if index == CHANGED { more } else { "" })).collect();
        format!("{}http: {{ listen: {door} }}\n", file(&devices, &url))
    };
    let site = Site::new(&text(""));
    let begun = Instant::now();
    let gateway = site.start();
    let is_up = || {
        get(door, "/metrics").is_ok_and(|(_, body)| {
            let up = body.lines().filter(|line| line.starts_with("forebay_device_up{") && line.ends_with(" 1"));
            up.count() == devices_count
        })
    };
    wait::for_it("all are connected", Duration::from_secs(90), is_up);
    let all_up = begun.elapsed();
    let mut connects = said(&gateway.log(), "connected");
    connects.sort_unstable();
    assert!(connects.len() >= devices_count, "{} lines tell of a connection", connects.len());
    let spread = *connects.last().expect("some") - connects[0];
    eprintln!("{devices_count} devices up after {all_up:?}, connected within {spread:?}");
    // They begin 250 µs after one another on average.
    let least = Duration::from_micros(250) * devices_count as u32 / 2;
    assert!(spread >= least, "they came all at once, within {spread:?}");

    let missed = || {
        let (_, body) = get(door, "/metrics").expect("the gateway answers");
        let lines = body.lines().filter(|line| line.starts_with("forebay_device_missed_cycles_total{"));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>()
    };
    let connected = || {
        let (_, body) = get(door, "/metrics").expect("the gateway answers");
        let lines = body.lines().filter(|line| line.starts_with("forebay_line_connects_total{"));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>()
    };
    let (missed_before, connected_before) = (missed(), connected());
    let from = SystemTime::now();
    site.write(&text("      more: \"hr:7\"\n"));
    gateway.signal("HUP");
    recorder.next_good_within("d7", "more", Duration::from_secs(60));
    let told = gateway.log();
    let told = told.lines().rfind(|line| line.contains("the configuration was changed")).unwrap_or_default();
    eprintln!("{}: {told}", devices_count * TAGS);
    wait::pass(3 * SECOND);
    let late = |plc: &Counting| lateness(&plc.oracle, from, SECOND).last().copied().unwrap_or_default();
    let pause = late(&changed);
    eprintln!("longest pause beyond the interval: {pause:?} of what changed, {:?} of what did not", late(&same));
    // Of a build for work on the gateway, which is many times slower, only the order is asked.
    let bound = if need::long() { Duration::from_millis(100) } else { SECOND };
    assert!(pause <= bound, "the changed device was not polled for {pause:?} beyond its interval");
    assert_eq!(connected() - connected_before, 1.0, "one line begins anew");
    let more = missed() - missed_before;
    eprintln!("cycles missed meanwhile: {more}");
    // A machine that does much else may cost some a cycle; a change that stopped the others would cost each of them one.
    assert!(more <= devices_count as f64 / 10.0, "{more} cycles were missed");
    drop(gateway);
}

/// What a small box leaves to the gateway.
const MEMORY_BYTES: u64 = 64_000_000;

const BACKLOG_BYTES: u64 = 1 << 30;

#[test]
fn ten_thousand_tags_and_a_gigabyte_of_backlog_need_no_more_than_64_megabytes() {
    const DEVICES: usize = 10;
    const TAGS: u16 = 1_000;
    let field = Field::new();
    let plc = Counting::tcp(&field);
    plc.plant.write_holding(1, 10, &(0..TAGS).map(|tag| tag.wrapping_mul(40_503)).collect::<Vec<u16>>());
    let broker = field.broker();
    let proxy = field.proxy(broker.address(), Framing::Stream);
    let recorder = Subscriber::counting(broker.address());
    let wide = |index: usize| {
        let tags: String = (0..TAGS).map(|tag| format!("      t{tag}: \"hr:{}\"\n", tag + 10)).collect();
        format!("  d{index}:\n    url: {}\n    every: 1s\n    timeout: 5s\n    tags:\n{tags}", tcp(plc.address))
    };
    let devices = format!("{}{}", counting_device(PLC, &tcp(plc.address)), (0..DEVICES).map(wide).collect::<String>());
    let site = Site::new(&file(&devices, &format!("mqtt://{}", proxy.address())));
    proxy.link(Link::Refuse);
    let gateway = site.start();
    answers(&plc.oracle, 80);
    gateway.kill();
    let waiting = backlog::grow(&site.buffer(), "cloud", BACKLOG_BYTES);
    let mut gateway = site.start();
    let Some(bound) = MemoryBound::of(gateway.id(), MEMORY_BYTES) else { return };
    proxy.link(Link::Up);
    wait::for_it("the backlog drains", wait::SOON * 2, || recorder.counted() > 100_000);
    wait::pass(Duration::from_secs(if need::long() { 120 } else { 15 }));
    assert!(gateway.ended().is_none(), "it lives");
    let most_kib = gateway.resident_most_kib();
    let drained = recorder.counted();
    eprintln!("{waiting} readings waited, {drained} have come, most memory {most_kib} KiB");
    assert!(most_kib * 1024 <= MEMORY_BYTES, "{most_kib} KiB");
    assert!(drained < waiting, "the backlog was there all the time");
    gateway.kill();
    drop(bound);
}
