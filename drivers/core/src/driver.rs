//! The contract: what a protocol has to be able to do.

use std::future::Future;
use std::time::Duration;

use crate::{
    AddressError, DataType, DeviceSpec, EndpointUrl, GroupId, LinkError, Readings, SpecError, TagId, Tap, Value,
    WatchSpec, Way, WriteError,
};

/// A protocol: one static value that checks and plans, and opens connections. No I/O happens before [`Driver::connect`].
pub trait Driver: Send + Sync + 'static {
    /// Where a connection leads to: the URL, understood.
    type Endpoint: Send + Sync + 'static;
    /// A configured PLC whose requests are planned.
    type Device: Device;
    /// A live session to one endpoint.
    type Connection: Connection<Device = Self::Device>;

    /// What it is called and how it is described.
    fn info(&self) -> &'static DriverInfo;

    /// Understands a URL; every wrong part is reported. `timeout` overrides the driver's default for an answer.
    fn endpoint(&self, url: &EndpointUrl, timeout: Option<Duration>) -> Result<Self::Endpoint, Vec<SpecError>>;

    /// Understands the addresses of a device and plans its requests; every wrong address is reported. `index` is the
    /// device's place on its line, for the error's [`Place`](crate::Place).
    fn device(
        &self,
        endpoint: &Self::Endpoint,
        index: usize,
        spec: &DeviceSpec,
    ) -> Result<Self::Device, Vec<SpecError>>;

    /// Understands a pattern of [`DeviceSpec::browse`].
    ///
    /// # Errors
    /// What is wrong with it, and what to write instead.
    fn pattern(&self, pattern: &str) -> Result<(), AddressError> {
        let message = "this protocol cannot tell what a device holds: write its tags under `tags`";
        Err(AddressError::new(0..pattern.len(), message))
    }

    /// Whether a tag can be watched so.
    ///
    /// # Errors
    /// What cannot be done, and what to write instead.
    fn watch(&self, watch: &WatchSpec) -> Result<(), String> {
        if watch.sampling.is_none() && watch.queue.is_none() {
            return Ok(());
        }
        Err("`sampling` and `queue` are for devices that tell changes by themselves (OPC UA); this one is polled: `every` \
             says how often"
            .into())
    }

    /// What the status of a bad reading means, and what to do about it; `None` where the protocol has no words for it.
    fn explain(&self, _status: u32) -> Option<String> {
        None
    }

    /// The certificate that the far side shows, whether or not it is trusted; `None` where the protocol has none. Bounded
    /// in time by the driver.
    fn certificate(
        &self,
        _endpoint: &Self::Endpoint,
    ) -> impl Future<Output = Result<Option<FarCertificate>, LinkError>> + Send {
        async { Ok(None) }
    }

    /// Trusts a certificate from now on: its thumbprint is kept, and the place where is returned.
    ///
    /// # Errors
    /// Why it cannot be kept.
    fn trust(&self, _endpoint: &Self::Endpoint, _certificate: &FarCertificate) -> Result<String, String> {
        Err("this protocol has no certificates to trust".into())
    }

    /// Makes our own certificate and its key anew; returns what was made, and what has to be done with it.
    ///
    /// # Errors
    /// Why they cannot be made.
    fn renew(&self, _endpoint: &Self::Endpoint) -> Result<String, String> {
        Err("this protocol has no certificate of ours".into())
    }

    /// Opens a connection. Bounded in time by the driver.
    fn connect(&self, endpoint: &Self::Endpoint) -> impl Future<Output = Result<Self::Connection, LinkError>> + Send;

    /// As [`Driver::connect`], with the connection's bytes shown to `tap`; a driver that has none to show connects as ever.
    fn connect_tapped(
        &self,
        endpoint: &Self::Endpoint,
        _tap: Tap,
    ) -> impl Future<Output = Result<Self::Connection, LinkError>> + Send {
        self.connect(endpoint)
    }

    /// Bytes of a connection in words, a line a frame; `scheme` says how they are framed. `None` where the driver has no
    /// words for them.
    fn frame_text(&self, _scheme: &str, _way: Way, _bytes: &[u8]) -> Option<String> {
        None
    }
}

