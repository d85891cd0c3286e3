//! Which spans to read so that all wanted points are covered at the least cost.
//!
//! Points are intervals of registers, bits or bytes. Reading a span costs a fixed part (the round trip) and a part for
//! each unit, so a gap between two points is read along where that is cheaper than a request of its own. Points that lie
//! within others are free; of the rest, sorted, both starts and ends rise, so that a cheapest solution cuts the row into
//! runs, and dynamic programming over the cuts finds it: `best[j] = min over i of best[i-1] + cost(start[i]..end[j])`.
//! The window of possible `i` only moves forward, so a queue of candidates gives the minimum in O(n) after sorting.

use std::collections::VecDeque;
use std::ops::Range;

/// What is to be read: `len` units from `start`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// First unit.
    pub start: u32,
    /// Number of units, 1 or more.
    pub len: u32,
    /// If it is longer than a request can carry, it is cut at multiples of this many units, so that no element is torn.
    pub grain: u32,
}

/// What reading costs, in any unit of cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CostModel {
    /// Of each request, whatever it carries.
    pub per_request: u64,
    /// Of each unit read.
    pub per_unit: u64,
    /// Most units that one request carries, 1 or more.
    pub units_max: u32,
}

/// One request, and what it serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// First unit.
    pub start: u32,
    /// Number of units.
    pub len: u32,
    /// The points served, or parts of them, by rising start.
    pub pieces: Vec<Piece>,
}

/// A point, or the part of it that one span serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Which point, as an index into the list given.
    pub point: usize,
    /// First unit.
    pub start: u32,
    /// Number of units.
    pub len: u32,
}

impl CostModel {
    /// The cost of one span.
    pub fn cost(&self, len: u32) -> u64 {
        self.per_request + self.per_unit * u64::from(len)
    }
}

/// The cheapest spans that serve all `points`, by rising start. No span reads a unit of a hole, unless a point wants it;
/// an empty hole forbids one span on both sides of it. A point longer than the limit is cut.
pub fn spans(points: &[Point], model: &CostModel, holes: &[Range<u32>]) -> Vec<Span> {
    let mut pieces = cut_to_limit(points, model.units_max.max(1));
    pieces.sort_unstable_by_key(|piece| (piece.start, std::cmp::Reverse(piece.len)));
    let row = without_contained(&pieces);
    let holes = united(holes);
    let cuts = cheapest_cuts(&row, model, &holes);
    let mut spans: Vec<Span> = cuts.windows(2).map(|cut| over(&row[cut[0]..cut[1]])).collect();
    let mut index = 0;
    for piece in pieces {
        while spans.get(index + 1).is_some_and(|next| next.start <= piece.start) {
            index += 1;
        }
        spans[index].pieces.push(piece);
    }
    spans
}

fn cut_to_limit(points: &[Point], units_max: u32) -> Vec<Piece> {
    let mut pieces = Vec::with_capacity(points.len());
    for (index, point) in points.iter().enumerate().filter(|(_, point)| point.len > 0) {
        let grain = point.grain.clamp(1, units_max);
        let step = if point.len <= units_max { point.len } else { units_max / grain * grain };
        for from in (0..point.len).step_by(step as usize) {
            pieces.push(Piece { point: index, start: point.start + from, len: step.min(point.len - from) });
        }
    }
    pieces
}

/// The intervals of which none lies within another: starts and ends both rise.
fn without_contained(sorted: &[Piece]) -> Vec<Range<u32>> {
    let mut row: Vec<Range<u32>> = Vec::with_capacity(sorted.len());
    for piece in sorted {
        let end = piece.start + piece.len;
        if row.last().is_none_or(|last| end > last.end) {
            row.push(piece.start..end);
        }
    }
    row
}

/// Holes by rising start, those that meet made one; empty ones stay.
fn united(holes: &[Range<u32>]) -> Vec<Range<u32>> {
    let mut sorted = holes.to_vec();
    sorted.sort_unstable_by_key(|hole| (hole.start, hole.end));
    let mut united: Vec<Range<u32>> = Vec::with_capacity(sorted.len());
    for hole in sorted {
        match united.last_mut() {
            Some(last) if hole.start <= last.end && last.start < last.end && !hole.is_empty() => {
                last.end = last.end.max(hole.end);
            }
            _ => united.push(hole),
        }
    }
    united
}

