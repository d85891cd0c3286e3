//! From what was written to what is done: everything inherited, every reference followed, every part checked by the driver
//! or uplink that it is for.

mod bus;
mod derived;
mod expect;
mod inherit;
mod lines;
mod place;
mod rule;
mod structure;
mod uplinks;
mod watch;
mod writes;

use std::sync::Arc;

use driver_core::Line;

use super::checked::Config;
use super::form::Context;
use super::raw::RawConfig;
use super::source::{Source, Span};
use crate::pipeline::command::rule::Writables;
use crate::pipeline::findings::Findings;
use crate::pipeline::tags::Tags;
use derived::{Derived, derived};
use writes::{North, Plant, writables};

/// The most tags that all devices together may have.
const TAGS_MAX: usize = 1_000_000;

/// The most ids that tags may have had since the start.
const IDS_MAX: usize = 4 * TAGS_MAX;

/// The configuration with its planned lines. Where a part is missing, its fault has been told; the result is then of use
/// for nothing but finding more of them.
pub(super) fn resolve<'t>(
    mut raw: RawConfig<'t>,
    source: &Source,
    known: (Option<&Tags>, &'t Findings),
    context: &mut Context<'_>,
) -> (Config, Vec<Box<dyn Line>>) {
    let gateway = raw.gateway.map(|gateway| gateway.value).unwrap_or_default();
    let buses = bus::buses(&raw, source, context);
    let lines = lines::lines(&mut raw, buses, known, source, context);
    if lines.tags.len() > IDS_MAX {
        let message = format!("{} tags have come and gone since the gateway was started; it takes no more", IDS_MAX);
        context.faults.error(Span::default(), message, "restart the gateway with this file");
    }
    if lines.configs.is_empty() && context.faults.errors() == 0 {
        let help = "write a device with its `url` and its `tags`";
        context.faults.error(raw.devices_span, "there is nothing to poll", help);
    }
    let uplinks = uplinks::uplinks(gateway, &raw.uplinks, raw.buffer.drain, source, context);
    if raw.uplinks.is_empty() {
        let span = raw.gateway.map_or(Span::default(), |gateway| gateway.span);
        let help = "write where they go under `uplinks`, unless they are to stay here";
        context.faults.warning(span, "there is no uplink: readings go into the buffer and no further", help);
    }
    let plant = Plant { tags: &lines.tags, configs: &lines.configs, planned: &lines.planned };
    let north = if raw.uplinks.is_empty() { North::Missing } else { North::There };
    let mut writables = writables(&lines.writes, &plant, north, source, context);
    let Derived { plan, types, writables: alarms } = derived(&lines.derived, &plant, source, context);
    writables.extend(alarms);
    let config = Config {
        gateway: gateway.into(),
        tags: Arc::new(lines.tags),
        lines: lines.configs,
        uplinks,
        buffer: raw.buffer,
        writables: Arc::new(Writables::new(writables)),
        derived: Arc::new(plan),
        derived_types: types.into(),
        structures: lines.structures.into(),
        commands: raw.commands,
        scheduling: raw.scheduling,
        recorder: raw.recorder,
        http: raw.http,
        log: raw.log,
    };
    (config, lines.planned.into_iter().flatten().collect())
}
