//! What all connections of the broker share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc::{self, error::TrySendError};

use super::Misbehaviour;
use super::packet::{Publish, Qos};
use super::property::{CONTENT_TYPE, TOPIC_ALIAS, USER_PROPERTY, Value};
use super::session::Session;
use super::topic::matches;

/// The most sessions that are kept.
const SESSIONS_MAX: usize = 10_000;

/// The most retained messages; further topics retain nothing, which is counted.
const RETAINED_MAX: usize = 200_000;

/// A message as it came to the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Where to.
    pub topic: String,
    /// What.
    pub payload: Vec<u8>,
    /// 0, 1 or 2.
    pub qos: u8,
    /// Whether it is to be retained.
    pub retain: bool,
    /// Whether the client says that it may have sent it before.
    pub duplicate: bool,
    /// MQTT 5 only.
    pub content_type: Option<String>,
    /// MQTT 5 only, in their order.
    pub user_properties: Vec<(String, String)>,
}

/// What the broker has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BrokerCounts {
    /// TCP connections accepted.
    pub accepted: u64,
    /// CONNECTs answered with success.
    pub connected: u64,
    /// CONNECTs of clients whose session was found.
    pub resumed: u64,
    /// CONNECTs refused.
    pub refused: u64,
    /// Connections open now, from their CONNACK on.
    pub open: u64,
    /// Publishes taken, those with the duplicate flag among them.
    pub published: u64,
    /// Publishes with the duplicate flag.
    pub duplicates: u64,
    /// PUBACK and PUBREC sent.
    pub acknowledged: u64,
    /// The most publishes that one connection had without acknowledgement at a time.
    pub unacknowledged_max: u64,
    /// Publishes refused by [`Misbehaviour::RefuseTopic`] or [`Misbehaviour::ExceedQuota`].
    pub publishes_refused: u64,
    /// Last wills published.
    pub wills: u64,
    /// Connections ended by a packet that breaks the standard.
    pub malformed: u64,
    /// Retained messages and sessions not kept because there were too many.
    pub not_kept: u64,
}

/// Receives what clients publish, within the process.
#[derive(Debug)]
pub struct Observer {
    messages: mpsc::Receiver<Message>,
    missed: Arc<AtomicU64>,
}

impl Observer {
    /// The next message; none when the broker has stopped. May be cancelled.
    pub async fn next(&mut self) -> Option<Message> {
        self.messages.recv().await
    }

    /// The next message, if it is there.
    pub fn try_next(&mut self) -> Option<Message> {
        self.messages.try_recv().ok()
    }

    /// How many messages were missed because they were not fetched in time.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::SeqCst)
    }
}

/// The state behind the lock.
#[derive(Debug, Default)]
pub(super) struct Core {
    pub(super) sessions: BTreeMap<String, Session>,
    pub(super) counts: BrokerCounts,
    pub(super) misbehaviour: Misbehaviour,
    retained: BTreeMap<String, Arc<Publish>>,
    watchers: Vec<Watcher>,
    connections: u64,
}

#[derive(Debug)]
struct Watcher {
    filter: String,
    messages: mpsc::Sender<Message>,
    missed: Arc<AtomicU64>,
}

/// The core, shared.
#[derive(Debug, Clone, Default)]
pub(super) struct SharedCore(Arc<Mutex<Core>>);

