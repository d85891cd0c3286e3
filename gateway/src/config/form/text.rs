//! Texts and names.

use serde_json::{Value, json};

use super::{Scalar, Word};
use crate::config::fault::Complaint;

/// The longest text, bytes.
const TEXT_BYTES_MAX: usize = 4096;

/// The longest name, bytes.
pub(super) const NAME_BYTES_MAX: usize = 255;

/// Any text in one line. What YAML takes for a number or a boolean is a text too.
pub(in crate::config) struct Text {
    /// What it looks like, for messages.
    pub(in crate::config) example: &'static str,
}

/// A text that becomes part of topics and payloads.
pub(in crate::config) struct Name;

impl<'t> Scalar<'t> for Text {
    type Value = &'t str;

    fn parse(&self, word: Word<'t>) -> Result<&'t str, Complaint> {
        check(word.text, TEXT_BYTES_MAX, "the text")?;
        Ok(word.text)
    }

    fn expected(&self) -> String {
        format!("a text such as {}", self.example)
    }

    fn schema(&self) -> Value {
        schema(TEXT_BYTES_MAX)
    }
}

impl<'t> Scalar<'t> for Name {
    type Value = &'t str;

    fn parse(&self, word: Word<'t>) -> Result<&'t str, Complaint> {
        check(word.text, NAME_BYTES_MAX, "the name")?;
        Ok(word.text)
    }

    fn expected(&self) -> String {
        "a name".into()
    }

    fn schema(&self) -> Value {
        schema(NAME_BYTES_MAX)
    }
}

/// What is wrong with a text; `subject` begins the message.
pub(super) fn check(text: &str, bytes_max: usize, subject: &str) -> Result<(), Complaint> {
    if text.is_empty() {
        return Err(Complaint::new(format!("{subject} is empty"), "write at least one character"));
    }
    if text.len() > bytes_max {
        let message = format!("{subject} has {} bytes", text.len());
        return Err(Complaint::new(message, format!("write at most {bytes_max}")));
    }
    if text.chars().any(char::is_control) {
        let message = format!("{subject} holds a line break, a tab or another control character");
        return Err(Complaint::new(message, "write it in one line, with spaces only"));
    }
    Ok(())
}

fn schema(bytes_max: usize) -> Value {
    json!({ "type": ["string", "number", "boolean"], "minLength": 1, "maxLength": bytes_max })
}
