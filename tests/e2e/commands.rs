//! The commands as a person or a script meets them: what they print, how they exit. The README's own lines among them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use hardware_sim::modbus::{Plant, Table};
use serde_json::Value;
use tests::field::Field;
use tests::gateway::{Running, binary, signal};
use tests::need::root;
use tests::site::Site;
use tests::wait;

use crate::rig::{COUNTER, PLC, counter, counting_device, embedded, file, tcp};

const DONE: i32 = 0;
const CONFIGURATION: i32 = 1;
const USAGE: i32 = 2;
const FAILED: i32 = 3;

/// A build without optimisation is some five times slower than what is shipped.
const PLAN_WITHIN: Duration = if cfg!(debug_assertions) { Duration::from_secs(5) } else { Duration::from_secs(1) };

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn both(output: &Output) -> String {
    format!("{}{}", out(output), String::from_utf8_lossy(&output.stderr))
}

fn exits(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}", both(output));
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("no JSON, {error}: {}", both(output)))
}

/// The YAML of the README's chapter "Your own PLC".
fn readme_file() -> String {
    let readme = fs::read_to_string(root().join("README.md")).expect("the README");
    let start = readme.split("```yaml\n").nth(1).expect("a YAML block");
    start.split("```").next().expect("its end").to_owned()
}

#[test]
fn the_readmes_file_is_checked_and_planned() {
    let site = Site::new(&readme_file());
    let check = site.forebay(&["check", "gateway.yaml"]);
    exits(&check, DONE);
    assert!(both(&check).contains("temperature"), "{}", both(&check));
    assert!(both(&check).contains("40001"), "offset and Modicon number stand side by side: {}", both(&check));
    let plan = site.forebay(&["plan", "gateway.yaml"]);
    exits(&plan, DONE);
    assert!(both(&plan).contains("press"), "{}", both(&plan));
    for command in ["check", "plan"] {
        let printed = site.forebay(&[command, "gateway.yaml", "--json"]);
        exits(&printed, DONE);
        assert!(json(&printed).is_object(), "{}", out(&printed));
    }
}

#[test]
fn every_command_of_the_readme_exists() {
    let site = Site::new(&readme_file());
    let readme = fs::read_to_string(root().join("README.md")).expect("the README");
    let named = readme.split("`forebay ").skip(1).filter_map(|rest| rest.split([' ', '`']).next());
    let mut seen = 0;
    for command in named {
        exits(&site.forebay(&[command, "--help"]), DONE);
        seen += 1;
    }
    assert!(seen >= 8, "the README names {seen} commands");
}

#[test]
fn check_reports_all_errors_at_once_with_place_and_near_name() {
    let text = "gateway: a\nevery: 1s\ndevices:\n  press:\n    url: modbus-tcp://127.0.0.1?unit=1\n    tags:\n      \
                a: \"hr:0:REEL\"\n      b: { address: \"hr:1:INT\", scael: 0.1 }\n    oder: CDAB\n";
    let site = Site::new(text);
    let check = site.forebay(&["check", "gateway.yaml"]);
    exits(&check, CONFIGURATION);
    let said = both(&check);
    for part in
        ["REEL", "REAL", "scael", "scale", "oder", "order", "gateway.yaml:7", "gateway.yaml:8", "gateway.yaml:9"]
    {
        assert!(said.contains(part), "{part} is missing in:\n{said}");
    }
    assert!(said.contains('^'), "a caret shows the place:\n{said}");
}

#[test]
fn run_refuses_a_wrong_file_before_it_touches_anything() {
    let site = Site::new("gateway: a\ndevices: { x: { url: \"modbus-tpc://127.0.0.1\" } }\n");
    let run = site.forebay(&["run", "-c", "gateway.yaml"]);
    exits(&run, CONFIGURATION);
    assert!(both(&run).contains("modbus-tcp"), "{}", both(&run));
    assert!(!site.buffer().exists(), "no buffer was made");
}

#[test]
fn a_wrong_command_line_exits_with_2_and_a_missing_file_with_1() {
    let site = Site::new(&readme_file());
    exits(&site.forebay(&["polish"]), USAGE);
    exits(&site.forebay(&["check", "--polish"]), USAGE);
    exits(&site.forebay(&["check", "nowhere.yaml"]), CONFIGURATION);
}

#[test]
fn plans_ten_thousand_tags_in_under_a_second() {
    let mut text = String::from("gateway: big\nevery: 1s\ndevices:\n");
    for device in 0..20 {
        text.push_str(&format!("  d{device}:\n    url: modbus-tcp://10.0.0.{device}?unit=1\n    tags:\n"));
        (0..500).for_each(|tag| text.push_str(&format!("      t{tag}: \"hr:{}:REAL\"\n", tag * 2 + tag / 40 * 7)));
    }
    let site = Site::new(&text);
    let start = Instant::now();
    let plan = site.forebay(&["plan", "gateway.yaml", "--json"]);
    let took = start.elapsed();
    exits(&plan, DONE);
    assert!(json(&plan).is_object());
    eprintln!("10,000 tags planned in {took:?}");
    assert!(took < PLAN_WITHIN, "planning took {took:?}");
}

