//! One partition as one lane sees it: what is on its way there, and what to do when it is not known what has arrived.
//!
//! ```text
//! Opening --end--> Ready <-----------------------------+
//!                   |  ^                                |
//!    no answer      v  | our last batch is among ours   | read up to the fence
//!                 Doubtful                              |
//!                   |  \ nothing, or another sequence   |
//!   a higher epoch  v   +-> Raising --fence--> Reading -+
//!                Foreign
//! ```

mod answers;
mod recover;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ask::{Ask, Sent};
use super::encoder::Encoder;
use super::intent::{Intent, RECORDS_MAX};
use crate::uplink::kafka::batch::Stamp;
use crate::uplink::kafka::journal::{Entry, Mark, StreamKey, StreamMemory, advance};
use crate::uplink::kafka::wire::TopicId;
use crate::uplink::{Lasting, Message, SeqRange, Token};

/// As many batches of one producer as a partition recognises again.
pub(super) const INTENTS_MAX: usize = 5;

/// What is read behind a fence at most, bytes and time.
const TAIL_BYTES_MAX: usize = 64 << 20;
const TAIL_WITHIN: Duration = Duration::from_secs(60);

/// Messages of an earlier life that do not come within this will not come in this shape: the partition is read instead.
const FILLED_WITHIN: Duration = Duration::from_secs(10);

/// Another gateway that has been silent for this long is gone.
const FOREIGN_QUIET: Duration = Duration::from_secs(600);
/// How often it is looked whether it is gone.
const FOREIGN_LOOK_EVERY: Duration = Duration::from_secs(60);

const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// One partition in one lane.
#[derive(Debug)]
pub(super) struct Stream {
    /// Its number in the journal.
    number: u32,
    pub(super) key: StreamKey,
    pub(super) topic: TopicId,
    producer: i64,
    epoch: i16,
    next: i32,
    /// Nothing of ours that is in doubt lies below this offset.
    base: i64,
    pub(super) phase: Phase,
    intents: VecDeque<Intent>,
    intents_made: u64,
    pending: VecDeque<Arc<Message>>,
    /// Requests with batches of this stream on their way.
    in_flight: usize,
    /// A batch failed: all go again, once nothing is on its way.
    must_go_again: bool,
    /// Whether a question of [`Stream::control`] is on its way.
    is_asking: bool,
    not_before: Option<Instant>,
    failures: u32,
    /// Records of the next batch at most, after one was too large.
    records_max: usize,
    /// The epoch that the partition was seen to have.
    epoch_seen: i16,
    /// Since when messages of an earlier life are waited for.
    waiting_since: Option<Instant>,
    /// Marks that were settled and are not expected any more.
    settled: Vec<Mark>,
    /// Whether it was said that another gateway produces here.
    foreign_told: bool,
    /// Whether the partition may have records of which nothing is remembered.
    pub(super) is_unsettled: bool,
    /// Whether the partition was seen to know this producer since it last had all. One that does not takes any sequence: a
    /// batch behind one that it refused, or that got lost, would get in.
    is_known: bool,
    /// Whether messages of another lane may be among those that it holds.
    has_strangers: bool,
}

/// What is known of a partition.
#[derive(Debug)]
pub(super) enum Phase {
    /// It was never produced to: where it ends is asked first.
    Opening,
    /// It takes batches.
    Ready,
    /// Something may have arrived: it is asked what it remembers.
    Doubtful,
    /// The epoch is raised and the fence is to be set.
    Raising,
    /// What stands before the fence is read.
    Reading(Reading),
    /// Another gateway produces under this one's identity.
    Foreign { until: Instant },
}

/// How far the reading has come.
#[derive(Debug)]
pub(super) struct Reading {
    at: i64,
    fence: i64,
    found: Vec<Mark>,
    bytes: usize,
    since: Option<Instant>,
    /// Why it cannot be whole.
    gap: Option<String>,
}

/// What a stream has to say.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) delivered: Vec<Token>,
    pub(super) refused: Vec<(Arc<Message>, Lasting, String)>,
    /// The partition was read: it has these that are not in our hands.
    pub(super) found: Option<Vec<Mark>>,
    pub(super) look_again: bool,
    pub(super) fenced: bool,
    /// How many messages may stand twice, and why.
    pub(super) doubled: Option<(u64, String)>,
    pub(super) foreign: bool,
}

