//! What the operator wrote, checked.
//!
//! [`read`] takes a file, [`check`] its text: a tree in which every value knows its place (`tree`), from it what was
//! written (`raw`, read key by key through `fields` and `form`), from that what is done (`resolve`). Faults are
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
use tree::{Content, Texts, Tree};

use crate::pipeline::findings::Findings;
use crate::pipeline::tags::Tags;

pub use checked::{
    BufferConfig, CommandsConfig, Config, LineConfig, LogConfig, LogFormat, RegistryConfig, UplinkConfig,
};
pub use fault::{Fault, Severity};
pub use kinds::Kinds;
pub use report::Report;
pub use schema::schema;
pub use secret::Secret;
pub use source::Source;
pub(crate) use tree::as_json as tree_as_json;

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
    check_after(source, kinds, None, &Findings::default())
}

/// Checks the text of a configuration that takes the place of a running one with these tags, which keep their ids, and to
/// which belongs what was found in its devices; no I/O.
pub fn check_after(
    source: Source,
    kinds: Kinds,
    before: Option<&Tags>,
    findings: &Findings,
) -> Result<Checked, Report> {
    let mut faults = Faults::default();
    let found = understand(&source, kinds, (before, findings), &mut faults);
    let errors = faults.errors();
    let report = Report::new(source, faults);
    match found {
        Some((config, lines)) if errors == 0 => Ok(Checked { config, lines, warnings: report }),
        _ => Err(report),
    }
}

fn understand(
    source: &Source,
    kinds: Kinds,
    known: (Option<&Tags>, &Findings),
    faults: &mut Faults,
) -> Option<(Config, Vec<Box<dyn Line>>)> {
    let tree = tree::parse(source, faults);
    if tree.is_none() && faults.errors() > 0 {
        return None;
    }
    let Some(Tree { root, beside }) = tree.filter(|tree| matches!(tree.root.content, Content::Map(_))) else {
        let help = "`forebay sample` prints a configuration to begin with";
        faults.error(Span::default(), "the file holds no map of keys", help);
        return None;
    };
    let texts = Texts { source: source.text(), beside: &beside };
    let mut context = Context { kinds, texts, faults };
    let key = Key { name: "", span: Span::default() };
    let raw = Section { name: "gateway", read: raw::gateway }.read(&mut context, key, &root)?;
    // What is resolved takes the memory of the tree.
    drop(root);
    Some(resolve::resolve(raw, source, known, &mut context))
}

#[cfg(test)]
mod tests;
