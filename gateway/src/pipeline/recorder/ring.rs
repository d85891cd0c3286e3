//! The last frames within a number of bytes, one behind the other in one piece of memory.
//!
//! ```text
//! ns since 1970 (8) | way (1) | length (4) | bytes ...
//! ```

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use driver_core::Way;

/// What a frame takes beside its bytes.
const HEAD: usize = 8 + 1 + 4;

/// One thing that passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) at: SystemTime,
    pub(super) way: Way,
    pub(super) bytes: Vec<u8>,
}

/// The oldest go when the bytes run out.
#[derive(Debug)]
pub(super) struct Ring {
    held: VecDeque<u8>,
    bytes_max: usize,
}

impl Ring {
    pub(super) fn new(bytes_max: usize) -> Ring {
        Ring { held: VecDeque::new(), bytes_max }
    }

    /// Adds a frame; one that is larger than the ring is cut.
    pub(super) fn push(&mut self, at: SystemTime, way: Way, bytes: &[u8]) {
        let length = bytes.len().min(self.bytes_max.saturating_sub(HEAD)).min(u32::MAX as usize);
        let needed = HEAD + length;
        while self.held.len() + needed > self.bytes_max
            && let Some(oldest) = head(self.held.iter().copied())
        {
            self.held.drain(..(HEAD + oldest.length).min(self.held.len()));
        }
        self.grow(needed);
        let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        self.held.extend(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX).to_le_bytes());
        self.held.push_back(u8::from(way == Way::In));
        self.held.extend((length as u32).to_le_bytes());
        self.held.extend(&bytes[..length]);
    }

    /// Doubles what it may hold without growing, and not beyond its bound: a line that is quiet takes little.
    fn grow(&mut self, needed: usize) {
        let length = self.held.len();
        if length + needed > self.held.capacity() {
            self.held.reserve_exact(length.min(self.bytes_max.saturating_sub(length)).max(needed));
        }
    }

    /// What it holds, with what each frame costs.
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// From the oldest on.
    pub(super) fn frames(&self) -> impl Iterator<Item = Frame> {
        let mut rest = self.held.iter().copied();
        std::iter::from_fn(move || {
            let Head { at, way, length } = head(&mut rest)?;
            Some(Frame { at, way, bytes: rest.by_ref().take(length).collect() })
        })
    }
}

struct Head {
    at: SystemTime,
    way: Way,
    length: usize,
}

/// The head that these bytes begin with; `None` where they end.
fn head(mut bytes: impl Iterator<Item = u8>) -> Option<Head> {
    let mut head = [0; HEAD];
    for byte in &mut head {
        *byte = bytes.next()?;
    }
    let [t0, t1, t2, t3, t4, t5, t6, t7, way, l0, l1, l2, l3] = head;
    let at = SystemTime::UNIX_EPOCH + Duration::from_nanos(u64::from_le_bytes([t0, t1, t2, t3, t4, t5, t6, t7]));
    let way = if way == 0 { Way::Out } else { Way::In };
    Some(Head { at, way, length: u32::from_le_bytes([l0, l1, l2, l3]) as usize })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_and_the_bytes_stay_within_their_bound() {
        let mut ring = Ring::new(1_000);
        for number in 0..1_000_u16 {
            ring.push(SystemTime::UNIX_EPOCH, Way::Out, &vec![number as u8; usize::from(number % 1_500)]);
            let held: usize = ring.frames().map(|frame| frame.bytes.len() + HEAD).sum();
            assert_eq!(held, ring.held());
            assert!(held <= 1_000 && ring.held.capacity() <= 1_000, "{held}");
            assert_eq!(ring.frames().last().map(|frame| frame.bytes.len()), Some(usize::from(number % 1_500).min(987)));
        }
    }

    #[test]
    fn a_frame_comes_back_as_it_passed() {
        let mut ring = Ring::new(256);
        let frame = |number: u8| Frame {
            at: SystemTime::UNIX_EPOCH + Duration::from_nanos(1_795_400_913_123_456_789 + u64::from(number)),
            way: if number.is_multiple_of(2) { Way::Out } else { Way::In },
            bytes: (0..number % 40).collect(),
        };
        for number in 0..=u8::MAX {
            let Frame { at, way, bytes } = frame(number);
            ring.push(at, way, &bytes);
            let all: Vec<Frame> = ring.frames().collect();
            let first = number - (all.len() as u8 - 1);
            assert!(!all.is_empty() && all.iter().eq(&(first..=number).map(frame).collect::<Vec<_>>()), "{all:?}");
        }
    }
}
