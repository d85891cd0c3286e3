//! What the latest readings said, to tell a repeat from a number that was given twice.

use buffer::Seq;

/// How many readings are remembered: 2 MiB.
const READINGS_MAX: usize = 128 * 1024;

/// The fingerprints of the latest readings, each in the place that its seq gives it.
#[derive(Debug)]
pub(super) struct Recent {
    places: Vec<Place>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    seq: Seq,
    epoch: u32,
    fingerprint: u32,
}

/// How a reading compares to the earlier one of the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    Same,
    Different,
    /// The earlier one is too long ago.
    Forgotten,
}

impl Default for Recent {
    fn default() -> Recent {
        // A place that no reading fits: its seq belongs into the last one only.
        let nobody = Place { seq: Seq::MAX, epoch: u32::MAX, fingerprint: 0 };
        Recent { places: vec![nobody; READINGS_MAX] }
    }
}

impl Recent {
    pub(super) fn remember(&mut self, epoch: u32, seq: Seq, fingerprint: u32) {
        if let Some(place) = self.places.get_mut(index(seq)) {
            *place = Place { seq, epoch, fingerprint };
        }
    }

    pub(super) fn compare(&self, epoch: u32, seq: Seq, fingerprint: u32) -> Repeat {
        match self.places.get(index(seq)) {
            Some(place) if (place.epoch, place.seq) == (epoch, seq) => match place.fingerprint == fingerprint {
                true => Repeat::Same,
                false => Repeat::Different,
            },
            _ => Repeat::Forgotten,
        }
    }
}

fn index(seq: Seq) -> usize {
    (seq % READINGS_MAX as Seq) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_compared_and_older_ones_forgotten() {
        let mut recent = Recent::default();
        recent.remember(1, 5, 77);
        assert_eq!(recent.compare(1, 5, 77), Repeat::Same);
        assert_eq!(recent.compare(1, 5, 78), Repeat::Different);
        assert_eq!(recent.compare(2, 5, 77), Repeat::Forgotten);
        recent.remember(1, 5 + READINGS_MAX as Seq, 79);
        assert_eq!(recent.compare(1, 5, 77), Repeat::Forgotten);
        assert_eq!(recent.compare(1, 0, 0), Repeat::Forgotten);
    }
}
