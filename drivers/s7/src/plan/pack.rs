//! Which blocks to read, and which of them in one request: the fewest requests, then the fewest bytes.
//!
//! What is wanted are points: intervals of bytes in a zone. A *block* is one item of a request: it costs 12 bytes of the
//! request and 4 of the answer, whatever its length, and every byte of it one of the answer; all but the last are padded to
//! an even length. A gap between two points costs its bytes, and joins their blocks into one.
//!
//! Points are taken in the order of their addresses. The best plan is the one with the fewest requests among all that cut
//! this row into requests, and each request's points into blocks. A request that serves the points `i..=j` serves each row
//! within it, so that taking as many points as fit, again and again from the first, needs the fewest requests.
//!
//! Whether a row fits is a question of joining: with at most `items` blocks, the smallest gaps are joined first, for each
//! joined gap saves an item and costs `gap - 4` bytes of the answer. Only the padding can make another choice better by a
//! few bytes; where that would decide, all choices are weighed.

use crate::wire::message::{ANSWER_HEAD, REQUEST_HEAD};
use crate::wire::read::{ITEM_HEAD, PARAMETER, answer_bytes};
use crate::wire::{ITEMS_MAX, item};

/// Bytes that joining two blocks saves, out and back.
const JOIN_SAVES: u32 = (item::ITEM + ITEM_HEAD) as u32;
/// Gaps of up to so many bytes are joined always: the answer is no longer for it.
const GAP_FREE: u32 = ITEM_HEAD as u32 - 1;

/// What is to be read: `len` bytes from `start` of a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) zone: usize,
    pub(crate) start: u32,
    pub(crate) len: u32,
    /// Whether no block may reach from the points before to this one.
    pub(crate) is_parted: bool,
}

/// What a request can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Most items.
    items: usize,
    /// Most bytes of the answer's items, with their heads and padding.
    bytes: u32,
}

/// One block, and the points it serves: a range of the row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) zone: usize,
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) points: std::ops::Range<usize>,
    /// The gap before it, if it may be joined to the run before.
    gap: Option<u32>,
}

impl Limits {
    /// What messages of `pdu` bytes can hold.
    pub(crate) fn of(pdu: u16) -> Limits {
        let pdu = usize::from(pdu);
        let items = pdu.saturating_sub(REQUEST_HEAD + PARAMETER) / item::ITEM;
        let bytes = pdu.saturating_sub(ANSWER_HEAD + PARAMETER);
        Limits { items: items.clamp(1, ITEMS_MAX), bytes: u32::try_from(bytes).unwrap_or(u32::MAX) }
    }

    /// Whether one request can hold items of these lengths.
    pub(crate) fn hold(&self, lens: &[u16]) -> bool {
        let bytes = answer_bytes(lens.iter().copied()) - (ANSWER_HEAD + PARAMETER);
        lens.len() <= self.items && bytes <= self.bytes as usize
    }

    /// Most items.
    pub(crate) fn items(&self) -> usize {
        self.items
    }

    /// The longest block.
    pub(crate) fn block_max(&self) -> u32 {
        self.bytes.saturating_sub(ITEM_HEAD as u32).max(1)
    }
}

/// The requests that serve a row of points, sorted by zone and start; no point is longer than a block may be.
pub(crate) fn pack(row: &[Point], limits: &Limits) -> Vec<Vec<Run>> {
    let mut requests = Vec::new();
    let mut from = 0;
    while from < row.len() {
        let (runs, next) = longest(row, from, limits);
        requests.push(runs);
        from = next;
    }
    requests
}

/// The request that serves as many points from `from` on as fit, and the first point that it does not serve.
fn longest(row: &[Point], from: usize, limits: &Limits) -> (Vec<Run>, usize) {
    let mut runs: Vec<Run> = Vec::new();
    let mut best = Vec::new();
    for (index, point) in row.iter().enumerate().skip(from) {
        if !extend(&mut runs, point, index) {
            // It lies within the last run, which serves it for nothing.
            if let Some(last) = best.last_mut() {
                served(last, index);
            }
            continue;
        }
        match joined(&runs, limits) {
            Some(fitting) => best = fitting,
            None => return (best, index),
        }
    }
    (best, row.len())
}

fn served(run: &mut Run, index: usize) {
    run.points.end = index + 1;
}

/// Adds a point to the runs of a request; whether they have grown.
fn extend(runs: &mut Vec<Run>, point: &Point, index: usize) -> bool {
    let end = point.start + point.len;
    if let Some(last) = runs.last_mut().filter(|last| last.zone == point.zone && !point.is_parted) {
        if point.start <= last.end + GAP_FREE {
            let grows = end > last.end;
            last.end = last.end.max(end);
            served(last, index);
            return grows;
        }
        let gap = Some(point.start - last.end);
        runs.push(Run { zone: point.zone, start: point.start, end, points: index..index + 1, gap });
    } else {
        runs.push(Run { zone: point.zone, start: point.start, end, points: index..index + 1, gap: None });
    }
    true
}

