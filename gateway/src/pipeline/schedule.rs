//! When which group of a line is due.
//!
//! Each group has a fixed grid of points in time, shifted by a phase that its line's name decides, so that a thousand
//! lines do not fire at once and the same line always fires at the same phase. A group that was late is polled once
//! and goes on with its next point: points that were missed coalesce, and nothing drifts. Times are monotonic and passed in.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use driver_core::GroupId;

/// The shortest interval that is kept; what is configured shorter is polled this often.
pub const INTERVAL_MIN: Duration = Duration::from_millis(1);

/// One poll group of one device of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// The device's index on its line.
    pub device: usize,
    /// The group within the device.
    pub group: GroupId,
}

/// A slot whose time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// The slot's index, by which its outcome is told to the schedule.
    pub index: usize,
    /// What is to be polled.
    pub slot: Slot,
    /// How many points of its grid passed unserved since its last turn.
    pub missed: u32,
    /// How long ago it was due.
    pub late: Duration,
}

/// The due times of all groups of one line.
#[derive(Debug)]
pub struct Schedule {
    entries: Vec<Entry>,
    /// Next points; an entry that was brought forward leaves its old point behind, which is skipped when it comes.
    heap: BinaryHeap<Reverse<(Instant, u32)>>,
}

#[derive(Debug)]
struct Entry {
    slot: Slot,
    interval: Duration,
    /// A point of the grid; all others are whole intervals away.
    anchor: Instant,
    due: Instant,
    served: Served,
}

/// What became of a slot's last turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Served {
    /// It has not had one.
    Never,
    /// The device was asked.
    Asked,
    /// The device could not be asked.
    Absent,
}

impl Schedule {
    /// A schedule that starts at `start`. `key` is the line's phase key (see [`phase_key`]).
    pub fn new(start: Instant, slots: impl IntoIterator<Item = (Slot, Duration, u64)>) -> Schedule {
        let entries: Vec<Entry> = slots
            .into_iter()
            .map(|(slot, interval, key)| {
                let interval = interval.max(INTERVAL_MIN);
                let due = start + share(interval, key);
                Entry { slot, interval, anchor: due, due, served: Served::Never }
            })
            .collect();
        let heap = entries.iter().enumerate().map(|(index, entry)| Reverse((entry.due, index as u32))).collect();
        Schedule { entries, heap }
    }

    /// When the next slot is due; `None` when there is no slot at all.
    pub fn next_due(&mut self) -> Option<Instant> {
        while let Some(Reverse((at, index))) = self.heap.peek() {
            if self.entries[*index as usize].due == *at {
                return Some(*at);
            }
            self.heap.pop();
        }
        None
    }

    /// The slot that has been due longest, if one is.
    pub fn first_due(&mut self, now: Instant) -> Option<Slot> {
        self.next_due().filter(|at| *at <= now)?;
        let Reverse((_, index)) = self.heap.peek()?;
        Some(self.entries[*index as usize].slot)
    }

    /// Takes the slot that has been due longest, if one is, and sets its next point after `now`.
    pub fn take(&mut self, now: Instant) -> Option<Due> {
        let at = self.next_due().filter(|at| *at <= now)?;
        let Reverse((_, index)) = self.heap.pop()?;
        let entry = &mut self.entries[index as usize];
        let (next, missed) = entry.point_after(at, now);
        entry.due = next;
        self.heap.push(Reverse((next, index)));
        Some(Due { index: index as usize, slot: entry.slot, missed, late: now.duration_since(at) })
    }

    /// Tells that the device of a slot was asked in its turn.
    pub fn asked(&mut self, index: usize) {
        self.entries[index].served = Served::Asked;
    }

    /// Tells that the device of a slot could not be asked in its turn.
    pub fn absent(&mut self, index: usize) {
        self.entries[index].served = Served::Absent;
    }

    /// Makes due at `now` what could not be asked in its last turn, of the devices that are there again.
    pub fn hasten_absent(&mut self, now: Instant, there: impl Fn(usize) -> bool) {
        self.hasten(now, |entry| entry.served != Served::Asked && there(entry.slot.device));
    }

    /// Makes due at `now` what has not had its first turn, so that its tags have a quality soon.
    pub fn hasten_first(&mut self, now: Instant) {
        self.hasten(now, |entry| entry.served == Served::Never);
    }

    fn hasten(&mut self, now: Instant, which: impl Fn(&Entry) -> bool) {
        for (index, entry) in self.entries.iter_mut().enumerate() {
            if entry.due > now && which(entry) {
                entry.due = now;
                self.heap.push(Reverse((now, index as u32)));
            }
        }
        self.drop_stale();
    }

    /// Keeps the heap bounded however often slots are brought forward.
    fn drop_stale(&mut self) {
        if self.heap.len() > 2 * self.entries.len() + 8 {
            let entries = self.entries.iter().enumerate();
            self.heap = entries.map(|(index, entry)| Reverse((entry.due, index as u32))).collect();
        }
    }
}

impl Entry {
    /// The first point of the grid that lies at least half an interval after a turn at `now`, and how many points
    /// between `due` and `now` had no turn. Half: a turn brought forward stands for the point that it nearly met.
    fn point_after(&self, due: Instant, now: Instant) -> (Instant, u32) {
        let interval = self.interval.as_nanos();
        let on_grid = due >= self.anchor && (due - self.anchor).as_nanos().is_multiple_of(interval);
        let from = if on_grid { now } else { now + self.interval / 2 };
        let passed = from.saturating_duration_since(self.anchor).as_nanos() / interval;
        let steps = if from < self.anchor { 0 } else { passed + 1 };
        let next = self.anchor + duration(steps.saturating_mul(interval));
        let missed = (now - due).as_nanos() / interval;
        (next, u32::try_from(missed).unwrap_or(u32::MAX))
    }
}

