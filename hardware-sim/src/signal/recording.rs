//! A measurement that was recorded, as lines of `seconds,value`.

use std::str::FromStr;
use std::time::Duration;

/// The most samples a recording holds.
const SAMPLES_MAX: usize = 10_000_000;

/// Samples in the order of their times; each holds until the next.
#[derive(Debug, Clone)]
pub struct Recording {
    samples: Vec<(Duration, f64)>,
}

/// Why a text is not a recording.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordingError {
    /// Nothing to play.
    #[error("the recording has no samples; it needs lines of seconds,value such as 0.5,21.3")]
    Empty,
    /// A line that cannot be read.
    #[error("line {line} of the recording is {text:?}; write seconds,value such as 0.5,21.3")]
    Line {
        /// Counted from 1.
        line: usize,
        /// As it stands in the file.
        text: String,
    },
    /// Time goes backwards.
    #[error("line {line} of the recording is not later than the line before it; sort the recording by time")]
    Order {
        /// Counted from 1.
        line: usize,
    },
    /// More than can be held.
    #[error("the recording has more than {SAMPLES_MAX} samples; cut it")]
    TooLong,
}

impl Recording {
    pub(super) fn at(&self, t: Duration) -> f64 {
        let into = t.as_nanos().checked_rem(self.length().as_nanos()).unwrap_or(0);
        let next = self.samples.partition_point(|(time, _)| time.as_nanos() <= into);
        self.samples.get(next.saturating_sub(1)).map_or(0.0, |(_, value)| *value)
    }

    /// The last sample lasts as long as the one before it.
    fn length(&self) -> Duration {
        match self.samples.as_slice() {
            [.., (before, _), (last, _)] => last.saturating_add(*last - *before),
            _ => Duration::ZERO,
        }
    }
}

impl FromStr for Recording {
    type Err = RecordingError;

    /// Empty lines, lines that start with `#`, and a heading are skipped; times count from the first sample.
    fn from_str(text: &str) -> Result<Self, RecordingError> {
        let mut samples: Vec<(Duration, f64)> = Vec::new();
        let mut zero = None;
        for (index, text) in text.lines().enumerate() {
            let line = index + 1;
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') || (line == 1 && is_heading(text)) {
                continue;
            }
            let (seconds, value) = sample(text).ok_or_else(|| RecordingError::Line { line, text: text.to_owned() })?;
            let since = seconds - *zero.get_or_insert(seconds);
            let time = Duration::try_from_secs_f64(since).map_err(|_| RecordingError::Order { line })?;
            if samples.last().is_some_and(|(before, _)| *before >= time) {
                return Err(RecordingError::Order { line });
            }
            if samples.len() == SAMPLES_MAX {
                return Err(RecordingError::TooLong);
            }
            samples.push((time, value));
        }
        if samples.is_empty() { Err(RecordingError::Empty) } else { Ok(Self { samples }) }
    }
}

fn is_heading(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '"')
}

fn sample(text: &str) -> Option<(f64, f64)> {
    let (seconds, value) = text.split_once(',')?;
    let seconds: f64 = seconds.trim().parse().ok()?;
    Some((seconds, value.trim().parse().ok()?)).filter(|_| seconds.is_finite())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plays_back_and_starts_again() {
        let recording: Recording = "time,value\n100, 1\n# pause\n\n101,2\n103,-3.5\n".parse().expect("is well formed");
        let found: Vec<f64> =
            [0.0, 0.9, 1.0, 2.9, 3.0, 4.9, 5.0, 6.0].map(|s| recording.at(Duration::from_secs_f64(s))).to_vec();
        assert_eq!(found, [1.0, 1.0, 2.0, 2.0, -3.5, -3.5, 1.0, 2.0]);
    }

    #[test]
    fn one_sample_is_a_constant() {
        let recording: Recording = "0,7".parse().expect("is well formed");
        assert_eq!(recording.at(Duration::from_secs(99)), 7.0);
    }

    #[test]
    fn says_which_line_is_wrong() {
        let error = |text: &str| text.parse::<Recording>().expect_err("is wrong");
        assert_eq!(error("time,value\n"), RecordingError::Empty);
        assert_eq!(error("0,1\n1;2"), RecordingError::Line { line: 2, text: "1;2".to_owned() });
        assert_eq!(error("0,1\ninf,2"), RecordingError::Line { line: 2, text: "inf,2".to_owned() });
        assert_eq!(error("0,1\n2,1\n1,1"), RecordingError::Order { line: 3 });
        assert_eq!(error("0,1\n-1,1"), RecordingError::Order { line: 2 });
        assert_eq!(error("0,1\n1e300,1"), RecordingError::Order { line: 2 });
    }

    proptest! {
        #[test]
        fn any_text_is_a_recording_or_an_error(text in "[0-9a-z,.\n #-]{0,60}", seconds in 0u64..100) {
            if let Ok(recording) = text.parse::<Recording>() {
                recording.at(Duration::from_secs(seconds));
            }
        }
    }
}
