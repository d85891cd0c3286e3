//! What a device has of its own, of its template and of the gateway.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use buffer::Class;
use driver_core::{FoundTag, Order};

use crate::config::form::{Context, Named};
use crate::config::near::nearest;
use crate::config::raw::{RawConfig, RawDerived, RawDevice, RawSettings, RawTag, TagSettings};
use crate::config::source::{Span, Spanned};

/// A device with everything that it inherits.
pub(super) struct Inherited<'r, 't> {
    pub(super) order: Option<Order>,
    pub(super) in_flight_max: Option<u16>,
    /// Patterns of places whose variables are tags too.
    pub(super) browse: &'r [Spanned<&'t str>],
    pub(super) every: Duration,
    class: Class,
    tags_max: usize,
    own: Vec<Named<'t, RawTag<'t>>>,
    template: &'r [Named<'t, RawTag<'t>>],
}

/// What the gateway says for all its devices.
#[derive(Debug, Clone, Copy)]
pub(super) struct Defaults {
    pub(super) every: Duration,
    pub(super) class: Class,
}

/// A tag with everything that it inherits.
pub(super) struct InheritedTag<'t> {
    pub(super) name: &'t str,
    pub(super) span: Span,
    pub(super) address: Option<Spanned<&'t str>>,
    pub(super) every: Duration,
    pub(super) class: Class,
    pub(super) settings: TagSettings<'t>,
    pub(super) derived: RawDerived<'t>,
}

/// The templates by name.
pub(super) type Templates<'r, 't> = HashMap<&'t str, &'r RawSettings<'t>>;

/// The templates of a file. One that nobody takes is checked by nobody.
pub(super) fn templates<'r, 't>(raw: &'r RawConfig<'t>, context: &mut Context<'_>) -> Templates<'r, 't> {
    let taken: HashSet<&str> = raw.devices.iter().filter_map(|device| Some(device.value.template?.value)).collect();
    for template in raw.templates.iter().filter(|template| !taken.contains(template.name)) {
        let message = format!("no device takes the template `{}`, so that its tags are not checked", template.name);
        context.faults.warning(template.span, message, format!("write `template: {}` at a device", template.name));
    }
    raw.templates.iter().map(|template| (template.name, &template.value)).collect()
}

impl<'r, 't> Inherited<'r, 't> {
    /// A device with its own tags, its template and the gateway, in this order.
    pub(super) fn new(
        device: &'r RawDevice<'t>,
        own_tags: Vec<Named<'t, RawTag<'t>>>,
        templates: &Templates<'r, 't>,
        gateway: Defaults,
        context: &mut Context<'_>,
    ) -> Inherited<'r, 't> {
        let template = device.template.and_then(|name| find(name, templates, context));
        let own = &device.settings;
        let layers = [Some(own), template];
        let layers = || layers.iter().flatten();
        Inherited {
            order: layers().find_map(|layer| layer.order).map(|order| order.value),
            in_flight_max: layers().find_map(|layer| layer.max_in_flight).map(|in_flight| in_flight.value),
            browse: layers().find_map(|layer| layer.browse.as_ref()).map_or(&[], |browse| &browse.value),
            every: layers().find_map(|layer| layer.every).map_or(gateway.every, |every| every.value),
            class: layers().find_map(|layer| layer.class).map_or(gateway.class, |class| class.value),
            tags_max: own_tags.len().saturating_add(template.map_or(0, |template| template.tags.len())),
            own: own_tags,
            template: template.map_or(&[], |template| &template.tags),
        }
    }

    /// At most how many tags it has.
    pub(super) fn tags_max(&self) -> usize {
        self.tags_max
    }

    /// Whether there is something to be polled, or to be looked for.
    pub(super) fn is_idle(&self) -> bool {
        self.tags_max == 0 && self.browse.is_empty()
    }

