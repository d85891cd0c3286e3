//! Subscribed tags: what the server tells becomes readings, and what it is silent about is found out.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use driver_core::{Contact, GroupId, Level, LinkError, Quality, Readings, Reason, TagId};
use opcua::types::{
    DataChangeNotification, EventNotificationList, NotificationMessage, StatusChangeNotification, StatusCode, Variant,
};

use super::OpcUaConnection;
use super::watch::{MODEL, note_read, place};
use crate::address::What;
use crate::config::TimeSource;
use crate::decode::{decode, to_ask};
use crate::device::{Found, Group, OpcUaDevice};
use crate::events;
use crate::sequence::Missing;
use crate::session::{Fault, Published};
use crate::subscription::{Said, Subscription};
use crate::types::Types;
use crate::wire;

/// A server that makes no subscription is asked again after this long; its tags are polled meanwhile.
const SUBSCRIBE_AGAIN: Duration = Duration::from_secs(60);

/// What a subscription came to.
#[derive(Debug, Default)]
pub(crate) enum Listening {
    /// It has not been asked for.
    #[default]
    NotYet,
    /// It lives.
    Subscribed(Subscription),
    /// The server makes none; when it is asked again.
    Polled(Instant),
}

impl OpcUaConnection {
    /// Hands over what the server has told of a group, sees to its subscription, and tells of every tag that is not watched.
    pub(super) async fn listen(
        &mut self,
        device: &mut OpcUaDevice,
        group: GroupId,
        readings: &mut Readings<'_>,
    ) -> Result<Contact, LinkError> {
        let now = Instant::now();
        if self.session.is_over() {
            return Err(self.session.lost("the server closed the session"));
        }
        let before = readings.len();
        if !self.taken_over(device, group, now, readings).await? && !self.subscribed(device, group, now).await? {
            let tags = device.members(group).to_vec();
            return self.read_all(device, &tags, readings).await;
        }
        let mut made = self.watch_all(device, group, now).await?;
        self.watch_model(device, group).await?;
        self.understand().await?;
        self.hear(device, readings);
        self.mend(device, group, readings).await?;
        // What the server told already need not be read.
        if !made.is_empty() {
            let told: BTreeSet<TagId> = readings.since(before).iter().map(|reading| reading.tag).collect();
            made.retain(|index| !told.contains(&device.tags[*index].id));
        }
        if self.read_untold(device, group, &made, readings).await? == Contact::Silent {
            return Ok(Contact::Silent);
        }
        if self.is_dead(device, group, now) {
            return self.bury(device, group, readings).await;
        }
        tell_of_unwatched(device, group, readings);
        Ok(Contact::Answered)
    }

    /// Reads what is newly watched, and what the server has not told since it took the subscription over.
    async fn read_untold(
        &mut self,
        device: &mut OpcUaDevice,
        group: GroupId,
        made: &[usize],
        readings: &mut Readings<'_>,
    ) -> Result<Contact, LinkError> {
        let before = readings.len();
        if self.first_values(device, group, made, readings).await? == Contact::Silent {
            return Ok(Contact::Silent);
        }
        note_read(device, group, readings.since(before));
        let Group { listening: Listening::Subscribed(subscription), tags, .. } = &mut device.groups[group.index()]
        else {
            return Ok(Contact::Answered);
        };
        let unheard: Vec<usize> = subscription.unheard(Instant::now()).into_iter().map(|place| tags[place]).collect();
        self.first_values(device, group, &unheard, readings).await
    }

