//! The newest blocks, in memory: what a failed sync must write again, and what readers at the end are served from. What
//! every uplink has is in neither.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::frame::{ENVELOPE_BYTES, Envelope};
use crate::block::{Block, Class, Seq, SeqRange};

/// Frames that readers may still want are kept up to this many bytes; those that a power cut would take are kept whatever it is.
pub(super) const TAIL_KEPT_BYTES_MAX: usize = 1024 * 1024;

/// Memory is taken in pieces of this size, so that a block costs no allocation.
const ARENA_BYTES: usize = 64 * 1024;

/// A frame in memory, as it was written.
#[derive(Debug)]
pub(super) struct TailBlock {
    pub(super) envelope: Envelope,
    pub(super) frame: Bytes,
}

/// The newest blocks in the order of their seqs; between them are only gaps.
#[derive(Debug, Default)]
pub(super) struct Tail {
    blocks: VecDeque<TailBlock>,
    bytes: usize,
    arena: BytesMut,
}

impl Tail {
    /// Bytes of frames held.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The first seq held; from there on the tail has every block.
    pub(super) fn first(&self) -> Option<Seq> {
        self.blocks.front().map(|block| block.envelope.seq)
    }

    /// The blocks from the one that holds `seq`, or the next.
    pub(super) fn from(&self, seq: Seq) -> impl Iterator<Item = &TailBlock> {
        let start = self.blocks.partition_point(|block| block.envelope.seqs().last < seq);
        self.blocks.range(start..)
    }

    /// Makes frames of blocks, one behind the other in one piece of memory.
    pub(super) fn encode<'a>(
        &mut self,
        blocks: impl Iterator<Item = (Envelope, &'a [u8])>,
        bytes_total: usize,
        salt: u32,
    ) -> Bytes {
        if self.arena.capacity() < bytes_total {
            self.arena = BytesMut::with_capacity(bytes_total.max(ARENA_BYTES));
        }
        for (envelope, payload) in blocks {
            self.arena.extend_from_slice(&envelope.encode(payload, salt));
            self.arena.extend_from_slice(payload);
        }
        self.arena.split().freeze()
    }

    /// Takes over a frame that is written.
    pub(super) fn push(&mut self, envelope: Envelope, frame: Bytes) {
        self.bytes += frame.len();
        self.blocks.push_back(TailBlock { envelope, frame });
    }

    /// Lets go of the blocks of a class that were dropped while others lie in between.
    pub(super) fn forget(&mut self, class: Class, seqs: SeqRange) {
        let goes = |block: &TailBlock| block.envelope.class == class.code() && seqs.contains(block.envelope.seq);
        self.blocks.retain(|block| !goes(block));
        self.bytes = self.blocks.iter().map(|block| block.frame.len()).sum();
    }

    /// Lets go of blocks that all uplinks have (`acknowledged`), and of those below `synced` as far as there are too many.
    /// Returns the bytes of those that were not synced.
    pub(super) fn release(&mut self, synced: Seq, acknowledged: Seq) -> u64 {
        let mut unsynced_bytes = 0;
        while let Some(front) = self.blocks.front() {
            let last = front.envelope.seqs().last;
            if last >= acknowledged && (last >= synced || self.bytes <= TAIL_KEPT_BYTES_MAX) {
                break;
            }
            self.bytes -= front.frame.len();
            unsynced_bytes += if last >= synced { front.frame.len() as u64 } else { 0 };
            self.blocks.pop_front();
        }
        unsynced_bytes
    }

    /// Bytes of the blocks from `first` on, before `next`.
    pub(super) fn bytes_between(&self, first: Seq, next: Seq) -> u64 {
        let blocks = self.from(first).take_while(|block| block.envelope.seq < next);
        blocks.map(|block| block.frame.len() as u64).sum()
    }
}

impl TailBlock {
    /// The block that a reader gets; shares the memory.
    pub(super) fn block(&self) -> Block {
        block(&self.envelope, self.frame.slice(ENVELOPE_BYTES..))
    }
}

/// A block out of its envelope and its payload.
pub(super) fn block(envelope: &Envelope, payload: Bytes) -> Block {
    let class = Class::from_code(envelope.class).unwrap_or(Class::Normal);
    Block { seqs: envelope.seqs(), epoch: envelope.epoch, class, meta: envelope.meta, payload }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::Meta;

    fn tail_of(blocks: u64, payload: &[u8]) -> Tail {
        let mut tail = Tail::default();
        for i in 0..blocks {
            let meta = Meta { count: 10, t_min_ns: 0, t_max_ns: 0, codec: 0, flags: 0, schema: 0 };
            let envelope = Envelope { class: 1, meta, seq: 1 + 10 * i, epoch: 1 };
            let frame = tail.encode([(envelope, payload)].into_iter(), ENVELOPE_BYTES + payload.len(), 0);
            tail.push(envelope, frame);
        }
        tail
    }

    #[test]
    fn gives_the_block_that_holds_a_seq_and_those_behind_it() {
        let tail = tail_of(3, b"abc");
        let firsts: Vec<Seq> = tail.from(15).map(|block| block.envelope.seq).collect();
        assert_eq!(firsts, [11, 21]);
        assert_eq!(tail.from(15).next().map(|block| block.block().payload), Some(Bytes::from_static(b"abc")));
        assert_eq!(tail.from(31).count(), 0);
    }

    #[test]
    fn keeps_what_is_not_synced_and_of_the_rest_what_someone_may_want() {
        let mut tail = tail_of(3, b"abc");
        assert_eq!(tail.release(1, 1), 0);
        assert_eq!(tail.first(), Some(1), "nothing is synced, nothing acknowledged");
        assert_eq!(tail.release(1, 11), tail.bytes_between(11, 21), "one is acknowledged and was not synced");
        assert_eq!(tail.release(21, 11), 0);
        assert_eq!(tail.first(), Some(11), "there is room for what is synced");
        assert_eq!(tail.release(100, 100), 0);
        assert_eq!((tail.first(), tail.bytes()), (None, 0));
    }

    #[test]
    fn keeps_no_more_than_its_bound_of_what_is_synced() {
        let mut tail = tail_of(40, &[7; 60_000]);
        tail.release(u64::MAX, 0);
        assert!(tail.bytes() <= TAIL_KEPT_BYTES_MAX && tail.bytes() > TAIL_KEPT_BYTES_MAX - 70_000);
    }
}
