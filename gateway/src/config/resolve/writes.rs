//! What commands may write, checked against what the tags are.

use std::collections::HashMap;
use std::time::Duration;

use driver_core::{DataType, Line, Scale, TagId, TagText};

use super::place::part_of;
use crate::config::checked::LineConfig;
use crate::config::form::Context;
use crate::config::near::nearest;
use crate::config::raw::{RawLinkLoss, RawWrite};
use crate::config::source::{Source, Spanned};
use crate::pipeline::command::fit::fit;
use crate::pipeline::command::rule::{Interlock, LinkLossRule, TagForm, Writable, WriteRule};
use crate::pipeline::command::{Target, Wanted};
use crate::pipeline::expression::{self, Kind, Wrong};
use crate::pipeline::tags::{DevicePlace, Tags};

/// A reading is fresh for so many intervals of its tag, …
const FRESH_INTERVALS: u32 = 3;

/// … and at least for so long.
const FRESH_MIN: Duration = Duration::from_secs(1);

/// A tag with `write:`.
pub(super) struct PendingWrite<'t> {
    pub(super) tag: TagId,
    pub(super) scale: Option<Scale>,
    pub(super) write: Spanned<RawWrite<'t>>,
}

/// All tags as they were resolved.
pub(super) struct Plant<'a> {
    pub(super) tags: &'a Tags,
    pub(super) configs: &'a [LineConfig],
    /// By line; `None` for one that its driver refused, which was told.
    pub(super) planned: &'a [Option<Box<dyn Line>>],
}

/// Whether readings go anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum North {
    /// There is an uplink.
    There,
    /// There is none, so that its loss means nothing.
    Missing,
}

