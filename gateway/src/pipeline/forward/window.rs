//! What is on its way to the far side: bounded, in the order of the log, with what came back and what did not.
//!
//! Each lane has its own items (blocks and gaps, or parts of them) in the order in which they were begun, and an item its
//! messages. An item is done when all of its messages are acknowledged or set aside. Items may be done in any order; what
//! is done is told as ranges of seqs. What is live goes first; history and replays hold no more than half of the window,
//! so that there is room for what is live.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use buffer::{Seq, SeqRange};

use super::route::RANGES_BEFORE_A_LEAP_MAX;
use crate::uplink::{EndedBy, Lane, Lasting, Message, Token};

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

/// How many ranges a lane tells above the lowest that is not done. The log's cursor holds those of the live and of the
/// history lane, and those that leaps of the live lane have left.
const RANGES_MAX: usize = (buffer::CURSOR_RANGES_MAX - RANGES_BEFORE_A_LEAP_MAX - 2) / 2;

/// A lane other than the live one holds at most this share of the window: one in so many.
const SHARE_BEHIND: usize = 2;

const LANES: usize = 3;

/// The parts of messages that took the place of larger ones begin here.
const SPLINTERS: u32 = 1 << 31;

/// Messages on their way.
#[derive(Debug, Default)]
pub struct Window {
    lanes: [LaneState; LANES],
    messages: BTreeMap<Token, InFlight>,
    /// Messages that are to be sent: lane by lane, in the order of their seqs.
    unsent: BTreeSet<Token>,
    /// Messages that wait to be offered again.
    waiting: BTreeSet<(Instant, Token)>,
    bytes: usize,
    /// How many messages of other lanes than the live one were sent and did not come back.
    sent_behind: usize,
    /// Connections in a row that the far side ended without an acknowledgement.
    fruitless: u32,
    /// Messages that came back as delivered.
    delivered: u64,
    /// How many messages took the place of larger ones.
    splinters: u32,
}

/// What one lane has on its way.
#[derive(Debug, Default)]
struct LaneState {
    items: VecDeque<ItemState>,
    /// How many items went before the first of these.
    gone: u64,
    messages: usize,
    bytes: usize,
}

impl LaneState {
    fn item(&mut self, number: u64) -> Option<&mut ItemState> {
        self.items.get_mut(usize::try_from(number.checked_sub(self.gone)?).ok()?)
    }
}

fn index(lane: Lane) -> usize {
    match lane {
        Lane::Live => 0,
        Lane::History => 1,
        Lane::Replay(_) => 2,
    }
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
    /// The number of its item in its lane.
    item: u64,
    place: Place,
    refusals: u32,
    suspicion: Option<Suspicion>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Unsent,
    /// Since when.
    Sent(Instant),
    /// Until when.
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
    /// The far side has it, so long after it was sent.
    Delivered(Message, Duration),
    /// It is offered again later.
    Again,
    /// It was refused too often: it is to be kept elsewhere, and then [`Window::give_up`].
    Poison(Token),
    /// Nobody waits for this token, or not any more.
    Unknown,
}

impl Window {
    /// An item of this lane follows. The items of one lane have no seq in common.
    pub fn begin(&mut self, lane: Lane, seqs: SeqRange) {
        self.lanes[index(lane)].items.push_back(ItemState { seqs, outstanding: 0, complete: false, told: false });
    }

    /// A message of the item that was begun last in its lane.
    pub fn add(&mut self, message: Message) {
        let state = &mut self.lanes[index(message.lane())];
        let item = (state.gone + state.items.len() as u64).saturating_sub(1);
        if let Some(item) = state.items.back_mut() {
            item.outstanding += 1;
        }
        self.insert(InFlight { message, item, place: Place::Unsent, refusals: 0, suspicion: None });
    }

    fn insert(&mut self, in_flight: InFlight) {
        let (token, bytes) = (in_flight.message.token, in_flight.message.size_bytes());
        let state = &mut self.lanes[index(token.lane)];
        state.messages += 1;
        state.bytes += bytes;
        self.bytes += bytes;
        self.unsent.insert(token);
        self.messages.insert(token, in_flight);
    }

    /// The item that was begun last in this lane has no more messages.
    pub fn end(&mut self, lane: Lane) {
        if let Some(item) = self.lanes[index(lane)].items.back_mut() {
            item.complete = true;
        }
    }

    /// Whether one more message of this lane may enter.
    pub fn has_room(&self, lane: Lane) -> bool {
        let state = &self.lanes[index(lane)];
        match lane {
            Lane::Live => {
                state.items.len() < ITEMS_MAX
                    && self.messages.len() < MESSAGES_MAX
                    && (self.bytes < BYTES_MAX || state.messages == 0)
            }
            Lane::History | Lane::Replay(_) => {
                let behind = self.messages.len() - self.lanes[index(Lane::Live)].messages;
                let bytes = self.bytes - self.lanes[index(Lane::Live)].bytes;
                state.items.len() < ITEMS_MAX / SHARE_BEHIND
                    && behind < MESSAGES_MAX / SHARE_BEHIND
                    && (bytes < BYTES_MAX / SHARE_BEHIND || state.messages == 0)
            }
        }
    }

    /// The next message to be sent, if one may be sent now; it counts as sent. The far side takes `room` more.
    pub fn next_to_send(&mut self, room: usize, now: Instant) -> Option<&Message> {
        let token = self.candidate(room)?;
        let in_flight = self.messages.get(&token)?;
        let must_be_alone = in_flight.suspicion.is_some() || self.fruitless >= FRUITLESS_MAX;
        let sent = self.sent();
        if sent > 0 && (must_be_alone || self.lonely().is_some()) {
            return None;
        }
        self.unsent.remove(&token);
        self.sent_behind += usize::from(token.lane != Lane::Live);
        let in_flight = self.messages.get_mut(&token)?;
        in_flight.place = Place::Sent(now);
        Some(&in_flight.message)
    }

