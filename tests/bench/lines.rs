//! P3: what share of the computed ceiling of a serial line our driver takes.

use std::time::{Duration, Instant};

use hardware_sim::faults::{LineSpeed, SerialJoint};
use hardware_sim::modbus::{ModbusServer, Plant};
use tempfile::TempDir;
use tests::field::Field;
use tokio::runtime::Builder;

use crate::Effort;
use crate::bare;
use crate::clients::{BLOCK, line, poll};
use crate::report::{Row, Table, median};

const BITS_PER_CHARACTER: u32 = 11;
const REQUEST_CHARACTERS: f64 = 8.0;
const REPLY_CHARACTERS: f64 = 5.0 + 2.0 * BLOCK as f64;

/// The silence between frames: 3.5 characters, and 1.75 ms above 19200 baud (Modbus over serial line, 2.5.1.1).
fn silence_s(baud: u32) -> f64 {
    if baud > 19_200 { 0.001_75 } else { 3.5 * f64::from(BITS_PER_CHARACTER) / f64::from(baud) }
}

/// Registers a second when nothing but the line takes time: silence, request, reply. The simulated device answers at once;
/// a real one keeps a silence of its own before it does, and the ceiling is lower by that.
fn ceiling(baud: u32) -> f64 {
    let characters_s = (REQUEST_CHARACTERS + REPLY_CHARACTERS) * f64::from(BITS_PER_CHARACTER) / f64::from(baud);
    BLOCK as f64 / (characters_s + silence_s(baud))
}

/// A row for each speed. Speeds take turns, and at each the driver and a bare loop.
pub(crate) fn run(table: &mut Table, effort: Effort) {
    let mut speeds = [9_600, 19_200, 115_200].map(|baud| (baud, Vec::new(), Vec::new()));
    let length = Duration::from_secs(effort.seconds);
    for _ in 0..effort.rounds_of_pipeline {
        for (baud, ours, bare) in &mut speeds {
            let share = |rate: f64| 100.0 * rate / ceiling(*baud);
            ours.push(share(Track::new(*baud).rate(length)));
            bare.push(share(Track::new(*baud).bare_rate(length)));
        }
    }
    for (baud, ours, bare) in speeds {
        let ceiling = ceiling(baud);
        let read = format!("{:.0} of {ceiling:.0} registers/s", median(&ours) / 100.0 * ceiling);
        let row = Row::new("P3", &format!("RTU at {baud} baud, paced pseudo-terminal, {BLOCK} registers a request"))
            .measured("% of the ceiling", &ours)
            .against("a bare loop", &bare)
            .gate_at_least(90.0, 97.0)
            .proof(read)
            .parts("driver alone; the device has no turn-around");
        table.add(row);
    }
}

/// A paced line with a simulated device at its end.
struct Track {
    baud: u32,
    joint: SerialJoint,
    _server: ModbusServer,
    _folder: TempDir,
    _field: Field,
}

impl Track {
    fn new(baud: u32) -> Track {
        let field = Field::new();
        let folder = TempDir::with_prefix("forebay-bench-").expect("a temporary directory");
        let speed = LineSpeed { baud, bits_per_character: BITS_PER_CHARACTER };
        let joint = field.enter(|| SerialJoint::open(folder.path(), Some(speed))).expect("pseudo-terminals");
        let port = joint.server().display().to_string();
        let plant = Plant::new();
        plant.write_holding(1, 0, &[4_711; BLOCK]);
        let server = field.enter(|| ModbusServer::rtu_at(&port, baud, plant)).expect("the port opens");
        Track { baud, joint, _server: server, _folder: folder, _field: field }
    }

    /// Registers a second that our driver reads, one poll after the other.
    fn rate(&self, length: Duration) -> f64 {
        let (port, baud) = (self.joint.client().display(), self.baud);
        let mut line = line(&format!("modbus-rtu://{port}?baud={baud}&parity=even&unit=1"), BLOCK, None);
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            line.connect().await.expect("the port opens");
            let mut readings = Vec::new();
            poll(line.as_mut(), &mut readings).await;
            let (start, mut registers) = (Instant::now(), 0);
            while start.elapsed() < length {
                registers += poll(line.as_mut(), &mut readings).await;
            }
            registers as f64 / start.elapsed().as_secs_f64()
        })
    }

    fn bare_rate(&self, length: Duration) -> f64 {
        let start = Instant::now();
        let exchanges = bare::serial(self.joint.client(), Duration::from_secs_f64(silence_s(self.baud)), length);
        (exchanges * BLOCK) as f64 / start.elapsed().as_secs_f64()
    }
}
