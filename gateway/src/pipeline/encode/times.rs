//! The times of a block: one entry for each change of timestamp or clock state, in the order of arrival.

use driver_core::{ClockState, Reading, Timestamp};

use super::varint::{Input, put_i64, put_u64};
use super::{READINGS_MAX, Undecodable};

const CLOCK_GOOD: u8 = 0;
const CLOCK_NONE: u8 = 1;
const CLOCK_BITMAP: u8 = 2;

/// The distinct times of a block, and which one each reading bears.
#[derive(Default)]
pub(super) struct Times {
    entries: Vec<(i64, ClockState)>,
    /// By the reading's index in the order of arrival; empty when read from bytes.
    of_reading: Vec<u32>,
}

impl Times {
    pub(super) fn collect(&mut self, readings: &[Reading]) {
        self.entries.clear();
        self.of_reading.clear();
        for reading in readings {
            let entry = (reading.timestamp.0, reading.clock);
            if self.entries.last() != Some(&entry) {
                self.entries.push(entry);
            }
            self.of_reading.push(self.entries.len() as u32 - 1);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The time's index for the reading at `place` of those that were collected.
    pub(super) fn of(&self, place: usize) -> u32 {
        self.of_reading[place]
    }

    pub(super) fn get(&self, index: usize) -> (Timestamp, ClockState) {
        let (timestamp, clock) = self.entries[index];
        (Timestamp(timestamp), clock)
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        put_u64(out, self.entries.len() as u64);
        self.write_clock(out);
        let (mut last, mut last_delta) = (0_i64, 0_i64);
        for (timestamp, _) in &self.entries {
            let delta = timestamp.wrapping_sub(last);
            put_i64(out, delta.wrapping_sub(last_delta));
            (last, last_delta) = (*timestamp, delta);
        }
    }

    fn write_clock(&self, out: &mut Vec<u8>) {
        let good = self.entries.iter().filter(|(_, clock)| *clock == ClockState::Synchronized).count();
        if good == self.entries.len() {
            out.push(CLOCK_GOOD);
        } else if good == 0 {
            out.push(CLOCK_NONE);
        } else {
            out.push(CLOCK_BITMAP);
            for eight in self.entries.chunks(8) {
                let bits = eight.iter().enumerate();
                out.push(
                    bits.fold(0, |byte, (bit, (_, clock))| byte | u8::from(*clock == ClockState::Synchronized) << bit),
                );
            }
        }
    }

    pub(super) fn read(input: &mut Input<'_>) -> Result<Times, Undecodable> {
        let count = input.count(READINGS_MAX)?;
        let mode = input.byte()?;
        let bitmap = if mode == CLOCK_BITMAP { input.bytes(count.div_ceil(8))? } else { &[] };
        let mut entries = Vec::new();
        let (mut last, mut last_delta) = (0_i64, 0_i64);
        for index in 0..count {
            last_delta = last_delta.wrapping_add(input.i64()?);
            last = last.wrapping_add(last_delta);
            let good = match mode {
                CLOCK_GOOD => true,
                CLOCK_NONE => false,
                CLOCK_BITMAP => bitmap[index / 8] >> (index % 8) & 1 == 1,
                _ => return Err(Undecodable("the clock's mode is unknown")),
            };
            entries.push((last, if good { ClockState::Synchronized } else { ClockState::Unsynchronized }));
        }
        Ok(Times { entries, of_reading: Vec::new() })
    }
}
