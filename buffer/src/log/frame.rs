//! The envelope of a block, to bytes and back; the drawing stands in the module above. No I/O.

use crate::block::{BLOCK_COUNT_MAX, BLOCK_PAYLOAD_BYTES_MAX, Class, Meta, SEQ_MAX, Seq, SeqRange};

/// Bytes of an envelope.
pub(super) const ENVELOPE_BYTES: usize = crate::block::BLOCK_ENVELOPE_BYTES;

/// Bytes of the longest frame.
pub(super) const FRAME_BYTES_MAX: usize = ENVELOPE_BYTES + BLOCK_PAYLOAD_BYTES_MAX;

/// What each frame begins with.
pub(super) const MAGIC: [u8; 4] = *b"\xfbBlk";

/// The class code of a record of the ledger.
pub(super) const LEDGER_CLASS: u8 = 0xff;

const VERSION: u8 = 1;
const CRC_AT: usize = 52;

/// What stands in front of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Envelope {
    pub(super) class: u8,
    pub(super) meta: Meta,
    pub(super) seq: Seq,
    pub(super) epoch: u32,
}

/// What a stretch of bytes is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    /// A whole frame of that many bytes, envelope included.
    Frame(Envelope, usize),
    /// The beginning of what may be a frame of that many bytes.
    Short(usize),
    /// No frame.
    Bad,
}

impl Envelope {
    /// The seqs of the block's records.
    pub(super) fn seqs(&self) -> SeqRange {
        SeqRange::starting_at(self.seq, u64::from(self.meta.count))
    }

    /// Whether it can be the envelope of a block: a known class and counts in their limits.
    pub(super) fn is_block(&self) -> bool {
        let is_placed = (1..=SEQ_MAX).contains(&self.seq);
        Class::from_code(self.class).is_some() && (1..=BLOCK_COUNT_MAX).contains(&self.meta.count) && is_placed
    }

    /// The 56 bytes in front of `payload`.
    pub(super) fn encode(&self, payload: &[u8], salt: u32) -> [u8; ENVELOPE_BYTES] {
        let mut to = [0; ENVELOPE_BYTES];
        to[0..4].copy_from_slice(&MAGIC);
        to[4..8].copy_from_slice(&[VERSION, self.meta.codec, self.class, self.meta.flags]);
        to[8..10].copy_from_slice(&(ENVELOPE_BYTES as u16).to_le_bytes());
        to[12..16].copy_from_slice(&self.meta.schema.to_le_bytes());
        to[16..20].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        to[20..24].copy_from_slice(&self.meta.count.to_le_bytes());
        to[24..32].copy_from_slice(&self.seq.to_le_bytes());
        to[32..40].copy_from_slice(&self.meta.t_min_ns.to_le_bytes());
        to[40..48].copy_from_slice(&self.meta.t_max_ns.to_le_bytes());
        to[48..52].copy_from_slice(&self.epoch.to_le_bytes());
        let crc = checksum(&to, payload, salt);
        to[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        to
    }
}

/// Parses the frame at the start of `bytes`, which may go on after it.
pub(super) fn parse(bytes: &[u8], salt: u32) -> Parsed {
    let Some((head, rest)) = bytes.split_first_chunk() else { return Parsed::Short(ENVELOPE_BYTES) };
    let Some((envelope, payload_bytes)) = parse_envelope(head) else { return Parsed::Bad };
    let Some(payload) = rest.get(..payload_bytes) else { return Parsed::Short(ENVELOPE_BYTES + payload_bytes) };
    if checksum(head, payload, salt).to_le_bytes() != head[CRC_AT..] {
        return Parsed::Bad;
    }
    Parsed::Frame(envelope, ENVELOPE_BYTES + payload_bytes)
}

/// Reads an envelope and the length of its payload without looking at the checksum.
pub(super) fn parse_envelope(head: &[u8; ENVELOPE_BYTES]) -> Option<(Envelope, usize)> {
    let fixed = head[0..4] == MAGIC && head[4] == VERSION && head[8..12] == [ENVELOPE_BYTES as u8, 0, 0, 0];
    let payload_bytes = u32::from_le_bytes(field(head, 16)) as usize;
    if !fixed || payload_bytes > BLOCK_PAYLOAD_BYTES_MAX {
        return None;
    }
    let meta = Meta {
        count: u32::from_le_bytes(field(head, 20)),
        t_min_ns: i64::from_le_bytes(field(head, 32)),
        t_max_ns: i64::from_le_bytes(field(head, 40)),
        codec: head[5],
        flags: head[7],
        schema: u32::from_le_bytes(field(head, 12)),
    };
    let seq = u64::from_le_bytes(field(head, 24));
    let epoch = u32::from_le_bytes(field(head, 48));
    Some((Envelope { class: head[6], meta, seq, epoch }, payload_bytes))
}

/// The place of the next frame's magic in `bytes`; up to three bytes at the end may still begin one.
pub(super) fn find_magic(bytes: &[u8]) -> Option<usize> {
    bytes.windows(MAGIC.len()).position(|window| window == MAGIC)
}

/// The `N` bytes at `at` of a fixed layout. Panics where the layout is shorter, which is a constant of this module.
pub(super) fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("a slice of N bytes")
}

