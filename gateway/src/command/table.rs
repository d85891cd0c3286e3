//! Rows as a table on a terminal: columns as wide as their widest cell, two spaces between.

use std::fmt::Write as _;

/// The rows under a heading, each line ended; cells beyond the heading's number are not shown.
pub(super) fn table<const N: usize>(heading: [&str; N], rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([heading[column].chars().count()]).max().unwrap_or_default()
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let mut out = String::new();
    let mut line = |cells: [&str; N]| {
        let mut text = String::new();
        for (cell, width) in cells.iter().zip(widths) {
            write!(text, "{cell:width$}  ").expect("a String takes everything");
        }
        out.push_str(text.trim_end());
        out.push('\n');
    };
    line(heading);
    for row in rows {
        line(std::array::from_fn(|column| row[column].as_str()));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [["hr:0".into(), "21.5".into()], ["hr:1000".into(), "°C".into()]];
        assert_eq!(table(["address", "value"], &rows), "address  value\nhr:0     21.5\nhr:1000  °C\n");
    }
}
