//! A configured PLC: its tags, its plans, and what was learned about it.

use std::collections::BTreeMap;
use std::time::Duration;

use driver_core::{
    Device, DeviceSpec, GroupId, Order, Place, Plan, PlannedRequest, SpecError, TagId, TagSpec, TagText, Value,
};
use tokio::time::Instant;

use crate::address::Address;
use crate::config::{JOBS_MAX, S7Endpoint};
use crate::connection::Paused;
use crate::plan::{GroupPlan, Knowledge, Limits, Request, Tag, Zone, restore, save};
use crate::wire::{Area, HeaderError, cotp, item, message, read, tpkt};

/// Round trip and the PLC's time to answer, which waits for its cycle; estimated, not measured.
const ANSWER: Duration = Duration::from_millis(5);
/// Bytes of a packet around a message.
const PACKET: usize = tpkt::HEADER + cotp::DATA_HEADER;

const UNREADABLE: &str =
    "the outputs themselves (PQ) can be written but not read; the process image is read with Q, such as QW256";

/// A PLC whose requests are planned.
#[derive(Debug)]
pub struct S7Device {
    pub(crate) name: Box<str>,
    pub(crate) tags: Vec<Tag>,
    /// Index of each tag, by rising id.
    by_id: Vec<(TagId, usize)>,
    pub(crate) zones: Vec<Zone>,
    pub(crate) groups: Vec<GroupPlan>,
    /// The size of messages that the plans are made for.
    pdu: u16,
    /// Most jobs under way at once.
    pub(crate) depth: usize,
    /// Why the PLC refused a whole request last, so that it is logged once.
    pub(crate) refused_as_a_whole: Option<HeaderError>,
    /// Whether something was learned that has not been handed out.
    pub(crate) has_news: bool,
    /// A poll that stands between two requests.
    pub(crate) paused: Option<Paused>,
}

