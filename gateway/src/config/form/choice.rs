//! One of a few words, one of the words that a build knows, and one of two forms.

use serde_json::{Value, json};

use super::{Scalar, Word};
use crate::config::fault::Complaint;
use crate::config::near::nearest;

/// One of these words, each with what it stands for and one line of help.
pub(in crate::config) struct OneOf<T: 'static>(pub(in crate::config) &'static [(&'static str, T, &'static str)]);

/// One of the words that this build knows, each with one line of help.
pub(in crate::config) struct Known(pub(in crate::config) Vec<(&'static str, &'static str)>);

/// The first form that understands the text.
pub(in crate::config) struct Or<A, B>(pub(in crate::config) A, pub(in crate::config) B);

/// `true` or `false`, for what is a yes or no and nothing more.
pub(in crate::config) struct Truth<T> {
    pub(in crate::config) yes: T,
    pub(in crate::config) no: T,
}

/// What [`Or`] understood.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::config) enum Either<A, B> {
    First(A),
    Second(B),
}

impl<'t, T: Copy> Scalar<'t> for OneOf<T> {
    type Value = T;

    fn parse(&self, word: Word<'t>) -> Result<T, Complaint> {
        let known = self.0.iter().find(|(name, ..)| *name == word.text).map(|(_, value, _)| *value);
        known.ok_or_else(|| unknown(word.text, &self.names()))
    }

    fn expected(&self) -> String {
        one_of(&self.names())
    }

    fn schema(&self) -> Value {
        choices(self.0.iter().map(|(name, _, help)| (*name, *help)))
    }
}

impl<T> OneOf<T> {
    fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|(name, ..)| *name).collect()
    }
}

impl<'t> Scalar<'t> for Known {
    type Value = &'t str;

    fn parse(&self, word: Word<'t>) -> Result<&'t str, Complaint> {
        let known = self.0.iter().any(|(name, _)| *name == word.text);
        if known { Ok(word.text) } else { Err(unknown(word.text, &self.names())) }
    }

    fn expected(&self) -> String {
        one_of(&self.names())
    }

    fn schema(&self) -> Value {
        choices(self.0.iter().copied())
    }
}

impl Known {
    fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|(name, _)| *name).collect()
    }
}

fn unknown(word: &str, names: &[&str]) -> Complaint {
    let all = names.join(", ");
    let help = match nearest(word, names.iter().copied()) {
        Some(name) => format!("did you mean `{name}`? Known here: {all}"),
        None => format!("write one of {all}"),
    };
    Complaint::new(format!("`{word}` is not known here"), help)
}

fn one_of(names: &[&str]) -> String {
    if names.len() == 1 { names.join(", ") } else { format!("one of {}", names.join(", ")) }
}

fn choices(words: impl Iterator<Item = (&'static str, &'static str)>) -> Value {
    json!({ "oneOf": words.map(|(name, help)| json!({ "const": name, "description": help })).collect::<Value>() })
}

impl<'t, T: Copy> Scalar<'t> for Truth<T> {
    type Value = T;

    fn parse(&self, word: Word<'t>) -> Result<T, Complaint> {
        match word.text {
            "true" => Ok(self.yes),
            "false" => Ok(self.no),
            other => Err(Complaint::new(format!("`{other}` is not known here"), "write true or false")),
        }
    }

    fn expected(&self) -> String {
        "true or false".into()
    }

    fn schema(&self) -> Value {
        json!({ "type": "boolean" })
    }
}

impl<'t, A: Scalar<'t>, B: Scalar<'t>> Scalar<'t> for Or<A, B> {
    type Value = Either<A::Value, B::Value>;

    fn parse(&self, word: Word<'t>) -> Result<Self::Value, Complaint> {
        if let Ok(value) = self.0.parse(word) {
            return Ok(Either::First(value));
        }
        match self.1.parse(word) {
            Ok(value) => Ok(Either::Second(value)),
            Err(_) => {
                Err(Complaint::new(format!("`{}` is not understood", word.text), format!("write {}", self.expected())))
            }
        }
    }

    fn expected(&self) -> String {
        format!("{} or {}", self.0.expected(), self.1.expected())
    }

    fn schema(&self) -> Value {
        json!({ "anyOf": [self.0.schema(), self.1.schema()] })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Allowed, Number, Percent};
    use super::*;

    const COLOUR: OneOf<u8> = OneOf(&[("red", 1, "stop"), ("green", 2, "go")]);

    #[test]
    fn words_are_understood_and_near_ones_suggested() {
        assert_eq!(COLOUR.parse(Word::plain("green")), Ok(2));
        let near = COLOUR.parse(Word::plain("gren")).expect_err("not a colour");
        assert_eq!(near.help, "did you mean `green`? Known here: red, green");
        let far = COLOUR.parse(Word::plain("blue")).expect_err("not a colour");
        assert_eq!((far.message.as_str(), far.help.as_str()), ("`blue` is not known here", "write one of red, green"));
    }

    #[test]
    fn either_form_is_understood() {
        let form = Or(Number(Allowed::NotNegative), Percent);
        assert_eq!(form.parse(Word::plain("0.5")), Ok(Either::First(0.5)));
        assert_eq!(form.parse(Word::plain("2%")), Ok(Either::Second(2.0)));
        let error = form.parse(Word::plain("-1")).expect_err("negative");
        assert_eq!(error.help, "write a number not below 0 or a percentage such as 1%");
    }
}
