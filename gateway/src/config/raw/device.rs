//! Devices and templates as written.

use std::time::Duration;

use buffer::Class;
use driver_core::Order;

use super::tag::{RawTag, TagForm};
use super::{CLASS, CLASS_HELP, EVERY, EVERY_HELP};
use crate::config::fields::Fields;
use crate::config::form::{Integer, Interval, MapOf, Name, Named, OneOf, OneOrMore, Text};
use crate::config::source::Spanned;

/// What stands under a device's name.
#[derive(Debug)]
pub(in crate::config) struct RawDevice<'t> {
    pub(in crate::config) url: Option<Spanned<&'t str>>,
    pub(in crate::config) on: Option<Spanned<&'t str>>,
    pub(in crate::config) unit: Option<Spanned<u16>>,
    pub(in crate::config) timeout: Option<Spanned<Duration>>,
    pub(in crate::config) template: Option<Spanned<&'t str>>,
    pub(in crate::config) settings: RawSettings<'t>,
}

/// What a device has of its own or from its template.
#[derive(Debug)]
pub(in crate::config) struct RawSettings<'t> {
    pub(in crate::config) order: Option<Spanned<Order>>,
    pub(in crate::config) every: Option<Spanned<Duration>>,
    pub(in crate::config) class: Option<Spanned<Class>>,
    pub(in crate::config) max_in_flight: Option<Spanned<u16>>,
    pub(in crate::config) browse: Option<Spanned<Vec<Spanned<&'t str>>>>,
    pub(in crate::config) tags: Vec<Named<'t, RawTag<'t>>>,
}

/// Takes the keys of a device.
pub(super) fn device<'t>(fields: &mut Fields<'_, 't>) -> RawDevice<'t> {
    let kinds = fields.kinds();
    let schemes: Vec<&str> = kinds.driver_schemes().collect();
    let url_help = format!("Where it is reached, with the driver's options. Drivers here: {}.", schemes.join(", "));
    RawDevice {
        url: fields.optional("url", &url_help, &Text { example: "modbus-tcp://10.0.0.11?unit=1" }),
        on: fields.optional("on", "The device or bus through whose URL it is reached.", &Name),
        unit: fields.optional("unit", "Its number on the bus.", &Integer { min: 0, max: u16::MAX }),
        timeout: fields.optional("timeout", "How long an answer may take.", &TIMEOUT),
        template: fields.optional("template", "The template that it takes its settings and tags from.", &Name),
        settings: settings(fields),
    }
}

/// Takes the keys that devices and templates have in common.
pub(super) fn settings<'t>(fields: &mut Fields<'_, 't>) -> RawSettings<'t> {
    let tags =
        "What is read, by name: an address, or a map. A device's own come before those of its template, key by key.";
    let browse = "Patterns of places whose variables become tags, where the device can tell what it holds (OPC UA): \
                  /Objects/2:Line7/** is all below Line7. A tag of the same name says more of one that is found.";
    RawSettings {
        order: fields.optional("order", "Byte order of values of several registers.", &ORDER),
        every: fields.optional("every", EVERY_HELP, &EVERY),
        class: fields.optional("class", CLASS_HELP, &CLASS),
        max_in_flight: fields.optional("max_in_flight", "How many requests it takes at once.", &IN_FLIGHT),
        browse: fields.optional("browse", browse, &OneOrMore(Text { example: "/Objects/2:Line7/**" })),
        tags: fields.optional("tags", tags, &MapOf(TagForm)).map(|tags| tags.value).unwrap_or_default(),
    }
}

const TIMEOUT: Interval = Interval { min: Duration::from_millis(1), max: Duration::from_secs(120) };

const IN_FLIGHT: Integer = Integer { min: 1, max: 1024 };

const ORDER: OneOf<Order> = OneOf(&[
    ("ABCD", Order::Abcd, "most significant byte first"),
    ("CDAB", Order::Cdab, "words swapped"),
    ("BADC", Order::Badc, "bytes of each word swapped"),
    ("DCBA", Order::Dcba, "least significant byte first"),
    ("AB", Order::Abcd, "16 bits, most significant byte first"),
    ("BA", Order::Dcba, "16 bits, least significant byte first"),
    ("ABCDEFGH", Order::Abcd, "64 bits, most significant byte first"),
    ("GHEFCDAB", Order::Cdab, "64 bits, words swapped"),
    ("BADCFEHG", Order::Badc, "64 bits, bytes of each word swapped"),
    ("HGFEDCBA", Order::Dcba, "64 bits, least significant byte first"),
]);
