//! How long readings were on their way, in a histogram of fixed size.

/// Each power of two is cut into this many steps, so that a figure is at most 6 % too high.
const STEPS: usize = 16;

/// Powers of two of microseconds beyond the first steps: up to more than a hundred years.
const POWERS: usize = 48;

const MICROS_PER_MILLI: f64 = 1_000.0;

/// A histogram of times.
#[derive(Debug, Clone)]
pub(super) struct Latency {
    counts: Box<[u64]>,
    count: u64,
    max_us: u64,
    /// Readings that bear a time later than that of their arrival: one of the clocks is wrong.
    pub(super) ahead: u64,
}

/// What is known of when a message arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It arrives as it is taken in.
    Now,
    /// It was there before, and bears this time, milliseconds since 1970: of its newest reading, where whoever sent it set
    /// it, or of when it was sent or appended.
    Recorded(i64),
}

impl Arrival {
    /// When it arrived, nanoseconds since 1970, where that is known of a message whose newest reading is of `newest_ns`.
    pub(super) fn known(self, newest_ns: i64, now_ns: i64) -> Option<i64> {
        match self {
            Arrival::Now => Some(now_ns),
            Arrival::Recorded(ms) => (ms > newest_ns.div_euclid(1_000_000)).then(|| ms.saturating_mul(1_000_000)),
        }
    }
}

/// What a histogram says, milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Percentiles {
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) max_ms: f64,
}

impl Default for Latency {
    fn default() -> Latency {
        Latency { counts: vec![0; STEPS * (POWERS + 1)].into(), count: 0, max_us: 0, ahead: 0 }
    }
}

impl Latency {
    /// Takes the way of one reading in.
    pub(super) fn record(&mut self, taken_ns: i64, arrived_ns: i64) {
        let Ok(way_ns) = u64::try_from(arrived_ns.saturating_sub(taken_ns)) else {
            self.ahead += 1;
            return;
        };
        let way_us = way_ns / 1_000;
        if let Some(count) = self.counts.get_mut(step(way_us)) {
            *count += 1;
        }
        self.count += 1;
        self.max_us = self.max_us.max(way_us);
    }

    /// `None` when nothing was recorded.
    pub(super) fn percentiles(&self) -> Option<Percentiles> {
        let ms = |us: u64| us as f64 / MICROS_PER_MILLI;
        (self.count > 0).then(|| Percentiles {
            p50_ms: ms(self.below(50)),
            p99_ms: ms(self.below(99)),
            max_ms: ms(self.max_us),
        })
    }

    /// A time that so many of a hundred readings did not exceed, microseconds.
    fn below(&self, percent: u64) -> u64 {
        let wanted = (self.count * percent).div_ceil(100);
        let mut seen = 0;
        let reached = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        reached.map_or(self.max_us, |step| top(step).min(self.max_us))
    }
}

/// The step of a time: the power of two that it reaches, and its first bits beyond.
fn step(us: u64) -> usize {
    let power = (us / STEPS as u64).checked_ilog2().map_or(0, |power| power as usize + 1);
    match power {
        0 => us as usize,
        power => (power * STEPS + ((us >> (power - 1)) as usize - STEPS)).min(STEPS * (POWERS + 1) - 1),
    }
}

/// The longest time of a step.
fn top(step: usize) -> u64 {
    match step / STEPS {
        0 => step as u64,
        power => (((step % STEPS + STEPS + 1) as u64) << (power - 1)) - 1,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_few_slow_readings_show_in_p99_and_not_in_p50() {
        let mut latency = Latency::default();
        assert_eq!(latency.percentiles(), None);
        (0..98).for_each(|_| latency.record(0, 10_000_000));
        (0..2).for_each(|_| latency.record(0, 3_000_000_000));
        latency.record(5, 0);
        let Percentiles { p50_ms, p99_ms, max_ms } = latency.percentiles().expect("figures");
        assert!((10.0..10.7).contains(&p50_ms) && (2_900.0..=3_000.0).contains(&p99_ms), "{p50_ms} {p99_ms}");
        assert_eq!((max_ms, latency.ahead), (3_000.0, 1));
    }

    #[test]
    fn a_record_that_bears_its_readings_time_does_not_say_when_it_arrived() {
        assert_eq!(Arrival::Now.known(5, 9), Some(9));
        assert_eq!(Arrival::Recorded(7).known(7_999_999, 9), None);
        assert_eq!(Arrival::Recorded(8).known(7_999_999, 9), Some(8_000_000));
    }

    proptest! {
        #[test]
        fn a_step_holds_the_time_within_six_percent(us in 0_u64..1 << 50) {
            let top = top(step(us));
            prop_assert!(top >= us && top - us <= us / STEPS as u64, "{us} in a step up to {top}");
        }

        #[test]
        fn no_time_is_out_of_range(taken: i64, arrived: i64) {
            let mut latency = Latency::default();
            latency.record(taken, arrived);
            prop_assert_eq!(latency.percentiles().is_some(), latency.ahead == 0);
        }
    }
}
