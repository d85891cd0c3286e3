//! All metrics of the edge node: what each is called, its alias and type, and what it held last; enough for a birth at any
//! time.
//!
//! The tags of this configuration come first, in the order of their ids; what a backlog of an earlier configuration brings
//! beside them is added when it is met, and its device is born again. One catalogue serves the formats of all lanes and the
//! edge node.

use std::collections::HashMap;
use std::sync::Arc;

use driver_core::{ClockState, Level, Reading, TagId, Tense, Timestamp, Value};

use super::metric::MetricType;
use super::template::Definition;
use super::wire::{Heading, Property, as_history, write_metric};
use super::{Names, time_ms};
use crate::pipeline::schema::{Schema, SchemaBuilder};
use crate::uplink::format::batches::{DEVICE_UNKNOWN, tag_unknown};
use crate::uplink::{Lane, Site};

/// The alias of the first metric; 0 is what readers take for none.
const ALIAS_FIRST: u64 = 1;

/// Sparkplug's numbers for a quality (6.4.19): there are three.
const GOOD: u32 = 192;
const STALE: u32 = 500;
const BAD: u32 = 0;

/// All metrics.
#[derive(Debug)]
pub(super) struct Catalogue {
    names: Names,
    schema: Arc<Schema>,
    /// First those of the schema, then those that were added.
    metrics: Vec<Metric>,
    added: Vec<Added>,
    devices: Vec<Device>,
    by_name: HashMap<Box<str>, u32>,
    by_topic: HashMap<Arc<str>, Topic>,
    /// What the tag ids of the last other schema mean.
    translation: Option<Translation>,
}

#[derive(Debug)]
struct Metric {
    kind: MetricType,
    /// What stands for it where its fields are declared, and its values have no others.
    definition: Option<Box<Definition>>,
    last: Option<Box<Reading>>,
}

/// A metric that this configuration does not have.
#[derive(Debug)]
struct Added {
    tag: Box<str>,
    unit: Box<str>,
}

/// What the topic of a message of the log's stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Topic {
    /// Readings of a device.
    Data(u32),
    /// Readings that say nothing but that a device cannot be reached.
    Silence(u32),
}

/// A device of the edge node.
#[derive(Debug)]
pub(super) struct Device {
    /// Where its data go.
    pub(super) data: Arc<str>,
    /// Where its births go.
    pub(super) birth: Arc<str>,
    /// Where its deaths go.
    pub(super) death: Arc<str>,
    /// Its metrics, by their place in the catalogue.
    metrics: Vec<u32>,
    /// Raised whenever a metric is added or changes its type.
    pub(super) version: u32,
}

#[derive(Debug)]
struct Translation {
    schema: Option<Arc<Schema>>,
    places: HashMap<TagId, u32>,
}

impl Metric {
    /// The number of its type.
    fn code(&self) -> u32 {
        self.definition.as_ref().map_or_else(|| self.kind.code(), |definition| definition.code())
    }

    /// Whether a value can be told in its type without loss.
    fn takes(&self, value: &Value) -> bool {
        match &self.definition {
            Some(definition) => definition.takes(value),
            None => self.kind.takes(value),
        }
    }

    fn write(&self, heading: &Heading<'_>, value: &Value, properties: &[Property<'_>], out: &mut Vec<u8>) {
        match &self.definition {
            Some(definition) => definition.write(heading, value, properties, out),
            None => write_metric(heading, (*value != Value::None).then_some((self.kind, value)), properties, out),
        }
    }
}

impl Catalogue {
    /// The catalogue of the tags of `site`; an empty one while there is no gateway around.
    pub(super) fn new(names: Names, site: Option<&Site>) -> Catalogue {
        let schema = site.map_or_else(|| Arc::new(SchemaBuilder::default().build()), |site| site.schema.clone());
        let types = site.map(|site| site.types.clone()).unwrap_or_default();
        let mut catalogue = Catalogue {
            names,
            metrics: Vec::with_capacity(schema.tags()),
            added: Vec::new(),
            devices: Vec::new(),
            by_name: HashMap::new(),
            by_topic: HashMap::new(),
            translation: None,
            schema,
        };
        for index in 0..catalogue.schema.devices() {
            let name: Box<str> = catalogue.schema.device(index).unwrap_or_default().into();
            catalogue.device(&name);
        }
        for id in 0..catalogue.schema.tags() {
            let kind = types.get(id).map_or(UNTYPED, MetricType::of);
            let definition = types.get(id).and_then(|known| known.structure.clone()).map(|structure| {
                let names = catalogue.schema.tag(TagId(id as u32));
                let (device, tag) = names.map_or(("", ""), |names| (names.device, names.tag));
                Box::new(Definition::new(device, tag, structure))
            });
            let device = catalogue.schema.device_of(TagId(id as u32)).unwrap_or_default();
            catalogue.metrics.push(Metric { kind, definition, last: None });
            catalogue.devices[device as usize].metrics.push(id as u32);
        }
        catalogue
    }

