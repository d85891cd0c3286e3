//! P4: what our planner asks for beside trying everything, and beside what others would ask for the same tags. Nothing is
//! sent: requests, their bytes and the time that a line would take for them are counted.
//!
//! The rules that are ascribed to others, and where they stand:
//!
//! | who | rule | source |
//! |---|---|---|
//! | PLC4X | tags by rising address, one request as long as all fits 125 registers from its first, whatever lies between | apache/plc4x, plc4j modbus `ModbusOptimizer.processRegisterRequests` |
//! | Telegraf | a request goes on only where the next field begins where the last ended; 125 at most | influxdata/telegraf, plugins/inputs/modbus `groupFieldsToRequests`; `optimization = "none"` is the default |
//! | Telegraf, tuned | holes of up to 50 registers are read along | the same, `sample_request.conf`: `max_insert`, `optimization_max_register_fill = 50` |
//! | NG Gateway | the next address at most 10 beyond the last register, the span at most 100 | shiyuecamus/ng-gateway, modbus `planner.rs`, defaults `maxGap` 10 and `maxBatch` 100 in `metadata.rs` |

use std::collections::BTreeMap;
use std::time::Duration;

use drivers::modbus::address::Area;
use drivers::modbus::config::Costs;
use drivers::modbus::session::Pace;
use drivers::modbus::wire::{Framing, Table as ModbusTable};

use crate::Effort;
use crate::clients;
use crate::report::{Row, Table};

const REGISTERS_MAX: u32 = 125;
const AREA: Area = Area::Table(ModbusTable::HoldingRegisters);
const PARTS: &str = "planner alone, nothing is sent";

/// Tags of a random map for which everything is tried.
const TRIED_TAGS: usize = 13;
const TRIED_MAPS: usize = 24;

/// First register and length of a tag.
type Tag = (u32, u32);

/// A line that a plan is made for: its name, our URL for it, what its requests cost.
struct Line {
    name: &'static str,
    url: &'static str,
    costs: Costs,
}

fn lines() -> [Line; 2] {
    [
        Line { name: "TCP", url: "modbus-tcp://127.0.0.1:502?unit=1", costs: Costs::new(Framing::Mbap, Pace::UNPACED) },
        Line {
            name: "RTU at 9600 baud",
            url: "modbus-rtu:///dev/ttyS0?baud=9600&parity=even&unit=1",
            costs: Costs::new(Framing::Rtu, Pace::of_line(9_600, 11)),
        },
    ]
}

/// Numbers that look random and are the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % u64::from(limit)) as u32
    }
}

/// Maps of registers as they are met.
fn maps() -> Vec<(&'static str, Vec<Tag>)> {
    let mut dice = Dice(1);
    let spread: BTreeMap<u32, u32> = (0..200).map(|_| (2 * dice.below(2_500), 2)).collect();
    let meter = (0..18).map(|phase| (2 * phase, 2)).chain([(52, 2), (56, 2), (60, 2), (70, 2), (72, 2), (74, 2)]);
    let meter = meter.chain([(84, 2), (86, 2), (200, 2), (202, 2), (204, 2), (342, 2), (344, 2)]);
    vec![
        ("1000 neighbouring REALs", (0..1_000).map(|tag| (2 * tag, 2)).collect()),
        ("1000 REALs, every other one", (0..1_000).map(|tag| (4 * tag, 2)).collect()),
        ("200 REALs scattered over 5000 registers", spread.into_iter().collect()),
        ("an energy meter: 31 REALs in five heaps", meter.collect()),
        ("100 blocks of 8 words, 40 apart", (0..800).map(|word| (word / 8 * 40 + word % 8, 1)).collect()),
    ]
}

/// Adds the rows: against trying everything, and against the rules of others.
pub(crate) fn run(table: &mut Table, _: Effort) {
    for line in lines() {
        let (mut ours, mut least) = (Vec::new(), Vec::new());
        let mut dice = Dice(7);
        for _ in 0..TRIED_MAPS {
            let tags: BTreeMap<u32, u32> = (0..TRIED_TAGS).map(|_| (dice.below(600), 1 + dice.below(4))).collect();
            let tags: Vec<Tag> = tags.into_iter().collect();
            ours.push(ms(planned(&line, &tags).time));
            least.push(ms(cheapest_by_trial(&line, &tags)));
        }
        let what =
            format!("time of a poll on {}: random maps of {TRIED_TAGS} tags, against all ways to read them", line.name);
        let row = Row::new("P4", &what).measured("ms", &ours).against("the least of all", &least);
        table.add(row.gate_of_ratio(1.1, 1.0).beside(format!("{TRIED_MAPS} maps, each a round")).parts(PARTS));
    }
    for (name, tags) in maps() {
        lines().iter().for_each(|line| table.add(beside_others(line, name, &tags)));
    }
}

