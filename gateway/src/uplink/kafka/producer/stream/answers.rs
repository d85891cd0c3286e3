//! What a partition answers to batches.

use std::sync::Arc;
use std::time::Instant;

use super::{BACKOFF_FIRST, BACKOFF_MAX, Phase, RECORDS_MAX, Stream, Told};
use crate::uplink::kafka::error::{Verdict, advice, code, name, verdict};
use crate::uplink::kafka::journal::Entry;
use crate::uplink::kafka::wire::Produced;
use crate::uplink::{Lasting, Message};

impl Stream {
    /// A batch came back with an answer.
    pub(in crate::uplink::kafka::producer) fn produced(
        &mut self,
        intent: u64,
        part: &Produced,
        now: Instant,
        entries: &mut Vec<Entry>,
    ) -> Told {
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
            // What is behind may still get in, where the partition knows of nothing that must come before.
            Verdict::TooLarge | Verdict::Poison if self.something_may_be_there() => {
                self.records_max = (self.intents[place].marks.len() / 2).max(1);
                self.fence();
            }
            Verdict::TooLarge => self.too_large(place, part, &mut told, entries),
            Verdict::Poison => self.poison(place, part, &mut told, entries),
            // So may this; the last answer decides.
            Verdict::Forbidden if self.in_flight > 0 => self.again(now),
            Verdict::Forbidden => self.forbidden(part.error, now, &mut told, entries),
        }
        told
    }

    pub(super) fn appended(&mut self, place: usize, offset: i64, told: &mut Told, entries: &mut Vec<Entry>) {
        let Some(intent) = self.intents.remove(place) else { return };
        (self.failures, self.not_before, self.is_known) = (0, None, true);
        self.records_max = (self.records_max * 2).min(RECORDS_MAX);
        if place == 0 && offset >= 0 {
            self.base = offset + intent.marks.len() as i64;
        }
        entries.push(Entry::Appended { stream: self.number, sequence: intent.sequence, base: self.base });
        told.delivered.extend(intent.messages.iter().flatten().map(|message| message.token));
    }

    /// Whether a batch that was not acknowledged may be in the partition, or on its way there.
    fn something_may_be_there(&self) -> bool {
        self.intents.iter().any(|intent| intent.is_sent || intent.may_be_there)
    }

    pub(super) fn again(&mut self, now: Instant) {
        self.must_go_again = true;
        self.back_off(now);
    }

    pub(super) fn back_off(&mut self, now: Instant) {
        let wait = BACKOFF_FIRST.saturating_mul(1 << self.failures.min(6)).min(BACKOFF_MAX);
        self.failures += 1;
        self.not_before = Some(now + wait);
    }

    pub(super) fn doubt(&mut self) {
        self.must_go_again = true;
        if matches!(self.phase, Phase::Ready) {
            self.phase = Phase::Doubtful;
        }
    }

    pub(super) fn fence(&mut self) {
        self.must_go_again = true;
        if matches!(self.phase, Phase::Ready | Phase::Doubtful) {
            self.phase = Phase::Raising;
        }
    }

    /// From `place` on nothing got in: the messages are free to go in other batches.
    pub(super) fn withdraw(&mut self, place: usize, entries: &mut Vec<Entry>) -> Vec<Arc<Message>> {
        let Some(sequence) = self.intents.get(place).map(|intent| intent.sequence) else { return Vec::new() };
        entries.push(Entry::Withdrawn { stream: self.number, sequence });
        (self.next, self.must_go_again) = (sequence, true);
        self.intents.drain(place..).flat_map(|intent| intent.messages).flatten().collect()
    }

    pub(super) fn put_back(&mut self, messages: Vec<Arc<Message>>) {
        messages.into_iter().rev().for_each(|message| self.pending.push_front(message));
    }

    pub(super) fn too_large(&mut self, place: usize, part: &Produced, told: &mut Told, entries: &mut Vec<Entry>) {
        let count = self.intents[place].marks.len();
        let mut messages = self.withdraw(place, entries);
        if count <= 1 && !messages.is_empty() {
            told.refused.push((messages.remove(0), Lasting::ForThisMessage, self.said(part)));
        }
        self.records_max = (count / 2).max(1);
        self.put_back(messages);
    }

    /// The records that the broker names are refused; where it names none, halves find them.
    pub(super) fn poison(&mut self, place: usize, part: &Produced, told: &mut Told, entries: &mut Vec<Entry>) {
        let is_about_all = matches!(part.error, code::INVALID_TOPIC_EXCEPTION | code::UNSUPPORTED_COMPRESSION_TYPE);
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
    pub(super) fn forbidden(&mut self, code: i16, now: Instant, told: &mut Told, entries: &mut Vec<Entry>) {
        let reason = format!("topic `{}`: {}. {}", self.key.topic, name(code), advice(code));
        let free = self.intents.iter().position(|intent| !intent.may_be_there);
        let mut messages = free.map_or_else(Vec::new, |place| self.withdraw(place, entries));
        messages.extend(self.pending.drain(..));
        told.refused.extend(messages.into_iter().map(|message| (message, Lasting::ForNow, reason.clone())));
        self.again(now);
    }

    pub(super) fn said(&self, part: &Produced) -> String {
        let said = part.message.as_deref().map(|said| format!(" ({said})")).unwrap_or_default();
        format!("topic `{}`: {}{said}. {}", self.key.topic, name(part.error), advice(part.error))
    }

    /// No answer to a batch will come.
    pub(in crate::uplink::kafka::producer) fn vanished(&mut self, intent: u64) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(known) = self.intents.iter_mut().find(|known| known.number == intent) {
            (known.is_sent, known.may_be_there) = (false, true);
            self.doubt();
        }
    }
}
