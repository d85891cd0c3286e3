//! Four mixes of tags, which the encoding is measured on.

use driver_core::{ClockState, Quality, Reading, TagId, Tense, Timestamp, Value};

/// The mixes of tags, and the bytes a reading that the encoding was designed for, at so many ticks a block.
pub(crate) const DESIGN: [(&str, [(usize, f64); 3]); 4] = [
    ("mixed plant", [(1, 2.4), (10, 0.8), (60, 0.6)]),
    ("slow and digital", [(1, 1.4), (10, 0.2), (60, 0.1)]),
    ("12-bit analog", [(1, 2.6), (10, 0.8), (60, 0.5)]),
    ("full-entropy doubles", [(1, 7.8), (10, 7.5), (60, 7.1)]),
];

const TAGS: u32 = 200;

/// A small generator, so that the figures are the same at each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn step(&mut self, width: i64) -> i64 {
        (self.next() % (2 * width as u64 + 1)) as i64 - width
    }
}

/// What `ticks` polls of [`TAGS`] tags give.
pub(crate) fn readings(mix: &str, ticks: usize) -> Vec<Reading> {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut state: Vec<i64> = (0..TAGS).map(|_| random.step(2_000)).collect();
    let mut readings = Vec::new();
    for tick in 0..ticks {
        for tag in 0..TAGS {
            let state = &mut state[tag as usize];
            let value = match (mix, tag % 4) {
                ("slow and digital", 0 | 1) | ("mixed plant", 0) => {
                    *state ^= i64::from(random.next().is_multiple_of(50));
                    Value::Bool(*state & 1 == 1)
                }
                ("slow and digital", _) | ("mixed plant", 1) => {
                    *state += i64::from(random.next().is_multiple_of(20));
                    Value::LReal(*state as f64 / 10.0)
                }
                ("12-bit analog", _) | ("mixed plant", 2) => {
                    *state = (*state + random.step(3)).clamp(0, 4_095);
                    Value::LReal(*state as f64 / 100.0)
                }
                ("mixed plant", _) => {
                    *state += 7;
                    Value::UInt(*state as u64 & 0xffff_ffff)
                }
                _ => Value::LReal(f64::from_bits(0x3ff0_0000_0000_0000 | random.next() >> 12) * 100.0),
            };
            readings.push(Reading {
                tag: TagId(tag),
                value,
                quality: Quality::Good,
                status: 0,
                timestamp: Timestamp(
                    1_795_400_913_000_000_000
                        + tick as i64 * 1_000_000_000
                        + random.step(300_000) * i64::from(tag == 0),
                ),
                clock: ClockState::Synchronized,
                tense: Tense::Present,
            });
            if tag > 0 {
                let first = readings[tick * TAGS as usize].timestamp;
                readings.last_mut().expect("just pushed").timestamp = first;
            }
        }
    }
    readings
}
