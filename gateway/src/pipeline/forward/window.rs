//! What is on its way to the far side: bounded, in the order of the log, with what came back and what did not.
//!
//! Each lane has its own items (blocks and gaps, or parts of them) in the order in which they were begun, and an item its
//! messages. An item is done when all of its messages are acknowledged or set aside. Items may be done in any order; what
//! is done is told as ranges of seqs. What is live goes first; history and replays hold no more than half of the window,
//! so that there is room for what is live.

pub(super) mod blame;
mod ends;
mod items;
mod line;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use buffer::{Seq, SeqRange};

use self::blame::Blame;
pub use self::ends::Conviction;
pub(super) use self::ends::Verdict;
use self::items::LaneState;
use self::line::Line;
use crate::uplink::{Lane, Lasting, Message, Token};

/// How many messages are on their way at most; the far side may set less.
pub const MESSAGES_MAX: usize = 1_024;

/// How many bytes of messages are on their way at most; one message alone may have more.
pub const BYTES_MAX: usize = 1 << 20;

/// How many blocks and gaps are on their way at most, the done ones that wait for an earlier one included.
const ITEMS_MAX: usize = 4_096;

/// How often a message is offered before it is set aside.
pub const TRIES_MAX: u32 = 3;

/// How long a message that was refused waits before it is offered again.
pub const TRY_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// A message that was on its way when the far side ended the connection, so many times, goes alone from then on, so that
/// one which the far side cannot bear is found.
const ENDS_MAX: u32 = 3;

/// What seems too large for the far side is sent whole once more after this time.
const TOO_LARGE_FOR: Duration = Duration::from_secs(600);

/// A lane other than the live one holds at most this share of the window: one in so many.
const SHARE_BEHIND: usize = 2;

const LANES: usize = 3;

/// The parts of messages that took the place of larger ones begin here. So they go behind the whole messages of their block,
/// each where its readings lie, see [`splinter`].
const SPLINTERS: u32 = 1 << 31;

/// How many bits of such a part say how often it was halved.
const DEPTH_BITS: u32 = 5;

/// Messages on their way.
#[derive(Debug, Default)]
pub struct Window {
    lanes: [LaneState; LANES],
    messages: HashMap<Token, InFlight>,
    /// Messages that are to be sent.
    unsent: Line,
    /// Messages that wait to be offered again.
    waiting: BTreeSet<(Instant, Token)>,
    /// Topics of which the far side takes nothing for now: until when nothing is sent there, so that the order stays.
    resting: BTreeMap<Arc<str>, Instant>,
    bytes: usize,
    /// How many messages of other lanes than the live one were sent and did not come back.
    sent_behind: usize,
    /// Messages that are not to be sent any more.
    convicted: BTreeSet<Token>,
    blame: Blame,
    /// The topic of the last message that went alone and was acknowledged, and when it was.
    taken_alone: Option<(Arc<str>, Instant)>,
    /// The largest message that the far side took, bytes.
    largest_taken: usize,
    /// A batch larger than that, bytes, at which the far side ended the connection: when a smaller one is taken, it is too
    /// large.
    perhaps_too_large: Option<usize>,
    /// Batches of so many bytes are not sent until then.
    too_large: Option<(usize, Instant)>,
    /// The next batch of so many bytes goes alone: it finds out whether they are still too many.
    doubted: Option<usize>,
    /// Messages that came back as delivered.
    delivered: u64,
}

fn index(lane: Lane) -> usize {
    match lane {
        Lane::Live => 0,
        Lane::History => 1,
        Lane::Replay(_) => 2,
    }
}

/// The part of a message whose first reading is `first` and that was in `whole`: in the order of the log, and never that of
/// another message, so that nobody takes one for another.
fn splinter(whole: Token, first: Seq) -> u32 {
    let before = if whole.part < SPLINTERS { 0 } else { whole.part & ((1 << DEPTH_BITS) - 1) };
    let offset = first.saturating_sub(whole.seq) as u32;
    SPLINTERS | (offset << DEPTH_BITS) & !SPLINTERS | (before + 1)
}

#[derive(Debug)]
struct InFlight {
    message: Arc<Message>,
    /// The number of its item in its lane.
    item: u64,
    place: Place,
    refusals: u32,
    /// How often it was on its way when the far side ended the connection, since another was found to be the cause.
    ends: u32,
    /// Whether it is sent although it seems too large, because it cannot be made smaller.
    whole: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Unsent,
    /// Since when.
    Sent(Instant),
    /// Until when.
    Waiting(Instant),
    Convicted,
}

