//! P3: what share of the computed ceiling of a serial line our driver takes.

use std::time::{Duration, Instant};

use hardware_sim::faults::{LineSpeed, SerialJoint};
use hardware_sim::modbus::{ModbusServer, Plant};
use tests::field::Field;
use tokio::runtime::Builder;

use crate::Effort;
use crate::clients::{BLOCK, line, poll};
use crate::report::{Row, median};

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

/// Prints a row for each speed. The speeds take turns.
pub(crate) fn run(effort: Effort) {
    let mut speeds = [9_600, 19_200, 115_200].map(|baud| (baud, Vec::new()));
    for _ in 0..effort.rounds {
        for (baud, rates) in &mut speeds {
            rates.push(rate(*baud, Duration::from_secs(effort.seconds)));
        }
    }
    for (baud, rates) in speeds {
        let ceiling = ceiling(baud);
        let shares: Vec<f64> = rates.iter().map(|rate| 100.0 * rate / ceiling).collect();
        let extra_ms = 1_000.0 * BLOCK as f64 * (1.0 / median(&rates) - 1.0 / ceiling);
        Row::new("P3", &format!("RTU at {baud} baud, paced pseudo-terminal, {BLOCK} registers a request"))
            .measured("% of the ceiling", &shares)
            .gate_at_least(90.0, 97.0)
            .beside(format!(
                "{:.0} of {ceiling:.0} registers/s; {extra_ms:.2} ms an exchange beyond the ceiling, simulator included",
                median(&rates)
            ))
            .parts("driver alone")
            .print();
    }
}

/// Registers a second through a paced line, one poll after the other. The device has no turn-around of its own.
fn rate(baud: u32, length: Duration) -> f64 {
    let field = Field::new();
    let folder = tempfile::TempDir::with_prefix("forebay-bench-").expect("a temporary directory");
    let speed = LineSpeed { baud, bits_per_character: BITS_PER_CHARACTER };
    let joint = field.enter(|| SerialJoint::open(folder.path(), Some(speed))).expect("pseudo-terminals");
    let server = joint.server().display().to_string();
    let plant = Plant::new();
    plant.write_holding(1, 0, &[4_711; BLOCK]);
    let _server = field.enter(|| ModbusServer::rtu_at(&server, baud, plant)).expect("the port opens");
    let url = format!("modbus-rtu://{}?baud={baud}&parity=even&unit=1", joint.client().display());
    let mut line = line(&url, BLOCK, None);
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
