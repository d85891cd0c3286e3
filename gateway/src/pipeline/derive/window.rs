//! One value for all readings of a stretch of time: the smallest, the largest, the mean, the last. No I/O.
//!
//! Stretches follow one another without a gap on the monotonic clock, from the start of the gateway on. A stretch is told
//! with the first reading after it, with the time of its last reading. Where some of its readings were not good, it is
//! uncertain; where none was, it is bad.

use std::time::{Duration, Instant};

use driver_core::{ClockState, Level, Quality, Reading, Reason, TagId, Tense, Timestamp, Value};

/// What is taken of the readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// The smallest number.
    Min,
    /// The largest number.
    Max,
    /// The sum over the count.
    Mean,
    /// The last value.
    Last,
}

/// A stretch that is being filled.
#[derive(Debug, Clone)]
pub struct Window {
    over: Duration,
    start: Instant,
    /// Which stretch since the start.
    number: u128,
    gathered: Gathered,
}

/// What a stretch brought.
#[derive(Debug, Clone)]
pub struct Gathered {
    min: f64,
    max: f64,
    sum: f64,
    count: u64,
    last: Value,
    /// The last quality that was not good.
    doubt: Option<Quality>,
    time: Option<(Timestamp, ClockState)>,
}

impl Window {
    /// The first stretch begins at `start`.
    pub fn new(over: Duration, start: Instant) -> Window {
        Window { over, start, number: 0, gathered: Gathered::default() }
    }

    /// Takes a reading in; gives the stretch before it when it is the first of the next one.
    pub fn take_in(
        &mut self,
        value: &Value,
        quality: Quality,
        timestamp: Timestamp,
        clock: ClockState,
        now: Instant,
    ) -> Option<Gathered> {
        let number = now.saturating_duration_since(self.start).as_nanos() / self.over.as_nanos().max(1);
        let closed = (number != self.number).then(|| std::mem::take(&mut self.gathered));
        self.number = number;
        self.gathered.add(value, quality, (timestamp, clock));
        closed.filter(|gathered| gathered.time.is_some())
    }
}

impl Default for Gathered {
    fn default() -> Gathered {
        Gathered {
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            sum: 0.0,
            count: 0,
            last: Value::None,
            doubt: None,
            time: None,
        }
    }
}

impl Gathered {
    fn add(&mut self, value: &Value, quality: Quality, time: (Timestamp, ClockState)) {
        self.time = Some(time);
        if quality.level() != Level::Good {
            self.doubt = Some(quality);
        }
        if quality.level() == Level::Bad {
            return;
        }
        if self.last != *value {
            self.last.clone_from(value);
        }
        match value.as_f64() {
            Some(number) if number.is_finite() => {
                (self.min, self.max) = (self.min.min(number), self.max.max(number));
                (self.sum, self.count) = (self.sum + number, self.count + 1);
            }
            _ => {}
        }
    }

    /// As a reading.
    pub fn reading(self, tag: TagId, take: Take) -> Reading {
        let (timestamp, clock) = self.time.unwrap_or((Timestamp(0), ClockState::Unsynchronized));
        let value = match take {
            Take::Last => self.last,
            _ if self.count == 0 => Value::None,
            Take::Min => Value::LReal(self.min),
            Take::Max => Value::LReal(self.max),
            Take::Mean => Value::LReal(self.sum / self.count as f64),
        };
        let reason = self.doubt.and_then(Quality::reason);
        let quality = match (&value, reason) {
            (Value::None, reason) => Quality::Bad(reason.unwrap_or(Reason::NotDecodable)),
            (_, Some(reason)) => Quality::Uncertain(reason),
            (_, None) => Quality::Good,
        };
        Reading { tag, value, quality, status: 0, timestamp, clock, tense: Tense::Present }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn told(take: Take, readings: &[(u64, Result<f64, Reason>)]) -> Vec<(Value, Quality, i64)> {
        let start = Instant::now();
        let mut window = Window::new(10 * SECOND, start);
        let taken = readings.iter().filter_map(|(second, value)| {
            let (value, quality) = match value {
                Ok(number) => (Value::LReal(*number), Quality::Good),
                Err(reason) => (Value::None, Quality::Bad(*reason)),
            };
            let at = Timestamp(*second as i64);
            window.take_in(&value, quality, at, ClockState::Synchronized, start + *second as u32 * SECOND)
        });
        let readings = taken.map(|gathered| gathered.reading(TagId(0), take));
        readings.map(|reading| (reading.value, reading.quality, reading.timestamp.0)).collect()
    }

    #[test]
    fn each_stretch_is_told_once_with_what_was_taken_of_it() {
        let readings = [(0, Ok(3.0)), (4, Ok(1.0)), (9, Ok(2.0)), (10, Ok(7.0)), (31, Ok(5.0))];
        for (take, first) in [(Take::Min, 1.0), (Take::Max, 3.0), (Take::Mean, 2.0), (Take::Last, 2.0)] {
            let expected = [(Value::LReal(first), Quality::Good, 9), (Value::LReal(7.0), Quality::Good, 10)];
            assert_eq!(told(take, &readings), expected, "{take:?}");
        }
    }

    #[test]
    fn readings_that_are_bad_make_it_uncertain_and_nothing_but_bad_ones_bad() {
        let timeout = Err(Reason::Timeout);
        let readings = [(0, Ok(3.0)), (4, timeout), (11, timeout), (19, timeout), (20, Ok(1.0))];
        let expected = [
            (Value::LReal(3.0), Quality::Uncertain(Reason::Timeout), 4),
            (Value::None, Quality::Bad(Reason::Timeout), 19),
        ];
        assert_eq!(told(Take::Mean, &readings), expected);
    }
}
