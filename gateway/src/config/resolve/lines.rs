//! Lines with their devices and tags, planned by their drivers.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use driver_core::{DeviceSpec, GroupId, Line, LineSpec, Place, SpecError, TagId, TagSpec, TagSpecs};

use super::TAGS_MAX;
use super::bus::Bus;
use super::derived::{Made, PendingDerived};
use super::expect::{self, Expected};
use super::inherit::{Defaults, Inherited, InheritedTag, templates};
use super::place::part_of;
use super::rule::rule;
use super::structure::structure;
use super::watch::Mentions;
use super::writes::PendingWrite;
use crate::config::checked::LineConfig;
use crate::config::form::{Context, Named};
use crate::config::raw::{RawConfig, RawDerived, RawDevice};
use crate::config::source::{Source, Span, Spanned};
use crate::pipeline::findings::{Findings, origin};
use crate::pipeline::process::Rule;
use crate::pipeline::tags::{DevicePlace, Tags, TagsBuilder};
use crate::uplink::structure::Structure;

/// The most intervals that the tags of one device may have.
const GROUPS_MAX: usize = 256;

/// What became of all devices.
pub(super) struct Lines<'t> {
    pub(super) tags: Tags,
    /// The tags that may be written.
    pub(super) writes: Vec<PendingWrite<'t>>,
    /// The tags that are made of others.
    pub(super) derived: Vec<PendingDerived<'t>>,
    /// What the structures of tags are made of.
    pub(super) structures: Vec<(TagId, Arc<Structure>)>,
    pub(super) configs: Vec<LineConfig>,
    /// By line; `None` for one that its driver refused.
    pub(super) planned: Vec<Option<Box<dyn Line>>>,
}

/// All lines, in the order of the file. Tags that ran before keep their ids. What was written of the tags of devices is not
/// in `raw` afterwards: what is made of a hundred thousand tags takes its place.
pub(super) fn lines<'t>(
    raw: &mut RawConfig<'t>,
    buses: Vec<Bus<'t>>,
    (before, found): (Option<&Tags>, &'t Findings),
    source: &Source,
    context: &mut Context<'_>,
) -> Lines<'t> {
    let mentions = Mentions::of(raw);
    let tags: Vec<_> = raw.devices.iter_mut().map(|device| mem::take(&mut device.value.settings.tags)).collect();
    let raw = &*raw;
    let (templates, defaults) = (templates(raw, context), Defaults { every: raw.every, class: raw.class });
    let devices = raw.devices.iter().zip(tags);
    let mut inherited: Vec<Inherited> =
        devices.map(|(device, tags)| Inherited::new(&device.value, tags, &templates, defaults, context)).collect();
    let mut table = Table {
        tags: TagsBuilder::after(before),
        writes: Vec::new(),
        derived: Vec::new(),
        structures: Vec::new(),
        mentions,
    };
    let (mut configs, mut planned) = (Vec::new(), Vec::new());
    if too_many(&inherited, context) {
        return table.build(configs, planned);
    }
    for bus in buses {
        let owner = &raw.devices[bus.owner];
        let mut draft = Draft { devices: Vec::new(), spans: Vec::new(), expected: Vec::new() };
        for index in &bus.members {
            let place = DevicePlace { line: configs.len() as u32, device: draft.devices.len() as u32 };
            let (device, inherited) = (&raw.devices[*index], &mut inherited[*index]);
            let origin = origin(&bus.url, inherited.browse.iter().map(|pattern| pattern.value));
            let tags = inherited.take_tags(found.of(device.name, &origin));
            draft.add(device, inherited, tags, place, &mut table, context);
        }
        told_of_idle(raw, &bus, &inherited, context);
        let timeout = owner.value.timeout.map(|timeout| timeout.value);
        let spec = LineSpec { url: bus.url.clone(), timeout, devices: draft.devices };
        let spans = Spans { bus: &bus, devices: &draft.spans, source };
        if spec.devices.is_empty() {
            let checked = bus.driver.check_url(&spec.url, timeout);
            checked.unwrap_or_else(|errors| spans.tell(errors, &spec, context));
            continue;
        }
        match bus.driver.line(&spec) {
            Ok(line) => {
                expect::check(line.as_ref(), &draft.expected, context);
                planned.push(Some(line));
            }
            Err(errors) => {
                planned.push(None);
                let addresses_unseen = errors.iter().all(|error| matches!(error.place, Place::Url(_)));
                spans.tell(errors, &spec, context);
                if addresses_unseen {
                    spans.tell(wrong_addresses(&bus, &spec), &spec, context);
                }
            }
        }
        configs.push(LineConfig { name: owner.name.into(), spec });
    }
    table.build(configs, planned)
}

/// A driver that does not understand a URL has not looked at the addresses behind it. Its options aside, it may.
fn wrong_addresses(bus: &Bus<'_>, spec: &LineSpec) -> Vec<SpecError> {
    let bare = bus.url.as_str().split('?').next().unwrap_or_default();
    let Ok(url) = bare.parse() else { return Vec::new() };
    let bare = LineSpec { url, timeout: None, devices: spec.devices.clone() };
    let errors = bus.driver.line(&bare).err().unwrap_or_default();
    errors.into_iter().filter(|error| matches!(error.place, Place::Address(..) | Place::Pattern(..))).collect()
}

