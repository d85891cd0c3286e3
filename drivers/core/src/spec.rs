//! What a driver is asked to do, as text and numbers: what the configuration, or a program, hands over.

mod tags;

use std::time::Duration;

use crate::{EndpointUrl, Order};

pub use tags::{TagSpec, TagSpecs};

/// One connection and the devices that are reached through it.
#[derive(Debug, Clone, PartialEq)]
pub struct LineSpec {
    /// Where it leads, with the driver's options.
    pub url: EndpointUrl,
    /// How long an answer may take; `None` leaves it to the driver.
    pub timeout: Option<Duration>,
    /// The devices: one, or the many units of a bus.
    pub devices: Vec<DeviceSpec>,
}

/// One device on a line.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeviceSpec {
    /// Its name in the configuration.
    pub name: Box<str>,
    /// Its number on a bus; `None` takes the URL's `unit`, or the driver's default.
    pub unit: Option<u16>,
    /// Byte order of its multi-register values where an address names none.
    pub order: Option<Order>,
    /// How many requests it can take at once; `None` leaves it to the driver.
    pub in_flight_max: Option<u16>,
    /// The interval of each poll group, by [`GroupId`](crate::GroupId).
    pub groups: Vec<Duration>,
    /// Its tags.
    pub tags: TagSpecs,
    /// What is another of tags that are watched otherwise than the rest, by rising index.
    pub watch: Vec<WatchSpec>,
    /// Patterns of places, in the driver's notation: the variables there are tags too, once they were found. A device with
    /// patterns has a group, though it may have no tag yet.
    pub browse: Vec<Box<str>>,
    /// What [`Device::learned`](crate::Device::learned) returned in an earlier life, if anything.
    pub learned: Option<String>,
}

/// How a device is to watch a tag, where it tells by itself what changes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct WatchSpec {
    /// The tag's index within the device.
    pub tag: usize,
    /// How often the device looks at the value; `None` leaves it to the driver.
    pub sampling: Option<Duration>,
    /// How many values the device keeps until it has told them; `None` leaves it to the driver.
    pub queue: Option<u32>,
    /// Changes up to this size, in the device's own unit, need not be told. It spares readings that are held back in any
    /// case: a driver may pass over it.
    pub deadband: Option<f64>,
}
