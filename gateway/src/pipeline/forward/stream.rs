//! One lane's way from the log to messages: what is being read for it, and what was read.

use buffer::{Cursor, Seq, SeqRange};

use super::backlog::{Backlog, Chapter, read_chapter};
use super::supply::Supply;
use crate::pipeline::store::StoreClosed;
use crate::uplink::BoxFuture;

type Reading = BoxFuture<'static, Result<Chapter, StoreClosed>>;

/// The reads and messages of one lane.
pub(super) struct Stream {
    pub(super) supply: Supply,
    /// A read under way, and what of it is wanted.
    reading: Option<(Reading, SeqRange)>,
}

impl Stream {
    pub(super) fn new(supply: Supply) -> Stream {
        Stream { supply, reading: None }
    }

    /// Whether it is time to read on.
    pub(super) fn wants_more(&self) -> bool {
        self.reading.is_none() && self.supply.is_empty()
    }

    /// Begins to read.
    pub(super) fn read(&mut self, log: &impl Backlog, wanted: SeqRange) {
        self.reading = Some((Box::pin(read_chapter(log.clone(), wanted.first)), wanted));
    }

    /// Gives the read up that is under way.
    pub(super) fn forget_reading(&mut self) {
        self.reading = None;
    }

    /// Waits for the read under way, for ever where there is none. May be dropped and called again. What was read is
    /// taken in, without what the far side has; returns from where to read on.
    pub(super) async fn arrived(&mut self, delivered: &Cursor) -> Result<Seq, StoreClosed> {
        let Some((reading, wanted)) = &mut self.reading else { return std::future::pending().await };
        let (chapter, wanted) = (reading.as_mut().await, *wanted);
        self.reading = None;
        let chapter = chapter?;
        let next = chapter.next;
        self.supply.refill(chapter, delivered, wanted);
        Ok(next)
    }
}
