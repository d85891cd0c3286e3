//! Signals from text such as `sine(min=0,max=100,period=10s)`.

use std::io;
use std::time::Duration;

use super::{RandomWalk, RecordingError, Signal, Wave};

/// Why a text is not a signal.
#[derive(Debug, thiserror::Error)]
pub enum SignalError {
    /// Neither a number nor a known name.
    #[error(
        "{0:?} is not a signal; write a number, or constant, ramp, sine, square, random-walk, counter or recording \
         with parameters, such as sine(min=0,max=100,period=10s)"
    )]
    Kind(String),
    /// A parameter that this signal does not have.
    #[error("{kind} has no parameter {name:?}; it has {known}")]
    Parameter {
        /// The signal.
        kind: String,
        /// As written.
        name: String,
        /// What there is.
        known: String,
    },
    /// A parameter that is missing or cannot be read.
    #[error("{name} of {kind} is {found:?}; write {expected}")]
    Value {
        /// The signal.
        kind: String,
        /// The parameter.
        name: &'static str,
        /// As written.
        found: String,
        /// An example.
        expected: &'static str,
    },
    /// The recording's file cannot be read.
    #[error("the recording {path} cannot be read: {error}; check the path")]
    File {
        /// As written.
        path: String,
        /// What the system said.
        error: io::Error,
    },
    /// The recording's file is read but is not a recording.
    #[error("{path}: {error}")]
    Recording {
        /// As written.
        path: String,
        /// What is wrong in it.
        error: RecordingError,
    },
}

impl Signal {
    /// Reads the text of a signal; `read_file` is asked for the text of a recording, and for nothing else.
    ///
    /// # Errors
    /// An unknown name, an unknown or unreadable parameter, or a recording that cannot be had.
    pub fn parse(text: &str, read_file: impl FnOnce(&str) -> io::Result<String>) -> Result<Self, SignalError> {
        let text = text.trim();
        if let Ok(value) = text.parse() {
            return Ok(Self::Constant(value));
        }
        let (kind, rest) = text.split_once('(').unwrap_or((text, ")"));
        let inner = rest.strip_suffix(')').ok_or_else(|| SignalError::Kind(text.to_owned()))?;
        let mut given = Given::split(kind.trim(), inner);
        let signal = match given.kind {
            "constant" => Self::Constant(given.number("value", 0.0)?),
            "ramp" => Self::Ramp(given.wave()?),
            "sine" => Self::Sine(given.wave()?),
            "square" => Self::Square(given.wave()?),
            "random-walk" => Self::RandomWalk(given.walk()?),
            "counter" => Self::Counter {
                from: given.number("from", 0.0)?,
                step: given.number("step", 1.0)?,
                every: given.duration("every", Duration::from_secs(1))?,
            },
            "recording" => given.recording(read_file)?,
            _ => return Err(SignalError::Kind(text.to_owned())),
        };
        given.nothing_left()?;
        Ok(signal)
    }
}

/// The parameters as written; those that were asked for are taken out.
struct Given<'t> {
    kind: &'t str,
    left: Vec<(&'t str, &'t str)>,
    known: Vec<&'static str>,
}

impl<'t> Given<'t> {
    fn split(kind: &'t str, inner: &'t str) -> Self {
        let parts = inner.split(',').map(str::trim).filter(|part| !part.is_empty());
        let pairs = parts.map(|part| part.split_once('=').unwrap_or((part, "")));
        let left = pairs.map(|(name, value)| (name.trim(), value.trim())).collect();
        Self { kind, left, known: Vec::new() }
    }

