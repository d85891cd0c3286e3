//! Which drivers, uplinks and formats a configuration may name.

use driver_core::AnyDriver;

use crate::uplink::format::{FORMATS, FormatKind};
use crate::uplink::{UPLINKS, Uplink};

/// The drivers, uplinks and formats to choose from.
#[derive(Clone, Copy)]
pub struct Kinds {
    /// The drivers.
    pub drivers: &'static [&'static dyn AnyDriver],
    /// The uplinks.
    pub uplinks: &'static [&'static dyn Uplink],
    /// The formats.
    pub formats: &'static [&'static dyn FormatKind],
}

impl Kinds {
    /// All that this build has.
    pub fn of_this_build() -> Kinds {
        Kinds { drivers: drivers::all(), uplinks: UPLINKS, formats: FORMATS }
    }

    pub(super) fn driver(self, scheme: &str) -> Option<&'static dyn AnyDriver> {
        self.drivers.iter().copied().find(|driver| driver.info().schemes.contains(&scheme))
    }

    pub(super) fn uplink(self, scheme: &str) -> Option<&'static dyn Uplink> {
        self.uplinks.iter().copied().find(|uplink| uplink.info().schemes.contains(&scheme))
    }

    pub(super) fn driver_schemes(self) -> impl Iterator<Item = &'static str> {
        self.drivers.iter().flat_map(|driver| driver.info().schemes).copied()
    }

    pub(super) fn uplink_schemes(self) -> impl Iterator<Item = &'static str> {
        self.uplinks.iter().flat_map(|uplink| uplink.info().schemes).copied()
    }

    /// The names of all formats with their help.
    pub(super) fn format_names(self) -> Vec<(&'static str, &'static str)> {
        self.formats.iter().map(|format| (format.info().name, format.info().help)).collect()
    }

    /// The options of all uplinks, each once, with its help.
    pub(super) fn uplink_options(self) -> Vec<(&'static str, &'static str)> {
        let mut options: Vec<(&str, &str)> = Vec::new();
        for (name, help) in self.uplinks.iter().flat_map(|uplink| uplink.info().options) {
            if !options.iter().any(|(known, _)| known == name) {
                options.push((name, help));
            }
        }
        options
    }
}
