//! What is on its way to the far side: bounded, in the order of the log, with what came back and what did not.
//!
//! Messages enter in the order of their tokens, each belonging to an item (a block or a gap). An item is done when all of
//! its messages are acknowledged or set aside. Items may be done in any order; what is done is told as ranges of seqs.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use buffer::{Seq, SeqRange};

use crate::uplink::{EndedBy, Lasting, Message, Token};

/// How many messages are on their way at most; the far side may set less.
pub const MESSAGES_MAX: usize = 1_024;

/// How many bytes of messages are on their way at most; one message alone may have more.
pub const BYTES_MAX: usize = 1 << 20;

/// How many blocks and gaps are on their way at most, the done ones that wait for an earlier one included.
const ITEMS_MAX: usize = 4_096;

/// How often a message is offered before it is set aside.
pub const TRIES_MAX: u32 = 3;

/// How long a message that was refused, or is suspected, waits before it is offered again.
pub const TRY_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// After so many connections in a row that the far side ended without an acknowledgement, messages go one at a time, so
/// that one which it cannot bear is found.
const FRUITLESS_MAX: u32 = 3;

/// How many ranges are told above the lowest that is not done; the log's cursor keeps a few more.
const RANGES_MAX: usize = buffer::CURSOR_RANGES_MAX - 4;

/// Messages on their way.
#[derive(Debug, Default)]
pub struct Window {
    items: VecDeque<ItemState>,
    messages: BTreeMap<Token, InFlight>,
    /// Messages that are to be sent, in the order of the log.
    unsent: BTreeSet<Token>,
    /// Messages that wait to be offered again.
    waiting: BTreeSet<(Instant, Token)>,
    bytes: usize,
    /// Connections in a row that the far side ended without an acknowledgement.
    fruitless: u32,
    /// Messages that came back as delivered.
    delivered: u64,
}

#[derive(Debug)]
struct ItemState {
    seqs: SeqRange,
    outstanding: u32,
    complete: bool,
    told: bool,
}

impl ItemState {
    fn is_done(&self) -> bool {
        self.complete && self.outstanding == 0
    }
}

#[derive(Debug)]
struct InFlight {
    message: Message,
    place: Place,
    refusals: u32,
    suspicion: Option<Suspicion>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Unsent,
    Sent,
    Waiting(Instant),
}

/// A message that was alone on its way when the far side ended the connection.
#[derive(Debug, Clone, Copy)]
struct Suspicion {
    losses: u32,
    /// What had been delivered at the first of these losses.
    delivered_at_first: u64,
    /// What had been delivered at the last of them.
    delivered_at_last: u64,
}

/// What became of a message that came back.
#[derive(Debug, PartialEq, Eq)]
pub enum Returned {
    /// The far side has it.
    Delivered(Message),
    /// It is offered again later.
    Again,
    /// It was refused too often: it is to be kept elsewhere, and then [`Window::give_up`].
    Poison(Token),
    /// Nobody waits for this token, or not any more.
    Unknown,
}

impl Window {
    /// An item follows whose seqs lie above all before.
    pub fn begin(&mut self, seqs: SeqRange) {
        self.items.push_back(ItemState { seqs, outstanding: 0, complete: false, told: false });
    }

    /// A message of the item that was begun last.
    pub fn add(&mut self, message: Message) {
        if let Some(item) = self.items.back_mut() {
            item.outstanding += 1;
        }
        self.bytes += message.size_bytes();
        self.unsent.insert(message.token);
        let token = message.token;
        self.messages.insert(token, InFlight { message, place: Place::Unsent, refusals: 0, suspicion: None });
    }

    /// The item that was begun last has no more messages.
    pub fn end(&mut self) {
        if let Some(item) = self.items.back_mut() {
            item.complete = true;
        }
    }

    /// Whether one more message may enter.
    pub fn has_room(&self) -> bool {
        self.items.len() < ITEMS_MAX
            && self.messages.len() < MESSAGES_MAX
            && (self.bytes < BYTES_MAX || self.messages.is_empty())
    }

    /// The next message to be sent, if one may be sent now. It counts as sent.
    pub fn next_to_send(&mut self) -> Option<&Message> {
        let token = self.candidate()?;
        let in_flight = self.messages.get(&token)?;
        let must_be_alone = in_flight.suspicion.is_some() || self.fruitless >= FRUITLESS_MAX;
        let sent = self.sent();
        if sent > 0 && (must_be_alone || self.lonely().is_some()) {
            return None;
        }
        self.unsent.remove(&token);
        let in_flight = self.messages.get_mut(&token)?;
        in_flight.place = Place::Sent;
        Some(&in_flight.message)
    }

    /// The first message to be sent; a suspected one only after another was delivered, or when there is no other.
    fn candidate(&self) -> Option<Token> {
        let may_go = |token: &&Token| {
            let suspicion = self.messages.get(token).and_then(|in_flight| in_flight.suspicion);
            suspicion.is_none_or(|suspicion| self.delivered > suspicion.delivered_at_last)
        };
        self.unsent.iter().find(may_go).or(self.unsent.first()).copied()
    }

    /// Moves messages that have waited long enough back among those to be sent.
    pub fn wake(&mut self, now: Instant) {
        while let Some((at, token)) = self.waiting.first().copied().filter(|(at, _)| *at <= now) {
            self.waiting.remove(&(at, token));
            self.unsent.insert(token);
            if let Some(in_flight) = self.messages.get_mut(&token) {
                in_flight.place = Place::Unsent;
            }
        }
    }