fn too_many(devices: &[Inherited<'_, '_>], context: &mut Context<'_>) -> bool {
    let tags = devices.iter().fold(0, |sum: usize, device| sum.saturating_add(device.tags_max()));
    if tags > TAGS_MAX {
        let message = format!("the devices have {tags} tags together; one gateway takes {TAGS_MAX}");
        context.faults.error(Span::default(), message, "share the devices between several gateways");
    }
    tags > TAGS_MAX
}

/// A device without tags is polled by nobody, unless it is a bus for others.
fn told_of_idle(raw: &RawConfig<'_>, bus: &Bus<'_>, inherited: &[Inherited<'_, '_>], context: &mut Context<'_>) {
    let serves = bus.members.len() > 1;
    for index in &bus.members {
        if inherited[*index].is_idle() && !(serves && *index == bus.owner) {
            let device = &raw.devices[*index];
            let message = format!("`{}` has no tags: nothing is read from it", device.name);
            context.faults.warning(device.span, message, "write some under `tags`, or take a template that has some");
        }
    }
}

/// The table of all tags, in the order of the file.
struct Table<'b, 't> {
    tags: TagsBuilder<'b>,
    writes: Vec<PendingWrite<'t>>,
    derived: Vec<PendingDerived<'t>>,
    structures: Vec<(TagId, Arc<Structure>)>,
    mentions: Mentions,
}

impl<'t> Table<'_, 't> {
    fn build(self, configs: Vec<LineConfig>, planned: Vec<Option<Box<dyn Line>>>) -> Lines<'t> {
        let Table { tags, writes, derived, structures, mentions: _ } = self;
        Lines { tags: tags.build(), writes, derived, structures, configs, planned }
    }

    /// A tag that the device does not have: made of others, or the alarm of one that it has.
    fn derive(&mut self, tag: &InheritedTag<'t>, device: &'t str, context: &mut Context<'_>) {
        let unit = tag.settings.unit.map_or("", |unit| unit.value);
        let rule = rule(&tag.settings, tag.class, context.faults);
        let id = self.tags.tag(tag.name, unit, rule);
        if let [(_, span), (other, _), ..] = tag.derived.made()[..] {
            let message = format!("`{}` is made in two ways", tag.name);
            context.faults.error(span, message, format!("remove this or `{other}`"));
        }
        let settings = [
            ("address", tag.address.map(|address| address.span)),
            ("scale", tag.settings.scale.map(|scale| scale.span)),
            ("offset", tag.settings.offset.map(|offset| offset.span)),
            ("write", tag.settings.write.map(|write| write.span)),
            ("every", tag.settings.every.map(|every| every.span)),
            ("fields", tag.settings.fields.map(|fields| fields.span)),
            ("columns", tag.settings.columns.map(|columns| columns.span)),
            ("sampling", tag.settings.sampling.map(|sampling| sampling.span)),
            ("queue", tag.settings.queue.map(|queue| queue.span)),
        ];
        for (key, span) in settings.into_iter().filter_map(|(key, span)| Some((key, span?))) {
            let message = format!("`{key}` is for tags that a device has; `{}` is made of others", tag.name);
            context.faults.error(span, message, "remove one of the two");
        }
        let RawDerived { calc, window, total, .. } = tag.derived;
        let made = calc.map(Made::Calc).or(window.map(Made::Window)).or(total.map(Made::Total));
        self.derived.extend(made.map(|made| PendingDerived { tag: id, device, name: tag.name, made }));
        self.alarm(tag, id, device);
    }

    fn alarm(&mut self, tag: &InheritedTag<'t>, id: TagId, device: &'t str) {
        let Some(alarm) = tag.derived.alarm else { return };
        let rule = Rule { class: tag.class, ..Rule::PLAIN };
        let of_alarm = self.tags.tag(&format!("{}.alarm", tag.name), "", rule);
        self.derived.push(PendingDerived { tag: of_alarm, device, name: tag.name, made: Made::Alarm(id, alarm) });
    }
}

/// A line that is being made.
struct Draft<'t> {
    devices: Vec<DeviceSpec>,
    spans: Vec<DeviceSpans<'t>>,
    expected: Vec<Expected<'t>>,
}

/// Where a device and the addresses of its tags stand.
struct DeviceSpans<'t> {
    name: Span,
    addresses: Vec<Spanned<&'t str>>,
    patterns: Vec<Spanned<&'t str>>,
}

