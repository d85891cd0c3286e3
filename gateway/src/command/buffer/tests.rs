//! Over a log that the store thread made: two runs, with another configuration in the second.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ::buffer::{Inspector, Log, Options, SeqRange};
use clap::Parser;
use driver_core::{ClockState, Quality, Reading, Reason, SystemClock, TagId, Tense, Timestamp, Value};
use proptest::prelude::*;

use super::dump::Dump;
use super::stats::Stats;
use super::verify::Verify;
use super::{dump, stats};
use crate::pipeline::encode::Decoder;
use crate::pipeline::redate::Redate;
use crate::pipeline::schema::{SchemaBuilder, Schemas};
use crate::pipeline::store::{Intake, StoreHandle, StoreSetup, StoreThread, SyncPolicy};
use crate::pipeline::tags::Tags;

const SECOND: i64 = 1_000_000_000;
const NOON: i64 = 1_795_435_200 * SECOND;

/// Readings of the first run, two tags; then of the second, one of which has another place.
const FIRST: u64 = 40;
const SECOND_RUN: u64 = 20;

fn reading(tag: u32, number: i64) -> Reading {
    Reading {
        tag: TagId(tag),
        value: Value::Int(number),
        quality: Quality::Good,
        status: 0,
        timestamp: Timestamp(NOON + number * SECOND),
        clock: ClockState::Synchronized,
        tense: Tense::Present,
    }
}

fn start(folder: &Path, tags: &[(&str, &[(&str, &str)])]) -> (StoreThread, Intake, StoreHandle) {
    let mut builder = SchemaBuilder::default();
    for (device, tags) in tags {
        builder.device(device);
        tags.iter().for_each(|(tag, unit)| builder.tag(tag, unit));
    }
    let schemas = Schemas::open(&Schemas::folder_in(folder), Arc::new(builder.build()));
    let log = Log::open(folder, &Options::new(["cloud", "lake"])).expect("the log opens");
    let policy = SyncPolicy::Every(Duration::from_secs(1));
    let path = folder.to_owned();
    StoreThread::start(StoreSetup {
        store: Box::new(log),
        reopen: Box::new(move |_| Ok(Box::new(Log::open(&path, &Options::new(["cloud", "lake"]))?))),
        schemas,
        tags: Arc::new(Tags::of_rules(&[])),
        policy,
        clock: Arc::new(SystemClock),
    })
    .expect("the thread starts")
}

fn filled() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let (thread, intake, handle) = start(folder.path(), &[("press", &[("temperature", "°C"), ("current", "A")])]);
    let readings = (0..FIRST as i64 / 2).flat_map(|number| [reading(0, number), reading(1, number)]);
    assert!(intake.offer(readings.collect()));
    assert!(thread.stop());
    drop(handle);
    let (thread, intake, handle) =
        start(folder.path(), &[("mixer", &[("level", "m³")]), ("press", &[("current", "A")])]);
    handle.acknowledge(&Arc::from("cloud"), vec![SeqRange { first: 1, last: 10 }]);
    let absent = Reading { value: Value::None, quality: Quality::Bad(Reason::Timeout), ..reading(1, 100) };
    let more = (100..100 + SECOND_RUN as i64 - 1).map(|number| reading(0, number));
    assert!(intake.offer(more.chain([absent]).collect()));
    assert!(thread.stop());
    folder
}

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: dump::Args,
}

fn dumped(folder: &Path, options: &[&str]) -> String {
    let path = folder.to_str().expect("UTF-8");
    let args = Cli::try_parse_from([&["dump", "--path", path], options].concat()).expect("options").args;
    let inspector = Inspector::open(folder).expect("a log");
    let mut out = Vec::new();
    let mut dump = Dump::new(&args, folder, &inspector).expect("memory");
    dump.head(&mut out).and_then(|()| dump.all(&inspector, &mut out).expect("it reads")).expect("a Vec");
    String::from_utf8(out).expect("UTF-8")
}

fn verified(folder: &Path) -> Verify {
    let mut verify = Verify::new(folder, Decoder::new().expect("memory"));
    verify.all(&Inspector::open(folder).expect("a log")).expect("it reads");
    verify
}

fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push((path.clone(), fs::read(&path).expect("a file"))),
        }
    }
    found.sort();
    found
}

fn segment(folder: &Path) -> PathBuf {
    let inspector = Inspector::open(folder).expect("a log");
    inspector.overview().segments[0].path.clone()
}

