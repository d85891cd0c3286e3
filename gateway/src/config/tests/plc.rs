//! A driver that understands just enough: `hr:12`, which can be written, and `ir:3:REAL`, which cannot; `hr:12.3` is a BOOL.

use std::time::Duration;

use driver_core::{
    Connection, Contact, DataType, Device, DeviceSpec, Driver, DriverInfo, EndpointUrl, Fact, GroupId, LinkError,
    Place, Plan, Readings, SpecError, TagId, TagText, Value, WriteOutcome,
};

pub(super) struct Plc;

pub(super) struct PlcDevice(Vec<TagText>);

/// There is none: the configuration touches no network.
pub(super) enum Never {}

impl Driver for Plc {
    type Endpoint = ();
    type Device = PlcDevice;
    type Connection = Never;

    fn info(&self) -> &'static DriverInfo {
        const INFO: DriverInfo =
            DriverInfo { name: "plc", schemes: &["modbus-tcp", "modbus-rtu"], sample: "", options: OPTIONS };
        &INFO
    }

    fn endpoint(&self, url: &EndpointUrl, _: Option<Duration>) -> Result<(), Vec<SpecError>> {
        let mut options = url.options();
        OPTIONS.iter().for_each(|(name, _)| {
            options.text(name);
        });
        options.finish(OPTIONS)
    }

    fn device(&self, (): &(), index: usize, spec: &DeviceSpec) -> Result<PlcDevice, Vec<SpecError>> {
        let tags = spec.tags.iter().enumerate();
        let wrong = tags.filter_map(|(tag, spec)| Some((tag, fault(spec.address)?)));
        let mut errors: Vec<SpecError> = wrong
            .map(|(tag, (range, message))| SpecError { place: Place::Address(index, tag, range), message })
            .collect();
        if spec.unit == Some(0) {
            errors.push(SpecError { place: Place::Device(index), message: "unit 0 is the broadcast".into() });
        }
        if errors.is_empty() {
            Ok(PlcDevice(spec.tags.iter().map(|tag| text(tag.address)).collect()))
        } else {
            Err(errors)
        }
    }

    async fn connect(&self, (): &()) -> Result<Never, LinkError> {
        unreachable!("the configuration touches no network")
    }
}

const OPTIONS: &[(&str, &str)] = &[("unit", "the unit"), ("baud", "the speed"), ("parity", "the parity")];

fn fault(address: &str) -> Option<(std::ops::Range<usize>, String)> {
    let mut at = 0;
    for (index, part) in address.split(':').enumerate() {
        let range = at..at + part.len();
        at = range.end + 1;
        let known = match index {
            0 => matches!(part, "hr" | "ir"),
            1 => part.split('.').all(|digits| digits.parse::<u16>().is_ok()),
            _ => DataType::from_name(part).is_some(),
        };
        if !known {
            return Some((range, format!("`{part}` cannot stand here")));
        }
    }
    None
}

fn text(address: &str) -> TagText {
    let plain = if address.contains('.') { DataType::Bool } else { DataType::Int };
    let data_type = address.split(':').nth(2).and_then(DataType::from_name).unwrap_or(plain);
    let writable = address.starts_with("hr");
    TagText { canonical: address.into(), also: String::new(), data_type, elements: 1, writable }
}

impl Device for PlcDevice {
    fn plan(&self) -> Plan {
        Plan::default()
    }

    fn tag_text(&self, tag: usize) -> TagText {
        self.0[tag].clone()
    }

    fn learned(&mut self) -> Option<String> {
        None
    }
}

impl Connection for Never {
    type Device = PlcDevice;

    async fn poll(&mut self, _: &mut PlcDevice, _: GroupId, _: &mut Readings<'_>) -> Result<Contact, LinkError> {
        match *self {}
    }

    async fn write(&mut self, _: &mut PlcDevice, _: TagId, _: &Value) -> Result<WriteOutcome, LinkError> {
        match *self {}
    }

    async fn touch(&mut self, _: &mut PlcDevice) -> Result<Contact, LinkError> {
        match *self {}
    }

    async fn identify(&mut self, _: &mut PlcDevice) -> Result<Vec<Fact>, LinkError> {
        match *self {}
    }

    async fn close(self) {
        match self {}
    }
}
