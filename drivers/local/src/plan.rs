//! Addresses to requests: one a chip and poll group, so that a chip that measures everything at once does so once.

use std::sync::Arc;
use std::time::Duration;

use driver_core::{GroupId, PlannedRequest, TagId};

use crate::address::{Address, Channel, Chip, Place, Settings};
use crate::wire::mcp23017::Wiring;

/// A tag with its address understood.
#[derive(Debug, Clone)]
pub(crate) struct Tag {
    pub(crate) id: TagId,
    pub(crate) group: GroupId,
    pub(crate) address: Address,
}

/// What is asked of one chip in one poll.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ChipRequest {
    pub(crate) chip: Chip,
    /// Its address on I2C; 0 on SPI.
    pub(crate) unit: u8,
    /// Its bits, over all groups.
    pub(crate) wiring: Wiring,
    pub(crate) wanted: Vec<Wanted>,
}

/// One channel of a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) tag: TagId,
    pub(crate) channel: Channel,
    pub(crate) settings: Settings,
}

/// The requests of one poll group.
#[derive(Debug, Default)]
pub(crate) struct GroupPlan {
    /// GPIO tags, by index.
    pub(crate) lines: Vec<usize>,
    pub(crate) chips: Vec<Arc<ChipRequest>>,
    /// Thermometers with the tag of each.
    pub(crate) thermometers: Vec<(TagId, Box<str>)>,
}

impl GroupPlan {
    /// The plan of a group. `unit` gives a chip its address, `wirings` its bits.
    pub(crate) fn new(group: GroupId, tags: &[Tag], unit: impl Fn(Chip) -> u8, wiring: Wiring) -> GroupPlan {
        let mut plan = GroupPlan::default();
        let mut chips: Vec<ChipRequest> = Vec::new();
        for (index, tag) in tags.iter().enumerate().filter(|(_, tag)| tag.group == group) {
            match &tag.address.place {
                Place::Line(..) => plan.lines.push(index),
                Place::Thermometer(id) => plan.thermometers.push((tag.id, id.clone())),
                Place::Chip(chip, channel) => {
                    let wanted = Wanted { tag: tag.id, channel: *channel, settings: tag.address.settings };
                    match chips.iter_mut().find(|request| request.chip == *chip) {
                        Some(request) => request.wanted.push(wanted),
                        None => {
                            chips.push(ChipRequest { chip: *chip, unit: unit(*chip), wiring, wanted: vec![wanted] });
                        }
                    }
                }
            }
        }
        plan.chips = chips.into_iter().map(Arc::new).collect();
        plan
    }

    /// What one cycle costs.
    pub(crate) fn requests(&self, group: GroupId) -> Vec<PlannedRequest> {
        let mut requests = Vec::new();
        if !self.lines.is_empty() {
            let text = format!("{} lines", self.lines.len());
            requests.push(planned(group, text, self.lines.len(), 0, Duration::from_micros(10)));
        }
        for request in &self.chips {
            let text = match request.unit {
                0 => request.chip.title().into(),
                unit => format!("{} at 0x{unit:02x}", request.chip.title()),
            };
            let (bytes, time) = request.cost();
            requests.push(planned(group, text, request.wanted.len(), bytes, time));
        }
        for (_, id) in &self.thermometers {
            // Reset, address, command, conversion at 12 bits, nine bytes of scratchpad.
            requests.push(planned(group, id.to_string(), 1, 29, Duration::from_millis(775)));
        }
        requests
    }
}

impl ChipRequest {
    /// Bytes on the bus, and how long it takes: conversions of the data sheets, I2C at 100 kHz.
    fn cost(&self) -> (usize, Duration) {
        let channels = self.wanted.len();
        let (bytes, micros) = match self.chip {
            Chip::Ads1115 => (14 * channels, 10_000 * channels),
            Chip::Ina219 | Chip::Ina226 => (5 * channels, 500 * channels),
            Chip::Bme280 => (24, 12_500),
            Chip::Pcf8574 => (2, 200),
            Chip::Mcp23017 => (10, 1_000),
            Chip::Mcp3008 => (3 * channels, 100 * channels),
            Chip::Max31865 => (10 * channels, 77_000 * channels),
        };
        (bytes, Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX)))
    }
}

fn planned(group: GroupId, text: String, tags: usize, wire_bytes: usize, time: Duration) -> PlannedRequest {
    PlannedRequest { group, text, tags, wire_bytes, time }
}
