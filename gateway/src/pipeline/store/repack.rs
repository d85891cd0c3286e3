//! Sealed blocks are put together into larger ones in the background: an outage fills the log with a block a flush, and
//! one column over sixty polls costs a fraction of sixty columns.
//!
//! A block is what its seqs say, for ever: so blocks are put together only where the larger one gives back the same readings
//! in the same order, which is tried each time. The thread that waits here reads through the store's queue like an uplink,
//! and takes one part in four of the time.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Instant;

use buffer::{
    BLOCK_ENVELOPE_BYTES, BLOCK_PAYLOAD_BYTES_MAX, Block, Item, Meta, NewBlock, Replaced, Replacement, Seq, Stretch,
};
use driver_core::Reading;
use tokio::sync::oneshot;
use tracing::warn;

use super::Page;
use super::inbox::{Inbox, Request};
use crate::pipeline::encode::{Decoder, Encoder};

/// The level of blocks that were put together.
pub(super) const LEVEL_REPACKED: u8 = 1;

/// So many blocks become one at most: about a minute of polls each second.
const BLOCKS_MAX: usize = 60;

/// So many readings one block has at most; an uplink holds them decoded.
const READINGS_MAX: usize = 16_384;

const READ_BYTES_MAX: usize = 128 * 1024;

/// For each part of the time that the work takes, so many parts are left to others.
const REST: u32 = 3;

/// What is to be put together.
pub(super) struct Job {
    pub(super) stretch: Stretch,
    pub(super) replacement: Replacement,
}

/// The thread.
pub(super) struct Repacker {
    jobs: SyncSender<Job>,
}

impl Repacker {
    pub(super) fn start(inbox: Arc<Inbox>) -> io::Result<Repacker> {
        let (jobs, waiting): (SyncSender<Job>, Receiver<Job>) = sync_channel(1);
        let mut pack = Pack { decoder: Decoder::new()?, encoder: Encoder::new()?, run: Vec::new() };
        thread::Builder::new().name("repack".into()).spawn(move || {
            for job in waiting {
                let replaced = pack.work(&inbox, job);
                inbox.request(Request::Repacked(replaced.map(Box::new)));
            }
        })?;
        Ok(Repacker { jobs })
    }

    /// Hands a job over; `false` when the thread is at work or gone.
    pub(super) fn begin(&self, job: Job) -> bool {
        self.jobs.try_send(job).is_ok()
    }
}

struct Pack {
    decoder: Decoder,
    encoder: Encoder,
    /// Blocks that follow one another and may become one.
    run: Vec<Block>,
}

impl Pack {
    /// `None`: it is given up, and everything stays as it is.
    fn work(&mut self, inbox: &Inbox, job: Job) -> Option<Replaced> {
        let Job { stretch, mut replacement } = job;
        self.run.clear();
        match self.fill(inbox, &stretch, &mut replacement) {
            Ok(true) => Some(replacement.finish()),
            Ok(false) => None,
            Err(cause) => {
                warn!("blocks are not put together: {cause}. They stay as they are");
                None
            }
        }
    }

    /// Whether everything is in the replacement.
    fn fill(&mut self, inbox: &Inbox, stretch: &Stretch, into: &mut Replacement) -> buffer::Result<bool> {
        let mut at = stretch.seqs.first;
        while at <= stretch.seqs.last {
            let begun = Instant::now();
            let Some(page) = read(inbox, at).filter(|page| page.next > at) else { return Ok(false) };
            at = page.next;
            for item in page.items {
                match item {
                    Item::Block(block) if block.class != stretch.class || block.seqs.first > stretch.seqs.last => {}
                    Item::Block(block) => self.push(block, into)?,
                    Item::Gap(_) => {}
                }
            }
            thread::sleep(begun.elapsed() * REST);
        }
        self.flush(into)?;
        Ok(true)
    }

    fn push(&mut self, block: Block, into: &mut Replacement) -> buffer::Result<()> {
        let readings: usize = self.run.iter().map(|block| block.meta.count as usize).sum();
        let fits = self.run.last().is_none_or(|last| {
            let kind = |block: &Block| (block.epoch, block.meta.schema, block.meta.flags);
            last.seqs.last + 1 == block.seqs.first
                && kind(last) == kind(&block)
                && self.run.len() < BLOCKS_MAX
                && readings + block.meta.count as usize <= READINGS_MAX
        });
        if !fits {
            self.flush(into)?;
        }
        self.run.push(block);
        Ok(())
    }

    fn flush(&mut self, into: &mut Replacement) -> buffer::Result<()> {
        let run = std::mem::take(&mut self.run);
        self.write(&run, into)
    }

    /// As one block where that says the same and is smaller, otherwise as halves.
    fn write(&mut self, run: &[Block], into: &mut Replacement) -> buffer::Result<()> {
        match run {
            [] => Ok(()),
            [only] => into.add(only.seqs.first, only.epoch, &NewBlock { meta: only.meta, payload: &only.payload }),
            [first, ..] => {
                if let Some((meta, payload)) = self.together(run) {
                    return into.add(first.seqs.first, first.epoch, &NewBlock { meta, payload: &payload });
                }
                let (left, right) = run.split_at(run.len() / 2);
                self.write(left, into)?;
                self.write(right, into)
            }
        }
    }

    fn together(&mut self, run: &[Block]) -> Option<(Meta, Vec<u8>)> {
        let mut readings: Vec<Reading> = Vec::new();
        for block in run {
            let before = readings.len();
            self.decoder.decode(block.meta.codec, &block.payload, &mut readings).ok()?;
            (readings.len() - before == block.meta.count as usize).then_some(())?;
        }
        let mut payload = Vec::new();
        let codec = self.encoder.encode(&readings, &mut payload);
        let bytes: usize = run.iter().map(|block| BLOCK_ENVELOPE_BYTES + block.payload.len()).sum();
        let mut again = Vec::with_capacity(readings.len());
        let is_better = payload.len() <= BLOCK_PAYLOAD_BYTES_MAX && payload.len() + BLOCK_ENVELOPE_BYTES < bytes;
        let is_same = is_better
            && self.decoder.decode(codec, &payload, &mut again).is_ok()
            && again.len() == readings.len()
            && again.iter().zip(&readings).all(|(one, other)| is_identical(one, other));
        let (first, count) = (run.first()?.meta, readings.len() as u32);
        let t_min_ns = run.iter().map(|block| block.meta.t_min_ns).min()?;
        let t_max_ns = run.iter().map(|block| block.meta.t_max_ns).max()?;
        is_same.then_some((Meta { count, t_min_ns, t_max_ns, codec, ..first }, payload))
    }
}

/// Also where a value is not a number, which is equal to none.
fn is_identical(one: &Reading, other: &Reading) -> bool {
    one == other || format!("{one:?}") == format!("{other:?}")
}

/// As an uplink reads; `None` when the store is closed.
fn read(inbox: &Inbox, from: Seq) -> Option<Page> {
    let (reply, answer) = oneshot::channel();
    inbox.request(Request::Read { from, bytes_max: READ_BYTES_MAX, reply });
    answer.blocking_recv().ok()
}
