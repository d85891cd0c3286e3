//! Blocks that stand for more readings than they hold: which places are held, before the payload of those that are.
//!
//! ```text
//! runs | skip, length, skip, length … | payload as of a whole block         codec 2; the same through zstd: codec 3
//! ```

use super::varint::{Input, put_u64};
use super::{Places, READINGS_MAX, Undecodable};

/// The most places that one block stands for.
pub const PLACES_MAX: usize = 1 << 20;

/// Writes the places, which rise.
pub(super) fn write(places: &[u32], out: &mut Vec<u8>) {
    let runs = || places.chunk_by(|left, right| left + 1 == *right);
    put_u64(out, runs().count() as u64);
    let mut next = 0;
    for run in runs() {
        put_u64(out, u64::from(run[0] - next));
        put_u64(out, run.len() as u64);
        next = run[0] + run.len() as u32;
    }
}

/// Reads the places.
pub(super) fn read(input: &mut Input<'_>) -> Result<Places, Undecodable> {
    let (mut places, mut next) = (Vec::new(), 0_usize);
    for _ in 0..input.count(READINGS_MAX)? {
        let first = next + input.count(PLACES_MAX)?;
        let length = input.count(READINGS_MAX - places.len())?;
        next = first + length;
        if next > PLACES_MAX {
            return Err(Undecodable("a reading's place is beyond the limit"));
        }
        places.extend(first as u32..next as u32);
    }
    Ok(places.into())
}
