//! The records of the ledger, to bytes and back. No I/O.

use super::frame::{Envelope, LEDGER_CLASS, field};
use crate::block::{BLOCK_PAYLOAD_BYTES_MAX, Class, Meta, SEQ_MAX, Seq, SeqRange};
use crate::cursor::Cursor;
use crate::gap::{Gap, GapReason};

const KIND_COUNTERS: u8 = 1;
const KIND_CURSOR: u8 = 2;
const KIND_GAP: u8 = 3;
const KIND_FORGET: u8 = 4;
const KIND_DOUBT: u8 = 5;

/// Longest name of an uplink, bytes.
pub(super) const NAME_BYTES_MAX: usize = 256;

/// Something to be remembered beside the blocks. Each record states a whole, so the last one of a kind and name holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// The seq that comes next, at the time when the ledger was begun.
    Counters { next_seq: Seq },
    /// All that one uplink has acknowledged.
    Cursor { uplink: String, cursor: Cursor },
    /// A loss.
    Gap(Gap),
    /// An uplink that is no longer there.
    Forget { uplink: String },
    /// A sync failed: the blocks from here on must be written again, also by the next process. 0 ends the doubt.
    Doubt { from: Seq },
}

impl Record {
    /// Appends the record as a frame.
    pub(super) fn encode(&self, epoch: u32, salt: u32, to: &mut Vec<u8>) {
        let (kind, payload) = self.payload();
        debug_assert!(payload.len() <= BLOCK_PAYLOAD_BYTES_MAX, "a record is small");
        let meta = Meta { count: 0, t_min_ns: 0, t_max_ns: 0, codec: kind, flags: 0, schema: 0 };
        to.extend_from_slice(&Envelope { class: LEDGER_CLASS, meta, seq: 0, epoch }.encode(&payload, salt));
        to.extend_from_slice(&payload);
    }

    fn payload(&self) -> (u8, Vec<u8>) {
        let mut to = Vec::new();
        match self {
            Self::Counters { next_seq } => {
                to.extend_from_slice(&next_seq.to_le_bytes());
                (KIND_COUNTERS, to)
            }
            Self::Cursor { uplink, cursor } => {
                to.extend_from_slice(&cursor.low().to_le_bytes());
                to.extend_from_slice(&(cursor.ranges().len() as u32).to_le_bytes());
                for range in cursor.ranges() {
                    to.extend_from_slice(&range.first.to_le_bytes());
                    to.extend_from_slice(&range.last.to_le_bytes());
                }
                to.extend_from_slice(uplink.as_bytes());
                (KIND_CURSOR, to)
            }
            Self::Gap(gap) => {
                let (t_min_ns, t_max_ns) = gap.time_ns.unwrap_or_default();
                to.extend_from_slice(&[gap.class.code(), gap.reason.code(), u8::from(gap.time_ns.is_some()), 0]);
                for number in [gap.seqs.first, gap.seqs.last, gap.count, t_min_ns as u64, t_max_ns as u64] {
                    to.extend_from_slice(&number.to_le_bytes());
                }
                (KIND_GAP, to)
            }
            Self::Forget { uplink } => (KIND_FORGET, uplink.as_bytes().to_vec()),
            Self::Doubt { from } => (KIND_DOUBT, from.to_le_bytes().to_vec()),
        }
    }

    /// Reads a record back; `None` if its kind is unknown or its bytes make no sense.
    pub(super) fn decode(kind: u8, bytes: &[u8]) -> Option<Self> {
        match kind {
            KIND_COUNTERS => Some(Self::Counters { next_seq: seq(*bytes.first_chunk()?)?.max(1) }),
            KIND_CURSOR => decode_cursor(bytes),
            KIND_GAP => decode_gap(bytes).map(Self::Gap),
            KIND_FORGET => Some(Self::Forget { uplink: name(bytes)? }),
            KIND_DOUBT => Some(Self::Doubt { from: seq(*bytes.first_chunk()?)? }),
            _ => None,
        }
    }
}

