//! Which tags have readings at which times: tags with the same times stand in one group.

use std::ops::Range;

use driver_core::TagId;

use super::varint::{Input, put_u64};
use super::{READINGS_MAX, Undecodable};

/// All groups of a block. Times and runs of all groups stand in two tables, of which each group has a part.
#[derive(Default)]
pub(super) struct Groups {
    groups: Vec<Group>,
    times: Vec<u32>,
    runs: Vec<Run>,
    /// The index of a group's first tag's reading at each of its times; in step with `times`.
    bases: Vec<usize>,
}

struct Group {
    times: Range<usize>,
    runs: Range<usize>,
}

/// Tags with consecutive ids.
#[derive(Clone, Copy)]
struct Run {
    first: u32,
    count: u32,
}

impl Groups {
    pub(super) fn clear(&mut self) {
        self.groups.clear();
        self.times.clear();
        self.runs.clear();
    }

    /// Adds a tag that has a reading at each of these times, indexes of the block's times. Tags rise.
    pub(super) fn add(&mut self, tag: TagId, times: impl Iterator<Item = u32>) {
        let start = self.times.len();
        self.times.extend(times);
        let same = self.groups.last().is_some_and(|last| self.times[last.times.clone()] == self.times[start..]);
        if same {
            self.times.truncate(start);
            self.extend_last(tag.0);
        } else {
            self.runs.push(Run { first: tag.0, count: 1 });
            let runs = self.runs.len() - 1..self.runs.len();
            self.groups.push(Group { times: start..self.times.len(), runs });
        }
    }

    /// Adds a tag that has one reading.
    #[inline]
    pub(super) fn add_single(&mut self, tag: TagId, time: u32) {
        match self.groups.last() {
            Some(Group { times, .. }) if times.len() == 1 && self.times[times.start] == time => self.extend_last(tag.0),
            _ => self.add(tag, std::iter::once(time)),
        }
    }

    fn extend_last(&mut self, tag: u32) {
        match (self.runs.last_mut(), self.groups.last_mut()) {
            (Some(run), _) if run.first.checked_add(run.count) == Some(tag) => run.count += 1,
            (_, Some(group)) => {
                self.runs.push(Run { first: tag, count: 1 });
                group.runs.end += 1;
            }
            _ => unreachable!("only called where a group stands"),
        }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        put_u64(out, self.groups.len() as u64);
        let mut next_tag = 0_u32;
        for group in &self.groups {
            write_times(&self.times[group.times.clone()], out);
            put_u64(out, group.runs.len() as u64);
            for run in &self.runs[group.runs.clone()] {
                put_u64(out, u64::from(run.first - next_tag));
                put_u64(out, u64::from(run.count - 1));
                next_tag = run.first.wrapping_add(run.count);
            }
        }
    }

    pub(super) fn read(input: &mut Input<'_>, times_count: usize) -> Result<Groups, Undecodable> {
        let mut groups = Groups::default();
        let mut next_tag = 0_u32;
        let mut readings = 0_usize;
        for _ in 0..input.count(READINGS_MAX)? {
            let start = groups.times.len();
            read_times(input, times_count, &mut groups.times)?;
            let first_run = groups.runs.len();
            for _ in 0..input.count(READINGS_MAX)? {
                let run = read_run(input, next_tag)?;
                next_tag = run.first.wrapping_add(run.count);
                let of_run = (groups.times.len() - start).checked_mul(run.count as usize);
                readings = of_run.and_then(|more| readings.checked_add(more)).unwrap_or(usize::MAX);
                if readings > READINGS_MAX {
                    return Err(Undecodable("it holds more readings than the limit"));
                }
                groups.runs.push(run);
            }
            groups.groups.push(Group { times: start..groups.times.len(), runs: first_run..groups.runs.len() });
        }
        groups.place();
        Ok(groups)
    }

