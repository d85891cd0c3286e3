//! What is done with the readings of a tag.

use buffer::Class;
use driver_core::Scale;

use crate::config::fault::Faults;
use crate::config::form::Either;
use crate::config::raw::{RawReport, TagSettings};
use crate::pipeline::process::{Deadband, Report, Rule};

/// The rule that a tag's settings add up to; the class may be inherited.
pub(super) fn rule(settings: &TagSettings<'_>, class: Class, faults: &mut Faults) -> Rule {
    Rule { scale: scale(settings, faults), report: report(settings, faults), class }
}

fn scale(settings: &TagSettings<'_>, faults: &mut Faults) -> Option<Scale> {
    let (factor, offset) = (settings.scale, settings.offset);
    let written = factor.or(offset)?;
    let scale = Scale::new(factor.map_or(1.0, |factor| factor.value), offset.map_or(0.0, |offset| offset.value));
    if scale.is_none() {
        faults.error(written.span, "with this scale all values are the same", "write a factor that is not 0");
    }
    scale
}

fn report(settings: &TagSettings<'_>, faults: &mut Faults) -> Report {
    let TagSettings { report, deadband, heartbeat, .. } = settings;
    if let Some(door) = report.filter(|report| report.value == RawReport::SwingingDoor) {
        let Some(Either::First(width)) = deadband.map(|deadband| deadband.value).filter(is_wide) else {
            let message = "a swinging door needs the width of its lines";
            faults.error(door.span, message, "write a `deadband` above 0 in the unit of the tag, such as 0.1");
            return Report::Always;
        };
        return Report::SwingingDoor { width, heartbeat: heartbeat.map(|heartbeat| heartbeat.value) };
    }
    let on_change = match report.map(|report| report.value) {
        Some(RawReport::OnChange) => true,
        Some(RawReport::Always | RawReport::SwingingDoor) => false,
        None => deadband.is_some(),
    };
    if on_change {
        let deadband = match deadband.map(|deadband| deadband.value) {
            None => Deadband::None,
            Some(Either::First(width)) => Deadband::Absolute(width),
            Some(Either::Second(percent)) => Deadband::Percent(percent),
        };
        return Report::OnChange { deadband, heartbeat: heartbeat.map(|heartbeat| heartbeat.value) };
    }
    if let Some(deadband) = deadband {
        let message = "a deadband holds readings back, and `report: always` lets all go on";
        faults.error(deadband.span, message, "remove one of the two");
    } else if let Some(heartbeat) = heartbeat {
        let message = "a heartbeat is for tags that are reported on change";
        faults.error(heartbeat.span, message, "add `report: on-change` or a `deadband`, or remove it");
    }
    Report::Always
}

fn is_wide(deadband: &Either<f64, f64>) -> bool {
    matches!(deadband, Either::First(width) if *width > 0.0)
}