fn checksum(head: &[u8; ENVELOPE_BYTES], payload: &[u8], salt: u32) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(salt, &head[..CRC_AT]), payload)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SALT: u32 = 77;

    fn envelope() -> Envelope {
        let meta = Meta { count: 3, t_min_ns: -5, t_max_ns: i64::MAX, codec: 2, flags: 9, schema: 0xdead_beef };
        Envelope { class: 1, meta, seq: 42, epoch: 7 }
    }

    fn frame(payload: &[u8]) -> Vec<u8> {
        [&envelope().encode(payload, SALT)[..], payload].concat()
    }

    #[test]
    fn the_layout_is_the_drawing() {
        let bytes = frame(b"hello");
        assert_eq!(bytes[..12], [0xfb, b'B', b'l', b'k', 1, 2, 1, 9, 56, 0, 0, 0]);
        assert_eq!(bytes[12..24], [0xef, 0xbe, 0xad, 0xde, 5, 0, 0, 0, 3, 0, 0, 0]);
        assert_eq!(bytes[24..32], 42u64.to_le_bytes());
        assert_eq!(bytes[52..56], crc32c::crc32c_append(SALT, &[&bytes[..52], b"hello"].concat()).to_le_bytes());
    }

    #[test]
    fn another_log_s_frame_is_no_frame() {
        assert_eq!(parse(&frame(b"hello"), SALT + 1), Parsed::Bad);
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused_before_anything_is_read() {
        let mut bytes = frame(b"hello");
        bytes[16..20].copy_from_slice(&(BLOCK_PAYLOAD_BYTES_MAX as u32 + 1).to_le_bytes());
        assert_eq!(parse(&bytes, SALT), Parsed::Bad);
    }

    proptest! {
        #[test]
        fn comes_back_whole_and_is_short_when_cut_anywhere(payload in proptest::collection::vec(any::<u8>(), 0..300)) {
            let bytes = frame(&payload);
            let whole = Parsed::Frame(envelope(), bytes.len());
            prop_assert_eq!(parse(&bytes, SALT), Parsed::Frame(envelope(), bytes.len()));
            prop_assert_eq!(parse(&[&bytes[..], &bytes[..]].concat(), SALT), whole);
            for cut in 0..bytes.len() {
                let needed = if cut < ENVELOPE_BYTES { ENVELOPE_BYTES } else { bytes.len() };
                prop_assert_eq!(parse(&bytes[..cut], SALT), Parsed::Short(needed));
            }
        }

        #[test]
        fn one_flipped_bit_anywhere_makes_it_no_whole_frame(at in 0usize..76, bit in 0u8..8) {
            let mut bytes = frame(b"twenty bytes payload");
            bytes[at] ^= 1 << bit;
            prop_assert!(!matches!(parse(&bytes, SALT), Parsed::Frame(..)));
        }

        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(!matches!(parse(&bytes, SALT), Parsed::Frame(..)));
            let with_magic = [&MAGIC[..], &bytes].concat();
            prop_assert!(!matches!(parse(&with_magic, SALT), Parsed::Frame(..)));
        }
    }
}
