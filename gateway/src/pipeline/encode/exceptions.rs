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
    runs: Vec<Run>,
    /// Plain readings behind the last run while they are noted; before the next one while they are read.
    plain: u32,
    /// The run that is read, and how many of it are used up.
    at: (usize, u32),
}

/// Readings that are alike and not plain.
#[derive(Clone, Copy)]
struct Run {
    /// How many plain ones stand before it.
    skip: u32,
    exception: Exception,
    count: u32,
}

impl Exceptions {
    pub(super) fn clear(&mut self) {
        self.runs.clear();
        self.plain = 0;
    }

    #[inline]
    pub(super) fn note(&mut self, reading: &Reading) {
        let has_value = !matches!(reading.value, Value::None);
        let Reading { quality, status, tense, .. } = *reading;
        let exception = Exception { quality, status, has_value, tense };
        if exception == PLAIN {
            self.plain += 1;
            return;
        }
        match self.runs.last_mut() {
            Some(last) if self.plain == 0 && last.exception == exception => last.count += 1,
            _ => self.runs.push(Run { skip: std::mem::take(&mut self.plain), exception, count: 1 }),
        }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        put_u64(out, self.runs.len() as u64);
        for Run { skip, exception, count } in &self.runs {
            put_u64(out, u64::from(*skip));
            put_u64(out, u64::from(*count));
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
            let skip = input.count(READINGS_MAX)? as u32;
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
            let tense = if flags & HISTORICAL != 0 { Tense::Past } else { Tense::Present };
            let exception = Exception { quality, status, has_value: flags & HAS_VALUE != 0, tense };
            runs.push(Run { skip, exception, count });
        }
        let plain = runs.first().map_or(0, |run| run.skip);
        Ok(Exceptions { runs, plain, at: (0, 0) })
    }

    /// Passes over the next so many readings, where all of them are plain.
    pub(super) fn pass_plain(&mut self, count: usize) -> bool {
        if self.at.0 == self.runs.len() {
            return true;
        }
        let passes = u32::try_from(count).is_ok_and(|count| count <= self.plain);
        if passes {
            self.plain -= count as u32;
        }
        passes
    }

    /// The next reading's; after the last run all are plain.
    pub(super) fn next(&mut self) -> Exception {
        while let Some(run) = self.runs.get(self.at.0) {
            if self.plain > 0 {
                self.plain -= 1;
                return PLAIN;
            }
            if self.at.1 < run.count {
                self.at.1 += 1;
                return run.exception;
            }
            self.at = (self.at.0 + 1, 0);
            self.plain = self.runs.get(self.at.0).map_or(0, |run| run.skip);
        }
        PLAIN
    }
}
