//! From the checked configuration to what the pipeline is started with.

use std::sync::Arc;
use std::time::Duration;

use buffer::Options;
use driver_core::{DeviceSpec, LineSpec, Place, SpecError, TagId};

use super::gateway::{BufferSetup, Setup};
use super::learned::LearnedFolder;
use super::poll::{DeviceSetup, LineSetup, MakeLine};
use super::schedule::{phase_key, share};
use crate::config::{BufferConfig, Config, LineConfig};

/// First connects follow one another this closely on average …
const STAGGER_PER_LINE: Duration = Duration::from_micros(250);

/// … and all have begun after this long, however many there are.
const STAGGER_MAX: Duration = Duration::from_secs(2);

/// What a gateway of this configuration is made of, with what was learned in earlier lives.
pub fn setup(config: Config) -> Setup {
    let learned = LearnedFolder::within(&config.buffer.path);
    let lines_count = u32::try_from(config.lines.len()).unwrap_or(u32::MAX);
    let spread = STAGGER_PER_LINE.saturating_mul(lines_count).min(STAGGER_MAX);
    let lines = config.lines.into_iter().enumerate().map(|(index, line)| line_setup(index, line, spread, &learned));
    Setup {
        gateway: config.gateway,
        tags: config.tags,
        lines: lines.collect(),
        buffer: buffer_setup(config.buffer, config.uplinks.iter().map(|uplink| &*uplink.name)),
        uplinks: config.uplinks,
    }
}

fn buffer_setup<'a>(config: BufferConfig, uplinks: impl Iterator<Item = &'a str>) -> BufferSetup {
    let options = Options {
        size_max_bytes: config.size_max_bytes,
        age_max: Some(config.age_max),
        when_full: config.when_full,
        ..Options::new(uplinks)
    };
    BufferSetup { path: config.path, options, sync: config.sync }
}

fn line_setup(index: usize, line: LineConfig, spread: Duration, learned: &LearnedFolder) -> LineSetup {
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
    LineSetup { index, stagger: share(spread, phase_key(&name)), devices, make: maker(spec), name }
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

fn maker(spec: LineSpec) -> MakeLine {
    let spec = Arc::new(spec);
    Box::new(move || match drivers::by_scheme(spec.url.scheme()) {
        Some(driver) => driver.line(&spec),
        None => Err(vec![SpecError {
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
        let address = |unit| line_setup(0, line(unit), Duration::ZERO, &learned).devices[0].address.clone();
        assert_eq!(learned.load("press", &address(Some(3))).as_deref(), Some("hr 7 is refused"));
        assert_eq!(learned.load("press", &address(Some(4))), None);
        assert_eq!(learned.load("press", &address(None)), None);
    }
}
