//! What the columnar encoding costs: bytes and nanoseconds a reading, on four mixes of tags and three block lengths.
//!
//! `cargo run --release --example encode_speed`

use std::hint::black_box;
use std::time::Instant;

use driver_core::{ClockState, Quality, Reading, TagId, Timestamp, Value};
use forebay::pipeline::encode::{Decoder, Encoder};

const TAGS: u32 = 200;
const ROUNDS_READINGS: usize = 2_000_000;

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

fn values(mix: &str, ticks: usize) -> Vec<Reading> {
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
            });
            if tag > 0 {
                let first = readings[tick * TAGS as usize].timestamp;
                readings.last_mut().expect("just pushed").timestamp = first;
            }
        }
    }
    readings
}

fn main() {
    println!("| mix | ticks a block | bytes/reading | encode ns/reading | decode ns/reading |\n|---|---|---|---|---|");
    for mix in ["mixed plant", "slow and digital", "12-bit analog", "full-entropy doubles"] {
        for ticks in [1, 10, 60] {
            let readings = values(mix, ticks);
            let rounds = ROUNDS_READINGS / readings.len();
            let mut encoder = Encoder::new().expect("zstd's memory");
            let mut bytes = Vec::new();
            let start = Instant::now();
            let mut codec = 0;
            for _ in 0..rounds {
                bytes.clear();
                codec = encoder.encode(black_box(&readings), &mut bytes);
            }
            let encode = start.elapsed().as_nanos() as f64 / (rounds * readings.len()) as f64;
            let (mut decoder, mut back) = (Decoder::new().expect("zstd's memory"), Vec::new());
            let start = Instant::now();
            for _ in 0..rounds {
                back.clear();
                decoder.decode(codec, black_box(&bytes), &mut back).expect("decodes");
            }
            let decode = start.elapsed().as_nanos() as f64 / (rounds * readings.len()) as f64;
            assert_eq!(back, readings);
            let each = bytes.len() as f64 / readings.len() as f64;
            println!("| {mix} | {ticks} | {each:.2} | {encode:.1} | {decode:.1} |");
        }
    }
}
