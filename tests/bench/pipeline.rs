//! P1, P5, P6, P7: the whole way from the PLC to the broker.

use std::time::Duration;

use crate::contender::{Kind, Load, Measured, Stage};
use crate::report::{Row, Table, figure, median};
use crate::{Breadth, Effort};

const SETTLES_WITHIN: Duration = Duration::from_secs(2);
const STARTS_WITHIN: Duration = Duration::from_secs(60);
const ALL_ON: &str = "Modbus TCP, log, JSON batches, MQTT QoS 1";

/// What each contender took, round by round.
#[derive(Default)]
struct Rounds {
    ours: Vec<Measured>,
    naive: Vec<Measured>,
    bare: Vec<Measured>,
}

const ALL: [Kind; 3] = [Kind::Gateway, Kind::Loop, Kind::Bare];
const WITHOUT_BARE: [Kind; 2] = [Kind::Gateway, Kind::Loop];

/// Contenders in turn, round after round; `None` where the far sides are not installed.
fn rounds(kinds: &[Kind], load: Load, effort: Effort) -> Option<Rounds> {
    let stage = Stage::new(load)?;
    let mut all = Rounds::default();
    for _ in 0..effort.rounds_of_pipeline {
        for kind in kinds {
            let measured = stage.start(*kind).measure(SETTLES_WITHIN, Duration::from_secs(effort.seconds));
            match kind {
                Kind::Gateway => all.ours.push(measured),
                Kind::Loop => all.naive.push(measured),
                Kind::Bare => all.bare.push(measured),
            }
        }
    }
    Some(all)
}

fn of(rounds: &[Measured], field: fn(&Measured) -> f64) -> Vec<f64> {
    rounds.iter().map(field).collect()
}

fn middle(rounds: &[Measured], field: fn(&Measured) -> f64) -> f64 {
    median(&of(rounds, field))
}

/// What arrived of what was to arrive.
fn proof(ours: &[Measured]) -> String {
    let (arrived, bytes) = (middle(ours, |one| one.arrived_percent), middle(ours, |one| one.bytes_per_value));
    format!("{arrived:.1} % arrived, {bytes:.0} B a value")
}

/// How often we take what reading alone takes, each to the bare loop of its own round.
fn beside_bare(ours: &[Measured], bare: &[Measured], of: fn(&Measured) -> f64, unit: &str) -> String {
    let ratios: Vec<f64> = ours.iter().zip(bare).map(|(ours, bare)| of(ours) / of(bare)).collect();
    let (ratio, alone) = (figure(median(&ratios)), figure(middle(bare, of)));
    format!("{ratio} × the bare loop that only reads ({alone} {unit})")
}

const NAIVE: &str = "the naive loop";

/// P1: processor time per value.
pub(crate) fn cpu_per_value(table: &mut Table, effort: Effort) {
    let depths: &[usize] = if effort.breadth == Breadth::All { &[1, 8] } else { &[1] };
    for &in_flight in depths {
        let connections = 10;
        let load = Load { connections, units: 1, tags: 1_000, every: Duration::from_millis(100), in_flight };
        let Some(Rounds { ours, naive, bare: of_bare }) = rounds(&ALL, load, effort) else { return };
        let ns: fn(&Measured) -> f64 = |one| one.ns_per_value;
        let what = format!("CPU per value: {connections} × 1000 INT registers at 100 ms, {in_flight} outstanding");
        let row = Row::new("P1", &what).measured("ns", &of(&ours, ns)).against(NAIVE, &of(&naive, ns));
        let bare = beside_bare(&ours, &of_bare, ns, "ns");
        let woken: fn(&Measured) -> f64 = |one| one.wake_ups_per_poll;
        let (woken, bare_woken) = (middle(&ours, woken), middle(&of_bare, woken));
        let woken = format!("{woken:.1} wake-ups a poll of 8 requests, bare loop {bare_woken:.1}");
        table.add(row.gate(250.0, 100.0).proof(proof(&ours)).beside(bare).beside(woken).parts(ALL_ON));
    }
}

/// P5: 100 k tags every second, as 100 devices and as 1000.
pub(crate) fn hundred_thousand_tags(table: &mut Table, effort: Effort) {
    let every = Duration::from_secs(1);
    for (connections, units, tags) in [(100, 1, 1_000), (100, 10, 100)] {
        let load = Load { connections, units, tags, every, in_flight: 1 };
        let what = format!("100 k tags at 1 s: {connections} connections × {units} units × {tags} tags");
        let Some(Rounds { ours, naive, bare }) = rounds(&ALL, load, effort) else { return };
        let cpu: fn(&Measured) -> f64 = |one| one.percent_of_core;
        let row = Row::new("P5", &what).measured("% of one core", &of(&ours, cpu)).against(NAIVE, &of(&naive, cpu));
        let bare = beside_bare(&ours, &bare, cpu, "%");
        table.add(row.gate(5.0, 2.0).proof(proof(&ours)).beside(bare).parts(ALL_ON));
        table.add(resident("P5", &what, &ours, &naive).gate(60.0, 30.0));
    }
}

fn resident(number: &'static str, what: &str, ours: &[Measured], naive: &[Measured]) -> Row {
    let resident: fn(&Measured) -> f64 = |one| one.resident_mb;
    let row = Row::new(number, &format!("{what}: resident")).measured("MB", &of(ours, resident));
    let (own, most) = (middle(ours, |one| one.resident_own_mb), middle(ours, |one| one.resident_most_mb));
    let most = format!("{own:.1} MB of it are no pages of files; most ever {most:.1} MB");
    row.against(NAIVE, &of(naive, resident)).beside(most).parts(ALL_ON)
}

/// P6: 10 k tags every second, and one tag every second.
pub(crate) fn memory(table: &mut Table, effort: Effort) {
    let every = Duration::from_secs(1);
    for (connections, tags, what, (gate, target)) in
        [(10, 1_000, "10 k tags at 1 s: 10 × 1000", (25.0, 15.0)), (1, 1, "idle: 1 tag at 1 s", (12.0, 8.0))]
    {
        let load = Load { connections, units: 1, tags, every, in_flight: 1 };
        let Some(Rounds { ours, naive, .. }) = rounds(&WITHOUT_BARE, load, effort) else { return };
        table.add(resident("P6", what, &ours, &naive).gate(gate, target));
    }
}

/// P7: from the start of the process to the first good value at the broker.
pub(crate) fn first_value(table: &mut Table, effort: Effort) {
    let every = Duration::from_secs(1);
    let cases = [(1, 1, 1, "1 tag", (100.0, 20.0)), (100, 1, 1_000, "100 k tags on 100 devices", (1_000.0, 300.0))];
    for (connections, units, tags, what, (gate, target)) in cases {
        let load = Load { connections, units, tags, every, in_flight: 1 };
        let Some(stage) = Stage::new(load) else { return };
        let start = |kind| {
            let (first, all) = stage.start(kind).first_values(STARTS_WITHIN);
            (first.as_secs_f64() * 1_000.0, all.as_secs_f64() * 1_000.0)
        };
        let (mut ours, mut all, mut naive) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..effort.rounds {
            let (first, each) = start(Kind::Gateway);
            ours.push(first);
            all.push(each);
            naive.push(start(Kind::Loop).0);
        }
        let row = Row::new("P7", &format!("start to first value at the broker: {what} at 1 s")).measured("ms", &ours);
        let each = format!("each tag once: {:.0} ms", median(&all));
        table.add(row.against(NAIVE, &naive).gate(gate, target).proof(each).parts(ALL_ON));
    }
}
