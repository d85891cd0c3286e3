//! A configured server: its tags, and where they were found in its address space.

use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime};

use driver_core::{
    AddressError, DataType, Device, DeviceSpec, FoundTag, GroupId, Place as SpecPlace, Plan, PlannedRequest, Reports,
    SpecError, TagId, TagText, Timestamp, WatchSpec,
};
use opcua::types::{NodeId, StatusCode};

use crate::address::{Address, Glob, What};
use crate::config::{DeadbandKeeper, OpcUaEndpoint, ReadMode};
use crate::connection::Listening;
use crate::history::History;
use crate::history::left::{self, Left};
use crate::plan::{Limits, Retry};
use crate::walk::{Search, State};

/// Round trip and the server's time to answer; estimated, not measured.
const ANSWER: Duration = Duration::from_millis(5);
/// Bytes around a message: chunk, security and request headers.
const MESSAGE: usize = 120;
/// Bytes of a node in a request, and of a value with its times in an answer, roughly.
const NODE: usize = 30;
const DATA_VALUE: usize = 30;

/// Up to when values were told is kept on disk at most this often: so much may be told a second time after a crash.
const LEFT_EVERY: Duration = Duration::from_secs(60);
/// Tells this run of the gateway from others.
static RUN: LazyLock<Timestamp> = LazyLock::new(|| Timestamp::from(SystemTime::now()));

/// An event in JSON has so many characters, roughly.
const EVENT_MAX: u16 = 1_024;

/// A server whose requests are planned.
#[derive(Debug)]
pub struct OpcUaDevice {
    pub(crate) name: Box<str>,
    pub(crate) tags: Vec<Tag>,
    /// Index of each tag, by rising id.
    by_id: Vec<(TagId, usize)>,
    /// The tags of each group.
    pub(crate) groups: Vec<Group>,
    read: ReadMode,
    /// Whether somebody listens to what the server tells by itself.
    listens: bool,
    /// The session in which the nodes were found.
    found_in: u64,
    /// How many tags have no node in this session, or none yet.
    astray: usize,
    /// What is looked for where its patterns point.
    pub(crate) search: Search,
    /// What was missed of its tags.
    pub(crate) history: History,
    /// When it was kept last up to when values were told, and what that was.
    left: Option<(Instant, Timestamp)>,
    /// Its line has ended since.
    is_leaving: bool,
}

/// A tag of a server.
#[derive(Debug)]
pub(crate) struct Tag {
    pub(crate) id: TagId,
    pub(crate) address: Address,
    /// Changed by [`OpcUaDevice::note`] alone.
    pub(crate) node: Found,
    /// How it is to be watched.
    pub(crate) watch: WatchSpec,
    /// The server keeps no deadband for it.
    pub(crate) takes_no_deadband: bool,
}

impl Tag {
    fn new(id: TagId, address: Address, watch: WatchSpec) -> Tag {
        Tag { id, address, node: Found::NotYet, watch, takes_no_deadband: false }
    }

    /// Whether the server was asked to keep its deadband.
    pub(crate) fn asks_for_a_deadband(&self) -> bool {
        self.watch.deadband.is_some() && !self.takes_no_deadband
    }

