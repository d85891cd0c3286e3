//! Readings out of the log, a page at a time, in bounds of bytes and time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use buffer::{Item, Meta, Seq};
use driver_core::{Reading, Timestamp};
use tokio::time::timeout;
use tracing::debug;

use crate::pipeline::encode::Decoder;
use crate::pipeline::schema::Schema;
use crate::pipeline::vitals::Vitals;

/// What is read of the log in one go, payload bytes.
const PAGE_BYTES: usize = 256 * 1024;

/// How far back a table that has just been begun is filled from the log.
const FILLED_FROM_NS: i64 = 120 * 1_000_000_000;

/// What that may cost.
const FILL: Bounds = Bounds { bytes: 4 << 20, time: Duration::from_secs(1) };

/// The most that a walk through the log may cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Payload bytes that are read.
    pub(super) bytes: usize,
    /// How long it takes.
    pub(super) time: Duration,
}

/// Which blocks a walk decodes, by the times of their readings.
#[derive(Debug, Clone, Copy)]
pub(super) enum Of {
    /// Each.
    AnyTime,
    /// Those that may have a reading from one time to another, both in nanoseconds since 1970 UTC.
    Times(i64, i64),
}

impl Of {
    fn takes(self, block: &Meta) -> bool {
        match self {
            Of::AnyTime => true,
            Of::Times(from, to) => block.t_min_ns <= to && block.t_max_ns >= from,
        }
    }
}

/// The readings of one block with their names.
pub(super) struct Stretch<'a> {
    /// The first seq of the block.
    pub(super) first: Seq,
    /// What they are called.
    pub(super) schema: &'a Arc<Schema>,
    /// They.
    pub(super) readings: &'a [Reading],
}

/// How a walk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The log ends here.
    AtTheEnd,
    /// Whoever looked has enough, with the block from here on.
    Enough(Seq),
    /// A bound is reached; from here it goes on.
    Bounded(Seq),
}

/// Shows what stands in the log from `from` on, until `see` says that it has enough, or a bound is reached.
pub(super) async fn walk(
    vitals: &Vitals,
    (from, blocks): (Seq, Of),
    bounds: Bounds,
    mut see: impl FnMut(&Stretch<'_>) -> bool,
) -> Result<Ended, String> {
    let mut decoder = Decoder::new().map_err(|cause| format!("cannot decode: {cause}"))?;
    let (begun, mut next, mut bytes) = (Instant::now(), from, 0);
    let mut readings = Vec::new();
    let mut named: Option<(u32, Option<Arc<Schema>>)> = None;
    loop {
        let closed = |_| "the gateway is stopping".to_owned();
        let page = timeout(bounds.time, vitals.log.read(next, PAGE_BYTES)).await;
        let page = page.map_err(|_| "the log does not answer: its disk is slow".to_owned())?.map_err(closed)?;
        if page.items.is_empty() {
            return Ok(Ended::AtTheEnd);
        }
        for item in page.items {
            let Item::Block(block) = item else { continue };
            if bytes > bounds.bytes || begun.elapsed() > bounds.time {
                return Ok(Ended::Bounded(block.seqs.first));
            }
            bytes += block.payload.len();
            if !blocks.takes(&block.meta) {
                continue;
            }
            if named.as_ref().is_none_or(|(id, _)| *id != block.meta.schema) {
                named = Some((block.meta.schema, vitals.log.schema(block.meta.schema).await.map_err(closed)?));
            }
            let Some((_, Some(schema))) = &named else { continue };
            readings.clear();
            if let Err(cause) = decoder.decode(block.meta.codec, &block.payload, &mut readings) {
                debug!(first = block.seqs.first, "a block of the log cannot be decoded: {cause}");
                continue;
            }
            vitals.redate.apply(block.epoch, &mut readings);
            if !see(&Stretch { first: block.seqs.first, schema, readings: &readings }) {
                return Ok(Ended::Enough(block.seqs.first));
            }
        }
        next = page.next;
        tokio::task::yield_now().await;
    }
}

/// The first seq of the log with a reading at or after a time, nanoseconds since 1970 UTC, within `time`.
pub(super) async fn seek(vitals: &Vitals, from_ns: i64, time: Duration) -> Result<Seq, String> {
    let found = timeout(time, vitals.log.seek(from_ns)).await;
    found.ok().and_then(Result::ok).ok_or_else(|| "the log does not answer: its disk is slow, or it is closing".into())
}

/// The time of the oldest reading of the first block that the log still has; `None` while it has none. What was delivered may
/// have gone before it.
pub(super) async fn begin(vitals: &Vitals, bounds: Bounds) -> Result<Option<Timestamp>, String> {
    let start = seek(vitals, i64::MIN, bounds.time).await?;
    let mut begin = None;
    walk(vitals, (start, Of::AnyTime), bounds, |stretch| {
        begin = stretch.readings.iter().map(|reading| reading.timestamp).min();
        begin.is_none()
    })
    .await?;
    Ok(begin)
}

/// Somebody looks at the last readings: a table that is begun by that is filled with what the log has of late.
pub(super) async fn look(vitals: &Vitals) {
    let latest = &vitals.watched.latest;
    if !vitals.watched.look(Instant::now()) {
        return;
    }
    let since = vitals.clock.now().0.0 - FILLED_FROM_NS;
    let Ok(from) = seek(vitals, since, FILL.time).await else { return };
    let filled = walk(vitals, (from, Of::AnyTime), FILL, |stretch| {
        if Arc::ptr_eq(stretch.schema, vitals.tags.schema()) {
            let fill = |reading: &Reading| latest.fill(reading.tag, &reading.value, reading.quality, reading.timestamp);
            stretch.readings.iter().for_each(fill);
        }
        true
    });
    if let Err(cause) = filled.await {
        debug!("the last readings could not be taken out of the log: {cause}");
    }
}
