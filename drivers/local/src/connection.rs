//! An open bus: polls, writes, and what its silence means.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use driver_core::{
    Connection, Contact, Fact, GroupId, LinkError, Quality, Readings, Reason, TagId, Timestamp, Value, WriteError,
    WriteOutcome,
};
use linux_embedded_hal::Delay;
use tracing::{debug, warn};

use crate::address::{Address, Channel, Place, Use};
use crate::device::LocalDevice;
use crate::plan::{ChipRequest, Tag};
use crate::session::chips::{Answer, Trouble};
use crate::session::gpio::{self, Kernel, Lines};
use crate::session::{Session, Worker};
use crate::wire::{Fault, Sample, one_wire};

/// An open bus.
pub struct LocalConnection {
    session: Session,
    /// Lines that could not be opened, so that each is said once.
    refused: Vec<String>,
    /// Tags that tell their edges and have shown the level that these begin from.
    shown: BTreeSet<TagId>,
}

impl LocalConnection {
    pub(crate) fn new(session: Session) -> LocalConnection {
        LocalConnection { session, refused: Vec::new(), shown: BTreeSet::new() }
    }
}

impl Connection for LocalConnection {
    type Device = LocalDevice;

    async fn poll(
        &mut self,
        device: &mut LocalDevice,
        group: GroupId,
        readings: &mut Readings<'_>,
    ) -> Result<Contact, LinkError> {
        let Some(plan) = device.groups.get(group.index()) else { return Ok(Contact::Silent) };
        if let Session::Gpio(lines) = &mut self.session {
            for index in &plan.lines {
                let tag = &device.tags[*index];
                let is_told = device.is_heard && tells(tag);
                if is_told && self.shown.contains(&tag.id) {
                    if let Err(trouble) = tell(lines, tag, readings) {
                        let sample = refused_or_lost(trouble, &mut self.refused)?;
                        push(readings, tag.id, sample);
                    }
                    continue;
                }
                let sample = line(lines, &device.lines, &mut device.edges, tag)
                    .or_else(|trouble| refused_or_lost(trouble, &mut self.refused))?;
                if is_told && sample.is_ok() {
                    self.shown.insert(tag.id);
                }
                readings.answered();
                push(readings, tag.id, sample);
            }
            return Ok(Contact::Answered);
        }
        let mut contact = Contact::Silent;
        for request in &plan.chips {
            if chip(&mut self.session, request, readings).await? == Contact::Answered {
                contact = Contact::Answered;
            }
        }
        for (tag, id) in &plan.thermometers {
            let Session::OneWire(worker) = &mut self.session else { continue };
            let sample = thermometer(worker, id).await?;
            if sample.as_ref().err() != Some(&Fault::of(Reason::Timeout)) {
                contact = Contact::Answered;
            }
            readings.answered();
            push(readings, *tag, sample);
        }
        Ok(contact)
    }

    async fn write(&mut self, device: &mut LocalDevice, tag: TagId, value: &Value) -> Result<WriteOutcome, LinkError> {
        let Some(tag) = device.tag(tag) else {
            return Ok(WriteOutcome::Failed(WriteError::Refused("there is no such tag".into())));
        };
        let Some(level) = level(value) else {
            let cause = "expected true or false".into();
            return Ok(WriteOutcome::Failed(WriteError::Value { data_type: "BOOL".into(), cause }));
        };
        match (&mut self.session, &tag.address.place) {
            (Session::Gpio(lines), Place::Line(name, Use::Output)) => {
                let Some(setup) = device.lines.get(name) else { return Ok(read_only(&tag.address)) };
                match lines.set(name, setup, level) {
                    Ok(level) => Ok(WriteOutcome::Written(Value::Bool(level))),
                    Err(gpio::Trouble::Refused(cause)) => Ok(WriteOutcome::Failed(WriteError::Refused(cause))),
                    Err(gpio::Trouble::Lost(cause)) => Err(lost_line(cause)),
                }
            }
            (Session::I2c(worker), Place::Chip(_, Channel::Output(bit))) => {
                let Some(request) = request_of(device, tag) else { return Ok(read_only(&tag.address)) };
                let bit = *bit;
                match worker.run(move |bus| bus.write(&request, bit, level)).await? {
                    Ok(level) => Ok(WriteOutcome::Written(Value::Bool(level))),
                    Err(Trouble::Silent) => Ok(WriteOutcome::Failed(WriteError::Unknown)),
                    Err(Trouble::Gone(cause)) => Err(worker.lost(&cause)),
                }
            }
            _ => Ok(read_only(&tag.address)),
        }
    }

    async fn touch(&mut self, device: &mut LocalDevice) -> Result<Contact, LinkError> {
        let first = device.groups.iter().find_map(|plan| plan.chips.first());
        match first {
            Some(request) => {
                let mut unwanted = Vec::new();
                let clock = driver_core::SystemClock;
                chip(&mut self.session, request, &mut Readings::new(&mut unwanted, &clock)).await
            }
            None => Ok(Contact::Answered),
        }
    }

    async fn identify(&mut self, _: &mut LocalDevice) -> Result<Vec<Fact>, LinkError> {
        let Session::Gpio(lines) = &self.session else { return Ok(Vec::new()) };
        let fact = |label: &str, text: String| Fact { label: label.into(), text };
        let info = lines.chip().info();
        Ok(info.map(|(label, count)| vec![fact("chip", label), fact("lines", count.to_string())]).unwrap_or_default())
    }

    async fn news(&mut self) {
        match &mut self.session {
            Session::Gpio(lines) => lines.news().await,
            _ => std::future::pending().await,
        }
    }

