//! The comparison of what the simulators answered with what arrived at the broker.
//!
//! Each answered read carries the next number, so a number names one poll. Readings are deduplicated by (epoch, seq), as
//! the payload promises; whatever is wrong after that is a fault of the gateway.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::time::{Duration, SystemTime};

use hardware_sim::modbus::Answered;

use crate::subscriber::Received;

/// So many numbers of each kind are printed.
const PRINTED_MAX: usize = 12;

/// What the comparison of one tag found.
#[derive(Debug, Default, Clone)]
pub struct Verdict {
    /// Different good readings that arrived.
    pub arrived: usize,
    /// Answers between the first and the last that arrived which did not.
    pub lost: Vec<Answered>,
    /// Numbers that arrived under two places.
    pub doubled: Vec<u64>,
    /// Numbers whose first arrival came after that of a higher one in the same lane.
    pub disordered: Vec<u64>,
    /// Good values that no simulator ever answered.
    pub wrong: Vec<String>,
    /// Readings that arrived again under the same place, as at-least-once allows.
    pub repeated: usize,
    /// Readings that were not good, by reason.
    pub bad: BTreeMap<String, usize>,
}

impl Verdict {
    /// Nothing lost, doubled, out of order or wrong, and something arrived.
    ///
    /// # Panics
    /// It is not so.
    pub fn must_be_perfect(&self) {
        assert!(self.lost.is_empty(), "lost readings: {self}");
        self.must_be_true();
    }

    /// As above, but readings may be missing that were answered within a time before one of the moments.
    ///
    /// # Panics
    /// It is not so.
    pub fn must_have_lost_only_before(&self, moments: &[SystemTime], within: Duration) {
        let explained = |answer: &Answered| {
            moments.iter().any(|moment| *moment + within / 10 >= answer.at && answer.at + within >= *moment)
        };
        let unexplained: Vec<_> = self.lost.iter().filter(|answer| !explained(answer)).collect();
        assert!(unexplained.is_empty(), "lost away from the moments: {unexplained:?} {self}");
        self.must_be_true();
    }

    /// Nothing doubled, out of order or wrong, and something arrived; what is missing is another matter.
    ///
    /// # Panics
    /// It is not so.
    pub fn must_be_true(&self) {
        assert!(self.wrong.is_empty(), "wrong values: {self}");
        assert!(self.doubled.is_empty(), "doubled readings: {self}");
        assert!(self.disordered.is_empty(), "disordered readings: {self}");
        assert!(self.arrived > 0, "nothing arrived: {self}");
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lost: Vec<u64> = self.lost.iter().map(|answer| answer.counter).take(PRINTED_MAX).collect();
        let some = |numbers: &[u64]| numbers.iter().copied().take(PRINTED_MAX).collect::<Vec<_>>();
        write!(f, "{} arrived, {} repeated, {} lost {lost:?}", self.arrived, self.repeated, self.lost.len())?;
        write!(f, ", {} doubled {:?}", self.doubled.len(), some(&self.doubled))?;
        write!(f, ", {} disordered {:?}", self.disordered.len(), some(&self.disordered))?;
        let wrong: Vec<_> = self.wrong.iter().take(PRINTED_MAX).collect();
        write!(f, ", {} wrong {wrong:?}, bad {:?}", self.wrong.len(), self.bad)
    }
}

/// Compares a tag that shows an oracle's number with what arrived of it.
pub fn compare(answered: &[Answered], received: &[Received], device: &str, tag: &str) -> Verdict {
    let known: HashSet<u64> = answered.iter().map(|answer| answer.counter).collect();
    let mut verdict = Verdict::default();
    let mut places = HashSet::new();
    let mut arrived: HashMap<u64, (u64, u64)> = HashMap::new();
    let mut highest: HashMap<&str, u64> = HashMap::new();
    for reading in received.iter().filter(|reading| reading.device == device && reading.tag == tag) {
        if !places.insert((reading.epoch, reading.seq)) {
            verdict.repeated += 1;
            continue;
        }
        if !reading.is_good() {
            *verdict.bad.entry(reading.reason().to_owned()).or_default() += 1;
            continue;
        }
        let Some(counter) = reading.value().as_u64().filter(|counter| known.contains(counter)) else {
            verdict.wrong.push(reading.value().to_string());
            continue;
        };
        if arrived.insert(counter, (reading.epoch, reading.seq)).is_some() {
            verdict.doubled.push(counter);
            continue;
        }
        // Each lane has an order of its own.
        let highest = highest.entry(reading.lane()).or_default();
        if counter < *highest {
            verdict.disordered.push(counter);
        }
        *highest = (*highest).max(counter);
    }
    let highest = highest.values().copied().max().unwrap_or(0);
    let first = arrived.keys().copied().min().unwrap_or(u64::MAX);
    let within = |answer: &&Answered| (first..=highest).contains(&answer.counter);
    verdict.arrived = arrived.len();
    verdict.lost = answered.iter().filter(within).filter(|a| !arrived.contains_key(&a.counter)).copied().collect();
    verdict
}

/// The places that are missing between the first and the last seq: each is a loss or a gap that must be published.
pub fn holes(received: &[Received]) -> Vec<u64> {
    let places: HashSet<u64> = received.iter().map(|reading| reading.seq).collect();
    let (Some(first), Some(last)) = (places.iter().min(), places.iter().max()) else { return Vec::new() };
    (*first..=*last).filter(|seq| !places.contains(seq)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answers(numbers: impl IntoIterator<Item = u64>) -> Vec<Answered> {
        let at = |counter| SystemTime::UNIX_EPOCH + Duration::from_secs(counter);
        numbers.into_iter().map(|counter| Answered { counter, at: at(counter) }).collect()
    }

    fn reading(seq: u64, value: serde_json::Value) -> Received {
        let quality = if value.is_null() { "bad" } else { "good" };
        let body = json!({"tag": "n", "value": value, "quality": quality, "reason": "timeout", "seq": seq});
        Received { at: SystemTime::now(), topic: "t".into(), epoch: 1, seq, device: "d".into(), tag: "n".into(), body }
    }

    #[test]
    fn finds_what_was_lost_doubled_disordered_repeated_and_made_up() {
        let received: Vec<Received> = [(1, json!(1)), (2, json!(3)), (3, json!(2)), (3, json!(2)), (4, json!(3))]
            .into_iter()
            .chain([(5, json!(77)), (6, json!(null)), (8, json!(6))])
            .map(|(seq, value)| reading(seq, value))
            .collect();
        let verdict = compare(&answers(1..=9), &received, "d", "n");
        assert_eq!(verdict.lost.iter().map(|a| a.counter).collect::<Vec<_>>(), [4, 5]);
        assert_eq!((verdict.doubled.as_slice(), verdict.disordered.as_slice()), (&[3][..], &[2][..]));
        assert_eq!((verdict.repeated, verdict.wrong.as_slice()), (1, &["77".to_owned()][..]));
        assert_eq!(verdict.bad.get("timeout"), Some(&1));
        assert_eq!(holes(&received), [7]);
    }

    #[test]
    fn a_loss_is_explained_only_by_a_moment_just_after_it() {
        let received = vec![reading(1, json!(1)), reading(2, json!(9))];
        let verdict = compare(&answers([1, 5, 9]), &received, "d", "n");
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        verdict.must_have_lost_only_before(&[at(6)], Duration::from_secs(2));
        let far = std::panic::catch_unwind(|| verdict.must_have_lost_only_before(&[at(20)], Duration::from_secs(2)));
        assert!(far.is_err(), "a loss 15 seconds before the kill has another cause");
    }
}
