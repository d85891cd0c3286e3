//! Having the server watch what it does not watch yet: values, with a deadband where it takes one, events, and whether its
//! address space changes.

use std::time::{Duration, Instant};

use driver_core::{Contact, GroupId, LinkError, Quality, Reading, Readings, Timestamp};
use opcua::types::{NodeId, ObjectId, StatusCode};

use super::{Listening, OpcUaConnection};
use crate::address::What;
use crate::device::{Found, OpcUaDevice, Tag};
use crate::events;
use crate::plan::Retry;
use crate::session::{Fault, Watch, Watched};
use crate::subscription::{First, Item, Subscription};

/// The handle of the item that says that the address space has changed. Not the largest number: to node-opcua that is none.
pub(super) const MODEL: u32 = i32::MAX as u32;
/// Events that the server keeps between two messages where nothing else is said.
const EVENTS_QUEUE: u32 = 1_000;

impl OpcUaConnection {
    /// Has the server watch what it does not watch yet; returns which tags are new to it.
    pub(super) async fn watch_all(
        &mut self,
        device: &mut OpcUaDevice,
        group: GroupId,
        tags: &[usize],
        now: Instant,
    ) -> Result<Vec<usize>, LinkError> {
        let interval = device.groups[group.index()].interval;
        let Listening::Subscribed(subscription) = &mut device.groups[group.index()].listening else {
            return Ok(Vec::new());
        };
        let (due, old) = subscription.due(tags, now);
        if !old.is_empty()
            && let Err(Fault::Over(over)) = self.session.unwatch(subscription.id, old).await
        {
            return Err(over);
        }
        let there = |index: &usize| matches!(device.tags[*index].node, Found::At(_));
        let mut wanted: Vec<usize> = due.into_iter().filter(there).collect();
        let (mut at, mut made) = (0, Vec::new());
        while at < wanted.len() {
            let batch = wanted[at..(at + self.session.limits.monitor).min(wanted.len())].to_vec();
            let watches: Vec<Watch> =
                batch.iter().filter_map(|index| self.watch(*index, &device.tags[*index], interval)).collect();
            match self.session.watch(subscription.id, &watches).await {
                Ok(results) => {
                    for (index, result) in batch.iter().zip(results) {
                        match result {
                            Ok(id) => {
                                subscription.put(*index, Item::watched(id));
                                made.push(*index);
                            }
                            Err(status) if device.tags[*index].asks_for_a_deadband() && refuses_filter(status) => {
                                // The gateway's own deadband is kept in any case.
                                device.tags[*index].takes_no_deadband = true;
                                wanted.push(*index);
                            }
                            Err(status) => subscription.refuse(*index, status, now),
                        }
                    }
                }
                Err(Fault::Over(over)) => return Err(over),
                Err(Fault::TooMuch) if batch.len() > 1 => {
                    self.session.limits.monitor = batch.len() / 2;
                    continue;
                }
                Err(Fault::TooMuch) => subscription.refuse(batch[0], StatusCode::BadTooManyOperations, now),
                Err(Fault::Refused(status)) => batch.iter().for_each(|tag| subscription.refuse(*tag, status, now)),
                Err(Fault::Silent) => {
                    batch.iter().for_each(|tag| subscription.refuse(*tag, StatusCode::BadTimeout, now));
                }
            }
            at += batch.len();
        }
        Ok(made)
    }

    /// How a tag is to be watched.
    fn watch(&self, index: usize, tag: &Tag, interval: Duration) -> Option<Watch> {
        let Found::At(node) = &tag.node else { return None };
        let (what, sampling, queue) = match tag.address.what {
            What::Value => {
                let deadband = tag.watch.deadband.filter(|_| !tag.takes_no_deadband);
                let sampling = tag.watch.sampling.or(self.sampling).unwrap_or(interval);
                (Watched::Value { deadband }, sampling, tag.watch.queue.unwrap_or(self.queue))
            }
            What::Events => (Watched::Events, Duration::ZERO, tag.watch.queue.unwrap_or(EVENTS_QUEUE)),
        };
        Some(Watch { node: node.clone(), handle: handle(index), sampling, queue, what })
    }