    /// Whether a subscription of a session that is gone goes on in this one. What it said meanwhile is handed over before
    /// anything new: the server keeps it until it is acknowledged.
    async fn taken_over(
        &mut self,
        device: &mut OpcUaDevice,
        group: GroupId,
        now: Instant,
        readings: &mut Readings<'_>,
    ) -> Result<bool, LinkError> {
        let Some(known) = device.groups.get_mut(group.index()) else { return Ok(false) };
        let server = self.session.server_started;
        match &known.listening {
            Listening::Subscribed(old)
                if old.session != self.session.number && server.is_some() && old.server == server => {}
            _ => return Ok(false),
        }
        // Taken out first: a server that ends the session over this is not asked again.
        let Listening::Subscribed(mut subscription) = std::mem::take(&mut known.listening) else { return Ok(false) };
        let kept = match self.session.transfer(subscription.id).await {
            Ok(kept) => kept,
            Err(Fault::Over(over)) => return Err(over),
            Err(fault) => {
                tracing::debug!(device = &*device.name, "a subscription is made anew: {}", told(&fault));
                return Ok(false);
            }
        };
        let missing = subscription.move_to(self.session.number, &kept, now, now + known.interval * 2);
        known.listening = Listening::Subscribed(subscription);
        tracing::info!(device = &*device.name, missing, "a subscription goes on where it was");
        self.mend(device, group, readings).await?;
        self.session.publish();
        Ok(true)
    }

    /// Whether the group has a subscription; one is made where it has none.
    async fn subscribed(&mut self, device: &mut OpcUaDevice, group: GroupId, now: Instant) -> Result<bool, LinkError> {
        let Some(known) = device.groups.get_mut(group.index()) else { return Ok(false) };
        match &known.listening {
            Listening::Subscribed(subscription) if subscription.session == self.session.number => return Ok(true),
            Listening::Polled(again) if *again > now => return Ok(false),
            _ => known.listening = Listening::NotYet,
        }
        match self.session.subscribe(known.interval).await {
            Ok(made) => {
                let origin = (self.session.number, self.session.server_started);
                let subscription = Subscription::new(made.id, origin, made.silence_max, known.tags.len(), now);
                known.listening = Listening::Subscribed(subscription);
                Ok(true)
            }
            Err(Fault::Over(over)) => Err(over),
            Err(fault) => {
                known.listening = Listening::Polled(now + SUBSCRIBE_AGAIN);
                let cause = told(&fault);
                tracing::warn!(
                    device = &*device.name,
                    "the server makes no subscription, its tags are polled: {cause}"
                );
                Ok(false)
            }
        }
    }

    /// Learns the data types of what has arrived, as far as they are not known yet.
    async fn understand(&mut self) -> Result<(), LinkError> {
        while let Some(published) = self.session.published() {
            self.waiting.push_back(published);
        }
        let values: Vec<Variant> =
            self.waiting.iter().filter_map(|published| unknown(&published.message, &self.types)).collect();
        self.learn(values.iter()).await
    }

    /// Takes in what has arrived, up to a message with a structure of a type that is not known: for that the server is asked
    /// at the next poll.
    pub(super) fn hear(&mut self, device: &mut OpcUaDevice, readings: &mut Readings<'_>) {
        while let Some(published) = self.waiting.pop_front().or_else(|| self.session.published()) {
            readings.answered();
            if unknown(&published.message, &self.types).is_some() {
                self.waiting.push_front(published);
                return;
            }
            self.take_in(device, published, readings);
        }
    }

    fn take_in(&mut self, device: &mut OpcUaDevice, published: Published, readings: &mut Readings<'_>) {
        let now = Instant::now();
        let found = device.groups.iter_mut().position(|group| {
            matches!(&group.listening, Listening::Subscribed(one) if one.id == published.subscription && one.session == self.session.number)
        });
        let Some(group) = found else { return };
        if let Listening::Subscribed(subscription) = &mut device.groups[group].listening {
            subscription.arrive(published, now);
        }
        self.hand_over(device, group, readings);
    }

    /// Hands over the messages whose turn it is, and lets the server forget them: those that are only received it keeps for the
    /// next session, should this one end.
    fn hand_over(&mut self, device: &mut OpcUaDevice, group: usize, readings: &mut Readings<'_>) {
        while let Listening::Subscribed(subscription) = &mut device.groups[group].listening
            && let Some(message) = subscription.messages.take()
        {
            self.session.acknowledge(subscription.id, message.sequence_number);
            self.values(device, group, &message, readings);
        }
    }

