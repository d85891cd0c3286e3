//! The last reading of every tag, while somebody looks.
//!
//! Nobody looks most of the time: then there is no table, and a poll pays for one load of a number. Whoever looks says so
//! every few seconds; when they no longer do, the table goes with the next poll.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use driver_core::{Quality, Reading, TagId, Timestamp, Value};

/// How long the table is kept after somebody looked.
pub const KEPT_FOR: Duration = Duration::from_secs(10);

/// Tags that are looked at in one go, so that a poll never waits long for the table.
const AT_ONCE: usize = 1024;

/// The table, or none.
#[derive(Debug, Default)]
pub struct Latest {
    tags: usize,
    /// Milliseconds since `start` until which the table is wanted; 0: there is none.
    until_ms: AtomicU64,
    start: Option<Instant>,
    table: Mutex<Box<[Option<Last>]>>,
}

/// The last reading of a tag, and the last good one: some 90 bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Last {
    /// The value in the unit of the tag; [`Value::None`] when the quality is bad.
    pub value: Value,
    /// How far to trust it.
    pub quality: Quality,
    /// When it was read.
    pub at: Timestamp,
    /// The last good value and its time, when the reading is not good itself.
    pub good: Option<Box<(Value, Timestamp)>>,
}

/// The table, held while the readings of one poll are noted.
pub struct NotingAll<'a>(MutexGuard<'a, Box<[Option<Last>]>>);

impl Latest {
    /// Of so many tags.
    pub fn new(tags: usize) -> Latest {
        Latest { tags, start: Some(Instant::now()), ..Latest::default() }
    }

    /// Somebody looks. `true`: nobody did until now, and the table is empty.
    pub fn wanted(&self, now: Instant) -> bool {
        let until_ms = self.millis(now + KEPT_FOR).max(1);
        if self.until_ms.swap(until_ms, Ordering::Relaxed) > 0 {
            return false;
        }
        let mut table = self.lock();
        if table.len() != self.tags {
            *table = vec![None; self.tags].into();
        }
        true
    }

    /// Whether somebody looks, or did a moment ago.
    pub fn is_wanted(&self) -> bool {
        self.until_ms.load(Ordering::Relaxed) > 0
    }

    /// The last readings of these tags; `None` for one that was not polled since somebody looks.
    pub fn of(&self, tags: &[TagId]) -> Vec<Option<Last>> {
        let mut found = Vec::with_capacity(tags.len());
        for some in tags.chunks(AT_ONCE) {
            let table = self.lock();
            found.extend(some.iter().map(|tag| table.get(tag.index()).cloned().flatten()));
        }
        found
    }

    /// Shows each tag's last reading, a few at a time.
    pub fn each(&self, mut see: impl FnMut(TagId, &Last)) {
        for from in (0..self.tags).step_by(AT_ONCE) {
            let table = self.lock();
            let some = table.iter().enumerate().skip(from).take(AT_ONCE);
            some.filter_map(|(index, last)| Some((index, last.as_ref()?)))
                .for_each(|(index, last)| see(TagId(index as u32), last));
        }
    }

    /// What is known from elsewhere, such as the log: it stands where nothing newer does.
    pub fn fill(&self, tag: TagId, value: &Value, quality: Quality, at: Timestamp) {
        if let Some(last) = self.lock().get_mut(tag.index())
            && last.as_ref().is_none_or(|last| last.at < at)
        {
            note(last, value, quality, at);
        }
    }

    /// To note the readings of one poll; `None` when nobody looks.
    #[inline]
    pub fn noting(&self, now: Instant) -> Option<NotingAll<'_>> {
        let until_ms = self.until_ms.load(Ordering::Relaxed);
        if until_ms == 0 { None } else { self.noting_until(until_ms, now) }
    }

    fn noting_until(&self, until_ms: u64, now: Instant) -> Option<NotingAll<'_>> {
        let mut table = self.lock();
        let over = self.millis(now) > until_ms
            && self.until_ms.compare_exchange(until_ms, 0, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if over {
            *table = Box::default();
        }
        (!over).then_some(NotingAll(table))
    }

    fn millis(&self, at: Instant) -> u64 {
        let since = self.start.map_or(Duration::ZERO, |start| at.saturating_duration_since(start));
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, Box<[Option<Last>]>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NotingAll<'_> {
    /// Notes a reading.
    #[inline]
    pub fn note(&mut self, reading: &Reading) {
        if let Some(last) = self.0.get_mut(reading.tag.index()) {
            note(last, &reading.value, reading.quality, reading.timestamp);
        }
    }
}

fn note(last: &mut Option<Last>, value: &Value, quality: Quality, at: Timestamp) {
    let good = match (quality, last.take()) {
        (Quality::Good, _) | (_, None) => None,
        (_, Some(Last { quality: Quality::Good, value, at, .. })) => Some(Box::new((value, at))),
        (_, Some(last)) => last.good,
    };
    *last = Some(Last { value: value.clone(), quality, at, good });
}

#[cfg(test)]
mod tests {
    use driver_core::{ClockState, Reason, Tense};

    use super::*;

    fn reading(tag: u32, value: Option<i64>, at: i64) -> Reading {
        let quality = value.map_or(Quality::Bad(Reason::Timeout), |_| Quality::Good);
        let value = value.map_or(Value::None, Value::Int);
        Reading {
            tag: TagId(tag),
            value,
            quality,
            status: 0,
            timestamp: Timestamp(at),
            clock: ClockState::Synchronized,
            tense: Tense::Present,
        }
    }

    #[test]
    fn there_is_a_table_only_while_somebody_looks() {
        let latest = Latest::new(2);
        let now = Instant::now();
        assert!(latest.noting(now).is_none());
        assert!(latest.wanted(now) && !latest.wanted(now));
        latest.noting(now).expect("it is wanted").note(&reading(1, Some(7), 1));
        let last = latest.of(&[TagId(0), TagId(1), TagId(9)]);
        assert_eq!(
            last.iter().map(|last| last.as_ref().map(|last| last.at.0)).collect::<Vec<_>>(),
            [None, Some(1), None]
        );
        assert!(latest.noting(now + KEPT_FOR).is_some());
        assert!(latest.noting(now + 2 * KEPT_FOR).is_none());
        assert_eq!(latest.lock().len(), 0);
        assert!(latest.wanted(now), "it begins anew");
        assert_eq!(latest.of(&[TagId(1)]), [None]);
    }

    #[test]
    fn the_last_good_value_stays_beside_bad_ones() {
        let latest = Latest::new(1);
        let now = Instant::now();
        latest.wanted(now);
        let mut noting = latest.noting(now).expect("it is wanted");
        for (value, at) in [(Some(5), 1), (None, 2), (None, 3)] {
            noting.note(&reading(0, value, at));
        }
        drop(noting);
        let last = latest.of(&[TagId(0)]).remove(0).expect("a reading");
        assert_eq!((last.at, last.good.as_deref()), (Timestamp(3), Some(&(Value::Int(5), Timestamp(1)))));
        latest.fill(TagId(0), &Value::Int(9), Quality::Good, Timestamp(2));
        assert_eq!(latest.of(&[TagId(0)])[0], Some(last), "what is older changes nothing");
        latest.fill(TagId(0), &Value::Int(9), Quality::Good, Timestamp(4));
        let mut seen = Vec::new();
        latest.each(|tag, last| seen.push((tag, last.value.clone())));
        assert_eq!(seen, [(TagId(0), Value::Int(9))]);
    }
}
