//! What a driver is asked to do, as text and numbers: what the configuration, or a program, hands over.

use std::time::Duration;

use crate::{EndpointUrl, GroupId, Order, TagId};

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
    /// The interval of each poll group, by [`GroupId`].
    pub groups: Vec<Duration>,
    /// Its tags.
    pub tags: Vec<TagSpec>,
    /// What [`Device::learned`](crate::Device::learned) returned in an earlier life, if anything.
    pub learned: Option<String>,
}

/// One tag of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagSpec {
    /// Its id.
    pub id: TagId,
    /// The address as written.
    pub address: Box<str>,
    /// The group that polls it.
    pub group: GroupId,
}
