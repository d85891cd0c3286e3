//! The last frames within a number of bytes.

use std::collections::VecDeque;
use std::time::SystemTime;

use driver_core::Way;

/// What a frame costs beside its bytes.
const FRAME_COST: usize = 32;

/// One thing that passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) at: SystemTime,
    pub(super) way: Way,
    pub(super) bytes: Box<[u8]>,
}

/// The oldest go when the bytes run out.
#[derive(Debug)]
pub(super) struct Ring {
    frames: VecDeque<Frame>,
    held: usize,
    bytes_max: usize,
}

impl Ring {
    pub(super) fn new(bytes_max: usize) -> Ring {
        Ring { frames: VecDeque::new(), held: 0, bytes_max }
    }

    /// Adds a frame; one that is larger than the ring is cut.
    pub(super) fn push(&mut self, at: SystemTime, way: Way, bytes: &[u8]) {
        let kept = &bytes[..bytes.len().min(self.bytes_max.saturating_sub(FRAME_COST))];
        let cost = kept.len() + FRAME_COST;
        while self.held + cost > self.bytes_max
            && let Some(oldest) = self.frames.pop_front()
        {
            self.held -= oldest.bytes.len() + FRAME_COST;
        }
        self.held += cost;
        self.frames.push_back(Frame { at, way, bytes: kept.into() });
    }

    /// What it holds, with what each frame costs.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// From the oldest on.
    pub(super) fn frames(&self) -> impl Iterator<Item = &Frame> {
        self.frames.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_and_the_bytes_stay_within_their_bound() {
        let mut ring = Ring::new(1_000);
        for number in 0..1_000_u16 {
            ring.push(SystemTime::UNIX_EPOCH, Way::Out, &vec![number as u8; usize::from(number % 1_500)]);
            let held: usize = ring.frames().map(|frame| frame.bytes.len() + FRAME_COST).sum();
            assert_eq!(held, ring.held);
            assert!(held <= 1_000, "{held}");
            assert_eq!(ring.frames().last().map(|frame| frame.bytes.len()), Some(usize::from(number % 1_500).min(968)));
        }
    }
}
