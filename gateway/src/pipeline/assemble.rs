//! From the checked configuration to what the pipeline is started with.

use std::cell::Cell;
use std::iter;
use std::sync::Arc;
use std::time::Duration;

use buffer::{Options, UplinkOptions};
use driver_core::{DeviceSpec, Line, LineSpec, Place, SpecError, TagId};

use super::gateway::{BufferSetup, Setup};
use super::learned::LearnedFolder;
use super::poll::{DeviceSetup, LineSetup, MakeLine};
use super::schedule::{phase_key, share};
use super::types::types_of;
use crate::config::{BufferConfig, Config, LineConfig, UplinkConfig};
use crate::uplink::format;

/// First connects follow one another this closely on average …
const STAGGER_PER_LINE: Duration = Duration::from_micros(250);

/// … and all have begun after this long, however many there are.
const STAGGER_MAX: Duration = Duration::from_secs(2);

/// What a gateway of this configuration is made of, with what was learned in earlier lives. `planned` are the lines as they
/// were planned when the configuration was checked.
pub fn setup(config: Config, planned: Vec<Box<dyn Line>>) -> Setup {
    let learned = LearnedFolder::within(&config.buffer.path);
    let announced = config.uplinks.iter().any(|uplink| format::announces_types(uplink.format.as_deref()));
    let types = if announced { types_of(&config.tags, &config.lines, &planned) } else { Arc::default() };
    let lines_count = u32::try_from(config.lines.len()).unwrap_or(u32::MAX);
    let spread = STAGGER_PER_LINE.saturating_mul(lines_count).min(STAGGER_MAX);
    let planned = planned.into_iter().map(Some).chain(iter::repeat_with(|| None));
    let lines = config.lines.into_iter().zip(planned).enumerate();
    let lines = lines.map(|(index, (line, planned))| line_setup(index, line, planned, spread, &learned));
    Setup {
        gateway: config.gateway,
        tags: config.tags,
        lines: lines.collect(),
        buffer: buffer_setup(config.buffer, config.uplinks.iter().map(uplink_options)),
        uplinks: config.uplinks,
        types,
        writables: config.writables,
        commands: config.commands,
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
    index: usize,
    line: LineConfig,
    planned: Option<Box<dyn Line>>,
    spread: Duration,
    learned: &LearnedFolder,
) -> LineSetup {
    let LineConfig { name, mut spec } = line;
    let mut devices = Vec::with_capacity(spec.devices.len());
    for device in &mut spec.devices {
        let setup = DeviceSetup {
            name: device.name.clone(),
            address: address_of(spec.url.as_str(), device.unit),
            groups: groups_of(device),
        };
        device.learned = learned.load(&setup.name, &setup.address);
        devices.push(setup);
    }
    // A plan that was made without what is known by now is made again.
    let planned = planned.filter(|_| spec.devices.iter().all(|device| device.learned.is_none()));
    LineSetup { index, stagger: share(spread, phase_key(&name)), devices, make: maker(spec, planned), name }
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
    for tag in &device.tags {
        if let Some((_, tags)) = groups.get_mut(tag.group.index()) {
            tags.push(tag.id);
        }
    }
    groups.into_iter().map(|(every, tags)| (every, tags.into())).collect()
}

/// Gives the planned line once, and a new one each time after.
fn maker(spec: LineSpec, planned: Option<Box<dyn Line>>) -> MakeLine {
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
        let tag = |id, group| TagSpec { id: TagId(id), address: "hr:0".into(), group: GroupId(group) };
        let device = DeviceSpec {
            groups: vec![Duration::from_secs(1), Duration::from_secs(60)],
            tags: vec![tag(4, 1), tag(5, 0), tag(6, 1)],
            ..DeviceSpec::default()
        };
        let groups = groups_of(&device);
        assert_eq!(groups[0], (Duration::from_secs(1), [TagId(5)].into()));
        assert_eq!(groups[1], (Duration::from_secs(60), [TagId(4), TagId(6)].into()));
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
        let address = |unit| line_setup(0, line(unit), None, Duration::ZERO, &learned).devices[0].address.clone();
        assert_eq!(learned.load("press", &address(Some(3))).as_deref(), Some("hr 7 is refused"));
        assert_eq!(learned.load("press", &address(Some(4))), None);
        assert_eq!(learned.load("press", &address(None)), None);
    }
}
