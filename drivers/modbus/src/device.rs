//! A configured Modbus device: its tags, its plans, and what was learned about it.

use std::collections::BTreeMap;

use driver_core::{Device, DeviceSpec, Order, Place, Plan, PlannedRequest, SpecError, TagId, TagSpec, TagText, Value};
use tokio::time::Instant;

use crate::address::{Address, Area};
use crate::config::{Costs, Depth, ModbusEndpoint, units_max};
use crate::connection::Paused;
use crate::plan::{GroupPlan, Knowledge, Tag, Zone, restore, save};
use crate::session::{BROADCAST, IN_FLIGHT_MAX};
use crate::wire::Framing;

const BROADCAST_POLLED: &str = "unit 0 of a serial line is all devices at once: it can be written, but none answers a read; \
                                give the device's own unit, 1 to 247";

/// A device whose requests are planned.
#[derive(Debug)]
pub struct ModbusDevice {
    pub(crate) name: Box<str>,
    /// The unit of tags that name none.
    pub(crate) unit: u8,
    pub(crate) tags: Vec<Tag>,
    /// Index of each tag, by rising id.
    by_id: Box<[u32]>,
    pub(crate) zones: Vec<Zone>,
    pub(crate) groups: Vec<GroupPlan>,
    pub(crate) costs: Costs,
    pub(crate) depth: Depth,
    /// Whether something was learned that has not been handed out.
    pub(crate) has_news: bool,
    /// A poll that stands between two requests.
    pub(crate) paused: Option<Paused>,
}

