//! The table: rows with their medians, spreads, ratios and verdicts.

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
    println!(
        "Median (least to most) of {many} rounds in P2, P13, P14, P15 and for the gateway in P7, of {few} elsewhere."
    );
    println!("A ratio is taken round by round, each to the reference of its own round.\n");
    println!("| {} |", COLUMNS.join(" | "));
    println!("|{}", "---|".repeat(COLUMNS.len()));
}

/// As they stand above the rows; comparisons find a committed row's numbers by them.
pub(crate) const COLUMNS: [&str; 9] =
    ["#", "what", "parts on", "gate", "target", "measured", "ratio", "met", "proof, and what else ran beside it"];

/// All rows so far, each printed when it comes.
#[derive(Default)]
pub(crate) struct Table {
    pub(crate) rows: Vec<Row>,
}

impl Table {
    /// Prints a row and keeps it for the plot and the comparison.
    pub(crate) fn add(&mut self, row: Row) {
        println!("{}", row.line());
        self.rows.push(row);
    }
}

/// A row of the table. Its number and `what` are its name: a committed result is found by them.
pub(crate) struct Row {
    pub(crate) number: &'static str,
    pub(crate) what: String,
    parts: &'static str,
    unit: &'static str,
    numbers: Vec<f64>,
    reference: Option<(&'static str, Vec<f64>)>,
    pub(crate) bound: Option<Bound>,
    notes: Vec<String>,
}

/// What a number is held to.
#[derive(Clone, Copy)]
pub(crate) struct Bound {
    pub(crate) gate: f64,
    pub(crate) target: f64,
    pub(crate) better: Better,
    of: Held,
}

/// Which way a number should go.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Better {
    Less,
    More,
}

/// Which number of a row the budget speaks of.
#[derive(Clone, Copy, PartialEq)]
enum Held {
    Measured,
    Ratio,
}

impl Row {
    pub(crate) fn new(number: &'static str, what: &str) -> Row {
        let (numbers, notes) = (Vec::new(), Vec::new());
        let (parts, unit) = ("", "");
        Row { number, what: what.to_owned(), parts, unit, numbers, reference: None, bound: None, notes }
    }

    /// Which parts of the gateway were on.
    pub(crate) fn parts(self, parts: &'static str) -> Row {
        Row { parts, ..self }
    }

    /// What was measured of ours, round by round.
    pub(crate) fn measured(self, unit: &'static str, numbers: &[f64]) -> Row {
        Row { unit, numbers: numbers.to_vec(), ..self }
    }

    /// What the reference took in the same rounds, in the same unit.
    pub(crate) fn against(self, name: &'static str, numbers: &[f64]) -> Row {
        Row { reference: Some((name, numbers.to_vec())), ..self }
    }

    /// At most so much of what was measured.
    pub(crate) fn gate(self, gate: f64, target: f64) -> Row {
        self.bound(gate, target, Better::Less, Held::Measured)
    }

    /// At least so much of what was measured.
    pub(crate) fn gate_at_least(self, gate: f64, target: f64) -> Row {
        self.bound(gate, target, Better::More, Held::Measured)
    }

    /// At most so many times the reference.
    pub(crate) fn gate_of_ratio(self, gate: f64, target: f64) -> Row {
        self.bound(gate, target, Better::Less, Held::Ratio)
    }

    fn bound(self, gate: f64, target: f64, better: Better, of: Held) -> Row {
        Row { bound: Some(Bound { gate, target, better, of }), ..self }
    }

    /// What the far side counted, which shows that the work was done.
    pub(crate) fn proof(self, proof: String) -> Row {
        self.beside(proof)
    }

    /// What else ran in the same rounds.
    pub(crate) fn beside(mut self, beside: String) -> Row {
        self.notes.push(beside);
        self
    }

    /// Ours to the reference, round by round; empty without one.
    pub(crate) fn ratios(&self) -> Vec<f64> {
        let reference = self.reference.iter().flat_map(|(_, numbers)| numbers);
        self.numbers.iter().zip(reference).map(|(ours, other)| ours / other).collect()
    }

    /// The numbers that gate and target are for.
    pub(crate) fn held(&self) -> Vec<f64> {
        match self.bound {
            Some(Bound { of: Held::Ratio, .. }) => self.ratios(),
            _ => self.numbers.clone(),
        }
    }

    pub(crate) fn measured_median(&self) -> f64 {
        median(&self.numbers)
    }

    fn line(&self) -> String {
        let (gate, target, met) = match &self.bound {
            None => (String::new(), String::new(), ""),
            Some(bound) => (bound.text(bound.gate), bound.text(bound.target), bound.verdict(median(&self.held()))),
        };
        let measured = format!("{} {}", spread(&self.numbers), self.unit);
        let ratio = match &self.reference {
            None => String::new(),
            Some((name, reference)) => format!("{} × {name} ({})", spread(&self.ratios()), figure(median(reference))),
        };
        let notes = self.notes.join("; ");
        let cells = [self.number, &self.what, self.parts, &gate, &target, &measured, &ratio, met, &notes];
        format!("| {} |", cells.join(" | "))
    }
}

impl Bound {
    fn text(&self, bound: f64) -> String {
        let sign = if self.better == Better::Less { "≤" } else { "≥" };
        let times = if self.of == Held::Ratio { " ×" } else { "" };
        format!("{sign} {bound}{times}")
    }

    fn verdict(&self, number: f64) -> &'static str {
        let meets = |bound: f64| if self.better == Better::Less { number <= bound } else { number >= bound };
        match (meets(self.gate), meets(self.target)) {
            (_, true) => "target",
            (true, false) => "gate",
            (false, false) => "**missed**",
        }
    }
}

/// The middle of some numbers; the mean of the two in the middle where their count is even.
pub(crate) fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    (middle(sorted.len() / 2) + middle(sorted.len().saturating_sub(1) / 2)) / 2.0
}

/// The middle with the least and the most, where these differ.
pub(crate) fn spread(numbers: &[f64]) -> String {
    let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
    let most = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    match numbers {
        [] | [_] => figure(median(numbers)),
        _ => format!("{} ({} to {})", figure(median(numbers)), figure(least), figure(most)),
    }
}

/// Three digits that count.
pub(crate) fn figure(number: f64) -> String {
    match number {
        100.0.. => format!("{number:.0}"),
        10.0.. => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    }
}