impl Stream {
    pub(super) fn new(number: u32, key: StreamKey, topic: TopicId, producer: i64) -> Stream {
        Stream {
            number,
            key,
            topic,
            producer,
            epoch: 0,
            next: 0,
            base: 0,
            phase: Phase::Opening,
            intents: VecDeque::new(),
            intents_made: 0,
            pending: VecDeque::new(),
            in_flight: 0,
            must_go_again: false,
            is_asking: false,
            not_before: None,
            failures: 0,
            records_max: RECORDS_MAX,
            epoch_seen: 0,
            waiting_since: None,
            settled: Vec::new(),
            foreign_told: false,
            is_unsettled: false,
            is_known: false,
            has_strangers: false,
        }
    }

    pub(super) fn remembered(number: u32, memory: StreamMemory) -> Stream {
        let mut stream = Stream::new(number, memory.key, memory.topic, memory.producer);
        (stream.epoch, stream.next, stream.base) = (memory.epoch, memory.next, memory.base);
        stream.is_unsettled = memory.is_unsettled;
        stream.phase = match (memory.is_unsettled, memory.open.is_empty()) {
            (true, _) => Phase::Raising,
            (false, true) => Phase::Ready,
            (false, false) => Phase::Doubtful,
        };
        for open in memory.open {
            stream.intents_made += 1;
            stream.intents.push_back(Intent::remembered(stream.intents_made, open.sequence, open.marks));
        }
        stream
    }

    /// Marks of intents whose messages are not here.
    pub(super) fn missing_marks(&self) -> impl Iterator<Item = Mark> {
        let missing = |intent: &Intent| {
            let pairs = intent.marks.iter().zip(&intent.messages);
            pairs.filter(|(_, message)| message.is_none()).map(|(mark, _)| *mark).collect::<Vec<_>>()
        };
        self.intents.iter().flat_map(missing).collect::<Vec<_>>().into_iter()
    }

    /// The seqs of each intent, from the lowest to the highest.
    pub(super) fn open_seqs(&self) -> impl Iterator<Item = SeqRange> {
        self.intents.iter().map(|intent| intent.seqs)
    }

    pub(super) fn push(&mut self, message: Arc<Message>) {
        self.pending.push_back(message);
    }

    /// A message of an intent is here again.
    pub(super) fn fill(&mut self, mark: Mark, message: Arc<Message>) {
        self.has_strangers |= self.is_stranger(&message);
        if !self.intents.iter_mut().any(|intent| intent.fill(&mark, &message)) {
            self.pending.push_back(message);
        }
    }

    fn is_stranger(&self, message: &Message) -> bool {
        StreamKey::lane_of(message.lane()) != self.key.lane
    }

    /// Whether messages of another lane are among those that it holds.
    pub(super) fn holds_strangers(&mut self) -> bool {
        if self.has_strangers {
            let intents = self.intents.iter().flat_map(|intent| intent.messages.iter().flatten());
            self.has_strangers = intents.chain(&self.pending).any(|message| self.is_stranger(message));
        }
        self.has_strangers
    }

    /// The lowest seq of what is on its way and of what is next; replays have an order of their own.
    pub(super) fn lowest_held(&self) -> Option<u64> {
        let sent = self.intents.iter().filter(|intent| intent.is_sent);
        let sent = sent.flat_map(|intent| intent.messages.iter().flatten());
        lowest(sent).into_iter().chain(self.lowest_unsent()).min()
    }

    fn lowest_unsent(&self) -> Option<u64> {
        let unsent = self.intents.iter().filter(|intent| !intent.is_sent);
        // What was refused and is offered again stands behind what came meanwhile, and has lost its place.
        lowest(unsent.flat_map(|intent| intent.messages.iter().flatten()).chain(self.pending.front()))
    }

    /// Everything that is in its hands, in order.
    pub(super) fn into_messages(self) -> Vec<Arc<Message>> {
        self.intents.into_iter().flat_map(|intent| intent.messages).flatten().chain(self.pending).collect()
    }