#[test]
fn plan_refuses_a_serial_line_that_cannot_keep_its_intervals() {
    let mut text = String::from(
        "gateway: slow\nevery: 10ms\ndevices:\n  meter:\n    url: \"modbus-rtu:///dev/ttyS9?baud=1200&unit=1\"\n    tags:\n",
    );
    (0..60).for_each(|tag| text.push_str(&format!("      t{tag}: \"hr:{}:REAL\"\n", tag * 2)));
    let site = Site::new(&text);
    let plan = site.forebay(&["plan", "gateway.yaml"]);
    exits(&plan, CONFIGURATION);
    assert!(both(&plan).contains("meter"), "{}", both(&plan));
}

#[test]
fn samples_are_files_that_check_accepts() {
    let site = Site::new(&readme_file());
    let list = site.forebay(&["sample", "--list"]);
    exits(&list, DONE);
    let names: Vec<String> = out(&list).split_whitespace().map(str::to_owned).collect();
    assert!(["modbus", "mqtt"].iter().all(|name| names.iter().any(|known| known == name)), "{names:?}");
    let whole = site.forebay(&["sample"]);
    let each = ["modbus", "mqtt"].map(|name| site.forebay(&["sample", name]));
    for sample in [whole].iter().chain(&each) {
        exits(sample, DONE);
        fs::write(site.folder().join("sample.yaml"), &sample.stdout).expect("a file");
        exits(&site.forebay(&["check", "sample.yaml"]), DONE);
    }
}

#[test]
fn the_schema_is_json_schema() {
    let site = Site::new(&readme_file());
    let schema = site.forebay(&["schema"]);
    exits(&schema, DONE);
    let schema = json(&schema);
    assert!(schema["$schema"].as_str().is_some_and(|url| url.contains("json-schema.org")));
    assert!(schema["$defs"]["gateway"]["properties"]["devices"].is_object());
}

#[test]
fn the_schemas_of_records_are_printed_for_their_readers() {
    let site = Site::new(&readme_file());
    let printed = ["--avro", "--json-schema"].map(|kind| site.forebay(&["schema", kind]));
    for schema in &printed {
        exits(schema, DONE);
        assert!(json(schema).to_string().contains("uncertain"), "{}", out(schema));
    }
    assert!(out(&site.forebay(&["schema", "--protobuf"])).contains("message Reading"));
    assert!(out(&site.forebay(&["schema", "--ksql"])).contains("CREATE STREAM forebay_readings"));
    exits(&site.forebay(&["schema", "--avro", "--ksql"]), USAGE);
    let none = site.forebay(&["schema", "--ksql", "-c", "gateway.yaml"]);
    exits(&none, CONFIGURATION);
    assert!(both(&none).contains("no uplink leads to Kafka"), "{}", both(&none));
}

#[test]
fn reads_and_writes_a_device_by_its_url() {
    let field = Field::new();
    let plant = Plant::new();
    plant.write_holding(1, 0, &[215, 7]);
    let (_server, address) = field.tcp(&plant);
    let (site, url) = (Site::new(&readme_file()), tcp(address));
    let read = site.forebay(&["read", &url, "hr:0:INT", "hr:1:UINT"]);
    exits(&read, DONE);
    assert!(out(&read).contains("215") && out(&read).contains('7'), "{}", out(&read));
    let read = site.forebay(&["read", &url, "hr:0:INT", "--json"]);
    exits(&read, DONE);
    assert!(json(&read).to_string().contains("215"), "{}", out(&read));
    exits(&site.forebay(&["write", &url, "hr:1:UINT", "4711"]), DONE);
    assert_eq!(plant.read(1, Table::HoldingRegisters, 1, 1), [4711]);
    exits(&site.forebay(&["read", &url, "hr:0:REEL"]), CONFIGURATION);
    let nobody = format!("modbus-tcp://127.0.0.1:{}?unit=1", tests::field::free_port());
    exits(&site.forebay(&["read", &nobody, "hr:0:INT"]), FAILED);
}

