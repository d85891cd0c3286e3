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

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use super::ask::{Answer, Ask, Sent};
use super::intent::{Encoder, Intent, RECORDS_MAX, now_ms};
use super::tail::tail;
use crate::uplink::kafka::batch::Stamp;
use crate::uplink::kafka::error::{
    CLUSTER_AUTHORIZATION_FAILED, OFFSET_OUT_OF_RANGE, TOPIC_AUTHORIZATION_FAILED, Verdict, advice, name, verdict,
};
use crate::uplink::kafka::journal::{Entry, Mark, StreamKey, StreamMemory, advance};
use crate::uplink::kafka::wire::{Fetched, PartitionProducers, Produced, TopicId};
use crate::uplink::{Lasting, Message, Token};

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
    pending: VecDeque<Message>,
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
    pub(super) refused: Vec<(Message, Lasting, String)>,
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

    pub(super) fn push(&mut self, message: Message) {
        self.pending.push_back(message);
    }

    /// A message of an intent is here again.
    pub(super) fn fill(&mut self, mark: Mark, message: Message) {
        if !self.intents.iter_mut().any(|intent| intent.fill(&mark, &message)) {
            self.pending.push_back(message);
        }
    }

    /// Everything that is in its hands, in order.
    pub(super) fn into_messages(self) -> Vec<Message> {
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
            // Nothing is asked while answers to batches may still come.
            _ => self.may_act(now) && self.in_flight == 0,
        }
    }

    fn wait_for_messages(&mut self, now: Instant) {
        let waits = matches!(self.phase, Phase::Ready) && self.intents.iter().any(|intent| intent.missing > 0);
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

    /// Whether a batch could leave.
    pub(super) fn has_work(&self, now: Instant) -> bool {
        matches!(self.phase, Phase::Ready)
            && self.not_before.is_none_or(|at| at <= now)
            && (!self.pending.is_empty() || self.intents.iter().any(|intent| !intent.is_sent))
    }

    /// The next batch that may leave; one that is new is remembered first.
    pub(super) fn next_batch(
        &mut self,
        me: usize,
        encoder: &mut Encoder,
        entries: &mut Vec<Entry>,
    ) -> std::io::Result<Option<Sent>> {
        if self.must_go_again {
            if self.in_flight > 0 {
                return Ok(None);
            }
            self.must_go_again = false;
        }
        if self.intents.iter().all(|intent| intent.is_sent) && !self.make_intent(encoder, entries)? {
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
    fn make_intent(&mut self, encoder: &mut Encoder, entries: &mut Vec<Entry>) -> std::io::Result<bool> {
        let waiting_bytes: usize = self.pending.iter().map(Message::size_bytes).sum();
        let is_full = waiting_bytes >= encoder.batch_bytes || self.pending.len() >= self.records_max;
        if self.pending.is_empty() || self.intents.len() >= INTENTS_MAX || !(self.intents.is_empty() || is_full) {
            return Ok(false);
        }
        let mut messages = Vec::new();
        while messages.len() < self.records_max && (messages.is_empty() || encoder.len() < encoder.batch_bytes) {
            let Some(message) = self.pending.pop_front() else { break };
            encoder.push(&message);
            messages.push(message);
        }
        let stamp = Stamp { producer: self.producer, epoch: self.epoch, sequence: self.next };
        let batch = encoder.finish(stamp)?;
        self.intents_made += 1;
        let intent = Intent::new(self.intents_made, self.next, messages, batch);
        self.next = advance(self.next, intent.marks.len());
        let (stream, sequence, marks) = (self.number, intent.sequence, intent.marks.clone());
        entries.push(Entry::Intent { stream, sequence, marks });
        self.intents.push_back(intent);
        Ok(true)
    }

    /// Whether its epoch can be raised no more: it needs another producer id.
    pub(super) fn is_exhausted(&self) -> bool {
        self.epoch.max(self.epoch_seen) == i16::MAX && matches!(self.phase, Phase::Raising)
    }

    /// Goes on under another producer id; its first epoch is the one that the fence raises.
    pub(super) fn rename(&mut self, producer: i64) {
        (self.producer, self.epoch, self.epoch_seen) = (producer, 0, 0);
    }

    /// When it has something to do if nothing happens before.
    pub(super) fn wake_at(&self, now: Instant) -> Option<Instant> {
        let foreign = if let Phase::Foreign { until } = self.phase { Some(until) } else { None };
        let filled = self.waiting_since.map(|since| since + FILLED_WITHIN);
        [foreign, filled, self.not_before].into_iter().flatten().filter(|at| *at > now).min()
    }

    /// A batch came back with an answer.
    pub(super) fn produced(&mut self, intent: u64, part: &Produced, now: Instant, entries: &mut Vec<Entry>) -> Told {
        self.in_flight = self.in_flight.saturating_sub(1);
        let mut told = Told::default();
        let Some(place) = self.intents.iter().position(|known| known.number == intent) else { return told };
        self.intents[place].is_sent = false;
        match verdict(part.error) {
            Verdict::Appended => self.appended(place, part.offset, &mut told, entries),
            Verdict::NotNow | Verdict::Throttled => {
                told.look_again = true;
                self.again(now);
                // It may take long until somebody leads, and the partition forgets in time.
                if self.intents[place].may_be_there {
                    self.doubt();
                }
            }
            Verdict::Perhaps => {
                told.look_again = true;
                self.intents[place].may_be_there = true;
                self.again(now);
                self.doubt();
            }
            // Behind one that failed the next must fail, too.
            Verdict::Lost if place > 0 || self.must_go_again => self.must_go_again = true,
            Verdict::Lost => self.fence(),
            Verdict::Fenced => self.doubt(),
            Verdict::TooLarge | Verdict::Poison if self.intents.iter().any(|intent| intent.may_be_there) => {
                self.fence()
            }
            Verdict::TooLarge => self.too_large(place, part, &mut told, entries),
            Verdict::Poison => self.poison(place, part, &mut told, entries),
            Verdict::Forbidden => self.forbidden(part.error, now, &mut told, entries),
        }
        told
    }

    fn appended(&mut self, place: usize, offset: i64, told: &mut Told, entries: &mut Vec<Entry>) {
        let Some(intent) = self.intents.remove(place) else { return };
        (self.failures, self.not_before) = (0, None);
        self.records_max = (self.records_max * 2).min(RECORDS_MAX);
        if place == 0 && offset >= 0 {
            self.base = offset + intent.marks.len() as i64;
        }
        entries.push(Entry::Appended { stream: self.number, sequence: intent.sequence, base: self.base });
        told.delivered.extend(intent.messages.iter().flatten().map(|message| message.token));
    }

    fn again(&mut self, now: Instant) {
        self.must_go_again = true;
        self.back_off(now);
    }

    fn back_off(&mut self, now: Instant) {
        let wait = BACKOFF_FIRST.saturating_mul(1 << self.failures.min(6)).min(BACKOFF_MAX);
        self.failures += 1;
        self.not_before = Some(now + wait);
    }

    fn doubt(&mut self) {
        self.must_go_again = true;
        if matches!(self.phase, Phase::Ready) {
            self.phase = Phase::Doubtful;
        }
    }

    fn fence(&mut self) {
        self.must_go_again = true;
        if matches!(self.phase, Phase::Ready | Phase::Doubtful) {
            self.phase = Phase::Raising;
        }
    }

    /// From `place` on nothing got in: the messages are free to go in other batches.
    fn withdraw(&mut self, place: usize, entries: &mut Vec<Entry>) -> Vec<Message> {
        let Some(sequence) = self.intents.get(place).map(|intent| intent.sequence) else { return Vec::new() };
        entries.push(Entry::Withdrawn { stream: self.number, sequence });
        (self.next, self.must_go_again) = (sequence, true);
        self.intents.drain(place..).flat_map(|intent| intent.messages).flatten().collect()
    }

    fn put_back(&mut self, messages: Vec<Message>) {
        messages.into_iter().rev().for_each(|message| self.pending.push_front(message));
    }

    fn too_large(&mut self, place: usize, part: &Produced, told: &mut Told, entries: &mut Vec<Entry>) {
        let count = self.intents[place].marks.len();
        let mut messages = self.withdraw(place, entries);
        if count <= 1 && !messages.is_empty() {
            told.refused.push((messages.remove(0), Lasting::ForThisMessage, self.said(part)));
        }
        self.records_max = (count / 2).max(1);
        self.put_back(messages);
    }

    /// The records that the broker names are refused; where it names none, halves find them.
    fn poison(&mut self, place: usize, part: &Produced, told: &mut Told, entries: &mut Vec<Entry>) {
        let is_about_all = matches!(part.error, 17 | 76);
        if part.records.is_empty() && !is_about_all {
            return self.too_large(place, part, told, entries);
        }
        let lasting = if is_about_all { Lasting::ForNow } else { Lasting::ForThisMessage };
        let reason = self.said(part);
        let mut kept = Vec::new();
        for (index, message) in self.withdraw(place, entries).into_iter().enumerate() {
            if is_about_all || part.records.contains(&(index as i32)) {
                told.refused.push((message, lasting, reason.clone()));
            } else {
                kept.push(message);
            }
        }
        self.put_back(kept);
    }

    /// What may have arrived stays; the rest is offered again later.
    fn forbidden(&mut self, code: i16, now: Instant, told: &mut Told, entries: &mut Vec<Entry>) {
        let reason = format!("topic `{}`: {}. {}", self.key.topic, name(code), advice(code));
        let free = self.intents.iter().position(|intent| !intent.may_be_there);
        let mut messages = free.map_or_else(Vec::new, |place| self.withdraw(place, entries));
        messages.extend(self.pending.drain(..));
        told.refused.extend(messages.into_iter().map(|message| (message, Lasting::ForNow, reason.clone())));
        self.again(now);
    }

    fn said(&self, part: &Produced) -> String {
        let said = part.message.as_deref().map(|said| format!(" ({said})")).unwrap_or_default();
        format!("topic `{}`: {}{said}. {}", self.key.topic, name(part.error), advice(part.error))
    }

    /// No answer to a batch will come.
    pub(super) fn vanished(&mut self, intent: u64) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(known) = self.intents.iter_mut().find(|known| known.number == intent) {
            (known.is_sent, known.may_be_there) = (false, true);
            self.doubt();
        }
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
        (self.topic, self.base) = (topic, 0);
        entries.push(Entry::Renewed { stream: self.number, topic });
        if !self.intents.is_empty() {
            self.fence();
        }
    }

    /// An answer to a question.
    pub(super) fn answered(&mut self, answer: &Answer, identity: &str, now: Instant, entries: &mut Vec<Entry>) -> Told {
        self.is_asking = false;
        let mut told = Told::default();
        match answer {
            Answer::End(found) => match found.first() {
                Some(found) if found.error == 0 => self.opened(found.offset, entries),
                Some(found) if found.error == TOPIC_AUTHORIZATION_FAILED => {
                    self.forbidden(found.error, now, &mut told, entries);
                }
                _ => self.not_yet(now, &mut told),
            },
            Answer::Described(described) => self.described(described.first(), now, &mut told),
            Answer::Produced(produced) => self.fenced(produced.parts.first(), now, &mut told, entries),
            Answer::Read(0, fetched) => self.read(fetched.first(), identity, now, &mut told, entries),
            Answer::Read(..) | Answer::Metadata(_) | Answer::NewId(_) => self.not_yet(now, &mut told),
        }
        told
    }

    fn not_yet(&mut self, now: Instant, told: &mut Told) {
        told.look_again = true;
        self.back_off(now);
    }

    fn opened(&mut self, end: i64, entries: &mut Vec<Entry>) {
        (self.base, self.phase) = (end, Phase::Ready);
        (self.failures, self.not_before) = (0, None);
        let (key, topic) = (self.key.clone(), self.topic);
        let (producer, epoch, next, base) = (self.producer, self.epoch, self.next, self.base);
        entries.push(Entry::Opened { stream: self.number, key, topic, producer, epoch, next, base });
    }

    /// Our last batch is among those that are in doubt: they go again and are recognised. Otherwise the partition is read.
    fn described(&mut self, described: Option<&PartitionProducers>, now: Instant, told: &mut Told) {
        let Some(described) = described else { return self.not_yet(now, told) };
        match described.error {
            0 => {}
            TOPIC_AUTHORIZATION_FAILED | CLUSTER_AUTHORIZATION_FAILED => {
                let count = self.intents.iter().filter(|intent| intent.may_be_there).map(|intent| intent.marks.len());
                told.doubled = Some((count.sum::<usize>() as u64, "the right to read the topic is missing".into()));
                return self.go_on();
            }
            _ => return self.not_yet(now, told),
        }
        let state = described.producers.iter().find(|state| state.id == self.producer);
        let in_doubt = self.intents.iter().any(|intent| intent.may_be_there);
        match state {
            Some(state) if state.epoch > i32::from(self.epoch) => {
                self.epoch_seen = i16::try_from(state.epoch).unwrap_or(i16::MAX);
                if state.last_time_ms + (FOREIGN_QUIET.as_millis() as i64) < now_ms() {
                    return self.fence();
                }
                told.foreign = !std::mem::replace(&mut self.foreign_told, true);
                self.phase = Phase::Foreign { until: now + FOREIGN_LOOK_EVERY };
            }
            _ if !in_doubt => self.go_on(),
            Some(state) if state.epoch == i32::from(self.epoch) && self.is_ours(state.last_sequence) => self.go_on(),
            _ => self.fence(),
        }
    }

    /// Whether the partition's last sequence is that of one of the open batches, or the one before them.
    fn is_ours(&self, last_sequence: i32) -> bool {
        let next = advance(last_sequence, 1);
        self.intents
            .iter()
            .any(|intent| intent.sequence == next || advance(intent.sequence, intent.marks.len()) == next)
    }

    fn go_on(&mut self) {
        self.phase = Phase::Ready;
        self.must_go_again = true;
        (self.failures, self.not_before) = (0, None);
    }

    /// The fence stands, or it does not.
    fn fenced(&mut self, part: Option<&Produced>, now: Instant, told: &mut Told, entries: &mut Vec<Entry>) {
        let Some(part) = part else { return self.not_yet(now, told) };
        match verdict(part.error) {
            Verdict::Appended if part.offset >= 0 => {
                told.fenced = true;
                self.failures = 0;
                let (at, fence) = (self.base.min(part.offset), part.offset);
                let reading = Reading { at, fence, found: Vec::new(), bytes: 0, since: None, gap: None };
                self.phase = Phase::Reading(reading);
                if at == fence {
                    self.settle(told, entries);
                }
            }
            Verdict::Fenced => self.phase = Phase::Doubtful,
            Verdict::Forbidden => {
                self.forbidden(part.error, now, told, entries);
                self.phase = Phase::Raising;
            }
            Verdict::Poison | Verdict::TooLarge => {
                let reason = format!("a fence is refused: {}", self.said(part));
                let reading =
                    Reading { at: self.base, fence: -1, found: Vec::new(), bytes: 0, since: None, gap: Some(reason) };
                self.phase = Phase::Reading(reading);
                self.settle(told, entries);
            }
            _ => {
                self.phase = Phase::Raising;
                self.not_yet(now, told);
            }
        }
    }

    fn read(
        &mut self,
        fetched: Option<&Fetched>,
        identity: &str,
        now: Instant,
        told: &mut Told,
        entries: &mut Vec<Entry>,
    ) {
        let Phase::Reading(reading) = &mut self.phase else { return };
        let since = *reading.since.get_or_insert(now);
        let Some(fetched) = fetched else { return self.not_yet(now, told) };
        match fetched.error {
            0 => match tail(fetched.batches.clone(), reading.fence, identity) {
                Ok(tail) => {
                    reading.found.extend(tail.found);
                    reading.bytes += fetched.batches.len();
                    reading.at = tail.next.unwrap_or(reading.at).max(reading.at);
                    if tail.next.is_none() {
                        self.not_yet(now, told);
                    }
                }
                Err(cause) => reading.gap = Some(cause.to_string()),
            },
            OFFSET_OUT_OF_RANGE if fetched.start > reading.at => reading.at = fetched.start,
            TOPIC_AUTHORIZATION_FAILED => reading.gap = Some("the right to read the topic is missing".into()),
            _ => self.not_yet(now, told),
        }
        let Phase::Reading(reading) = &mut self.phase else { return };
        if reading.gap.is_none() && (reading.bytes > TAIL_BYTES_MAX || since + TAIL_WITHIN <= now) {
            let bytes = reading.bytes;
            reading.gap = Some(format!("the partition has too much to read: {bytes} bytes and not at the fence"));
        }
        if reading.gap.is_some() || reading.at >= reading.fence {
            self.settle(told, entries);
        }
    }

    /// What the partition has is delivered, the rest goes as if it were new.
    fn settle(&mut self, told: &mut Told, entries: &mut Vec<Entry>) {
        let Phase::Reading(Reading { fence, found, gap, .. }) = std::mem::replace(&mut self.phase, Phase::Ready) else {
            return;
        };
        // Without a fence sequence 0 was not used.
        self.next = if fence < 0 { 0 } else { 1 };
        self.base = self.base.max(fence + 1);
        (self.failures, self.not_before, self.must_go_again) = (0, None, false);
        self.is_unsettled = false;
        let mut found: BTreeSet<Mark> = found.into_iter().collect();
        let (stream, next, base) = (self.number, self.next, self.base);
        entries.push(Entry::Settled { stream, next, base, found: found.iter().copied().collect() });
        let (mut rest, mut unproven) = (Vec::new(), 0);
        for intent in self.intents.drain(..) {
            for (mark, message) in intent.marks.iter().zip(intent.messages) {
                match message {
                    Some(message) if found.remove(mark) => told.delivered.push(message.token),
                    Some(message) => {
                        unproven += u64::from(intent.may_be_there);
                        rest.push(message);
                    }
                    None => {
                        unproven += u64::from(!found.contains(mark));
                        self.settled.push(*mark);
                    }
                }
            }
        }
        if let Some(why) = gap {
            told.doubled = Some((unproven, why));
        }
        self.put_back(rest);
        told.found = Some(found.into_iter().collect());
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
