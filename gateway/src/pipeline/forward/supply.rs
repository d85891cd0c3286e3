//! From what was read to messages: one block is decoded at a time, and one message made at a time.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use buffer::{Block, Class, Cursor, Gap, GapReason, Item, Seq, SeqRange};
use driver_core::Reading;
use tracing::{error, warn};

use super::backlog::Chapter;
use super::replay::Range;
use crate::pipeline::encode::{Decoder, Places};
use crate::pipeline::redate::Redate;
use crate::pipeline::schema::Schema;
use crate::uplink::format::{Format, Missing, Records};
use crate::uplink::{Lane, Message};

/// The word for the loss of a block that this version cannot decode.
const UNDECODABLE: &str = "undecodable";

/// The word for what the far side refused for good.
const QUARANTINED: &str = "quarantined";

/// The message of what a block no longer holds has this part of the block's token, which none of its readings has.
const PART_LEFT_OUT: u32 = (1 << 31) - 1;

/// What was read and is not yet messages.
pub(super) struct Supply {
    format: Box<dyn Format>,
    decoder: Decoder,
    redate: Arc<Redate>,
    lane: Lane,
    items: VecDeque<Waiting>,
    block_begun: bool,
    /// What is wanted of each block; `None`: all of it.
    choice: Option<Arc<Range>>,
    /// Nothing of the item that was begun is wanted.
    is_passed_over: bool,
    /// What the block that was begun no longer holds, to be told behind its readings.
    left_out: Option<Missing>,
    /// Readings that were made into messages since [`Supply::take_made`].
    made: u64,
}

/// An item that was read.
struct Waiting {
    item: Item,
    schema: Option<Arc<Schema>>,
    /// What of it is wanted.
    seqs: SeqRange,
}

/// The next step towards the far side.
pub(super) enum Step {
    /// An item begins.
    Begin(SeqRange),
    /// A message of the item that was begun last.
    Message(Message),
    /// The item that was begun last has no more messages.
    End,
    /// There is nothing left.
    Empty,
}

impl Supply {
    /// Fails only where zstd cannot have its memory.
    pub(super) fn new(lane: Lane, format: Box<dyn Format>, redate: Arc<Redate>) -> io::Result<Supply> {
        Ok(Supply {
            lane,
            format,
            decoder: Decoder::new()?,
            redate,
            items: VecDeque::new(),
            block_begun: false,
            choice: None,
            is_passed_over: false,
            left_out: None,
            made: 0,
        })
    }

    /// Another one, for another lane.
    pub(super) fn another(&self, lane: Lane) -> io::Result<Supply> {
        Supply::new(lane, self.format.another(), self.redate.clone())
    }

    /// Another one, for what a replay wants.
    pub(super) fn of_replay(&self, job: u32, range: Range) -> io::Result<Supply> {
        let supply = self.another(Lane::Replay(job))?;
        Ok(Supply { choice: Some(Arc::new(range)), ..supply })
    }

    /// How many readings were made into messages since this was last asked.
    pub(super) fn take_made(&mut self) -> u64 {
        std::mem::take(&mut self.made)
    }

    /// The first seq of the items that wait.
    pub(super) fn first_seq(&self) -> Option<Seq> {
        self.items.front().map(|waiting| waiting.seqs.first)
    }

    /// Takes in what was read and is wanted, without what the far side has already.
    pub(super) fn refill(&mut self, chapter: Chapter, delivered: &Cursor, wanted: SeqRange) {
        for (item, schema) in chapter.items {
            let SeqRange { first, last } = item.seqs();
            let seqs = SeqRange { first: first.max(wanted.first), last: last.min(wanted.last) };
            if seqs.first <= seqs.last && !delivered.covers(seqs) {
                self.items.push_back(Waiting { item, schema, seqs });
            }
        }
    }

