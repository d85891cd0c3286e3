//! Sealed blocks are put together into larger ones in the background: an outage fills the log with a block a flush, and
//! one column over sixty polls costs a fraction of sixty columns. When room becomes scarce, blocks of bulk are thinned as
//! well: they go on standing for all of their seqs, hold what [`thin`] leaves, and say what they left out.
//!
//! A block is what its seqs say, for ever: so a larger or thinner block must give back the readings that it is to hold, in
//! the same order, which is tried each time. The thread that waits here reads through the store's queue like an uplink, and
//! takes one part in four of the time.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use buffer::{
    BLOCK_ENVELOPE_BYTES, BLOCK_PAYLOAD_BYTES_MAX, Block, Item, Meta, NewBlock, Replaced, Replacement, Seq, Stretch,
};
use driver_core::Reading;
use tokio::sync::oneshot;
use tracing::{error, warn};

use super::Page;
use super::inbox::{Inbox, Request};
use super::thin;
use crate::pipeline::encode::{Decoder, Encoder, PLACES_MAX, Undecodable};
use crate::pipeline::panic::message;

/// The level of blocks that were put together.
pub(super) const LEVEL_REPACKED: u8 = 1;

/// So many blocks become one at most: about a minute of polls each second.
const BLOCKS_MAX: usize = 60;

/// So many readings one block has at most; an uplink holds them decoded.
const READINGS_MAX: usize = 16_384;

/// Blocks that are thinned together are read up to about this many readings: windows are cut where it ends.
const THINNED_TOGETHER: usize = 2 * READINGS_MAX;

const READ_BYTES_MAX: usize = 128 * 1024;

/// For each part of the time that the work takes, so many parts are left to others.
const REST: u32 = 3;

/// What is to be put together.
pub(super) struct Job {
    pub(super) stretch: Stretch,
    pub(super) replacement: Replacement,
    /// How much of it is to be left out.
    pub(super) thinning: Thinning,
}

/// How much of the readings is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thinning {
    /// None of them.
    Nothing,
    /// All but a few of each tag and window of this length.
    Windows(Duration),
}

/// The thread.
pub(super) struct Repacker {
    jobs: SyncSender<Job>,
}

