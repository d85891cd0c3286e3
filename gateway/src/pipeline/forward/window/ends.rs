//! What the window makes of the ends of connections: who goes alone, who is on trial, what is not sent any more.

use std::sync::Arc;
use std::time::Instant;

use super::super::poison::About;
use super::blame::{Lost, Others};
use super::{ENDS_MAX, InFlight, Place, Window};
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

/// A message at which the far side ended the connection again and again, though it was alone.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::pipeline::forward) enum Culprit {
    /// Others were taken: it is to be halved or kept elsewhere, and then [`Window::give_up`].
    Proven(Token, About),
    /// Nothing else was taken either, but none so large was ever: it is to be halved.
    PerhapsTooLarge(Token),
}

impl Window {
    /// A connection begins.
    pub fn connected(&mut self, now: Instant, jitter: &mut Jitter) {
        self.blame.connected(now, jitter);
    }

    /// The connection is over: everything that did not come back is sent again.
    pub(in crate::pipeline::forward) fn lost(&mut self, by: EndedBy, now: Instant) -> Option<Culprit> {
        let lonely = self.lonely();
        let lost = self.blame.lost(by, now, self.delivered);
        let counts = by == EndedBy::FarSide && lost == Lost::ByOthers;
        let at_once = self.blame.at_once();
        let taken_alone = self.taken_alone.take().filter(|(_, at)| now.saturating_duration_since(*at) <= at_once);
        let mut lane_before = None;
        for (token, in_flight) in &mut self.messages {
            if !matches!(in_flight.place, Place::Sent(_)) {
                continue;
            }
            in_flight.place = Place::Unsent;
            self.unsent.insert(*token);
            if counts {
                in_flight.ends += 1;
                if lane_before.replace(token.lane) != Some(token.lane) {
                    self.blame.suspect_topic_of(&in_flight.message);
                }
            }
        }
        self.sent_behind = 0;
        if let Some(token) = lonely.filter(|_| counts) {
            self.accuse(token);
        }
        if let Some((topic, _)) = taken_alone.filter(|_| counts) {
            self.blame.accuse_topic(&topic, self.delivered);
        }
        if lost == Lost::ByOthers {
            return None;
        }
        // Its topic may be shut now.
        self.reconsider();
        let Lost::ByTheTried(Some((token, others))) = lost else { return None };
        let perhaps_too_large = self.is_larger_than_any(token);
        let culprit = match others {
            Others::Taken if perhaps_too_large => Culprit::Proven(token, About::ItsSize),
            Others::Taken => Culprit::Proven(token, About::TheMessage),
            Others::NotTaken if perhaps_too_large => Culprit::PerhapsTooLarge(token),
            Others::NotTaken => return None,
        };
        if perhaps_too_large && self.largest_taken > 0 {
            self.too_large = self.messages.get(&token).map(|in_flight| in_flight.message.size_bytes());
            self.reconsider();
        }
        self.unsent.remove(&token);
        self.convicted.remove(&token);
        self.wait(token, now);
        Some(culprit)
    }

    /// Whether a message is a batch larger than all that were taken.
    fn is_larger_than_any(&self, token: Token) -> bool {
        let message = self.messages.get(&token).map(|in_flight| &in_flight.message);
        message.is_some_and(|message| is_batch(message) && message.size_bytes() > self.largest_taken)
    }

    /// A message was alone when the far side did not bear it: it waits, and no other has to go alone because of it.
    pub(super) fn accuse(&mut self, token: Token) {
        let Some(in_flight) = self.messages.get(&token) else { return };
        self.blame.accuse(&in_flight.message, self.delivered);
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
            Some(token) => self.unsent.contains(&token).then_some(token),
            None => self.unsent.iter().find(|token| self.is_to(**token, topic)).copied(),
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
        let too_large = self.too_large.filter(|least| message.size_bytes() >= *least)?;
        (is_batch(message) && !whole).then_some(Conviction::TooLarge(too_large))
    }

    /// Takes what is not to be sent any more out of what is to be sent.
    pub(super) fn reconsider(&mut self) {
        for token in std::mem::take(&mut self.unsent) {
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

fn is_batch(message: &Message) -> bool {
    message.seqs.first != message.seqs.last
}
