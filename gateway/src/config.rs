//! What the operator wrote, checked.
//!
//! [`read`] takes a file, [`check`] its text: a tree in which every value knows its place ([`tree`]), from it what was
//! written ([`raw`], read key by key through [`fields`] and [`form`]), from that what is done ([`resolve`]). Faults are
//! gathered all the way, so that all are seen at once. [`Config`] is what the rest of the gateway works with.

mod checked;
mod secret;

mod fault;
mod near;
mod report;
mod source;

mod tree;

mod fields;
mod form;
mod kinds;
mod raw;
mod schema;

mod resolve;

use std::fmt;
use std::path::Path;

use driver_core::Line;

use fault::Faults;
use form::{Context, Form, Key, Section};
use source::Span;
use tree::Content;

pub use checked::{BufferConfig, Config, LineConfig, LogConfig, LogFormat, UplinkConfig};
pub use fault::{Fault, Severity};
pub use kinds::Kinds;
pub use report::Report;
pub use schema::schema;
pub use secret::Secret;
pub use source::Source;

/// The sample that `forebay sample` prints: a whole file with a comment on each key.
pub const SAMPLE: &str = include_str!("config/samples/gateway.yaml");

/// A configuration without errors.
pub struct Checked {
    /// What is to be done.
    pub config: Config,
    /// The lines, planned, in the order of `config.lines`.
    pub lines: Vec<Box<dyn Line>>,
    /// What may not be as it was meant.
    pub warnings: Report,
}

/// Why there is no configuration. Its `Display` is for the operator.
#[derive(Debug)]
pub enum Unusable {
    /// The file cannot be read.
    File(String),
    /// What it says is wrong.
    Content(Report),
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unusable::File(cause) => writeln!(f, "{cause}"),
            Unusable::Content(report) => report.fmt(f),
        }
    }
}

/// Reads and checks a configuration file.
pub fn read(path: &Path) -> Result<Checked, Unusable> {
    let source = Source::read(path).map_err(Unusable::File)?;
    check(source, Kinds::of_this_build()).map_err(Unusable::Content)
}

/// Checks the text of a configuration; no I/O.
pub fn check(source: Source, kinds: Kinds) -> Result<Checked, Report> {
    let mut context = Context { kinds, faults: Faults::default() };
    let found = understand(&source, &mut context);
    let errors = context.faults.errors();
    let report = Report::new(source, context.faults);
    match found {
        Some((config, lines)) if errors == 0 => Ok(Checked { config, lines, warnings: report }),
        _ => Err(report),
    }
}

fn understand(source: &Source, context: &mut Context) -> Option<(Config, Vec<Box<dyn Line>>)> {
    let before = context.faults.errors();
    let root = tree::parse(source, &mut context.faults);
    if context.faults.errors() > before && root.is_none() {
        return None;
    }
    let key = Key { name: "", span: Span::default() };
    let section = Section { name: "gateway", read: raw::gateway };
    let raw = match &root {
        Some(root) if matches!(root.content, Content::Map(_)) => section.read(context, key, root)?,
        _ => {
            let message = "the file holds no map of keys";
            context.faults.error(key.span, message, "`forebay sample` prints a configuration to begin with");
            return None;
        }
    };
    Some(resolve::resolve(raw, source, context))
}

#[cfg(test)]
mod tests;