impl SharedCore {
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut Core) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Core {
    /// Gives the session to a new connection, and says which it is and whether the session was there.
    pub(super) fn adopt(&mut self, client: &str, clean: bool, keeps: bool) -> (u64, bool) {
        self.connections += 1;
        let owner = self.connections;
        let forget = clean || self.misbehaviour == Misbehaviour::ForgetSessions;
        if forget && let Some(old) = self.sessions.remove(client) {
            old.wake.notify_one();
        }
        let found = self.sessions.contains_key(client);
        self.make_room();
        let session = self.sessions.entry(client.to_owned()).or_default();
        session.wake.notify_one();
        // The connection that owned it is rung above and finds itself dispossessed; the new one has its own bell.
        session.wake = Arc::default();
        session.owner = owner;
        session.keeps = keeps;
        (owner, found)
    }

    /// The connection is over: its session ends too, unless it is to outlive it.
    pub(super) fn abandon(&mut self, client: &str, owner: u64) {
        let forgets = self.misbehaviour == Misbehaviour::ForgetSessions;
        let Some(session) = self.owned(client, owner) else { return };
        session.owner = 0;
        if forgets || !session.keeps {
            self.sessions.remove(client);
        }
    }

    /// The session, unless another connection has taken it over or it was forgotten.
    pub(super) fn owned(&mut self, client: &str, owner: u64) -> Option<&mut Session> {
        self.sessions.get_mut(client).filter(|session| session.owner == owner)
    }

    /// Lets every connection find that its session is no longer its own.
    pub(super) fn dispossess_all(&mut self) {
        for session in self.sessions.values_mut().filter(|session| session.owner != 0) {
            session.owner = 0;
            session.wake.notify_one();
        }
        self.sessions.retain(|_, session| session.keeps);
    }

    /// Retains a message if it asks for that, and brings it to all who want it.
    pub(super) fn publish(&mut self, publish: Publish) {
        let message = Message::of(&publish);
        self.watchers.retain(|watcher| !matches(&watcher.filter, &message.topic) || watcher.tell(&message));
        let publish = Arc::new(Publish { properties: forwarded(&publish), ..publish });
        if publish.retain {
            self.retain(&publish);
        }
        let live = Arc::new(Publish { retain: false, ..Publish::clone(&publish) });
        self.sessions.values_mut().for_each(|session| session.offer(&live));
    }

    /// Subscribes a session and queues the retained messages for it.
    pub(super) fn subscribe(&mut self, client: &str, owner: u64, filter: &str, qos: Qos) {
        let retained: Vec<_> =
            self.retained.values().filter(|publish| matches(filter, &publish.topic)).cloned().collect();
        let Some(session) = self.owned(client, owner) else { return };
        session.subscribe(filter.to_owned(), qos);
        retained.iter().for_each(|publish| session.queue(publish, qos));
    }

    /// A new observer, which first gets what is retained, as far as there is room for it.
    pub(super) fn observe(&mut self, filter: &str, capacity: usize) -> Observer {
        let (messages, receiver) = mpsc::channel(capacity.max(1));
        let missed = Arc::<AtomicU64>::default();
        let watcher = Watcher { filter: filter.to_owned(), messages, missed: Arc::clone(&missed) };
        let retained = self.retained.values().filter(|publish| matches(filter, &publish.topic));
        if retained.map(|publish| Message::of(publish)).all(|message| watcher.tell(&message)) {
            self.watchers.push(watcher);
        }
        Observer { messages: receiver, missed }
    }

    fn retain(&mut self, publish: &Arc<Publish>) {
        if publish.payload.is_empty() {
            self.retained.remove(&publish.topic);
        } else if self.retained.len() < RETAINED_MAX || self.retained.contains_key(&publish.topic) {
            self.retained.insert(publish.topic.clone(), Arc::clone(publish));
        } else {
            self.counts.not_kept += 1;
        }
    }

    /// Gives up a session that nobody owns when there are too many.
    fn make_room(&mut self) {
        if self.sessions.len() < SESSIONS_MAX {
            return;
        }
        let unowned = self.sessions.iter().find(|(_, session)| session.owner == 0).map(|(client, _)| client.clone());
        if let Some(client) = unowned {
            self.sessions.remove(&client);
            self.counts.not_kept += 1;
        }
    }
}

impl Watcher {
    /// Whether there is still somebody.
    fn tell(&self, message: &Message) -> bool {
        match self.messages.try_send(message.clone()) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.missed.fetch_add(1, Ordering::SeqCst);
                true
            }
            Err(TrySendError::Closed(_)) => false,
        }
    }
}

impl Message {
    fn of(publish: &Publish) -> Self {
        let mut content_type = None;
        let mut user_properties = Vec::new();
        for (id, value) in &publish.properties {
            match (*id, value) {
                (CONTENT_TYPE, Value::Text(text)) => content_type = Some(text.clone()),
                (USER_PROPERTY, Value::Pair(name, value)) => user_properties.push((name.clone(), value.clone())),
                _ => {}
            }
        }
        Self {
            topic: publish.topic.clone(),
            payload: publish.payload.clone(),
            qos: publish.qos.bits(),
            retain: publish.retain,
            duplicate: publish.duplicate,
            content_type,
            user_properties,
        }
    }
}

/// An alias means something on its own connection only.
fn forwarded(publish: &Publish) -> Vec<(u8, Value)> {
    publish.properties.iter().filter(|(id, _)| *id != TOPIC_ALIAS).cloned().collect()
}
