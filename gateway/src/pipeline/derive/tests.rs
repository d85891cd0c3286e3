//! Whole configurations whose polls are given by hand.

use super::super::process::Process;
use super::*;
use crate::config::{Checked, Config, Kinds, Source, check_after};

const SECOND: Duration = Duration::from_secs(1);

/// A process of tags on two devices, `press` and `mixer`.
struct Bench {
    config: Config,
    process: Process,
    start: Instant,
}

fn config(press: &str, before: Option<&Config>) -> Config {
    let text = format!(
        "gateway: g\nevery: 1s\ndevices:\n  press:\n    url: modbus-tcp://10.0.0.1\n    tags:\n      a: hr:0\n      b: hr:1\n\
         {press}\n  mixer:\n    url: modbus-tcp://10.0.0.2\n    tags: {{ a: hr:0, on: co:1 }}\n"
    );
    let before = before.map(|config| &*config.tags);
    let checked = check_after(Source::new("gateway.yaml", &text), Kinds::of_this_build(), before, &Default::default());
    let Checked { config, .. } = checked.unwrap_or_else(|report| panic!("{report}"));
    config
}

impl Bench {
    fn new(press: &str) -> Bench {
        Bench::resumed(press, &HashMap::new())
    }

    fn resumed(press: &str, kept: &HashMap<TagId, KeptState>) -> Bench {
        let (config, start) = (config(press, None), Instant::now());
        let process = Process::new(config.tags.clone(), Arc::default(), start).deriving(config.derived.clone(), kept);
        Bench { config, process, start }
    }

    fn tag(&self, name: &str) -> TagId {
        let schema = self.config.tags.schema();
        let (device, tag) = name.split_once('.').expect("DEVICE.TAG");
        let found = (0..schema.tags() as u32)
            .map(TagId)
            .find(|id| schema.tag(*id).is_some_and(|names| names.device == device && names.tag == tag));
        found.unwrap_or_else(|| panic!("no tag {name}"))
    }

    fn reading(&self, name: &str, value: Result<Value, Reason>, second: u32) -> Reading {
        let (value, quality) = match value {
            Ok(value) => (value, Quality::Good),
            Err(reason) => (Value::None, Quality::Bad(reason)),
        };
        let timestamp = Timestamp(i64::from(second));
        Reading {
            tag: self.tag(name),
            value,
            quality,
            status: 0,
            timestamp,
            clock: ClockState::Synchronized,
            tense: Tense::Present,
        }
    }

    /// A poll of some tags at a second; what was derived of it, in words.
    fn poll(&mut self, second: u32, tags: &[(&str, Result<Value, Reason>)]) -> Vec<String> {
        let mut readings: Vec<Reading> =
            tags.iter().map(|(name, value)| self.reading(name, value.clone(), second)).collect();
        self.process.run(&mut readings, self.start + second * SECOND);
        let derived: Vec<Reading> = readings.split_off(tags.len());
        derived.iter().map(|reading| self.told(reading)).collect()
    }

    fn told(&self, reading: &Reading) -> String {
        let name = self.config.tags.schema().tag(reading.tag).expect("a name").tag;
        let quality = match reading.quality {
            Quality::Good => String::new(),
            Quality::Uncertain(reason) => format!(" uncertain {}", reason.name()),
            Quality::Bad(reason) => format!(" bad {}", reason.name()),
        };
        format!("{name}={}{quality} @{}", reading.value, reading.timestamp.0)
    }
}

fn int(value: i64) -> Result<Value, Reason> {
    Ok(Value::Int(value))
}

#[test]
fn a_calculation_is_made_once_a_poll_that_brings_one_of_its_tags() {
    let mut bench = Bench::new("      power: { calc: 'a * mixer.a + b' }\n      high: { calc: 'power > 100' }");
    assert_eq!(bench.poll(0, &[("press.a", int(5)), ("press.b", int(1))]), [""; 0], "not all were read");
    assert_eq!(bench.poll(1, &[("mixer.a", int(10))]), ["power=51 @1", "high=false @1"]);
    assert_eq!(bench.poll(2, &[("press.a", int(10)), ("press.b", int(2))]), ["power=102 @2", "high=true @2"]);
    assert_eq!(bench.poll(2, &[("mixer.on", Ok(Value::Bool(true)))]), [""; 0], "none of its tags");
}

