//! What is another between two configurations, in words and as JSON. No I/O.

use std::collections::{HashMap, HashSet};
use std::fmt;

use driver_core::{LineSpec, TagId};
use serde_json::{Value, json};

use crate::config::UplinkConfig;
use crate::pipeline::command::rule::Writables;
use crate::pipeline::derive::Plan;
use crate::pipeline::tags::Tags;

/// How many names are told of each kind; the others are counted.
const NAMES_MAX: usize = 8;

/// A configuration, as far as it is compared.
pub(super) struct Part<'a> {
    pub(super) lines: Vec<(&'a str, &'a LineSpec)>,
    pub(super) tags: &'a Tags,
    pub(super) uplinks: &'a [UplinkConfig],
    pub(super) writables: &'a Writables,
    pub(super) derived: &'a Plan,
}

/// The difference between two configurations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diff {
    /// Devices that come.
    pub devices_added: Vec<Box<str>>,
    /// Devices that go.
    pub devices_removed: Vec<Box<str>>,
    /// Devices that are connected anew: they or another one of their line changed.
    pub devices_changed: Vec<Box<str>>,
    /// How many tags come; one with another unit is a new one.
    pub tags_added: usize,
    /// How many go.
    pub tags_removed: usize,
    /// How many of the others are scaled, filtered or classed otherwise.
    pub rules_changed: usize,
    /// Whether other tags are derived, or otherwise.
    pub derived_changed: bool,
    /// Whether commands may write other tags, or otherwise.
    pub writes_changed: bool,
    /// Uplinks that come.
    pub uplinks_added: Vec<Box<str>>,
    /// Uplinks that go: what waits for them waits no more.
    pub uplinks_removed: Vec<Box<str>>,
    /// Uplinks that are connected anew because they changed.
    pub uplinks_changed: Vec<Box<str>>,
}

impl Diff {
    pub(super) fn between(before: &Part<'_>, after: &Part<'_>) -> Diff {
        let lines: HashMap<&str, &LineSpec> = before.lines.iter().copied().collect();
        let device_names = |part: &Part<'_>| -> HashSet<Box<str>> {
            part.lines.iter().flat_map(|(_, spec)| spec.devices.iter().map(|device| device.name.clone())).collect()
        };
        let (known, known_after) = (device_names(before), device_names(after));
        let changed = after.lines.iter().filter(|(name, spec)| lines.get(name).is_none_or(|before| before != spec));
        let changed = changed.flat_map(|(_, spec)| &spec.devices).map(|device| device.name.clone());
        let changed = changed.filter(|name| known.contains(name));
        let (live, live_after): (HashSet<TagId>, HashSet<TagId>) =
            (before.tags.live().collect(), after.tags.live().collect());
        let go_on = live.intersection(&live_after);
        let same =
            |one: &UplinkConfig| before.uplinks.iter().find(|other| other.name == one.name).map(|other| other == one);
        let names = |uplinks: &[UplinkConfig], which: &dyn Fn(&UplinkConfig) -> bool| {
            uplinks.iter().filter(|uplink| which(uplink)).map(|uplink| uplink.name.clone()).collect::<Vec<_>>()
        };
        Diff {
            devices_added: sorted(known_after.difference(&known).cloned()),
            devices_removed: sorted(known.difference(&known_after).cloned()),
            devices_changed: sorted(changed),
            tags_added: live_after.difference(&live).count(),
            tags_removed: live.difference(&live_after).count(),
            rules_changed: go_on.filter(|tag| before.tags.rule(**tag) != after.tags.rule(**tag)).count(),
            derived_changed: before.derived != after.derived,
            writes_changed: before.writables != after.writables,
            uplinks_added: names(after.uplinks, &|uplink| same(uplink).is_none()),
            uplinks_removed: names(before.uplinks, &|uplink| !after.uplinks.iter().any(|one| one.name == uplink.name)),
            uplinks_changed: names(after.uplinks, &|uplink| same(uplink) == Some(false)),
        }
    }

    /// Whether nothing is another.
    pub fn is_empty(&self) -> bool {
        *self == Diff::default()
    }

    /// All of it.
    pub fn json(&self) -> Value {
        json!({
            "devices": { "added": self.devices_added, "removed": self.devices_removed, "changed": self.devices_changed },
            "tags": { "added": self.tags_added, "removed": self.tags_removed, "rules_changed": self.rules_changed },
            "derived_changed": self.derived_changed,
            "writes_changed": self.writes_changed,
            "uplinks": { "added": self.uplinks_added, "removed": self.uplinks_removed, "changed": self.uplinks_changed },
        })
    }
}

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lists = [
            ("devices added", &self.devices_added),
            ("devices removed", &self.devices_removed),
            ("devices changed", &self.devices_changed),
            ("uplinks added", &self.uplinks_added),
            ("uplinks removed", &self.uplinks_removed),
            ("uplinks changed", &self.uplinks_changed),
        ];
        let counts = [
            ("tags added", self.tags_added),
            ("tags removed", self.tags_removed),
            ("tags with another rule", self.rules_changed),
        ];
        let lists = lists.into_iter().filter(|(_, names)| !names.is_empty()).map(|(what, names)| listed(what, names));
        let counts = counts.into_iter().filter(|(_, count)| *count > 0).map(|(what, count)| format!("{what}: {count}"));
        let writes = self.writes_changed.then(|| "what commands may write".to_owned());
        let derived = self.derived_changed.then(|| "what is made of other tags".to_owned());
        let parts: Vec<String> = lists.chain(counts).chain(derived).chain(writes).collect();
        f.write_str(if parts.is_empty() { "nothing" } else { "" })?;
        f.write_str(&parts.join("; "))
    }
}

fn listed(what: &str, names: &[Box<str>]) -> String {
    let shown: Vec<&str> = names.iter().take(NAMES_MAX).map(|name| &**name).collect();
    let more = names.len().saturating_sub(NAMES_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{what}: {}{more}", shown.join(", "))
}

fn sorted(names: impl Iterator<Item = Box<str>>) -> Vec<Box<str>> {
    let mut names: Vec<Box<str>> = names.collect();
    names.sort_unstable();
    names
}