/// What commands may write.
pub(super) fn writables(
    pending: &[PendingWrite<'_>],
    plant: &Plant<'_>,
    north: North,
    source: &Source,
    context: &mut Context<'_>,
) -> Vec<Writable> {
    let names =
        if pending.iter().any(|one| one.write.value.only_if.is_some()) { plant.names() } else { HashMap::new() };
    let found = pending.iter().filter_map(|one| {
        let place = plant.tags.place(one.tag)?;
        let names_of_tag = plant.tags.schema().tag(one.tag)?;
        let (device, tag) = (names_of_tag.device, names_of_tag.tag);
        let only_if = one.write.value.only_if;
        let only_if = only_if.map(|text| interlock(text, device, &names, plant, source, context));
        let text = plant.text(one.tag, place)?;
        if !text.writable {
            let message = format!("the protocol can only read `{}`", text.canonical);
            context.faults.error(one.write.span, message, "remove `write`, or take an address that can be written");
            return None;
        }
        let form = TagForm { data_type: text.data_type, elements: text.elements, scale: one.scale };
        let rule = WriteRule { only_if: only_if.flatten(), ..rule(one, &form, north, context)? };
        let target = Target { device: device.into(), tag: tag.into() };
        Some(Writable { tag: one.tag, target, place, form, rule })
    });
    found.collect()
}

/// How old a reading may be of a tag that is polled so often.
pub(super) fn fresh_for(every: Duration) -> Duration {
    every.saturating_mul(FRESH_INTERVALS).max(FRESH_MIN)
}

/// All but the interlock.
fn rule(one: &PendingWrite<'_>, form: &TagForm, north: North, context: &mut Context<'_>) -> Option<WriteRule> {
    let RawWrite { min, max, step, role, rate, expires, verify, on_link_loss, .. } = one.write.value;
    let bound = min.or(max).or(step);
    if let Some(bound) = bound.filter(|_| !has_order(form.data_type)) {
        let message = format!("`min`, `max` and `step` are for numbers; the tag is a {}", form.data_type);
        context.faults.error(bound.span, message, "remove them");
        return None;
    }
    if let (Some(min), Some(max)) = (min, max)
        && min.value > max.value
    {
        let message = format!("`min` is {}, which is more than `max`", min.value);
        context.faults.error(min.span, message, "write the smaller one as `min`");
        return None;
    }
    let value = |number: Option<Spanned<f64>>| number.map(|number| number.value);
    let rule = WriteRule {
        min: value(min),
        max: value(max),
        step: value(step),
        role,
        rate,
        expires,
        verify,
        only_if: None,
        on_link_loss: None,
    };
    let on_link_loss = on_link_loss.map(|link_loss| defined_output(link_loss, form, &rule, north, context));
    Some(WriteRule { on_link_loss: on_link_loss.flatten(), ..rule })
}

fn has_order(data_type: DataType) -> bool {
    use DataType::{Bool, Char, String, Wchar, Wstring};
    !matches!(data_type, Bool | Char | Wchar | String(_) | Wstring(_))
}

fn defined_output(
    link_loss: Spanned<RawLinkLoss<'_>>,
    form: &TagForm,
    rule: &WriteRule,
    north: North,
    context: &mut Context<'_>,
) -> Option<LinkLossRule> {
    let RawLinkLoss { value, after } = link_loss.value;
    if north == North::Missing {
        let message = "there is no uplink whose loss could be noticed";
        context.faults.error(link_loss.span, message, "write one under `uplinks`, or remove `on_link_loss`");
    }
    let value = value?;
    match fit(&Wanted::Text(value.value.into()), form, rule) {
        Ok(fitted) => Some(LinkLossRule { value: fitted.value, after }),
        Err((_, cause)) => {
            context.faults.error(value.span, cause, "write a value that a command could write");
            None
        }
    }
}

fn interlock(
    text: Spanned<&str>,
    device: &str,
    names: &HashMap<Target, TagId>,
    plant: &Plant<'_>,
    source: &Source,
    context: &mut Context<'_>,
) -> Option<Interlock> {
    let mut resolve = |parts: &[&str]| resolve(parts, device, names, plant);
    let condition = match expression::parse(text.value, &mut resolve) {
        Ok(condition) if matches!(condition.kind(), Kind::Bool | Kind::Any) => condition,
        Ok(condition) => {
            let message = format!("the condition gives {}", condition.kind().name());
            context.faults.error(text.span, message, "write one that is true or false, such as `mode == 2`");
            return None;
        }
        Err(Wrong { at, message, help }) => {
            context.faults.error(part_of(source, text, at), message, help);
            return None;
        }
    };
    let fresh = condition.operands().iter().map(|tag| fresh_for(plant.every(*tag)));
    Some(Interlock { fresh_for: fresh.collect(), condition })
}

/// `tag` is of the same device, `device.tag` of any; names may hold dots themselves.
pub(super) fn resolve(
    parts: &[&str],
    device: &str,
    names: &HashMap<Target, TagId>,
    plant: &Plant<'_>,
) -> Result<(TagId, Kind), (String, String)> {
    let target = |device: &str, tag: &str| Target { device: device.into(), tag: tag.into() };
    let whole = parts.join(".");
    let splits = (1..parts.len()).map(|at| target(&parts[..at].join("."), &parts[at..].join(".")));
    let found = splits.chain([target(device, &whole)]).find_map(|name| names.get(&name).copied());
    let Some(tag) = found else {
        let mut known: Vec<String> = names.keys().map(Target::to_string).collect();
        known.sort_unstable();
        let own = if parts.len() == 1 { format!("{device}.{whole}") } else { whole.clone() };
        let help = match nearest(&own, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "write a tag of this device, or DEVICE.TAG".into(),
        };
        return Err((format!("there is no tag `{own}`"), help));
    };
    let text = plant.tags.place(tag).and_then(|place| plant.text(tag, place));
    let kind = text.map_or(Some(Kind::Any), |text| Kind::of(text.data_type, text.elements));
    kind.map(|kind| (tag, kind))
        .ok_or_else(|| (format!("`{whole}` is an array"), "take a tag that is one value".into()))
}

impl Plant<'_> {
    pub(super) fn names(&self) -> HashMap<Target, TagId> {
        let schema = self.tags.schema();
        let named = self.tags.live().filter_map(|tag| {
            let names = schema.tag(tag)?;
            Some((Target { device: names.device.into(), tag: names.tag.into() }, tag))
        });
        named.collect()
    }

    /// A tag's place among those of its device.
    fn index(&self, tag: TagId, place: DevicePlace) -> Option<usize> {
        let device = self.configs.get(place.line as usize)?.spec.devices.get(place.device as usize)?;
        device.tags.iter().position(|spec| spec.id == tag)
    }

    /// What its driver says of a tag; `None` when the driver refused the line.
    fn text(&self, tag: TagId, place: DevicePlace) -> Option<TagText> {
        let line = self.planned.get(place.line as usize)?.as_ref()?;
        Some(line.tag_text(place.device as usize, self.index(tag, place)?))
    }

    /// What a tag of a device gives; `None` when its driver refused the line, and for what no device has.
    pub(super) fn kind(&self, tag: TagId) -> Option<Kind> {
        let text = self.text(tag, self.tags.place(tag)?)?;
        Kind::of(text.data_type, text.elements)
    }

    /// How often a tag is polled.
    pub(super) fn every(&self, tag: TagId) -> Duration {
        let every = || {
            let place = self.tags.place(tag)?;
            let device = self.configs.get(place.line as usize)?.spec.devices.get(place.device as usize)?;
            let spec = device.tags.get(self.index(tag, place)?)?;
            device.groups.get(spec.group.index()).copied()
        };
        every().unwrap_or(FRESH_MIN)
    }
}
