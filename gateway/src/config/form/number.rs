//! Plain numbers.

use serde_json::{Value, json};

use super::{Quotes, Scalar, Word};
use crate::config::fault::Complaint;

/// A whole number within bounds.
pub(in crate::config) struct Integer {
    pub(in crate::config) min: u16,
    pub(in crate::config) max: u16,
}

/// A finite number.
pub(in crate::config) struct Number(pub(in crate::config) Allowed);

/// Which numbers make sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum Allowed {
    Any,
    NotZero,
    NotNegative,
    Positive,
}

/// A percentage above 0, up to 100.
pub(in crate::config) struct Percent;

impl<'t> Scalar<'t> for Integer {
    type Value = u16;

    fn parse(&self, word: Word<'t>) -> Result<u16, Complaint> {
        let text = word.number()?;
        let number = match text.strip_prefix("0x") {
            Some(digits) => u16::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        };
        number.filter(|number| (self.min..=self.max).contains(number)).ok_or_else(|| {
            let message = format!("`{}` is no whole number from {} to {}", word.text, self.min, self.max);
            Complaint::new(message, "write one, without a unit")
        })
    }

    fn expected(&self) -> String {
        format!("a whole number from {} to {}", self.min, self.max)
    }

    fn schema(&self) -> Value {
        json!({ "type": "integer", "minimum": self.min, "maximum": self.max })
    }
}

impl<'t> Scalar<'t> for Number {
    type Value = f64;

    fn parse(&self, word: Word<'t>) -> Result<f64, Complaint> {
        let number: Option<f64> = word.number()?.parse().ok().filter(|number: &f64| number.is_finite());
        let allowed = number.filter(|number| match self.0 {
            Allowed::Any => true,
            Allowed::NotZero => *number != 0.0,
            Allowed::NotNegative => *number >= 0.0,
            Allowed::Positive => *number > 0.0,
        });
        let expected = || format!("write {}", Scalar::expected(self));
        allowed.ok_or_else(|| Complaint::new(format!("`{}` cannot stand here", word.text), expected()))
    }

    fn expected(&self) -> String {
        let bound = match self.0 {
            Allowed::Any => "",
            Allowed::NotZero => " other than 0",
            Allowed::NotNegative => " not below 0",
            Allowed::Positive => " above 0",
        };
        format!("a number{bound}")
    }

    fn schema(&self) -> Value {
        match self.0 {
            Allowed::Any => json!({ "type": "number" }),
            Allowed::NotZero => json!({ "type": "number", "not": { "const": 0 } }),
            Allowed::NotNegative => json!({ "type": "number", "minimum": 0 }),
            Allowed::Positive => json!({ "type": "number", "exclusiveMinimum": 0 }),
        }
    }
}

impl<'t> Scalar<'t> for Percent {
    type Value = f64;

    fn parse(&self, word: Word<'t>) -> Result<f64, Complaint> {
        let number =
            word.text.strip_suffix('%').filter(|digits| is_decimal(digits)).and_then(|digits| digits.parse().ok());
        let number = number.filter(|number| *number > 0.0 && *number <= 100.0);
        number.ok_or_else(|| {
            Complaint::new(format!("`{}` is no percentage", word.text), format!("write {}", Scalar::expected(self)))
        })
    }

    fn expected(&self) -> String {
        "a percentage such as 1%".into()
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?%$" })
    }
}

impl<'t> Word<'t> {
    /// Its text, unless quotes make it no number.
    fn number(self) -> Result<&'t str, Complaint> {
        match self.quotes {
            Quotes::None => Ok(self.text),
            Quotes::Around => {
                Err(Complaint::new(format!("`{}` stands in quotes", self.text), "write the number without them"))
            }
        }
    }
}

/// Digits, and perhaps a point with digits after it.
pub(super) fn is_decimal(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match text.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_finite_and_stand_without_quotes() {
        let any = Number(Allowed::Any);
        assert_eq!(any.parse(Word::plain("-1e-3")), Ok(-0.001));
        for text in ["inf", "NaN", "1e999", "0x10", "ten", ""] {
            assert!(any.parse(Word::plain(text)).is_err(), "{text}");
        }
        assert!(any.parse(Word { text: "1", quotes: Quotes::Around }).is_err());
        assert!(Number(Allowed::NotZero).parse(Word::plain("0.0")).is_err());
        assert!(Number(Allowed::NotNegative).parse(Word::plain("-1")).is_err());
        assert!(Number(Allowed::Positive).parse(Word::plain("0")).is_err());
        let integer = Integer { min: 1, max: 247 };
        assert_eq!(integer.parse(Word::plain("247")), Ok(247));
        assert_eq!(integer.parse(Word::plain("0x48")), Ok(0x48));
        assert!(integer.parse(Word::plain("248")).is_err() && integer.parse(Word::plain("1.5")).is_err());
        assert_eq!(Percent.parse(Word::plain("0.5%")), Ok(0.5));
        for text in ["1", "0%", "101%", "%", "-1%", "nan%"] {
            assert!(Percent.parse(Word::plain(text)).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[-+0-9.eE]{0,30}%?") {
            let word = Word::plain(&text);
            assert!(Number(Allowed::Any).parse(word).map_or(true, f64::is_finite));
            assert!(Percent.parse(word).map_or(true, |percent| percent > 0.0 && percent <= 100.0));
            assert!(Integer { min: 1, max: 9 }.parse(word).map_or(true, |number| (1..=9).contains(&number)));
        }
    }
}
