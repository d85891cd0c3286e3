//! Readings between the queue and the log: large polls as they came, small ones put together.

use std::collections::VecDeque;

use driver_core::Reading;

use crate::pipeline::batch::BLOCK_READINGS;

/// A poll of so many readings makes a block by itself; a smaller one costs less moved than as a block.
const LARGE_POLL: usize = 512;

/// What was taken from the queue and is not in the log yet, in the order in which it came.
#[derive(Default)]
pub(super) struct Pending {
    /// None is empty.
    polls: VecDeque<Vec<Reading>>,
    readings: usize,
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.polls.is_empty()
    }

    /// How many readings.
    pub(super) fn len(&self) -> usize {
        self.readings
    }

    /// Adds a poll; its memory comes back where its readings were moved to others.
    pub(super) fn push(&mut self, mut poll: Vec<Reading>) -> Option<Vec<Reading>> {
        self.readings += poll.len();
        match self.polls.back_mut() {
            Some(last) if poll.len() < LARGE_POLL && last.len() + poll.len() <= BLOCK_READINGS => {
                last.append(&mut poll)
            }
            _ if poll.is_empty() => {}
            _ => {
                self.polls.push_back(poll);
                return None;
            }
        }
        Some(poll)
    }

    /// Puts all of it in the order of these keys, and those of one key as they came; hands out the memory of polls whose
    /// readings were moved.
    pub(super) fn sort_by_key<K: Ord>(&mut self, key: impl FnMut(&Reading) -> K, emptied: impl FnMut(Vec<Reading>)) {
        let Some(mut all) = self.polls.pop_front() else { return };
        self.polls.iter_mut().for_each(|poll| all.append(poll));
        self.polls.drain(..).for_each(emptied);
        all.sort_by_key(key);
        self.polls.push_back(all);
    }

    pub(super) fn first(&self) -> Option<&Reading> {
        self.polls.front()?.first()
    }

    /// The first so many readings; each slice fits a block.
    pub(super) fn first_of(&self, count: usize) -> impl Iterator<Item = &[Reading]> {
        let mut left = count;
        self.polls.iter().flat_map(|poll| poll.chunks(BLOCK_READINGS)).map_while(move |chunk| {
            let part = &chunk[..chunk.len().min(left)];
            left -= part.len();
            (!part.is_empty()).then_some(part)
        })
    }

    /// Of how many from the first on this holds.
    pub(super) fn count_while(&self, mut holds: impl FnMut(&Reading) -> bool) -> usize {
        self.polls.iter().flatten().take_while(|reading| holds(reading)).count()
    }

    /// Takes the first so many away; hands out the memory of polls that are gone.
    pub(super) fn remove(&mut self, count: usize, mut emptied: impl FnMut(Vec<Reading>)) {
        let mut left = count.min(self.readings);
        self.readings -= left;
        while let Some(front) = self.polls.front_mut() {
            if left < front.len() {
                front.drain(..left);
                return;
            }
            left -= front.len();
            if let Some(mut poll) = self.polls.pop_front() {
                poll.clear();
                emptied(poll);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::reading;
    use super::*;

    fn poll(numbers: std::ops::Range<usize>) -> Vec<Reading> {
        numbers.map(|number| reading(number as i64)).collect()
    }

    fn numbers<'a>(slices: impl Iterator<Item = &'a [Reading]>) -> Vec<i64> {
        slices.flatten().map(|reading| reading.timestamp.0).collect()
    }

    #[test]
    fn large_polls_stay_where_they_are_and_small_ones_are_put_together() {
        let mut pending = Pending::default();
        assert!(pending.push(Vec::new()).is_some());
        assert!(pending.is_empty());
        assert!(pending.push(poll(0..3)).is_none());
        assert!(pending.push(poll(3..4)).is_some_and(|memory| memory.is_empty()));
        assert!(pending.push(poll(4..1_000)).is_none());
        assert!(pending.push(poll(1_000..6_000)).is_none());
        assert!(pending.push(poll(6_000..6_001)).is_none(), "the block before it is full");
        assert_eq!(pending.len(), 6_001);
        let sizes: Vec<usize> = pending.first_of(6_000).map(<[Reading]>::len).collect();
        assert_eq!(sizes, [4, 996, BLOCK_READINGS, BLOCK_READINGS, 5_000 - 2 * BLOCK_READINGS]);
        assert_eq!(numbers(pending.first_of(5)), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn what_is_removed_is_the_oldest_and_its_memory_comes_back() {
        let mut pending = Pending::default();
        pending.push(poll(0..600));
        pending.push(poll(600..1_200));
        let mut memory = 0;
        pending.remove(700, |poll| memory += usize::from(poll.is_empty() && poll.capacity() >= 600));
        assert_eq!((memory, pending.len()), (1, 500));
        assert_eq!(numbers(pending.first_of(2)), [700, 701]);
        pending.remove(usize::MAX, |_| memory += 1);
        assert_eq!((memory, pending.len(), pending.is_empty()), (2, 0, true));
    }

    #[test]
    fn sorting_keeps_the_order_within_a_key() {
        let mut pending = Pending::default();
        pending.push(poll(0..600));
        pending.push(poll(600..1_200));
        let mut moved = 0;
        pending.sort_by_key(|reading| reading.timestamp.0 % 2, |_| moved += 1);
        let expected: Vec<i64> = (0..1_200).step_by(2).chain((1..1_200).step_by(2)).collect();
        assert_eq!((numbers(pending.first_of(1_200)), moved), (expected, 1));
        assert_eq!(pending.count_while(|reading| reading.timestamp.0 % 2 == 0), 600);
    }
}