    fn may_act(&self, now: Instant) -> bool {
        !self.is_asking && self.not_before.is_none_or(|at| at <= now)
    }

    /// Whether there is something to find out.
    pub(super) fn wants_control(&mut self, now: Instant) -> bool {
        self.wait_for_messages(now);
        match self.phase {
            Phase::Ready => false,
            Phase::Foreign { until } if until <= now && self.may_act(now) => {
                self.phase = Phase::Doubtful;
                true
            }
            Phase::Foreign { .. } => false,
            // What is asked is acted upon at once, or it would be old by then: first all messages are here again.
            Phase::Doubtful if self.is_incomplete() => false,
            // Nothing is asked while answers to batches may still come.
            _ => self.may_act(now) && self.in_flight == 0,
        }
    }

    fn is_incomplete(&self) -> bool {
        self.intents.iter().any(|intent| intent.missing > 0)
    }

    fn wait_for_messages(&mut self, now: Instant) {
        let waits = matches!(self.phase, Phase::Ready | Phase::Doubtful) && self.is_incomplete();
        match (waits, self.waiting_since) {
            (false, _) => self.waiting_since = None,
            (true, None) => self.waiting_since = Some(now),
            (true, Some(since)) if since + FILLED_WITHIN <= now => {
                self.waiting_since = None;
                self.phase = Phase::Raising;
            }
            (true, Some(_)) => {}
        }
    }

    /// The next question, with what has to be remembered before it is asked.
    pub(super) fn control(&mut self, me: usize, encoder: &mut Encoder, entries: &mut Vec<Entry>) -> Option<Ask> {
        let ask = match &mut self.phase {
            Phase::Opening => Ask::End { stream: me },
            Phase::Doubtful => Ask::Describe { stream: me },
            Phase::Raising => {
                self.epoch = self.epoch.max(self.epoch_seen).checked_add(1)?;
                self.next = 0;
                entries.push(Entry::Raised { stream: self.number, producer: self.producer, epoch: self.epoch });
                Ask::Fence { stream: me, batch: encoder.fence(self.producer, self.epoch).ok()? }
            }
            Phase::Reading(reading) => Ask::Read { stream: me, offset: reading.at },
            Phase::Ready | Phase::Foreign { .. } => return None,
        };
        self.is_asking = true;
        Some(ask)
    }

    /// Whether a batch could leave with messages below a seq.
    pub(super) fn has_work(&self, now: Instant, before: u64) -> bool {
        matches!(self.phase, Phase::Ready)
            && self.not_before.is_none_or(|at| at <= now)
            && (!self.pending.is_empty() || self.intents.iter().any(|intent| !intent.is_sent))
            && (before == u64::MAX || self.lowest_unsent().is_none_or(|lowest| lowest < before))
    }

    /// The next batch that may leave; one that is new is remembered first, and ends before a seq.
    pub(super) fn next_batch(
        &mut self,
        me: usize,
        before: u64,
        encoder: &mut Encoder,
        entries: &mut Vec<Entry>,
    ) -> std::io::Result<Option<Sent>> {
        // A partition forgets who has been silent.
        self.is_known &= !self.intents.is_empty();
        // One at a time, too, until the partition knows this producer, and while what it refuses is looked for.
        let goes_alone = self.must_go_again || !self.is_known || self.records_max < RECORDS_MAX;
        if goes_alone && self.in_flight > 0 {
            return Ok(None);
        }
        self.must_go_again = false;
        if self.intents.iter().all(|intent| intent.is_sent) && !self.make_intent(before, encoder, entries)? {
            return Ok(None);
        }
        let (producer, epoch) = (self.producer, self.epoch);
        let Some(intent) = self.intents.iter_mut().find(|intent| !intent.is_sent) else { return Ok(None) };
        if intent.missing > 0 {
            return Ok(None);
        }
        let batch = intent.batch(producer, epoch, encoder)?;
        intent.is_sent = true;
        self.in_flight += 1;
        Ok(Some(Sent { stream: me, intent: intent.number, batch }))
    }

