//! Forms: what may stand behind a key. A form reads a node, and describes in JSON Schema what it reads; both stand side by
//! side, so that one cannot change without the other.

mod choice;
mod hash;
mod list;
mod listen;
mod number;
mod quantity;
mod rate;
mod secret;
mod section;
mod text;

use serde_json::Value;

use super::fault::{Complaint, Faults};
use super::kinds::Kinds;
use super::schema::Definitions;
use super::source::Span;
use super::tree::{Content, Node, Texts};

pub(super) use choice::{Either, Known, OneOf, Or, Truth};
pub(super) use hash::HashForm;
pub(super) use list::OneOrMore;
pub(super) use listen::Listen;
pub(super) use number::{Allowed, Integer, Number, Percent};
pub(super) use quantity::{Interval, Size};
pub(super) use rate::PerTime;
pub(super) use secret::SecretForm;
pub(super) use section::{MapOf, Named, Section};
pub(super) use text::{Name, Text};

/// What may stand behind a key.
pub(super) trait Form<'t> {
    /// What is understood.
    type Value;

    /// Understands a node that is not empty; `None` when it cannot be understood, and the fault has been told.
    fn read(&self, context: &mut Context<'t>, key: Key<'t>, node: &Node) -> Option<Self::Value>;

    /// Understands a key without a value.
    fn read_nothing(&self, context: &mut Context<'t>, key: Key<'t>) -> Option<Self::Value> {
        let help = format!("write {}, or remove the key", self.expected());
        context.faults.error(key.span, format!("`{}` has no value", key.name), help);
        None
    }

    /// What may stand here, as a noun with its article.
    fn expected(&self) -> String;

    /// The JSON Schema of what [`Form::read`] takes.
    fn schema(&self, definitions: &mut Definitions) -> Value;

    /// Whether what stands here must never be shown.
    fn is_secret(&self) -> bool {
        false
    }
}

/// The key behind which a value stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key<'t> {
    pub(super) name: &'t str,
    pub(super) span: Span,
}

/// What all forms share while a file is read.
pub(super) struct Context<'t> {
    pub(super) kinds: Kinds,
    pub(super) texts: Texts<'t>,
    pub(super) faults: &'t mut Faults,
}

impl<'t> Context<'t> {
    /// The node is of the wrong kind.
    pub(super) fn unexpected(&mut self, key: Key<'_>, node: &Node, expected: &str) {
        let message = format!("`{}` is {}", key.name, node.kind());
        // A map or a list may be long: its key is marked.
        let span = if node.words().is_some() { node.span } else { key.span };
        self.faults.error(span, message, format!("write {expected}"));
    }
}

/// A form that is one text.
pub(super) trait Scalar<'t> {
    /// What is understood.
    type Value;

    /// Understands the text.
    fn parse(&self, word: Word<'t>) -> Result<Self::Value, Complaint>;

    /// See [`Form::expected`].
    fn expected(&self) -> String;

    /// See [`Form::schema`].
    fn schema(&self) -> Value;
}

/// A text as it was written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Word<'t> {
    pub(super) text: &'t str,
    pub(super) quotes: Quotes,
}

/// Whether a text stood in quotes; a number does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quotes {
    None,
    Around,
}

impl<'t> Word<'t> {
    pub(super) fn of(node: &Node, texts: Texts<'t>) -> Option<Word<'t>> {
        let quotes = if matches!(node.content, Content::Quoted(_)) { Quotes::Around } else { Quotes::None };
        node.words().map(|words| Word { text: texts.get(words), quotes })
    }

    /// A text as if it stood in the file.
    pub(super) fn plain(text: &'t str) -> Word<'t> {
        Word { text, quotes: Quotes::None }
    }
}

impl<'t, S: Scalar<'t>> Form<'t> for S {
    type Value = S::Value;

    fn read(&self, context: &mut Context<'t>, key: Key<'t>, node: &Node) -> Option<S::Value> {
        let Some(word) = Word::of(node, context.texts) else {
            context.unexpected(key, node, &Scalar::expected(self));
            return None;
        };
        match self.parse(word) {
            Ok(value) => Some(value),
            Err(complaint) => {
                context.faults.complaint(node.span, complaint);
                None
            }
        }
    }

    fn expected(&self) -> String {
        Scalar::expected(self)
    }

    fn schema(&self, _: &mut Definitions) -> Value {
        Scalar::schema(self)
    }
}
