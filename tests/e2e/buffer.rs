//! `forebay buffer`: what is in the log, told from outside while the gateway runs and after it has ended.

use std::fs;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tests::field::Field;
use tests::gateway::binary;
use tests::site::Site;
use tests::wait;

use crate::rig::{COUNTER, Counting, PLC, answers, counting_device, file, tcp};

const DONE: i32 = 0;
const DAMAGED: i32 = 1;
const USAGE: i32 = 2;
const FAILED: i32 = 3;

/// A counting PLC, and an uplink whose broker is not there: everything stays in the log.
fn site(field: &Field) -> (Counting, Site) {
    let plc = Counting::tcp(field);
    let nobody = format!("mqtt://127.0.0.1:{}", tests::field::free_port());
    let site = Site::new(&file(&counting_device(PLC, &tcp(plc.address)), &nobody));
    (plc, site)
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs `forebay buffer` with these arguments and expects that exit code.
fn buffer(site: &Site, code: i32, arguments: &[&str]) -> Output {
    let output = site.forebay(&[&["buffer"], arguments].concat());
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output));
    output
}

fn json(site: &Site, code: i32, arguments: &[&str]) -> Value {
    let output = buffer(site, code, arguments);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("no JSON, {error}: {}", text(&output)))
}

fn values(site: &Site, arguments: &[&str]) -> Vec<u64> {
    let output = buffer(site, DONE, arguments);
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    lines.filter_map(|line| line["value"].as_u64()).collect()
}

#[test]
fn the_log_is_looked_into_beside_a_running_gateway_and_after_a_kill() {
    let field = Field::new();
    let (plc, site) = site(&field);
    let gateway = site.start();
    answers(&plc.oracle, 20);
    wait::for_it("readings are in the log", wait::SOON, || {
        let stats = site.forebay(&["buffer", "stats", "--json"]);
        let stats: Value = serde_json::from_slice(&stats.stdout).unwrap_or_default();
        stats["uplinks"][0]["pending"].as_u64().is_some_and(|pending| pending >= 10)
    });
    let stats = json(&site, DONE, &["stats", "--json"]);
    assert_eq!((&stats["uplinks"][0]["uplink"], &stats["epoch"]), (&"cloud".into(), &1.into()));
    assert!(stats["uplinks"][0]["oldest_age_s"].as_u64().is_some_and(|age| age < 60), "{stats}");
    assert!(text(&buffer(&site, DONE, &["stats"])).contains("cloud"));
    assert_eq!(json(&site, DONE, &["verify", "--json"])["damaged"], 0);
    let during = values(&site, &["dump"]);
    assert!(during.len() >= 10 && during.windows(2).all(|pair| pair[0] < pair[1]), "{during:?}");
    gateway.kill();
    buffer(&site, DONE, &["verify"]);
    let tag = format!("{PLC}.{COUNTER}");
    let after = values(&site, &["dump", "--tag", &tag]);
    assert_eq!(after[..during.len()], during);
    assert_eq!(values(&site, &["dump", "--tag", "other.*"]), Vec::<u64>::new());
    assert_eq!(values(&site, &["dump", "--from", "3", "--to", "4"]).len(), 2);
    let csv = text(&buffer(&site, DONE, &["dump", "--format", "csv"]));
    assert_eq!(csv.lines().next(), Some("time,device,tag,value,unit,quality,reason,clock,epoch,seq,historical"));
    assert!(csv.contains(&format!(",{PLC},{COUNTER},")), "{csv}");
}

