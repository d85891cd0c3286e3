//! What every source gives: devices with tags, and what is to be said of them.

/// All that was found in a file.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) devices: Vec<Device>,
    pub(super) notes: Vec<Note>,
}

/// A device as the other program had it.
#[derive(Debug, Clone)]
pub(super) struct Device {
    pub(super) name: String,
    /// Where it is: a URL of ours without a unit; `None` where the file does not say.
    pub(super) url: Option<String>,
    /// What stands in for an absent URL, or for one that no driver understands.
    pub(super) stand_in: &'static str,
    /// Its number on a bus.
    pub(super) unit: Option<u16>,
    /// The device through whose URL it is reached, filled in later.
    pub(super) on: Option<String>,
    pub(super) every_ms: Option<u64>,
    pub(super) timeout_ms: Option<u64>,
    pub(super) comment: Option<String>,
    /// Why it can only be a comment in the result, such as a driver that this build does not have.
    pub(super) idle: Option<String>,
    pub(super) tags: Vec<Tag>,
    /// Where it stands in the file, for the report.
    pub(super) place: String,
}

/// A tag as the other program had it.
#[derive(Debug, Clone, Default)]
pub(super) struct Tag {
    pub(super) name: String,
    /// Ways to write its address; the first that the driver understands is taken.
    pub(super) addresses: Vec<String>,
    pub(super) every_ms: Option<u64>,
    pub(super) scale: Option<f64>,
    pub(super) offset: Option<f64>,
    pub(super) unit: Option<String>,
    pub(super) comment: Option<String>,
    pub(super) place: String,
}

/// Something that the reader of the result has to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) weight: Weight,
    /// Where in the file.
    pub(super) place: String,
    pub(super) message: String,
}

/// How much a note weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// It stands in the file and not in the result.
    Left,
    /// It stands in the result, and someone has to look at it.
    Look,
}

impl Weight {
    pub(super) fn name(self) -> &'static str {
        match self {
            Weight::Left => "not mapped",
            Weight::Look => "to be looked at",
        }
    }
}

/// How often the result polls where nothing is said.
pub(super) const EVERY_MS: u64 = 1_000;

/// Addresses of the block for documentation (RFC 5737): nobody answers there.
pub(super) const MODBUS_NOWHERE: &str = "modbus-tcp://192.0.2.1";
pub(super) const S7_NOWHERE: &str = "s7://192.0.2.1";
pub(super) const OPCUA_NOWHERE: &str = "opc.tcp://192.0.2.1:4840";

impl Found {
    /// How many tags are in the result.
    pub(super) fn tags(&self) -> usize {
        self.devices.iter().filter(|device| device.idle.is_none()).map(|device| device.tags.len()).sum()
    }

    /// Says that something is not in the result.
    pub(super) fn left(&mut self, place: impl Into<String>, message: impl Into<String>) {
        self.note(Weight::Left, place.into(), message.into());
    }

    /// Says that someone has to look at something.
    pub(super) fn look(&mut self, place: impl Into<String>, message: impl Into<String>) {
        self.note(Weight::Look, place.into(), message.into());
    }

    fn note(&mut self, weight: Weight, place: String, message: String) {
        let note = Note { weight, place, message };
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

impl Device {
    pub(super) fn new(name: impl Into<String>, stand_in: &'static str, place: impl Into<String>) -> Device {
        Device {
            name: name.into(),
            url: None,
            stand_in,
            unit: None,
            on: None,
            every_ms: None,
            timeout_ms: None,
            comment: None,
            idle: None,
            tags: Vec::new(),
            place: place.into(),
        }
    }
}

/// `Option` of a text that says something.
pub(super) fn said(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}