#[test]
fn check_connect_tries_every_device_and_uplink_and_says_what_to_do() {
    let field = Field::new();
    let plant = Plant::new();
    plant.write_holding(1, 0, &[215, 7]);
    let (_server, address) = field.tcp(&plant);
    let (_broker, broker, _recorder) = embedded(&field);
    let good = file(&counting_device(PLC, &tcp(address)), &broker);
    let site = Site::new(&good);
    let check = site.forebay(&["check", "gateway.yaml", "--connect"]);
    exits(&check, DONE);
    assert!(out(&check).contains("1 device and 1 uplink tried: all of them can be used"), "{}", both(&check));

    let nobody = format!("127.0.0.1:{}", tests::field::free_port());
    let devices = counting_device(PLC, &tcp(address))
        + "      beyond: \"hr:65535:INT\"\n"
        + &counting_device("gone", &format!("modbus-tcp://{nobody}"));
    site.write(&file(&devices, &format!("mqtt://{nobody}")));
    let check = site.forebay(&["check", "gateway.yaml", "--connect"]);
    exits(&check, CONFIGURATION);
    for part in ["gone: FAILED", "cloud: FAILED", "nothing listens on this port", "2 cannot be used"] {
        assert!(out(&check).contains(part), "{part} is missing: {}", both(&check));
    }
    let check = site.forebay(&["check", "gateway.yaml", "--connect", "--json"]);
    exits(&check, CONFIGURATION);
    let tried = json(&check)["connect"].clone();
    assert_eq!(tried[0]["tags_good"], 2, "{tried}");
    assert_eq!(
        (&tried[0]["good"], &tried[1]["device"], &tried[2]["uplink"]),
        (&true.into(), &"gone".into(), &"cloud".into())
    );
}

#[test]
fn a_reader_that_closes_the_pipe_is_no_error() {
    let site = Site::new(&readme_file());
    for arguments in [["schema"].as_slice(), &["sample"], &["plan", "gateway.yaml"]] {
        let mut command = Command::new(binary());
        command.args(arguments).current_dir(site.folder()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary can be started");
        drop(child.stdout.take());
        let ended = child.wait_with_output().expect("the process is ours");
        assert!(!both(&ended).contains("panicked"), "{arguments:?}: {}", both(&ended));
    }
}

/// Starts `forebay` with these arguments and gives the lines that it prints.
fn lines_of(site: &Site, arguments: &[&str]) -> (Running, std::sync::mpsc::Receiver<String>) {
    let mut command = Command::new(binary());
    command.args(arguments).current_dir(site.folder()).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::null()).spawn().expect("the binary can be started");
    let output = child.stdout.take().expect("a pipe");
    let (sender, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || BufReader::new(output).lines().map_while(Result::ok).try_for_each(|l| sender.send(l)));
    (Running(child), lines)
}

#[test]
fn sim_serves_the_files_devices_and_prints_a_file_that_runs_against_them() {
    let site = Site::new(&readme_file());
    let (_sim, lines) = lines_of(&site, &["sim", "gateway.yaml"]);
    let mut printed = String::new();
    wait::for_it("the file with loopback URLs", wait::SOON, || {
        lines.try_iter().for_each(|line| printed.push_str(&format!("{line}\n")));
        printed.contains("127.0.0.1") && printed.contains("topic")
    });
    for (scheme, addresses) in [("modbus-tcp", ["hr:0:INT", "hr:1:REAL"]), ("s7", ["DB1.DBD4:REAL", "DB1.DBX2.1"])] {
        let is_wanted = |url: &&str| url.starts_with(&format!("{scheme}://127.0.0.1:"));
        let urls =
            printed.lines().filter_map(|line| line.trim().strip_prefix("url: ")).map(|url| url.trim_matches('"'));
        let url = urls.into_iter().find(is_wanted).expect("a loopback URL");
        let read = site.forebay(&["read", url, addresses[0], addresses[1]]);
        exits(&read, DONE);
    }
}

#[test]
fn demo_prints_readings_that_reached_its_broker_and_ends_on_ctrl_c() {
    let site = Site::new(&readme_file());
    let (mut demo, lines) = lines_of(&site, &["demo"]);
    let mut seen: Vec<String> = Vec::new();
    wait::for_it("readings of every protocol on the terminal", wait::SOON, || {
        seen.extend(lines.try_iter().filter(|line| line.contains("Z  #")));
        let is_there = |tag: &&str| seen.iter().any(|line| line.contains(*tag));
        seen.len() > 20 && ["press.current", "filler.level", "tank.level"].iter().all(is_there)
    });
    signal(demo.id(), "INT");
    let ended = wait::until("it ends", wait::SOON, || demo.0.try_wait().expect("the process is ours"));
    assert!(ended.success(), "{ended}");
}

#[test]
fn two_gateways_never_share_a_buffer() {
    let field = Field::new();
    let plant = Plant::new();
    counter(&plant, 1);
    let (_server, address) = field.tcp(&plant);
    let (_broker, url, recorder) = embedded(&field);
    let site = Site::new(&file(&counting_device(PLC, &tcp(address)), &url));
    let gateway = site.start();
    recorder.next_good(PLC, COUNTER);
    let second = site.forebay(&["run", "-c", "gateway.yaml"]);
    exits(&second, FAILED);
    assert!(both(&second).contains("buffer"), "{}", both(&second));
    recorder.next_good(PLC, COUNTER);
    drop(gateway);
}
