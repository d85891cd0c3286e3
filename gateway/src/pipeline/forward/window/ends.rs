//! What the window makes of the ends of connections: who goes alone, who is on trial, what is not sent any more.

use std::sync::Arc;
use std::time::Instant;

use super::blame::Lost;
use super::{ENDS_MAX, InFlight, Place, TOO_LARGE_FOR, Window};
use crate::backoff::Jitter;
use crate::uplink::{EndedBy, Message, Token};

/// Why a message is not to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conviction {
    /// The far side ends the connection at whatever goes to this topic.
    TopicIsShut(Arc<str>),
    /// It ended the connection at batches of so many bytes.
    TooLarge(usize),
}

/// What the end of a connection tells of the messages on their way.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::pipeline::forward) enum Verdict {
    /// Nothing yet: they are sent again.
    Open,
    /// One is accused and waits, and the rest flows.
    Accused,
    /// The far side ended the connection again and again at this one, though it was alone, and took others: it is to be
    /// kept elsewhere, and then [`Window::give_up`], or halved.
    Guilty(Token),
    /// It was alone, and none so large was ever taken: it is to be halved.
    PerhapsTooLarge(Token),
}

impl Window {
    /// A connection begins.
    pub fn connected(&mut self, now: Instant, jitter: &mut Jitter) {
        self.blame.connected(now, jitter);
    }

    /// The connection is over: everything that did not come back is sent again.
    pub(in crate::pipeline::forward) fn lost(&mut self, by: EndedBy, now: Instant) -> Verdict {
        let lonely = self.lonely();
        let lost = self.blame.lost(by, now, self.delivered);
        let counts = by == EndedBy::FarSide && lost == Lost::ByOthers;
        let taken_alone = self.taken_alone.take().filter(|_| counts);
        let mut verdict = self.take_back(counts);
        match lonely.filter(|_| counts) {
            Some(token) if self.is_larger_than_any(token) => return self.suspect_size_of(token, now),
            Some(token) => {
                self.accuse(token);
                verdict = Verdict::Accused;
            }
            None => {}
        }
        if let Some((topic, at)) = taken_alone
            && now.saturating_duration_since(at) <= self.blame.at_once()
        {
            self.blame.accuse_topic(&topic, self.delivered);
            verdict = Verdict::Accused;
        }
        if lost == Lost::ByOthers {
            return verdict;
        }
        // Its topic may be shut now.
        self.reconsider();
        let Lost::ByTheTried(Some(token)) = lost else { return Verdict::Accused };
        self.withdraw(token, now);
        Verdict::Guilty(token)
    }

    /// What was on its way is to be sent again; with `counts`, this end is noted of each of it.
    fn take_back(&mut self, counts: bool) -> Verdict {
        let (mut verdict, mut lane_before) = (Verdict::Open, None);
        let is_sent = |in_flight: &InFlight| matches!(in_flight.place, Place::Sent(_));
        let sent = self.messages.iter().filter(|(_, in_flight)| is_sent(in_flight));
        let mut sent: Vec<Token> = sent.map(|(token, _)| *token).collect();
        sent.sort_unstable();
        for token in sent {
            let Some(in_flight) = self.messages.get_mut(&token) else { continue };
            in_flight.place = Place::Unsent;
            self.unsent.insert(token);
            if counts {
                in_flight.ends += 1;
                let is_first = lane_before.replace(token.lane) != Some(token.lane);
                if is_first && self.blame.suspect_topic_of(&in_flight.message) {
                    verdict = Verdict::Accused;
                }
            }
        }
        self.sent_behind = 0;
        verdict
    }

    /// A batch larger than all that were taken was alone: to halve it costs nothing, so nothing more has to be proven.
    fn suspect_size_of(&mut self, token: Token, now: Instant) -> Verdict {
        self.perhaps_too_large = self.messages.get(&token).map(|in_flight| in_flight.message.size_bytes());
        let others = self.messages.iter_mut().filter(|(other, _)| **other != token);
        others.for_each(|(_, in_flight)| in_flight.ends = 0);
        self.withdraw(token, now);
        Verdict::PerhapsTooLarge(token)
    }

    /// Takes one out of what is to be sent until it is decided what becomes of it.
    fn withdraw(&mut self, token: Token, now: Instant) {
        self.unsent.remove(token);
        self.convicted.remove(&token);
        self.wait(token, now);
    }

    /// One that may be too large cannot be made smaller: it is accused.
    pub fn cannot_be_halved(&mut self, token: Token) {
        self.perhaps_too_large = None;
        if let Some(in_flight) = self.messages.get_mut(&token) {
            in_flight.whole = true;
        }
        self.accuse(token);
    }

