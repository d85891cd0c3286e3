//! The hash of a password.

use serde_json::{Value, json};

use super::{Scalar, Word};
use crate::config::fault::Complaint;
use crate::http::check_hash;

/// A hash as `forebay password` prints it. What it is the hash of stands nowhere.
pub(in crate::config) struct HashForm;

impl<'t> Scalar<'t> for HashForm {
    type Value = &'t str;

    fn parse(&self, word: Word<'t>) -> Result<&'t str, Complaint> {
        check_hash(word.text).map_err(|wrong| Complaint::new(wrong, format!("write {}", Scalar::expected(self))))?;
        Ok(word.text)
    }

    fn expected(&self) -> String {
        "the hash that `forebay password` prints, in quotes".into()
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "pattern": "^\\$argon2id\\$" })
    }
}