    /// What a message tells.
    fn values(
        &mut self,
        device: &mut OpcUaDevice,
        group: usize,
        message: &NotificationMessage,
        readings: &mut Readings<'_>,
    ) {
        for data in message.notification_data.iter().flatten() {
            if let Some(ended) = data.inner_as::<StatusChangeNotification>() {
                if ended.status == StatusCode::GoodSubscriptionTransferred {
                    continue;
                }
                tracing::warn!(
                    device = &*device.name,
                    "the server ended a subscription, it is made anew: {}",
                    ended.status
                );
                device.groups[group].listening = Listening::NotYet;
                return;
            }
            if let Some(changes) = data.inner_as::<DataChangeNotification>() {
                self.changes(device, group, changes, readings);
            } else if let Some(told) = data.inner_as::<EventNotificationList>() {
                self.events(device, group, told, readings);
            }
        }
    }

    fn changes(
        &self,
        device: &mut OpcUaDevice,
        group: usize,
        changes: &DataChangeNotification,
        readings: &mut Readings<'_>,
    ) {
        let now = Instant::now();
        let OpcUaDevice { tags, groups, history, .. } = device;
        let Group { listening: Listening::Subscribed(subscription), tags: members, .. } = &mut groups[group] else {
            return;
        };
        for change in changes.monitored_items.iter().flatten() {
            let Some(place) = place(change.client_handle) else { continue };
            let Some(index) = members.get(place).copied() else { continue };
            let decoded = decode(&change.value, self.time, &self.types);
            let is_bad = decoded.quality.level() == Level::Bad;
            let said = Said { status: decoded.status, time: decoded.time, is_bad };
            if !subscription.hear(place, said, now) {
                continue;
            }
            if let Some(at) = decoded.time {
                history.heard(index, at, now);
            }
            readings.push_at(tags[index].id, decoded.value, decoded.quality, decoded.status, decoded.time);
        }
    }

    /// Each event is a reading; that the address space has changed is a reason to look through it.
    fn events(
        &self,
        device: &mut OpcUaDevice,
        group: usize,
        told: &EventNotificationList,
        readings: &mut Readings<'_>,
    ) {
        for event in told.events.iter().flatten() {
            if event.client_handle == MODEL {
                device.search.is_stale = true;
                continue;
            }
            let Some(place) = place(event.client_handle) else { continue };
            let Some(tag) = device.groups[group].tags.get(place).map(|index| &device.tags[*index]) else { continue };
            let fields = event.event_fields.as_deref().unwrap_or_default();
            if let Some(events::Told { value, time }) = events::told(fields, &self.types) {
                let time = time.filter(|_| self.time != TimeSource::Arrival);
                readings.push_at(tag.id, value, Quality::Good, 0, time);
            }
        }
    }

    /// Asks for messages that are missing; what the server no longer has is read.
    async fn mend(
        &mut self,
        device: &mut OpcUaDevice,
        group: GroupId,
        readings: &mut Readings<'_>,
    ) -> Result<(), LinkError> {
        let mut lost = None;
        while let Listening::Subscribed(subscription) = &mut device.groups[group.index()].listening
            && let Some(missing) = subscription.messages.missing()
        {
            let message = match missing {
                Missing::One(number) => self.session.republish(subscription.id, number).await,
                Missing::TooMany => Err(Fault::Refused(StatusCode::BadMessageNotAvailable)),
            };
            match message {
                Ok(message) => {
                    self.learn(unknown(&message, &self.types).iter()).await?;
                    subscription.messages.found(message);
                }
                Err(Fault::Over(over)) => return Err(over),
                Err(fault) => {
                    subscription.messages.give_up();
                    lost = Some(told(&fault));
                }
            }
            self.hand_over(device, group.index(), readings);
        }
        match lost {
            Some(cause) => self.read_lost(device, group, &cause, readings).await,
            None => Ok(()),
        }
    }

