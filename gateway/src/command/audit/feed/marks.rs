//! What a record's headers say of it, whatever its format.

use buffer::{Seq, SeqRange};

/// What a record says beside its payload: enough to prove that it is there, once and in order of its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::command::audit) struct Marks {
    pub(in crate::command::audit) epoch: u32,
    pub(in crate::command::audit) seqs: SeqRange,
    pub(in crate::command::audit) key: Box<str>,
    pub(in crate::command::audit) what: Marked,
    /// The record's time, nanoseconds since 1970.
    pub(in crate::command::audit) time_ns: i64,
}

/// What the record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::command::audit) enum Marked {
    Reading,
    /// Of which only the lowest and the highest seq are known.
    Batch,
    Gap,
}

impl Marks {
    /// What these headers say; `None` where they are not a gateway's.
    pub(super) fn of(epoch: &[u8], seq: &[u8], content_type: &[u8], key: &[u8], time_ms: i64) -> Option<Marks> {
        let text = |bytes| std::str::from_utf8(bytes).ok();
        let (first, last) = match text(seq)?.split_once('-') {
            Some((first, last)) => (first.parse::<Seq>().ok()?, last.parse::<Seq>().ok()?),
            None => (text(seq)?.parse().ok()?, text(seq)?.parse().ok()?),
        };
        let content_type = text(content_type)?;
        let what = match () {
            () if content_type.ends_with(";type=gap") => Marked::Gap,
            () if content_type.ends_with(";type=batch") => Marked::Batch,
            () => Marked::Reading,
        };
        let epoch = text(epoch)?.parse().ok()?;
        let key = String::from_utf8_lossy(key).into();
        let time_ns = time_ms.saturating_mul(1_000_000);
        (first <= last).then_some(Marks { epoch, seqs: SeqRange { first, last }, key, what, time_ns })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_tell_readings_batches_and_gaps_apart() {
        let of = |seq: &str, kind: &str| Marks::of(b"7", seq.as_bytes(), kind.as_bytes(), b"press/t", 5);
        let one = of("12", "application/avro").expect("marks");
        assert_eq!((one.what, one.seqs, one.epoch), (Marked::Reading, SeqRange { first: 12, last: 12 }, 7));
        assert_eq!((&*one.key, one.time_ns), ("press/t", 5_000_000));
        assert_eq!(of("12-19", "application/avro;type=batch").map(|marks| marks.what), Some(Marked::Batch));
        assert_eq!(of("12-19", "application/protobuf;type=gap").map(|marks| marks.what), Some(Marked::Gap));
        for seq in ["", "x", "9-3", "-"] {
            assert_eq!(of(seq, "application/avro"), None, "{seq}");
        }
    }
}
