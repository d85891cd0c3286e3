//! What is known of a subscription, without I/O: its items, its messages, and how long it may be silent.

use std::time::{Duration, Instant};

use driver_core::Timestamp;
use opcua::types::StatusCode;

use crate::plan::Retry;
use crate::sequence::Sequence;
use crate::session::{Published, Rest};

/// Most values older than the first one read that are left out.
const OLDER_MAX: u32 = 4;

/// One subscription: the tags of a group.
#[derive(Debug)]
pub(crate) struct Subscription {
    /// The server's number of it.
    pub(crate) id: u32,
    /// The session that it belongs to.
    pub(crate) session: u64,
    /// When the server that made it was started: one that was started again has others of the same number.
    pub(crate) server: Option<i64>,
    /// A living one is heard at least this often.
    silence_max: Duration,
    heard: Instant,
    /// Its messages, in their order.
    pub(crate) messages: Sequence,
    /// The server has told all that it had when the session took the subscription over.
    has_told_all: bool,
    /// The server was asked to say when its address space changes.
    pub(crate) has_model: bool,
    /// By the tag's place in its group.
    items: Vec<Item>,
}

/// A tag within a subscription.
#[derive(Debug, Clone, PartialEq)]
enum Item {
    /// The server was not asked for it yet.
    Unasked,
    /// The server watches it.
    Watched {
        /// The server's number of the item.
        id: u32,
        /// What is not as usual with it: nothing, as a rule.
        doubt: Option<Box<Doubt>>,
    },
    /// The server refused to watch it; when it is asked again.
    Refused(StatusCode, Retry),
}

/// What has to be remembered of an item for a while.
#[derive(Debug, Clone, PartialEq, Default)]
struct Doubt {
    /// What was read when it was made.
    first: Option<First>,
    /// The server last said bad of it; the item is made anew then, in case nothing more comes of it.
    renew: Option<Retry>,
    /// It came over from a session that is gone, and is read then unless the server tells of it before.
    unheard: Option<Instant>,
}

/// What the server says of an item.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Said {
    pub(crate) status: u32,
    pub(crate) time: Option<Timestamp>,
    pub(crate) is_bad: bool,
}

/// What was read of an item when it was made. The server's first notifications say the same again, and what it saw in the
/// moment before.
#[derive(Debug, Clone, PartialEq)]
struct First {
    status: u32,
    time: Timestamp,
    /// Older values that may still be left out; few, as the server's clock may have been set back.
    older_left: u32,
}

impl First {
    fn new(status: u32, time: Timestamp) -> First {
        First { status, time, older_left: OLDER_MAX }
    }

    /// Whether a notification is no news, and what is kept for the next one.
    fn covers(self, status: u32, time: Option<Timestamp>) -> (bool, Option<First>) {
        match time {
            Some(time) if time < self.time && self.older_left > 0 => {
                (true, Some(First { older_left: self.older_left - 1, ..self }))
            }
            time => (time == Some(self.time) && status == self.status, None),
        }
    }
}

impl Doubt {
    /// Takes in what the server says; whether that is news.
    fn hear(&mut self, said: Said, now: Instant) -> bool {
        self.unheard = None;
        self.renew = said.is_bad.then(|| self.renew.unwrap_or_else(|| Retry::first(now)));
        let Some(known) = self.first.take() else { return true };
        let (is_known, rest) = known.covers(said.status, said.time);
        self.first = rest;
        !is_known
    }
}

impl Subscription {
    /// A subscription to so many tags that the server has just made.
    pub(crate) fn new(
        id: u32,
        (session, server): (u64, Option<i64>),
        silence_max: Duration,
        tags: usize,
        now: Instant,
    ) -> Subscription {
        Subscription {
            id,
            session,
            server,
            silence_max,
            heard: now,
            messages: Sequence::default(),
            has_told_all: true,
            has_model: false,
            items: vec![Item::Unasked; tags],
        }
    }

    /// It goes on in another session. What the server still keeps of its messages (`kept`, by number) and has not come is
    /// missing; so many they are. Every item that is not told by `due` is read then.
    pub(crate) fn move_to(&mut self, session: u64, kept: &[u32], now: Instant, due: Instant) -> u32 {
        (self.session, self.heard, self.has_told_all) = (session, now, false);
        for item in &mut self.items {
            if let Item::Watched { doubt, .. } = item {
                let renew = doubt.take().and_then(|doubt| doubt.renew);
                *doubt = Some(Box::new(Doubt { first: None, renew, unheard: Some(due) }));
            }
        }
        self.messages.kept(kept);
        self.messages.missing_count()
    }