#[test]
fn every_reading_is_dumped_with_the_names_of_its_own_day() {
    let folder = filled();
    let before = files(folder.path());
    let text = dumped(folder.path(), &[]);
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let seqs: Vec<u64> = lines.iter().map(|line| line["seq"].as_u64().expect("a seq")).collect();
    assert_eq!(seqs, (1..=FIRST + SECOND_RUN).collect::<Vec<u64>>());
    assert_eq!((&lines[0]["tag"], &lines[0]["unit"]), (&"temperature".into(), &"°C".into()));
    let names = |line: &serde_json::Value| format!("{} {}", line["device"], line["tag"]);
    assert_eq!(names(&lines[FIRST as usize]), "\"mixer\" \"level\"");
    assert_eq!(lines.iter().filter(|line| line["quality"] == "bad" && line["reason"] == "timeout").count(), 1);
    assert_eq!((&lines[0]["epoch"], &lines[FIRST as usize]["epoch"]), (&1.into(), &2.into()));
    assert_eq!(files(folder.path()), before, "nothing was written");
}

#[test]
fn what_is_wanted_is_chosen_by_seq_time_and_tag() {
    let folder = filled();
    let count = |options: &[&str]| dumped(folder.path(), options).lines().count() as u64;
    assert_eq!(count(&["--from", "11", "--to", "20"]), 10);
    assert_eq!(count(&["--tag", "press.*"]), FIRST + 1);
    assert_eq!(count(&["--tag", "*.temperature", "--tag", "mixer.*"]), FIRST / 2 + SECOND_RUN - 1);
    assert_eq!(count(&["--from", "2026-11-23T12:00:05Z", "--to", "2026-11-23T13:00:09+01:00"]), 10);
    assert_eq!(count(&["--from", "2026-11-23T12:00:05Z", "--to", "11"]), 1, "the seq of the sixth second's first tag");
    assert_eq!(count(&["--to", "2020-01-01"]), 0);
    let csv = dumped(folder.path(), &["--format", "csv", "--from", "40", "--to", "41"]);
    let expected = "time,device,tag,value,unit,quality,reason,clock,epoch,seq,historical\n\
                    2026-11-23T12:00:19Z,press,current,19,A,good,,,1,40,\n\
                    2026-11-23T12:01:40Z,mixer,level,100,m³,good,,,2,41,\n";
    assert_eq!(csv, expected);
}

#[test]
fn readings_from_before_the_clock_was_set_are_chosen_by_the_right_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let (thread, intake, _handle) = start(folder.path(), &[("press", &[("temperature", "°C")])]);
    let early = Reading { timestamp: Timestamp(40 * SECOND), clock: ClockState::Unsynchronized, ..reading(0, 0) };
    assert!(intake.offer(vec![early]));
    assert!(thread.stop());
    assert_eq!(dumped(folder.path(), &["--from", "2026-11-23"]), "");
    Redate::within(folder.path()).locked(1, Timestamp(NOON), NOON - 100 * SECOND).expect("written");
    let text = dumped(folder.path(), &["--from", "2026-11-23"]);
    assert!(text.contains("2026-11-23T11:59:00") && !text.contains("unsynchronized"), "{text}");
}

#[test]
fn names_that_are_lost_are_numbers_in_the_dump_and_damage_to_verify() {
    let folder = filled();
    let whole = verified(folder.path());
    assert_eq!((whole.damaged, whole.records), (0, FIRST + SECOND_RUN));
    fs::remove_dir_all(Schemas::folder_in(folder.path())).expect("it was there");
    let csv = dumped(folder.path(), &["--format", "csv", "--tag", "unknown.tag-0", "--from", "41"]);
    assert_eq!(csv.lines().count() as u64, SECOND_RUN);
    assert!(csv.contains(",unknown,tag-0,100,,good,"), "{csv}");
    let verify = verified(folder.path());
    assert_eq!((verify.damaged, verify.lost), (2, 0), "{}", verify.json());
    assert!(verify.json().contains(".schema"), "{}", verify.json());
}

#[test]
fn a_flipped_byte_is_told_with_its_file_its_place_and_what_is_lost() {
    let folder = filled();
    let path = segment(folder.path());
    let mut bytes = fs::read(&path).expect("a file");
    bytes[64 + 60] ^= 1;
    fs::write(&path, &bytes).expect("a file");
    let verify = verified(folder.path());
    assert_eq!((verify.damaged, verify.lost, verify.records), (1, FIRST, SECOND_RUN));
    let text = verify.text(&Inspector::open(folder.path()).expect("a log"));
    let told = format!("{}: at byte 64, ", path.display());
    assert!(text.contains(&told) && text.contains("blocks are damaged; 40 readings lost"), "{text}");
    assert_eq!(dumped(folder.path(), &[]).lines().count() as u64, SECOND_RUN);
}

#[test]
fn a_payload_of_a_later_version_is_told_with_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut log = Log::open(folder.path(), &Options::new(["cloud"])).expect("it opens");
    let meta = ::buffer::Meta { count: 3, t_min_ns: 1, t_max_ns: 2, codec: 77, flags: 0, schema: 0 };
    let block = ::buffer::NewBlock { meta, payload: b"from the future" };
    ::buffer::Store::append(&mut log, ::buffer::Class::Normal, &[block]).expect("an append");
    let verify = verified(folder.path());
    assert_eq!((verify.damaged, verify.lost), (2, 3), "the block and its schema: {}", verify.json());
    assert!(
        verify.json().contains("codec is unknown") && verify.json().contains("\"offset\": 64"),
        "{}",
        verify.json()
    );
}