    /// A line that fails here fails at its next poll too, which says so.
    fn take_news(&mut self, device: &mut LocalDevice, readings: &mut Readings<'_>) {
        let Session::Gpio(lines) = &mut self.session else { return };
        for tag in device.tags.iter().filter(|tag| tells(tag) && self.shown.contains(&tag.id)) {
            if let Err(trouble) = tell(lines, tag, readings) {
                debug!("the edges of {} cannot be had: {trouble:?}", tag.address);
            }
        }
    }

    async fn close(self) {}
}

fn tells(tag: &Tag) -> bool {
    matches!(tag.address.place, Place::Line(_, Use::Edge))
}

/// The edges of a line since it was asked last, each as a reading with the time at which the kernel saw it. One after edges
/// that the kernel had no room for is uncertain, and says how many.
fn tell(lines: &mut Lines<Kernel>, tag: &Tag, readings: &mut Readings<'_>) -> Result<(), gpio::Trouble> {
    let Place::Line(name, _) = &tag.address.place else { return Ok(()) };
    for edge in lines.told(name)? {
        let (quality, missed) = match edge.missed {
            0 => (Quality::Good, 0),
            missed => (Quality::Uncertain(Reason::DeviceFailure), missed),
        };
        readings.push_at(tag.id, Value::Bool(edge.level), quality, missed, Some(Timestamp(edge.at_ns)));
    }
    Ok(())
}

/// Reads a chip on I2C or SPI.
async fn chip(
    session: &mut Session,
    request: &Arc<ChipRequest>,
    readings: &mut Readings<'_>,
) -> Result<Contact, LinkError> {
    let asked = request.clone();
    let (answer, lost): (Answer, LinkError) = match session {
        Session::I2c(worker) => {
            let lost = worker.lost("the bus failed");
            (worker.run(move |bus| bus.read(&mut Delay, &asked)).await?, lost)
        }
        Session::Spi(worker) => {
            let lost = worker.lost("the bus failed");
            (worker.run(move |bus| bus.read(&mut Delay, &asked)).await?, lost)
        }
        _ => return Ok(Contact::Silent),
    };
    readings.answered();
    match answer {
        Ok(samples) => {
            for (tag, sample) in samples {
                push(readings, tag, sample);
            }
            Ok(Contact::Answered)
        }
        Err(Trouble::Silent) => {
            for wanted in &request.wanted {
                readings.bad(wanted.tag, Reason::Timeout, 0);
            }
            Ok(Contact::Silent)
        }
        Err(Trouble::Gone(cause)) => {
            warn!("a bus failed: {cause}");
            Err(lost)
        }
    }
}

/// The kernel's file of a thermometer; one that is not there is not on the bus.
async fn thermometer(worker: &mut Worker<std::path::PathBuf>, id: &str) -> Result<Sample, LinkError> {
    let name = Path::new(id).join("w1_slave");
    worker
        .run(move |folder| match std::fs::read_to_string(folder.join(name)) {
            Ok(text) => one_wire::parse(&text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Fault::of(Reason::Timeout)),
            Err(_) => Err(Fault::of(Reason::DeviceFailure)),
        })
        .await
}

type Setups = std::collections::BTreeMap<crate::address::LineName, crate::device::LineSetup>;
type Edges = std::collections::BTreeMap<crate::address::LineName, u64>;

fn line(lines: &mut Lines<Kernel>, setups: &Setups, edges: &mut Edges, tag: &Tag) -> Result<Sample, gpio::Trouble> {
    let Place::Line(name, use_of) = &tag.address.place else { return Ok(Err(Fault::of(Reason::ProtocolError))) };
    let Some(setup) = setups.get(name) else { return Ok(Err(Fault::of(Reason::ProtocolError))) };
    match use_of {
        Use::Count => {
            let total = edges.entry(name.clone()).or_default();
            lines.count(name, setup, total)?;
            Ok(Ok(Value::UInt(*total)))
        }
        Use::Input | Use::Output | Use::Edge => Ok(Ok(Value::Bool(lines.level(name, setup)?))),
    }
}

fn refused_or_lost(trouble: gpio::Trouble, said: &mut Vec<String>) -> Result<Sample, LinkError> {
    match trouble {
        gpio::Trouble::Refused(cause) => {
            if !said.contains(&cause) {
                warn!("a GPIO line cannot be had: {cause}. `gpioinfo` shows who holds it");
                said.push(cause);
            }
            Ok(Err(Fault::of(Reason::AddressRefused)))
        }
        gpio::Trouble::Lost(cause) => Err(lost_line(cause)),
    }
}

fn lost_line(cause: String) -> LinkError {
    LinkError::Lost { endpoint: "the GPIO chip".into(), cause }
}

/// The request that serves a tag.
fn request_of(device: &LocalDevice, tag: &Tag) -> Option<Arc<ChipRequest>> {
    let plan = device.groups.get(tag.group.index())?;
    plan.chips.iter().find(|request| request.wanted.iter().any(|wanted| wanted.tag == tag.id)).cloned()
}

fn push(readings: &mut Readings<'_>, tag: TagId, sample: Sample) {
    match sample {
        Ok(value) => readings.good(tag, value),
        Err(fault) => readings.bad(tag, fault.reason, fault.status),
    }
}

fn level(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(level) => Some(*level),
        Value::Int(0) | Value::UInt(0) => Some(false),
        Value::Int(1) | Value::UInt(1) => Some(true),
        _ => None,
    }
}

fn read_only(address: &Address) -> WriteOutcome {
    WriteOutcome::Failed(WriteError::ReadOnly(format!("{address} is an input; an output is out:27 or mcp23017.out.a0")))
}
