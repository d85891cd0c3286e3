//! The last readings of some tags: what commands change, what interlocks look at, and what is read so rarely that whoever
//! looks at the gateway would wait for it.
//!
//! The acquisition thread notes them as they are polled, scaled and not yet filtered; whoever decides about a command
//! looks. Tags that nobody watches cost one look into a table, and nothing at all where none is watched.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use driver_core::{Quality, Reading, TagId, Timestamp, Value};

use super::latest::{Latest, NotingAll};

const NOBODY: u32 = u32::MAX;

/// The last readings of the tags that are watched.
#[derive(Debug, Default)]
pub struct Watched {
    /// By tag id: the place of its last reading. Empty when no tag is watched.
    places: Box<[u32]>,
    last: Mutex<Box<[Option<Seen>]>>,
    /// All tags, while somebody looks at the gateway.
    pub latest: Latest,
}

/// A reading and when it was seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// The value in the unit of the tag; [`Value::None`] when the quality is bad.
    pub value: Value,
    /// How far to trust it.
    pub quality: Quality,
    /// When it was polled, or last known to be so still.
    pub at: Instant,
    /// When it was read.
    pub timestamp: Timestamp,
}

/// The table, held while the readings of one poll are noted.
pub struct Noting<'a> {
    places: &'a [u32],
    last: Option<MutexGuard<'a, Box<[Option<Seen>]>>>,
    all: Option<NotingAll<'a>>,
    now: Instant,
}

impl Watched {
    /// Watches these of so many tags.
    pub fn new(tags: usize, watched: impl IntoIterator<Item = TagId>) -> Watched {
        let (mut places, mut count) = (Vec::new(), 0);
        for tag in watched {
            places.resize(tags, NOBODY);
            if let Some(place) = places.get_mut(tag.index()).filter(|place| **place == NOBODY) {
                *place = count;
                count += 1;
            }
        }
        Watched {
            places: places.into(),
            last: Mutex::new(vec![None; count as usize].into()),
            latest: Latest::new(tags),
        }
    }

    /// To note the readings of one poll; `None` when nobody watches.
    pub fn noting(&self, now: Instant) -> Option<Noting<'_>> {
        let all = self.latest.noting(now);
        let last = (!self.places.is_empty()).then(|| self.lock());
        (last.is_some() || all.is_some()).then_some(Noting { places: &self.places, last, all, now })
    }

    /// These tags are as they were last seen.
    pub fn confirm(&self, tags: &[TagId], now: Instant) {
        if self.places.is_empty() {
            return;
        }
        let mut last = self.lock();
        for tag in tags {
            let place = self.places.get(tag.index()).map(|place| *place as usize);
            if let Some(Some(seen)) = place.and_then(|place| last.get_mut(place)) {
                seen.at = now;
            }
        }
    }

    /// Somebody looks at all tags. `true`: nobody did until now, and of those that are not watched nothing is known.
    pub fn look(&self, now: Instant) -> bool {
        let begins = self.latest.wanted(now);
        if begins {
            let last = self.lock();
            let places = self.places.iter().zip(0..).filter(|(place, _)| **place != NOBODY);
            for (place, tag) in places {
                if let Some(Some(seen)) = last.get(*place as usize) {
                    self.latest.fill(TagId(tag), &seen.value, seen.quality, seen.timestamp);
                }
            }
        }
        begins
    }

    /// The last reading of a tag that is watched.
    pub fn last(&self, tag: TagId) -> Option<Seen> {
        let place = *self.places.get(tag.index())?;
        self.lock().get(place as usize)?.clone()
    }

    /// Takes over what another table knows of the tags that both watch.
    pub fn take_over(&self, before: &Watched) {
        let mut last = self.lock();
        let places = self.places.iter().enumerate().filter(|(_, place)| **place != NOBODY);
        for (tag, place) in places {
            if let (Some(slot), Some(seen)) = (last.get_mut(*place as usize), before.last(TagId(tag as u32))) {
                *slot = Some(seen);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Box<[Option<Seen>]>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Noting<'_> {
    /// Notes a reading, if its tag is watched.
    #[inline]
    pub fn note(&mut self, reading: &Reading) {
        if let Some(all) = &mut self.all {
            all.note(reading);
        }
        let Some(watched) = &mut self.last else { return };
        let place = self.places.get(reading.tag.index()).copied().unwrap_or(NOBODY);
        if let Some(last) = watched.get_mut(place as usize) {
            let (value, quality, timestamp) = (reading.value.clone(), reading.quality, reading.timestamp);
            *last = Some(Seen { value, quality, at: self.now, timestamp });
        }
    }
}

#[cfg(test)]
mod tests {
    use driver_core::{ClockState, Tense};

    use super::*;

    fn reading(tag: u32, value: i64) -> Reading {
        Reading {
            tag: TagId(tag),
            value: Value::Int(value),
            quality: Quality::Good,
            status: 0,
            timestamp: Timestamp(0),
            clock: ClockState::Synchronized,
            tense: Tense::Present,
        }
    }

    #[test]
    fn the_last_reading_of_a_watched_tag_is_there_and_no_other() {
        let watched = Watched::new(3, [TagId(2), TagId(0), TagId(2)]);
        let now = Instant::now();
        assert_eq!(watched.last(TagId(2)), None);
        let mut noting = watched.noting(now).expect("it watches");
        [reading(0, 1), reading(1, 2), reading(2, 3), reading(2, 4), reading(9, 5)].iter().for_each(|r| noting.note(r));
        drop(noting);
        let value = |tag| watched.last(TagId(tag)).map(|seen| seen.value);
        assert_eq!((value(0), value(1), value(2)), (Some(Value::Int(1)), None, Some(Value::Int(4))));
        assert_eq!(watched.last(TagId(9)), None);
        assert!(Watched::new(100, []).noting(now).is_none());
    }

    #[test]
    fn who_looks_long_after_a_watched_tag_was_read_sees_it_at_once() {
        let (watched, now) = (Watched::new(2, [TagId(1)]), Instant::now());
        let mut noting = watched.noting(now).expect("it watches");
        noting.note(&reading(0, 7));
        noting.note(&reading(1, 8));
        drop(noting);
        assert!(watched.look(now) && !watched.look(now), "the first look begins the table");
        let seen = watched.latest.of(&[TagId(0), TagId(1)]);
        let values: Vec<_> = seen.into_iter().map(|last| last.map(|last| last.value)).collect();
        assert_eq!(values, [None, Some(Value::Int(8))]);
    }
}