/// The runs with as many of them joined as it takes to fit, and as saves bytes; `None` where they do not fit.
fn joined(runs: &[Run], limits: &Limits) -> Option<Vec<Run>> {
    let mut gaps: Vec<(u32, usize)> =
        (0..).zip(runs).filter_map(|(index, run)| run.gap.map(|gap| (gap, index))).collect();
    gaps.sort_unstable();
    let surplus = runs.len().saturating_sub(limits.items);
    if surplus > gaps.len() {
        return None;
    }
    // Joining across the smallest gaps costs the answer nothing; the rest is joined where the items run out.
    let needed = surplus.max(gaps.iter().take_while(|(gap, _)| *gap <= ITEM_HEAD as u32).count());
    let mut is_joined = vec![false; runs.len()];
    gaps[..needed].iter().for_each(|(_, index)| is_joined[*index] = true);
    if least_bytes(runs, &is_joined) > limits.bytes {
        return None;
    }
    if bytes(runs, &is_joined) > limits.bytes {
        is_joined = weighed(runs, limits)?;
    }
    for (gap, index) in gaps.iter().take_while(|(gap, _)| *gap < JOIN_SAVES) {
        let before = std::mem::replace(&mut is_joined[*index], true);
        if !before && bytes(runs, &is_joined) > limits.bytes {
            is_joined[*index] = false;
            if *gap > ITEM_HEAD as u32 + 1 {
                break;
            }
        }
    }
    Some(join(runs, &is_joined))
}

fn join(runs: &[Run], is_joined: &[bool]) -> Vec<Run> {
    let mut out: Vec<Run> = Vec::with_capacity(runs.len());
    for (run, joined) in runs.iter().zip(is_joined) {
        match out.last_mut().filter(|_| *joined) {
            Some(last) => (last.end, last.points.end) = (run.end, run.points.end),
            None => out.push(run.clone()),
        }
    }
    out
}

/// Bytes of the answer's items, the padding of all but the last among them.
fn bytes(runs: &[Run], is_joined: &[bool]) -> u32 {
    let (mut total, mut start, mut padding) = (0, 0, 0);
    for (index, run) in runs.iter().enumerate() {
        if !is_joined[index] {
            total += padding + ITEM_HEAD as u32;
            start = run.start;
        } else {
            total -= runs[index - 1].end - start;
        }
        let len = run.end - start;
        total += len;
        padding = len % 2;
    }
    total
}

/// The same without padding.
fn least_bytes(runs: &[Run], is_joined: &[bool]) -> u32 {
    let cost = |(index, run): (usize, &Run)| match is_joined[index] {
        true => run.end - run.start + run.gap.unwrap_or(0),
        false => run.end - run.start + ITEM_HEAD as u32,
    };
    runs.iter().enumerate().map(cost).sum()
}

/// The choice of joins with the shortest answer, of all that keep within the items; `None` where none fits.
fn weighed(runs: &[Run], limits: &Limits) -> Option<Vec<bool>> {
    let items_max = limits.items.min(runs.len());
    // shortest[k][j]: bytes with k + 1 blocks that serve the runs up to j, and where the last of them begins.
    let mut shortest = vec![vec![(u32::MAX, 0_usize); runs.len()]; items_max];
    for last in 0..runs.len() {
        let mut first = last;
        loop {
            let len = runs[last].end - runs[first].start;
            let own = ITEM_HEAD as u32 + if last + 1 == runs.len() { len } else { len.next_multiple_of(2) };
            for items in 0..items_max {
                let before = match (first, items) {
                    (0, 0) => 0,
                    (0, _) | (_, 0) => u32::MAX,
                    _ => shortest[items - 1][first - 1].0,
                };
                let total = before.saturating_add(own);
                if total < shortest[items][last].0 {
                    shortest[items][last] = (total, first);
                }
            }
            if first == 0 || runs[first].gap.is_none() || len > limits.bytes {
                break;
            }
            first -= 1;
        }
    }
    let end = runs.len().checked_sub(1)?;
    let (mut items, _) = shortest.iter().enumerate().min_by_key(|(_, row)| row[end].0)?;
    if shortest[items][end].0 > limits.bytes {
        return None;
    }
    let mut is_joined = vec![true; runs.len()];
    let mut last = end;
    loop {
        let first = shortest[items][last].1;
        is_joined[first] = false;
        if first == 0 {
            return Some(is_joined);
        }
        (items, last) = (items - 1, first - 1);
    }
}

#[cfg(test)]
mod tests;