/// The first indexes of the runs, and the length of the row last.
fn cheapest_cuts(row: &[Range<u32>], model: &CostModel, holes: &[Range<u32>]) -> Vec<usize> {
    let length = |from: usize, to: usize| row[to].end - row[from].start;
    // best[j]: the cost of serving the first j intervals; first[j]: where the run begins that ends with the j-th.
    let mut best = vec![0_u64; row.len() + 1];
    let mut first = vec![0_usize; row.len() + 1];
    let mut candidates: VecDeque<usize> = VecDeque::new();
    // Cost of beginning a run at i, less what all candidates share: compared without the end of the run. Starts rise, so
    // it may fall below zero.
    let begin = |i: usize, best: &[u64]| i128::from(best[i]) - i128::from(model.per_unit) * i128::from(row[i].start);
    let mut hole = 0;
    for last in 0..row.len() {
        if last > 0 && is_parted(&row[last - 1], &row[last], holes, &mut hole) {
            candidates.clear();
        }
        while candidates.back().is_some_and(|back| begin(*back, &best) > begin(last, &best)) {
            candidates.pop_back();
        }
        candidates.push_back(last);
        while candidates.front().is_some_and(|front| length(*front, last) > model.units_max && *front < last) {
            candidates.pop_front();
        }
        let from = candidates.front().copied().unwrap_or(last);
        best[last + 1] = best[from] + model.cost(length(from, last));
        first[last + 1] = from;
    }
    let mut cuts = vec![row.len()];
    while let Some(&end) = cuts.last().filter(|end| **end > 0) {
        cuts.push(first[end]);
    }
    cuts.reverse();
    cuts
}

/// Whether a hole stands between two neighbours. `hole` moves forward with them.
fn is_parted(left: &Range<u32>, right: &Range<u32>, holes: &[Range<u32>], hole: &mut usize) -> bool {
    let gap = left.end.min(right.start)..right.start;
    while holes.get(*hole).is_some_and(|hole| hole.end < gap.start) {
        *hole += 1;
    }
    let parts = |hole: &Range<u32>| match hole.is_empty() {
        true => gap.start <= hole.start,
        false => !gap.is_empty() && hole.start < gap.end && gap.start < hole.end,
    };
    holes[*hole..].iter().take_while(|hole| hole.start <= right.start).any(parts)
}

