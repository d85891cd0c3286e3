//! The rows that have a gate as a picture: how far each is from its gate, on a logarithmic scale.

use std::fmt::Write;

use crate::report::{Better, Bound, Row, figure, median};

const LINE: f64 = 22.0;
const TOP: f64 = 64.0;
const LABELS: f64 = 620.0;
const SCALE: f64 = 420.0;
const WIDTH: f64 = LABELS + SCALE + 110.0;
const LABEL_CHARACTERS: usize = 92;

/// From a twentieth of the gate to four times as much.
const LEAST: f64 = 0.05;
const MOST: f64 = 4.0;
const TICKS: [f64; 6] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.0];

const WITHIN_TARGET: &str = "#2a7f4f";
const WITHIN_GATE: &str = "#c28a00";
const MISSED: &str = "#b3261e";

/// Where a share of the gate stands.
fn x(share: f64) -> f64 {
    let share = share.clamp(LEAST, MOST);
    LABELS + SCALE * (share / LEAST).ln() / (MOST / LEAST).ln()
}

/// So much of the gate is used; less is better, whichever way the number goes. Of a gate of 0, none is used or too much.
fn share(bound: &Bound, number: f64) -> f64 {
    if bound.gate == 0.0 {
        return if number > 0.0 { MOST } else { 0.0 };
    }
    if bound.better == Better::Less { number / bound.gate } else { bound.gate / number }
}

/// An SVG document.
pub(crate) fn svg(rows: &[Row]) -> String {
    let held: Vec<(&Row, Bound)> = rows.iter().filter_map(|row| Some((row, row.bound?))).collect();
    let height = TOP + LINE * held.len() as f64 + 16.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" font-family=\"sans-serif\" \
         font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"12\" y=\"22\" font-size=\"15\" font-weight=\"bold\">How much of its gate each row uses</text>\n\
         <text x=\"12\" y=\"40\" fill=\"#555\">Left of 1 is within the gate; the black mark is the target; \
         the thin line goes from the least to the most round.</text>\n"
    );
    let bottom = height - 12.0;
    for tick in TICKS {
        let (x, colour) = (x(tick), if tick == 1.0 { "#333" } else { "#ddd" });
        part(
            &mut svg,
            &format!("<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{bottom}\" stroke=\"{colour}\"/>"),
        );
        let above = TOP - 6.0;
        part(&mut svg, &format!("<text x=\"{x:.1}\" y=\"{above}\" text-anchor=\"middle\" fill=\"#555\">{tick}</text>"));
    }
    for (index, (row, bound)) in held.iter().enumerate() {
        line(&mut svg, row, bound, TOP + LINE * index as f64);
    }
    svg.push_str("</svg>\n");
    svg
}

fn line(svg: &mut String, row: &Row, bound: &Bound, y: f64) {
    let shares: Vec<f64> = row.held().into_iter().map(|number| share(bound, number)).collect();
    let (middle, target) = (share(bound, median(&row.held())), share(bound, bound.target));
    let least = shares.iter().copied().fold(f64::INFINITY, f64::min);
    let most = shares.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let colour = match middle {
        _ if middle <= target => WITHIN_TARGET,
        ..=1.0 => WITHIN_GATE,
        _ => MISSED,
    };
    let (text, bar, half) = (y + 15.0, y + 5.0, y + LINE / 2.0);
    let label = escaped(&format!("{} {}", row.number, row.what));
    part(svg, &format!("<text x=\"12\" y=\"{text}\">{label}</text>"));
    let (from, to) = (x(LEAST), x(middle));
    let wide = to - from;
    part(svg, &format!("<rect x=\"{from:.1}\" y=\"{bar}\" width=\"{wide:.1}\" height=\"12\" fill=\"{colour}\"/>"));
    let (from, to) = (x(least), x(most));
    part(svg, &format!("<line x1=\"{from:.1}\" x2=\"{to:.1}\" y1=\"{half}\" y2=\"{half}\" stroke=\"#555\"/>"));
    let mark = x(target) - 1.0;
    part(svg, &format!("<rect x=\"{mark:.1}\" y=\"{y}\" width=\"2\" height=\"{LINE}\" fill=\"#000\"/>"));
    let (right, number) = (LABELS + SCALE + 8.0, figure(median(&row.held())));
    let (sign, gate) = (if bound.better == Better::Less { "≤" } else { "≥" }, bound.gate);
    part(svg, &format!("<text x=\"{right}\" y=\"{text}\">{number} ({sign} {gate})</text>"));
}

fn part(svg: &mut String, part: &str) {
    writeln!(svg, "{part}").expect("a string takes everything");
}

fn escaped(text: &str) -> String {
    let mut short: String = text.chars().take(LABEL_CHARACTERS).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short.replace('&', "&amp;").replace('<', "&lt;")
}
