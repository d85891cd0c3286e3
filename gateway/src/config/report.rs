//! Faults as the operator reads them: file, line, column, the line itself with a caret, the reason, and what to do.
//!
//! ```text
//! gateway.yaml:12:43: error: unknown key `scal`
//!    12 |       temperature: { address: "hr:0:INT", scal: 0.1 }
//!       |                                           ^^^^
//!       = did you mean `scale`?
//! ```

use std::fmt;

use serde_json::{Value, json};

use super::fault::{Fault, Faults, Severity};
use super::source::{Source, Span};

/// The most faults that are printed as text; the rest is counted. JSON has them all.
const SHOWN_MAX: usize = 100;

/// The longest part of a source line that is shown, characters.
const LINE_CHARS_MAX: usize = 120;

/// What stands for each character of a secret.
const HIDDEN: char = '•';

/// All that is wrong with one file. Its `Display` is for the operator.
#[derive(Debug)]
pub struct Report {
    source: Source,
    faults: Vec<Fault>,
    hidden: Vec<Span>,
}

impl Report {
    pub(super) fn new(source: Source, faults: Faults) -> Report {
        let (faults, hidden) = faults.into_parts();
        Report { source, faults, hidden }
    }

    /// What is wrong: errors first, each kind in the order of the file.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// How many faults are of this severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.faults.iter().filter(|fault| fault.severity == severity).count()
    }

    /// The faults as a JSON array.
    pub fn json(&self) -> Value {
        self.faults.iter().map(|fault| self.fault_json(fault)).collect()
    }

    fn fault_json(&self, fault: &Fault) -> Value {
        let position = self.source.position(fault.span.start);
        let end = self.source.position(fault.span.end);
        json!({
            "file": self.source.name(),
            "line": position.line,
            "column": position.column,
            "end": { "line": end.line, "column": end.column },
            "severity": fault.severity.name(),
            "message": fault.message,
            "help": fault.help,
        })
    }

    fn write_fault(&self, fault: &Fault, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let position = self.source.position(fault.span.start);
        let (severity, message, help) = (fault.severity, printable(&fault.message), printable(&fault.help));
        writeln!(f, "{}:{}:{}: {}: {message}", self.source.name(), position.line, position.column, severity.name())?;
        let (line, caret) = self.excerpt(fault.span);
        writeln!(f, "{:5} | {line}", position.line)?;
        writeln!(f, "      | {caret}")?;
        if help.is_empty() { Ok(()) } else { writeln!(f, "      = {help}") }
    }

    /// The line in which a part begins, cut to what fits, and carets under the part.
    fn excerpt(&self, span: Span) -> (String, String) {
        let (index, start) = self.source.line_of(span.start);
        let line = self.source.line_span(index);
        let shown = self.visible(line);
        let before = self.source.part(Span { start, end: span.start.min(line.end) }).chars().count();
        let marked = self.source.part(Span { start: span.start, end: span.end.min(line.end) }).chars().count().max(1);
        let skipped = if before + marked > LINE_CHARS_MAX { before.saturating_sub(LINE_CHARS_MAX / 2) } else { 0 };
        let mut text = String::from(if skipped > 0 { "…" } else { "" });
        text.extend(shown.iter().skip(skipped).take(LINE_CHARS_MAX));
        if shown.len() > skipped + LINE_CHARS_MAX {
            text.push('…');
        }
        let indent = before - skipped + usize::from(skipped > 0);
        (text, format!("{}{}", " ".repeat(indent), "^".repeat(marked.min(LINE_CHARS_MAX))))
    }

    /// The characters of a line with secrets masked and without anything that a terminal would obey.
    fn visible(&self, line: Span) -> Vec<char> {
        let near: Vec<&Span> =
            self.hidden.iter().filter(|hidden| hidden.start < line.end && hidden.end > line.start).collect();
        let text = self.source.part(line);
        let shown = text.char_indices().map(|(offset, character)| {
            let at = line.start + offset as u32;
            match character {
                _ if near.iter().any(|hidden| hidden.start <= at && at < hidden.end) => HIDDEN,
                other => printable_char(other),
            }
        });
        shown.collect()
    }
}

/// A message may quote what was written with escapes: nothing in it that a terminal would obey.
fn printable(text: &str) -> String {
    text.chars().map(printable_char).collect()
}

fn printable_char(character: char) -> char {
    match character {
        '\t' => ' ',
        control if control.is_control() => '\u{fffd}',
        other => other,
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.faults.iter().take(SHOWN_MAX).try_for_each(|fault| self.write_fault(fault, f))?;
        match self.faults.len().saturating_sub(SHOWN_MAX) {
            0 => Ok(()),
            more => writeln!(f, "… and {more} more; `--json` lists them all"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(text: &str, span: (u32, u32), hidden: &[(u32, u32)]) -> String {
        let mut faults = Faults::default();
        faults.error(Span { start: span.0, end: span.1 }, "wrong", "write it right");
        hidden.iter().for_each(|(start, end)| faults.hide(Span { start: *start, end: *end }));
        Report::new(Source::new("a.yaml", text), faults).to_string()
    }

    #[test]
    fn the_caret_stands_under_the_part() {
        let expected = "a.yaml:2:5: error: wrong\n    2 | °C: bad x\n      |     ^^^\n      = write it right\n";
        assert_eq!(report("a\n°C: bad x\n", (7, 10), &[]), expected);
    }

    #[test]
    fn secrets_are_masked() {
        let shown = report("user: me, password: geheim\n", (0, 4), &[(20, 26)]);
        assert!(shown.contains("user: me, password: ••••••\n"), "{shown}");
    }

    #[test]
    fn a_secret_of_many_lines_is_masked_in_each() {
        let text = "p: 'one\n  two\n  three'\nx: y\n";
        for (start, line) in [(0, "p: ••••"), (8, "•••••"), (14, "••••••••"), (23, "x: y")]
        {
            let shown = report(text, (start, start + 1), &[(3, 22), (4, 5)]);
            assert!(shown.contains(&format!("| {line}\n")), "{shown}");
        }
    }

    #[test]
    fn long_lines_are_cut_around_the_part() {
        let text = format!("{}WRONG{}", "a".repeat(500), "b".repeat(500));
        let shown = report(&text, (500, 505), &[]);
        let lines: Vec<&str> = shown.lines().collect();
        let at = lines[1].chars().position(|character| character == 'W');
        assert_eq!(at, lines[2].chars().position(|character| character == '^'));
        assert!(lines[1].chars().count() < LINE_CHARS_MAX + 12, "{shown}");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert!(!report("a: \u{1b}[31m\n", (0, 1), &[]).contains('\u{1b}'));
        let mut faults = Faults::default();
        faults.error(Span::default(), "unknown key `\u{1b}[31m`", "did you mean `\u{9b}m`?");
        let shown = Report::new(Source::new("a.yaml", ""), faults).to_string();
        assert!(shown.contains("unknown key `\u{fffd}[31m`"), "{shown}");
        assert!(!shown.contains('\u{9b}'), "{shown}");
    }
}
