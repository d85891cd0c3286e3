//! Signals: what a simulated measurement shows at a time. Pure: the same signal asked for the same times answers the same.
//!
//! ```text
//! 21.5                                            a constant
//! constant(value=21.5)
//! ramp(min=0,max=100,period=10s)                  rises, falls back to min at once
//! sine(min=0,max=100,period=10s)                  starts in the middle, rising
//! square(min=0,max=1,period=2s)                   min in the first half of the period
//! random-walk(min=0,max=100,step=1,every=1s,seed=7)
//! counter(from=0,step=1,every=1s)                 never falls
//! recording(path=press.csv)                       lines of seconds,value; starts again at its end
//! ```
//! Each parameter has a default, except the path.

mod parse;
mod recording;
mod walk;

use std::time::Duration;

pub use parse::SignalError;
pub use recording::{Recording, RecordingError};
pub use walk::RandomWalk;

/// A value that depends on the time since the simulation started.
#[derive(Debug, Clone)]
pub enum Signal {
    /// Always the same.
    Constant(f64),
    /// Rises evenly from `min` to `max`, then starts again.
    Ramp(Wave),
    /// Swings between `min` and `max`.
    Sine(Wave),
    /// `min` for half a period, then `max` for half a period.
    Square(Wave),
    /// Wanders by small random steps.
    RandomWalk(RandomWalk),
    /// Grows by `step` after each `every`.
    Counter {
        /// The value at time zero.
        from: f64,
        /// What is added.
        step: f64,
        /// How often; zero means never.
        every: Duration,
    },
    /// What was recorded, again and again.
    Recording(Recording),
}

/// The bounds and the period of something that repeats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wave {
    /// The lowest value.
    pub min: f64,
    /// The highest value.
    pub max: f64,
    /// After this time it repeats; with zero it stands still at its start.
    pub period: Duration,
}

impl Signal {
    /// The value at `t` after the start. Times may be asked for in any order.
    pub fn at(&mut self, t: Duration) -> f64 {
        match self {
            Self::Constant(value) => *value,
            Self::Ramp(wave) => wave.at(wave.phase(t)),
            Self::Sine(wave) => wave.at((1.0 + (wave.phase(t) * std::f64::consts::TAU).sin()) / 2.0),
            Self::Square(wave) => wave.at(if wave.phase(t) < 0.5 { 0.0 } else { 1.0 }),
            Self::RandomWalk(walk) => walk.at(t),
            Self::Counter { from, step, every } => *from + *step * periods(t, *every) as f64,
            Self::Recording(recording) => recording.at(t),
        }
    }
}

impl Wave {
    /// How far `t` is into the period, from 0 to below 1.
    fn phase(&self, t: Duration) -> f64 {
        match t.as_nanos().checked_rem(self.period.as_nanos()) {
            Some(into) => into as f64 / self.period.as_nanos() as f64,
            None => 0.0,
        }
    }

    /// The value at a height from 0 (`min`) to 1 (`max`).
    fn at(&self, height: f64) -> f64 {
        self.min + (self.max - self.min) * height
    }
}

/// How many whole periods lie in `t`; none when the period is zero.
fn periods(t: Duration, period: Duration) -> u64 {
    t.as_nanos().checked_div(period.as_nanos()).map_or(0, |n| u64::try_from(n).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAVE: Wave = Wave { min: 10.0, max: 20.0, period: Duration::from_secs(10) };

    fn values(mut signal: Signal, seconds: &[f64]) -> Vec<f64> {
        seconds.iter().map(|s| signal.at(Duration::from_secs_f64(*s))).collect()
    }

    #[test]
    fn waves_have_their_shapes() {
        assert_eq!(values(Signal::Ramp(WAVE), &[0.0, 2.5, 9.0, 10.0, 12.5]), [10.0, 12.5, 19.0, 10.0, 12.5]);
        assert_eq!(values(Signal::Square(WAVE), &[0.0, 4.9, 5.0, 9.9, 10.0]), [10.0, 10.0, 20.0, 20.0, 10.0]);
        let sine = values(Signal::Sine(WAVE), &[0.0, 2.5, 5.0, 7.5]);
        for (found, expected) in sine.iter().zip([15.0, 20.0, 15.0, 10.0]) {
            assert!((found - expected).abs() < 1e-9, "{sine:?}");
        }
        assert_eq!(values(Signal::Constant(3.0), &[0.0, 1e6]), [3.0, 3.0]);
    }

    #[test]
    fn a_counter_grows_with_time_alone() {
        let counter = Signal::Counter { from: 5.0, step: 2.0, every: Duration::from_millis(500) };
        assert_eq!(values(counter, &[0.0, 0.4, 0.5, 10.0, 0.0]), [5.0, 5.0, 7.0, 45.0, 5.0]);
    }

    #[test]
    fn a_period_of_zero_stands_still() {
        let still = Wave { period: Duration::ZERO, ..WAVE };
        assert_eq!(values(Signal::Ramp(still), &[0.0, 3.0]), [10.0, 10.0]);
        let counter = Signal::Counter { from: 1.0, step: 1.0, every: Duration::ZERO };
        assert_eq!(values(counter, &[0.0, 3.0]), [1.0, 1.0]);
    }
}
