//! A live Modbus connection: polls, writes, and what its silence means.

mod bisect;
mod fault;
mod poll;
mod tally;
mod write;

use std::time::Duration;

use driver_core::{Connection, Contact, Fact, GroupId, LinkError, Readings, TagId, Value, WriteOutcome};
use tokio::time::Instant;

use crate::address::Area;
use crate::config::{Depth, ModbusEndpoint};
use crate::device::ModbusDevice;
use crate::plan::Read;
use crate::session::{Session, TransactError};
use crate::wire::{Exception, IdentificationLevel, Request, Table};
use fault::{Silence, link_error};
use tally::Outcome;

pub(crate) use fault::cannot_connect;
pub(crate) use poll::Paused;

/// What the objects of a device's identification are called (Application Protocol, 6.21).
const FACTS: [&str; 7] = ["vendor", "product", "firmware", "vendor-url", "product-name", "model", "application"];

/// A connection to the devices of one line.
#[derive(Debug)]
pub struct ModbusConnection {
    session: Session,
    timeout: Duration,
    silence: Silence,
}

impl Connection for ModbusConnection {
    type Device = ModbusDevice;

    async fn poll(
        &mut self,
        device: &mut ModbusDevice,
        group: GroupId,
        readings: &mut Readings<'_>,
    ) -> Result<Contact, LinkError> {
        self.set_depth(device).await?;
        self.poll_group(device, group, readings).await
    }

    async fn write(&mut self, device: &mut ModbusDevice, tag: TagId, value: &Value) -> Result<WriteOutcome, LinkError> {
        self.write_tag(device, tag, value).await
    }

    async fn touch(&mut self, device: &mut ModbusDevice) -> Result<Contact, LinkError> {
        let mut outcome = Outcome::default();
        self.touch_into(device, &mut outcome).await?;
        self.silence.note(&outcome, self.timeout)
    }

    async fn identify(&mut self, device: &mut ModbusDevice) -> Result<Vec<Fact>, LinkError> {
        for level in [IdentificationLevel::Regular, IdentificationLevel::Basic] {
            let deadline = Instant::now() + self.answer_time(usize::from(u8::MAX));
            match self.session.identify(device.unit, level, deadline).await {
                Ok(identity) => return Ok(identity.objects.into_iter().map(fact).collect()),
                Err(TransactError::Link(over)) => return Err(self.over(over)),
                Err(TransactError::Exception(_)) => {}
                Err(TransactError::Timeout { .. } | TransactError::Invalid(_)) => break,
            }
        }
        Ok(Vec::new())
    }

    /// Modbus has no word of leave: the connection is closed by dropping it.
    async fn close(self) {}
}

impl ModbusConnection {
    /// A connection over an open session.
    pub(crate) fn new(session: Session, endpoint: &ModbusEndpoint) -> ModbusConnection {
        ModbusConnection { session, timeout: endpoint.timeout, silence: Silence::new(endpoint) }
    }

    /// How long an answer may take; the time of the frames on a serial line is added.
    fn answer_time(&self, frame_bytes: usize) -> Duration {
        self.timeout + self.session.config().pace.transmission(frame_bytes)
    }

    fn over(&self, over: crate::session::LinkError) -> LinkError {
        link_error(over, &self.silence, self.timeout)
    }

    /// How many requests go out at once for this device; found out where that was asked for.
    async fn set_depth(&mut self, device: &mut ModbusDevice) -> Result<(), LinkError> {
        match device.depth {
            Depth::Fixed(depth) if self.session.config().max_in_flight == depth => Ok(()),
            Depth::Fixed(depth) => {
                self.session.set_max_in_flight(depth);
                Ok(())
            }
            Depth::Probe => self.probe_depth(device).await,
        }
    }

    async fn probe_depth(&mut self, device: &mut ModbusDevice) -> Result<(), LinkError> {
        let reads = device.groups.iter().flat_map(|group| &group.reads);
        let longest = reads.filter(|read| read.area != Area::Extended).max_by_key(|read| read.len);
        let Some(Request::Read { table, start, count }) = longest.map(Read::request) else { return Ok(()) };
        let unit = longest.map_or(device.unit, |read| read.unit);
        let found = self.session.probe_in_flight(unit, (table, start, count), self.timeout).await;
        tracing::info!(device = &*device.name, in_flight = found.accepted, "found how many requests it takes at once");
        device.depth = Depth::Fixed(found.accepted);
        found.over.map_or(Ok(()), |over| Err(self.over(over)))
    }

    /// Reads one register or bit of the device's first tag.
    async fn touch_into(&mut self, device: &ModbusDevice, outcome: &mut Outcome) -> Result<(), LinkError> {
        let first = device.tags.first();
        let read = first.map(|tag| Read::alone(0, tag, 1));
        let anything = Request::Read { table: Table::HoldingRegisters, start: 0, count: 1 };
        let (unit, request) = read.as_ref().map_or((device.unit, anything), |read| (read.unit, read.request()));
        let deadline = Instant::now() + self.answer_time(usize::from(u8::MAX));
        match self.session.transact(unit, &request, deadline).await {
            Err(TransactError::Link(over)) => return Err(self.over(over)),
            Err(TransactError::Timeout { .. } | TransactError::Invalid(_)) => outcome.silent.push(unit),
            Err(TransactError::Exception(
                Exception::GatewayPathUnavailable | Exception::GatewayTargetFailedToRespond,
            )) => outcome.heard.push(unit),
            Ok(_) | Err(TransactError::Exception(_)) => {
                outcome.heard.push(unit);
                outcome.answered = true;
            }
        }
        Ok(())
    }
}

fn fact((object, text): (u8, String)) -> Fact {
    let label = FACTS.get(usize::from(object)).map_or_else(|| format!("object-{object}"), |name| (*name).to_owned());
    Fact { label, text }
}
