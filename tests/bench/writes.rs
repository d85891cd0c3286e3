//! P8: how long a command takes while 100 k tags are polled.

use std::fs::File;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::json;
use tests::field::free_port;
use tests::gateway::{Running, binary};
use tests::http::{get, post};
use tests::site::Site;
use tests::wait;

use crate::Effort;
use crate::device::Devices;
use crate::process;
use crate::report::{Row, Table};

const DEVICES: usize = 100;
const TAGS: usize = 1_000;
const WRITES: usize = 100;
const TOKEN: &str = "the-benchmark's-token";

/// Who may write, as it stands in `http` of the gateway's file.
pub(crate) const TOKENS: &str = "tokens: { bench: { secret: { literal: \"the-benchmark's-token\" } } }";

/// The tag that is written, in a device of the gateway's file. The simulated PLC keeps nothing: that it took the value is
/// all that can be asked of it.
pub(crate) const SET: &str = "      set: { address: \"hr:5000:UINT\", write: { verify: false, rate: 1000/s } }\n";

const UP_WITHIN: Duration = Duration::from_secs(60);

/// The mean and the longest of each round.
pub(crate) fn run(table: &mut Table, effort: Effort) {
    let devices = Devices::start(DEVICES);
    let rounds: Vec<(f64, f64)> = (0..effort.rounds_of_pipeline).map(|_| round(&devices)).collect();
    let (means, longest): (Vec<f64>, Vec<f64>) = rounds.into_iter().unzip();
    let what =
        format!("{WRITES} commands, one after the other, while 100 k tags are polled at 1 s on {DEVICES} connections");
    let parts = "HTTP, guard, audit trail with fsync, write, read back, answer; log on, no uplink";
    let row = |which: &str, ms: &[f64]| Row::new("P8", &format!("{what}: {which}")).measured("ms", ms).parts(parts);
    table.add(row("mean", &means).gate(5.0, 2.0));
    table.add(row("longest", &longest).gate(50.0, 10.0));
}

fn round(devices: &Devices) -> (f64, f64) {
    let http = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let site = Site::new(&file(devices, http));
    let output = File::create(site.folder().join("output")).expect("the output can be written");
    let errors = output.try_clone().expect("a descriptor to spare");
    let mut command = process::on_core(process::CORE_OF_MEASURED, &binary());
    command.arg("run").arg("-c").arg(site.file()).stdin(Stdio::null()).stdout(output).stderr(errors);
    let _gateway = Running(command.spawn().expect("the gateway can be started"));
    wait::for_it("all devices are polled", UP_WITHIN, || {
        get(http, "/api/v1/status").is_ok_and(|(_, body)| !body.contains("\"polls\":0"))
    });
    // Each device in turn, at any moment of its cycle.
    let took: Vec<f64> = (0..WRITES).map(|number| one(http, &format!("d{}", number * 37 % DEVICES), number)).collect();
    (took.iter().sum::<f64>() / took.len() as f64, took.iter().copied().fold(0.0, f64::max))
}

/// Milliseconds from the first byte of the request to the last of the answer.
pub(crate) fn one(http: SocketAddr, device: &str, number: usize) -> f64 {
    let command = json!({ "device": device, "tag": "set", "value": number }).to_string();
    let begun = Instant::now();
    let (status, body) = post(http, "/api/v1/commands", TOKEN, &command).expect("an answer");
    assert_eq!(status, 200, "{body}");
    begun.elapsed().as_secs_f64() * 1_000.0
}

fn file(devices: &Devices, http: SocketAddr) -> String {
    let mut text = format!("gateway: bench\nevery: 1s\nhttp: {{ listen: {http}, {TOKENS} }}\ndevices:\n");
    for (index, port) in devices.ports.iter().enumerate() {
        text.push_str(&format!("  d{index}:\n    url: modbus-tcp://127.0.0.1:{port}?unit=1\n    tags:\n"));
        text.push_str(SET);
        (0..TAGS - 1).for_each(|tag| text.push_str(&format!("      t{tag}: \"hr:{tag}:INT\"\n")));
    }
    text
}
