//! How good the readings are.

use std::collections::BTreeMap;

/// How many reasons are told apart.
const REASONS_MAX: usize = 32;

/// What the reasons beyond are counted under.
const OTHER: &str = "other";

/// Counts by level and by reason.
#[derive(Debug, Default)]
pub(super) struct Quality {
    pub(super) bad: u64,
    pub(super) uncertain: u64,
    pub(super) reasons: BTreeMap<Box<str>, u64>,
}

impl Quality {
    pub(super) fn count(&mut self, quality: &str, reason: &str) {
        match quality {
            "good" => return,
            "uncertain" => self.uncertain += 1,
            _ => self.bad += 1,
        }
        let known = reason.is_empty() || self.reasons.contains_key(reason) || self.reasons.len() < REASONS_MAX;
        match (reason, known) {
            ("", _) => {}
            (_, true) => *self.reasons.entry(reason.into()).or_default() += 1,
            (_, false) => *self.reasons.entry(OTHER.into()).or_default() += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_counted_up_to_a_limit() {
        let mut quality = Quality::default();
        quality.count("good", "");
        quality.count("uncertain", "");
        (0..100).for_each(|number| quality.count("bad", &format!("reason {number}")));
        assert_eq!((quality.bad, quality.uncertain, quality.reasons.len()), (100, 1, REASONS_MAX + 1));
        assert_eq!(quality.reasons[OTHER], 100 - REASONS_MAX as u64);
    }
}
