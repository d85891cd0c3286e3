//! YAML as a tree whose every node knows where it was written.
//!
//! Scalars stay text: what a key means decides what its text means, so that a tag named `on` is no boolean and `1.10` no
//! number. Aliases share their node, merge keys (`<<`) copy entries; both within a bound on what they add up to.

mod build;
mod places;

use std::rc::Rc;

use serde_json::Value;

use super::fault::Faults;
use super::report::Report;
use super::source::{Source, Span};

pub(super) use build::{Tree, parse};

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) span: Span,
    pub(super) content: Content,
}

/// What a node holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Content {
    /// Nothing, `~` or `null`.
    Nothing,
    /// A text without quotes.
    Plain(Words),
    /// A text in quotes, or in a block.
    Quoted(Words),
    /// A sequence.
    List(Rc<[Node]>),
    /// A map, in the order of the file, without duplicate keys.
    Map(Rc<[Entry]>),
}

/// A key with its value: 48 bytes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: Words,
    pub(super) key_span: Span,
    pub(super) value: Node,
}

/// A text, to be looked up in [`Texts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Words {
    start: u32,
    end: u32,
}

/// The texts of a tree; they outlive it. Most stand in the source letter by letter; those with escapes or folded lines
/// stand beside it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Texts<'t> {
    pub(super) source: &'t str,
    pub(super) beside: &'t str,
}

/// The YAML of another program as JSON: scalars stay texts, nothing is null.
pub(crate) fn as_json(source: &Source) -> Result<Value, Report> {
    let mut faults = Faults::default();
    let tree = parse(source, &mut faults);
    match tree {
        Some(tree) if faults.errors() == 0 => {
            Ok(json(&tree.root, Texts { source: source.text(), beside: &tree.beside }))
        }
        _ => Err(Report::new(source.clone(), faults)),
    }
}

/// Its depth is bounded by the parser.
fn json(node: &Node, texts: Texts<'_>) -> Value {
    match &node.content {
        Content::Nothing => Value::Null,
        Content::Plain(words) | Content::Quoted(words) => texts.get(*words).into(),
        Content::List(nodes) => nodes.iter().map(|node| json(node, texts)).collect(),
        Content::Map(entries) => {
            let entries = entries.iter();
            Value::Object(entries.map(|entry| (texts.get(entry.key).into(), json(&entry.value, texts))).collect())
        }
    }
}

impl<'t> Texts<'t> {
    pub(super) fn get(self, words: Words) -> &'t str {
        let (start, end) = (words.start as usize, words.end as usize);
        let length = self.source.len();
        let text =
            if start < length { self.source.get(start..end) } else { self.beside.get(start - length..end - length) };
        text.unwrap_or_default()
    }
}

impl Node {
    /// Its text, if it is one.
    pub(super) fn words(&self) -> Option<Words> {
        match self.content {
            Content::Plain(words) | Content::Quoted(words) => Some(words),
            _ => None,
        }
    }

    /// What it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self.content {
            Content::Nothing => "nothing",
            Content::Plain(_) | Content::Quoted(_) => "a text",
            Content::List(_) => "a list",
            Content::Map(_) => "a map",
        }
    }
}
