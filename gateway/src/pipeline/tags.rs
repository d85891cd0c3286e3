//! The table of all tags: what each is called, which device it belongs to, and what is done with its readings.
//!
//! Rules are few and tags are many, so that a tag holds the number of its rule and no more.
//!
//! Ids live as long as the process: a configuration that takes the place of another one gives each tag that goes on under
//! its name and unit the id that it had, and new ids behind all others to the rest. What was polled before the change and
//! is stored after it is then called what it was called.

use std::collections::HashMap;
use std::sync::Arc;

use buffer::Class;
use driver_core::TagId;

use super::process::{Report, Rule};
use super::schema::{Schema, SchemaBuilder};

/// A rule is looked for among so many of those that came last: a hundred thousand tags are read in no time, and a rule that
/// stands there twice costs less than a hundred bytes.
const RULES_SEARCHED_MAX: usize = 64;

/// All tags of one configuration.
#[derive(Debug)]
pub struct Tags {
    schema: Arc<Schema>,
    /// By tag id; empty when every rule is plain.
    rule_of: Box<[u32]>,
    rules: Box<[Rule]>,
    /// By the device's place in the schema; `None` for one that is not polled any more.
    devices: Box<[Option<DevicePlace>]>,
    /// `None` while all tags are polled, in the order of their ids.
    live: Option<Live>,
}

/// The tags that are polled, where there are others.
#[derive(Debug)]
struct Live {
    schema: Arc<Schema>,
    /// Their ids, in the order of the configuration.
    ids: Box<[TagId]>,
}

/// Where a device is polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DevicePlace {
    /// The index of its line.
    pub line: u32,
    /// Its index on that line.
    pub device: u32,
}

impl DevicePlace {
    /// The line of what no device has: tags that are made of others.
    pub const DERIVED: u32 = u32::MAX;
}

impl Tags {
    /// The tags of `schema` with their rules in the order of their ids, and the places of its devices in their order.
    pub fn new(schema: Arc<Schema>, rules: impl IntoIterator<Item = Rule>, devices: Box<[DevicePlace]>) -> Tags {
        let mut distinct = vec![Rule::PLAIN];
        let rule_of = rules.into_iter().map(|rule| number_of(&rule, &mut distinct));
        let rule_of: Box<[u32]> = rule_of.collect();
        let rule_of = if distinct.len() == 1 { Box::default() } else { rule_of };
        let devices = devices.into_iter().map(Some).collect();
        Tags { schema, rule_of, rules: distinct.into(), devices, live: None }
    }

    /// How many ids there are, those of tags that are polled no more included.
    pub fn len(&self) -> usize {
        self.schema.tags()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The names of all tags, also of those that are polled no more: what blocks are understood by.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// The names of the tags that are polled, in the order of the configuration; ids do not count in it.
    pub fn live_schema(&self) -> &Arc<Schema> {
        self.live.as_ref().map_or(&self.schema, |live| &live.schema)
    }

    /// Whether a tag is polled, or made of others.
    pub fn is_live(&self, tag: TagId) -> bool {
        self.live.as_ref().map_or(tag.index() < self.len(), |live| live.ids.contains(&tag))
    }

    /// How many tags are polled.
    pub fn live_len(&self) -> usize {
        self.live.as_ref().map_or(self.len(), |live| live.ids.len())
    }

    /// The tags that are polled, in the order of the configuration.
    pub fn live(&self) -> impl Iterator<Item = TagId> + '_ {
        let count = if self.live.is_some() { 0 } else { self.len() };
        let listed = self.live.iter().flat_map(|live| live.ids.iter().copied());
        (0..count as u32).map(TagId).chain(listed)
    }

    /// What is done with the readings of a tag; `None` when they go on as they are.
    pub fn rule(&self, tag: TagId) -> Option<&Rule> {
        let number = *self.rule_of.get(tag.index())?;
        self.rules.get(number as usize).filter(|_| number > 0)
    }

    /// How much the readings of a tag are worth when space runs out.
    pub fn class(&self, tag: TagId) -> Class {
        self.rule(tag).map_or(Class::Normal, |rule| rule.class)
    }

    /// Whether all tags are of one class, the normal one.
    pub fn all_normal(&self) -> bool {
        self.rules.iter().all(|rule| rule.class == Class::Normal)
    }

    /// Whether all readings go on as they are.
    pub fn all_plain(&self) -> bool {
        self.rule_of.is_empty()
    }

    /// Whether some tag is reported on change only.
    pub fn reports_on_change(&self) -> bool {
        self.rules.iter().any(|rule| matches!(rule.report, Report::OnChange { .. }))
    }