    /// How it is watched, in words; nothing where it is as all others.
    fn watched(&self) -> String {
        let WatchSpec { sampling, queue, deadband, .. } = self.watch;
        let parts = [
            sampling.map(|every| format!("sampled every {every:?}")),
            queue.map(|queue| format!("queue of {queue}")),
            deadband.map(|width| format!("deadband of {width} in the server, if it keeps one")),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// Where a tag's node is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Found {
    /// Not looked for in this session.
    NotYet,
    /// Here.
    At(NodeId),
    /// The server has no such path or namespace; when it is looked for again.
    Nowhere(StatusCode, Retry),
}

/// A poll group.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) interval: Duration,
    /// What the server tells of it by itself.
    pub(crate) listening: Listening,
    /// Indexes of its tags, rising; a tag's place here is its place in the subscription.
    pub(crate) tags: Vec<usize>,
    /// Values of one interval at most, as far as the queues hold them.
    values_max: u64,
}

impl Group {
    fn new(interval: &Duration) -> Group {
        Group { interval: *interval, listening: Listening::NotYet, tags: Vec::new(), values_max: 0 }
    }
}

/// How many values the server tells of a tag within an interval at most.
fn values_max(watch: &WatchSpec, endpoint: &OpcUaEndpoint, interval: Duration) -> u64 {
    let sampling = watch.sampling.or(endpoint.sampling).unwrap_or(interval);
    let samples = interval.as_nanos().div_ceil(sampling.as_nanos().max(1)).max(1);
    let queue = watch.queue.unwrap_or(endpoint.queue).max(1);
    u64::try_from(samples).unwrap_or(u64::MAX).min(queue.into())
}

/// What other protocols have and this one does not.
fn foreign(index: usize, spec: &DeviceSpec) -> Vec<SpecError> {
    let unit = "OPC UA has no unit numbers: a server is a URL, opc.tcp://host:4840/path";
    let order = "OPC UA values have no byte order: leave `order` away";
    let wrong = [spec.unit.is_some().then_some(unit), spec.order.is_some().then_some(order)];
    let error = |message: &str| SpecError { place: SpecPlace::Device(index), message: message.into() };
    wrong.into_iter().flatten().map(error).collect()
}

/// What an address says, where it can be had in this way.
fn address(endpoint: &OpcUaEndpoint, text: &str) -> Result<Address, AddressError> {
    let address = Address::parse(text)?;
    if address.what == What::Events && endpoint.read == ReadMode::Poll {
        let message = "events are told, not read: leave `read=poll` away".into();
        return Err(AddressError { range: 0..text.len(), message });
    }
    Ok(address)
}

impl OpcUaDevice {
    /// Understands the addresses of a device. `index` is its place on the line.
    ///
    /// # Errors
    /// Every address that is wrong.
    pub fn new(endpoint: &OpcUaEndpoint, index: usize, spec: &DeviceSpec) -> Result<OpcUaDevice, Vec<SpecError>> {
        let mut errors = foreign(index, spec);
        let mut groups: Vec<Group> = spec.groups.iter().map(Group::new).collect();
        let mut tags = Vec::with_capacity(spec.tags.len());
        let mut watches = spec.watch.iter().peekable();
        for (number, tag) in spec.tags.iter().enumerate() {
            let mut watch = watches.next_if(|watch| watch.tag == number).copied().unwrap_or_default();
            watch.deadband = watch.deadband.filter(|_| endpoint.deadband == DeadbandKeeper::Server);
            match address(endpoint, tag.address) {
                Ok(address) => {
                    if let Some(group) = groups.get_mut(tag.group.index()) {
                        group.tags.push(tags.len());
                        group.values_max += values_max(&watch, endpoint, group.interval);
                    }
                    tags.push(Tag::new(tag.id, address, watch));
                }
                Err(AddressError { range, message }) => {
                    errors.push(SpecError { place: SpecPlace::Address(index, number, range), message });
                }
            }
        }
        if errors.is_empty() { Ok(OpcUaDevice::of(endpoint, spec, tags, groups)) } else { Err(errors) }
    }

    fn of(endpoint: &OpcUaEndpoint, spec: &DeviceSpec, tags: Vec<Tag>, groups: Vec<Group>) -> OpcUaDevice {
        let mut by_id: Vec<(TagId, usize)> = tags.iter().enumerate().map(|(index, tag)| (tag.id, index)).collect();
        by_id.sort_unstable();
        let mut history = History::new(tags.len(), endpoint.history);
        resume(&mut history, &tags, spec.learned.as_deref());
        // A wrong pattern was told of by the line.
        let globs = spec.browse.iter().filter_map(|pattern| Glob::parse(pattern).ok()).collect();
        OpcUaDevice {
            name: spec.name.clone(),
            history,
            left: None,
            is_leaving: false,
            astray: tags.len(),
            tags,
            by_id,
            groups,
            read: endpoint.read,
            listens: false,
            found_in: 0,
            search: Search { globs, ..Search::default() },
        }
    }

    /// The index of the tag with this id.
    pub(crate) fn index_of(&self, id: TagId) -> Option<usize> {
        let place = self.by_id.binary_search_by_key(&id, |(known, _)| *known).ok()?;
        Some(self.by_id[place].1)
    }

    /// Whether values come by subscription.
    pub(crate) fn is_listening(&self) -> bool {
        self.listens && self.read == ReadMode::Subscribe
    }

    /// Whether what was missed is read from the server's history: not where a person reads once.
    pub(crate) fn fills_gaps(&self) -> bool {
        self.listens && self.history.is_wanted()
    }

    /// The tags of a group.
    pub(crate) fn members(&self, group: GroupId) -> &[usize] {
        self.groups.get(group.index()).map_or(&[], |group| &group.tags)
    }