/// What became of a message that came back.
#[derive(Debug, PartialEq, Eq)]
pub enum Returned {
    /// The far side has it, so long after it was sent.
    Delivered(Arc<Message>, Duration),
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
        self.lanes[index(lane)].begin(seqs);
    }

    /// A message of the item that was begun last in its lane.
    pub fn add(&mut self, message: Message) {
        let item = self.lanes[index(message.lane())].add();
        let message = Arc::new(message);
        self.insert(InFlight { message, item, place: Place::Unsent, refusals: 0, ends: 0, whole: false });
    }

    fn insert(&mut self, mut in_flight: InFlight) {
        let (token, bytes) = (in_flight.message.token, in_flight.message.size_bytes());
        if self.doubted.take_if(|doubted| ends::is_batch(&in_flight.message) && bytes >= *doubted).is_some() {
            in_flight.ends = ENDS_MAX;
        }
        let state = &mut self.lanes[index(token.lane)];
        state.messages += 1;
        state.bytes += bytes;
        self.bytes += bytes;
        in_flight.place = self.line_up(&in_flight);
        self.messages.insert(token, in_flight);
    }

    /// Offers a message that is in the window.
    fn offer(&mut self, token: Token) {
        let Some(mut in_flight) = self.messages.remove(&token) else { return };
        in_flight.place = self.line_up(&in_flight);
        self.messages.insert(token, in_flight);
    }

    /// Puts a message among those to be sent, or those that are not to be.
    fn line_up(&mut self, in_flight: &InFlight) -> Place {
        let token = in_flight.message.token;
        if self.conviction_of(in_flight).is_some() {
            self.convicted.insert(token);
            Place::Convicted
        } else {
            self.unsent.insert(token);
            Place::Unsent
        }
    }

    /// The item that was begun last in this lane has no more messages.
    pub fn end(&mut self, lane: Lane) {
        self.lanes[index(lane)].end();
    }

    /// Whether one more message of this lane may enter.
    pub fn has_room(&self, lane: Lane) -> bool {
        let state = &self.lanes[index(lane)];
        match lane {
            Lane::Live => {
                state.items_len() < ITEMS_MAX
                    && self.messages.len() < MESSAGES_MAX
                    && (self.bytes < BYTES_MAX || state.messages == 0)
            }
            Lane::History | Lane::Replay(_) => {
                let behind = self.messages.len() - self.lanes[index(Lane::Live)].messages;
                let bytes = self.bytes - self.lanes[index(Lane::Live)].bytes;
                state.items_len() < ITEMS_MAX / SHARE_BEHIND
                    && behind < MESSAGES_MAX / SHARE_BEHIND
                    && (bytes < BYTES_MAX / SHARE_BEHIND || state.messages == 0)
            }
        }
    }

    /// The next message to be sent, if one may be sent now; it counts as sent. The far side takes `room` more.
    pub fn next_to_send(&mut self, room: usize, now: Instant) -> Option<&Arc<Message>> {
        let sent = self.sent();
        if sent > 0 && (self.blame.is_trying() || self.lonely().is_some()) {
            return None;
        }
        let candidate = self.candidate(room);
        let on_trial = self.on_trial(candidate, now);
        let token = on_trial.or(candidate)?;
        let in_flight = self.messages.get_mut(&token)?;
        if sent > 0 && (on_trial.is_some() || in_flight.ends >= ENDS_MAX) {
            return None;
        }
        if on_trial.is_some() {
            self.blame.try_alone(&in_flight.message, now);
        }
        in_flight.place = Place::Sent(now);
        self.unsent.remove(token);
        self.sent_behind += usize::from(token.lane != Lane::Live);
        Some(&in_flight.message)
    }

    /// The first message to be sent that is not accused.
    fn candidate(&self, room: usize) -> Option<Token> {
        let is_free = |token: &Token| (self.blame.is_idle() || !self.is_held(*token)) && !self.rests(*token);
        let behind_max = ((room + self.sent()) / SHARE_BEHIND).max(1);
        let may_be_behind = self.sent_behind < behind_max;
        self.unsent.iter().take_while(|token| may_be_behind || token.lane == Lane::Live).find(is_free)
    }

    fn rests(&self, token: Token) -> bool {
        let topic = |in_flight: &InFlight| self.resting.contains_key(&in_flight.message.topic);
        !self.resting.is_empty() && self.messages.get(&token).is_some_and(topic)
    }

    /// Moves messages that have waited long enough back among those to be sent, and ends trials that went well.
    pub fn wake(&mut self, now: Instant) {
        self.blame.settle(now, self.delivered);
        self.doubt_sizes(now);
        self.resting.retain(|_, until| *until > now);
        while let Some((at, token)) = self.waiting.first().copied().filter(|(at, _)| *at <= now) {
            self.waiting.remove(&(at, token));
            self.offer(token);
        }
    }

    /// When [`Window::wake`] will have something to do.
    pub fn wake_at(&self) -> Option<Instant> {
        let waiting = self.waiting.first().map(|(at, _)| *at);
        let trial = self.blame.trial_at().filter(|_| self.unsent.iter().any(|token| self.is_held(token)));
        let rested = self.resting.values().min().copied();
        [waiting, trial, rested, self.blame.settles_at()].into_iter().flatten().min()
    }

    /// How many messages were sent and did not come back.
    pub fn sent(&self) -> usize {
        self.messages.len() - self.unsent.len() - self.waiting.len() - self.convicted.len()
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
    pub fn message(&self, token: Token) -> Option<&Arc<Message>> {
        self.messages.get(&token).map(|in_flight| &in_flight.message)
    }

    /// The far side has a message.
    pub fn acknowledged(&mut self, token: Token, now: Instant) -> Returned {
        let Some(since) = self.sent_since(token) else { return Returned::Unknown };
        self.delivered += 1;
        let was_alone = self.lonely() == Some(token);
        let took = now.saturating_duration_since(since);
        let Some(message) = self.take_out(token) else { return Returned::Unknown };
        self.blame.acknowledged(&message, took);
        if was_alone {
            self.taken_alone = Some((message.topic.clone(), now));
        }
        self.took_size(message.size_bytes(), now);
        Returned::Delivered(message, took)
    }

    /// The far side does not want a message.
    pub fn refused(&mut self, token: Token, lasting: Lasting, now: Instant) -> Returned {
        if self.sent_since(token).is_none() {
            return Returned::Unknown;
        }
        if self.lonely() == Some(token) && lasting == Lasting::ForThisMessage {
            self.accuse(token);
        }
        self.wait(token, now);
        let guilty = lasting == Lasting::ForThisMessage && self.blame.refused(token);
        let Some(in_flight) = self.messages.get_mut(&token) else { return Returned::Unknown };
        match lasting {
            Lasting::ForNow => {
                self.resting.insert(in_flight.message.topic.clone(), now + TRY_AGAIN_AFTER);
                Returned::Again
            }
            Lasting::ForThisSize => Returned::Poison(token),
            Lasting::ForThisMessage => {
                in_flight.refusals += 1;
                if guilty || in_flight.refusals >= TRIES_MAX { Returned::Poison(token) } else { Returned::Again }
            }
        }
    }

    /// Puts messages that say the same in the place of one that was refused; one that is refused, too, is refused for
    /// good.
    pub fn split(&mut self, token: Token, halves: Vec<Message>) {
        let Some(whole) = self.remove(token) else { return };
        self.lanes[index(token.lane)].split(whole.item, halves.len() as u32);
        let refusals = if whole.refusals >= TRIES_MAX { TRIES_MAX - 1 } else { 0 };
        let mut halves = halves;
        for message in &mut halves {
            message.token.part = splinter(token, message.seqs.first);
        }
        self.blame.accuse_parts(&whole.message, &halves);
        for message in halves {
            let (message, place) = (Arc::new(message), Place::Unsent);
            // Those of one that had to be alone may be too large, too.
            self.insert(InFlight { message, item: whole.item, place, refusals, ends: whole.ends, whole: false });
        }
    }

    /// Forgets a message that is kept elsewhere now.
    pub fn give_up(&mut self, token: Token, now: Instant) -> Option<Arc<Message>> {
        let message = self.take_out(token)?;
        if self.blame.set_aside(token, now) {
            self.reconsider();
        }
        Some(message)
    }

    /// Forgets a message that is kept elsewhere now, and sends one in its place that declares it.
    pub fn declare(&mut self, token: Token, mut declaration: Message, now: Instant) -> Option<Arc<Message>> {
        let kept = self.remove(token)?;
        declaration.token = Token { part: splinter(token, declaration.seqs.first), ..token };
        let (message, place) = (Arc::new(declaration), Place::Unsent);
        self.insert(InFlight { message, item: kept.item, place, refusals: 0, ends: 0, whole: false });
        if self.blame.set_aside(token, now) {
            self.reconsider();
        }
        Some(kept.message)
    }

    /// Whether a message came from [`Window::declare`].
    pub fn is_declaration(message: &Message) -> bool {
        message.readings == 0 && message.token.part >= SPLINTERS
    }

    fn take_out(&mut self, token: Token) -> Option<Arc<Message>> {
        let in_flight = self.remove(token)?;
        self.lanes[index(token.lane)].returned(in_flight.item);
        Some(in_flight.message)
    }

    /// Whether something of the log's own lanes is done that [`Window::take_done`] has yet to tell: also where the end of an item was seen only
    /// after the last of its messages had come back.
    pub fn has_done(&self) -> bool {
        [Lane::Live, Lane::History].into_iter().any(|lane| self.lanes[index(lane)].has_done())
    }

    /// The seqs of what is done in this lane and was not told before, joined where they touch.
    pub fn take_done(&mut self, lane: Lane) -> Vec<SeqRange> {
        self.lanes[index(lane)].take_done()
    }

    /// The first seq of this lane that is not done.
    pub fn first(&self, lane: Lane) -> Option<Seq> {
        self.lanes[index(lane)].first()
    }

    /// Whether nothing of this lane is on its way.
    pub fn is_idle(&self, lane: Lane) -> bool {
        self.lanes[index(lane)].is_empty()
    }

    fn sent_since(&self, token: Token) -> Option<Instant> {
        match self.messages.get(&token)?.place {
            Place::Sent(since) => Some(since),
            Place::Unsent | Place::Waiting(_) | Place::Convicted => None,
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
                self.unsent.remove(token);
            }
            Place::Waiting(until) => {
                self.waiting.remove(&(until, token));
            }
            Place::Convicted => {
                self.convicted.remove(&token);
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

#[cfg(test)]
mod tests;
