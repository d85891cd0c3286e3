//! Durations and sizes: numbers that carry their unit.

use std::time::Duration;

use serde_json::{Value, json};

use super::number::is_decimal;
use super::{Scalar, Word};
use crate::config::fault::Complaint;

/// A duration with its unit, within bounds.
pub(in crate::config) struct Interval {
    pub(in crate::config) min: Duration,
    pub(in crate::config) max: Duration,
}

/// A size in bytes with its unit, within bounds.
pub(in crate::config) struct Size {
    pub(in crate::config) min: u64,
    pub(in crate::config) max: u64,
}

/// Unit and nanoseconds; a unit that ends like another stands before it.
const TIMES: [(&str, u64); 7] = [
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("min", 60_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

/// Unit and bytes.
const SIZES: [(&str, u64); 9] = [
    ("B", 1),
    ("kB", 1_000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
    ("TB", 1_000_000_000_000),
    ("TiB", 1 << 40),
];

impl<'t> Scalar<'t> for Interval {
    type Value = Duration;

    fn parse(&self, word: Word<'t>) -> Result<Duration, Complaint> {
        let nanos =
            with_unit(word.text, &TIMES).map_err(|wrong| wrong.complaint(word.text, "a duration", DURATIONS))?;
        let (min, max) = (self.min.as_nanos() as u64, self.max.as_nanos() as u64);
        match nanos {
            _ if nanos < min => Err(Complaint::new(
                format!("`{}` is too short", word.text),
                format!("write at least {}", in_unit(min, &TIMES)),
            )),
            _ if nanos > max => Err(Complaint::new(
                format!("`{}` is too long", word.text),
                format!("write at most {}", in_unit(max, &TIMES)),
            )),
            _ => Ok(Duration::from_nanos(nanos)),
        }
    }

    fn expected(&self) -> String {
        format!("a duration such as {DURATIONS}")
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "pattern": pattern(&TIMES) })
    }
}

const DURATIONS: &str = "500ms, 10s, 5m, 2h or 30d";

impl<'t> Scalar<'t> for Size {
    type Value = u64;

    fn parse(&self, word: Word<'t>) -> Result<u64, Complaint> {
        let bytes = with_unit(word.text, &SIZES).map_err(|wrong| wrong.complaint(word.text, "a size", BYTES))?;
        match bytes {
            _ if bytes < self.min => Err(Complaint::new(
                format!("`{}` is too small", word.text),
                format!("write at least {}", in_unit(self.min, &SIZES)),
            )),
            _ if bytes > self.max => Err(Complaint::new(
                format!("`{}` is too large", word.text),
                format!("write at most {}", in_unit(self.max, &SIZES)),
            )),
            _ => Ok(bytes),
        }
    }

    fn expected(&self) -> String {
        format!("a size such as {BYTES}")
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "pattern": pattern(&SIZES) })
    }
}

const BYTES: &str = "500MB, 512MiB or 4GiB";

/// Why a quantity was not understood.
#[derive(Debug, PartialEq, Eq)]
enum Wrong {
    Number,
    NoUnit,
    Unit(String),
}

impl Wrong {
    fn complaint(self, text: &str, what: &str, examples: &str) -> Complaint {
        let message = match self {
            Wrong::Number => format!("`{text}` is not {what}"),
            Wrong::NoUnit => format!("`{text}` has no unit"),
            Wrong::Unit(unit) => format!("`{unit}` is no unit of {what}"),
        };
        Complaint::new(message, format!("write {what} such as {examples}"))
    }
}

