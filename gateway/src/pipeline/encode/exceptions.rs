//! The readings that are not plainly good, as runs in the order of the columns.

use driver_core::{Quality, Reading, Reason, Tense, Value};

use super::varint::{Input, put_u64};
use super::{READINGS_MAX, Undecodable};

const LEVEL_GOOD: u8 = 0;
const LEVEL_UNCERTAIN: u8 = 1;
const LEVEL_BAD: u8 = 2;
const LEVEL_BITS: u8 = 0b0011;
const HAS_VALUE: u8 = 0b0100;
/// A version that does not know it reads such readings as live ones.
const HISTORICAL: u8 = 0b1000;

/// What a reading is beside its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exception {
    pub(super) quality: Quality,
    pub(super) status: u32,
    pub(super) has_value: bool,
    pub(super) tense: Tense,
}

const PLAIN: Exception = Exception { quality: Quality::Good, status: 0, has_value: true, tense: Tense::Present };

/// Runs of readings that are alike: written in order, read in order.
#[derive(Default)]
pub(super) struct Exceptions {
    runs: Vec<(Exception, u32)>,
    /// Where reading stands: the run, and how many of it are used up.
    at: (usize, u32),
}

impl Exceptions {
    pub(super) fn clear(&mut self) {
        self.runs.clear();
    }

    pub(super) fn note(&mut self, reading: &Reading) {
        let has_value = !matches!(reading.value, Value::None);
        let Reading { quality, status, tense, .. } = *reading;
        let exception = Exception { quality, status, has_value, tense };
        match self.runs.last_mut() {
            Some((last, count)) if *last == exception => *count += 1,
            _ => self.runs.push((exception, 1)),
        }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let exceptional = || self.runs.iter().filter(|(exception, _)| *exception != PLAIN);
        put_u64(out, exceptional().count() as u64);
        let mut plain = 0_u32;
        for (exception, count) in &self.runs {
            if *exception == PLAIN {
                plain = *count;
                continue;
            }
            put_u64(out, u64::from(plain));
            put_u64(out, u64::from(*count));
            plain = 0;
            let level = match exception.quality {
                Quality::Good => LEVEL_GOOD,
                Quality::Uncertain(_) => LEVEL_UNCERTAIN,
                Quality::Bad(_) => LEVEL_BAD,
            };
            let has_value = if exception.has_value { HAS_VALUE } else { 0 };
            let historical = if exception.tense == Tense::Past { HISTORICAL } else { 0 };
            out.push(level | has_value | historical);
            out.push(exception.quality.reason().map_or(0, |reason| reason as u8));
            put_u64(out, u64::from(exception.status));
        }
    }

    pub(super) fn read(input: &mut Input<'_>) -> Result<Exceptions, Undecodable> {
        let mut runs = Vec::new();
        for _ in 0..input.count(READINGS_MAX)? {
            let plain = input.count(READINGS_MAX)? as u32;
            let count = input.count(READINGS_MAX)? as u32;
            let flags = input.byte()?;
            let reason = Reason::from_number(input.byte()?);
            let status = u32::try_from(input.u64()?).map_err(|_| Undecodable("a status is beyond 32 bits"))?;
            let quality = match (flags & LEVEL_BITS, reason) {
                (LEVEL_GOOD, _) => Quality::Good,
                (LEVEL_UNCERTAIN, Some(reason)) => Quality::Uncertain(reason),
                (LEVEL_BAD, Some(reason)) => Quality::Bad(reason),
                _ => return Err(Undecodable("a quality is unknown to this version")),
            };
            runs.push((PLAIN, plain));
            let tense = if flags & HISTORICAL != 0 { Tense::Past } else { Tense::Present };
            runs.push((Exception { quality, status, has_value: flags & HAS_VALUE != 0, tense }, count));
        }
        Ok(Exceptions { runs, at: (0, 0) })
    }

    /// The next reading's; after the last run all are plain.
    pub(super) fn next(&mut self) -> Exception {
        while let Some((exception, count)) = self.runs.get(self.at.0) {
            if self.at.1 < *count {
                self.at.1 += 1;
                return *exception;
            }
            self.at = (self.at.0 + 1, 0);
        }
        PLAIN
    }
}