    /// Reads the tags of a group of which messages are lost. The events among them can be read nowhere.
    async fn read_lost(
        &mut self,
        device: &mut OpcUaDevice,
        group: GroupId,
        cause: &str,
        readings: &mut Readings<'_>,
    ) -> Result<(), LinkError> {
        tracing::warn!(device = &*device.name, "a message of the server is lost, its tags are read: {cause}");
        let tags = device.groups[group.index()].tags.iter().copied();
        let (told, values): (Vec<usize>, Vec<usize>) =
            tags.partition(|index| device.tags[*index].address.what == What::Events);
        device.history.interrupted(values.iter().copied());
        self.read_all(device, &values, readings).await?;
        let lost = StatusCode::BadMessageNotAvailable.bits();
        told.iter().for_each(|index| readings.bad(device.tags[*index].id, Reason::Disconnected, lost));
        Ok(())
    }

    fn is_dead(&self, device: &OpcUaDevice, group: GroupId, now: Instant) -> bool {
        matches!(&device.groups[group.index()].listening, Listening::Subscribed(one) if one.is_dead(now))
    }

    /// A subscription that is silent for too long is given up: its tags are bad now, and it is made anew at the next turn.
    async fn bury(
        &mut self,
        device: &mut OpcUaDevice,
        group: GroupId,
        readings: &mut Readings<'_>,
    ) -> Result<Contact, LinkError> {
        let known = &mut device.groups[group.index()];
        let Listening::Subscribed(subscription) = std::mem::take(&mut known.listening) else {
            return Ok(Contact::Answered);
        };
        tracing::warn!(device = &*device.name, "a subscription went silent, it is made anew");
        device.history.interrupted(known.tags.iter().copied());
        known.tags.iter().for_each(|index| readings.bad(device.tags[*index].id, Reason::Timeout, 0));
        match self.session.unsubscribe(subscription.id).await {
            Err(Fault::Over(over)) => Err(over),
            Err(Fault::Silent) => Ok(Contact::Silent),
            Ok(()) | Err(Fault::Refused(_) | Fault::TooMuch) => Ok(Contact::Answered),
        }
    }
}

/// Tags that the server does not watch are bad, each with its reason.
fn tell_of_unwatched(device: &OpcUaDevice, group: GroupId, readings: &mut Readings<'_>) {
    let Group { listening: Listening::Subscribed(subscription), tags, .. } = &device.groups[group.index()] else {
        return;
    };
    if device.has_all() && subscription.watches_all() {
        return;
    }
    for (place, index) in tags.iter().enumerate() {
        let tag = &device.tags[*index];
        match (&tag.node, subscription.refusal(place)) {
            (Found::Nowhere(status, _), _) => readings.bad(tag.id, wire::reason(*status), status.bits()),
            (_, Some(status)) => readings.bad(tag.id, wire::reason(status), status.bits()),
            (Found::NotYet, None) => readings.bad(tag.id, Reason::Timeout, 0),
            (Found::At(_), None) => {}
        }
    }
}

/// A value in a message of whose type the server has not been asked.
fn unknown(message: &NotificationMessage, types: &Types) -> Option<Variant> {
    let data = message.notification_data.iter().flatten();
    let changes = data.filter_map(|data| data.inner_as::<DataChangeNotification>());
    let mut values = changes.flat_map(|changes| changes.monitored_items.iter().flatten());
    values.find_map(|change| change.value.value.as_ref().filter(|value| to_ask(value, types).is_some())).cloned()
}

fn told(fault: &Fault) -> String {
    match fault {
        Fault::Refused(status) => wire::explain(status.bits()),
        Fault::TooMuch => "it is more than the server takes at once".into(),
        Fault::Silent => "no answer in time".into(),
        Fault::Over(over) => over.to_string(),
    }
}