    /// Whether more is to be read.
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty() && !self.block_begun
    }

    /// The messages of an item are asked for one by one: `Begin`, its messages, `End`.
    pub(super) fn step(&mut self) -> Step {
        if self.block_begun {
            if !self.is_passed_over
                && let Some(message) = self.format.next()
            {
                return Step::Message(message);
            }
            if let Some(missing) = self.left_out.take() {
                let mut message = self.format.gap(&missing);
                message.token.part = PART_LEFT_OUT;
                return Step::Message(message);
            }
            (self.is_passed_over, self.block_begun) = (false, false);
            return Step::End;
        }
        match self.items.front() {
            Some(waiting) => Step::Begin(waiting.seqs),
            None => Step::Empty,
        }
    }

    /// Opens the item that [`Step::Begin`] named. A gap is one message; a block's come from [`Supply::step`].
    pub(super) fn open(&mut self) -> Option<Message> {
        let Waiting { item, schema, seqs } = self.items.pop_front()?;
        match item {
            Item::Gap(_) if self.choice.is_some() => {
                (self.is_passed_over, self.block_begun) = (true, true);
                None
            }
            Item::Gap(gap) => {
                warn!(readings = gap.count, reason = gap.reason.name(), "readings will never come: {}", gap.seqs);
                let missing = if seqs == gap.seqs { gap } else { Gap { seqs, count: seqs.count(), ..gap } };
                let reason = missing.reason.name();
                Some(self.format.gap(&Missing { lane: self.lane, reason, gap: missing, epoch: 0 }))
            }
            Item::Block(block) => self.open_block(&block, seqs, schema),
        }
    }

    /// Messages that say the same as this one, which was made of this block, in two parts or more.
    pub(super) fn halves(&mut self, message: &Message, block: &Block, schema: Option<Arc<Schema>>) -> Vec<Message> {
        let mut readings = Vec::with_capacity(block.meta.count as usize);
        let Ok(places) = self.decoder.decode_block(block, &mut readings) else { return Vec::new() };
        self.redate.apply(block.epoch, &mut readings);
        let SeqRange { mut first, mut last } = message.seqs;
        while first < last {
            let middle = first + (last - first) / 2;
            let mut halves = [SeqRange { first, last: middle }, SeqRange { first: middle + 1, last }].map(|seqs| {
                let records =
                    part_of(&readings, places.as_deref(), block, seqs, message.token.seq, self.lane, schema.clone());
                self.of_its_kind(records, message)
            });
            // Readings of other messages lie in between: all of this one's may be in one half.
            match halves.each_ref().map(Vec::is_empty) {
                [false, false] => {
                    let [mut low, high] = std::mem::take(&mut halves);
                    low.extend(high);
                    return low;
                }
                [true, false] => first = middle + 1,
                [false, true] => last = middle,
                [true, true] => return Vec::new(),
            }
        }
        Vec::new()
    }

    /// The message that tells of another, made of this block, that it will not come; `None` of the block where it is gone.
    pub(super) fn declaration(&mut self, message: &Message, block: Option<&Block>) -> Message {
        let newest = message.time.map(|time| time.0);
        let oldest = block.filter(|_| message.readings > 1).map(|block| block.meta.t_min_ns);
        let gap = Gap {
            class: block.map_or(Class::Normal, |block| block.class),
            seqs: message.seqs,
            count: u64::from(message.readings),
            time_ns: newest.map(|newest| (oldest.unwrap_or(newest).min(newest), newest)),
            reason: GapReason::Discarded,
        };
        self.format.gap(&Missing { lane: message.lane(), gap, reason: QUARANTINED, epoch: message.epoch })
    }

    /// The messages of these records that go where `message` goes.
    fn of_its_kind(&mut self, records: Records, message: &Message) -> Vec<Message> {
        self.format.begin(records);
        let all = std::iter::from_fn(|| self.format.next());
        all.filter(|made| made.topic == message.topic && made.key == message.key).collect()
    }

    fn open_block(&mut self, block: &Block, seqs: SeqRange, schema: Option<Arc<Schema>>) -> Option<Message> {
        let mut readings = Vec::with_capacity(block.meta.count as usize);
        match self.decoder.decode_block(block, &mut readings) {
            Ok(places) => {
                if schema.is_none() {
                    error!(schema = block.meta.schema, "the names of the tags in {} are lost", block.seqs);
                }
                self.redate.apply(block.epoch, &mut readings);
                let mut offsets = places;
                if seqs != block.seqs || offsets.is_some() {
                    let from = (seqs.first - block.seqs.first) as u32;
                    let to = (seqs.last - block.seqs.first) as u32;
                    offsets = choose(&mut readings, offsets, from, |place, _| (from..=to).contains(&place));
                    self.left_out = left_out(self.lane, block, seqs, readings.len());
                }
                if let Some(range) = self.choice.clone() {
                    self.left_out = None;
                    let wants = |reading: &Reading| range.wants(reading.timestamp.0, reading.tag, schema.as_deref());
                    offsets = choose(&mut readings, offsets, 0, |_, reading| wants(reading));
                }
                self.block_begun = true;
                self.is_passed_over = readings.is_empty();
                self.made += readings.len() as u64;
                if !self.is_passed_over {
                    let (lane, epoch, first) = (self.lane, block.epoch, seqs.first);
                    self.format.begin(Records { lane, epoch, first, readings, offsets, schema });
                }
                None
            }
            Err(cause) => {
                error!(readings = block.seqs.count(), "a stored block is skipped and reported as lost: {cause}");
                Some(self.format.gap(&undecodable(self.lane, block, seqs)))
            }
        }
    }
}