    fn take(&mut self, name: &'static str) -> Option<&'t str> {
        self.known.push(name);
        let index = self.left.iter().position(|(given, _)| *given == name)?;
        Some(self.left.remove(index).1)
    }

    fn number(&mut self, name: &'static str, default: f64) -> Result<f64, SignalError> {
        let Some(text) = self.take(name) else { return Ok(default) };
        text.parse().map_err(|_| self.unreadable(name, text, "a number such as 12.5"))
    }

    fn seed(&mut self) -> Result<u64, SignalError> {
        let Some(text) = self.take("seed") else { return Ok(0) };
        text.parse().map_err(|_| self.unreadable("seed", text, "a whole number such as 7"))
    }

    fn duration(&mut self, name: &'static str, default: Duration) -> Result<Duration, SignalError> {
        let Some(text) = self.take(name) else { return Ok(default) };
        let found = duration(text).filter(|d| !d.is_zero());
        found.ok_or_else(|| self.unreadable(name, text, "a time such as 500ms, 10s, 5m or 1h"))
    }

    fn wave(&mut self) -> Result<Wave, SignalError> {
        Ok(Wave {
            min: self.number("min", 0.0)?,
            max: self.number("max", 100.0)?,
            period: self.duration("period", Duration::from_secs(10))?,
        })
    }

    fn walk(&mut self) -> Result<RandomWalk, SignalError> {
        let (min, max) = (self.number("min", 0.0)?, self.number("max", 100.0)?);
        let step = self.number("step", 1.0)?;
        let every = self.duration("every", Duration::from_secs(1))?;
        Ok(RandomWalk::new(min, max, step, every, self.seed()?))
    }

    fn recording(&mut self, read_file: impl FnOnce(&str) -> io::Result<String>) -> Result<Signal, SignalError> {
        let path = self.take("path").unwrap_or_default();
        if path.is_empty() {
            return Err(self.unreadable("path", path, "the path of a file of seconds,value"));
        }
        let text = read_file(path).map_err(|error| SignalError::File { path: path.to_owned(), error })?;
        let recording = text.parse().map_err(|error| SignalError::Recording { path: path.to_owned(), error })?;
        Ok(Signal::Recording(recording))
    }

    fn unreadable(&self, name: &'static str, found: &str, expected: &'static str) -> SignalError {
        SignalError::Value { kind: self.kind.to_owned(), name, found: found.to_owned(), expected }
    }

    fn nothing_left(self) -> Result<(), SignalError> {
        let Some((name, _)) = self.left.first() else { return Ok(()) };
        Err(SignalError::Parameter {
            kind: self.kind.to_owned(),
            name: (*name).to_owned(),
            known: self.known.join(", "),
        })
    }
}

/// A number with one of the units ms, s, m, h.
fn duration(text: &str) -> Option<Duration> {
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit_at);
    let seconds = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number.trim().parse::<f64>().ok()? * seconds).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn no_file(_: &str) -> io::Result<String> {
        Err(io::Error::from(io::ErrorKind::NotFound))
    }

    fn at(text: &str, seconds: f64) -> f64 {
        Signal::parse(text, no_file).expect("is a signal").at(Duration::from_secs_f64(seconds))
    }

    #[test]
    fn reads_every_kind() {
        assert_eq!(at("21.5", 3.0), 21.5);
        assert_eq!(at("constant(value=4)", 3.0), 4.0);
        assert_eq!(at("ramp(min=0, max=10, period=10s)", 3.0), 3.0);
        assert_eq!(at("sine(min=-1,max=1,period=2m)", 30.0), 1.0);
        assert_eq!(at("square(min=5,max=6,period=500ms)", 0.3), 6.0);
        assert_eq!(at("counter(from=7,every=1s)", 2.0), 9.0);
        assert_eq!(at("ramp", 5.0), 50.0);
        assert_eq!(at("random-walk(min=2,max=2,seed=9)", 60.0), 2.0);
    }

    #[test]
    fn a_recording_is_read_from_its_path() {
        let read = |path: &str| if path == "a.csv" { Ok("0,1\n1,2".to_owned()) } else { no_file(path) };
        let mut signal = Signal::parse("recording(path=a.csv)", read).expect("is a signal");
        assert_eq!(signal.at(Duration::from_secs(1)), 2.0);
        let missing = Signal::parse("recording(path=b.csv)", read).expect_err("is not there");
        assert!(missing.to_string().contains("b.csv"), "{missing}");
        let broken = Signal::parse("recording(path=c.csv)", |_| Ok("x".to_owned() + "\ny")).expect_err("is broken");
        assert!(broken.to_string().contains("line 2"), "{broken}");
    }

    #[test]
    fn errors_say_what_to_write() {
        for (text, said) in [
            ("sin(min=0)", "sine("),
            ("sine(min=0", "sine("),
            ("sine(minimum=0)", "it has min, max, period"),
            ("sine(min=a)", "a number such as"),
            ("sine(period=10)", "500ms"),
            ("sine(period=0s)", "500ms"),
            ("random-walk(seed=-1)", "whole number"),
            ("recording()", "path"),
        ] {
            let error = Signal::parse(text, no_file).expect_err(text).to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_signal_or_an_error(
            kind in "(ramp|sine|square|counter|random-walk|recording)?",
            rest in "[(=,)a-z0-9. -]{0,40}",
        ) {
            if let Ok(mut signal) = Signal::parse(&(kind + &rest), no_file) {
                signal.at(Duration::from_secs(5));
            }
        }
    }
}
