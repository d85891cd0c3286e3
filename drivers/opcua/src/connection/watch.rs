//! Having the server watch what it does not watch yet: values, with a deadband where it takes one, events, and whether its
//! address space changes.

use std::time::{Duration, Instant};

use driver_core::{Contact, GroupId, Level, LinkError, Quality, Reading, Readings};
use opcua::types::{NodeId, ObjectId, StatusCode};

use super::{Listening, OpcUaConnection};
use crate::address::What;
use crate::device::{Found, Group, OpcUaDevice, Tag};
use crate::events;
use crate::session::{Fault, Watch, Watched};
use crate::wire;

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
        now: Instant,
    ) -> Result<Vec<usize>, LinkError> {
        let Some((subscription, mut wanted, old)) = due(device, group, now) else { return Ok(Vec::new()) };
        if !old.is_empty()
            && let Err(Fault::Over(over)) = self.session.unwatch(subscription, old).await
        {
            return Err(over);
        }
        let (mut at, mut made) = (0, Vec::new());
        while at < wanted.len() {
            let batch = wanted[at..(at + self.session.limits.monitor).min(wanted.len())].to_vec();
            let watches = self.watches(device, group, &batch);
            let results = match self.session.watch(subscription, &watches).await {
                Ok(results) => results,
                Err(Fault::Over(over)) => return Err(over),
                Err(Fault::TooMuch) if batch.len() > 1 => {
                    self.session.limits.monitor = batch.len() / 2;
                    continue;
                }
                Err(Fault::TooMuch) => vec![Err(StatusCode::BadTooManyOperations)],
                Err(Fault::Refused(status)) => vec![Err(status); batch.len()],
                Err(Fault::Silent) => vec![Err(StatusCode::BadTimeout); batch.len()],
            };
            let noted = note(device, group, &batch, results, now);
            made.extend(noted.made);
            wanted.extend(noted.again);
            at += batch.len();
        }
        Ok(made)
    }

    /// How these places of a group are to be watched.
    fn watches(&self, device: &OpcUaDevice, group: GroupId, places: &[usize]) -> Vec<Watch> {
        let Group { tags, interval, .. } = &device.groups[group.index()];
        places.iter().filter_map(|place| self.watch(*place, &device.tags[tags[*place]], *interval)).collect()
    }

    /// How a tag is to be watched.
    fn watch(&self, place: usize, tag: &Tag, interval: Duration) -> Option<Watch> {
        let Found::At(node) = &tag.node else { return None };
        let (what, sampling, queue) = match tag.address.what {
            What::Value => {
                let deadband = tag.watch.deadband.filter(|_| !tag.takes_no_deadband);
                let sampling = tag.watch.sampling.or(self.sampling).unwrap_or(interval);
                (Watched::Value { deadband }, sampling, tag.watch.queue.unwrap_or(self.queue))
            }
            What::Events => (Watched::Events, Duration::ZERO, tag.watch.queue.unwrap_or(EVENTS_QUEUE)),
        };
        Some(Watch { node: node.clone(), handle: handle(place), sampling, queue, what })
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

    /// Reads tags once, so that each has a value at once where the server has told none. Of
    /// events there is none yet: that they are listened to is told, and conditions that hold are told anew.
    pub(super) async fn first_values(
        &mut self,
        device: &mut OpcUaDevice,
        group: GroupId,
        made: &[usize],
        readings: &mut Readings<'_>,
    ) -> Result<Contact, LinkError> {
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
            return Ok(Contact::Answered);
        }
        self.read_all(device, &values, readings).await
    }
}

/// What of a group has to be asked for: the server's number of its subscription, the places, and the server's numbers of
/// the items that they had; nothing where all is watched.
fn due(device: &OpcUaDevice, group: GroupId, now: Instant) -> Option<(u32, Vec<usize>, Vec<u32>)> {
    let Group { listening: Listening::Subscribed(subscription), tags, .. } = &device.groups[group.index()] else {
        return None;
    };
    let (mut places, old) = subscription.due(now);
    places.retain(|place| matches!(device.tags[tags[*place]].node, Found::At(_)));
    (!places.is_empty() || !old.is_empty()).then_some((subscription.id, places, old))
}

/// What came of a batch.
struct Noted {
    /// The tags that the server watches now.
    made: Vec<usize>,
    /// The places to be asked for again, without a deadband: the gateway's own is kept in any case.
    again: Vec<usize>,
}

fn note(
    device: &mut OpcUaDevice,
    group: GroupId,
    batch: &[usize],
    results: Vec<Result<u32, StatusCode>>,
    now: Instant,
) -> Noted {
    let (mut noted, mut refused) = (Noted { made: Vec::new(), again: Vec::new() }, Vec::new());
    let Group { listening: Listening::Subscribed(subscription), tags, .. } = &mut device.groups[group.index()] else {
        return noted;
    };
    for (place, result) in batch.iter().copied().zip(results) {
        let tag = &mut device.tags[tags[place]];
        match result {
            Ok(id) => {
                subscription.watch(place, id);
                noted.made.push(tags[place]);
            }
            Err(status) if tag.asks_for_a_deadband() && refuses_filter(status) => {
                tag.takes_no_deadband = true;
                noted.again.push(place);
            }
            Err(status) if subscription.refuse(place, status, now) => refused.push((tags[place], status)),
            Err(_) => {}
        }
    }
    tell_of_refused(device, &refused);
    noted
}

/// Tags that the server has begun to refuse, in one line for all of a batch.
fn tell_of_refused(device: &OpcUaDevice, refused: &[(usize, StatusCode)]) {
    let Some((tag, status)) = refused.first() else { return };
    tracing::warn!(
        device = &*device.name,
        tags = refused.len(),
        address = %device.tags[*tag].address,
        "tags are bad, the server does not watch them, this one first: {}. {}",
        wire::explain(status.bits()),
        wire::advice(*status)
    );
}

/// What was read of tags that are newly watched is what the server tells of them first.
pub(super) fn note_read(device: &mut OpcUaDevice, group: GroupId, read: &[Reading]) {
    let now = Instant::now();
    let places: Vec<Option<usize>> = read
        .iter()
        .map(|reading| device.groups[group.index()].tags.binary_search(&device.index_of(reading.tag)?).ok())
        .collect();
    let Listening::Subscribed(subscription) = &mut device.groups[group.index()].listening else { return };
    for (place, reading) in places.into_iter().zip(read) {
        let Some(place) = place else { continue };
        let is_bad = reading.quality.level() == Level::Bad;
        subscription.was_read(place, reading.status, reading.timestamp, is_bad, now);
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

/// The handle with the server of a place in a group: never 0, which the library would replace.
fn handle(place: usize) -> u32 {
    u32::try_from(place + 1).unwrap_or(MODEL - 1)
}

/// The place in its group that a handle stands for.
pub(super) fn place(handle: u32) -> Option<usize> {
    (handle as usize).checked_sub(1)
}
