//! The rows of this run beside the same rows of the newest committed results that hold them.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use tests::need;

use crate::report::{Better, COLUMNS, Row, figure, median};

/// A quick run fails where even its best round is so many times worse than what is committed.
const WORSE_MAX: f64 = 1.5;

/// What a committed row says.
struct Then {
    file: String,
    measured: Option<f64>,
    ratio: Option<f64>,
}

/// The committed results, the newest for each row.
pub(crate) struct Results(HashMap<(String, String), Then>);

impl Results {
    /// All of the folder of results, in the order of their names, which begin with their dates.
    pub(crate) fn committed() -> Results {
        let files = fs::read_dir(folder()).into_iter().flatten().flatten();
        let mut names: Vec<String> = files.map(|file| file.file_name().to_string_lossy().into_owned()).collect();
        names.retain(|name| name.ends_with(".md") && name.starts_with(|first: char| first.is_ascii_digit()));
        names.sort();
        Results::of_files(names.iter().map(String::as_str))
    }

    /// What quick runs are held to, which is of the same profile and as short.
    pub(crate) fn of_quick_runs() -> Results {
        Results::of_files(["quick.md"].into_iter())
    }

    fn of_files<'a>(names: impl Iterator<Item = &'a str>) -> Results {
        let mut rows = HashMap::new();
        for name in names {
            let text = fs::read_to_string(folder().join(name)).unwrap_or_else(|cause| panic!("{name}: {cause}"));
            read(&text, name, &mut rows);
        }
        Results(rows)
    }

    fn of(&self, row: &Row) -> Option<&Then> {
        self.0.get(&(row.number.to_owned(), row.what.clone()))
    }

    /// Prints how each row stands to what is committed.
    pub(crate) fn print(&self, rows: &[Row]) {
        println!(
            "\n## Beside the last results\n\nRatios where both have one, which a slower machine does not change.\n"
        );
        println!("| # | what | then | now | now to then | from |\n|---|---|---|---|---|---|");
        for row in rows {
            let Some(then) = self.of(row) else { continue };
            let (kind, then_number, now) = match (then.ratio, then.measured, row.ratios()) {
                (Some(ratio), _, ratios) if !ratios.is_empty() => (" ×", ratio, median(&ratios)),
                (_, Some(measured), _) => ("", measured, row.measured_median()),
                _ => continue,
            };
            let (number, what, from) = (row.number, &row.what, &then.file);
            let (before, after, change) = (figure(then_number), figure(now), figure(now / then_number));
            println!("| {number} | {what} | {before}{kind} | {after}{kind} | {change} | {from} |");
        }
    }

    /// The rows with a gate whose ratio is 1.5 times worse in every round than the committed one.
    pub(crate) fn regressions(&self, rows: &[Row]) -> Vec<String> {
        let regression = |row: &Row| {
            let then = self.of(row)?.ratio?;
            let better = row.bound?.better;
            let worse = |now: f64| if better == Better::Less { now / then } else { then / now };
            let best = row.ratios().into_iter().map(worse).min_by(f64::total_cmp)?;
            let (number, what) = (row.number, &row.what);
            (best > WORSE_MAX).then(|| format!("{number}, {what}: {best:.2} times worse than the committed {then:.2}"))
        };
        rows.iter().filter_map(regression).collect()
    }
}

fn folder() -> PathBuf {
    need::root().join("tests/bench/results")
}

/// Takes the rows of each table that has our columns.
fn read(text: &str, file: &str, rows: &mut HashMap<(String, String), Then>) {
    let heading = format!("| {} |", COLUMNS.join(" | "));
    let mut ours = false;
    for line in text.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        ours = line == heading || ours && line.starts_with('|');
        let [number, what, _, _, _, measured, ratio, ..] = cells[..] else { continue };
        let first = |cell: &str| cell.split(' ').next().and_then(|word| word.parse().ok());
        let then = Then { file: file.to_owned(), measured: first(measured), ratio: first(ratio) };
        if ours && then.measured.is_some() {
            rows.insert((number.to_owned(), what.to_owned()), then);
        }
    }
}