fn decode_cursor(bytes: &[u8]) -> Option<Record> {
    let (low, rest) = bytes.split_first_chunk()?;
    let (count, rest) = rest.split_first_chunk()?;
    let ranges_bytes = (u32::from_le_bytes(*count) as usize).checked_mul(16)?;
    let (ranges, uplink) = rest.split_at_checked(ranges_bytes)?;
    let mut cursor = Cursor::starting_at(seq(*low)?.max(1));
    for range in ranges.chunks_exact(16) {
        let seqs = SeqRange { first: seq(field(range, 0))?, last: seq(field(range, 8))? };
        if seqs.first > seqs.last || cursor.acknowledge(seqs).is_some() {
            return None;
        }
    }
    Some(Record::Cursor { uplink: name(uplink)?, cursor })
}

fn decode_gap(bytes: &[u8]) -> Option<Gap> {
    let (head, numbers) = bytes.split_first_chunk::<4>()?;
    let numbers: [u8; 40] = numbers.try_into().ok()?;
    let seqs = SeqRange { first: seq(field(&numbers, 0))?, last: seq(field(&numbers, 8))? };
    let times = (i64::from_le_bytes(field(&numbers, 24)), i64::from_le_bytes(field(&numbers, 32)));
    let gap = Gap {
        class: Class::from_code(head[0])?,
        seqs,
        count: u64::from_le_bytes(field(&numbers, 16)),
        time_ns: (head[2] == 1).then_some(times),
        reason: GapReason::from_code(head[1])?,
    };
    (1..=seqs.last).contains(&seqs.first).then_some(gap)
}

/// A seq, if it is one that can have been given out.
fn seq(bytes: [u8; 8]) -> Option<Seq> {
    Some(u64::from_le_bytes(bytes)).filter(|seq| *seq <= SEQ_MAX)
}

fn name(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    (text.len() <= NAME_BYTES_MAX).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::log::frame::{ENVELOPE_BYTES, Parsed, parse};

    fn check(record: &Record) {
        let mut bytes = Vec::new();
        record.encode(3, 8, &mut bytes);
        let Parsed::Frame(envelope, len) = parse(&bytes, 8) else { panic!("no frame") };
        assert_eq!((envelope.class, envelope.epoch, len), (LEDGER_CLASS, 3, bytes.len()));
        let payload = &bytes[ENVELOPE_BYTES..];
        assert_eq!(Record::decode(envelope.meta.codec, payload).as_ref(), Some(record));
        for cut in 0..payload.len() {
            assert_ne!(Record::decode(envelope.meta.codec, &payload[..cut]).as_ref(), Some(record), "cut at {cut}");
        }
    }

    #[test]
    fn every_record_comes_back() {
        let mut cursor = Cursor::starting_at(7);
        cursor.acknowledge(SeqRange { first: 9, last: 12 });
        cursor.acknowledge(SeqRange { first: 20, last: 20 });
        let gap = Gap {
            class: Class::Normal,
            seqs: SeqRange { first: 3, last: 8 },
            count: 6,
            time_ns: Some((-4, 9)),
            reason: GapReason::Vanished,
        };
        check(&Record::Counters { next_seq: 1 << 40 });
        check(&Record::Cursor { uplink: "kafka-äöü".into(), cursor });
        check(&Record::Gap(gap.clone()));
        check(&Record::Gap(Gap { time_ns: None, ..gap }));
        check(&Record::Forget { uplink: "mqtt".into() });
        check(&Record::Doubt { from: 77 });
    }

    #[test]
    fn a_seq_that_was_never_given_out_makes_no_record() {
        let highest = u64::MAX.to_le_bytes();
        let cursor = [&1_u64.to_le_bytes()[..], &1_u32.to_le_bytes(), &2_u64.to_le_bytes(), &highest].concat();
        let gap = [&[1, 0, 0, 0][..], &1_u64.to_le_bytes(), &highest, &[0; 24]].concat();
        for (kind, bytes) in
            [(KIND_COUNTERS, &highest[..]), (KIND_DOUBT, &highest), (KIND_CURSOR, &cursor), (KIND_GAP, &gap)]
        {
            assert_eq!(Record::decode(kind, bytes), None, "kind {kind}");
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics_and_never_makes_an_empty_range(kind in 0u8..7, bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            if let Some(Record::Gap(gap)) = Record::decode(kind, &bytes) {
                prop_assert!(gap.seqs.first <= gap.seqs.last);
            }
        }
    }
}
