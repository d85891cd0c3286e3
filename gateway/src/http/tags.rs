//! Which tags a request means.

use driver_core::{TagId, glob};
use serde_json::{Value, json};

use super::query::Query;
use crate::pipeline::command::Target;
use crate::pipeline::schema::TagNames;
use crate::pipeline::tags::{DevicePlace, Tags};
use crate::pipeline::vitals::Vitals;

/// Tags of one request, at most.
pub(super) const TAGS_MAX: usize = 1000;

/// Tags of one request where it does not say how many.
const TAGS_USUAL: usize = 200;

/// The longest pattern, bytes: looking is as costly as the pattern is long.
const PATTERN_BYTES_MAX: usize = 200;

/// The most patterns.
const PATTERNS_MAX: usize = 16;

/// A tag's names, and what a command may write to it.
pub(super) fn named(vitals: &Vitals, tag: TagId) -> Option<Value> {
    let names = vitals.tags.schema().tag(tag)?;
    let target = Target { device: names.device.into(), tag: names.tag.into() };
    let writable = vitals.writables.find(&target).and_then(|number| vitals.writables.list().get(number));
    let write = writable.map(|writable| {
        json!({
            "role": writable.rule.role.name(),
            "kind": if writable.place.line == DevicePlace::DERIVED { "alarm" } else { "value" },
            "type": writable.form.data_type.to_string(),
            "min": writable.rule.min,
            "max": writable.rule.max,
            "step": writable.rule.step,
        })
    });
    Some(json!({ "device": names.device, "tag": names.tag, "unit": names.unit, "write": write }))
}

/// Patterns for the names of tags, such as `press.*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Patterns(Vec<String>);

/// Tags that were chosen.
pub(super) struct Chosen {
    /// The first of those that are meant.
    pub(super) tags: Vec<TagId>,
    /// How many are meant.
    pub(super) meant: usize,
}

impl Patterns {
    /// Those that stand behind `match`; without any every tag is meant.
    pub(super) fn of(query: &Query) -> Result<Patterns, String> {
        let patterns: Vec<String> = query.all("match").filter(|text| !text.is_empty()).map(str::to_owned).collect();
        if patterns.len() > PATTERNS_MAX || patterns.iter().any(|text| text.len() > PATTERN_BYTES_MAX) {
            return Err(format!("at most {PATTERNS_MAX} patterns of {PATTERN_BYTES_MAX} bytes are taken"));
        }
        Ok(Patterns(patterns))
    }

    /// Whether a tag is meant.
    pub(super) fn mean(&self, names: &TagNames<'_>) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let name = format!("{}.{}", names.device, names.tag);
        self.0.iter().any(|pattern| glob::matches(pattern, &name))
    }

    /// The tags of this configuration that are meant, as many as `limit` says.
    pub(super) fn choose(&self, tags: &Tags, limit: usize) -> Chosen {
        let schema = tags.schema();
        let mut chosen = Chosen { tags: Vec::new(), meant: 0 };
        for tag in tags.live() {
            if schema.tag(tag).is_some_and(|names| self.mean(&names)) {
                chosen.meant += 1;
                if chosen.tags.len() < limit {
                    chosen.tags.push(tag);
                }
            }
        }
        chosen
    }
}

/// How many tags a request wants.
pub(super) fn limit(query: &Query) -> Result<usize, String> {
    query.number("limit", TAGS_USUAL, TAGS_MAX)
}