    /// The places of those that were to be heard by now, and were not; they are not asked for again. None as long as the
    /// server has more to tell: what is read would overtake what it has queued.
    pub(crate) fn unheard(&mut self, now: Instant) -> Vec<usize> {
        let mut found = Vec::new();
        if !self.has_told_all {
            return found;
        }
        for (place, item) in self.items.iter_mut().enumerate() {
            if let Item::Watched { doubt: Some(doubt), .. } = item
                && doubt.unheard.is_some_and(|due| due <= now)
            {
                doubt.unheard = None;
                found.push(place);
            }
        }
        found
    }

    /// Whether it has been silent for longer than a living one is.
    pub(crate) fn is_dead(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.heard) > self.silence_max
    }

    /// A message arrived, with values or as a sign of life; that one bears the number of the message to come.
    pub(crate) fn arrive(&mut self, Published { message, rest, .. }: Published, now: Instant) {
        self.heard = now;
        self.has_told_all |= rest == Rest::None;
        match message.notification_data.as_ref().is_some_and(|data| !data.is_empty()) {
            true => self.messages.arrive(message),
            false => self.messages.announce(message.sequence_number),
        }
    }

    /// The server told of a place; whether it is watched, and that is news.
    #[inline]
    pub(crate) fn hear(&mut self, place: usize, said: Said, now: Instant) -> bool {
        let Some(Item::Watched { doubt, .. }) = self.items.get_mut(place) else { return false };
        if doubt.is_none() && !said.is_bad {
            return true;
        }
        let kept = doubt.get_or_insert_default();
        let is_news = kept.hear(said, now);
        if **kept == Doubt::default() {
            *doubt = None;
        }
        is_news
    }

    /// A place was read when the server had begun to watch it: the server will say the same first.
    pub(crate) fn was_read(&mut self, place: usize, status: u32, time: Timestamp, is_bad: bool, now: Instant) {
        if let Some(Item::Watched { doubt, .. }) = self.items.get_mut(place) {
            let kept = doubt.get_or_insert_default();
            kept.first = Some(First::new(status, time));
            kept.renew = is_bad.then(|| Retry::first(now));
        }
    }

    /// The server watches a place, as its item of this number.
    pub(crate) fn watch(&mut self, place: usize, id: u32) {
        if let Some(item) = self.items.get_mut(place) {
            *item = Item::Watched { id, doubt: None };
        }
    }

    /// Which places have to be asked for now, and the server's numbers of items that are made anew.
    pub(crate) fn due(&self, now: Instant) -> (Vec<usize>, Vec<u32>) {
        let (mut due, mut old) = (Vec::new(), Vec::new());
        for (place, item) in self.items.iter().enumerate() {
            match item {
                Item::Unasked => due.push(place),
                Item::Refused(_, retry) if retry.at <= now => due.push(place),
                Item::Watched { id, doubt: Some(doubt) } if doubt.renew.is_some_and(|retry| retry.at <= now) => {
                    due.push(place);
                    old.push(*id);
                }
                Item::Refused(..) | Item::Watched { .. } => {}
            }
        }
        (due, old)
    }

    /// Whether every place is watched.
    pub(crate) fn watches_all(&self) -> bool {
        self.items.iter().all(|item| matches!(item, Item::Watched { .. }))
    }

    /// Why a place is not watched, if it is not.
    pub(crate) fn refusal(&self, place: usize) -> Option<StatusCode> {
        match self.items.get(place) {
            Some(Item::Refused(status, _)) => Some(*status),
            _ => None,
        }
    }

    /// The server refused a place; whether it had not done so just before.
    pub(crate) fn refuse(&mut self, place: usize, status: StatusCode, now: Instant) -> bool {
        let Some(item) = self.items.get_mut(place) else { return false };
        let is_new = !matches!(item, Item::Refused(..));
        let before = match item {
            Item::Refused(_, retry) => Some(*retry),
            Item::Watched { doubt, .. } => doubt.take().and_then(|doubt| doubt.renew),
            Item::Unasked => None,
        };
        *item = Item::Refused(status, before.map_or_else(|| Retry::first(now), |retry| retry.again(now)));
        is_new
    }
}

#[cfg(test)]
mod tests {
    use opcua::types::{ExtensionObject, NotificationMessage};

    use super::*;

    fn subscription(now: Instant) -> Subscription {
        Subscription::new(7, (1, Some(77)), Duration::from_secs(10), 3, now)
    }