/// A line's phase, as a fraction of 2^64 of any interval: the same for the same name, spread evenly over names.
pub fn phase_key(name: &str) -> u64 {
    let fnv = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let mixed = (fnv ^ (fnv >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    mixed ^ (mixed >> 32)
}

/// The part `key / 2^64` of a duration.
pub fn share(whole: Duration, key: u64) -> Duration {
    duration((whole.as_nanos() * u128::from(key >> 32)) >> 32)
}

fn duration(nanos: u128) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn slot(device: usize) -> Slot {
        Slot { device, group: GroupId(0) }
    }

    fn one(start: Instant, interval: Duration, key: u64) -> Schedule {
        Schedule::new(start, [(slot(0), interval, key)])
    }

    #[test]
    fn a_group_is_due_once_an_interval_and_never_drifts() {
        let start = Instant::now();
        let mut schedule = one(start, SECOND, 1 << 63);
        for cycle in 0..1000_u32 {
            let at = schedule.next_due().expect("a slot");
            assert_eq!(at, start + SECOND / 2 + cycle * SECOND);
            assert_eq!(schedule.take(at - Duration::from_nanos(1)), None);
            let due = schedule.take(at + Duration::from_millis(7)).expect("due");
            assert_eq!((due.missed, due.late), (0, Duration::from_millis(7)));
        }
    }

    #[test]
    fn a_stop_of_thirty_seconds_gives_one_poll() {
        let start = Instant::now();
        let mut schedule = one(start, SECOND, 0);
        let after = start + Duration::from_millis(30_300);
        let due = schedule.take(after).expect("due");
        assert_eq!(due.missed, 30);
        assert_eq!(schedule.take(after), None);
        assert_eq!(schedule.next_due(), Some(start + 31 * SECOND));
    }

    #[test]
    fn the_one_that_waits_longest_comes_first() {
        let start = Instant::now();
        let half = Duration::from_millis(500);
        let mut schedule =
            Schedule::new(start, [(slot(0), SECOND, 1 << 63), (slot(1), SECOND, 0), (slot(2), half, u64::MAX)]);
        let now = start + 2 * SECOND;
        assert_eq!(schedule.first_due(start - half), None);
        assert_eq!(schedule.first_due(now), Some(slot(1)));
        let order: Vec<usize> = std::iter::from_fn(|| schedule.take(now)).map(|due| due.slot.device).collect();
        assert_eq!(order, [1, 2, 0]);
    }

    #[test]
    fn what_was_absent_is_due_at_once_and_then_returns_to_its_grid() {
        let start = Instant::now();
        let mut schedule = one(start, 10 * SECOND, 0);
        let due = schedule.take(start).expect("due");
        schedule.absent(due.index);
        let back = start + 3 * SECOND;
        schedule.hasten_absent(back, |device| device == 1);
        assert_eq!(schedule.take(back), None);
        schedule.hasten_absent(back, |device| device == 0);
        let due = schedule.take(back).expect("brought forward");
        assert_eq!(due.missed, 0);
        schedule.asked(due.index);
        assert_eq!(schedule.next_due(), Some(start + 10 * SECOND));
        schedule.hasten_absent(back + SECOND, |_| true);
        assert_eq!(schedule.next_due(), Some(start + 10 * SECOND));
    }

    #[test]
    fn a_turn_just_before_its_point_stands_for_it() {
        let start = Instant::now();
        let mut schedule = one(start, 10 * SECOND, 1 << 63);
        let now = start + Duration::from_millis(4_900);
        schedule.hasten_first(now);
        assert!(schedule.take(now).is_some());
        assert_eq!(schedule.next_due(), Some(start + 15 * SECOND));
    }

    #[test]
    fn bringing_forward_again_and_again_keeps_the_heap_small() {
        let start = Instant::now();
        let mut schedule = one(start, 3600 * SECOND, u64::MAX);
        for step in 0..1000 {
            let now = start + Duration::from_millis(step);
            schedule.hasten_first(now);
            assert!(schedule.take(now).is_some());
        }
        assert!(schedule.heap.len() <= 10, "{}", schedule.heap.len());
    }

    #[test]
    fn a_thousand_devices_spread_over_the_interval() {
        let mut tenths = [0_u32; 10];
        for index in 0..1000 {
            let phase = share(SECOND, phase_key(&format!("device{index}")));
            tenths[(phase.as_millis() / 100) as usize] += 1;
        }
        assert!(tenths.iter().all(|count| (60..=140).contains(count)), "{tenths:?}");
        assert_eq!(phase_key("press"), phase_key("press"));
    }

    proptest! {
        #[test]
        fn every_point_of_the_grid_is_taken_or_counted(
            key: u64, interval_ms in 1_u64..5_000, pauses_ms in prop::collection::vec(0_u64..20_000, 1..50),
        ) {
            let start = Instant::now();
            let interval = Duration::from_millis(interval_ms);
            let mut schedule = one(start, interval, key);
            let first = schedule.next_due().expect("a slot");
            let (mut now, mut turns) = (start, 0_u128);
            for pause in pauses_ms {
                now += Duration::from_millis(pause);
                if let Some(due) = schedule.take(now) {
                    turns += 1 + u128::from(due.missed);
                }
                prop_assert_eq!(schedule.take(now), None);
                let next = schedule.next_due().expect("a slot");
                prop_assert!(next > now && next <= now + interval.max(first - start + interval));
            }
            let points = if now < first { 0 } else { (now - first).as_nanos() / interval.as_nanos() + 1 };
            prop_assert_eq!(turns, points);
        }
    }
}