    /// Where a tag is polled.
    pub fn place(&self, tag: TagId) -> Option<DevicePlace> {
        self.devices.get(self.schema.device_of(tag)? as usize).copied().flatten()
    }
}

/// Gathers the tags of a configuration in its order, and gives them their ids.
pub struct TagsBuilder<'a> {
    before: Option<Before<'a>>,
    /// The names in the order of this configuration.
    live: SchemaBuilder,
    ids: Vec<TagId>,
    /// Neighbours mostly have the same rule.
    rules: Vec<Rule>,
    /// By tag id: the index of its rule.
    rule_of: Vec<u32>,
    /// The devices of this configuration with their places.
    devices: Vec<(Box<str>, DevicePlace)>,
}

/// What ran before this configuration.
struct Before<'a> {
    schema: &'a Arc<Schema>,
    /// Device, tag and unit to id.
    ids: HashMap<TagKey<'a>, TagId>,
    /// The names behind those of the schema.
    added: Vec<(u32, Box<str>, Box<str>)>,
}

/// What a tag goes on under: the names of its device and itself, and its unit.
type TagKey<'a> = (&'a str, &'a str, &'a str);

impl<'a> TagsBuilder<'a> {
    /// For a configuration that takes the place of that of `before`; `None` where none ran.
    pub fn after(before: Option<&'a Tags>) -> TagsBuilder<'a> {
        let before = before.map(|tags| {
            let schema = tags.schema();
            let ids = (0..schema.tags() as u32).filter_map(|id| {
                let names = schema.tag(TagId(id))?;
                Some(((names.device, names.tag, names.unit), TagId(id)))
            });
            Before { schema, ids: ids.collect(), added: Vec::new() }
        });
        let plain = if before.is_some() { vec![Rule::PLAIN] } else { Vec::new() };
        let known = before.as_ref().map_or(0, |before| before.schema.tags());
        TagsBuilder {
            before,
            live: SchemaBuilder::default(),
            ids: Vec::new(),
            rules: plain,
            rule_of: vec![0; known],
            devices: Vec::new(),
        }
    }

    /// The tags that follow are this device's, which is polled there.
    pub fn device(&mut self, name: &str, place: DevicePlace) {
        self.live.device(name);
        self.devices.push((name.into(), place));
    }

    /// The next tag of the device that was named last; its id.
    pub fn tag(&mut self, name: &str, unit: &str, rule: Rule) -> TagId {
        let recent = self.rules.len().saturating_sub(RULES_SEARCHED_MAX);
        let known = self.rules[recent..].iter().rposition(|known| *known == rule).map(|index| recent + index);
        let number = known.unwrap_or_else(|| {
            self.rules.push(rule);
            self.rules.len() - 1
        });
        self.live.tag(name, unit);
        let device = self.devices.last().map_or("", |(device, _)| device);
        let id = match &mut self.before {
            None => self.rule_of.len(),
            Some(before) => match before.ids.get(&(device, name, unit)) {
                Some(id) => id.index(),
                None => {
                    before.added.push((self.devices.len() as u32 - 1, name.into(), unit.into()));
                    self.rule_of.len()
                }
            },
        };
        if id == self.rule_of.len() {
            self.rule_of.push(0);
        }
        self.rule_of[id] = number as u32;
        self.ids.push(TagId(id as u32));
        TagId(id as u32)
    }

    /// All of them.
    pub fn build(self) -> Tags {
        let TagsBuilder { before, live, ids, rules, rule_of, devices } = self;
        let rules = rule_of.iter().map(|number| rules[*number as usize]);
        let live = Arc::new(live.build());
        let Some(before) = before else {
            return Tags::new(live, rules, devices.into_iter().map(|(_, place)| place).collect());
        };
        let schema = before.schema_with_added(&devices);
        let places: HashMap<&str, DevicePlace> = devices.iter().map(|(name, place)| (&**name, *place)).collect();
        let place = |index| places.get(schema.device(index)?).copied();
        let devices = (0..schema.devices()).map(place).collect();
        let all_live = ids.len() == schema.tags() && ids.iter().enumerate().all(|(place, id)| place == id.index());
        let live = (!all_live).then(|| Live { schema: live, ids: ids.into() });
        Tags { devices, live, ..Tags::new(schema.clone(), rules, Box::default()) }
    }
}

impl Before<'_> {
    fn schema_with_added(&self, devices: &[(Box<str>, DevicePlace)]) -> Arc<Schema> {
        if self.added.is_empty() {
            return self.schema.clone();
        }
        let mut builder = SchemaBuilder::after(self.schema);
        let mut current = None;
        for (device, tag, unit) in &self.added {
            if current != Some(*device) {
                builder.device(&devices[*device as usize].0);
                current = Some(*device);
            }
            builder.tag(tag, unit);
        }
        Arc::new(builder.build())
    }
}

