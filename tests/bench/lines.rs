//! P3: what share of the computed ceiling of a serial line our client takes.

use std::time::{Duration, Instant};

use driver_core::{DeviceSpec, EndpointUrl, GroupId, LineSpec, Readings, SystemClock, TagId, TagSpec};
use hardware_sim::faults::{LineSpeed, SerialJoint};
use hardware_sim::modbus::{ModbusServer, Plant};
use tests::field::Field;

use crate::Effort;
use crate::clients::BLOCK;
use crate::report::row;

const BITS_PER_CHARACTER: u32 = 11;
const REQUEST_CHARACTERS: f64 = 8.0;
const REPLY_CHARACTERS: f64 = 5.0 + 2.0 * BLOCK as f64;

/// The silence between frames: 3.5 characters, and 1.75 ms above 19200 baud (Modbus over serial line, 2.5.1.1).
fn silence_s(baud: u32) -> f64 {
    if baud > 19_200 { 0.001_75 } else { 3.5 * f64::from(BITS_PER_CHARACTER) / f64::from(baud) }
}

/// Registers a second when nothing but the line takes time: request, silence, reply, silence.
fn ceiling(baud: u32) -> f64 {
    let characters_s = (REQUEST_CHARACTERS + REPLY_CHARACTERS) * f64::from(BITS_PER_CHARACTER) / f64::from(baud);
    BLOCK as f64 / (characters_s + 2.0 * silence_s(baud))
}

/// Prints a row for each speed.
pub(crate) fn run(effort: Effort) {
    for baud in [9_600, 19_200, 115_200] {
        let rate = rate(baud, Duration::from_secs(effort.seconds));
        let ceiling = ceiling(baud);
        let measured = format!("{rate:.0} of {ceiling:.0} registers/s: {:.1} %", 100.0 * rate / ceiling);
        row("P3", &format!("RTU at {baud} baud on a paced pseudo-terminal"), &measured, "≥ 90 % / 97 %");
    }
}

/// Registers a second through a paced line, one poll after the other.
fn rate(baud: u32, length: Duration) -> f64 {
    let field = Field::new();
    let folder = tempfile::TempDir::with_prefix("forebay-bench-").expect("a temporary directory");
    let speed = LineSpeed { baud, bits_per_character: BITS_PER_CHARACTER };
    let joint = field.enter(|| SerialJoint::open(folder.path(), Some(speed))).expect("pseudo-terminals");
    let server = joint.server().display().to_string();
    let _server = field.enter(|| ModbusServer::rtu_at(&server, baud, Plant::new())).expect("the port opens");
    let url = format!("modbus-rtu://{}?baud={baud}&parity=even&unit=1", joint.client().display());
    let url: EndpointUrl = url.parse().unwrap_or_else(|_| panic!("`{url}` is no URL"));
    let address = format!("hr:0:UINT[{BLOCK}]").into();
    let tags = vec![TagSpec { id: TagId(0), address, group: GroupId(0) }];
    let device = DeviceSpec { groups: vec![Duration::from_secs(1)], tags, ..DeviceSpec::default() };
    let driver = drivers::by_scheme(url.scheme()).expect("a driver of this build");
    let spec = LineSpec { url, timeout: Some(Duration::from_secs(2)), devices: vec![device] };
    let mut line = driver.line(&spec).unwrap_or_else(|errors| panic!("{errors:?}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        line.connect().await.expect("the port opens");
        let mut readings = Vec::new();
        let (start, mut polls) = (Instant::now(), 0);
        while start.elapsed() < length {
            readings.clear();
            line.poll(0, GroupId(0), &mut Readings::new(&mut readings, &SystemClock)).await.expect("an answer");
            assert!(readings.iter().all(|reading| reading.quality.reason().is_none()), "{readings:?}");
            polls += 1;
        }
        (polls * BLOCK) as f64 / start.elapsed().as_secs_f64()
    })
}