    /// The tags: those of the template first, each with what the device says of it, then the device's own, then what was
    /// found. What is said of a found tag by its name holds for it; a tag without an address waits until it is found.
    ///
    /// What was written of them is taken: the next device's tags lie where this one's were written.
    pub(super) fn take_tags(&mut self, found: &'t [FoundTag]) -> Vec<InheritedTag<'t>> {
        let written = std::mem::take(&mut self.own);
        let mut own: HashMap<&str, &Named<'t, RawTag<'t>>> = HashMap::new();
        if !self.template.is_empty() {
            own.extend(written.iter().map(|tag| (tag.name, tag)));
        }
        let mut tags: Vec<InheritedTag<'t>> = Vec::with_capacity(self.tags_max);
        for tag in self.template {
            tags.push(self.tag(own.remove(tag.name), Some(tag), tag));
        }
        let rest = written.iter().filter(|tag| self.template.is_empty() || own.contains_key(tag.name));
        tags.extend(rest.map(|tag| self.tag(Some(tag), None, tag)));
        if let Some(pattern) = self.browse.first() {
            self.add_found(&mut tags, found, pattern.span);
            tags.retain(|tag| tag.address.is_some() || !tag.derived.made().is_empty());
        }
        tags
    }

    fn add_found(&self, tags: &mut Vec<InheritedTag<'t>>, found: &'t [FoundTag], span: Span) {
        let written: HashMap<&str, usize> = tags.iter().enumerate().map(|(at, tag)| (tag.name, at)).collect();
        for FoundTag { name, address } in found {
            let address = Some(Spanned { value: &**address, span });
            match written.get(&**name).map(|at| &mut tags[*at]) {
                Some(tag) if tag.derived.made().is_empty() => tag.address = tag.address.or(address),
                Some(_) => {}
                None => tags.push(InheritedTag {
                    name,
                    span,
                    address,
                    every: self.every,
                    class: self.class,
                    settings: TagSettings::default(),
                    derived: RawDerived::default(),
                }),
            }
        }
    }

    fn tag(
        &self,
        own: Option<&Named<'t, RawTag<'t>>>,
        template: Option<&Named<'t, RawTag<'t>>>,
        named: &Named<'t, RawTag<'t>>,
    ) -> InheritedTag<'t> {
        let layers = [own, template];
        let settings = layered(layers.map(|layer| layer.and_then(|layer| layer.value.settings.as_deref())));
        InheritedTag {
            name: named.name,
            span: own.unwrap_or(named).span,
            address: layers.iter().flatten().find_map(|layer| layer.value.address),
            every: settings.every.map_or(self.every, |every| every.value),
            class: settings.class.map_or(self.class, |class| class.value),
            settings,
            derived: layers
                .iter()
                .flatten()
                .filter_map(|layer| layer.value.derived.as_deref())
                .fold(RawDerived::default(), |above, layer| above.or(*layer)),
        }
    }
}

/// Key by key, what the first layer that has it says.
fn layered<'t>(layers: [Option<&TagSettings<'t>>; 2]) -> TagSettings<'t> {
    let [Some(own), Some(template)] = layers else {
        return layers.into_iter().flatten().next().copied().unwrap_or_default();
    };
    TagSettings {
        every: own.every.or(template.every),
        class: own.class.or(template.class),
        scale: own.scale.or(template.scale),
        offset: own.offset.or(template.offset),
        unit: own.unit.or(template.unit),
        report: own.report.or(template.report),
        deadband: own.deadband.or(template.deadband),
        heartbeat: own.heartbeat.or(template.heartbeat),
        sampling: own.sampling.or(template.sampling),
        queue: own.queue.or(template.queue),
        write: own.write.or(template.write),
        expect: own.expect.or(template.expect),
        fields: own.fields.or(template.fields),
        columns: own.columns.or(template.columns),
    }
}

fn find<'r, 't>(
    name: Spanned<&str>,
    templates: &Templates<'r, 't>,
    context: &mut Context<'_>,
) -> Option<&'r RawSettings<'t>> {
    let found = templates.get(name.value).copied();
    if found.is_none() {
        let help = match nearest(name.value, templates.keys().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("describe it under `templates`, such as `{}: {{ tags: … }}`", name.value),
        };
        context.faults.error(name.span, format!("there is no template `{}`", name.value), help);
    }
    found
}
