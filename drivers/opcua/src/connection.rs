//! A live OPC UA connection: polls, writes, and looks around.

mod explore;
mod fill;
mod listen;
mod watch;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use driver_core::{
    BrowseError, Connection, Contact, Entry, Fact, GroupId, LinkError, Readings, Reason, TagId, Value, WriteError,
    WriteOutcome,
};
use opcua::types::{DataValue, NodeId, StatusCode, Variant};

use crate::address::{Address, Place, What};
use crate::config::{OpcUaEndpoint, TimeSource};
use crate::decode::{decode, encode, to_ask};
use crate::device::{Found, OpcUaDevice};
use crate::session::{Fault, Published, Session};
use crate::types::Types;
use crate::wire;
pub(crate) use listen::Listening;

/// A connection to one server.
#[derive(Debug)]
pub struct OpcUaConnection {
    session: Session,
    time: TimeSource,
    sampling: Option<Duration>,
    queue: u32,
    /// How often the address space is looked through again.
    rebrowse: Duration,
    /// Messages of subscriptions that have arrived.
    waiting: VecDeque<Published>,
    /// What is known of the server's own data types.
    types: Types,
}

impl Connection for OpcUaConnection {
    type Device = OpcUaDevice;

    async fn poll(
        &mut self,
        device: &mut OpcUaDevice,
        group: GroupId,
        readings: &mut Readings<'_>,
    ) -> Result<Contact, LinkError> {
        let result = self.poll_group(device, group, readings).await;
        if result.is_err() {
            // What was told before the session ended is not told again.
            self.hear(device, readings);
        }
        result
    }

    async fn write(&mut self, device: &mut OpcUaDevice, tag: TagId, value: &Value) -> Result<WriteOutcome, LinkError> {
        let Some(index) = device.index_of(tag) else {
            return Ok(WriteOutcome::Failed(WriteError::Refused("this device has no such tag".into())));
        };
        device.enter(self.session.number);
        let now = Instant::now();
        let wanted = device.to_find(&[index], now);
        self.find(device, &wanted, now).await?;
        match self.write_tag(device, index, value).await {
            Ok(held) => Ok(WriteOutcome::Written(held)),
            Err(Failure::Write(error)) => Ok(WriteOutcome::Failed(error)),
            Err(Failure::Link(over)) => Err(over),
        }
    }

    async fn touch(&mut self, _: &mut OpcUaDevice) -> Result<Contact, LinkError> {
        match self.session.touch().await {
            Ok(()) | Err(Fault::Refused(_) | Fault::TooMuch) => Ok(Contact::Answered),
            Err(Fault::Silent) => Ok(Contact::Silent),
            Err(Fault::Over(over)) => Err(over),
        }
    }

    async fn identify(&mut self, _: &mut OpcUaDevice) -> Result<Vec<Fact>, LinkError> {
        self.session.facts().await
    }

    async fn browse(&mut self, _: &mut OpcUaDevice, place: &str) -> Result<Result<Vec<Entry>, BrowseError>, LinkError> {
        let node = if place.is_empty() {
            NodeId::objects_folder_id()
        } else {
            let place = match Address::parse(place) {
                Ok(address) => address.place,
                Err(error) => return Ok(Err(BrowseError::Refused(error.message))),
            };
            let found = match self.session.find(&[place]).await {
                Ok(found) => found.into_iter().next().unwrap_or(Err(StatusCode::BadNoMatch)),
                Err(Fault::Over(over)) => return Err(over),
                Err(Fault::Refused(status)) => Err(status),
                Err(Fault::Silent | Fault::TooMuch) => Err(StatusCode::BadTimeout),
            };
            match found {
                Ok(node) => node,
                Err(status) => return Ok(Err(BrowseError::Refused(wire::explain(status.bits())))),
            }
        };
        self.session.children(node).await
    }

    async fn news(&mut self) {
        if self.waiting.is_empty() {
            let published = self.session.wait_published().await;
            self.waiting.push_back(published);
        }
    }

    fn take_news(&mut self, device: &mut OpcUaDevice, readings: &mut Readings<'_>) {
        self.hear(device, readings);
    }

    async fn close(self) {
        self.session.leave().await;
    }
}