    /// In another session nodes are looked for anew: indexes of namespaces may have moved.
    pub(crate) fn enter(&mut self, session: u64) {
        if self.found_in != session {
            self.found_in = session;
            self.tags.iter_mut().for_each(|tag| (tag.node, tag.takes_no_deadband) = (Found::NotYet, false));
            self.astray = self.tags.len();
            self.search.state = State::Due;
            self.history.enter();
        }
    }

    /// Whether the address space is to be looked through now.
    pub(crate) fn explores(&self, now: Instant) -> bool {
        let is_due = self.search.is_stale || !matches!(self.search.state, State::Done(again) if again > now);
        self.listens && !self.search.globs.is_empty() && is_due
    }

    /// Which of these tags have to be looked for now.
    pub(crate) fn to_find(&self, tags: &[usize], now: Instant) -> Vec<usize> {
        if self.has_all() {
            return Vec::new();
        }
        let is_due = |index: &usize| match &self.tags[*index].node {
            Found::NotYet => true,
            Found::At(_) => false,
            Found::Nowhere(_, retry) => retry.at <= now,
        };
        tags.iter().copied().filter(is_due).collect()
    }

    /// Whether the server has every tag.
    pub(crate) fn has_all(&self) -> bool {
        self.astray == 0
    }

    /// Notes where a tag was found.
    pub(crate) fn note(&mut self, index: usize, found: Result<NodeId, StatusCode>, now: Instant) {
        let tag = &mut self.tags[index];
        match (&tag.node, &found) {
            (Found::At(_), Err(_)) => self.astray += 1,
            (Found::NotYet | Found::Nowhere(..), Ok(_)) => self.astray -= 1,
            (Found::At(_), Ok(_)) | (Found::NotYet | Found::Nowhere(..), Err(_)) => {}
        }
        tag.node = match (found, &tag.node) {
            (Ok(node), _) => Found::At(node),
            (Err(status), Found::Nowhere(_, retry)) => Found::Nowhere(status, retry.again(now)),
            (Err(status), _) => {
                tracing::warn!(
                    device = &*self.name,
                    address = %tag.address,
                    "not found in the server: {}. {}",
                    crate::wire::explain(status.bits()),
                    crate::wire::advice(status)
                );
                Found::Nowhere(status, Retry::first(now))
            }
        };
    }
}

/// Another run of the gateway has left what it told.
fn resume(history: &mut History, tags: &[Tag], left: Option<&str>) {
    let Some(left) = left.and_then(|text| Left::parse(text, *RUN)) else { return };
    for (index, tag) in tags.iter().enumerate() {
        if let Some(told) = left.told(&tag.address.to_string()) {
            history.resume(index, told);
        }
    }
}

impl Device for OpcUaDevice {
    fn plan(&self) -> Plan {
        let batch = Limits::default().read;
        let mut requests = Vec::new();
        for (number, group) in self.groups.iter().enumerate().filter(|(_, group)| !group.tags.is_empty()) {
            let id = GroupId(u16::try_from(number).unwrap_or(u16::MAX));
            match self.read {
                ReadMode::Poll => requests.extend(group.tags.chunks(batch).map(|tags| PlannedRequest {
                    group: id,
                    text: format!("Read of {} nodes", tags.len()),
                    tags: tags.len(),
                    wire_bytes: 2 * MESSAGE + tags.len() * (NODE + DATA_VALUE),
                    time: ANSWER,
                })),
                ReadMode::Subscribe => requests.push(PlannedRequest {
                    group: id,
                    text: format!(
                        "subscription of {} nodes, up to {} values if all change",
                        group.tags.len(),
                        group.values_max
                    ),
                    tags: group.tags.len(),
                    wire_bytes: 2 * MESSAGE + group.values_max as usize * DATA_VALUE,
                    time: ANSWER,
                }),
            }
        }
        Plan { requests }
    }

    fn tag_text(&self, tag: usize) -> TagText {
        let address = &self.tags[tag].address;
        let is_value = address.what == What::Value;
        let of_none = if is_value { DataType::Lreal } else { DataType::String(EVENT_MAX) };
        TagText {
            canonical: address.to_string(),
            also: self.tags[tag].watched(),
            data_type: address.data_type.unwrap_or(of_none),
            elements: 1,
            writable: is_value,
        }
    }