#[test]
fn the_worst_source_decides_and_an_old_one_makes_it_uncertain() {
    let mut bench = Bench::new("      ratio: { calc: 'a / mixer.a' }\n      more: { calc: 'ratio + 1' }");
    bench.poll(0, &[("press.a", int(6))]);
    let timeout = Err(Reason::Timeout);
    assert_eq!(bench.poll(1, &[("mixer.a", timeout.clone())]), ["ratio=- bad timeout @1", "more=- bad timeout @1"]);
    assert_eq!(bench.poll(2, &[("mixer.a", int(3))]), ["ratio=2 @2", "more=3 @2"]);
    let none = ["ratio=- bad out-of-range @3", "more=- bad out-of-range @3"];
    assert_eq!(bench.poll(3, &[("mixer.a", int(0))]), none, "a division by zero gives nothing");
    let old = bench.poll(9, &[("mixer.a", int(3))]);
    assert_eq!(old, ["ratio=2 uncertain timeout @9", "more=3 uncertain timeout @9"]);
}

#[test]
fn windows_totals_and_alarms_stand_beside_one_another() {
    let mut bench = Bench::new(
        "      mean: { window: { of: a, over: 10s } }\n      sum: { total: { of: b } }\n      \
         load: { calc: 'a * 2', alarm: { high: 9, hysteresis: 2 } }",
    );
    let poll = |bench: &mut Bench, second, a, b| bench.poll(second, &[("press.a", int(a)), ("press.b", int(b))]);
    assert_eq!(poll(&mut bench, 0, 1, 100), ["sum=0 @0", "load=2 @0", "load.alarm=normal @0"]);
    assert_eq!(poll(&mut bench, 4, 5, 103), ["sum=3 @4", "load=10 @4", "load.alarm=high @4"]);
    assert_eq!(poll(&mut bench, 11, 4, 104), ["mean=3 @4", "sum=4 @11", "load=8 @11"]);
    let (alarm, mut told) = (bench.tag("press.load.alarm"), Vec::new());
    let mut command = |text: &str, process: &mut Process| {
        let at = (Timestamp(12), ClockState::Synchronized);
        process.command(alarm, &Value::Text(text.into()), at, Instant::now(), &mut told)
    };
    assert_eq!(command("acknowledge", &mut bench.process), Ok(Value::Text("high acknowledged".into())));
    assert!(command("acknowledge", &mut bench.process).is_err());
    assert_eq!(told.len(), 1);
    assert_eq!(poll(&mut bench, 13, 3, 104), ["sum=4 @13", "load=6 @13", "load.alarm=normal @13"]);
}

#[test]
fn totals_and_alarms_go_on_after_a_restart() {
    let press = "      sum: { total: { of: b } }\n      load: { calc: 'a * 2', alarm: { high: 9 } }";
    let mut bench = Bench::new(press);
    bench.poll(0, &[("press.a", int(9)), ("press.b", int(100))]);
    bench.poll(1, &[("press.a", int(9)), ("press.b", int(107))]);
    let text = bench.process.kept().expect("it has changed");
    assert_eq!(bench.process.kept(), None, "once");
    let folder = tempfile::tempdir().expect("a folder");
    let path = keep::file_in(folder.path());
    keep::save(&path, &text).expect("saves");
    let kept = keep::load(&path).expect("loads");
    let by_tag = kept.into_iter().map(|((device, tag), kept)| (bench.tag(&format!("{device}.{tag}")), kept)).collect();
    let mut bench = Bench::resumed(press, &by_tag);
    let told = bench.poll(0, &[("press.a", int(1)), ("press.b", int(110))]);
    assert_eq!(told, ["sum=10 @0", "load=2 @0", "load.alarm=returned @0"]);
}

#[test]
fn what_is_the_same_after_a_change_goes_on() {
    let mut bench = Bench::new("      sum: { total: { of: b } }");
    bench.poll(0, &[("press.b", int(5))]);
    bench.poll(1, &[("press.b", int(9))]);
    let press = "      twice: { calc: 'sum * 2' }\n      sum: { total: { of: b } }";
    let next = config(press, Some(&bench.config));
    let mut out = Vec::new();
    let changed = (next.tags.clone(), next.derived.clone());
    bench.process.change(changed, Arc::default(), Instant::now(), &mut out);
    bench.config = next;
    assert_eq!(bench.poll(2, &[("press.b", int(10))]), ["sum=5 @2", "twice=10 @2"]);
}