fn over(run: &[Range<u32>]) -> Span {
    let (start, end) = (run[0].start, run[run.len() - 1].end);
    Span { start, len: end - start, pieces: Vec::new() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TCP: CostModel = CostModel { per_request: 1000, per_unit: 2, units_max: 125 };

    fn point(start: u32, len: u32) -> Point {
        Point { start, len, grain: 1 }
    }

    /// Holes as start and end.
    fn places(points: &[Point], model: &CostModel, holes: &[(u32, u32)]) -> Vec<(u32, u32)> {
        let holes: Vec<Range<u32>> = holes.iter().map(|(start, end)| *start..*end).collect();
        spans(points, model, &holes).iter().map(|span| (span.start, span.len)).collect()
    }

    #[test]
    fn gaps_are_read_along_while_that_is_cheaper_than_a_request() {
        let dear = CostModel { per_unit: 100, ..TCP };
        let points = [point(0, 2), point(12, 1), point(24, 1)];
        assert_eq!(places(&points, &TCP, &[]), [(0, 25)]);
        assert_eq!(places(&points, &dear, &[]), [(0, 13), (24, 1)]);
        assert_eq!(places(&points, &CostModel { per_unit: 1000, ..TCP }, &[]), [(0, 2), (12, 1), (24, 1)]);
        assert_eq!(places(&[], &TCP, &[]), []);
    }

    #[test]
    fn a_span_never_exceeds_the_limit_and_never_tears_a_point() {
        let points = [point(0, 2), point(100, 10), point(124, 2), point(126, 2)];
        assert_eq!(places(&points, &TCP, &[]), [(0, 2), (100, 28)]);
    }

    #[test]
    fn holes_are_not_read_unless_a_point_wants_them() {
        let points = [point(0, 2), point(4, 2), point(6, 2)];
        assert_eq!(places(&points, &TCP, &[(3, 4)]), [(0, 2), (4, 4)]);
        assert_eq!(places(&points, &TCP, &[(4, 5)]), [(0, 8)]);
        assert_eq!(places(&points, &TCP, &[(6, 6)]), [(0, 6), (6, 2)]);
        assert_eq!(places(&points, &TCP, &[(4, 4), (0, 0), (99, 104)]), [(0, 2), (4, 4)]);
    }

    #[test]
    fn a_point_longer_than_the_limit_is_cut_between_its_elements() {
        let long = Point { start: 10, len: 252, grain: 2 };
        let spans = spans(&[long, point(262, 1), point(20, 2)], &TCP, &[]);
        let read: Vec<_> = spans.iter().map(|span| (span.start, span.len)).collect();
        assert_eq!(read, [(10, 124), (134, 124), (258, 5)]);
        let parts: Vec<_> = spans.iter().flat_map(|span| &span.pieces).filter(|piece| piece.point == 0).collect();
        assert_eq!(
            parts.iter().map(|piece| (piece.start, piece.len)).collect::<Vec<_>>(),
            [(10, 124), (134, 124), (258, 4)]
        );
    }

    #[test]
    fn a_hundred_thousand_points_are_planned_at_once() {
        let points: Vec<Point> = (0..100_000).map(|index| point(index * 7 % 1_000_003, 1 + index % 4)).collect();
        let started = std::time::Instant::now();
        let served: usize = spans(&points, &TCP, &[]).iter().map(|span| span.pieces.len()).sum();
        assert_eq!(served, points.len());
        assert!(started.elapsed() < std::time::Duration::from_secs(2), "{:?}", started.elapsed());
    }

    /// Every way to cut the sorted points into runs that may be read, contained points left out by their cost alone.
    fn cheapest_by_trial(points: &[Point], model: &CostModel, holes: &[Range<u32>]) -> u64 {
        let all: u64 = (1_u64 << points.len()) - 1;
        let mut best = vec![u64::MAX; all as usize + 1];
        best[0] = 0;
        let cost: Vec<Option<u64>> = (0..=all).map(|set| cost_of_set(points, set, model, holes)).collect();
        for set in 1..=all {
            let lowest = set & set.wrapping_neg();
            let mut part = set;
            while part != 0 {
                if let Some(cost) = cost[part as usize].filter(|_| part & lowest != 0) {
                    let rest = best[(set & !part) as usize];
                    best[set as usize] = best[set as usize].min(rest.saturating_add(cost));
                }
                part = (part - 1) & set;
            }
        }
        best[all as usize]
    }

    /// The cost of one span that serves exactly this set of points, if it may be read.
    fn cost_of_set(points: &[Point], set: u64, model: &CostModel, holes: &[Range<u32>]) -> Option<u64> {
        let chosen = || points.iter().enumerate().filter(|(index, _)| set >> index & 1 == 1).map(|(_, point)| *point);
        let start = chosen().map(|point| point.start).min()?;
        let end = chosen().map(|point| point.start + point.len).max()?;
        let wanted = |unit: u32| points.iter().any(|point| (point.start..point.start + point.len).contains(&unit));
        let reads_hole = (start..end).any(|unit| !wanted(unit) && holes.iter().any(|hole| hole.contains(&unit)));
        (end - start <= model.units_max && !reads_hole).then(|| model.cost(end - start))
    }

    fn cost(spans: &[Span], model: &CostModel) -> u64 {
        spans.iter().map(|span| model.cost(span.len)).sum()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn the_cost_is_that_of_trying_everything(
            raw in proptest::collection::vec((0_u32..80, 1_u32..9), 1..=10),
            holes in proptest::collection::vec((0_u32..90, 1_u32..4), 0..3),
            per_request in 0_u64..60,
            per_unit in 0_u64..5,
            units_max in 8_u32..40,
        ) {
            let points: Vec<Point> = raw.into_iter().map(|(start, len)| point(start, len)).collect();
            let holes: Vec<Range<u32>> = holes.into_iter().map(|(start, len)| start..start + len).collect();
            let model = CostModel { per_request, per_unit, units_max };
            let found = spans(&points, &model, &holes);
            prop_assert_eq!(cost(&found, &model), cheapest_by_trial(&points, &model, &holes), "{:?}", found);
        }

        #[test]
        fn every_unit_of_every_point_is_served_once_within_the_limit(
            raw in proptest::collection::vec((0_u32..2000, 1_u32..60, 1_u32..5), 0..60),
            holes in proptest::collection::vec((0_u32..2000, 0_u32..20), 0..20),
            units_max in 4_u32..130,
        ) {
            let points: Vec<Point> = raw.into_iter().map(|(start, len, grain)| Point { start, len, grain }).collect();
            let holes: Vec<Range<u32>> = holes.into_iter().map(|(start, len)| start..start + len).collect();
            let found = spans(&points, &CostModel { units_max, ..TCP }, &holes);
            let mut served = vec![0; points.len()];
            for span in &found {
                prop_assert!(span.len <= units_max && !span.pieces.is_empty());
                for piece in &span.pieces {
                    prop_assert!(span.start <= piece.start && piece.start + piece.len <= span.start + span.len);
                    served[piece.point] += piece.len;
                }
            }
            let wanted: Vec<u32> = points.iter().map(|point| point.len).collect();
            prop_assert_eq!(served, wanted);
        }
    }
}
