//! What hangs on a bus: its tags, its plans, and how its lines and bits are wired.

use std::collections::BTreeMap;
use std::time::Duration;

use driver_core::{Device, DeviceSpec, GroupId, Place as SpecPlace, Plan, Reports, SpecError, TagId, TagText};

use crate::address::{Address, Channel, Chip, LineName, Place, Pull, Use};
use crate::config::{Bus, LocalEndpoint, unit};
use crate::plan::{GroupPlan, Tag};
use crate::wire::mcp23017::Wiring;

/// Lines or chips whose requests are planned.
#[derive(Debug)]
pub struct LocalDevice {
    pub(crate) tags: Vec<Tag>,
    /// Index of each tag, by rising id.
    by_id: Vec<(TagId, usize)>,
    pub(crate) groups: Vec<GroupPlan>,
    /// How each GPIO line is opened.
    pub(crate) lines: BTreeMap<LineName, LineSetup>,
    /// Rising edges of each line since the gateway started, over all connections.
    pub(crate) edges: BTreeMap<LineName, u64>,
    /// Whether somebody waits for what the lines tell by themselves.
    pub(crate) is_heard: bool,
}

/// How a GPIO line is opened: what all its tags ask for together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LineSetup {
    pub(crate) is_output: bool,
    /// Rising edges are counted.
    pub(crate) counts: bool,
    /// Each edge is a reading.
    pub(crate) tells: bool,
    pub(crate) pull: Pull,
    pub(crate) is_active_low: bool,
    pub(crate) debounce: Duration,
}

