//! The table of all tags: what each is called, which device it belongs to, and what is done with its readings.
//!
//! Rules are few and tags are many, so that a tag holds the number of its rule and no more.

use std::sync::Arc;

use buffer::Class;
use driver_core::TagId;

use super::process::{Report, Rule};
use super::schema::Schema;

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
    /// By the device's place in the configuration.
    devices: Box<[DevicePlace]>,
}

/// Where a device is polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DevicePlace {
    /// The index of its line.
    pub line: u32,
    /// Its index on that line.
    pub device: u32,
}

impl Tags {
    /// The tags of `schema` with their rules in the order of their ids, and the places of its devices in their order.
    pub fn new(schema: Arc<Schema>, rules: impl IntoIterator<Item = Rule>, devices: Box<[DevicePlace]>) -> Tags {
        let mut distinct = vec![Rule::PLAIN];
        let rule_of = rules.into_iter().map(|rule| number_of(&rule, &mut distinct));
        let rule_of: Box<[u32]> = rule_of.collect();
        let rule_of = if distinct.len() == 1 { Box::default() } else { rule_of };
        Tags { schema, rule_of, rules: distinct.into(), devices }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.schema.tags()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The names of all tags.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
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
        self.rules.iter().any(|rule| rule.report != Report::Always)
    }

    /// Where a tag is polled.
    pub fn place(&self, tag: TagId) -> Option<DevicePlace> {
        self.devices.get(self.schema.tag(tag)?.device_index).copied()
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

    #[test]
    fn a_tag_is_polled_where_its_device_is() {
        let tags = Tags::of_rules(&[Rule::PLAIN]);
        assert_eq!(tags.place(TagId(0)), Some(DevicePlace { line: 0, device: 0 }));
        assert_eq!(tags.place(TagId(1)), None);
    }
}
