//! Places in a device's memory that change by themselves when they are read. `A` names a table or an area, `W` is what
//! one cell holds.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::oracle::Oracle;
use crate::signal::Signal;

/// Writes a value into the cells of its point.
pub(crate) type Encode<T, W> = Box<dyn FnMut(T, &mut [W]) + Send>;

/// What a point shows next.
pub(crate) enum Source<W> {
    Signal { signal: Signal, encode: Encode<f64, W> },
    Oracle { oracle: Oracle, encode: Encode<u64, W> },
}

/// A run of cells in one table with its source.
struct Point<W> {
    cells: Vec<W>,
    source: Source<W>,
}

/// The points of one device, by where they start.
pub(crate) struct Points<A, W> {
    points: BTreeMap<(A, u16), Point<W>>,
    longest: u16,
}

impl<A: Copy + Ord, W: Clone + Default> Points<A, W> {
    /// Replaces the point that started there.
    pub(crate) fn insert(&mut self, table: A, offset: u16, len: u16, source: Source<W>) {
        self.longest = self.longest.max(len);
        self.points.insert((table, offset), Point { cells: vec![W::default(); usize::from(len)], source });
    }

    /// Gives `store` the cells of each point that a read of `count` cells shows. A counter that is shown only in part
    /// does not count.
    pub(crate) fn refresh(
        &mut self,
        table: A,
        offset: u16,
        count: u16,
        now: Duration,
        mut store: impl FnMut(u16, &[W]),
    ) {
        let end = u32::from(offset) + u32::from(count);
        let first = offset.saturating_sub(self.longest);
        for ((_, start), point) in self.points.range_mut((table, first)..=(table, u16::MAX)) {
            if u32::from(*start) >= end {
                break;
            }
            let point_end = u32::from(*start) + point.cells.len() as u32;
            if point_end <= u32::from(offset) {
                continue;
            }
            match &mut point.source {
                Source::Signal { signal, encode } => encode(signal.at(now), &mut point.cells),
                Source::Oracle { oracle, encode } if *start >= offset && point_end <= end => {
                    encode(oracle.next(), &mut point.cells);
                }
                Source::Oracle { .. } => continue,
            }
            store(*start, &point.cells);
        }
    }

    /// A client wrote here: what it wrote stays.
    pub(crate) fn overwritten(&mut self, table: A, offset: u16, count: u16) {
        let end = u32::from(offset) + u32::from(count);
        self.points.retain(|(of, start), point| {
            let touched = u32::from(*start) < end && u32::from(*start) + point.cells.len() as u32 > u32::from(offset);
            *of != table || !touched
        });
    }
}

impl<A, W> Default for Points<A, W> {
    fn default() -> Self {
        Self { points: BTreeMap::new(), longest: 0 }
    }
}

impl<A: fmt::Debug, W> fmt::Debug for Points<A, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.points.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modbus::{Table, words_u32};

    const TABLE: Table = Table::HoldingRegisters;

    fn shown(points: &mut Points<Table, u16>, offset: u16, count: u16) -> Vec<(u16, Vec<u16>)> {
        let mut shown = Vec::new();
        points.refresh(TABLE, offset, count, Duration::from_secs(3), |at, words| shown.push((at, words.to_vec())));
        shown
    }

    fn counter(at: u16) -> Points<Table, u16> {
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
        let encode: Encode<f64, u16> = Box::new(|value, words| words.fill(value as u16));
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
