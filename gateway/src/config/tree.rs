//! YAML as a tree whose every node knows where it was written.
//!
//! Scalars stay text: what a key means decides what its text means, so that a tag named `on` is no boolean and `1.10` no
//! number. Aliases share their node, merge keys (`<<`) copy entries; both within a bound on what they add up to.

mod build;
mod places;

use std::borrow::Cow;
use std::rc::Rc;

use super::source::Span;

pub(super) use build::parse;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node<'s> {
    pub(super) span: Span,
    pub(super) content: Content<'s>,
}

/// What a node holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Content<'s> {
    /// Nothing, `~` or `null`.
    Nothing,
    /// A text without quotes.
    Plain(Cow<'s, str>),
    /// A text in quotes, or in a block.
    Quoted(Cow<'s, str>),
    /// A sequence.
    List(Rc<[Node<'s>]>),
    /// A map, in the order of the file, without duplicate keys.
    Map(Rc<[Entry<'s>]>),
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry<'s> {
    pub(super) key: Cow<'s, str>,
    pub(super) key_span: Span,
    pub(super) value: Node<'s>,
}

impl Node<'_> {
    /// Its text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Plain(text) | Content::Quoted(text) => Some(text),
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