/// Why a write did not come to its end.
enum Failure {
    Write(WriteError),
    Link(LinkError),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Failure {
        match fault {
            Fault::Over(over) => Failure::Link(over),
            Fault::Silent => Failure::Write(WriteError::Unknown),
            Fault::TooMuch => Failure::Write(WriteError::Refused("the value is larger than the server takes".into())),
            Fault::Refused(status) => Failure::Write(refused(status)),
        }
    }
}

fn refused(status: StatusCode) -> WriteError {
    let text = format!("{}. {}", wire::explain(status.bits()), wire::advice(status));
    match status {
        StatusCode::BadNotWritable | StatusCode::BadUserAccessDenied => WriteError::ReadOnly(text),
        _ => WriteError::Refused(text),
    }
}

/// The nodes of those of these tags that can be read; the others are bad at once. Whether the server has said something of
/// one of them.
fn readable(device: &OpcUaDevice, tags: &[usize], readings: &mut Readings<'_>) -> (Vec<(usize, NodeId)>, Contact) {
    let (mut there, mut contact) = (Vec::with_capacity(tags.len()), Contact::Silent);
    for index in tags {
        let tag = &device.tags[*index];
        match &tag.node {
            // Events happen; there is nothing to be read.
            Found::At(_) if tag.address.what == What::Events => {
                contact = Contact::Answered;
                readings.bad(tag.id, Reason::AddressRefused, StatusCode::BadNotReadable.bits());
            }
            Found::At(node) => there.push((*index, node.clone())),
            Found::Nowhere(status, _) => {
                contact = Contact::Answered;
                readings.bad(tag.id, wire::reason(*status), status.bits());
            }
            Found::NotYet => readings.bad(tag.id, Reason::Timeout, 0),
        }
    }
    (there, contact)
}

impl OpcUaConnection {
    /// A connection over an open session.
    pub(crate) fn new(session: Session, endpoint: &OpcUaEndpoint) -> OpcUaConnection {
        OpcUaConnection {
            session,
            time: endpoint.time,
            sampling: endpoint.sampling,
            queue: endpoint.queue,
            rebrowse: endpoint.rebrowse,
            waiting: VecDeque::new(),
            types: Types::default(),
        }
    }

    async fn poll_group(
        &mut self,
        device: &mut OpcUaDevice,
        group: GroupId,
        readings: &mut Readings<'_>,
    ) -> Result<Contact, LinkError> {
        device.enter(self.session.number);
        let now = Instant::now();
        let wanted = device.to_find(device.members(group), now);
        self.find(device, &wanted, now).await?;
        self.explore(device, group).await?;
        let contact = if device.is_listening() {
            self.listen(device, group, readings).await?
        } else {
            let tags = device.members(group).to_vec();
            self.read_all(device, &tags, readings).await?
        };
        if device.fills_gaps() {
            self.fill(device, group, readings).await?;
        }
        Ok(contact)
    }

    /// Looks for the nodes of these tags.
    async fn find(&mut self, device: &mut OpcUaDevice, wanted: &[usize], now: Instant) -> Result<(), LinkError> {
        let mut at = 0;
        while at < wanted.len() {
            let batch = &wanted[at..(at + self.session.limits.translate).min(wanted.len())];
            let places: Vec<Place> = batch.iter().map(|index| device.tags[*index].address.place.clone()).collect();
            match self.session.find(&places).await {
                Ok(found) => batch.iter().zip(found).for_each(|(index, found)| device.note(*index, found, now)),
                Err(Fault::Over(over)) => return Err(over),
                Err(Fault::TooMuch) if batch.len() > 1 => {
                    self.session.limits.translate = batch.len() / 2;
                    continue;
                }
                Err(Fault::TooMuch) => device.note(batch[0], Err(StatusCode::BadTooManyOperations), now),
                Err(Fault::Silent) => return Ok(()),
                Err(Fault::Refused(status)) => batch.iter().for_each(|index| device.note(*index, Err(status), now)),
            }
            at += batch.len();
        }
        Ok(())
    }