    /// The place of a device; a new one is added.
    fn device(&mut self, name: &str) -> u32 {
        if let Some(place) = self.by_name.get(name) {
            return *place;
        }
        let place = self.devices.len() as u32;
        let device = Device {
            data: self.names.topic("DDATA", Some(name)).into(),
            birth: self.names.topic("DBIRTH", Some(name)).into(),
            death: self.names.topic("DDEATH", Some(name)).into(),
            metrics: Vec::new(),
            version: 0,
        };
        self.by_topic.insert(device.data.clone(), Topic::Data(place));
        self.by_topic.insert(device.death.clone(), Topic::Silence(place));
        self.devices.push(device);
        self.by_name.insert(name.into(), place);
        place
    }

    /// The devices, in the order of their places.
    pub(super) fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// What a topic stands for; `None` for that of the node.
    pub(super) fn topic(&self, topic: &str) -> Option<Topic> {
        self.by_topic.get(topic).copied()
    }

    /// The device of a metric.
    pub(super) fn device_of(&self, schema: Option<&Arc<Schema>>, tag: TagId) -> u32 {
        match schema {
            Some(schema) if Arc::ptr_eq(schema, &self.schema) => schema.device_of(tag).unwrap_or_default(),
            Some(schema) => {
                let name = schema.tag(tag).map_or(DEVICE_UNKNOWN, |names| names.device);
                self.by_name.get(name).copied().unwrap_or_default()
            }
            None => self.by_name.get(DEVICE_UNKNOWN).copied().unwrap_or_default(),
        }
    }

    /// Takes in a reading that is about to be formatted: its metric is known from here on, has a type that can tell the
    /// value, and remembers it where it is the newest. Returns the metric's place.
    pub(super) fn observe(&mut self, schema: Option<&Arc<Schema>>, lane: Lane, reading: &Reading) -> u32 {
        let place = match schema {
            Some(schema) if Arc::ptr_eq(schema, &self.schema) && reading.tag.index() < self.schema.tags() => {
                reading.tag.0
            }
            other => self.translated(other, reading),
        };
        let Some(metric) = self.metrics.get_mut(place as usize) else { return place };
        if !metric.takes(&reading.value) {
            (metric.kind, metric.definition) = (MetricType::of_value(&reading.value), None);
            let device = self.device_at(place);
            self.devices[device as usize].version += 1;
        }
        let metric = &mut self.metrics[place as usize];
        let newest = metric.last.as_ref().is_none_or(|last| last.timestamp <= reading.timestamp);
        if lane == Lane::Live && reading.tense == Tense::Present && newest {
            match &mut metric.last {
                Some(last) => last.clone_from(&Box::new(reading.clone())),
                none => *none = Some(Box::new(reading.clone())),
            }
        }
        place
    }

    fn device_at(&self, place: u32) -> u32 {
        let found = self.devices.iter().position(|device| device.metrics.binary_search(&place).is_ok());
        found.unwrap_or_default() as u32
    }

    fn translated(&mut self, schema: Option<&Arc<Schema>>, reading: &Reading) -> u32 {
        let is_known = |known: &Translation| match (&known.schema, schema) {
            (Some(known), Some(schema)) => Arc::ptr_eq(known, schema),
            (None, None) => true,
            _ => false,
        };
        if !self.translation.as_ref().is_some_and(is_known) {
            self.translation = Some(Translation { schema: schema.cloned(), places: HashMap::new() });
        }
        if let Some(place) = self.translation.as_ref().and_then(|known| known.places.get(&reading.tag)) {
            return *place;
        }
        let unknown = tag_unknown(reading.tag);
        let names = schema.and_then(|schema| schema.tag(reading.tag));
        let (device, tag, unit) =
            names.map_or((DEVICE_UNKNOWN, unknown.as_str(), ""), |names| (names.device, names.tag, names.unit));
        let device = self.device(device);
        let place = self.place_of(device, tag).unwrap_or_else(|| self.add(device, tag, unit, &reading.value));
        if let Some(known) = &mut self.translation {
            known.places.insert(reading.tag, place);
        }
        place
    }