    /// Gives each reading its place: by time, then by group, then by tag.
    fn place(&mut self) {
        let mut order: Vec<(u32, usize, usize)> = Vec::with_capacity(self.times.len());
        for (index, group) in self.groups.iter().enumerate() {
            order.extend(group.times.clone().map(|at| (self.times[at], index, at)));
        }
        order.sort_unstable();
        self.bases = vec![0; self.times.len()];
        let mut base = 0;
        for (_, group, at) in order {
            self.bases[at] = base;
            base += self.tags(&self.groups[group]);
        }
    }

    fn tags(&self, group: &Group) -> usize {
        self.runs[group.runs.clone()].iter().map(|run| run.count as usize).sum()
    }

    /// How many columns there are: one a tag.
    pub(super) fn columns(&self) -> usize {
        self.runs.iter().map(|run| run.count as usize).sum()
    }

    pub(super) fn readings(&self) -> usize {
        self.groups.iter().map(|group| self.tags(group) * group.times.len()).sum()
    }

    /// The groups in the order of their columns.
    pub(super) fn placed(&self) -> impl Iterator<Item = PlacedGroup<'_>> {
        self.groups.iter().map(|group| PlacedGroup {
            runs: &self.runs[group.runs.clone()],
            times: &self.times[group.times.clone()],
            bases: &self.bases[group.times.clone()],
        })
    }
}

/// A group whose readings know their places in the block.
pub(super) struct PlacedGroup<'a> {
    runs: &'a [Run],
    times: &'a [u32],
    bases: &'a [usize],
}

impl PlacedGroup<'_> {
    pub(super) fn tags(&self) -> impl Iterator<Item = TagId> {
        self.runs.iter().flat_map(|run| (run.first..run.first + run.count).map(TagId))
    }

    /// How many tags.
    pub(super) fn columns(&self) -> usize {
        self.runs.iter().map(|run| run.count as usize).sum()
    }

    /// The place of the first tag's reading and the time's index, where there is only one time.
    pub(super) fn only_place(&self) -> Option<(usize, usize)> {
        match (self.bases, self.times) {
            ([base], [time]) => Some((*base, *time as usize)),
            _ => None,
        }
    }

    /// For each time the place of the first tag's reading, and the time's index.
    pub(super) fn places(&self) -> impl Iterator<Item = (usize, usize)> {
        self.bases.iter().zip(self.times).map(|(base, time)| (*base, *time as usize))
    }
}

fn read_run(input: &mut Input<'_>, next_tag: u32) -> Result<Run, Undecodable> {
    let beyond = Undecodable("a tag id is beyond the limit");
    let skip = u32::try_from(input.u64()?).map_err(|_| beyond)?;
    let first = next_tag.checked_add(skip).ok_or(beyond)?;
    let count = input.count(READINGS_MAX - 1)? as u32 + 1;
    first.checked_add(count).ok_or(beyond)?;
    Ok(Run { first, count })
}

/// Count, first index with a bit that says whether the rest follows one by one, and otherwise the steps.
fn write_times(times: &[u32], out: &mut Vec<u8>) {
    let consecutive = times.windows(2).all(|pair| pair[1] == pair[0] + 1);
    put_u64(out, times.len() as u64);
    put_u64(out, u64::from(times[0]) << 1 | u64::from(consecutive));
    if !consecutive {
        times.windows(2).for_each(|pair| put_u64(out, u64::from(pair[1] - pair[0])));
    }
}

fn read_times(input: &mut Input<'_>, times_count: usize, times: &mut Vec<u32>) -> Result<(), Undecodable> {
    let beyond = Undecodable("a time's index is beyond the block's times");
    let count = input.count(READINGS_MAX.saturating_sub(times.len()))?;
    if count == 0 {
        return Err(Undecodable("a group has no times"));
    }
    let first = input.u64()?;
    let (mut index, consecutive) = (first >> 1, first & 1 == 1);
    for step in 0..count {
        if step > 0 {
            index = index.checked_add(if consecutive { 1 } else { input.u64()? }).ok_or(beyond)?;
        }
        if index >= times_count as u64 {
            return Err(beyond);
        }
        times.push(index as u32);
    }
    Ok(())
}