    /// While something is on its way only a full batch follows it; what comes meanwhile goes together.
    fn make_intent(&mut self, before: u64, encoder: &mut Encoder, entries: &mut Vec<Entry>) -> std::io::Result<bool> {
        let may_follow = self.intents.is_empty() || (self.intents.len() < INTENTS_MAX && self.is_full(encoder));
        if self.pending.is_empty() || !may_follow {
            return Ok(false);
        }
        let mut count = 0;
        for message in self.pending.iter().take(self.records_max) {
            let fits = encoder.has_room_for(message) && message.seqs.first < before;
            if !fits && count > 0 {
                break;
            }
            encoder.push(message);
            count += 1;
        }
        let stamp = Stamp { producer: self.producer, epoch: self.epoch, sequence: self.next };
        let batch = encoder.finish(stamp)?;
        self.intents_made += 1;
        let intent = Intent::new(self.intents_made, self.next, self.pending.drain(..count), batch);
        self.next = advance(self.next, intent.marks.len());
        let (stream, sequence, marks) = (self.number, intent.sequence, intent.marks.clone());
        entries.push(Entry::Intent { stream, sequence, marks });
        self.intents.push_back(intent);
        Ok(true)
    }

    /// Whether what waits fills a batch.
    fn is_full(&self, encoder: &Encoder) -> bool {
        let mut bytes = self.pending.iter().map(|message| message.size_bytes());
        self.pending.len() >= self.records_max
            || bytes.try_fold(0, |sum, one| Some(sum + one).filter(|sum| *sum < encoder.batch_bytes)).is_none()
    }

    /// Whether its epoch can be raised no more: it needs another producer id.
    pub(super) fn is_exhausted(&self) -> bool {
        self.epoch.max(self.epoch_seen) == i16::MAX && matches!(self.phase, Phase::Raising)
    }

    /// Goes on under another producer id; its first epoch is the one that the fence raises.
    pub(super) fn rename(&mut self, producer: i64) {
        (self.producer, self.epoch, self.epoch_seen, self.is_known) = (producer, 0, 0, false);
    }

    /// When it has something to do if nothing happens before.
    pub(super) fn wake_at(&self, now: Instant) -> Option<Instant> {
        let foreign = if let Phase::Foreign { until } = self.phase { Some(until) } else { None };
        let filled = self.waiting_since.map(|since| since + FILLED_WITHIN);
        [foreign, filled, self.not_before].into_iter().flatten().filter(|at| *at > now).min()
    }

    /// No answer to a question will come.
    pub(super) fn not_asked(&mut self, now: Instant) {
        self.is_asking = false;
        self.back_off(now);
    }

    /// The connection to the cluster is over.
    pub(super) fn lost(&mut self) {
        self.pending.clear();
        (self.in_flight, self.is_asking, self.must_go_again, self.not_before) = (0, false, true, None);
        self.intents.iter_mut().for_each(Intent::lost);
        if self.intents.iter().any(|intent| intent.may_be_there) {
            self.doubt();
        }
    }

    /// The topic is another one: what was in doubt may stand anywhere in it.
    pub(super) fn renew(&mut self, topic: TopicId, entries: &mut Vec<Entry>) {
        (self.topic, self.base, self.is_known) = (topic, 0, false);
        entries.push(Entry::Renewed { stream: self.number, topic });
        if !self.intents.is_empty() {
            self.fence();
        }
    }

    /// Marks that were waited for and are not any more.
    pub(super) fn take_settled(&mut self) -> Vec<Mark> {
        std::mem::take(&mut self.settled)
    }

    /// Takes what is delivered out of what waits.
    pub(super) fn take_done(&mut self, done: &mut BTreeSet<Mark>) -> Vec<Token> {
        let (delivered, rest): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut self.pending).into_iter().partition(|message| done.remove(&Mark::of(message)));
        self.pending = rest;
        delivered.into_iter().map(|message| message.token).collect()
    }
}

fn lowest<'m>(messages: impl Iterator<Item = &'m Arc<Message>>) -> Option<u64> {
    messages.filter(|message| message.lane().job().is_none()).map(|message| message.seqs.first).min()
}
