//! The order of a block's columns: by tag, and the readings of one tag as they came.

use std::ops::Range;

use driver_core::{Reading, TagId};

/// Finds the order of blocks; keeps its memory from block to block.
#[derive(Default)]
pub(super) struct Order {
    /// Readings that stand one after the other and whose tags rise: those of a poll, mostly.
    stretches: Vec<Range<usize>>,
    /// Tag and place of each reading.
    sorted: Vec<(TagId, u32)>,
}

/// What stands in a block, column by column.
pub(super) enum Columns<'a> {
    /// Each tag has one reading; where those readings stand.
    OneEach(&'a [Range<usize>]),
    /// Tag and place of each reading; those of one tag follow one another.
    Several(&'a [(TagId, u32)]),
}

impl Order {
    pub(super) fn of(&mut self, readings: &[Reading]) -> Columns<'_> {
        self.stretches.clear();
        let mut start = 0;
        for stretch in readings.chunk_by(|left, right| left.tag < right.tag) {
            self.stretches.push(start..start + stretch.len());
            start += stretch.len();
        }
        self.stretches.sort_unstable_by_key(|stretch| readings[stretch.start].tag);
        let apart = |pair: &[Range<usize>]| readings[pair[0].end - 1].tag < readings[pair[1].start].tag;
        if self.stretches.windows(2).all(apart) {
            return Columns::OneEach(&self.stretches);
        }
        self.sorted.clear();
        self.sorted.extend(readings.iter().zip(0..).map(|(reading, place)| (reading.tag, place)));
        // Stable, because that merges stretches as they stand.
        self.sorted.sort();
        Columns::Several(&self.sorted)
    }
}