impl S7Device {
    /// Understands the addresses of a device and plans its requests. `index` is its place on the line.
    ///
    /// # Errors
    /// Every address that is wrong.
    pub fn new(endpoint: &S7Endpoint, index: usize, spec: &DeviceSpec) -> Result<S7Device, Vec<SpecError>> {
        let mut errors = Vec::new();
        if spec.unit.is_some() {
            let message = "S7 has no unit numbers: rack and slot stand in the URL, s7://host?rack=0&slot=1".into();
            errors.push(SpecError { place: Place::Device(index), message });
        }
        let mut zones = Zones::default();
        let mut tags = Vec::with_capacity(spec.tags.len());
        for (number, tag) in spec.tags.iter().enumerate() {
            match Address::parse(tag.address) {
                Ok(address) if !address.is_readable() && tag.group.index() < spec.groups.len() => {
                    let place = Place::Address(index, number, 0..tag.address.len());
                    errors.push(SpecError { place, message: UNREADABLE.into() });
                }
                Ok(address) => tags.push(zones.tag(tag, address, spec.order.unwrap_or_default())),
                Err(error) => {
                    errors.push(SpecError { place: Place::Address(index, number, error.range), message: error.message })
                }
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let jobs = spec.in_flight_max.unwrap_or(endpoint.jobs).clamp(1, JOBS_MAX);
        let mut device = S7Device {
            name: spec.name.clone(),
            by_id: by_id(&tags),
            tags,
            zones: zones.list,
            groups: Vec::new(),
            pdu: endpoint.pdu_planned,
            depth: usize::from(jobs),
            refused_as_a_whole: None,
            has_news: false,
            paused: None,
        };
        device.remember(spec.learned.as_deref());
        device.plan_groups(spec.groups.len());
        Ok(device)
    }

    /// The tag of this id, with its index.
    pub(crate) fn tag(&self, id: TagId) -> Option<(usize, &Tag)> {
        let place = self.by_id.binary_search_by_key(&id, |(known, _)| *known).ok()?;
        let index = self.by_id[place].1;
        self.tags.get(index).map(|tag| (index, tag))
    }

    /// What a request can hold.
    pub(crate) fn limits(&self) -> Limits {
        Limits::of(self.pdu)
    }

    /// Plans anew where the PLC agrees to messages of another size than was planned with.
    pub(crate) fn fit(&mut self, pdu: u16) {
        if self.pdu != pdu {
            self.pdu = pdu;
            self.remake_plans();
        }
    }

    /// Plans all groups anew, with what was learned.
    pub(crate) fn remake_plans(&mut self) {
        self.paused = None;
        let limits = self.limits();
        for group in &mut self.groups {
            group.remake(&self.tags, &self.zones, &limits);
        }
    }

    fn remember(&mut self, learned: Option<&str>) {
        let Some(text) = learned else { return };
        if !restore(text, &self.tags, &mut self.zones, Instant::now()) {
            tracing::info!(device = &*self.name, "what was learned of another list of tags is not used");
        }
    }

    fn plan_groups(&mut self, count: usize) {
        let mut members: Vec<Vec<usize>> = vec![Vec::new(); count];
        for (index, tag) in self.tags.iter().enumerate() {
            if let Some(group) = members.get_mut(tag.group.index()) {
                group.push(index);
            }
        }
        let limits = self.limits();
        self.groups =
            members.into_iter().map(|members| GroupPlan::new(members, &self.tags, &self.zones, &limits)).collect();
    }
}

impl Device for S7Device {
    fn plan(&self) -> Plan {
        let mut requests = Vec::new();
        for (group, plan) in self.groups.iter().enumerate() {
            let group = GroupId(u16::try_from(group).unwrap_or(u16::MAX));
            requests.extend(plan.requests.iter().map(|request| planned(group, request)));
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
            writable: address.is_writable(),
        }
    }

    fn decode(&self, tag: usize, bytes: &[u8]) -> Result<Value, String> {
        let form = self.tags.get(tag).ok_or("there is no such tag")?.form;
        if bytes.len() != form.bytes() {
            return Err(format!("the value takes {} bytes, and here are {}", form.bytes(), bytes.len()));
        }
        form.decoder(0).decode(bytes).ok_or_else(|| "the bytes are no value of its type".into())
    }

    fn learned(&mut self) -> Option<String> {
        std::mem::take(&mut self.has_news).then(|| save(&self.tags, &self.zones))
    }
}

fn planned(group: GroupId, request: &Request) -> PlannedRequest {
    let out = PACKET + message::REQUEST_HEAD + read::PARAMETER + item::ITEM * request.blocks.len();
    let back = PACKET + read::answer_bytes(request.lens());
    PlannedRequest { group, text: places(request), tags: request.tags(), wire_bytes: out + back, time: ANSWER }
}

/// The items of a request, such as `DB1 0..120, M 10..12`; of timers and counters by number.
fn places(request: &Request) -> String {
    let place = |block: &crate::plan::Block| {
        let item = &block.item;
        let unit = if item.area.is_elements() { 2 } else { 1 };
        format!("{} {}..{}", item.area, item.start / unit, (item.start + u32::from(item.len)) / unit)
    };
    request.blocks.iter().map(place).collect::<Vec<_>>().join(", ")
}

/// The zones found so far.
#[derive(Default)]
struct Zones {
    list: Vec<Zone>,
    by_area: BTreeMap<Area, usize>,
}

impl Zones {
    fn tag(&mut self, spec: TagSpec<'_>, address: Address, order: Order) -> Tag {
        let (list, area) = (&mut self.list, address.area);
        let zone = *self.by_area.entry(area).or_insert_with(|| {
            list.push(Zone { area, knowledge: Knowledge::default() });
            list.len() - 1
        });
        Tag { id: spec.id, group: spec.group, address, form: address.form(order), zone }
    }
}

fn by_id(tags: &[Tag]) -> Vec<(TagId, usize)> {
    let mut by_id: Vec<(TagId, usize)> = tags.iter().enumerate().map(|(index, tag)| (tag.id, index)).collect();
    by_id.sort_unstable();
    by_id
}
