//! P1, P5, P6, P7: the whole gateway from the PLC to the broker, log on, JSON batches, MQTT QoS 1.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hardware_sim::modbus::{ModbusServer, Plant};
use tests::broker::Broker;
use tests::field::Field;
use tests::gateway::Gateway;
use tests::site::Site;
use tests::subscriber::Subscriber;
use tests::wait;

use crate::Effort;
use crate::report::{median, row, spread};

const SETTLES_AFTER: Duration = Duration::from_secs(4);

/// Simulated PLCs with registers that all change, and what reads them.
struct Plants {
    field: Field,
    addresses: Vec<SocketAddr>,
    _servers: Vec<ModbusServer>,
}

impl Plants {
    fn new(devices: usize) -> Plants {
        let field = Field::new();
        let plant = Plant::new();
        let registers: Vec<u16> = (0..10_000_u32).map(|n| (n * 7919 % 65_536) as u16).collect();
        plant.write_holding(1, 0, &registers);
        let (servers, addresses) = (0..devices).map(|_| field.tcp(&plant)).unzip();
        Plants { field, addresses, _servers: servers }
    }

    fn file(&self, tags: usize, every: &str, uplink: &str) -> String {
        let mut text = format!("gateway: bench\nevery: {every}\ndevices:\n");
        for (device, address) in self.addresses.iter().enumerate() {
            text.push_str(&format!("  d{device}:\n    url: modbus-tcp://{address}?unit=1\n    tags:\n"));
            (0..tags).for_each(|tag| text.push_str(&format!("      t{tag}: \"hr:{tag}:UINT\"\n")));
        }
        text.push_str(&format!("uplinks:\n  cloud:\n    url: {uplink}\n    topic: \"bench/{{device}}\"\n"));
        text
    }
}

/// What a gateway took in a while, and what arrived in it.
struct Measured {
    readings: u64,
    cpu: Duration,
    length: Duration,
    resident_kib: u64,
}

/// Lets a gateway settle, then measures it.
fn measure(gateway: &Gateway, recorder: &Subscriber, length: Duration) -> Measured {
    wait::for_it("readings arrive", wait::SOON, || recorder.counted() > 0);
    wait::pass(SETTLES_AFTER);
    let (readings, cpu, start) = (recorder.counted(), gateway.cpu(), Instant::now());
    wait::pass(length);
    Measured {
        readings: recorder.counted() - readings,
        cpu: gateway.cpu() - cpu,
        length: start.elapsed(),
        resident_kib: gateway.resident_kib(),
    }
}

fn run_once(devices: usize, tags: usize, every: &str, effort: Effort) -> Option<Measured> {
    let broker = Broker::start()?;
    let plants = Plants::new(devices);
    let recorder = Subscriber::counting(broker.address());
    let site = Site::new(&plants.file(tags, every, &broker.url("mqtt")));
    let gateway = site.start();
    let measured = measure(&gateway, &recorder, Duration::from_secs(effort.seconds));
    drop(gateway);
    drop(plants.field);
    Some(measured)
}

fn ns_per_value(measured: &Measured) -> f64 {
    measured.cpu.as_nanos() as f64 / measured.readings.max(1) as f64
}

/// P1: 10 PLCs, 1000 registers each, every 100 ms.
pub(crate) fn cpu_per_value(effort: Effort) {
    let rounds: Vec<Measured> =
        (0..effort.rounds.div_ceil(2)).filter_map(|_| run_once(10, 1_000, "100ms", effort)).collect();
    let ns: Vec<f64> = rounds.iter().map(ns_per_value).collect();
    let arrived: Vec<f64> = rounds.iter().map(|one| one.readings as f64 / one.length.as_secs_f64()).collect();
    let measured = format!("{}; {:.0} of 100,000 values/s arrived", spread(&ns, "ns"), median(&arrived));
    row("P1", "CPU per value: 10 × 1000 registers at 100 ms, log on, JSON batches, QoS 1", &measured, "≤ 250 / 100 ns");
}

/// P5: 100 PLCs, 1000 tags each, every second.
pub(crate) fn hundred_thousand_tags(effort: Effort) {
    let Some(one) = run_once(100, 1_000, "1s", effort) else { return };
    let share = 100.0 * one.cpu.as_secs_f64() / one.length.as_secs_f64();
    let rate = one.readings as f64 / one.length.as_secs_f64();
    let measured = format!(
        "{share:.1} % of one core, {:.1} MB; {rate:.0} of 100,000 values/s arrived",
        one.resident_kib as f64 / 1024.0
    );
    row("P5", "100 k tags at 1 s, log on, one uplink", &measured, "≤ 5 % / 2 %; 60 / 30 MB");
}

/// P6: 10 PLCs, 1000 tags each, every second; and one tag a minute.
pub(crate) fn memory(effort: Effort) {
    let Some(one) = run_once(10, 1_000, "1s", effort) else { return };
    let share = 100.0 * one.cpu.as_secs_f64() / one.length.as_secs_f64();
    let measured = format!("{:.1} MB, {share:.2} % of one core", one.resident_kib as f64 / 1024.0);
    row("P6", "10 k tags at 1 s: memory", &measured, "≤ 25 / 15 MB");
    let Some(idle) = run_once(1, 1, "60s", effort) else { return };
    row("P6", "idle: memory", &format!("{:.1} MB", idle.resident_kib as f64 / 1024.0), "≤ 12 / 8 MB");
}

/// P7: from the start of the process to the first value at the broker.
pub(crate) fn first_value(effort: Effort) {
    for (devices, tags, gate) in [(1, 1, "≤ 100 / 20 ms"), (100, 1_000, "≤ 1,000 / 300 ms")] {
        let Some(broker) = Broker::start() else { return };
        let plants = Plants::new(devices);
        let mut times = Vec::new();
        for _ in 0..effort.rounds {
            let recorder = Subscriber::counting(broker.address());
            let site = Site::new(&plants.file(tags, "1s", &broker.url("mqtt")));
            let (start, before) = (Instant::now(), recorder.counted());
            let gateway = site.start();
            wait::for_it("the first value", wait::SOON, || recorder.counted() > before);
            times.push(start.elapsed().as_secs_f64() * 1_000.0);
            drop(gateway);
        }
        let what = format!("start to first value at the broker, {devices} × {tags} tags (looked at each 10 ms)");
        row("P7", &what, &spread(&times, "ms"), gate);
    }
}
