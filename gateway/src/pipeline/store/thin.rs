//! What stays of readings for which there is no room: of each tag and window of time the first, the lowest, the highest and
//! the last, and each at which the quality changes.

use std::collections::HashMap;
use std::time::Duration;

use driver_core::{Quality, Reading, TagId};

/// The level of blocks that were thinned for the first time; each further level has the next window.
pub(super) const LEVEL_FIRST: u8 = 2;

/// How long the windows of each level are.
const WINDOWS: [Duration; 3] = [Duration::from_secs(60), Duration::from_secs(600), Duration::from_secs(3_600)];

/// The level that blocks of `level` have once they are thinned; `None` when they are as thin as they may become.
pub(super) fn next_level(level: u8) -> Option<u8> {
    let next = (level + 1).max(LEVEL_FIRST);
    window(next).map(|_| next)
}

/// How long the windows of a level are.
pub(super) fn window(level: u8) -> Option<Duration> {
    WINDOWS.get(usize::from(level.checked_sub(LEVEL_FIRST)?)).copied()
}

/// One tag's readings of one window, by their indexes.
struct Window {
    number: i64,
    low: Option<(f64, usize)>,
    high: Option<(f64, usize)>,
    last: usize,
    quality: Quality,
}

/// Which of these readings stay; they are in the order in which they came.
pub(super) fn kept<'a>(readings: impl Iterator<Item = &'a Reading>, window: Duration) -> Vec<bool> {
    let mut kept = Vec::new();
    let mut windows: HashMap<TagId, Window> = HashMap::new();
    let length_ns = i64::try_from(window.as_nanos()).unwrap_or(i64::MAX).max(1);
    for (index, reading) in readings.enumerate() {
        kept.push(false);
        let number = reading.timestamp.0.div_euclid(length_ns);
        match windows.get_mut(&reading.tag) {
            Some(window) if window.number == number => {
                kept[index] |= window.quality != reading.quality;
                window.quality = reading.quality;
                window.last = index;
                window.note(index, reading);
            }
            before => {
                if let Some(before) = before {
                    before.keep(&mut kept);
                }
                kept[index] = true;
                let mut window = Window { number, low: None, high: None, last: index, quality: reading.quality };
                window.note(index, reading);
                windows.insert(reading.tag, window);
            }
        }
    }
    windows.values().for_each(|window| window.keep(&mut kept));
    kept
}

impl Window {
    fn note(&mut self, index: usize, reading: &Reading) {
        let Some(value) = reading.value.as_f64().filter(|value| !value.is_nan()) else { return };
        if self.low.is_none_or(|(low, _)| value < low) {
            self.low = Some((value, index));
        }
        if self.high.is_none_or(|(high, _)| value > high) {
            self.high = Some((value, index));
        }
    }

    fn keep(&self, kept: &mut [bool]) {
        let of_value = [self.low, self.high].into_iter().flatten().map(|(_, index)| index);
        of_value.chain([self.last]).for_each(|index| kept[index] = true);
    }
}

#[cfg(test)]
mod tests {
    use driver_core::{ClockState, Reason, Tense, Timestamp, Value};

    use super::*;

    fn reading(tag: u32, second: i64, value: Value) -> Reading {
        Reading {
            tag: TagId(tag),
            value,
            quality: Quality::Good,
            status: 0,
            timestamp: Timestamp(second * 1_000_000_000),
            clock: ClockState::Synchronized,
            tense: Tense::Present,
        }
    }

    fn kept_seconds(readings: &[Reading]) -> Vec<i64> {
        let kept = kept(readings.iter(), Duration::from_secs(60));
        readings.iter().zip(kept).filter(|(_, kept)| *kept).map(|(of, _)| of.timestamp.0 / 1_000_000_000).collect()
    }

    #[test]
    fn of_a_window_stay_the_first_the_lowest_the_highest_and_the_last() {
        let saw = |second: i64| reading(0, second, Value::LReal(((second * 17) % 60) as f64));
        let readings: Vec<Reading> = (0..120).map(saw).collect();
        let lowest_and_highest = |from: i64| {
            let of = |wanted: i64| (from..from + 60).find(|second| (second * 17) % 60 == wanted).expect("it is there");
            [of(0), of(59)]
        };
        let mut expected: Vec<i64> =
            [0, 59, 60, 119].into_iter().chain(lowest_and_highest(0)).chain(lowest_and_highest(60)).collect();
        expected.sort_unstable();
        expected.dedup();
        assert_eq!(kept_seconds(&readings), expected);
    }

    #[test]
    fn each_tag_has_its_own_windows_and_a_change_of_quality_stays() {
        let mut readings: Vec<Reading> =
            (0..60).flat_map(|second| (0..2).map(move |tag| reading(tag, second, Value::Int(7)))).collect();
        for reading in &mut readings[40..60] {
            reading.quality = Quality::Bad(Reason::Timeout);
        }
        assert_eq!(kept_seconds(&readings), [0, 0, 20, 20, 30, 30, 59, 59]);
    }

    #[test]
    fn texts_and_what_is_not_a_number_have_a_first_and_a_last() {
        let texts: Vec<Reading> =
            (0..10).map(|second| reading(0, second, Value::Text(format!("{second}").into()))).collect();
        assert_eq!(kept_seconds(&texts), [0, 9]);
        let not: Vec<Reading> = (0..10).map(|second| reading(0, second, Value::LReal(f64::NAN))).collect();
        assert_eq!(kept_seconds(&not), [0, 9]);
    }

    #[test]
    fn blocks_grow_thinner_level_by_level_and_then_no_more() {
        assert_eq!([0, 1, 2, 3, 4].map(next_level), [Some(2), Some(2), Some(3), Some(4), None]);
        assert_eq!((window(1), window(2), window(5)), (None, Some(Duration::from_secs(60)), None));
    }
}