/// A configured PLC: its addresses understood, its requests planned, and what was learned about it.
pub trait Device: Send + 'static {
    /// What one cycle of each group costs.
    fn plan(&self) -> Plan;

    /// How a tag's address reads in this driver's own notation, by index within the device.
    fn tag_text(&self, tag: usize) -> TagText;

    /// From now on somebody waits for [`Connection::news`]: what the device tells by itself need not be asked for. Returns
    /// what a poll hands over from then on.
    fn listen(&mut self) -> Reports {
        Reports::EachPoll
    }

    /// The value of a tag whose bytes these are, as they come on the wire; unscaled.
    ///
    /// # Errors
    /// Why they are none.
    fn decode(&self, _tag: usize, _bytes: &[u8]) -> Result<Value, String> {
        Err("values come with their types in this protocol, so that there are no bytes to try".into())
    }

    /// What was learned from the device (addresses it refuses, lengths it accepts), as text to be kept on disk and given
    /// back in [`DeviceSpec::learned`]; `None` when there is nothing new since the last call.
    fn learned(&mut self) -> Option<String>;

    /// Its line was closed: what is worth keeping only at an end belongs to what was learned now.
    fn closed(&mut self) {}

    /// All that lies where the patterns of [`DeviceSpec::browse`] point, each time the device was looked through to its end;
    /// `None` when it was not since the last call. Only devices that listen are looked through.
    fn found(&mut self) -> Option<Vec<FoundTag>> {
        None
    }
}

/// A variable that was found where a pattern points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundTag {
    /// What the device calls it, below the fixed part of the pattern; no other of this device bears the same name.
    pub name: Box<str>,
    /// Its address.
    pub address: Box<str>,
}

/// A live session. It is spent by its first [`LinkError`]: whoever owns it drops it and connects anew.
pub trait Connection: Send + 'static {
    /// The devices that it polls.
    type Device;

    /// Reads all tags of a group once and pushes exactly one reading for each: a tag that fails gets a bad one with its
    /// reason. Only what ends the connection is an error. A poll of many requests may [pause](Readings::pause)
    /// between two of them while [`Readings::must_pause`] says so; it goes on there when it is called again.
    fn poll(
        &mut self,
        device: &mut Self::Device,
        group: GroupId,
        readings: &mut Readings<'_>,
    ) -> impl Future<Output = Result<Contact, LinkError>> + Send;

    /// Writes one tag and reads it back.
    fn write(
        &mut self,
        device: &mut Self::Device,
        tag: TagId,
        value: &Value,
    ) -> impl Future<Output = Result<WriteOutcome, LinkError>> + Send;

    /// One cheap request that shows whether a device answers at all, for one that has been silent.
    fn touch(&mut self, device: &mut Self::Device) -> impl Future<Output = Result<Contact, LinkError>> + Send;

    /// What the device says of itself (vendor, product, firmware), as label and text; empty when it says nothing.
    fn identify(&mut self, device: &mut Self::Device) -> impl Future<Output = Result<Vec<Fact>, LinkError>> + Send;

    /// What lies below a place of the device's address space, by that place's address; the empty one is where tags begin.
    fn browse(
        &mut self,
        _device: &mut Self::Device,
        _place: &str,
    ) -> impl Future<Output = Result<Result<Vec<Entry>, BrowseError>, LinkError>> + Send {
        async { Ok(Err(BrowseError::Unsupported)) }
    }

    /// Waits until the device has told something by itself. May be cancelled at any time, and loses nothing.
    fn news(&mut self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }

    /// Hands over what a device has told by itself, without waiting. Only devices that listen tell anything.
    fn take_news(&mut self, _device: &mut Self::Device, _readings: &mut Readings<'_>) {}

    /// Takes leave of the far side where the protocol has a word for it. Bounded in time.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// What a poll hands over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reports {
    /// One reading for each tag that was due, and any number of the past.
    #[default]
    EachPoll,
    /// What changed since the last poll, in its order, and one bad reading for each tag of which the device would not tell.
    /// A tag without a reading is as it was: the device is watched, and says so. The first poll of a connection has a
    /// reading of each tag.
    Changes,
}

