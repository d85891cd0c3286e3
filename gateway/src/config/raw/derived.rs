//! What is made of other tags, and alarms, as written.

use std::time::Duration;

use super::DAY;
use crate::config::fields::Fields;
use crate::config::form::{Allowed, Interval, Number, OneOf, Section, Text};
use crate::config::source::Spanned;
use crate::pipeline::derive::window::Take;

/// What may stand in the place of an address, and an alarm.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::config) struct RawDerived<'t> {
    pub(in crate::config) calc: Option<Spanned<&'t str>>,
    pub(in crate::config) window: Option<Spanned<RawWindow<'t>>>,
    pub(in crate::config) total: Option<Spanned<RawTotal<'t>>>,
    pub(in crate::config) alarm: Option<Spanned<RawAlarm>>,
}

/// What stands behind `window:`.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct RawWindow<'t> {
    pub(in crate::config) of: Option<Spanned<&'t str>>,
    pub(in crate::config) over: Option<Spanned<Duration>>,
    pub(in crate::config) take: Take,
}

/// What stands behind `total:`.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct RawTotal<'t> {
    pub(in crate::config) of: Option<Spanned<&'t str>>,
    pub(in crate::config) per: Option<Spanned<Duration>>,
}

/// What stands behind `alarm:`.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct RawAlarm {
    pub(in crate::config) high: Option<Spanned<f64>>,
    pub(in crate::config) low: Option<Spanned<f64>>,
    pub(in crate::config) hysteresis: f64,
    pub(in crate::config) hold: Duration,
}

impl RawDerived<'_> {
    /// Where it says that the tag is made of others.
    pub(in crate::config) fn made(&self) -> Vec<(&'static str, crate::config::source::Span)> {
        let made = [
            ("calc", self.calc.map(|calc| calc.span)),
            ("window", self.window.map(|window| window.span)),
            ("total", self.total.map(|total| total.span)),
        ];
        made.into_iter().filter_map(|(key, span)| Some((key, span?))).collect()
    }

    /// Key by key, what the first of both says.
    pub(in crate::config) fn or(self, other: Self) -> Self {
        RawDerived {
            calc: self.calc.or(other.calc),
            window: self.window.or(other.window),
            total: self.total.or(other.total),
            alarm: self.alarm.or(other.alarm),
        }
    }
}

const TAG: Text = Text { example: "press.current" };

/// Takes the keys of a tag that derive it from others.
pub(super) fn derived<'t>(fields: &mut Fields<'_, 't>) -> RawDerived<'t> {
    RawDerived {
        calc: fields.optional(
            "calc",
            "Instead of an address: made of other tags each time that one of them was polled.",
            &Text { example: "press.current * meter1.volts" },
        ),
        window: fields.optional(
            "window",
            "Instead of an address: one value for all readings of another tag in a stretch of time.",
            &Section { name: "window", read: window },
        ),
        total: fields.optional(
            "total",
            "Instead of an address: the sum of another tag for ever, also across restarts.",
            &Section { name: "total", read: total },
        ),
        alarm: fields.optional(
            "alarm",
            "Tells in a tag of its own, NAME.alarm, when the tag leaves its limits; without limits, when it is true.",
            &Section { name: "alarm", read: alarm },
        ),
    }
}

fn window<'t>(fields: &mut Fields<'_, 't>) -> RawWindow<'t> {
    RawWindow {
        of: fields.required("of", "The tag whose readings are gathered.", &TAG),
        over: fields.required("over", "How long a stretch is.", &LONG),
        take: fields.default("take", "What is told of it.", &TAKE, "mean"),
    }
}

fn total<'t>(fields: &mut Fields<'_, 't>) -> RawTotal<'t> {
    RawTotal {
        of: fields.required("of", "The tag that is summed.", &TAG),
        per: fields.optional(
            "per",
            "The tag is a rate in this time, such as 1h for m³/h; without it, a counter.",
            &LONG,
        ),
    }
}

fn alarm(fields: &mut Fields<'_, '_>) -> RawAlarm {
    RawAlarm {
        high: fields.optional("high", "Above this it is too high.", &Number(Allowed::Any)),
        low: fields.optional("low", "Below this it is too low.", &Number(Allowed::Any)),
        hysteresis: fields.default(
            "hysteresis",
            "How far it has to come back from a limit, in the unit of the tag.",
            &Number(Allowed::NotNegative),
            "0",
        ),
        hold: fields.default("hold", "How long it has to be beyond a limit.", &HOLD, "0s"),
    }
}

const LONG: Interval = Interval { min: Duration::from_millis(100), max: DAY.saturating_mul(40) };

const HOLD: Interval = Interval { min: Duration::ZERO, max: DAY };

const TAKE: OneOf<Take> = OneOf(&[
    ("mean", Take::Mean, "the mean of its numbers"),
    ("min", Take::Min, "the smallest number"),
    ("max", Take::Max, "the largest number"),
    ("last", Take::Last, "the last value"),
]);
