//! Medians, spreads and lines of the table.

use crate::Effort;

/// Prints what stands above all rows.
pub(crate) fn heading(effort: Effort) {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name\t: ")).unwrap_or("unknown processor");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("# Measured\n");
    println!("{model}, {cores} cores; {} rounds, A B A B; median (least to most).\n", effort.rounds);
    println!("| # | what | measured | gate / target |\n|---|---|---|---|");
}

/// Prints a row.
pub(crate) fn row(number: &str, what: &str, measured: &str, gate: &str) {
    println!("| {number} | {what} | {measured} | {gate} |");
}

/// The middle of some numbers.
pub(crate) fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The middle with the least and the most.
pub(crate) fn spread(numbers: &[f64], unit: &str) -> String {
    let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
    let most = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("{:.1} {unit} ({least:.1} to {most:.1})", median(numbers))
}