impl ModbusDevice {
    /// Understands the addresses of a device and plans its requests. `index` is its place on the line.
    ///
    /// # Errors
    /// Every address that is wrong.
    pub fn new(endpoint: &ModbusEndpoint, index: usize, spec: &DeviceSpec) -> Result<ModbusDevice, Vec<SpecError>> {
        let mut errors = Vec::new();
        let unit = unit(endpoint, index, spec, &mut errors);
        let mut zones = Zones::default();
        let mut tags = Vec::with_capacity(spec.tags.len());
        for (number, tag) in spec.tags.iter().enumerate() {
            match Address::parse(tag.address) {
                Ok(address) => {
                    let tag_unit = address.unit.unwrap_or(unit);
                    if tag_unit == BROADCAST && endpoint.session.framing != Framing::Mbap && is_polled(tag, spec) {
                        let place = Place::Address(index, number, 0..tag.address.len());
                        errors.push(SpecError { place, message: BROADCAST_POLLED.into() });
                    }
                    tags.push(zones.tag(tag, address, unit, spec.order.unwrap_or_default()));
                }
                Err(error) => {
                    errors.push(SpecError { place: Place::Address(index, number, error.range), message: error.message })
                }
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut device = ModbusDevice {
            name: spec.name.clone(),
            unit,
            by_id: by_id(&tags),
            tags,
            zones: zones.list,
            groups: Vec::new(),
            costs: endpoint.costs,
            depth: depth(endpoint, spec),
            has_news: false,
            paused: None,
        };
        device.remember(spec.learned.as_deref());
        device.plan_groups(spec.groups.len());
        Ok(device)
    }

    /// The tag of this id, with its index.
    pub(crate) fn tag(&self, id: TagId) -> Option<(usize, &Tag)> {
        let place = self.by_id.binary_search_by_key(&id, |index| self.tags[*index as usize].id).ok()?;
        let index = self.by_id[place] as usize;
        self.tags.get(index).map(|tag| (index, tag))
    }

    /// Plans all groups anew, with what was learned.
    pub(crate) fn remake_plans(&mut self) {
        self.paused = None;
        for group in &mut self.groups {
            group.remake(&self.tags, &self.zones, &self.costs);
        }
    }

    fn remember(&mut self, learned: Option<&str>) {
        let Some(text) = learned else { return };
        if !restore(text, &self.tags, &mut self.zones, Instant::now()) {
            tracing::info!(device = &*self.name, "what was learned of another list of tags is not used");
        }
    }

    fn plan_groups(&mut self, count: usize) {
        let mut members: Vec<Vec<u32>> = vec![Vec::new(); count];
        for (index, tag) in (0..).zip(&self.tags) {
            if let Some(group) = members.get_mut(tag.group.index()) {
                group.push(index);
            }
        }
        let plan = |members: Vec<u32>| GroupPlan::new(members.into(), &self.tags, &self.zones, &self.costs);
        self.groups = members.into_iter().map(plan).collect();
    }
}

impl Device for ModbusDevice {
    fn plan(&self) -> Plan {
        let mut requests = Vec::new();
        for (group, plan) in self.groups.iter().enumerate() {
            let group = driver_core::GroupId(u16::try_from(group).unwrap_or(u16::MAX));
            requests.extend(plan.reads.iter().map(|read| {
                let (len, bytes) = (u32::from(read.len), self.costs.wire_bytes(read.area, u32::from(read.len)));
                let unit = if read.unit == self.unit { String::new() } else { format!("{}!", read.unit) };
                let (area, end) = (read.area.name(), read.start + len);
                PlannedRequest {
                    group,
                    text: format!("{unit}{area}:{}..{end} (function {})", read.start, read.request().function()),
                    tags: read.slots.len(),
                    wire_bytes: bytes.out + bytes.back,
                    time: self.costs.time(read.area, len),
                }
            }));
        }
        Plan { requests }
    }

    fn tag_text(&self, tag: usize) -> TagText {
        let address = &self.tags[tag].address;
        TagText {
            canonical: address.to_string(),
            also: address.also(),
            data_type: address.data_type,
            elements: address.elements.map_or(1, usize::from),
            writable: address.area.is_writable(),
        }
    }

    fn decode(&self, tag: usize, bytes: &[u8]) -> Result<Value, String> {
        let field = self.tags.get(tag).ok_or("there is no such tag")?.field();
        if bytes.len() != field.bytes() {
            return Err(format!("the value takes {} bytes, and here are {}", field.bytes(), bytes.len()));
        }
        field.decoder(0).decode(bytes).ok_or_else(|| "the bytes are no value of its type".into())
    }

    fn learned(&mut self) -> Option<String> {
        std::mem::take(&mut self.has_news).then(|| save(&self.tags, &self.zones))
    }
}

/// The zones found so far.
#[derive(Default)]
struct Zones {
    list: Vec<Zone>,
    by_place: BTreeMap<(u8, Area), u16>,
}

impl Zones {
    fn tag(&mut self, spec: TagSpec<'_>, address: Address, unit: u8, order: Order) -> Tag {
        let unit = address.unit.unwrap_or(unit);
        let (list, area) = (&mut self.list, address.area);
        let zone = *self.by_place.entry((unit, area)).or_insert_with(|| {
            list.push(Zone { unit, area, knowledge: Knowledge::new(units_max(area)) });
            (list.len() - 1) as u16
        });
        Tag { id: spec.id, group: spec.group, zone, unit, order, address }
    }
}

/// Whether the tag's group is one of those that are polled; others are only written.
fn is_polled(tag: TagSpec<'_>, spec: &DeviceSpec) -> bool {
    tag.group.index() < spec.groups.len()
}

fn unit(endpoint: &ModbusEndpoint, index: usize, spec: &DeviceSpec, errors: &mut Vec<SpecError>) -> u8 {
    let Some(unit) = spec.unit else { return endpoint.unit };
    u8::try_from(unit).unwrap_or_else(|_| {
        let message = format!("unit {unit}: Modbus units are numbered from 0 to 255");
        errors.push(SpecError { place: Place::Device(index), message });
        endpoint.unit
    })
}

fn depth(endpoint: &ModbusEndpoint, spec: &DeviceSpec) -> Depth {
    match spec.in_flight_max {
        Some(depth) => Depth::Fixed(usize::from(depth).clamp(1, IN_FLIGHT_MAX)),
        None => endpoint.depth,
    }
}

fn by_id(tags: &[Tag]) -> Box<[u32]> {
    let mut by_id: Box<[u32]> = (0..tags.len() as u32).collect();
    by_id.sort_unstable_by_key(|index| tags[*index as usize].id);
    by_id
}

#[cfg(test)]
mod tests {
    use driver_core::GroupId;

    use super::*;

    /// A device of one tag; whether it is polled.
    fn device(url: &str, unit: Option<u16>, address: &str, polled: bool) -> Result<ModbusDevice, Vec<SpecError>> {
        let endpoint = ModbusEndpoint::parse(&url.parse().expect("a URL"), None).expect("an endpoint");
        let tag = TagSpec { id: TagId(0), address, group: GroupId(0) };
        let groups = if polled { vec![std::time::Duration::from_secs(1)] } else { Vec::new() };
        ModbusDevice::new(
            &endpoint,
            3,
            &DeviceSpec { unit, groups, tags: [tag].into_iter().collect(), ..DeviceSpec::default() },
        )
    }

    #[test]
    fn the_broadcast_of_a_serial_line_can_be_written_but_not_polled() {
        let serial = ["modbus-rtu:///dev/ttyUSB0", "modbus-rtu-over-tcp://h", "modbus-ascii://h"];
        for url in serial {
            for (unit, address) in [(Some(0), "hr:7"), (None, "0!hr:7")] {
                let errors = device(url, unit, address, true).expect_err(url);
                assert_eq!(errors[0].place, Place::Address(3, 0, 0..address.len()));
                assert!(errors[0].message.contains("1 to 247"), "{errors:?}");
                assert!(device(url, unit, address, false).is_ok(), "{url}");
            }
            assert!(device(url, Some(0), "5!hr:7", true).is_ok(), "{url}: the address names another unit");
        }
        assert!(device("modbus-tcp://h", Some(0), "hr:7", true).is_ok(), "on TCP unit 0 is the device itself");
    }
}