/// Whether the device itself was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contact {
    /// At least one answer came, be it a refusal.
    Answered,
    /// Nothing came in time, though the line is up.
    Silent,
}

/// What became of a write.
#[derive(Debug, Clone, PartialEq)]
pub enum WriteOutcome {
    /// The device took it; this is what it holds now, read back. [`Value::None`] when it cannot be read back.
    Written(Value),
    /// It did not happen, or it is not known whether it did.
    Failed(WriteError),
}

/// One thing that a device says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// What it is, such as `vendor`.
    pub label: String,
    /// What the device says.
    pub text: String,
}

/// One thing in a device's address space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What the device calls it, for people.
    pub name: String,
    /// Its address: what a tag's address is, and the place of a further [`Connection::browse`].
    pub address: String,
    /// What it is.
    pub kind: EntryKind,
    /// The type of its value in the protocol's words, with `[]` or the dimensions of an array; empty where it has none.
    pub data_type: String,
    /// Whether it may be written by this user.
    pub writable: bool,
}

/// What an entry of an address space is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// It has no value, but may have something below it.
    Folder,
    /// It has a value, and may have something below it.
    Variable,
    /// It can be called; it is no tag.
    Method,
}

/// Why a place was not browsed; the connection is still good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrowseError {
    /// The protocol cannot tell what a device holds.
    #[error("this protocol cannot tell what a device holds: its tags stand in the device's own project")]
    Unsupported,
    /// The device refused.
    #[error("{0}")]
    Refused(String),
}

/// The certificate of a far side, as it is shown to a person who decides whether to trust it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FarCertificate {
    /// Whose it is, such as `CN=Press, O=Acme`.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// SHA-1 of its bytes, as two hexadecimal digits a byte with colons: what configuration tools show.
    pub thumbprint: String,
    /// When it begins to be valid, RFC 3339.
    pub valid_from: String,
    /// When it ends.
    pub valid_to: String,
    /// The names, addresses and application that it stands for.
    pub names: Vec<String>,
    /// `Ok` where it would be accepted, or why not and what to do.
    pub verdict: Result<(), String>,
    /// Its bytes (DER).
    pub der: Vec<u8>,
}

/// What a driver is called and how it is described.
#[derive(Debug)]
pub struct DriverInfo {
    /// The crate's short name, such as `modbus`.
    pub name: &'static str,
    /// The URL schemes that it serves, such as `modbus-tcp`.
    pub schemes: &'static [&'static str],
    /// A commented gateway file that shows it.
    pub sample: &'static str,
    /// The options that may stand in the URL's query, with one line of help each.
    pub options: &'static [(&'static str, &'static str)],
}

/// What one cycle of a device costs.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Every request, in the order in which it is sent.
    pub requests: Vec<PlannedRequest>,
}

/// One request of a plan.
#[derive(Debug, Clone)]
pub struct PlannedRequest {
    /// The group that it serves.
    pub group: GroupId,
    /// The request in the protocol's words, such as `hr:0..125 (function 3)`.
    pub text: String,
    /// How many tags it serves.
    pub tags: usize,
    /// Bytes on the wire, out and back, with framing.
    pub wire_bytes: usize,
    /// How long it occupies the line, as estimated from its speed and the usual time of an answer.
    pub time: Duration,
}

/// A tag's address in the driver's notation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagText {
    /// The canonical form: parsing it gives the same address again.
    pub canonical: String,
    /// Where it lies on the wire and how others write it, such as `offset 100 = 40101`.
    pub also: String,
    /// The type of its value, or of each element of an array.
    pub data_type: DataType,
    /// How many elements it has; 1 when it is no array.
    pub elements: usize,
    /// Whether the protocol can write it.
    pub writable: bool,
}
