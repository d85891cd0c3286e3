//! The plan against every other plan, and its speed.

use proptest::prelude::*;
use proptest::strategy::ValueTree;

use super::*;

fn point(zone: usize, start: u32, len: u32) -> Point {
    Point { zone, start, len, is_parted: false }
}

fn places(row: &[Point], pdu: u16) -> Vec<Vec<(usize, u32, u32)>> {
    let place = |run: &Run| (run.zone, run.start, run.end);
    pack(row, &Limits::of(pdu)).iter().map(|request| request.iter().map(place).collect()).collect()
}

#[test]
fn a_request_holds_what_messages_of_its_size_can() {
    for (pdu, items, block) in [(240, 19, 222), (480, 20, 462), (960, 20, 942), (64, 4, 46)] {
        let limits = Limits::of(pdu);
        assert_eq!((limits.items, limits.block_max()), (items, block), "{pdu}");
    }
}

#[test]
fn neighbours_are_one_block_and_a_gap_costs_its_bytes() {
    let row = [point(0, 0, 4), point(0, 4, 4), point(0, 10, 2), point(0, 27, 1), point(0, 44, 2), point(1, 0, 2)];
    assert_eq!(places(&row, 240), [[(0, 0, 28), (0, 44, 46), (1, 0, 2)]]);
    let parted = [point(0, 0, 4), Point { is_parted: true, ..point(0, 4, 4) }];
    assert_eq!(places(&parted, 240), [[(0, 0, 4), (0, 4, 8)]]);
    assert!(places(&[], 240).is_empty());
}

#[test]
fn gaps_are_read_along_where_the_items_run_out() {
    let row: Vec<Point> = (0..24).map(|index| point(0, index * 22, 2)).collect();
    let requests = places(&row, 960);
    assert_eq!(requests.len(), 1, "24 items in one request of 20: {requests:?}");
    assert_eq!(requests[0].len(), 20);
}

#[test]
fn ten_thousand_neighbours_and_a_thousand_scattered_values_are_planned_at_once() {
    let started = std::time::Instant::now();
    let neighbours: Vec<Point> = (0..10_000).map(|index| point(0, 4 * index, 4)).collect();
    assert_eq!(pack(&neighbours, &Limits::of(240)).len(), 10_000_usize.div_ceil(55));
    assert_eq!(pack(&neighbours, &Limits::of(480)).len(), 10_000_usize.div_ceil(115));
    assert_eq!(pack(&neighbours, &Limits::of(960)).len(), 10_000_usize.div_ceil(235));
    let scattered: Vec<Point> = (0..1_000).map(|index| point(0, 4_000 * index, 4)).collect();
    for (pdu, items) in [(240, 19), (480, 20), (960, 20)] {
        assert_eq!(pack(&scattered, &Limits::of(pdu)).len(), 1_000_usize.div_ceil(items));
    }
    let sparse: Vec<Point> = (0..10_000).map(|index| point(0, 11 * index, 1 + index % 5)).collect();
    assert_eq!(pack(&sparse, &Limits::of(960)).iter().flatten().map(|run| run.points.len()).sum::<usize>(), 10_000);
    assert!(started.elapsed() < std::time::Duration::from_secs(4), "{:?}", started.elapsed());
}

/// How a point stands to the one before it.
#[derive(Clone, Copy, PartialEq)]
enum Cut {
    Joined,
    Block,
    Request,
}