    fn place_of(&self, device: u32, tag: &str) -> Option<u32> {
        let metrics = &self.devices.get(device as usize)?.metrics;
        metrics.iter().copied().find(|place| self.tag_names(*place).0 == tag)
    }

    fn add(&mut self, device: u32, tag: &str, unit: &str, value: &Value) -> u32 {
        let place = self.metrics.len() as u32;
        self.metrics.push(Metric { kind: MetricType::of_value(value), definition: None, last: None });
        self.added.push(Added { tag: tag.into(), unit: unit.into() });
        let device = &mut self.devices[device as usize];
        device.metrics.push(place);
        device.version += 1;
        place
    }

    /// Tag and unit of a metric.
    fn tag_names(&self, place: u32) -> (&str, &str) {
        match self.schema.tag(TagId(place)) {
            Some(names) => (names.tag, names.unit),
            None => {
                let added = self.added.get(place as usize - self.schema.tags());
                added.map_or(("", ""), |added| (&*added.tag, &*added.unit))
            }
        }
    }

    /// Writes a reading as data: alias, time, value.
    pub(super) fn write_data(&self, place: u32, reading: &Reading, out: &mut Vec<u8>) {
        let heading =
            Heading { name: None, alias: Some(alias(place)), time_ms: time_ms(reading.timestamp), announced: None };
        let Some(metric) = self.metrics.get(place as usize) else { return };
        if reading.is_plain() {
            return metric.write(&heading, &reading.value, &[], out);
        }
        match reading.tense {
            Tense::Present => metric.write(&heading, &reading.value, &properties(reading), out),
            Tense::Past => {
                let mut past = Vec::new();
                metric.write(&heading, &reading.value, &properties(reading), &mut past);
                out.extend(as_history(&past));
            }
        }
    }

    /// Writes the definitions of all templates.
    pub(super) fn write_definitions(&self, now: Timestamp, out: &mut Vec<u8>) {
        let definitions = self.metrics.iter().filter_map(|metric| metric.definition.as_deref());
        definitions.for_each(|definition| definition.write_definition(time_ms(now), out));
    }

    /// Writes all metrics of a device as its birth; those of which nothing is known yet are null, as of now.
    pub(super) fn write_birth(&self, device: u32, now: Timestamp, out: &mut Vec<u8>) {
        let Some(device) = self.devices.get(device as usize) else { return };
        for place in &device.metrics {
            let Some(metric) = self.metrics.get(*place as usize) else { continue };
            let (tag, unit) = self.tag_names(*place);
            let heading = Heading {
                name: Some(tag),
                alias: Some(alias(*place)),
                time_ms: time_ms(metric.last.as_ref().map_or(now, |last| last.timestamp)),
                announced: Some(metric.code()),
            };
            let mut properties = metric.last.as_ref().map_or_else(
                || vec![Property::Int("Quality", STALE)],
                |last| if last.is_plain() { vec![Property::Int("Quality", GOOD)] } else { properties(last) },
            );
            if !unit.is_empty() {
                properties.push(Property::Text("engUnit", unit));
            }
            let value = metric.last.as_ref().map_or(&Value::None, |last| &last.value);
            metric.write(&heading, value, &properties, out);
        }
    }

    /// Device and tag of a metric that is named, or numbered by its alias, among those of a device by its name in topics.
    pub(super) fn target(&self, device: &str, name: Option<&str>, alias: Option<u64>) -> Option<(&str, &str)> {
        let by_alias =
            alias.and_then(|alias| alias.checked_sub(ALIAS_FIRST)).and_then(|place| u32::try_from(place).ok());
        let (known, device) = self.by_name.iter().find(|(known, _)| &*super::id(known) == device)?;
        let place = match name {
            Some(name) => self.place_of(*device, name)?,
            None => by_alias.filter(|place| self.devices[*device as usize].metrics.contains(place))?,
        };
        Some((known, self.tag_names(place).0))
    }
}

/// What a tag has whose type nobody has told.
const UNTYPED: MetricType = MetricType { element: super::metric::Element::Double, shape: super::metric::Shape::One };

fn alias(place: u32) -> u64 {
    u64::from(place) + ALIAS_FIRST
}

