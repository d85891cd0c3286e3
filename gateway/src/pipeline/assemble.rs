//! From the checked configuration to what the pipeline is started with.

use std::cell::Cell;
use std::collections::HashMap;
use std::iter;
use std::sync::Arc;
use std::time::{Duration, Instant};

use buffer::{Options, UplinkOptions};
use driver_core::{DeviceSpec, Line, LineSpec, Place, Reports, SpecError, TagId, TagSpec};
use tracing::warn;

use super::gateway::{BufferSetup, Next, NextLine, RunningSpec, Setup};
use super::health::LineHealth;
use super::latest::KEPT_FOR;
use super::learned::LearnedFolder;
use super::poll::{DeviceSetup, LineSetup, MakeLine};
use super::recorder::Recorders;
use super::schedule::{phase_key, share};
use super::types::types_of;
use crate::config::{BufferConfig, Config, LineConfig, UplinkConfig};
use crate::uplink::{TagType, format};

/// Tags whose last reading is kept though nobody looks, at the most: some hundred bytes each.
const RARE_MAX: usize = 16_384;

/// First connects follow one another this closely on average …
const STAGGER_PER_LINE: Duration = Duration::from_micros(250);

/// … and all have begun after this long, however many there are.
const STAGGER_MAX: Duration = Duration::from_secs(2);

/// What a gateway of this configuration is made of, with what was learned in earlier lives. `planned` are the lines as they
/// were planned when the configuration was checked.
pub fn setup(config: Config, mut planned: Vec<Box<dyn Line>>) -> Setup {
    let rare = rare(&config.lines, &mut planned);
    let learned = LearnedFolder::within(&config.buffer.path);
    let recorders = recorders(&config);
    let types = types(&config, &planned);
    let lines_count = u32::try_from(config.lines.len()).unwrap_or(u32::MAX);
    let spread = STAGGER_PER_LINE.saturating_mul(lines_count).min(STAGGER_MAX);
    let planned = planned.into_iter().map(Some).chain(iter::repeat_with(|| None));
    let lines = config.lines.into_iter().zip(planned);
    let lines = lines.map(|(line, planned)| line_setup(line, planned, spread, &learned));
    Setup {
        gateway: config.gateway,
        tags: config.tags,
        lines: lines.collect(),
        buffer: buffer_setup(config.buffer, config.uplinks.iter().map(uplink_options)),
        uplinks: config.uplinks,
        types,
        writables: config.writables,
        rare,
        derived: config.derived,
        commands: config.commands,
        scheduling: config.scheduling,
        reload: None,
        recorders,
    }
}

/// The tags whose next reading may be further away than the table of all last readings is kept: their interval is long, or
/// their device tells changes only.
fn rare(lines: &[LineConfig], planned: &mut [Box<dyn Line>]) -> Vec<TagId> {
    let mut rare = Vec::new();
    for (line, planned) in lines.iter().zip(planned) {
        planned.listen();
        for (at, device) in line.spec.devices.iter().enumerate() {
            let tells_changes = planned.reports(at) == Reports::Changes;
            let is_slow =
                |tag: &TagSpec<'_>| device.groups.get(tag.group.index()).is_some_and(|every| *every > KEPT_FOR);
            let found = device.tags.iter().filter(|tag| tells_changes || is_slow(tag)).map(|tag| tag.id);
            rare.extend(found.take(RARE_MAX - rare.len()));
        }
    }
    rare
}

/// A gateway that cannot record still polls.
fn recorders(config: &Config) -> Option<Arc<Recorders>> {
    match Recorders::within(&config.buffer.path, config.recorder) {
        Ok(recorders) => Some(Arc::new(recorders)),
        Err(cause) => {
            warn!("nothing is recorded of the lines: {cause}");
            None
        }
    }
}