impl Repacker {
    pub(super) fn start(inbox: Arc<Inbox>) -> io::Result<Repacker> {
        let (jobs, waiting): (SyncSender<Job>, Receiver<Job>) = sync_channel(1);
        let mut pack =
            Pack { decoder: Decoder::new()?, encoder: Encoder::new()?, thinning: Thinning::Nothing, run: Vec::new() };
        thread::Builder::new().name("repack".into()).spawn(move || {
            for job in waiting {
                let worked = catch_unwind(AssertUnwindSafe(|| pack.work(&inbox, job)));
                let replaced = worked.unwrap_or_else(|panic| {
                    error!("putting blocks together {}: they stay as they are; please report this", message(&*panic));
                    None
                });
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
    thinning: Thinning,
    /// Blocks that are looked at together.
    run: Vec<Part>,
}

/// A block, and of its readings those that are to stay, with their seqs.
struct Part {
    block: Block,
    /// How many readings the block holds.
    held: u64,
    readings: Vec<(Seq, Reading)>,
}

impl Pack {
    /// `None`: it is given up, and everything stays as it is.
    fn work(&mut self, inbox: &Inbox, job: Job) -> Option<Replaced> {
        let Job { stretch, mut replacement, thinning } = job;
        self.run.clear();
        self.thinning = thinning;
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
        let Ok(part) = self.part(block.clone()) else {
            // What this version cannot decode stays as it is.
            self.flush(into)?;
            return add(into, &block);
        };
        let held: usize = self.run.iter().map(|part| part.readings.len()).sum();
        let fits = self.run.last().is_none_or(|last| match self.thinning {
            Thinning::Nothing => {
                follows(last, &part) && self.run.len() < BLOCKS_MAX && held + part.readings.len() <= READINGS_MAX
            }
            Thinning::Windows(_) => is_alike(last, &part) && held + part.readings.len() <= THINNED_TOGETHER,
        });
        if !fits {
            self.flush(into)?;
        }
        self.run.push(part);
        Ok(())
    }

    fn part(&mut self, block: Block) -> Result<Part, Undecodable> {
        let mut readings = Vec::with_capacity(block.meta.count as usize);
        let places = self.decoder.decode_block(&block, &mut readings)?;
        let seq_of = |index: usize| places.as_ref().map_or(index as Seq, |places| Seq::from(places[index]));
        let first = block.seqs.first;
        let readings = readings.into_iter().enumerate().map(|(index, reading)| (first + seq_of(index), reading));
        Ok(Part { held: readings.len() as u64, readings: readings.collect(), block })
    }

    fn flush(&mut self, into: &mut Replacement) -> buffer::Result<()> {
        let mut run = std::mem::take(&mut self.run);
        let Thinning::Windows(window) = self.thinning else { return self.write(&run, into) };
        let all = run.iter().flat_map(|part| &part.readings).map(|(_, reading)| reading);
        let mut kept = thin::kept(all, window).into_iter();
        for part in &mut run {
            part.readings.retain(|_| kept.next().unwrap_or(true));
        }
        // Blocks of other classes may lie in between.
        for run in run.chunk_by(|left, right| left.block.seqs.last + 1 == right.block.seqs.first) {
            self.write_thinned(run, into)?;
        }
        Ok(())
    }

    /// As few blocks as hold it.
    fn write_thinned(&mut self, run: &[Part], into: &mut Replacement) -> buffer::Result<()> {
        let mut rest = run;
        while !rest.is_empty() {
            let (mut readings, mut seqs) = (0, 0);
            let fits = rest.iter().take_while(|part| {
                readings += part.readings.len();
                seqs += part.block.seqs.count();
                readings <= READINGS_MAX && seqs <= PLACES_MAX as u64
            });
            let (together, after) = rest.split_at(fits.count().max(1));
            self.write(together, into)?;
            rest = after;
        }
        Ok(())
    }

    /// As one block where that says what it is to say and is smaller, otherwise as halves.
    fn write(&mut self, run: &[Part], into: &mut Replacement) -> buffer::Result<()> {
        let [first, rest @ ..] = run else { return Ok(()) };
        let is_thinner = self.thinning != Thinning::Nothing;
        if rest.is_empty() && !is_thinner {
            return add(into, &first.block);
        }
        if let Some((meta, payload)) = self.together(run) {
            into.leave_out(run.iter().map(|part| part.held - part.readings.len() as u64).sum());
            return into.add(first.block.seqs.first, first.block.epoch, &NewBlock { meta, payload: &payload });
        }
        if rest.is_empty() {
            return add(into, &first.block);
        }
        let (left, right) = run.split_at(run.len() / 2);
        self.write(left, into)?;
        self.write(right, into)
    }

    fn together(&mut self, run: &[Part]) -> Option<(Meta, Vec<u8>)> {
        let (first, last) = (&run.first()?.block, &run.last()?.block);
        let from = first.seqs.first;
        let count = u32::try_from(last.seqs.last - from + 1).ok()?;
        let held = run.iter().flat_map(|part| &part.readings);
        let (places, readings): (Vec<u32>, Vec<Reading>) =
            held.map(|(seq, reading)| ((seq - from) as u32, reading.clone())).unzip();
        let mut payload = Vec::new();
        let codec = if places.len() == count as usize {
            self.encoder.encode(&readings, &mut payload)
        } else {
            self.encoder.encode_thinned(&readings, &places, &mut payload)
        };
        let bytes: usize = run.iter().map(|part| BLOCK_ENVELOPE_BYTES + part.block.payload.len()).sum();
        let is_better = payload.len() <= BLOCK_PAYLOAD_BYTES_MAX && payload.len() + BLOCK_ENVELOPE_BYTES < bytes;
        let mut again = Vec::with_capacity(readings.len());
        let is_same = is_better
            && self.decoder.decode(codec, &payload, &mut again).is_ok()
            && again.len() == readings.len()
            && again.iter().zip(&readings).all(|(one, other)| is_identical(one, other));
        let t_min_ns = run.iter().map(|part| part.block.meta.t_min_ns).min()?;
        let t_max_ns = run.iter().map(|part| part.block.meta.t_max_ns).max()?;
        is_same.then_some((Meta { count, t_min_ns, t_max_ns, codec, ..first.meta }, payload))
    }
}

/// Adds a block as it was.
fn add(into: &mut Replacement, block: &Block) -> buffer::Result<()> {
    into.add(block.seqs.first, block.epoch, &NewBlock { meta: block.meta, payload: &block.payload })
}

/// Whether the readings of both mean the same.
fn is_alike(one: &Part, other: &Part) -> bool {
    let kind = |part: &Part| (part.block.epoch, part.block.meta.schema, part.block.meta.flags);
    kind(one) == kind(other)
}

/// Whether the second can become one block with the first.
fn follows(first: &Part, second: &Part) -> bool {
    is_alike(first, second) && first.block.seqs.last + 1 == second.block.seqs.first
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
