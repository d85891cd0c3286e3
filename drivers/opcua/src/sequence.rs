//! The messages of a subscription in the order of their numbers, whatever the order of their coming (Part 4, 5.14.5),
//! without I/O.

use std::collections::VecDeque;

use opcua::types::NotificationMessage;

/// Most messages that are asked for again one by one: a longer hole is a loss.
const HOLE_MAX: u32 = 64;

/// What of a subscription's messages has come, up to the one whose turn it is.
#[derive(Debug, Default)]
pub(crate) struct Sequence {
    /// The number of the message whose turn it is; none was heard of yet.
    next: Option<u32>,
    /// Those that came before their turn, in the order of their numbers.
    early: VecDeque<(u32, NotificationMessage)>,
    /// All messages before this number were sent.
    sent: Option<u32>,
    /// Numbers that were missing lately and are not waited for any more.
    closed: VecDeque<u32>,
}

/// What is missing before a message that is known of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// The message of this number, first of all.
    One(u32),
    /// More messages than are asked for.
    TooMany,
}

impl Sequence {
    /// A message has come.
    pub(crate) fn arrive(&mut self, message: NotificationMessage) {
        let number = message.sequence_number;
        let mut next = *self.next.get_or_insert(number);
        if is_before(number, next) {
            if self.closed.contains(&number) {
                return;
            }
            // The server counts anew; to wait for the old number would be silence.
            *self = Sequence { next: Some(number), ..Sequence::default() };
            next = number;
        }
        let place = self.early.partition_point(|(other, _)| distance(next, *other) < distance(next, number));
        if self.early.get(place).is_none_or(|(other, _)| *other != number) {
            self.early.insert(place, (number, message));
        }
    }

    /// The missing message has come, after it was asked for.
    pub(crate) fn found(&mut self, message: NotificationMessage) {
        self.close();
        if let Some(number) = self.next {
            self.arrive(NotificationMessage { sequence_number: number, ..message });
        }
    }

    /// The server says that the message of this number is the next one that it will send.
    pub(crate) fn announce(&mut self, number: u32) {
        if number == 0 {
            return;
        }
        let next = *self.next.get_or_insert(number);
        if self.sent.is_none_or(|sent| is_before(sent, number)) && !is_before(number, next) {
            self.sent = Some(number);
        }
    }

    /// The server still keeps the messages of these numbers.
    pub(crate) fn kept(&mut self, numbers: &[u32]) {
        self.next = self.next.or_else(|| numbers.iter().min().copied());
        numbers.iter().for_each(|number| self.announce(after(*number)));
    }

    /// The message whose turn it is, once.
    pub(crate) fn take(&mut self) -> Option<NotificationMessage> {
        let next = self.next?;
        if self.early.front()?.0 != next {
            return None;
        }
        self.next = Some(after(next));
        self.early.pop_front().map(|(_, message)| message)
    }

    /// What is missing.
    pub(crate) fn missing(&self) -> Option<Missing> {
        let (next, _, length) = self.hole()?;
        Some(if length > HOLE_MAX { Missing::TooMany } else { Missing::One(next) })
    }

    /// How many messages are missing.
    pub(crate) fn missing_count(&self) -> u32 {
        self.hole().map_or(0, |(.., length)| length)
    }

    /// What is missing is waited for no more.
    pub(crate) fn give_up(&mut self) {
        let Some((next, until, length)) = self.hole() else { return };
        self.close();
        self.next = Some(if length > HOLE_MAX { until } else { after(next) });
    }

    /// Should the message whose turn it is still come by itself, it is not news.
    fn close(&mut self) {
        self.closed.extend(self.next);
        if self.closed.len() > HOLE_MAX as usize {
            self.closed.pop_front();
        }
    }

    /// The first missing number, the first that is not missing, and how many lie between.
    fn hole(&self) -> Option<(u32, u32, u32)> {
        let next = self.next?;
        let until = self.early.front().map(|(number, _)| *number).or(self.sent)?;
        (next != until && !is_before(until, next)).then(|| (next, until, distance(next, until)))
    }
}

/// The number after this one; there is no 0 (Part 4, 5.14.5).
fn after(number: u32) -> u32 {
    number.checked_add(1).unwrap_or(1)
}

/// How many messages lie from one number to another.
fn distance(from: u32, to: u32) -> u32 {
    if to >= from { to - from } else { (u32::MAX - from).wrapping_add(to) }
}

