//! What is known of each family of PLCs before it is asked.

/// A family of PLCs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Preset {
    /// None is named: as an S7-1200 or S7-1500, planned with the size that every PLC takes.
    #[default]
    Any,
    S71200,
    S71500,
    S7300,
    S7400,
    Logo,
    S7200,
    S7200Smart,
}

/// What may stand there.
pub(super) const NAMES: &str = "s7-1200, s7-1500, s7-300, s7-400, logo, s7-200 or s7-200-smart";

impl Preset {
    pub(super) fn from_name(name: &str) -> Option<Preset> {
        Some(match name.to_ascii_lowercase().as_str() {
            "s7-1200" => Preset::S71200,
            "s7-1500" => Preset::S71500,
            "s7-300" => Preset::S7300,
            "s7-400" => Preset::S7400,
            "logo" => Preset::Logo,
            "s7-200" => Preset::S7200,
            "s7-200-smart" => Preset::S7200Smart,
            _ => return None,
        })
    }

    /// Where the CPU usually is. An S7-400's place depends on its power supply.
    pub(super) fn slot(self) -> u16 {
        match self {
            Preset::S7300 => 2,
            Preset::S7400 => 3,
            _ => 1,
        }
    }

    /// Our TSAP and its, where the family has no rack and slot. LOGO! and the S7-200's processor take what is configured
    /// there; these are what their own software proposes.
    pub(super) fn tsaps(self) -> Option<(u16, u16)> {
        match self {
            Preset::Logo => Some((0x0100, 0x0200)),
            Preset::S7200 => Some((0x4D57, 0x4D57)),
            Preset::S7200Smart => Some((0x1000, 0x0300)),
            _ => None,
        }
    }

    /// The size of messages that the family agrees to.
    pub(super) fn pdu(self) -> u16 {
        match self {
            Preset::S71500 => 960,
            Preset::S7400 => 480,
            _ => 240,
        }
    }
}