/// The fewest requests, found by trying every way to cut the row; with a bound on the cost, so that a test ends.
fn fewest_by_trial(row: &[Point], limits: &Limits) -> usize {
    let choices = 3_usize.pow(row.len() as u32 - 1);
    let cut = |choice: usize, index: usize| match (index, choice / 3_usize.pow(index as u32 - 1) % 3) {
        (_, 0) => Cut::Joined,
        (_, 1) => Cut::Block,
        _ => Cut::Request,
    };
    let mut fewest = usize::MAX;
    for choice in 0..choices {
        let (mut requests, mut blocks): (usize, Vec<(u32, u32)>) = (1, vec![(row[0].start, row[0].start + row[0].len)]);
        let mut holds = true;
        for index in 1..row.len() {
            let (point, before) = (row[index], row[index - 1]);
            let end = point.start + point.len;
            match cut(choice, index) {
                Cut::Joined => {
                    let last = blocks.last_mut().expect("a block");
                    holds &= point.zone == before.zone && !point.is_parted;
                    last.1 = last.1.max(end);
                }
                Cut::Block => blocks.push((point.start, end)),
                Cut::Request => {
                    holds &= fits(&blocks, limits);
                    (requests, blocks) = (requests + 1, vec![(point.start, end)]);
                }
            }
            if !holds || requests >= fewest {
                break;
            }
        }
        if holds && requests < fewest && fits(&blocks, limits) {
            fewest = requests;
        }
    }
    fewest
}

fn fits(blocks: &[(u32, u32)], limits: &Limits) -> bool {
    let lens = || blocks.iter().map(|(start, end)| (end - start) as u16);
    let bytes = crate::wire::read::answer_bytes(lens()) - ANSWER_HEAD - PARAMETER;
    blocks.len() <= limits.items && bytes as u32 <= limits.bytes
}

/// The fewest requests when points may be served in any order: every set of points that fits into one request is weighed.
fn fewest_in_any_order(row: &[Point], limits: &Limits) -> usize {
    let all = (1_usize << row.len()) - 1;
    let one: Vec<bool> = (0..=all)
        .map(|set| {
            let chosen: Vec<Point> =
                row.iter().enumerate().filter(|(index, _)| set >> index & 1 == 1).map(|(_, point)| *point).collect();
            pack(&chosen, limits).len() <= 1
        })
        .collect();
    let mut fewest = vec![usize::MAX; all + 1];
    fewest[0] = 0;
    for set in 1..=all {
        let mut part = set;
        while part != 0 {
            if one[part] {
                fewest[set] = fewest[set].min(fewest[set & !part] + 1);
            }
            part = (part - 1) & set;
        }
    }
    fewest[all]
}

fn rows(count: usize, len_max: u32) -> impl Strategy<Value = Vec<Point>> {
    proptest::collection::vec((0_usize..2, 0_u32..180, 1_u32..len_max, proptest::bool::weighted(0.1)), 1..=count)
        .prop_map(|raw| {
            let mut row: Vec<Point> =
                raw.into_iter().map(|(zone, start, len, is_parted)| Point { zone, start, len, is_parted }).collect();
            row.sort_unstable_by_key(|point| (point.zone, point.start, std::cmp::Reverse(point.len)));
            row
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_other_way_to_cut_the_row_needs_fewer_requests(row in rows(8, 30), pdu in 64_u16..120) {
        let limits = Limits::of(pdu);
        let requests = pack(&row, &limits);
        prop_assert_eq!(requests.len(), fewest_by_trial(&row, &limits), "{:?}", requests);
    }

    #[test]
    fn every_point_is_served_once_within_the_limits(row in rows(60, 40), pdu in 64_u16..260) {
        let limits = Limits::of(pdu);
        let mut next = 0;
        for request in pack(&row, &limits) {
            let blocks: Vec<(u32, u32)> = request.iter().map(|run| (run.start, run.end)).collect();
            prop_assert!(fits(&blocks, &limits), "{:?}", request);
            for run in request {
                prop_assert_eq!(run.points.start, next);
                next = run.points.end;
                for point in &row[run.points.clone()] {
                    prop_assert!(point.zone == run.zone && run.start <= point.start && point.start + point.len <= run.end);
                }
            }
        }
        prop_assert_eq!(next, row.len());
    }
}

/// P14: values per PDU against the best that any order of the points could give.
#[test]
fn values_per_pdu_are_near_the_best_in_any_order() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut ours, mut best) = (0, 0);
    for _ in 0..300 {
        let row = rows(9, 24).new_tree(&mut runner).expect("a row").current();
        let limits = Limits::of(96);
        ours += pack(&row, &limits).len();
        best += fewest_in_any_order(&row, &limits);
    }
    assert!(best * 100 >= ours * 95, "{ours} requests, {best} would do");
}