/// The readings of a block that lie in `seqs`; `first` is what their messages have their tokens from.
fn part_of(
    readings: &[Reading],
    places: Option<&[u32]>,
    block: &Block,
    seqs: SeqRange,
    first: Seq,
    lane: Lane,
    schema: Option<Arc<Schema>>,
) -> Records {
    let seq_of = |index: usize| block.seqs.first + places.map_or(index as Seq, |places| Seq::from(places[index]));
    let numbered = readings.iter().enumerate().map(|(index, reading)| (seq_of(index), reading));
    let numbered = numbered.filter(|(seq, _)| seqs.contains(*seq));
    let (offsets, readings): (Vec<u32>, Vec<Reading>) =
        numbered.map(|(seq, reading)| ((seq - first) as u32, reading.clone())).unzip();
    Records { lane, epoch: block.epoch, first, readings, offsets: Some(offsets.into()), schema }
}

/// Leaves the readings that are wanted; how far the place of each lies above `from`, where they do not follow one another
/// from there on.
fn choose(
    readings: &mut Vec<Reading>,
    places: Option<Places>,
    from: u32,
    is_wanted: impl Fn(u32, &Reading) -> bool,
) -> Option<Places> {
    let (mut index, mut offsets) = (0, Vec::new());
    readings.retain(|reading| {
        let place = places.as_ref().map_or(index as u32, |places| places[index]);
        index += 1;
        let is_wanted = is_wanted(place, reading);
        if is_wanted {
            offsets.push(place - from);
        }
        is_wanted
    });
    (!offsets.iter().copied().eq(0..offsets.len() as u32)).then(|| offsets.into())
}

/// What of these seqs a block no longer holds, of which it holds `held`; `None` where that is nothing.
fn left_out(lane: Lane, block: &Block, seqs: SeqRange, held: usize) -> Option<Missing> {
    let count = seqs.count() - held as u64;
    let time_ns = Some((block.meta.t_min_ns, block.meta.t_max_ns));
    let gap = Gap { class: block.class, seqs, count, time_ns, reason: GapReason::Downsampled };
    (count > 0).then(|| Missing { lane, reason: gap.reason.name(), gap, epoch: block.epoch })
}

fn undecodable(lane: Lane, block: &Block, seqs: SeqRange) -> Missing {
    let gap = Gap {
        class: Class::Normal,
        seqs,
        count: seqs.count(),
        time_ns: Some((block.meta.t_min_ns, block.meta.t_max_ns)),
        reason: GapReason::Damaged,
    };
    Missing { lane, gap, reason: UNDECODABLE, epoch: block.epoch }
}