/// What is said of a reading that is in doubt. A reading without properties is good.
fn properties(reading: &Reading) -> Vec<Property<'static>> {
    let quality = match reading.quality.level() {
        Level::Good => GOOD,
        Level::Uncertain => STALE,
        Level::Bad => BAD,
    };
    let mut properties = vec![Property::Int("Quality", quality)];
    properties.extend(reading.quality.reason().map(|reason| Property::Text("reason", reason.name())));
    if reading.status != 0 {
        properties.push(Property::Int("status", reading.status));
    }
    if reading.clock == ClockState::Unsynchronized {
        properties.push(Property::Text("clock", "unsynchronized"));
    }
    properties
}

#[cfg(test)]
mod tests {
    use driver_core::{DataType, Quality, Reason};

    use super::super::testkit::{names, reading, site};
    use super::*;

    #[test]
    fn a_birth_has_every_metric_of_its_device_before_any_was_read() {
        let site = site(&[
            ("press", &[("a", "°C", DataType::Int), ("b", "", DataType::Bool)]),
            ("mixer", &[("c", "", DataType::Real)]),
        ]);
        let catalogue = Catalogue::new(names(), Some(&site));
        let mut birth = Vec::new();
        catalogue.write_birth(0, Timestamp(5_000_000), &mut birth);
        let decoded = super::super::oracle::metrics(&birth);
        let told: Vec<_> =
            decoded.iter().map(|metric| (metric.name(), metric.alias(), metric.datatype(), metric.is_null())).collect();
        assert_eq!(told, [("a", 1, 2, true), ("b", 2, 11, true)]);
        assert_eq!(decoded[0].timestamp(), 5);
        assert_eq!(decoded[0].text("engUnit"), Some("°C"));
        assert_eq!(decoded[0].int("Quality"), Some(STALE));
    }

    #[test]
    fn the_newest_live_value_is_remembered_for_the_next_birth() {
        let site = site(&[("press", &[("a", "", DataType::Int)])]);
        let mut catalogue = Catalogue::new(names(), Some(&site));
        let at = |ms: i64, value| Reading { timestamp: Timestamp(ms * 1_000_000), ..reading(0, Value::Int(value)) };
        for (lane, reading) in [(Lane::Live, at(20, 2)), (Lane::Live, at(10, 1)), (Lane::History, at(30, 3))] {
            catalogue.observe(Some(&site.schema), lane, &reading);
        }
        let mut birth = Vec::new();
        catalogue.write_birth(0, Timestamp(0), &mut birth);
        let decoded = super::super::oracle::metrics(&birth);
        assert_eq!((decoded[0].timestamp(), decoded[0].value()), (20, Some(Value::Int(2))));
    }

    #[test]
    fn what_an_earlier_configuration_had_is_added_and_its_device_has_another_version() {
        let current = site(&[("press", &[("a", "", DataType::Int)])]);
        let earlier = site(&[("press", &[("gone", "m", DataType::Real), ("a", "", DataType::Int)])]);
        let mut catalogue = Catalogue::new(names(), Some(&current));
        let gone = catalogue.observe(Some(&earlier.schema), Lane::History, &reading(0, Value::Real(1.5)));
        let kept = catalogue.observe(Some(&earlier.schema), Lane::History, &reading(1, Value::Int(1)));
        assert_eq!((gone, kept, catalogue.devices()[0].version), (1, 0, 1));
        let lost = catalogue.observe(None, Lane::History, &reading(7, Value::Int(1)));
        assert_eq!((lost, catalogue.devices().len()), (2, 2));
        assert_eq!(catalogue.target("unknown", Some("tag-7"), None), Some(("unknown", "tag-7")));
        assert_eq!(catalogue.target("press", None, Some(2)), Some(("press", "gone")));
        assert_eq!(catalogue.target("press", None, Some(3)), None);
    }

    #[test]
    fn a_value_that_its_type_cannot_tell_gives_the_metric_another_type() {
        let site = site(&[("press", &[("a", "", DataType::Int)])]);
        let mut catalogue = Catalogue::new(names(), Some(&site));
        catalogue.observe(Some(&site.schema), Lane::Live, &reading(0, Value::Int(40_000)));
        assert_eq!((catalogue.metrics[0].kind.code(), catalogue.devices()[0].version), (4, 1));
        let bad = Reading { quality: Quality::Bad(Reason::Timeout), ..reading(0, Value::None) };
        catalogue.observe(Some(&site.schema), Lane::Live, &bad);
        assert_eq!(catalogue.devices()[0].version, 1);
    }
}