    /// Up to when its values were told: what another run of the gateway has missed then is known.
    fn learned(&mut self) -> Option<String> {
        let newest = self.history.newest().filter(|_| self.fills_gaps())?;
        let (now, is_leaving) = (Instant::now(), std::mem::take(&mut self.is_leaving));
        let is_due = self.left.is_none_or(|(at, known)| known != newest && now >= at + LEFT_EVERY);
        // Where there is no history nobody will ask.
        if !(is_due || is_leaving) || !self.history.is_kept() {
            return None;
        }
        self.left = Some((now, newest));
        let of_tags = self.history.told().map(|(index, told)| (self.tags[index].address.to_string(), told));
        Some(left::text(newest, *RUN, of_tags.filter(|_| is_leaving)))
    }

    fn closed(&mut self) {
        self.is_leaving = true;
    }

    fn found(&mut self) -> Option<Vec<FoundTag>> {
        self.search.found.take()
    }

    fn listen(&mut self) -> Reports {
        self.listens = true;
        if self.is_listening() { Reports::Changes } else { Reports::EachPoll }
    }
}

#[cfg(test)]
mod tests {
    use driver_core::TagSpec;

    use super::*;

    fn spec(addresses: &[&str]) -> DeviceSpec {
        let tags = (0..).zip(addresses);
        let tags = tags.map(|(id, address)| TagSpec { id: TagId(id), address, group: GroupId(0) }).collect();
        DeviceSpec { groups: vec![Duration::from_secs(1)], tags, ..DeviceSpec::default() }
    }

    fn endpoint(options: &str) -> OpcUaEndpoint {
        let url = format!("opc.tcp://h{options}").parse().expect("a URL");
        OpcUaEndpoint::parse(&url, None).expect("an endpoint")
    }

    #[test]
    fn every_wrong_address_is_reported_with_its_place() {
        let errors = OpcUaDevice::new(&endpoint(""), 3, &spec(&["ns=2;s=a", "x", "ns=2;i="])).expect_err("two errors");
        let places: Vec<_> = errors.into_iter().map(|error| error.place).collect();
        assert_eq!(places, [SpecPlace::Address(3, 1, 0..1), SpecPlace::Address(3, 2, 7..7)]);
        let unit = DeviceSpec { unit: Some(1), ..spec(&[]) };
        assert!(OpcUaDevice::new(&endpoint(""), 0, &unit).is_err());
    }

    #[test]
    fn nodes_are_looked_for_once_a_session_and_again_after_a_while_where_there_are_none() {
        let mut device = OpcUaDevice::new(&endpoint(""), 0, &spec(&["ns=2;s=a", "/Objects/2:b"])).expect("a device");
        let now = Instant::now();
        device.enter(1);
        assert_eq!(device.to_find(&[0, 1], now), [0, 1]);
        device.note(0, Ok(NodeId::new(2, "a")), now);
        device.note(0, Ok(NodeId::new(2, "a")), now);
        device.note(1, Err(StatusCode::BadNoMatch), now);
        assert!(!device.has_all());
        assert_eq!(device.to_find(&[0, 1], now), [0_usize; 0]);
        assert_eq!(device.to_find(&[0, 1], now + Duration::from_secs(5)), [1]);
        device.note(1, Err(StatusCode::BadNoMatch), now + Duration::from_secs(5));
        assert_eq!(device.to_find(&[0, 1], now + Duration::from_secs(10)), [0_usize; 0]);
        device.note(1, Ok(NodeId::new(2, "b")), now);
        assert!(device.has_all());
        device.enter(2);
        assert_eq!(device.to_find(&[0, 1], now), [0, 1]);
    }

    #[test]
    fn a_plan_tells_what_goes_over_the_wire() {
        let many: Vec<String> = (0..2_500).map(|number| format!("ns=2;i={number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let texts = |options: &str| -> Vec<String> {
            let device = OpcUaDevice::new(&endpoint(options), 0, &spec(&many)).expect("a device");
            device.plan().requests.into_iter().map(|request| request.text).collect()
        };
        assert_eq!(texts("?read=poll"), ["Read of 1000 nodes", "Read of 1000 nodes", "Read of 500 nodes"]);
        assert_eq!(texts("")[0], "subscription of 2500 nodes, up to 2500 values if all change");
        assert!(texts("?sampling=100ms&queue=4")[0].ends_with("up to 10000 values if all change"));
        assert!(texts("?sampling=500ms&queue=4")[0].ends_with("up to 5000 values if all change"));
    }
}
