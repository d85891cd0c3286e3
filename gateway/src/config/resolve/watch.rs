//! How a device that tells by itself is to watch its tags.
//!
//! A deadband is kept by the gateway in any case. Where nobody else needs the small changes, the device may hold them back
//! too, and they cross no network: a tag that commands, alarms, interlocks or other tags look at, and one with a heartbeat,
//! is told whole.

use driver_core::WatchSpec;

use super::inherit::InheritedTag;
use crate::config::raw::{RawConfig, RawSettings};
use crate::pipeline::process::{Deadband, Report, Rule};

/// All texts of the file that name tags. Whether a tag is named is asked for its name alone: once too often does no harm.
pub(super) struct Mentions(String);

impl Mentions {
    pub(super) fn of(raw: &RawConfig<'_>) -> Mentions {
        let devices = raw.devices.iter().map(|device| &device.value.settings);
        let templates = raw.templates.iter().map(|template| &template.value);
        let mut text = String::new();
        devices.chain(templates).for_each(|settings| add(settings, &mut text));
        Mentions(text)
    }

    /// What is another of a tag with this index; `None` where it is watched as all others.
    pub(super) fn watch(&self, tag: &InheritedTag<'_>, rule: &Rule, index: usize) -> Option<WatchSpec> {
        let watch = WatchSpec {
            tag: index,
            sampling: tag.settings.sampling.map(|sampling| sampling.value),
            queue: tag.settings.queue.map(|queue| queue.value.into()),
            deadband: self.deadband(tag, rule),
        };
        (watch != WatchSpec { tag: index, ..WatchSpec::default() }).then_some(watch)
    }

    fn deadband(&self, tag: &InheritedTag<'_>, rule: &Rule) -> Option<f64> {
        let Report::OnChange { deadband: Deadband::Absolute(width), heartbeat: None } = rule.report else {
            return None;
        };
        let is_watched_here = tag.settings.write.is_some() || tag.derived.alarm.is_some() || self.0.contains(tag.name);
        let factor = tag.settings.scale.map_or(1.0, |scale| scale.value.abs());
        (width > 0.0 && !is_watched_here).then_some(width / factor)
    }
}

fn add(settings: &RawSettings<'_>, text: &mut String) {
    for tag in &settings.tags {
        let derived = tag.value.derived.as_deref();
        let calc = derived.and_then(|derived| derived.calc).map(|calc| calc.value);
        let window = derived.and_then(|derived| derived.window?.value.of).map(|of| of.value);
        let total = derived.and_then(|derived| derived.total?.value.of).map(|of| of.value);
        let write = tag.value.settings.as_deref().and_then(|settings| settings.write);
        let only_if = write.and_then(|write| write.value.only_if).map(|only_if| only_if.value);
        for named in [calc, window, total, only_if].into_iter().flatten() {
            text.push_str(named);
            text.push('\n');
        }
    }
}