#[test]
fn a_copy_that_nobody_may_write_to_is_verified_and_its_damage_told_with_its_place() {
    let field = Field::new();
    let (plc, site) = site(&field);
    let gateway = site.start();
    answers(&plc.oracle, 10);
    assert!(gateway.terminate().success());
    let (copy, normal) = (site.folder().join("copy"), site.folder().join("copy/normal"));
    let copied = Command::new("cp").arg("-r").arg(site.buffer()).arg(&copy).status().expect("cp");
    assert!(copied.success());
    let from = ["--path", copy.to_str().expect("UTF-8")];
    let segment = fs::read_dir(&normal).expect("segments").flatten().next().expect("a segment").path();
    let mut bytes = fs::read(&segment).expect("a segment");
    bytes[64 + 58] ^= 0x10;
    fs::write(&segment, bytes).expect("a segment");
    fs::remove_file(copy.join("lock")).expect("it was copied too");
    let read_only = Command::new("chmod").args(["-R", "a-w"]).arg(&copy).status().expect("chmod");
    assert!(read_only.success());
    let report = json(&site, DAMAGED, &[["verify", "--json"], from].concat());
    assert_eq!((&report["damaged"], &report["findings"][0]["offset"]), (&1.into(), &64.into()));
    assert_eq!(report["findings"][0]["file"], segment.to_str().expect("UTF-8"));
    assert!(report["readings_lost"].as_u64().is_some_and(|lost| lost > 0), "{report}");
    assert!(text(&buffer(&site, DAMAGED, &[["verify"].as_slice(), &from].concat())).contains("at byte 64"));
    let dump = buffer(&site, DONE, &[["dump"].as_slice(), &from].concat());
    assert!(String::from_utf8_lossy(&dump.stderr).contains("left out"), "{}", text(&dump));
    buffer(&site, DONE, &[["stats"].as_slice(), &from].concat());
    assert!(!copy.join("lock").exists(), "nothing was written");
    buffer(&site, DONE, &["verify"]);
    assert!(Command::new("chmod").args(["-R", "u+w"]).arg(&copy).status().expect("chmod").success());
}

#[test]
fn what_is_not_there_or_not_understood_is_said_and_nothing_is_made() {
    let field = Field::new();
    let (_plc, site) = site(&field);
    for command in ["stats", "dump", "verify"] {
        assert!(text(&buffer(&site, FAILED, &[command])).contains("there is no buffer"), "{command}");
    }
    assert!(!site.buffer().exists());
    assert!(text(&buffer(&site, USAGE, &["dump", "--from", "yesterday"])).contains("2026-11-23"));
    buffer(&site, DAMAGED, &["stats", "-c", "nowhere.yaml"]);
}

#[test]
fn quarantine_is_listed_shown_and_exported_beside_the_gateway_and_dropped_only_without_it() {
    let field = Field::new();
    let (plc, site) = site(&field);
    let gateway = site.start();
    answers(&plc.oracle, 3);
    let folder = site.buffer().join("quarantine");
    fs::create_dir_all(&folder).expect("a folder");
    let line = |number: u64| {
        format!(
            "{{\"reason\":\"too large \\u001b[2J\",\"topic\":\"t/{number}\",\"epoch\":1,\"first\":{number},\"last\":{number},\"payload\":\"p{number}\"}}\n"
        )
    };
    fs::write(folder.join("cloud.jsonl"), (1..=3).map(line).collect::<String>()).expect("a file");
    let list = text(&buffer(&site, DONE, &["quarantine", "list"]));
    assert!(list.contains("t/2") && list.contains("too large") && !list.contains('\u{1b}'), "{list}");
    assert_eq!(json(&site, DONE, &["quarantine", "list", "--json"])[2]["number"], 3);
    assert!(text(&buffer(&site, DONE, &["quarantine", "show", "2", "--uplink", "cloud"])).contains("\np2\n"));
    buffer(&site, DAMAGED, &["quarantine", "show", "4", "--uplink", "cloud"]);
    let export = text(&buffer(&site, DONE, &["quarantine", "export"]));
    let payloads = export.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["payload"].clone());
    assert_eq!(payloads.collect::<Vec<_>>(), ["p1", "p2", "p3"]);
    let drop = ["quarantine", "drop", "1", "3", "--uplink", "cloud"];
    assert!(text(&buffer(&site, FAILED, &drop)).contains("a gateway runs"));
    assert!(gateway.terminate().success());
    buffer(&site, DAMAGED, &["quarantine", "drop", "9", "--uplink", "cloud"]);
    buffer(&site, DONE, &drop);
    assert_eq!(fs::read_to_string(folder.join("cloud.jsonl")).expect("a file"), line(2));
}

#[test]
fn a_dump_ends_quietly_when_nobody_reads_on() {
    let field = Field::new();
    let (plc, site) = site(&field);
    let gateway = site.start();
    answers(&plc.oracle, 10);
    assert!(gateway.terminate().success());
    let mut command = Command::new(binary());
    command.args(["buffer", "dump"]).current_dir(site.folder()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary can be started");
    drop(child.stdout.take());
    let ended = child.wait_with_output().expect("the process is ours");
    assert_eq!((ended.status.code(), text(&ended).as_str()), (Some(DONE), ""));
}
