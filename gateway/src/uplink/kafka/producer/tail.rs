//! Which of the gateway's records stand in some batches.

use bytes::Bytes;

use super::encoder::FENCE;
use crate::uplink::kafka::batch::{Record, Unreadable, read};
use crate::uplink::kafka::journal::Mark;

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// Records of this gateway.
    pub(super) found: Vec<Mark>,
    /// The offset behind the last batch; `None` where there was no whole one.
    pub(super) next: Option<i64>,
}

/// Reads batches up to `until`, of which the last may reach beyond.
pub(super) fn tail(batches: Bytes, until: i64, identity: &str) -> Result<Tail, Unreadable> {
    let mut tail = Tail::default();
    for batch in read(batches)? {
        tail.next = Some(batch.next_offset);
        let before = batch.records.iter().filter(|record| record.offset < until);
        tail.found.extend(before.filter_map(|record| mark(record, identity)));
    }
    Ok(tail)
}

/// The mark of a record that this gateway wrote.
fn mark(record: &Record, identity: &str) -> Option<Mark> {
    if record.header("gateway") != Some(identity.as_bytes()) || record.header(FENCE).is_some() {
        return None;
    }
    let text = |name: &str| record.header(name).and_then(|value| std::str::from_utf8(value).ok());
    let seq = text("seq")?;
    let (first, last) = seq.split_once('-').unwrap_or((seq, seq));
    let job = text("job").and_then(|job| job.parse().ok());
    Some(Mark { job, epoch: text("epoch")?.parse().ok()?, first: first.parse().ok()?, last: last.parse().ok()? })
}