impl LocalDevice {
    /// Understands the addresses of a device and plans its requests. `index` is its place on the line.
    ///
    /// # Errors
    /// Every address that is wrong, or that asks of a line or chip what another has excluded.
    pub fn new(endpoint: &LocalEndpoint, index: usize, spec: &DeviceSpec) -> Result<LocalDevice, Vec<SpecError>> {
        let mut errors = Vec::new();
        let own_unit = own_unit(endpoint, index, spec, &mut errors);
        let mut device = LocalDevice {
            tags: Vec::with_capacity(spec.tags.len()),
            by_id: Vec::new(),
            groups: Vec::new(),
            lines: BTreeMap::new(),
            edges: BTreeMap::new(),
            is_heard: false,
        };
        let mut wiring = Wiring::default();
        for (number, tag) in spec.tags.iter().enumerate() {
            let understood = Address::parse(endpoint.bus, tag.address)
                .map_err(|error| (error.range, error.message))
                .and_then(|address| match device.clash(endpoint.bus, own_unit, &address) {
                    Some(message) => Err((0..tag.address.len(), message)),
                    None => Ok(address),
                });
            match understood {
                Ok(address) => {
                    device.wire(&address, &mut wiring);
                    device.tags.push(Tag { id: tag.id, group: tag.group, address });
                }
                Err((range, message)) => {
                    errors.push(SpecError { place: SpecPlace::Address(index, number, range), message });
                }
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        device.by_id = device.tags.iter().enumerate().map(|(index, tag)| (tag.id, index)).collect();
        device.by_id.sort_unstable();
        let unit = |chip: Chip| if endpoint.bus == Bus::I2c { own_unit.unwrap_or(chip.unit()) } else { 0 };
        device.groups = (0..spec.groups.len())
            .map(|group| GroupPlan::new(GroupId(u16::try_from(group).unwrap_or(u16::MAX)), &device.tags, unit, wiring))
            .collect();
        Ok(device)
    }

    /// The tag of this id.
    pub(crate) fn tag(&self, id: TagId) -> Option<&Tag> {
        let place = self.by_id.binary_search_by_key(&id, |(known, _)| *known).ok()?;
        self.tags.get(self.by_id[place].1)
    }

    /// Why an address cannot stand beside those before it.
    fn clash(&self, bus: Bus, own_unit: Option<u8>, address: &Address) -> Option<String> {
        let before = self.tags.iter().map(|tag| &tag.address);
        match &address.place {
            Place::Line(name, use_of) => {
                let setup = self.lines.get(name)?;
                let wanted = line_setup(*use_of, address);
                // The kernel numbers the edges of a line without regard to their direction.
                let is_counted_both_ways = (setup.counts || wanted.counts) && (setup.tells || wanted.tells);
                let is_other_way = setup.is_output != wanted.is_output || is_counted_both_ways;
                let is_other_wiring = setup.pull != wanted.pull || setup.is_active_low != wanted.is_active_low;
                (is_other_way || is_other_wiring)
                    .then(|| format!("line {name} is used in another way by a tag above; give both the same settings"))
            }
            Place::Chip(chip, channel) => before.into_iter().find_map(|other| match &other.place {
                Place::Chip(other, _) if other != chip && (bus == Bus::Spi || own_unit.is_some()) => {
                    let place = if bus == Bus::Spi { "this chip select" } else { "this address" };
                    Some(format!(
                        "behind {place} is the {} of a tag above: a chip of its own is a device of its own",
                        other.title()
                    ))
                }
                Place::Chip(other, taken) if other == chip && are_opposed(*taken, *channel) => {
                    Some("this bit is used the other way round by a tag above".into())
                }
                _ => None,
            }),
            Place::Thermometer(_) => None,
        }
    }

    fn wire(&mut self, address: &Address, wiring: &mut Wiring) {
        match &address.place {
            Place::Line(name, use_of) => {
                let wanted = line_setup(*use_of, address);
                let setup = self.lines.entry(name.clone()).or_insert(wanted);
                setup.counts |= wanted.counts;
                setup.tells |= wanted.tells;
                setup.debounce = setup.debounce.max(wanted.debounce);
            }
            Place::Chip(_, Channel::Output(bit)) => wiring.outputs |= 1 << bit,
            Place::Chip(_, Channel::Input(bit)) if address.settings.pull == Pull::Up => wiring.pull_ups |= 1 << bit,
            _ => {}
        }
    }
}

impl Device for LocalDevice {
    fn plan(&self) -> Plan {
        let groups = (0..).map(GroupId).zip(&self.groups);
        Plan { requests: groups.flat_map(|(group, plan)| plan.requests(group)).collect() }
    }

    fn tag_text(&self, tag: usize) -> TagText {
        let address = &self.tags[tag].address;
        TagText {
            canonical: address.to_string(),
            also: address.also(),
            data_type: address.data_type(),
            elements: 1,
            writable: address.is_writable(),
        }
    }

    /// A line whose edges are told is not asked for its level at each poll; all else is.
    fn listen(&mut self) -> Reports {
        self.is_heard = self.lines.values().any(|line| line.tells);
        if self.is_heard { Reports::Changes } else { Reports::EachPoll }
    }

    fn learned(&mut self) -> Option<String> {
        None
    }
}

fn line_setup(use_of: Use, address: &Address) -> LineSetup {
    LineSetup {
        is_output: use_of == Use::Output,
        counts: use_of == Use::Count,
        tells: use_of == Use::Edge,
        pull: address.settings.pull,
        is_active_low: address.settings.is_active_low,
        debounce: address.settings.debounce,
    }
}

fn are_opposed(one: Channel, other: Channel) -> bool {
    matches!((one, other), (Channel::Input(a), Channel::Output(b)) | (Channel::Output(a), Channel::Input(b)) if a == b)
}

/// The address on I2C that the device or the URL names.
fn own_unit(endpoint: &LocalEndpoint, index: usize, spec: &DeviceSpec, errors: &mut Vec<SpecError>) -> Option<u8> {
    let Some(number) = spec.unit else { return endpoint.unit };
    let message = match unit(number) {
        Some(unit) if endpoint.bus == Bus::I2c => return Some(unit),
        Some(_) => "only chips on I2C have a number on the bus",
        None => "an I2C address is a number from 8 to 119, which is 0x08 to 0x77",
    };
    errors.push(SpecError { place: SpecPlace::Device(index), message: message.into() });
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use driver_core::TagSpec;

    fn device(url: &str, unit: Option<u16>, addresses: &[&str]) -> Result<LocalDevice, Vec<SpecError>> {
        let endpoint = LocalEndpoint::parse(&url.parse().expect("a URL"), None).expect("an endpoint");
        let tags = (0..).zip(addresses);
        let tags = tags.map(|(id, address)| TagSpec { id: TagId(id), address, group: GroupId(0) });
        let groups = vec![Duration::from_secs(1)];
        LocalDevice::new(&endpoint, 0, &DeviceSpec { unit, groups, tags: tags.collect(), ..DeviceSpec::default() })
    }

    #[test]
    fn a_chip_is_asked_once_a_poll_for_all_its_channels() {
        let channels = ["bme280.temperature", "ads1115.0", "bme280.humidity"];
        let device = device("i2c:///dev/i2c-1", None, &channels).expect("a device");
        let texts: Vec<String> = device.plan().requests.into_iter().map(|request| request.text).collect();
        assert_eq!(texts, ["BME280 at 0x76", "ADS1115 at 0x48"]);
        assert_eq!(device.groups[0].chips[0].wanted.len(), 2);
    }

    #[test]
    fn the_wiring_is_what_all_tags_of_a_chip_say() {
        let bits = ["mcp23017.out.b0", "mcp23017.in.a0?pull=up", "mcp23017.in.a1"];
        let device = device("i2c:///dev/i2c-1", Some(0x21), &bits).expect("a device");
        let request = &device.groups[0].chips[0];
        assert_eq!((request.unit, request.wiring), (0x21, Wiring { outputs: 0x0100, pull_ups: 1 }));
        assert!(device.tag_text(0).writable && !device.tag_text(1).writable);
    }

    #[test]
    fn what_excludes_each_other_is_an_error() {
        for (url, unit, addresses, expected) in [
            ("gpio:///dev/gpiochip0", None, &["in:17", "out:17"][..], "line 17 is used in another way"),
            ("gpio:///dev/gpiochip0", None, &["in:17?pull=up", "count:17"], "the same settings"),
            ("gpio:///dev/gpiochip0", None, &["edge:17", "count:17"], "line 17 is used in another way"),
            ("gpio:///dev/gpiochip0", Some(3), &["in:17"], "from 8 to 119"),
            ("gpio:///dev/gpiochip0", Some(30), &["in:17"], "only chips on I2C"),
            ("i2c:///dev/i2c-1?unit=0x48", None, &["ads1115.0", "ina219.voltage"], "a device of its own"),
            ("i2c:///dev/i2c-1", None, &["pcf8574.in.1", "pcf8574.out.1"], "the other way round"),
            ("spi:///dev/spidev0.0", None, &["mcp3008.0", "max31865.temperature"], "this chip select"),
        ] {
            let errors = device(url, unit, addresses).expect_err(expected);
            assert!(errors.iter().any(|error| error.message.contains(expected)), "{expected}: {errors:?}");
        }
        let both = device("gpio:///dev/gpiochip0", None, &["in:17?pull=up", "count:17?pull=up&debounce=5ms"]);
        let setup = both.expect("a device").lines[&LineName::Offset(17)];
        assert!(setup.counts && setup.pull == Pull::Up && setup.debounce == Duration::from_millis(5));
    }
}
