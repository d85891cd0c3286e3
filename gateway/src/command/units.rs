//! Units of a line on the command line: `1-10`, `1,2,17`.

use std::ops::RangeInclusive;
use std::str::FromStr;

/// The highest unit of a Modbus line.
const UNIT_MAX: u16 = 255;

/// Some units, in the order written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Units(Vec<RangeInclusive<u16>>);

impl Units {
    /// Unit 1 alone.
    pub(super) fn first() -> Units {
        Units(vec![1..=1])
    }

    pub(super) fn list(&self) -> impl Iterator<Item = u16> {
        self.0.iter().cloned().flatten()
    }
}

impl FromStr for Units {
    type Err = String;

    fn from_str(text: &str) -> Result<Units, String> {
        let wrong = || format!("`{text}` names no units; write numbers from 0 to {UNIT_MAX}, such as 1-10 or 1,2,17");
        let number = |text: &str| text.trim().parse().ok().filter(|unit| *unit <= UNIT_MAX).ok_or_else(wrong);
        let ranges = text.split(',').map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (number(first)?, number(last)?);
            if first <= last { Ok(first..=last) } else { Err(wrong()) }
        });
        ranges.collect::<Result<_, _>>().map(Units)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_single_units() {
        let list = |text: &str| text.parse::<Units>().map(|units| units.list().collect::<Vec<_>>());
        assert_eq!(list("1-3,17"), Ok(vec![1, 2, 3, 17]));
        for wrong in ["", "x", "3-1", "256", "1-", "1,,2"] {
            assert!(list(wrong).is_err(), "{wrong}");
        }
    }
}