    /// When [`Window::wake`] will have something to do.
    pub fn wake_at(&self) -> Option<Instant> {
        self.waiting.first().map(|(at, _)| *at)
    }

    /// How many messages were sent and did not come back.
    pub fn sent(&self) -> usize {
        self.messages.len() - self.unsent.len() - self.waiting.len()
    }

    /// How many messages there are, sent or not.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// A message by its token.
    pub fn message(&self, token: Token) -> Option<&Message> {
        self.messages.get(&token).map(|in_flight| &in_flight.message)
    }

    /// The far side has a message.
    pub fn acknowledged(&mut self, token: Token) -> Returned {
        if !self.is_sent(token) {
            return Returned::Unknown;
        }
        self.fruitless = 0;
        self.delivered += 1;
        self.remove(token).map_or(Returned::Unknown, Returned::Delivered)
    }

    /// The far side does not want a message.
    pub fn refused(&mut self, token: Token, lasting: Lasting, now: Instant) -> Returned {
        if !self.is_sent(token) {
            return Returned::Unknown;
        }
        self.fruitless = 0;
        self.wait(token, now);
        let Some(in_flight) = self.messages.get_mut(&token) else { return Returned::Unknown };
        match lasting {
            Lasting::ForNow => Returned::Again,
            Lasting::ForThisMessage => {
                in_flight.refusals += 1;
                if in_flight.refusals >= TRIES_MAX { Returned::Poison(token) } else { Returned::Again }
            }
        }
    }

    /// The connection is over: everything that did not come back is sent again. Returns a message that was alone on its
    /// way at each of several ends which the far side brought about, while others were delivered: it is to be kept
    /// elsewhere, and then [`Window::give_up`].
    pub fn lost(&mut self, by: EndedBy, now: Instant) -> Option<Token> {
        let lonely = self.lonely().filter(|_| by == EndedBy::FarSide);
        match by {
            EndedBy::FarSide if self.sent() > 0 => self.fruitless += 1,
            EndedBy::FarSide | EndedBy::Network => {}
        }
        for (token, in_flight) in &mut self.messages {
            if in_flight.place == Place::Sent {
                in_flight.place = Place::Unsent;
                self.unsent.insert(*token);
            }
        }
        let token = lonely?;
        self.unsent.remove(&token);
        self.wait(token, now);
        let in_flight = self.messages.get_mut(&token)?;
        let delivered = self.delivered;
        let first = Suspicion { losses: 0, delivered_at_first: delivered, delivered_at_last: delivered };
        let suspicion = in_flight.suspicion.get_or_insert(first);
        suspicion.losses += 1;
        suspicion.delivered_at_last = delivered;
        (suspicion.losses >= TRIES_MAX && delivered > suspicion.delivered_at_first).then_some(token)
    }

    /// Forgets a message that is kept elsewhere now.
    pub fn give_up(&mut self, token: Token) {
        self.remove(token);
    }

    /// The seqs of what is done and was not told before, in order and joined where they touch.
    pub fn take_done(&mut self) -> Vec<SeqRange> {
        let mut done: Vec<SeqRange> = Vec::new();
        while let Some(item) = self.items.front().filter(|item| item.is_done()) {
            // What was told out of order is told again: it is now part of one range with what lies below.
            push_joined(&mut done, item.seqs);
            self.items.pop_front();
        }
        let mut runs = 0;
        let mut before: Option<Seq> = None;
        for item in &mut self.items {
            if !item.is_done() {
                continue;
            }
            if before != Some(item.seqs.first) {
                runs += 1;
            }
            before = Some(item.seqs.last + 1);
            if runs > RANGES_MAX {
                break;
            }
            if !item.told {
                item.told = true;
                push_joined(&mut done, item.seqs);
            }
        }
        done
    }

    /// The message that was sent so as to be alone on its way.
    fn lonely(&self) -> Option<Token> {
        if self.sent() != 1 {
            return None;
        }
        let (token, in_flight) = self.messages.iter().find(|(_, in_flight)| in_flight.place == Place::Sent)?;
        (in_flight.suspicion.is_some() || self.fruitless >= FRUITLESS_MAX).then_some(*token)
    }

    fn is_sent(&self, token: Token) -> bool {
        self.messages.get(&token).is_some_and(|in_flight| in_flight.place == Place::Sent)
    }

    fn wait(&mut self, token: Token, now: Instant) {
        if let Some(in_flight) = self.messages.get_mut(&token) {
            in_flight.place = Place::Waiting(now + TRY_AGAIN_AFTER);
            self.waiting.insert((now + TRY_AGAIN_AFTER, token));
        }
    }

    fn remove(&mut self, token: Token) -> Option<Message> {
        let InFlight { message, place, .. } = self.messages.remove(&token)?;
        match place {
            Place::Unsent => {
                self.unsent.remove(&token);
            }
            Place::Waiting(until) => {
                self.waiting.remove(&(until, token));
            }
            Place::Sent => {}
        }
        self.bytes -= message.size_bytes();
        let index = self.items.binary_search_by_key(&token.seq, |item| item.seqs.first).ok();
        if let Some(item) = index.and_then(|index| self.items.get_mut(index)) {
            item.outstanding -= 1;
        }
        Some(message)
    }
}

fn push_joined(ranges: &mut Vec<SeqRange>, seqs: SeqRange) {
    match ranges.last_mut().filter(|last| last.last.checked_add(1) == Some(seqs.first)) {
        Some(last) => last.last = seqs.last,
        None => ranges.push(seqs),
    }
}

#[cfg(test)]
mod tests;
