//! What the broker knows of one client, connected or not. Pure.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use tokio::sync::Notify;

use super::packet::{Packet, Publish, Qos};
use super::topic::matches;

/// The most messages that wait for one client; then the oldest are dropped and counted.
const QUEUE_MAX: usize = 10_000;

/// The most publishes of QoS 2 that one client has open.
const OPEN_QOS2_MAX: usize = 1_000;

/// Subscriptions, and what was not delivered yet.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// Which connection owns it; 0 is none.
    pub(super) owner: u64,
    /// Rung when there is something to deliver, or when the owner changes.
    pub(super) wake: Arc<Notify>,
    pub(super) keeps: bool,
    /// Messages dropped because the queue was full.
    pub(super) dropped: u64,
    subscriptions: BTreeMap<String, Qos>,
    queue: VecDeque<(Arc<Publish>, Qos)>,
    in_flight: BTreeMap<u16, Arc<Publish>>,
    last_id: u16,
    open_qos2: BTreeSet<u16>,
}

impl Session {
    pub(super) fn subscribe(&mut self, filter: String, qos: Qos) {
        self.subscriptions.insert(filter, qos);
    }

    /// Whether there was such a subscription.
    pub(super) fn unsubscribe(&mut self, filter: &str) -> bool {
        self.subscriptions.remove(filter).is_some()
    }

    /// Queues a message, if a subscription takes it.
    pub(super) fn offer(&mut self, publish: &Arc<Publish>) {
        let taken = self.subscriptions.iter().filter(|(filter, _)| matches(filter, &publish.topic));
        if let Some(qos) = taken.map(|(_, qos)| *qos).max() {
            self.queue(publish, qos);
        }
    }

    /// Queues a message that the subscription of this QoS takes.
    pub(super) fn queue(&mut self, publish: &Arc<Publish>, qos: Qos) {
        if self.queue.len() == QUEUE_MAX {
            self.queue.pop_front();
            self.dropped += 1;
        }
        self.queue.push_back((Arc::clone(publish), qos.min(publish.qos)));
        self.wake.notify_one();
    }

    /// The next message to send, while fewer than `window` wait for their acknowledgements.
    pub(super) fn next(&mut self, window: usize) -> Option<Publish> {
        let (_, qos) = self.queue.front()?;
        if *qos != Qos::Zero && self.in_flight.len() >= window {
            return None;
        }
        let (publish, qos) = self.queue.pop_front()?;
        let id = (qos != Qos::Zero).then(|| self.free_id());
        if let Some(id) = id {
            self.in_flight.insert(id, Arc::clone(&publish));
        }
        // Exactly once is not offered outwards.
        let qos = qos.min(Qos::One);
        Some(Publish { qos, id, duplicate: false, ..Publish::clone(&publish) })
    }

    pub(super) fn acknowledged(&mut self, id: u16) {
        if self.in_flight.remove(&id).is_some() {
            self.wake.notify_one();
        }
    }

    /// What must be sent again to a client that came back.
    pub(super) fn resend(&self) -> Vec<Packet> {
        let again = self.in_flight.iter();
        again
            .map(|(id, publish)| {
                let publish = Publish::clone(publish);
                Packet::Publish(Publish { qos: Qos::One, id: Some(*id), duplicate: true, ..publish })
            })
            .collect()
    }

    /// Whether a publish of QoS 2 is new; none if there are too many.
    pub(super) fn open_qos2(&mut self, id: u16) -> Option<bool> {
        if self.open_qos2.len() >= OPEN_QOS2_MAX && !self.open_qos2.contains(&id) {
            return None;
        }
        Some(self.open_qos2.insert(id))
    }

    pub(super) fn close_qos2(&mut self, id: u16) {
        self.open_qos2.remove(&id);
    }

    /// At most QUEUE_MAX and far fewer than 65,535 ids are in use, so one is free.
    fn free_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if !self.in_flight.contains_key(&self.last_id) {
                return self.last_id;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(topic: &str, qos: Qos) -> Arc<Publish> {
        let (topic, payload) = (topic.to_owned(), b"x".to_vec());
        Arc::new(Publish { topic, payload, qos, retain: false, duplicate: false, id: None, properties: Vec::new() })
    }

    #[test]
    fn the_window_closes_until_the_client_acknowledges() {
        let mut session = Session::default();
        session.subscribe("a/#".to_owned(), Qos::Two);
        for _ in 0..3 {
            session.offer(&message("a/b", Qos::One));
        }
        let ids: Vec<_> = std::iter::from_fn(|| session.next(2)).map(|publish| publish.id).collect();
        assert_eq!(ids, [Some(1), Some(2)]);
        session.acknowledged(1);
        assert_eq!(session.next(2).and_then(|publish| publish.id), Some(3));
        assert_eq!(session.resend().len(), 2);
    }

    #[test]
    fn quality_is_the_lower_of_both() {
        let mut session = Session::default();
        session.subscribe("+".to_owned(), Qos::Zero);
        session.offer(&message("a", Qos::One));
        session.offer(&message("a/b", Qos::One));
        let found = session.next(0).map(|publish| (publish.qos, publish.id));
        assert_eq!(found, Some((Qos::Zero, None)));
        assert!(session.next(9).is_none());
    }

    #[test]
    fn a_full_queue_drops_the_oldest_and_counts() {
        let mut session = Session::default();
        session.subscribe("#".to_owned(), Qos::Zero);
        session.offer(&message("first", Qos::Zero));
        for _ in 0..QUEUE_MAX {
            session.offer(&message("later", Qos::Zero));
        }
        assert_eq!(session.dropped, 1);
        assert_eq!(session.next(1).map(|publish| publish.topic), Some("later".to_owned()));
    }
}