#[test]
fn a_cut_file_costs_its_end_and_is_no_reason_to_stop() {
    let folder = filled();
    let path = segment(folder.path());
    let bytes = fs::read(&path).expect("a file");
    fs::write(&path, &bytes[..bytes.len() - 5]).expect("a file");
    assert_eq!(verified(folder.path()).records, FIRST);
    assert_eq!(dumped(folder.path(), &[]).lines().count() as u64, FIRST);
}

#[test]
fn stats_tell_where_each_uplink_stands() {
    let folder = filled();
    let inspector = Inspector::open(folder.path()).expect("a log");
    let uplinks = stats::uplinks(&inspector).expect("it reads");
    let standing: Vec<_> = uplinks.iter().map(|uplink| (uplink.name.as_str(), uplink.low, uplink.pending)).collect();
    assert_eq!(standing, [("cloud", 11, FIRST + SECOND_RUN - 10), ("lake", 1, FIRST + SECOND_RUN)]);
    assert_eq!(uplinks[1].oldest_ns, Some(NOON));
    let quarantine = folder.path().join("quarantine");
    fs::create_dir(&quarantine).expect("a folder");
    fs::write(quarantine.join("cloud.jsonl"), "{\"reason\":\"odd\"}\n{\"reason\":\"odd\"}\n").expect("a file");
    let set_aside = stats::set_aside(folder.path()).expect("it reads");
    let stats = Stats { path: "here".into(), overview: inspector.overview(), uplinks, set_aside, damages: Vec::new() };
    let text = stats.text();
    assert!(text.contains("in quarantine") && text.contains("cloud   2         0.0\n"), "{text}");
    assert!(text.contains("epoch 2") && text.contains("seq 1 to 60") && text.contains("1 segment"), "{text}");
    assert!(text.contains("2026-11-23T12:00:00Z to 2026-11-23T12:01:58Z"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&stats.json()).expect("JSON");
    assert_eq!(json["quarantine"], serde_json::json!([{ "uplink": "cloud", "messages": 2, "bytes": 34 }]));
    assert_eq!((&json["uplinks"][0]["pending"], &json["next_seq"]), (&50.into(), &61.into()));
    let class = &json["classes"][0];
    assert_eq!((&class["class"], &class["first_seq"], &class["segments"]), (&"normal".into(), &1.into(), &1.into()));
    assert!(text.contains("nothing in reserve\n") && text.contains("\nnormal"), "{text}");
}

#[test]
fn a_dump_ends_when_nobody_reads_on() {
    struct Gone;
    impl io::Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let folder = filled();
    let args = Cli::try_parse_from(["dump", "--path", "x"]).expect("options").args;
    let inspector = Inspector::open(folder.path()).expect("a log");
    let mut dump = Dump::new(&args, folder.path(), &inspector).expect("memory");
    let ended = dump.all(&inspector, &mut Gone).expect("it reads").expect_err("nobody reads");
    assert_eq!(ended.kind(), io::ErrorKind::BrokenPipe);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn garbage_in_any_file_never_panics_and_is_seen(
        which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), len in 1_usize..200, fill in 1_u8..,
    ) {
        let folder = filled();
        let files = files(folder.path());
        // The list of uses is no part of the readings: damaged, it keeps names longer, and is made anew at the next start.
        let counts = |(path, bytes): &(PathBuf, Vec<u8>)| !bytes.is_empty() && !path.ends_with("schemas/uses");
        let files: Vec<_> = files.into_iter().filter(counts).collect();
        let (path, whole) = &files[which.index(files.len())];
        let mut bytes = whole.clone();
        let start = at.index(bytes.len());
        let end = (start + len).min(bytes.len());
        bytes[start..end].iter_mut().for_each(|byte| *byte ^= fill);
        let is_gap_of_identity = path.ends_with("identity") && (40..512).contains(&start);
        // A last frame that says it is longer than the file is what a kill leaves of a write.
        let last_frame = whole.windows(4).rposition(|window| window == b"\xfbBlk").unwrap_or(usize::MAX - 20);
        let is_length_of_last = (last_frame + 12..last_frame + 20).contains(&start);
        fs::write(path, bytes).expect("a file");
        let verify = verified(folder.path());
        prop_assert!(verify.damaged > 0 || is_gap_of_identity || is_length_of_last, "{} at {start}", path.display());
        let lines = dumped(folder.path(), &[]).lines().count() as u64;
        prop_assert!(lines == verify.records);
        stats::uplinks(&Inspector::open(folder.path()).expect("a log")).expect("it reads");
    }
}