    /// Whether a message is a batch larger than all that were taken.
    fn is_larger_than_any(&self, token: Token) -> bool {
        self.messages.get(&token).is_some_and(|InFlight { message, whole, .. }| {
            is_batch(message) && !whole && message.size_bytes() > self.largest_taken
        })
    }

    /// The far side took a message of this size.
    pub(super) fn took_size(&mut self, bytes: usize, now: Instant) {
        self.largest_taken = self.largest_taken.max(bytes);
        if let Some(least) = self.perhaps_too_large.take()
            && bytes < least
        {
            self.too_large = Some((least, now + TOO_LARGE_FOR));
            self.reconsider();
        }
    }

    /// What seemed too large for long is tried again.
    pub(super) fn doubt_sizes(&mut self, now: Instant) {
        if let Some((least, _)) = self.too_large.take_if(|(_, until)| *until <= now) {
            self.doubted = Some(least);
        }
    }

    /// A message was alone when the far side did not bear it: it waits, and no other has to go alone because of it.
    pub(super) fn accuse(&mut self, token: Token) {
        let Some(in_flight) = self.messages.get(&token) else { return };
        self.blame.accuse(&in_flight.message, self.delivered);
        if !is_batch(&in_flight.message) {
            // One that cannot be smaller is not borne: it was no matter of size.
            (self.perhaps_too_large, self.too_large) = (None, None);
        }
        self.messages.values_mut().for_each(|in_flight| in_flight.ends = 0);
    }

    /// The message that was sent so as to be alone on its way.
    pub(super) fn lonely(&self) -> Option<Token> {
        if self.sent() != 1 {
            return None;
        }
        let (token, in_flight) =
            self.messages.iter().find(|(_, in_flight)| matches!(in_flight.place, Place::Sent(_)))?;
        (in_flight.ends >= ENDS_MAX).then_some(*token)
    }

    /// The message that goes on trial now: on a connection that has stood, and on which others were delivered where there
    /// are any.
    pub(super) fn on_trial(&self, candidate: Option<Token>, now: Instant) -> Option<Token> {
        if self.blame.trial_at().is_none_or(|at| at > now) || !(self.blame.is_proven() || candidate.is_none()) {
            return None;
        }
        self.blame.next_on_trial(|token, topic| match token {
            Some(token) => self.unsent.contains(token).then_some(token),
            None => self.unsent.iter().find(|token| self.is_to(*token, topic)),
        })
    }

    pub(super) fn is_to(&self, token: Token, topic: Option<&Arc<str>>) -> bool {
        self.messages.get(&token).is_some_and(|in_flight| Some(&in_flight.message.topic) == topic)
    }

    pub(super) fn is_held(&self, token: Token) -> bool {
        self.messages.get(&token).is_some_and(|in_flight| self.blame.holds(&in_flight.message))
    }

    pub(super) fn conviction_of(&self, in_flight: &InFlight) -> Option<Conviction> {
        let InFlight { message, whole, .. } = in_flight;
        if self.blame.is_shut(&message.topic) {
            return Some(Conviction::TopicIsShut(message.topic.clone()));
        }
        let (least, _) = self.too_large.filter(|(least, _)| message.size_bytes() >= *least)?;
        (is_batch(message) && !whole).then_some(Conviction::TooLarge(least))
    }

    /// Takes what is not to be sent any more out of what is to be sent.
    pub(super) fn reconsider(&mut self) {
        for token in std::mem::take(&mut self.unsent).iter() {
            self.offer(token);
        }
    }

    /// A message that is not to be sent, and why: it is to be kept elsewhere and then [`Window::give_up`], to be
    /// [`Window::split`], or to be sent after all, with [`Window::send_whole`]. Else it comes again after a while.
    pub fn next_convicted(&mut self, now: Instant) -> Option<(Token, Conviction)> {
        while let Some(token) = self.convicted.first().copied() {
            self.convicted.remove(&token);
            let Some(conviction) = self.messages.get(&token).and_then(|it| self.conviction_of(it)) else {
                self.offer(token);
                continue;
            };
            self.wait(token, now);
            return Some((token, conviction));
        }
        None
    }

    /// A message that seems too large cannot be made smaller: it is sent, alone.
    pub fn send_whole(&mut self, token: Token) {
        let Some(in_flight) = self.messages.get_mut(&token) else { return };
        (in_flight.whole, in_flight.ends) = (true, ENDS_MAX);
        if let Place::Waiting(until) = in_flight.place {
            self.waiting.remove(&(until, token));
            self.offer(token);
        }
    }
}

pub(super) fn is_batch(message: &Message) -> bool {
    message.seqs.first != message.seqs.last
}