fn beside_others(line: &Line, name: &str, tags: &[Tag]) -> Row {
    let ours = planned(line, tags);
    let others = RULES.map(|(who, joins)| (who, asked(line, tags, joins)));
    let best = others.iter().map(|(_, asked)| asked.time).min().unwrap_or_default();
    let said = |who: &str, asked: &Asked| {
        format!("{who} {} requests, {} B, {:.1} ms", asked.requests, asked.bytes, ms(asked.time))
    };
    let all = others.iter().map(|(who, asked)| said(who, asked)).collect::<Vec<_>>().join("; ");
    let row = Row::new("P4", &format!("time of a poll on {}: {name}", line.name)).measured("ms", &[ms(ours.time)]);
    row.against("the best of the others", &[ms(best)]).proof(said("ours", &ours)).beside(all).parts(PARTS)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// What one poll takes.
#[derive(Default)]
struct Asked {
    requests: usize,
    bytes: usize,
    time: Duration,
}

/// Our own plan, as `forebay plan` shows it.
fn planned(line: &Line, tags: &[Tag]) -> Asked {
    let address = |(start, len): &Tag| match len {
        1 => format!("hr:{start}:UINT"),
        2 => format!("hr:{start}:REAL"),
        len => format!("hr:{start}:UINT[{len}]"),
    };
    let plan = clients::line_of(line.url, tags.iter().map(address), None).plan(0);
    Asked {
        requests: plan.requests.len(),
        bytes: plan.requests.iter().map(|request| request.wire_bytes).sum(),
        time: plan.requests.iter().map(|request| request.time).sum(),
    }
}

/// Whether a tag is read along: where the request began and ends so far, and the tag.
type Joins = fn(u32, u32, Tag) -> bool;

const RULES: [(&str, Joins); 4] = [
    ("PLC4X", |begin, _, (start, len)| start + len - begin <= REGISTERS_MAX),
    ("Telegraf", |begin, end, (start, len)| start == end && start + len - begin <= REGISTERS_MAX),
    ("Telegraf max_insert", |begin, end, (start, len)| start - end <= 50 && start + len - begin <= REGISTERS_MAX),
    ("NG Gateway", |begin, end, (start, len)| start - (end - 1) <= 10 && start + len - begin <= 100),
];

/// The tags, which rise and do not overlap, in the requests that a rule makes of them.
fn asked(line: &Line, tags: &[Tag], joins: Joins) -> Asked {
    let mut spans: Vec<(u32, u32)> = Vec::new();
    for &(start, len) in tags {
        match spans.last_mut() {
            Some((begin, end)) if joins(*begin, *end, (start, len)) => *end = start + len,
            _ => spans.push((start, start + len)),
        }
    }
    let mut asked = Asked::default();
    for (begin, end) in spans {
        let bytes = line.costs.wire_bytes(AREA, end - begin);
        asked.requests += 1;
        asked.bytes += bytes.out + bytes.back;
        asked.time += line.costs.time(AREA, end - begin);
    }
    asked
}

/// The least time of all partitions of the tags into requests, each tried.
fn cheapest_by_trial(line: &Line, tags: &[Tag]) -> Duration {
    let all = (1_usize << tags.len()) - 1;
    let cost: Vec<Option<Duration>> = (0..=all).map(|set| cost_of_set(line, tags, set)).collect();
    let mut best = vec![Duration::MAX; all + 1];
    best[0] = Duration::ZERO;
    for set in 1..=all {
        let lowest = set & set.wrapping_neg();
        let mut part = set;
        while part != 0 {
            if let Some(cost) = cost[part].filter(|_| part & lowest != 0) {
                best[set] = best[set].min(best[set & !part].saturating_add(cost));
            }
            part = (part - 1) & set;
        }
    }
    best[all]
}

fn cost_of_set(line: &Line, tags: &[Tag], set: usize) -> Option<Duration> {
    let chosen = || tags.iter().enumerate().filter(|(index, _)| set >> index & 1 == 1).map(|(_, tag)| *tag);
    let begin = chosen().map(|(start, _)| start).min()?;
    let end = chosen().map(|(start, len)| start + len).max()?;
    (end - begin <= REGISTERS_MAX).then(|| line.costs.time(AREA, end - begin))
}
