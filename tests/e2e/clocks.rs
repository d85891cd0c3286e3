//! F12 and F13: the wall clock jumps, the process stands still. Polls go on at their interval, in order, without a burst.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use tests::field::Field;
use tests::gateway::Gateway;
use tests::need;
use tests::site::Site;
use tests::subscriber::Subscriber;
use tests::wait;

use crate::rig::{
    COUNTER, Counting, EVERY, PLC, answers_between, counting_device, embedded, file, nothing_is_missing, running, tcp,
};

const STEADY: Duration = Duration::from_secs(3);

/// The library by which `faketime` shows a process another wall clock.
pub(crate) fn faketime() -> Option<PathBuf> {
    need::program("faketime")?;
    let folders = std::fs::read_dir("/usr/lib").expect("a Linux system").flatten().map(|entry| entry.path());
    folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|path| path.is_file())
}

/// Polls in a window stay near their interval, whatever the wall clock says.
fn polls_are_steady(plc: &Counting, what: &str) {
    let from = SystemTime::now();
    wait::pass(STEADY);
    let polls = answers_between(&plc.oracle, from, SystemTime::now());
    let wanted = (STEADY.as_millis() / EVERY.as_millis()) as usize;
    assert!((wanted * 8 / 10..=wanted + 3).contains(&polls), "{what}: {polls} polls in {STEADY:?}, not {wanted}");
}

fn steps(clocks: &[&str], first: &str) {
    let Some(library) = faketime() else { return };
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let (_broker, url, recorder) = embedded(&field);
    let site = Site::new(&file(&counting_device(PLC, &tcp(plc.address)), &url));
    let clock = site.folder().join("clock");
    std::fs::write(&clock, first).expect("the clock can be set");
    let gateway = site.start_with(&[
        ("LD_PRELOAD", &library.display().to_string()),
        ("FAKETIME_TIMESTAMP_FILE", &clock.display().to_string()),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("DONT_FAKE_MONOTONIC", "1"),
    ]);
    running(&recorder);
    polls_are_steady(&plc, first);
    for step in clocks {
        std::fs::write(&clock, step).expect("the clock can be set");
        polls_are_steady(&plc, step);
    }
    plc.all_arrive(&recorder, wait::SOON);
    drop(gateway);
    let received = recorder.readings();
    nothing_is_missing(&received);
    plc.verdict(&received).must_be_perfect();
    clock_was_seen(&recorder);
}

/// The fake clock reached the gateway: its readings bear more than one year or day.
fn clock_was_seen(recorder: &Subscriber) {
    let mut days: Vec<String> = recorder.readings().iter().map(|r| r.time().get(..10).unwrap_or("").into()).collect();
    days.sort_unstable();
    days.dedup();
    assert!(days.len() > 1, "all readings are of one day: {days:?}");
}

#[test]
fn a_wall_clock_that_steps_a_day_changes_no_poll_and_no_order() {
    steps(&["+1d", "-1d", "+0"], "+0");
}

#[test]
fn a_wall_clock_of_1970_at_boot_that_locks_later_changes_no_poll_and_no_order() {
    steps(&["+0"], "@1970-01-01 00:00:10");
}

/// What the plant sees after a stop of the whole process.
fn no_burst_after(gateway: &Gateway, plc: &Counting, length: Duration) {
    gateway.signal("STOP");
    wait::pass(length);
    gateway.signal("CONT");
    let from = SystemTime::now();
    wait::pass(Duration::from_secs(2));
    let polls = answers_between(&plc.oracle, from, from + Duration::from_secs(2));
    assert!((10..=24).contains(&polls), "{polls} polls in the two seconds after the stop, 20 are due");
}

#[test]
fn a_process_that_was_stopped_goes_on_without_a_burst() {
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let (_broker, url, recorder) = embedded(&field);
    let site = Site::new(&file(&counting_device(PLC, &tcp(plc.address)), &url));
    let gateway = site.start();
    running(&recorder);
    no_burst_after(&gateway, &plc, Duration::from_secs(if need::long() { 30 } else { 6 }));
    plc.all_arrive(&recorder, wait::SOON);
    drop(gateway);
    let received = recorder.readings();
    nothing_is_missing(&received);
    let verdict = plc.verdict(&received);
    verdict.must_be_true();
    assert!(verdict.lost.len() <= 1, "at most the poll that the stop met is lost: {verdict}");
    assert!(recorder.last(PLC, COUNTER).is_some_and(|reading| reading.is_good()));
}
