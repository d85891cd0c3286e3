//! One of a few words, and one of two forms.

use serde_json::{Value, json};

use super::{Scalar, Word};
use crate::config::fault::Complaint;
use crate::config::near::nearest;

/// One of these words, each with what it stands for and one line of help.
pub(in crate::config) struct OneOf<T: 'static>(pub(in crate::config) &'static [(&'static str, T, &'static str)]);

/// The first form that understands the text.
pub(in crate::config) struct Or<A, B>(pub(in crate::config) A, pub(in crate::config) B);

/// What [`Or`] understood.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::config) enum Either<A, B> {
    First(A),
    Second(B),
}

impl<'t, T: Copy> Scalar<'t> for OneOf<T> {
    type Value = T;

    fn parse(&self, word: Word<'t>) -> Result<T, Complaint> {
        if let Some((_, value, _)) = self.0.iter().find(|(name, ..)| *name == word.text) {
            return Ok(*value);
        }
        let help = match nearest(word.text, self.0.iter().map(|(name, ..)| *name)) {
            Some(name) => format!("did you mean `{name}`? Known here: {}", self.names()),
            None => format!("write one of {}", self.names()),
        };
        Err(Complaint::new(format!("`{}` is not known here", word.text), help))
    }

    fn expected(&self) -> String {
        if self.0.len() == 1 { self.names() } else { format!("one of {}", self.names()) }
    }

    fn schema(&self) -> Value {
        let choices = self.0.iter().map(|(name, _, help)| json!({ "const": name, "description": help }));
        json!({ "oneOf": choices.collect::<Value>() })
    }
}

impl<T> OneOf<T> {
    fn names(&self) -> String {
        self.0.iter().map(|(name, ..)| *name).collect::<Vec<_>>().join(", ")
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