/// What takes the place of what runs: lines of `running` that have the same name and the same specification go on, by their
/// place in it.
pub fn next(config: Config, mut planned: Vec<Box<dyn Line>>, running: &[RunningSpec]) -> Next {
    let rare = rare(&config.lines, &mut planned);
    let learned = LearnedFolder::within(&config.buffer.path);
    let types = types(&config, &planned);
    let by_name: HashMap<&str, usize> = running.iter().enumerate().map(|(at, (name, _))| (&**name, at)).collect();
    let new = config.lines.iter().filter(|line| !by_name.contains_key(&*line.name)).count();
    let spread = STAGGER_PER_LINE.saturating_mul(u32::try_from(new).unwrap_or(u32::MAX)).min(STAGGER_MAX);
    let lines = config.lines.into_iter().zip(planned).map(|(line, planned)| match by_name.get(&*line.name) {
        Some(at) if *running[*at].1 == line.spec => NextLine::Same(*at),
        // It takes the place of one that is there: at once.
        Some(_) => NextLine::New(Box::new(line_setup(line, Some(planned), Duration::ZERO, &learned))),
        None => NextLine::New(Box::new(line_setup(line, Some(planned), spread, &learned))),
    });
    Next {
        lines: lines.collect(),
        tags: config.tags,
        uplink_options: config.uplinks.iter().map(uplink_options).collect(),
        uplinks: config.uplinks,
        types,
        writables: config.writables,
        rare,
        derived: config.derived,
    }
}

fn types(config: &Config, planned: &[Box<dyn Line>]) -> Arc<[TagType]> {
    let announced = config.uplinks.iter().any(|uplink| format::announces_types(uplink.format.as_deref()));
    if announced {
        types_of(&config.tags, &config.lines, planned, &config.derived_types, &config.structures)
    } else {
        Arc::default()
    }
}

fn uplink_options(uplink: &UplinkConfig) -> UplinkOptions {
    UplinkOptions { name: uplink.name.to_string(), lag_max: uplink.lag_max }
}

fn buffer_setup(config: BufferConfig, uplinks: impl Iterator<Item = UplinkOptions>) -> BufferSetup {
    let options = Options {
        engine: config.engine,
        classes: config.classes,
        size_max_bytes: config.size_max_bytes,
        age_max: Some(config.age_max),
        free_min_bytes: config.free_min_bytes,
        ballast_bytes: config.ballast_bytes,
        when_full: config.when_full,
        ..Options::new(uplinks)
    };
    BufferSetup { path: config.path, options, sync: config.sync }
}

fn line_setup(
    line: LineConfig,
    planned: Option<Box<dyn Line>>,
    spread: Duration,
    learned: &LearnedFolder,
) -> LineSetup {
    let LineConfig { name, spec } = line;
    let spec = Arc::new(spec);
    let (mut devices, mut known) = (Vec::with_capacity(spec.devices.len()), spec.clone());
    for (index, device) in spec.devices.iter().enumerate() {
        let setup = DeviceSetup {
            name: device.name.clone(),
            address: address_of(spec.url.as_str(), device.unit),
            groups: groups_of(device),
        };
        if let Some(learned) = learned.load(&setup.name, &setup.address) {
            Arc::make_mut(&mut known).devices[index].learned = Some(learned);
        }
        devices.push(setup);
    }
    // A plan that was made without what is known by now is made again.
    let planned = planned.filter(|_| Arc::ptr_eq(&spec, &known));
    let health = Arc::new(LineHealth::new(devices.iter().map(|device| device.groups.len()), Instant::now()));
    LineSetup { health, stagger: share(spread, phase_key(&name)), devices, make: maker(known, planned), name, spec }
}

/// What was learned from one device holds for no other.
fn address_of(url: &str, unit: Option<u16>) -> Box<str> {
    match unit {
        Some(unit) => format!("{url} unit {unit}").into(),
        None => url.into(),
    }
}

fn groups_of(device: &DeviceSpec) -> Vec<(Duration, Box<[TagId]>)> {
    let mut groups: Vec<(Duration, Vec<TagId>)> = device.groups.iter().map(|every| (*every, Vec::new())).collect();
    for tag in device.tags.iter() {
        if let Some((_, tags)) = groups.get_mut(tag.group.index()) {
            tags.push(tag.id);
        }
    }
    groups.into_iter().map(|(every, tags)| (every, tags.into())).collect()
}