    fn sign_of_life(sequence_number: u32) -> Published {
        let message = NotificationMessage { sequence_number, ..NotificationMessage::default() };
        Published { subscription: 7, message, rest: Rest::None }
    }

    fn published(number: u32, rest: Rest) -> Published {
        let mut published = Published { rest, ..sign_of_life(number) };
        published.message.notification_data = Some(vec![ExtensionObject::null()]);
        published
    }

    fn good(time: i64) -> Said {
        Said { status: 0, time: Some(Timestamp(time)), is_bad: false }
    }

    #[test]
    fn one_that_goes_on_in_another_session_reads_what_is_not_told_once_all_was_told() {
        let now = Instant::now();
        let later = now + Duration::from_secs(2);
        let mut one = subscription(now);
        one.watch(0, 70);
        one.watch(1, 71);
        one.refuse(2, StatusCode::BadNodeIdUnknown, now);
        one.arrive(published(8, Rest::None), now);
        assert_eq!(one.messages.take().map(|message| message.sequence_number), Some(8));
        assert_eq!((one.move_to(2, &[10, 7, 9, 8], now, later), one.session), (2, 2));
        assert!(one.hear(0, good(1), now));
        assert_eq!(one.unheard(now), [0_usize; 0]);
        one.arrive(published(9, Rest::Waits), later);
        assert_eq!(one.unheard(later), [0_usize; 0], "there is more to come");
        one.arrive(published(10, Rest::None), later);
        assert_eq!(one.unheard(later), [1]);
        assert_eq!(one.unheard(later), [0_usize; 0]);
    }

    #[test]
    fn what_was_read_first_is_told_once_and_nothing_older_after_it() {
        let first = First::new(0, Timestamp(100));
        let (older, rest) = first.clone().covers(0, Some(Timestamp(90)));
        assert!(older && rest.is_some());
        assert_eq!(rest.expect("it goes on").covers(0, Some(Timestamp(100))), (true, None));
        assert_eq!(first.clone().covers(0, Some(Timestamp(101))), (false, None));
        assert_eq!(first.clone().covers(7, Some(Timestamp(100))), (false, None));
        assert_eq!(first.clone().covers(0, None), (false, None));
        let set_back = (0..=OLDER_MAX).try_fold(first, |first, _| first.covers(0, Some(Timestamp(1))).1);
        assert_eq!(set_back, None, "a clock that was set back silences nothing");
    }

    #[test]
    fn the_first_thing_told_of_an_item_is_no_news_where_it_was_read() {
        let now = Instant::now();
        let mut one = subscription(now);
        one.watch(0, 70);
        one.was_read(0, 0, Timestamp(100), false, now);
        let told = [100, 100, 101, 100].map(|time| one.hear(0, good(time), now));
        assert_eq!(told, [false, true, true, true]);
    }

    #[test]
    fn silence_beyond_the_keep_alive_is_death() {
        let now = Instant::now();
        let mut one = subscription(now);
        assert!(!one.is_dead(now + Duration::from_secs(10)));
        assert!(one.is_dead(now + Duration::from_secs(11)));
        one.arrive(sign_of_life(1), now + Duration::from_secs(9));
        assert!(!one.is_dead(now + Duration::from_secs(19)));
    }

    #[test]
    fn a_refused_tag_and_one_gone_bad_are_asked_for_again() {
        let now = Instant::now();
        let mut one = subscription(now);
        assert_eq!(one.due(now).0, [0, 1, 2]);
        assert!(!one.hear(2, good(1), now), "it is not watched yet");
        assert!(one.refuse(0, StatusCode::BadNodeIdUnknown, now));
        one.watch(1, 71);
        one.watch(2, 72);
        let bad = Said { status: StatusCode::BadNoCommunication.bits(), is_bad: true, ..good(1) };
        assert!(one.hear(2, bad, now) && one.hear(2, bad, now + Duration::from_secs(4)));
        assert_eq!(one.refusal(0), Some(StatusCode::BadNodeIdUnknown));
        assert_eq!(one.due(now).0, [0_usize; 0]);
        assert_eq!(one.due(now + Duration::from_secs(6)), (vec![0, 2], vec![72]));
        assert!(!one.refuse(0, StatusCode::BadNodeIdUnknown, now + Duration::from_secs(6)));
        assert!(one.hear(2, good(2), now + Duration::from_secs(6)));
        assert_eq!(one.due(now + Duration::from_secs(12)).0, [0_usize; 0]);
        assert_eq!(one.due(now + Duration::from_secs(17)).0, [0]);
        assert!(!one.watches_all());
        one.watch(0, 73);
        assert!(one.watches_all());
    }
}