    /// The first message to be sent; a suspected one only after another was delivered, or when there is no other.
    fn candidate(&self, room: usize) -> Option<Token> {
        let may_go = |token: &&Token| {
            let suspicion = self.messages.get(token).and_then(|in_flight| in_flight.suspicion);
            suspicion.is_none_or(|suspicion| self.delivered > suspicion.delivered_at_last)
        };
        let behind_max = ((room + self.sent()) / SHARE_BEHIND).max(1);
        let first_behind = Token { lane: Lane::History, seq: 0, part: 0 };
        if self.sent_behind < behind_max {
            self.unsent.iter().find(may_go).or(self.unsent.first()).copied()
        } else {
            let mut live = self.unsent.range(..first_behind);
            live.clone().find(may_go).or(live.next()).copied()
        }
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
    pub fn acknowledged(&mut self, token: Token, now: Instant) -> Returned {
        let Some(since) = self.sent_since(token) else { return Returned::Unknown };
        self.fruitless = 0;
        self.delivered += 1;
        let took = now.saturating_duration_since(since);
        self.give_up(token).map_or(Returned::Unknown, |message| Returned::Delivered(message, took))
    }

    /// The far side does not want a message.
    pub fn refused(&mut self, token: Token, lasting: Lasting, now: Instant) -> Returned {
        if self.sent_since(token).is_none() {
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
            if matches!(in_flight.place, Place::Sent(_)) {
                in_flight.place = Place::Unsent;
                self.unsent.insert(*token);
            }
        }
        self.sent_behind = 0;
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

    /// Puts messages that say the same in the place of one that was refused; one that is refused, too, is refused for
    /// good.
    pub fn split(&mut self, token: Token, halves: Vec<Message>) {
        let Some(whole) = self.remove(token) else { return };
        if let Some(item) = self.lanes[index(token.lane)].item(whole.item) {
            item.outstanding += halves.len() as u32;
            item.outstanding -= 1;
        }
        let refusals = if whole.refusals >= TRIES_MAX { TRIES_MAX - 1 } else { 0 };
        let suspicion = whole.suspicion.map(|suspicion| Suspicion { losses: TRIES_MAX - 1, ..suspicion });
        for mut message in halves {
            message.token.part = SPLINTERS | (self.splinters & !SPLINTERS);
            self.splinters = self.splinters.wrapping_add(1);
            self.insert(InFlight { message, item: whole.item, place: Place::Unsent, refusals, suspicion });
        }
    }

    /// Forgets a message that is kept elsewhere now.
    pub fn give_up(&mut self, token: Token) -> Option<Message> {
        let in_flight = self.remove(token)?;
        if let Some(item) = self.lanes[index(token.lane)].item(in_flight.item) {
            item.outstanding -= 1;
        }
        Some(in_flight.message)
    }

    /// The seqs of what is done in this lane and was not told before, joined where they touch.
    pub fn take_done(&mut self, lane: Lane) -> Vec<SeqRange> {
        let state = &mut self.lanes[index(lane)];
        let mut done: Vec<SeqRange> = Vec::new();
        while let Some(item) = state.items.front().filter(|item| item.is_done()) {
            // What was told out of order is told again: it is now part of one range with what lies below.
            push_joined(&mut done, item.seqs);
            state.items.pop_front();
            state.gone += 1;
        }
        let mut runs = 0;
        let mut before: Option<Seq> = None;
        for item in &mut state.items {
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

    /// The first seq of this lane that is not done.
    pub fn first(&self, lane: Lane) -> Option<Seq> {
        self.lanes[index(lane)].items.iter().find(|item| !item.is_done()).map(|item| item.seqs.first)
    }

    /// Whether nothing of this lane is on its way.
    pub fn is_idle(&self, lane: Lane) -> bool {
        self.lanes[index(lane)].items.is_empty()
    }

    /// The message that was sent so as to be alone on its way.
    fn lonely(&self) -> Option<Token> {
        if self.sent() != 1 {
            return None;
        }
        let (token, in_flight) =
            self.messages.iter().find(|(_, in_flight)| matches!(in_flight.place, Place::Sent(_)))?;
        (in_flight.suspicion.is_some() || self.fruitless >= FRUITLESS_MAX).then_some(*token)
    }

    fn sent_since(&self, token: Token) -> Option<Instant> {
        match self.messages.get(&token)?.place {
            Place::Sent(since) => Some(since),
            Place::Unsent | Place::Waiting(_) => None,
        }
    }

    fn wait(&mut self, token: Token, now: Instant) {
        let Some(in_flight) = self.messages.get_mut(&token) else { return };
        if matches!(in_flight.place, Place::Sent(_)) && token.lane != Lane::Live {
            self.sent_behind -= 1;
        }
        in_flight.place = Place::Waiting(now + TRY_AGAIN_AFTER);
        self.waiting.insert((now + TRY_AGAIN_AFTER, token));
    }

    /// Takes a message out; its item counts it still.
    fn remove(&mut self, token: Token) -> Option<InFlight> {
        let in_flight = self.messages.remove(&token)?;
        match in_flight.place {
            Place::Unsent => {
                self.unsent.remove(&token);
            }
            Place::Waiting(until) => {
                self.waiting.remove(&(until, token));
            }
            Place::Sent(_) => self.sent_behind -= usize::from(token.lane != Lane::Live),
        }
        let bytes = in_flight.message.size_bytes();
        let state = &mut self.lanes[index(token.lane)];
        state.messages -= 1;
        state.bytes -= bytes;
        self.bytes -= bytes;
        Some(in_flight)
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
