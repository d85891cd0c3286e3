//! A device that is slow, loses, damages and invents, by a fixed sequence of chances: whatever reaches the caller is true.

use std::collections::VecDeque;

use super::*;
use crate::session::Pace;

const REQUESTS: u16 = 300;
const SEEDS: u64 = 12;

/// A small generator (splitmix64), so that a failure comes again with its seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// Reads one request: always a read of holding registers.
async fn next_request(far: &mut Far) -> Option<(u16, u8, Request<'static>)> {
    let mut bytes = vec![0; if far.framing == Framing::Mbap { 12 } else { 8 }];
    far.pipe.read_exact(&mut bytes).await.ok()?;
    let word = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    Some(match far.framing {
        Framing::Mbap => (word(0), bytes[6], holding(word(8), word(10))),
        _ => (0, bytes[0], holding(word(2), word(4))),
    })
}

/// Answers in order, each time by chance well, late, not at all, or badly.
async fn unreliable_device(mut far: Far, mut chance: Chance) {
    let mut earlier = VecDeque::new();
    while let Some((tid, unit, request)) = next_request(&mut far).await {
        let good = far.frame(tid, unit, &mirror::reply(&request));
        earlier.push_front(good.clone());
        earlier.truncate(3);
        let bytes = match chance.below(12) {
            0 => {
                tokio::time::sleep(TIMEOUT * chance.below(4) as u32 + TIMEOUT / 3).await;
                good
            }
            1 => Vec::new(),
            2 => good[..chance.below(good.len() as u64) as usize].to_vec(),
            3 => {
                let mut damaged = good;
                let at = chance.below(damaged.len() as u64) as usize;
                // Over TCP nothing guards the values themselves; RTU has its CRC.
                let guarded = if far.framing == Framing::Mbap { 9 } else { damaged.len() };
                damaged[at % guarded] ^= 1 << chance.below(8);
                damaged
            }
            4 => {
                let noise: Vec<u8> = (0..chance.below(30)).map(|_| chance.below(256) as u8).collect();
                [noise, good].concat()
            }
            5 if far.framing == Framing::Mbap => [earlier.back().cloned().unwrap_or_default(), good].concat(),
            6 => far.frame(tid, unit.wrapping_add(1), &mirror::reply(&holding(9, 3))),
            _ => good,
        };
        if far.pipe.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

async fn check(config: SessionConfig, seed: u64, least: usize) {
    let name = format!("{:?}, seed {seed}", config.framing);
    let (mut session, far) = talk(config);
    let device = tokio::spawn(unreliable_device(far, Chance(seed)));
    let mut good = 0;
    for index in 0..REQUESTS {
        let start = index * 3;
        match read(&mut session, 1, holding(start, 4)).await {
            Ok(values) => {
                assert_eq!(values, mirror::registers(start, 4), "{name}, request {index}");
                good += 1;
            }
            Err(TransactError::Timeout { .. }) => {}
            Err(other) => panic!("{name}: {other}"),
        }
    }
    assert!(good >= least, "{name}: only {good} of {REQUESTS} answered; {:?}", session.stats());
    drop(session);
    device.await.expect("the device to end");
}

#[tokio::test(start_paused = true)]
async fn no_wrong_value_comes_through_over_tcp() {
    for seed in 0..SEEDS {
        check(SessionConfig::mbap(), seed, 150).await;
    }
}

#[tokio::test(start_paused = true)]
async fn no_wrong_value_comes_through_over_rtu() {
    for seed in 0..SEEDS {
        check(SessionConfig::serial(Framing::Rtu, Pace::of_line(19_200, 11)), seed, 100).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_always_late_never_passes_an_old_value_for_a_new_one() {
    let (mut session, mut far) = talk(SessionConfig::serial(Framing::Rtu, Pace::of_line(19_200, 11)));
    let device = tokio::spawn(async move {
        while let Some((tid, unit, request)) = next_request(&mut far).await {
            tokio::time::sleep(TIMEOUT * 3 / 2).await;
            let bytes = far.frame(tid, unit, &mirror::reply(&request));
            if far.pipe.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    for start in 0..200 {
        if let Ok(values) = read(&mut session, 1, holding(start, 4)).await {
            assert_eq!(values, mirror::registers(start, 4), "read of {start}");
        }
        tokio::time::sleep(TIMEOUT / 4).await;
    }
    drop(session);
    device.await.expect("the device to end");
}
