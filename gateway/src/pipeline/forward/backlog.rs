//! The log as one uplink sees it.

use std::sync::Arc;
use std::time::Duration;

use buffer::{Cursor, Item, Seq, SeqRange};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::pipeline::schema::Schema;
use crate::pipeline::store::{Page, StoreClosed, StoreHandle};
use crate::uplink::BoxFuture;

/// How many payload bytes are read at once; decoded and written as JSON about forty times as many.
const READ_BYTES_MAX: usize = 64 * 1024;

/// How long to wait before what could not be read is read again.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What an uplink asks of the log. A clone asks the same log for the same uplink.
pub trait Backlog: Clone + Send + Sync + 'static {
    /// Where the uplink stands.
    fn cursor(&self) -> BoxFuture<'_, Result<Option<Cursor>, StoreClosed>>;

    /// The items from `from` on, about `bytes_max` payload bytes; empty at the end of the log, and before it while the
    /// disk refuses.
    fn read(&self, from: Seq, bytes_max: usize) -> BoxFuture<'_, Result<Page, StoreClosed>>;

    /// The seq of the first block with a reading at or after this time, nanoseconds since 1970 UTC.
    fn seek(&self, t_ns: i64) -> BoxFuture<'_, Result<Seq, StoreClosed>>;

    /// The names behind a block's tag ids.
    fn schema(&self, id: u32) -> BoxFuture<'_, Result<Option<Arc<Schema>>, StoreClosed>>;

    /// The seq after the last one, and notice whenever it grows.
    fn end(&self) -> watch::Receiver<Seq>;

    /// Marks seqs as delivered.
    fn acknowledge(&self, seqs: Vec<SeqRange>);
}

/// The real log, for the uplink of this name.
#[derive(Clone)]
pub struct Stored {
    /// The way to the store thread.
    pub store: StoreHandle,
    /// The uplink's name.
    pub uplink: Arc<str>,
}

impl Backlog for Stored {
    fn cursor(&self) -> BoxFuture<'_, Result<Option<Cursor>, StoreClosed>> {
        Box::pin(self.store.cursor(&self.uplink))
    }

    fn read(&self, from: Seq, bytes_max: usize) -> BoxFuture<'_, Result<Page, StoreClosed>> {
        Box::pin(self.store.read(from, bytes_max))
    }

    fn seek(&self, t_ns: i64) -> BoxFuture<'_, Result<Seq, StoreClosed>> {
        Box::pin(self.store.seek(t_ns))
    }

    fn schema(&self, id: u32) -> BoxFuture<'_, Result<Option<Arc<Schema>>, StoreClosed>> {
        Box::pin(self.store.schema(id))
    }

    fn end(&self) -> watch::Receiver<Seq> {
        self.store.end()
    }

    fn acknowledge(&self, seqs: Vec<SeqRange>) {
        self.store.acknowledge(&self.uplink, seqs);
    }
}

/// Items with what their tag ids mean.
pub(super) struct Chapter {
    /// In the order of their seqs.
    pub(super) items: Vec<(Item, Option<Arc<Schema>>)>,
    /// From where to read on.
    pub(super) next: Seq,
}

/// Waits until there is something at or after `from`, and reads it.
pub(super) async fn read_chapter(log: impl Backlog, from: Seq) -> Result<Chapter, StoreClosed> {
    let mut end = log.end();
    let page = loop {
        // Marked as seen before the read, so that what is stored meanwhile wakes the wait below.
        let known_end = *end.borrow_and_update();
        let page = log.read(from, READ_BYTES_MAX).await?;
        if !page.items.is_empty() {
            break page;
        }
        if page.next < known_end {
            sleep(READ_AGAIN_AFTER).await;
        } else {
            end.changed().await.map_err(|_| StoreClosed)?;
        }
    };
    let mut items = Vec::with_capacity(page.items.len());
    let mut known: Option<(u32, Option<Arc<Schema>>)> = None;
    for item in page.items {
        let schema = match &item {
            Item::Gap(_) => None,
            Item::Block(block) => {
                let id = block.meta.schema;
                if known.as_ref().is_none_or(|(known, _)| *known != id) {
                    known = Some((id, log.schema(id).await?));
                }
                known.as_ref().and_then(|(_, schema)| schema.clone())
            }
        };
        items.push((item, schema));
    }
    Ok(Chapter { items, next: page.next })
}