impl<'t> Draft<'t> {
    fn add(
        &mut self,
        device: &Named<'t, RawDevice<'t>>,
        inherited: &Inherited<'_, 't>,
        all: Vec<InheritedTag<'t>>,
        place: DevicePlace,
        table: &mut Table<'_, 't>,
        context: &mut Context<'_>,
    ) {
        if inherited.is_idle() {
            return;
        }
        table.tags.device(device.name, place);
        let mut groups = Groups::default();
        if !inherited.browse.is_empty() {
            // It is looked through with its polls, also while nothing was found.
            groups.of(inherited.every);
        }
        let (mut tags, mut addresses, mut watch) = (TagSpecs::default(), Vec::new(), Vec::new());
        no_name_twice(&all, context);
        for tag in all {
            if !tag.derived.made().is_empty() {
                table.derive(&tag, device.name, context);
                continue;
            }
            let Some(address) = tag.address else {
                let message = format!("the tag `{}` has no address", tag.name);
                context.faults.error(tag.span, message, "write where it lies, such as `address: \"hr:0:INT\"`");
                continue;
            };
            let Some(group) = groups.of(tag.every) else {
                let message = format!("the tags of `{}` have more than {GROUPS_MAX} intervals", device.name);
                context.faults.error(tag.span, message, "let tags share intervals");
                continue;
            };
            let unit = tag.settings.unit.map_or("", |unit| unit.value);
            let rule = rule(&tag.settings, tag.class, context.faults);
            let id = table.tags.tag(tag.name, unit, rule);
            let write = tag.settings.write;
            table.writes.extend(write.map(|write| PendingWrite { tag: id, scale: rule.scale, write }));
            let structure = structure(&tag.settings, context.faults);
            table.structures.extend(structure.map(|structure| (id, structure)));
            table.alarm(&tag, id, device.name);
            self.expected.extend(tag.settings.expect.map(|expect| Expected {
                device: self.devices.len(),
                tag: tags.len(),
                scale: rule.scale,
                expect: expect.value,
            }));
            watch.extend(table.mentions.watch(&tag, &rule, tags.len()));
            tags.push(TagSpec { id, address: address.value, group });
            addresses.push(address);
        }
        tags.shrink_to_fit();
        self.spans.push(DeviceSpans { name: device.span, addresses, patterns: inherited.browse.to_vec() });
        self.devices.push(DeviceSpec {
            name: device.name.into(),
            unit: device.value.unit.map(|unit| unit.value),
            order: inherited.order,
            in_flight_max: inherited.in_flight_max,
            groups: groups.intervals,
            tags,
            watch,
            browse: inherited.browse.iter().map(|pattern| pattern.value.into()).collect(),
            learned: None,
        });
    }
}

/// The tag of an alarm has a name that no other tag of the device may have.
fn no_name_twice(tags: &[InheritedTag<'_>], context: &mut Context<'_>) {
    let with_alarm: Vec<String> =
        tags.iter().filter(|tag| tag.derived.alarm.is_some()).map(|tag| format!("{}.alarm", tag.name)).collect();
    if with_alarm.is_empty() {
        return;
    }
    for tag in tags.iter().filter(|tag| with_alarm.iter().any(|name| name == tag.name)) {
        let message = format!("`{}` is the name of an alarm's own tag", tag.name);
        context.faults.error(tag.span, message, "give this tag another name");
    }
}

/// The poll groups of a device, in the order in which their intervals appear.
#[derive(Default)]
struct Groups {
    intervals: Vec<Duration>,
    known: HashMap<Duration, GroupId>,
}

impl Groups {
    fn of(&mut self, every: Duration) -> Option<GroupId> {
        if let Some(group) = self.known.get(&every) {
            return Some(*group);
        }
        let group = GroupId(u16::try_from(self.intervals.len()).ok().filter(|index| usize::from(*index) < GROUPS_MAX)?);
        self.intervals.push(every);
        self.known.insert(every, group);
        Some(group)
    }
}

/// Where the parts of a line stand in the file.
struct Spans<'a, 't> {
    bus: &'a Bus<'t>,
    devices: &'a [DeviceSpans<'t>],
    source: &'a Source,
}

impl Spans<'_, '_> {
    /// What the driver found wrong, at its place in the file.
    fn tell(&self, errors: Vec<SpecError>, spec: &LineSpec, context: &mut Context<'_>) {
        for SpecError { place, message } in errors {
            let (span, message) = match place {
                Place::Url(range) => (part_of(self.source, self.bus.written, range), message),
                Place::Device(device) => {
                    let name = spec.devices.get(device).map_or("", |device| &device.name);
                    (
                        self.devices.get(device).map(|device| device.name).unwrap_or_default(),
                        format!("`{name}`: {message}"),
                    )
                }
                Place::Address(device, tag, range) => {
                    let address = self.devices.get(device).and_then(|device| device.addresses.get(tag));
                    let span = address.map(|address| part_of(self.source, *address, range));
                    (span.unwrap_or(self.bus.written.span), message)
                }
                Place::Pattern(device, number, range) => {
                    let pattern = self.devices.get(device).and_then(|device| device.patterns.get(number));
                    let span = pattern.map(|pattern| part_of(self.source, *pattern, range));
                    (span.unwrap_or(self.bus.written.span), message)
                }
            };
            context.faults.error(span, message, "");
        }
    }
}