/// The number of a rule among those that are known; a new one is added.
fn number_of(rule: &Rule, known: &mut Vec<Rule>) -> u32 {
    if *rule == Rule::PLAIN {
        return 0;
    }
    let from = known.len().saturating_sub(RULES_SEARCHED_MAX).max(1);
    let found = known[from..].iter().rposition(|other| other == rule).map(|index| from + index);
    let number = found.unwrap_or_else(|| {
        known.push(*rule);
        known.len() - 1
    });
    number as u32
}

#[cfg(test)]
mod tests {
    use driver_core::Scale;

    use super::super::schema::SchemaBuilder;
    use super::*;

    impl Tags {
        /// One device `device` with the tags `t0`, `t1`, … that have these rules.
        pub(crate) fn of_rules(rules: &[Rule]) -> Tags {
            let mut schema = SchemaBuilder::default();
            schema.device("device");
            (0..rules.len()).for_each(|index| schema.tag(&format!("t{index}"), ""));
            let place = DevicePlace { line: 0, device: 0 };
            Tags::new(Arc::new(schema.build()), rules.iter().copied(), [place].into())
        }
    }

    #[test]
    fn tags_share_their_rules() {
        let tenth = Rule { scale: Scale::new(0.1, 0.0), ..Rule::PLAIN };
        let tags = Tags::of_rules(&[Rule::PLAIN, tenth, tenth]);
        assert_eq!(tags.rule(TagId(0)), None);
        assert_eq!(tags.rule(TagId(1)), Some(&tenth));
        assert_eq!(tags.rule(TagId(2)), Some(&tenth));
        assert_eq!(tags.rule(TagId(3)), None);
        assert_eq!(tags.rules.len(), 2);
        assert!(!tags.all_plain() && !tags.reports_on_change());
        assert!(Tags::of_rules(&[Rule::PLAIN; 9]).all_plain());
    }

    /// Tags of a configuration `(device, [(tag, unit)])` after another one, and their ids.
    fn after(before: Option<&Tags>, devices: &[(&str, &[(&str, &str)])]) -> (Tags, Vec<u32>) {
        let mut builder = TagsBuilder::after(before);
        let mut ids = Vec::new();
        for (index, (device, tags)) in devices.iter().enumerate() {
            builder.device(device, DevicePlace { line: index as u32, device: 0 });
            ids.extend(tags.iter().map(|(tag, unit)| builder.tag(tag, unit, Rule::PLAIN).0));
        }
        (builder.build(), ids)
    }

    #[test]
    fn tags_keep_their_ids_and_no_id_changes_its_name() {
        let (first, ids) = after(None, &[("press", &[("a", ""), ("b", "m")]), ("mixer", &[("a", "")])]);
        assert_eq!(ids, [0, 1, 2]);
        let devices: &[(&str, &[(&str, &str)])] =
            &[("mixer", &[("a", ""), ("new", "")]), ("press", &[("b", "mm"), ("a", "")])];
        let (second, ids) = after(Some(&first), devices);
        assert_eq!(ids, [2, 3, 4, 0]);
        (0..3).for_each(|id| assert_eq!(first.schema().tag(TagId(id)), second.schema().tag(TagId(id))));
        assert_eq!(second.schema().tag(TagId(4)).map(|names| (names.device, names.unit)), Some(("press", "mm")));
        assert_eq!(second.live().map(|tag| tag.0).collect::<Vec<_>>(), ids);
        assert_eq!(second.live_schema().tag(TagId(0)).map(|names| (names.device, names.tag)), Some(("mixer", "a")));
        assert_eq!(second.place(TagId(0)), Some(DevicePlace { line: 1, device: 0 }));
        let (third, ids) = after(Some(&second), &[("press", &[("b", "m")])]);
        assert_eq!(ids, [1]);
        assert_eq!((third.len(), third.live_len(), third.place(TagId(2))), (5, 1, None));
        assert!(Arc::ptr_eq(third.schema(), second.schema()));
        let (same, _) = after(Some(&first), &[("press", &[("a", ""), ("b", "m")]), ("mixer", &[("a", "")])]);
        assert!(Arc::ptr_eq(same.live_schema(), first.schema()));
    }

    #[test]
    fn a_tag_is_polled_where_its_device_is() {
        let tags = Tags::of_rules(&[Rule::PLAIN]);
        assert_eq!(tags.place(TagId(0)), Some(DevicePlace { line: 0, device: 0 }));
        assert_eq!(tags.place(TagId(1)), None);
    }
}