    /// Reads tags in batches as large as the server takes; each comes to one reading.
    async fn read_all(
        &mut self,
        device: &mut OpcUaDevice,
        tags: &[usize],
        readings: &mut Readings<'_>,
    ) -> Result<Contact, LinkError> {
        let (there, mut contact) = readable(device, tags, readings);
        let mut at = 0;
        while at < there.len() {
            let batch = &there[at..(at + self.session.limits.read).min(there.len())];
            let nodes: Vec<NodeId> = batch.iter().map(|(_, node)| node.clone()).collect();
            let failure = match self.session.read(&nodes).await {
                Ok(values) => {
                    contact = Contact::Answered;
                    readings.answered();
                    self.learn(values.iter().filter_map(|data| data.value.as_ref())).await?;
                    batch.iter().zip(&values).for_each(|((tag, _), value)| self.push(device, *tag, value, readings));
                    None
                }
                Err(Fault::Over(over)) => return Err(over),
                Err(Fault::TooMuch) if self.session.halve_reads(batch.len()).is_some() => continue,
                Err(Fault::TooMuch) => Some((Reason::DeviceFailure, StatusCode::BadResponseTooLarge.bits())),
                Err(Fault::Refused(status)) => Some((wire::reason(status), status.bits())),
                Err(Fault::Silent) => Some((Reason::Timeout, 0)),
            };
            if let Some((reason, status)) = failure {
                contact = if status == 0 { contact } else { Contact::Answered };
                batch.iter().for_each(|(tag, _)| readings.bad(device.tags[*tag].id, reason, status));
            }
            at += batch.len();
        }
        Ok(contact)
    }

    fn push(&self, device: &mut OpcUaDevice, index: usize, value: &DataValue, readings: &mut Readings<'_>) {
        let decoded = decode(value, self.time, &self.types);
        if let Some(at) = decoded.time {
            device.history.heard(index, at, Instant::now());
        }
        readings.push_at(device.tags[index].id, decoded.value, decoded.quality, decoded.status, decoded.time);
    }

    /// Learns the data types of these values that are not known yet.
    async fn learn(&mut self, values: impl Iterator<Item = &Variant>) -> Result<(), LinkError> {
        for value in values {
            // One structure may hold others.
            while let Some(encoding) = to_ask(value, &self.types) {
                self.session.learn(encoding, &mut self.types).await?;
            }
        }
        Ok(())
    }

    /// Writes what the server's type makes of a value, and reads it back.
    async fn write_tag(&mut self, device: &OpcUaDevice, index: usize, value: &Value) -> Result<Value, Failure> {
        let tag = &device.tags[index];
        let node = match &tag.node {
            Found::At(_) if tag.address.what == What::Events => {
                return Err(Failure::Write(WriteError::ReadOnly("events are told, not written".into())));
            }
            Found::At(node) => node.clone(),
            Found::Nowhere(status, _) => return Err(Failure::Write(refused(*status))),
            Found::NotYet => return Err(Failure::Write(WriteError::Unknown)),
        };
        let now = self.session.read(std::slice::from_ref(&node)).await?;
        let (kind, dimensions) = match now[0].value.as_ref() {
            Some(Variant::Array(array)) => {
                let dimensions = array.dimensions.clone().unwrap_or_else(|| vec![array.values.len() as u32]);
                (Some(array.value_type), Some(dimensions))
            }
            Some(value) => (value.scalar_type_id(), None),
            None => (None, None),
        };
        let Some(kind) = kind else {
            return Err(Failure::Write(self.without_a_type(now[0].status)));
        };
        let wanted = encode(value, kind, dimensions.as_deref()).map_err(Failure::Write)?;
        let status = self.session.write(&node, wanted).await?;
        if status.is_bad() {
            return Err(Failure::Write(refused(status)));
        }
        // What cannot be read back is not known; the write itself was taken.
        match self.session.read(&[node]).await {
            Ok(held) => {
                self.learn(held[0].value.iter()).await.map_err(Failure::Link)?;
                Ok(decode(&held[0], self.time, &self.types).value)
            }
            Err(Fault::Over(over)) => Err(Failure::Link(over)),
            Err(_) => Ok(Value::None),
        }
    }

    fn without_a_type(&self, status: Option<StatusCode>) -> WriteError {
        match status.filter(|status| status.is_bad()) {
            Some(status) => refused(status),
            None => WriteError::Refused("the node holds no value yet, so its type is not known".into()),
        }
    }
}
