//! What a partition is asked when it is not known what it has, and what follows from its answers.

use std::collections::BTreeSet;
use std::time::Instant;

use super::{FOREIGN_LOOK_EVERY, FOREIGN_QUIET, Phase, Reading, Stream, TAIL_BYTES_MAX, TAIL_WITHIN, Told};
use crate::uplink::kafka::error::{Verdict, code, verdict};
use crate::uplink::kafka::journal::{Entry, Mark, advance};
use crate::uplink::kafka::producer::ask::Answer;
use crate::uplink::kafka::producer::encoder::now_ms;
use crate::uplink::kafka::producer::tail::tail;
use crate::uplink::kafka::wire::{Fetched, PartitionProducers, Produced};

impl Stream {
    /// An answer to a question.
    pub(in crate::uplink::kafka::producer) fn answered(
        &mut self,
        answer: &Answer,
        identity: &str,
        now: Instant,
        entries: &mut Vec<Entry>,
    ) -> Told {
        self.is_asking = false;
        let mut told = Told::default();
        match answer {
            Answer::End(found) => match found.first() {
                Some(found) if found.error == 0 => self.opened(found.offset, entries),
                Some(found) if found.error == code::TOPIC_AUTHORIZATION_FAILED => {
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

    pub(super) fn not_yet(&mut self, now: Instant, told: &mut Told) {
        told.look_again = true;
        self.back_off(now);
    }

    pub(super) fn opened(&mut self, end: i64, entries: &mut Vec<Entry>) {
        (self.base, self.phase) = (end, Phase::Ready);
        (self.failures, self.not_before) = (0, None);
        let (key, topic) = (self.key.clone(), self.topic);
        let (producer, epoch, next, base) = (self.producer, self.epoch, self.next, self.base);
        entries.push(Entry::Opened { stream: self.number, key, topic, producer, epoch, next, base });
    }

    /// Our last batch is among those that are in doubt: they go again and are recognised. Otherwise the partition is read.
    pub(super) fn described(&mut self, described: Option<&PartitionProducers>, now: Instant, told: &mut Told) {
        let Some(described) = described else { return self.not_yet(now, told) };
        match described.error {
            0 => {}
            code::TOPIC_AUTHORIZATION_FAILED | code::CLUSTER_AUTHORIZATION_FAILED => {
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
    pub(super) fn is_ours(&self, last_sequence: i32) -> bool {
        let next = advance(last_sequence, 1);
        self.intents
            .iter()
            .any(|intent| intent.sequence == next || advance(intent.sequence, intent.marks.len()) == next)
    }

    pub(super) fn go_on(&mut self) {
        self.phase = Phase::Ready;
        self.must_go_again = true;
        (self.failures, self.not_before) = (0, None);
    }

    /// The fence stands, or it does not.
    pub(super) fn fenced(&mut self, part: Option<&Produced>, now: Instant, told: &mut Told, entries: &mut Vec<Entry>) {
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

    pub(super) fn read(
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
            code::OFFSET_OUT_OF_RANGE if fetched.start > reading.at => reading.at = fetched.start,
            code::TOPIC_AUTHORIZATION_FAILED => reading.gap = Some("the right to read the topic is missing".into()),
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
    pub(super) fn settle(&mut self, told: &mut Told, entries: &mut Vec<Entry>) {
        let Phase::Reading(Reading { fence, found, gap, .. }) = std::mem::replace(&mut self.phase, Phase::Ready) else {
            return;
        };
        // Without a fence sequence 0 was not used.
        (self.next, self.is_known) = if fence < 0 { (0, false) } else { (1, true) };
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
}