/// Gives the planned line once, and a new one each time after.
fn maker(spec: Arc<LineSpec>, planned: Option<Box<dyn Line>>) -> MakeLine {
    let planned = Cell::new(planned);
    Box::new(move || match (planned.take(), drivers::by_scheme(spec.url.scheme())) {
        (Some(line), _) => Ok(line),
        (None, Some(driver)) => driver.line(&spec),
        (None, None) => Err(vec![SpecError {
            place: Place::Url(0..spec.url.scheme().len()),
            message: format!("there is no driver for `{}` in this build", spec.url.scheme()),
        }]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use driver_core::{GroupId, TagSpec};

    #[test]
    fn each_group_knows_its_tags() {
        let tag = |id, group| TagSpec { id: TagId(id), address: "hr:0", group: GroupId(group) };
        let device = DeviceSpec {
            groups: vec![Duration::from_secs(1), Duration::from_secs(60)],
            tags: [tag(4, 1), tag(5, 0), tag(6, 1)].into_iter().collect(),
            ..DeviceSpec::default()
        };
        let groups = groups_of(&device);
        assert_eq!(groups[0], (Duration::from_secs(1), [TagId(5)].into()));
        assert_eq!(groups[1], (Duration::from_secs(60), [TagId(4), TagId(6)].into()));
    }

    #[test]
    fn only_lines_that_changed_begin_anew() {
        use crate::config::{Checked, Kinds, Source, check, check_after};
        let file = |every: &str, more: &str| {
            format!(
                "gateway: g\nevery: 1s\ndevices:\n  press:\n    url: modbus-tcp://10.0.0.1\n    every: {every}\n    \
                 tags: {{ a: hr:0 }}\n  mixer:\n    url: modbus-tcp://10.0.0.2\n    tags: {{ a: hr:0{more} }}\n"
            )
        };
        let first = check(Source::new("x", &file("1s", "")), Kinds::of_this_build()).expect("a configuration");
        let running: Vec<RunningSpec> =
            first.config.lines.iter().map(|line| (line.name.clone(), Arc::new(line.spec.clone()))).collect();
        for (text, expected) in [
            (file("1s", ""), vec![Some(0), Some(1)]),
            (file("2s", ""), vec![None, Some(1)]),
            (file("1s", ", b: hr:1"), vec![Some(0), None]),
        ] {
            let before = Some(&*first.config.tags);
            let checked = check_after(Source::new("x", &text), Kinds::of_this_build(), before, &Default::default());
            let Checked { config, lines, .. } = checked.expect("a configuration");
            let next = next(config, lines, &running);
            let same = next.lines.iter().map(|line| match line {
                NextLine::Same(at) => Some(*at),
                NextLine::New(_) => None,
            });
            assert_eq!(same.collect::<Vec<_>>(), expected, "{text}");
        }
    }

    #[test]
    fn what_was_learned_is_given_back_to_the_same_unit_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let learned = LearnedFolder::within(folder.path());
        let url = "modbus-tcp://10.0.0.11";
        learned.save("press", &address_of(url, Some(3)), "hr 7 is refused").expect("saves");
        let line = |unit| LineConfig {
            name: "press".into(),
            spec: LineSpec {
                url: url.parse().expect("a URL"),
                timeout: None,
                devices: vec![DeviceSpec { name: "press".into(), unit, ..DeviceSpec::default() }],
            },
        };
        let address = |unit| line_setup(line(unit), None, Duration::ZERO, &learned).devices[0].address.clone();
        assert_eq!(learned.load("press", &address(Some(3))).as_deref(), Some("hr 7 is refused"));
        assert_eq!(learned.load("press", &address(Some(4))), None);
        assert_eq!(learned.load("press", &address(None)), None);
    }
}
