//! A sum that goes on for ever: of a rate over time, or of a counter's steps. No I/O.
//!
//! A rate counts between two good readings, by the mean of both; while it is bad nothing is added, and the total is
//! uncertain. A counter that falls has begun again at 0. What a counter counted while the gateway was away is added when it
//! is read again, since the counter's last value is kept with the total.

use std::time::{Duration, Instant};

use driver_core::{Level, Quality, Value};

/// The sum, and what the next reading is compared with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Total {
    per: Option<Duration>,
    sum: f64,
    last: Option<f64>,
    last_at: Option<Instant>,
}

/// What is kept of it across restarts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KeptTotal {
    /// The sum.
    pub sum: f64,
    /// The counter's last value.
    pub last: Option<f64>,
}

impl Total {
    /// From 0 on.
    pub fn new(per: Option<Duration>) -> Total {
        Total { per, sum: 0.0, last: None, last_at: None }
    }

    /// From where an earlier run was. A rate has not been known meanwhile.
    pub fn resumed(per: Option<Duration>, kept: KeptTotal) -> Total {
        let last = kept.last.filter(|_| per.is_none());
        Total { per, sum: kept.sum, last, last_at: None }
    }

    /// What is kept of it.
    pub fn kept(&self) -> KeptTotal {
        KeptTotal { sum: self.sum, last: self.last.filter(|_| self.per.is_none()) }
    }

    /// Takes a reading in; the sum, and how far to trust it.
    pub fn take_in(&mut self, value: &Value, quality: Quality, now: Instant) -> (Value, Quality) {
        let number = value.as_f64().filter(|number| number.is_finite() && quality.level() != Level::Bad);
        match (number, self.per) {
            (Some(number), None) => {
                let before = self.last.replace(number);
                self.sum += before.map_or(0.0, |before| if number >= before { number - before } else { number });
            }
            (Some(number), Some(per)) => {
                let (before, before_at) = (self.last.replace(number), self.last_at.replace(now));
                if let (Some(before), Some(at)) = (before, before_at) {
                    let time = now.saturating_duration_since(at).as_secs_f64() / per.as_secs_f64();
                    self.sum += (before + number) / 2.0 * time;
                }
            }
            (None, None) => {}
            (None, Some(_)) => (self.last, self.last_at) = (None, None),
        }
        let quality = match quality {
            Quality::Bad(reason) => Quality::Uncertain(reason),
            other => other,
        };
        (Value::LReal(self.sum), quality)
    }
}

#[cfg(test)]
mod tests {
    use driver_core::Reason;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn sums(total: &mut Total, values: &[Option<f64>]) -> Vec<(f64, bool)> {
        let start = Instant::now();
        let sums = values.iter().zip(0..).map(|(value, minute)| {
            let (value, quality) = match value {
                Some(number) => (Value::LReal(*number), Quality::Good),
                None => (Value::None, Quality::Bad(Reason::Timeout)),
            };
            let (sum, quality) = total.take_in(&value, quality, start + minute * MINUTE);
            (sum.as_f64().expect("a number"), quality == Quality::Good)
        });
        sums.collect()
    }

    #[test]
    fn a_counter_adds_its_steps_also_across_a_fall_a_silence_and_a_restart() {
        let mut total = Total::new(None);
        let counted = sums(&mut total, &[Some(100.0), Some(103.0), None, Some(110.0), Some(2.0)]);
        assert_eq!(counted, [(0.0, true), (3.0, true), (3.0, false), (10.0, true), (12.0, true)]);
        let mut total = Total::resumed(None, total.kept());
        assert_eq!(sums(&mut total, &[Some(7.0)]), [(17.0, true)]);
    }

    #[test]
    fn a_rate_adds_what_flowed_while_it_was_known() {
        let mut total = Total::new(Some(60 * MINUTE));
        let flowed = sums(&mut total, &[Some(60.0), Some(120.0), None, Some(60.0), Some(60.0)]);
        assert_eq!(flowed, [(0.0, true), (1.5, true), (1.5, false), (1.5, true), (2.5, true)]);
        let mut total = Total::resumed(Some(60 * MINUTE), total.kept());
        assert_eq!(sums(&mut total, &[Some(60.0), Some(60.0)]), [(2.5, true), (3.5, true)]);
    }
}
