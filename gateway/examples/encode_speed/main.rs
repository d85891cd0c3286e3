//! What the columnar encoding costs: bytes and nanoseconds a reading, on four mixes of tags and three block lengths.
//!
//! `cargo run --release --example encode_speed`

mod mixes;

use std::hint::black_box;
use std::time::Instant;

use forebay::pipeline::encode::{Decoder, Encoder};

const ROUNDS_READINGS: usize = 2_000_000;

fn main() {
    println!("| mix | ticks a block | bytes/reading | encode ns/reading | decode ns/reading |\n|---|---|---|---|---|");
    for (mix, lengths) in mixes::DESIGN {
        for (ticks, _) in lengths {
            let readings = mixes::readings(mix, ticks);
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
