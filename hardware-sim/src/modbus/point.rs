//! Places in a unit's memory that change by themselves when they are read.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::{Oracle, Table};
use crate::signal::Signal;

/// Writes a value into the words of its point.
pub(super) type Encode<T> = Box<dyn FnMut(T, &mut [u16]) + Send>;

/// What a point shows next.
pub(super) enum Source {
    Signal { signal: Signal, encode: Encode<f64> },
    Oracle { oracle: Oracle, encode: Encode<u64> },
}

/// A run of words in one table with its source.
struct Point {
    words: Vec<u16>,
    source: Source,
}

/// The points of one unit, by where they start.
#[derive(Default)]
pub(super) struct Points {
    points: BTreeMap<(Table, u16), Point>,
    longest: u16,
}

impl Points {
    /// Replaces the point that started there.
    pub(super) fn insert(&mut self, table: Table, offset: u16, len: u16, source: Source) {
        self.longest = self.longest.max(len);
        self.points.insert((table, offset), Point { words: vec![0; usize::from(len)], source });
    }

    /// Gives `store` the words of each point that a read of `count` cells shows. A counter that is shown only in part
    /// does not count.
    pub(super) fn refresh(
        &mut self,
        table: Table,
        offset: u16,
        count: u16,
        now: Duration,
        mut store: impl FnMut(u16, &[u16]),
    ) {
        let end = u32::from(offset) + u32::from(count);
        let first = offset.saturating_sub(self.longest);
        for ((_, start), point) in self.points.range_mut((table, first)..=(table, u16::MAX)) {
            if u32::from(*start) >= end {
                break;
            }
            let point_end = u32::from(*start) + point.words.len() as u32;
            if point_end <= u32::from(offset) {
                continue;
            }
            match &mut point.source {
                Source::Signal { signal, encode } => encode(signal.at(now), &mut point.words),
                Source::Oracle { oracle, encode } if *start >= offset && point_end <= end => {
                    encode(oracle.next(), &mut point.words);
                }
                Source::Oracle { .. } => continue,
            }
            store(*start, &point.words);
        }
    }

    /// A client wrote here: what it wrote stays.
    pub(super) fn overwritten(&mut self, table: Table, offset: u16, count: u16) {
        let end = u32::from(offset) + u32::from(count);
        self.points.retain(|(of, start), point| {
            let touched = u32::from(*start) < end && u32::from(*start) + point.words.len() as u32 > u32::from(offset);
            *of != table || !touched
        });
    }
}

impl fmt::Debug for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.points.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modbus::words_u32;

    const TABLE: Table = Table::HoldingRegisters;

    fn shown(points: &mut Points, offset: u16, count: u16) -> Vec<(u16, Vec<u16>)> {
        let mut shown = Vec::new();
        points.refresh(TABLE, offset, count, Duration::from_secs(3), |at, words| shown.push((at, words.to_vec())));
        shown
    }

    fn counter(at: u16) -> Points {
        let mut points = Points::default();
        points.insert(TABLE, at, 2, Source::Oracle { oracle: Oracle::default(), encode: Box::new(words_u32) });
        points
    }

    #[test]
    fn counts_only_reads_that_show_the_whole_counter() {
        let mut points = counter(10);
        assert_eq!(shown(&mut points, 11, 4), []);
        assert_eq!(shown(&mut points, 8, 3), []);
        assert_eq!(shown(&mut points, 12, 1), []);
        assert_eq!(shown(&mut points, 10, 2), [(10, vec![0, 1])]);
        assert_eq!(shown(&mut points, 0, 125), [(10, vec![0, 2])]);
    }

    #[test]
    fn a_signal_shows_its_value_of_now() {
        let mut points = Points::default();
        let signal = Signal::Counter { from: 0.0, step: 1.0, every: Duration::from_secs(1) };
        let encode: Encode<f64> = Box::new(|value, words| words.fill(value as u16));
        points.insert(TABLE, 65_534, 2, Source::Signal { signal, encode });
        assert_eq!(shown(&mut points, 65_535, 1), [(65_534, vec![3, 3])]);
    }

    #[test]
    fn a_write_ends_what_it_touches() {
        let mut points = counter(10);
        points.overwritten(TABLE, 12, 5);
        points.overwritten(Table::Coils, 10, 5);
        assert_eq!(shown(&mut points, 10, 2).len(), 1);
        points.overwritten(TABLE, 11, 1);
        assert_eq!(shown(&mut points, 10, 2), []);
    }
}