/// A decimal number with a unit, in the unit that is 1; saturating.
fn with_unit(text: &str, units: &[(&str, u64)]) -> Result<u64, Wrong> {
    let split = text.find(|character: char| character != '.' && !character.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    if !is_decimal(digits) {
        return Err(Wrong::Number);
    }
    let factor = match units.iter().find(|(name, _)| *name == unit) {
        Some((_, factor)) => *factor,
        None if unit.is_empty() => return Err(Wrong::NoUnit),
        None => return Err(Wrong::Unit(unit.into())),
    };
    match digits.parse::<u64>() {
        Ok(whole) => Ok(whole.saturating_mul(factor)),
        // As `f64`: exact to a millionth for every fraction that makes sense.
        Err(_) => {
            digits.parse::<f64>().map(|number| (number * factor as f64).round() as u64).map_err(|_| Wrong::Number)
        }
    }
}

/// A quantity in the largest unit in which it is whole.
fn in_unit(quantity: u64, units: &[(&str, u64)]) -> String {
    let whole = units.iter().filter(|(_, factor)| quantity.is_multiple_of(*factor)).max_by_key(|(_, factor)| *factor);
    whole.map_or_else(|| quantity.to_string(), |(unit, factor)| format!("{}{unit}", quantity / factor))
}

fn pattern(units: &[(&str, u64)]) -> String {
    let names: Vec<&str> = units.iter().map(|(name, _)| *name).collect();
    format!("^[0-9]+(\\.[0-9]+)?({})$", names.join("|"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Interval = Interval { min: Duration::from_millis(1), max: Duration::from_secs(86_400) };

    fn message<T>(result: Result<T, Complaint>) -> String {
        result.err().map(|complaint| format!("{}; {}", complaint.message, complaint.help)).unwrap_or_default()
    }

    #[test]
    fn durations_carry_units() {
        let cases = [
            ("500us", 0),
            ("1ms", 1),
            ("1.5s", 1_500),
            ("5m", 300_000),
            ("5min", 300_000),
            ("2h", 7_200_000),
            ("1d", 86_400_000),
        ];
        for (text, millis) in cases {
            let interval = Interval { min: Duration::ZERO, ..INTERVAL };
            assert_eq!(interval.parse(Word::plain(text)).map(|duration| duration.as_millis()), Ok(millis), "{text}");
        }
    }

    #[test]
    fn a_wrong_duration_is_told_with_its_reason() {
        let cases = [
            ("10", "`10` has no unit; write a duration such as 500ms, 10s, 5m, 2h or 30d"),
            ("10 s", "` s` is no unit of a duration; "),
            ("10S", "`S` is no unit of a duration; "),
            ("-1s", "`-1s` is not a duration; "),
            (".5s", "`.5s` is not a duration; "),
            ("1.2.3s", "is not a duration"),
            ("0s", "`0s` is too short; write at least 1ms"),
            ("2d", "`2d` is too long; write at most 1d"),
            ("99999999999999999999999d", "too long"),
        ];
        for (text, expected) in cases {
            let found = message(INTERVAL.parse(Word::plain(text)));
            assert!(found.contains(expected), "{text}: {found}");
        }
    }

    #[test]
    fn sizes_carry_units() {
        let size = Size { min: 1 << 20, max: 1 << 50 };
        assert_eq!(size.parse(Word::plain("4GiB")), Ok(4 << 30));
        assert_eq!(size.parse(Word::plain("1.5MiB")), Ok(3 << 19));
        assert_eq!(size.parse(Word::plain("500MB")), Ok(500_000_000));
        assert_eq!(message(size.parse(Word::plain("1kB"))), "`1kB` is too small; write at least 1MiB");
        assert_eq!(
            message(size.parse(Word::plain("4G"))),
            "`G` is no unit of a size; write a size such as 500MB, 512MiB or 4GiB"
        );
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[-+0-9.eE]{0,30}(|ms|s|d|GiB|TiB)") {
            let word = Word::plain(&text);
            if let Ok(duration) = INTERVAL.parse(word) {
                assert!(duration >= INTERVAL.min && duration <= INTERVAL.max);
            }
            if let Ok(bytes) = (Size { min: 1, max: 1 << 40 }).parse(word) {
                assert!((1..=1 << 40).contains(&bytes));
            }
        }
    }
}