fn is_before(number: u32, other: u32) -> bool {
    distance(other, number) > u32::MAX / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(sequence_number: u32) -> NotificationMessage {
        NotificationMessage { sequence_number, ..NotificationMessage::default() }
    }

    /// The numbers that are handed over when these have come.
    fn after_these(sequence: &mut Sequence, numbers: &[u32]) -> Vec<u32> {
        numbers.iter().for_each(|number| sequence.arrive(message(*number)));
        std::iter::from_fn(|| sequence.take()).map(|message| message.sequence_number).collect()
    }

    #[test]
    fn messages_go_on_in_their_order_whatever_the_order_of_their_coming() {
        let mut sequence = Sequence::default();
        assert_eq!(after_these(&mut sequence, &[5, 6]), [5, 6]);
        assert_eq!(after_these(&mut sequence, &[9, 8]), [0_u32; 0]);
        assert_eq!((sequence.missing(), sequence.missing_count()), (Some(Missing::One(7)), 1));
        assert_eq!(after_these(&mut sequence, &[8, 7]), [7, 8, 9]);
        assert_eq!(sequence.missing(), None);
    }

    #[test]
    fn what_was_asked_for_is_handed_over_once_and_before_what_came_after_it() {
        let mut sequence = Sequence::default();
        assert_eq!(after_these(&mut sequence, &[5, 7]), [5]);
        sequence.found(message(6));
        assert_eq!(after_these(&mut sequence, &[]), [6, 7]);
        assert_eq!(after_these(&mut sequence, &[6]), [0_u32; 0], "it was only late");
        assert_eq!(after_these(&mut sequence, &[8]), [8]);
    }

    #[test]
    fn what_the_server_does_not_have_holds_nothing_back() {
        let mut sequence = Sequence::default();
        assert_eq!(after_these(&mut sequence, &[5, 8]), [5]);
        sequence.give_up();
        assert_eq!(sequence.missing(), Some(Missing::One(7)));
        sequence.give_up();
        assert_eq!(after_these(&mut sequence, &[6]), [8]);
        assert_eq!(after_these(&mut sequence, &[1_000]), [0_u32; 0]);
        assert_eq!(sequence.missing(), Some(Missing::TooMany));
        sequence.give_up();
        assert_eq!(after_these(&mut sequence, &[]), [1_000]);
    }

    #[test]
    fn a_sign_of_life_tells_what_was_sent() {
        let mut sequence = Sequence::default();
        sequence.announce(0);
        sequence.announce(4);
        assert_eq!(after_these(&mut sequence, &[4]), [4]);
        sequence.announce(5);
        assert_eq!(sequence.missing(), None);
        sequence.announce(7);
        sequence.announce(5);
        assert_eq!((sequence.missing(), sequence.missing_count()), (Some(Missing::One(5)), 2));
        assert_eq!(after_these(&mut sequence, &[5, 6]), [5, 6]);
        assert_eq!(sequence.missing(), None);
    }

    #[test]
    fn what_the_server_has_kept_is_missing_as_far_as_it_has_not_come() {
        let mut sequence = Sequence::default();
        assert_eq!(after_these(&mut sequence, &[8]), [8]);
        sequence.kept(&[10, 7, 9, 8]);
        assert_eq!((sequence.missing(), sequence.missing_count()), (Some(Missing::One(9)), 2));
        let mut nothing_came = Sequence::default();
        nothing_came.kept(&[2, 1]);
        assert_eq!((nothing_came.missing(), nothing_came.missing_count()), (Some(Missing::One(1)), 2));
        let mut nothing_kept = Sequence::default();
        nothing_kept.kept(&[]);
        assert_eq!(after_these(&mut nothing_kept, &[3]), [3]);
    }

    #[test]
    fn numbers_begin_again_at_one() {
        let mut sequence = Sequence::default();
        assert_eq!(after_these(&mut sequence, &[u32::MAX - 1, 1, u32::MAX]), [u32::MAX - 1, u32::MAX, 1]);
        assert_eq!(after_these(&mut sequence, &[3]), [0_u32; 0]);
        assert_eq!(sequence.missing(), Some(Missing::One(2)));
    }

    #[test]
    fn a_server_that_counts_anew_is_not_met_with_silence() {
        let mut sequence = Sequence::default();
        assert_eq!(after_these(&mut sequence, &[500]), [500]);
        assert_eq!(after_these(&mut sequence, &[1, 2]), [1, 2]);
    }
}
