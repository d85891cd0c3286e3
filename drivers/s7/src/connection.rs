//! A live S7 connection: polls, writes, and what its silence means.

mod fault;
mod identify;
mod poll;
mod split;
mod tally;
mod write;

use std::slice;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use driver_core::{Connection, Contact, Fact, GroupId, LinkError, Readings, TagId, Value, WriteOutcome};

use crate::config::S7Endpoint;
use crate::device::S7Device;
use crate::plan::{Block, Request};
use crate::session::{self, Session};
use crate::wire::{Area, Item, Outgoing, read};
use fault::Silence;

pub(crate) use fault::cannot_connect;
pub(crate) use poll::Paused;

/// A connection to one PLC.
#[derive(Debug)]
pub struct S7Connection {
    session: Session,
    timeout: Duration,
    silence: Silence,
}

impl Connection for S7Connection {
    type Device = S7Device;

    async fn poll(
        &mut self,
        device: &mut S7Device,
        group: GroupId,
        readings: &mut Readings<'_>,
    ) -> Result<Contact, LinkError> {
        device.fit(self.session.agreed().pdu);
        self.poll_group(device, group, readings).await
    }

    async fn write(&mut self, device: &mut S7Device, tag: TagId, value: &Value) -> Result<WriteOutcome, LinkError> {
        device.fit(self.session.agreed().pdu);
        self.write_tag(device, tag, value).await
    }

    async fn touch(&mut self, device: &mut S7Device) -> Result<Contact, LinkError> {
        let contact = self.touch_first(device).await?;
        self.silence.note(contact, self.timeout)
    }

    async fn identify(&mut self, _: &mut S7Device) -> Result<Vec<Fact>, LinkError> {
        self.facts().await
    }

    async fn close(self) {
        self.session.leave().await;
    }
}

impl S7Connection {
    /// A connection over an open session.
    pub(crate) fn new(session: Session, endpoint: &S7Endpoint) -> S7Connection {
        S7Connection { session, timeout: endpoint.timeout, silence: Silence::new(endpoint) }
    }

    fn over(&self, over: session::LinkError) -> LinkError {
        self.silence.over(over, self.timeout)
    }

    /// Reads the first byte or element of the device's first tag; any answer shows that it is there.
    async fn touch_first(&mut self, device: &S7Device) -> Result<Contact, LinkError> {
        let first = device.tags.iter().enumerate().find(|(_, tag)| tag.address.is_readable());
        let parameter = match first {
            Some((index, tag)) => {
                read::parameter(std::iter::once(Block::part(index, tag, 0, 2.min(tag.address.bytes())).item))
            }
            None => read::parameter(std::iter::once(Item { area: Area::Flags, start: 0, len: 1 })),
        };
        let mut contact = Contact::Silent;
        let ran = self.session.run([Outgoing::job(&parameter)], 1, self.timeout, |_, result| {
            if result.is_ok() {
                contact = Contact::Answered;
            }
        });
        ran.await.map_err(|over| self.silence.over(over, self.timeout))?;
        Ok(contact)
    }
}

/// Requests in turn, until the poll is over or pauses.
struct Jobs<'r> {
    requests: slice::Iter<'r, Request>,
    stops: Option<&'r AtomicBool>,
}

impl<'r> Jobs<'r> {
    fn all(requests: &'r [Request]) -> Jobs<'r> {
        Jobs { requests: requests.iter(), stops: None }
    }
}

impl<'r> Iterator for Jobs<'r> {
    type Item = Outgoing<'r>;

    fn next(&mut self) -> Option<Outgoing<'r>> {
        if self.stops.is_some_and(|stops| stops.load(Ordering::Relaxed)) {
            return None;
        }
        self.requests.next().map(Request::outgoing)
    }
}
