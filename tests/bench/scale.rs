//! How processor time and memory grow with the number of tags, and how much one process carries.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::Effort;
use crate::contender::{Kind, Load, Measured, Stage};
use crate::report::{Row, Table, figure};

const SETTLES_WITHIN: Duration = Duration::from_secs(2);
const EVERY: Duration = Duration::from_secs(1);
const TAGS: [usize; 6] = [1, 10, 100, 1_000, 10_000, 100_000];

/// Up to here what a process takes without any tag outweighs the tags.
const SLOPE_FROM: usize = 1_000;
const PARTS: &str = "Modbus TCP, log, JSON batches, MQTT QoS 1";

/// Adds the rows, and draws the curve into the folder of plots.
pub(crate) fn run(table: &mut Table, effort: Effort) {
    let Some(points) = curve(effort) else { return };
    table.add(slope(&points, "processor time a tag at 1 s", "ns a value", |one| one.percent_of_core * 1e7));
    table.add(slope(&points, "memory a tag", "KiB", |one| one.resident_mb * 1024.0));
    if let Ok(folder) = std::env::var("BENCH_PLOTS") {
        std::fs::write(Path::new(&folder).join("curve.svg"), svg(&points)).expect("the plot can be written");
    }
    let wide = Load { connections: 1_000, units: 1, tags: 100, every: EVERY, in_flight: 1 };
    carries(table, effort, "100 k tags at 1 s over 1000 connections of 100 tags", wide);
    let every = Duration::from_millis(100);
    let fast = Load { connections: 100, units: 1, tags: 1_000, every, in_flight: 8 };
    carries(table, effort, "1 M values/s through one process: 100 × 1000 at 100 ms", fast);
}

/// Tags, and what a gateway with so many takes.
type Point = (usize, Measured);

fn curve(effort: Effort) -> Option<Vec<Point>> {
    let point = |tags: usize| {
        let connections = tags.div_ceil(1_000);
        let load = Load { connections, units: 1, tags: tags / connections, every: EVERY, in_flight: 1 };
        Some((tags, measure(load, effort)?))
    };
    TAGS.into_iter().map(point).collect()
}

fn measure(load: Load, effort: Effort) -> Option<Measured> {
    Some(Stage::new(load)?.start(Kind::Gateway).measure(SETTLES_WITHIN, Duration::from_secs(effort.seconds)))
}

fn carries(table: &mut Table, effort: Effort, what: &str, load: Load) {
    let Some(took) = measure(load, effort) else { return };
    let row = Row::new("scale", what).measured("% of one core", &[took.percent_of_core]).parts(PARTS);
    let cost = format!("{:.0} ns a value, {:.1} MB", took.ns_per_value, took.resident_mb);
    table.add(row.proof(format!("{:.1} % arrived", took.arrived_percent)).beside(cost));
}

/// From 1 k to 100 k tags, and of the last stretch against the one before: 1 where the curve is a line.
fn slope(points: &[Point], what: &str, unit: &'static str, of: fn(&Measured) -> f64) -> Row {
    let steep: Vec<Point2> =
        points.iter().filter(|(tags, _)| *tags >= SLOPE_FROM).map(|(n, m)| (*n as f64, of(m))).collect();
    let between = |from: Point2, to: Point2| (to.1 - from.1) / (to.0 - from.0);
    let (first, last) = (steep[0], steep[steep.len() - 1]);
    let bent = between(steep[steep.len() - 2], last) / between(first, steep[1]);
    let row =
        Row::new("scale", &format!("slope from 1 k to 100 k tags: {what}")).measured(unit, &[between(first, last)]);
    row.beside(format!("10 k to 100 k is {} times as steep as 1 k to 10 k", figure(bent))).parts(PARTS)
}

type Point2 = (f64, f64);

const LEFT: f64 = 70.0;
const WIDE: f64 = 560.0;
const HIGH: f64 = 240.0;

/// Two pictures one above the other, both axes logarithmic.
fn svg(points: &[Point]) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
        LEFT + WIDE + 40.0,
        2.0 * (HIGH + 90.0)
    );
    let series =
        |of: fn(&Measured) -> f64| points.iter().map(|(tags, took)| (*tags as f64, of(took))).collect::<Vec<_>>();
    panel(&mut svg, 40.0, "% of one core", &series(|took| took.percent_of_core), (0.01, 100.0));
    panel(&mut svg, 40.0 + HIGH + 90.0, "resident MB", &series(|took| took.resident_mb), (1.0, 100.0));
    svg.push_str("</svg>\n");
    svg
}

fn panel(svg: &mut String, top: f64, what: &str, series: &[Point2], (least, most): Point2) {
    let x = |tags: f64| LEFT + WIDE * tags.log10() / 5.0;
    let y = |value: f64| top + HIGH * (1.0 - (value.clamp(least, most) / least).log10() / (most / least).log10());
    let mut put = |part: String| writeln!(svg, "{part}").expect("a string takes everything");
    put(format!("<text x=\"{LEFT}\" y=\"{}\" font-weight=\"bold\">{what}, over tags polled at 1 s</text>", top - 12.0));
    let mut tick = least;
    while tick <= most * 1.01 {
        let at = y(tick);
        put(format!("<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>", LEFT + WIDE));
        put(format!("<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{tick}</text>", LEFT - 8.0, at + 4.0));
        tick *= 10.0;
    }
    let line: Vec<String> = series.iter().map(|(tags, value)| format!("{:.1},{:.1}", x(*tags), y(*value))).collect();
    put(format!("<polyline points=\"{}\" fill=\"none\" stroke=\"#1f5fa8\" stroke-width=\"2\"/>", line.join(" ")));
    for (tags, value) in series {
        let (at, up) = (x(*tags), y(*value));
        put(format!("<circle cx=\"{at:.1}\" cy=\"{up:.1}\" r=\"3.5\" fill=\"#1f5fa8\"/>"));
        put(format!("<text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>", up - 9.0, figure(*value)));
        put(format!("<text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{tags}</text>", top + HIGH + 18.0));
    }
}
