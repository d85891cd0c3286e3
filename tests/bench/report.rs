//! Medians, spreads and the lines of the table.

use crate::Effort;

/// Prints what stands above all rows.
pub(crate) fn heading(effort: Effort) {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name\t: ")).unwrap_or("unknown processor");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("{model}, {cores} cores, Linux {}; load at the start {}.", kernel.trim(), load.trim());
    let (many, few) = (effort.rounds, effort.rounds_of_pipeline);
    println!("Median (least to most) of {many} rounds in P2, P14 and for the gateway in P7, of {few} elsewhere.\n");
    println!("| # | what | gate | target | measured | met | beside it | parts on |");
    println!("|---|---|---|---|---|---|---|---|");
}

/// A row of the table.
pub(crate) struct Row {
    number: &'static str,
    what: String,
    unit: &'static str,
    numbers: Vec<f64>,
    /// Gate and target, and whether more is better.
    bounds: Option<(f64, f64, Better)>,
    beside: String,
    parts: &'static str,
}

/// Which way a number should go.
#[derive(Clone, Copy, PartialEq)]
enum Better {
    Less,
    More,
}

impl Row {
    pub(crate) fn new(number: &'static str, what: &str) -> Row {
        let (beside, parts) = (String::new(), "");
        Row { number, what: what.to_owned(), unit: "", numbers: Vec::new(), bounds: None, beside, parts }
    }

    /// What was measured, round by round.
    pub(crate) fn measured(self, unit: &'static str, numbers: &[f64]) -> Row {
        Row { unit, numbers: numbers.to_vec(), ..self }
    }

    /// At most so much.
    pub(crate) fn gate(self, gate: f64, target: f64) -> Row {
        Row { bounds: Some((gate, target, Better::Less)), ..self }
    }

    /// At least so much.
    pub(crate) fn gate_at_least(self, gate: f64, target: f64) -> Row {
        Row { bounds: Some((gate, target, Better::More)), ..self }
    }

    /// What the reference took in the same run, or what proves the number.
    pub(crate) fn beside(self, beside: String) -> Row {
        Row { beside, ..self }
    }

    /// Which parts of the gateway were on.
    pub(crate) fn parts(self, parts: &'static str) -> Row {
        Row { parts, ..self }
    }

    pub(crate) fn print(&self) {
        let (number, what, unit) = (self.number, &self.what, self.unit);
        let measured = format!("{} {unit}", spread(&self.numbers));
        let (gate, target, met) = match self.bounds {
            None => (String::new(), String::new(), ""),
            Some((gate, target, better)) => {
                let sign = if better == Better::Less { "≤" } else { "≥" };
                (
                    format!("{sign} {gate}"),
                    format!("{sign} {target}"),
                    verdict(median(&self.numbers), gate, target, better),
                )
            }
        };
        println!("| {number} | {what} | {gate} | {target} | {measured} | {met} | {} | {} |", self.beside, self.parts);
    }
}

fn verdict(measured: f64, gate: f64, target: f64, better: Better) -> &'static str {
    let meets = |bound: f64| if better == Better::Less { measured <= bound } else { measured >= bound };
    match (meets(gate), meets(target)) {
        (_, true) => "target",
        (true, false) => "gate",
        (false, false) => "**missed**",
    }
}

/// The middle of some numbers; the mean of the two in the middle where their count is even.
pub(crate) fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    (middle(sorted.len() / 2) + middle(sorted.len().saturating_sub(1) / 2)) / 2.0
}

/// The middle with the least and the most.
pub(crate) fn spread(numbers: &[f64]) -> String {
    let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
    let most = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let digits = if most >= 100.0 {
        0
    } else if most >= 10.0 {
        1
    } else {
        2
    };
    format!("{:.digits$} ({least:.digits$} to {most:.digits$})", median(numbers))
}
