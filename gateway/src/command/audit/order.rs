//! The order of each tag's readings.

use std::collections::HashMap;

use buffer::Seq;

use super::content::Reading;

/// How many tags of one gateway are followed.
const TAGS_MAX: usize = 100_000;

/// What came out of order, tag by tag.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// By device, then by tag and lane.
    last: HashMap<Box<str>, HashMap<Box<str>, Lanes>>,
    tags: usize,
    /// Readings that came after a later one of their tag in the same lane: what is live, or what was declared as
    /// history.
    pub(super) seq_back: u64,
    /// Readings with a higher seq and an earlier time than the one before.
    pub(super) time_back: u64,
    /// Readings of tags beyond those that are followed.
    pub(super) unfollowed: u64,
}

/// What came last in each lane.
type Lanes = [Option<Last>; 3];

#[derive(Debug, Clone, Copy)]
struct Last {
    seq: Seq,
    time_ns: i64,
}

impl Order {
    /// Takes in a reading that is no repeat.
    pub(super) fn follow(&mut self, reading: &Reading<'_>) {
        let now = Last { seq: reading.seq, time_ns: reading.time_ns };
        let known = self.last.get_mut(reading.device).and_then(|tags| tags.get_mut(reading.tag));
        let lane = reading.lane as usize;
        match known.map(|lanes| &mut lanes[lane]) {
            Some(Some(last)) if now.seq < last.seq => self.seq_back += 1,
            Some(Some(last)) => {
                self.time_back += u64::from(now.time_ns < last.time_ns);
                *last = now;
            }
            Some(first @ None) => *first = Some(now),
            None if self.tags < TAGS_MAX => {
                self.tags += 1;
                let mut lanes = [None; 3];
                lanes[lane] = Some(now);
                self.last.entry(reading.device.into()).or_default().insert(reading.tag.into(), lanes);
            }
            None => self.unfollowed += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::account::tests::reading;
    use super::super::content::Lane;
    use super::*;

    #[test]
    fn each_tag_has_an_order_of_its_own() {
        let mut order = Order::default();
        let steps = [("a", 5, 50), ("b", 3, 30), ("a", 6, 60), ("a", 4, 40), ("a", 7, 55), ("b", 8, 80)];
        for (tag, seq, time_ns) in steps {
            order.follow(&Reading { tag, time_ns, ..reading(1, seq) });
        }
        assert_eq!((order.seq_back, order.time_back, order.unfollowed), (1, 1, 0));
    }

    #[test]
    fn a_backlog_that_is_declared_as_such_has_an_order_of_its_own() {
        let mut order = Order::default();
        let steps = [(Lane::Live, 90), (Lane::Behind, 10), (Lane::Live, 91), (Lane::Behind, 11), (Lane::Behind, 9)];
        for (lane, seq) in steps {
            order.follow(&Reading { lane, ..reading(1, seq) });
        }
        assert_eq!((order.seq_back, order.time_back), (1, 0));
    }

    #[test]
    fn tags_beyond_the_limit_are_counted_and_not_kept() {
        let mut order = Order { tags: TAGS_MAX, ..Order::default() };
        order.follow(&reading(1, 1));
        assert_eq!((order.unfollowed, order.last.len()), (1, 0));
    }
}
