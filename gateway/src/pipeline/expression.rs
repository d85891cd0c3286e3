//! Small expressions over the last readings of tags, such as `press.mode == 2 and not press.alarm`.
//!
//! ```text
//! or      = and ("or" and)*                        also ||
//! and     = not ("and" not)*                       also &&
//! not     = "not" not | compare                    also !
//! compare = sum (("==" | "!=" | "<" | "<=" | ">" | ">=") sum)?
//! sum     = product (("+" | "-") product)*
//! product = sign (("*" | "/") sign)*
//! sign    = "-" sign | one
//! one     = number | "text" | true | false | name | "(" or ")"
//! name    = TAG | DEVICE.TAG                       `in backticks` what is no word
//! ```
//!
//! Kinds are checked when the configuration is read. An operand that is bad, old or not there makes the whole expression
//! unknown, whatever the other operands say; so does a result that is no finite number. Numbers are LREALs.

mod evaluate;
mod lex;
mod parse;

use std::ops::Range;

use driver_core::{DataType, TagId};

pub use evaluate::{NotKnown, Operand};
pub use parse::{Resolve, parse};

/// The longest expression, bytes.
pub const EXPRESSION_BYTES_MAX: usize = 1_024;

/// How deep an expression may be nested.
const DEPTH_MAX: usize = 32;

/// An expression that was checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    root: Node,
    text: Box<str>,
    operands: Box<[TagId]>,
    kind: Kind,
}

/// What an expression or a part of it gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// True or false.
    Bool,
    /// A number.
    Number,
    /// A text.
    Text,
    /// Not known yet, because the tag's device is configured wrongly.
    Any,
}

/// What is wrong with an expression, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// The part of the text.
    pub at: Range<usize>,
    /// What is wrong with it.
    pub message: String,
    /// What to write instead; empty when the message says it all.
    pub help: String,
}

#[derive(Debug, Clone, PartialEq)]
enum Node {
    Number(f64),
    Bool(bool),
    Text(Box<str>),
    /// By its place among the operands.
    Tag(usize),
    Not(Box<Node>),
    Minus(Box<Node>),
    Two(Operator, Box<(Node, Node)>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Plus,
    Minus,
    Times,
    Over,
}

impl Expression {
    /// What it gives.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The tags whose readings it needs, each once.
    pub fn operands(&self) -> &[TagId] {
        &self.operands
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl Kind {
    /// What a tag of this type gives; `None` for what has no place in an expression.
    pub fn of(data_type: DataType, elements: usize) -> Option<Kind> {
        use DataType::{Bool, Char, String, Wchar, Wstring};
        match data_type {
            _ if elements != 1 => None,
            Bool => Some(Kind::Bool),
            Char | Wchar | String(_) | Wstring(_) => Some(Kind::Text),
            _ => Some(Kind::Number),
        }
    }

    /// As a noun with its article.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Bool => "true or false",
            Kind::Number => "a number",
            Kind::Text => "a text",
            Kind::Any => "a value",
        }
    }

    /// Whether a part of this kind can stand where `wanted` is.
    fn fits(self, wanted: Kind) -> bool {
        self == wanted || self == Kind::Any || wanted == Kind::Any
    }
}

#[cfg(test)]
mod tests;