    /// Has the server say when its address space changes, where that is of interest; few servers can.
    pub(super) async fn watch_model(&mut self, device: &mut OpcUaDevice, group: GroupId) -> Result<(), LinkError> {
        let wants = !device.search.globs.is_empty() && group.index() == 0;
        let Listening::Subscribed(subscription) = &mut device.groups[group.index()].listening else { return Ok(()) };
        if !wants || std::mem::replace(&mut subscription.has_model, true) {
            return Ok(());
        }
        let watch = Watch {
            node: NodeId::from(ObjectId::Server),
            handle: MODEL,
            sampling: Duration::ZERO,
            queue: 1,
            what: Watched::ModelChanges,
        };
        match self.session.watch(subscription.id, &[watch]).await {
            Err(Fault::Over(over)) => Err(over),
            Ok(results) if results.iter().all(Result::is_ok) => Ok(()),
            Ok(_) | Err(_) => {
                tracing::debug!(device = &*device.name, "the server does not say when its address space changes");
                Ok(())
            }
        }
    }

    /// Reads what is newly watched once, so that each tag has a value at once; what the server tells first is the same. Of
    /// events there is none yet: that they are listened to is told, and conditions that hold are told anew.
    pub(super) async fn first_values(
        &mut self,
        device: &mut OpcUaDevice,
        group: GroupId,
        made: &[usize],
        readings: &mut Readings<'_>,
    ) -> Result<Option<Contact>, LinkError> {
        if made.is_empty() {
            return Ok(None);
        }
        let (told, values): (Vec<usize>, Vec<usize>) =
            made.iter().copied().partition(|index| device.tags[*index].address.what == What::Events);
        for index in &told {
            readings.push(device.tags[*index].id, events::listening(), Quality::Good, 0);
        }
        if !told.is_empty()
            && let Listening::Subscribed(subscription) = &device.groups[group.index()].listening
        {
            self.session.refresh_conditions(subscription.id).await?;
        }
        if values.is_empty() {
            return Ok(Some(Contact::Answered));
        }
        let before = readings.len();
        let contact = self.read_all(device, &values, readings).await?;
        let read: Vec<(usize, u32, Timestamp, bool)> = readings
            .since(before)
            .iter()
            .filter_map(|reading: &Reading| {
                let index = device.index_of(reading.tag)?;
                let is_bad = reading.quality.level() == driver_core::Level::Bad;
                Some((index, reading.status, reading.timestamp, is_bad))
            })
            .collect();
        if let Listening::Subscribed(subscription) = &mut device.groups[group.index()].listening {
            note_first(subscription, read);
        }
        Ok(Some(contact))
    }
}

fn note_first(subscription: &mut Subscription, read: Vec<(usize, u32, Timestamp, bool)>) {
    for (index, status, time, is_bad) in read {
        if let Some(Item::Watched { first, renew, .. }) = subscription.item(index) {
            *first = Some(First::new(status, time));
            *renew = is_bad.then(|| Retry::first(Instant::now()));
        }
    }
}

/// Whether the server watches the node, but not with a deadband (Part 4, 7.22.2).
fn refuses_filter(status: StatusCode) -> bool {
    use StatusCode as S;
    [
        S::BadFilterNotAllowed,
        S::BadMonitoredItemFilterUnsupported,
        S::BadMonitoredItemFilterInvalid,
        S::BadDeadbandFilterInvalid,
    ]
    .contains(&status)
}

/// A tag's handle with the server: never 0, which the library would replace.
fn handle(index: usize) -> u32 {
    u32::try_from(index + 1).unwrap_or(MODEL - 1)
}
